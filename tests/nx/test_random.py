"""Random numbers are JAX's, bit for bit; only normal is nearer to the truth than JAX's own."""

import jax
import numpy as np
import pytest
import scipy.special
from axon import nx
from axon.defn import jit
from axon.errors import DTypeError, ShapeError

random = nx.random
SEEDS = [0, 42, 123456789, 2**32 - 1]
SHAPES = [(), (5,), (3, 4), (0,)]


def same(ours, theirs):
    np.testing.assert_array_equal(ours.numpy().astype(float), np.asarray(theirs).astype(float))


@pytest.mark.parametrize("seed", SEEDS)
def test_keys(seed):
    ours, theirs = random.key(seed), jax.random.PRNGKey(seed)
    same(ours, theirs)
    same(random.split(ours), jax.random.split(theirs))
    same(random.split(ours, (2, 3)), jax.random.split(theirs, (2, 3)))
    same(random.fold_in(ours, 77), jax.random.fold_in(theirs, 77))
    same(random.fold_in(ours, nx.tensor(77)), jax.random.fold_in(theirs, 77))


def test_keys_take_seeds_of_64_bits():
    with jax.enable_x64(True):
        for seed in (-1, 2**40 + 5, -(2**40)):
            same(random.key(seed), jax.random.PRNGKey(seed))
            same(random.key(nx.tensor(seed, "int64")), jax.random.PRNGKey(seed))
    same(random.key(nx.tensor(7)), jax.random.PRNGKey(7))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64"])
def test_bits(shape, dtype):
    with jax.enable_x64(True):
        same(random.bits(random.key(3), shape, dtype), jax.random.bits(jax.random.PRNGKey(3), shape, dtype))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_uniform(shape, dtype):
    with jax.enable_x64(True):
        key, theirs = random.key(3), jax.random.PRNGKey(3)
        same(random.uniform(key, shape, dtype), jax.random.uniform(theirs, shape, dtype))
        bounds = {"minval": -3.3, "maxval": 7.7}
        same(random.uniform(key, shape, dtype, **bounds), jax.random.uniform(theirs, shape, dtype, **bounds))


BOUNDS = [(0, 10), (-5, 7), (0, 2**31 - 1), (-(2**31), 2**31 - 1), (3, 3), (5, 2), (0, 256)]


@pytest.mark.parametrize("low, high", BOUNDS)
def test_randint(low, high):
    key, theirs = random.key(9), jax.random.PRNGKey(9)
    want = jax.random.randint(theirs, (50,), low, high)
    same(random.randint(key, 50, low, high), want)
    same(random.randint(key, 50, nx.tensor(low), nx.tensor(high)), want)


@pytest.mark.parametrize("low, high", [(0, 97), (20, 121), (0, 1), (None, None), (100, None), (None, 3)])
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_randint_dtypes(dtype, low, high):
    low = nx.iinfo(dtype).min if low is None else low
    high = nx.iinfo(dtype).max + (nx.iinfo(dtype).bits < 64) if high is None else high  # JAX takes no 2**63
    with jax.enable_x64(True):
        theirs = map(np.uint64 if dtype == "uint64" else int, (low, high))
        want = jax.random.randint(jax.random.PRNGKey(1), (50,), *theirs, dtype)
    ours = [(low, high)]
    if high < 2**63:  # bounds of another dtype, which may lie beyond
        ours += [(np.int64(low), np.int64(high)), (nx.tensor(low, "int64"), nx.tensor(high, "int64"))]
    for bounds in ours:
        same(random.randint(random.key(1), 50, *bounds, dtype), want)


def test_bounds_beyond_the_dtype_are_its_ends():
    want = random.randint(random.key(0), 200, 250, 256, "uint8")
    assert set(want.tolist()) == set(range(250, 256))
    for end in (1000, np.int64(1000), nx.tensor(1000)):
        same(random.randint(random.key(0), 200, 250, end, "uint8"), want)


def test_bernoulli():
    p = np.array([0.1, 0.5, 0.9], dtype=np.float32)
    same(random.bernoulli(random.key(1), 0.3, (4, 5)), jax.random.bernoulli(jax.random.PRNGKey(1), 0.3, (4, 5)))
    assert bool(nx.all(random.bernoulli(random.key(1), 1, (4,)))) and not nx.any(
        random.bernoulli(random.key(1), 0, (4,))
    )
    same(random.bernoulli(random.key(1), nx.asarray(p)), jax.random.bernoulli(jax.random.PRNGKey(1), p))


def test_normal_is_within_4_ulp_of_the_inverse():
    key = random.key(1)
    u = random.uniform(key, 20000, minval=float(np.nextafter(np.float32(-1), np.float32(0))), maxval=1.0)
    exact = np.sqrt(2) * scipy.special.erfinv(u.numpy().astype(np.float64))
    normal = random.normal(key, 20000).numpy()
    assert (np.abs(normal - exact) <= 4 * np.spacing(np.abs(exact).astype(np.float32))).all()
    assert abs(normal.mean()) < 0.03 and abs(normal.std() - 1) < 0.02
    np.testing.assert_allclose(normal, jax.random.normal(jax.random.PRNGKey(1), (20000,)), rtol=2e-5, atol=1e-6)


def test_truncated_normal():
    ours = random.truncated_normal(random.key(1), -2.0, 1.0, 20000).numpy()
    assert ours.min() >= -2 and ours.max() <= 1
    np.testing.assert_allclose(ours, jax.random.truncated_normal(jax.random.PRNGKey(1), -2.0, 1.0, (20000,)), atol=2e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: random.key(2**64),
        lambda: random.key(-(2**63) - 1),
        lambda: random.key(nx.tensor(1.5)),
        lambda: random.key(nx.tensor([1, 2])),
        lambda: random.fold_in(random.key(0), 2**32),
        lambda: random.fold_in(random.key(0), nx.tensor(1.5)),
        lambda: random.randint(random.key(0), 3, 0.5, 2),
        lambda: random.randint(random.key(0), 3, nx.tensor(0.5), 2),
    ],
)
def test_seeds_and_bounds_are_integers_that_fit(make):
    with pytest.raises((ValueError, DTypeError), match=r"(key|fold_in|randint): expected"):
        make()


def test_a_probability_keeps_its_dtype_in_a_trace():
    draw = lambda key: random.bernoulli(key, np.float64(0.3), (8,))  # noqa: E731
    same(jit(draw)(random.key(0)), draw(random.key(0)).numpy())


def test_errors():
    with pytest.raises(ShapeError, match="key uint32"):
        random.uniform(nx.tensor([1, 2]))
    with pytest.raises(DTypeError, match="unsigned"):
        random.bits(random.key(0), (), "int32")
    with pytest.raises(DTypeError, match="floating"):
        random.normal(random.key(0), (), "int32")
    with pytest.raises(DTypeError, match="uint64 words"):
        nx.threefry2x32(nx.tensor(1), nx.tensor(2))
