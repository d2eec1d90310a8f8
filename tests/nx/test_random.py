"""Random numbers: keys, bits and what is exactly made of them are JAX's; the bits of our own draws are pinned."""

import functools
import hashlib
import math

import jax
import numpy as np
import pytest
from axon import nx
from axon.defn import grad, jit

random = nx.random
SEEDS = [0, 42, 123456789, 2**32 - 1]
SHAPES = [(), (5,), (3, 4), (0,)]
FLOATS = ["float16", "bfloat16", "float32", "float64"]
HALVES = FLOATS[:2]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
COMPILERS = {"eager": lambda f: f, "native": jit, "evaluate": lambda f: jit(f, compiler="evaluate")}


def same(ours, theirs):
    np.testing.assert_array_equal(ours.numpy().astype(float), np.asarray(theirs).astype(float))


# Keys and bits


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


@pytest.mark.parametrize("number", [np.int8(5), np.uint64(5), np.array(5), nx.tensor(5, "int8"), nx.tensor(5, "int64")])
def test_integers_of_all_kinds_are_the_same_seed_and_data(number):
    same(random.key(number), random.key(5))
    same(random.fold_in(random.key(0), number), random.fold_in(random.key(0), 5))
    assert random.key(np.uint64(2**64 - 1)).tolist() == random.key(-1).tolist() == [2**32 - 1] * 2


@pytest.mark.parametrize("wide", ["int32", "int64"])
def test_negative_data_are_counted_from_the_end(wide):
    want = random.fold_in(random.key(0), 2**32 - 3)
    same(random.fold_in(random.key(0), -3), want)
    same(random.fold_in(random.key(0), nx.tensor(-3, wide)), want)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64"])
def test_bits(shape, dtype):
    with jax.enable_x64(True):
        same(random.bits(random.key(3), shape, dtype), jax.random.bits(jax.random.PRNGKey(3), shape, dtype))


# The bits of draws: the first 12 digits of the SHA-256 of 1000 numbers

DRAWS = {
    "uniform": lambda key, n, dtype: random.uniform(key, n, dtype),
    "uniform of bounds": lambda key, n, dtype: random.uniform(key, n, dtype, -3.3, 7.7),
    "normal": lambda key, n, dtype: random.normal(key, n, dtype),
    "truncated_normal": lambda key, n, dtype: random.truncated_normal(key, -2.0, 1.0, n, dtype),
    "truncated_normal in a tail": lambda key, n, dtype: random.truncated_normal(key, 3.0, 4.0, n, dtype),
    "bernoulli": lambda key, n, dtype: random.bernoulli(key, nx.tensor(0.3, dtype), n),
    "randint": lambda key, n, dtype: random.randint(key, n, -3 if dtype[0] == "i" else 0, 100, dtype),
}
PINNED = {
    ("uniform", "float16"): "61ff357ec964",
    ("uniform", "bfloat16"): "85767daef523",
    ("uniform", "float32"): "e6427b1e9871",
    ("uniform", "float64"): "7e4814651244",
    ("uniform of bounds", "float16"): "82f07a684488",
    ("uniform of bounds", "bfloat16"): "4282ea261807",
    ("uniform of bounds", "float32"): "67cf4d70e0df",
    ("uniform of bounds", "float64"): "16ba4934dc30",
    ("normal", "float16"): "70f3ba5bb025",
    ("normal", "bfloat16"): "45757d62425d",
    ("normal", "float32"): "ae6f07024247",
    ("truncated_normal", "float16"): "9760a44a6832",
    ("truncated_normal", "bfloat16"): "f6e8ca0483d1",
    ("truncated_normal", "float32"): "fd48917d31fb",
    ("truncated_normal in a tail", "float16"): "2f3458b13c20",
    ("truncated_normal in a tail", "bfloat16"): "513bcdb0645b",
    ("truncated_normal in a tail", "float32"): "d09c5d75a67c",
    ("bernoulli", "float16"): "b057cbc41b94",
    ("bernoulli", "bfloat16"): "ea28ffe5edcf",
    ("bernoulli", "float32"): "b057cbc41b94",
    ("bernoulli", "float64"): "b057cbc41b94",
    ("randint", "int8"): "1ea9dc50cb27",
    ("randint", "int16"): "88be793c83b5",
    ("randint", "int32"): "376cdd28ad3b",
    ("randint", "int64"): "448f7aa0c7fb",
    ("randint", "uint8"): "5da890f2e8a5",
    ("randint", "uint16"): "4117d80fa4fa",
    ("randint", "uint32"): "684ebe7223b3",
    ("randint", "uint64"): "8e4264250cfc",
}


def digest(draw, dtype, compiler):
    made = COMPILERS[compiler](lambda key: draw(key, 1000, dtype))(random.key(3))
    return hashlib.sha256(made.numpy().tobytes()).hexdigest()[:12]


@pytest.mark.parametrize("name, dtype", PINNED)
def test_bits_are_pinned(name, dtype):
    exact = not name.endswith(("normal", "tail"))  # else of functions that eager rules round otherwise
    for compiler in COMPILERS if exact else ["native"]:
        assert digest(DRAWS[name], dtype, compiler) == PINNED[name, dtype], compiler


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", [n for n in DRAWS if "normal" in n])
def test_normal_numbers_are_within_4_ulp_in_every_compiler(name, dtype):
    found = [run(lambda key: DRAWS[name](key, 1000, dtype))(random.key(3)).numpy() for run in COMPILERS.values()]
    found = [x.astype(float) for x in found]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=4 * nx.finfo(dtype).eps, atol=1e-9)


# Uniform numbers


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform(shape, dtype):
    with jax.enable_x64(True):
        key, theirs = random.key(3), jax.random.PRNGKey(3)
        same(random.uniform(key, shape, dtype), jax.random.uniform(theirs, shape, dtype))
        bounds = {"minval": -3.3, "maxval": 7.7}
        theirs = jax.random.uniform(theirs, shape, dtype, **bounds)
    ours = random.uniform(key, shape, dtype, **bounds)  # JAX's rounds once or twice, as the CPU can
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=8 * nx.finfo(dtype).eps)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("dtype", HALVES)
def test_halves_are_float32_numbers_rounded_once(dtype, compiler):
    key = random.key(5)
    for draw in (
        lambda key, n, dtype: random.normal(key, n, dtype),
        lambda key, n, dtype: random.truncated_normal(key, -1.0, 2.0, n, dtype),
        lambda key, n, dtype: random.truncated_normal(key, 2.0, 3.0, n, dtype),
        lambda key, n, dtype: random.uniform(key, n, dtype, -1.0, 3.0),  # 3.0 is out of reach here
    ):
        half, full = (COMPILERS[compiler](functools.partial(draw, n=300, dtype=d))(key) for d in (dtype, "float32"))
        same(half, full.astype(dtype).numpy())


ENDS = [
    (1000.0, 1001.0),
    (-1001.0, -1000.0),
    (1.0, 1 + 2 * 2.0**-23),
    (1e6, 1e6 + 1),
    (10.0, 11.0),
    (0.0, 1.0),
    (-1.0, 0.0),
    (-1e-45, 0.0),
    (0.0, 3e-45),
    (-2.0 - 2.0**-22, -2.0),
    (60000.0, 65504.0),
    (7.0, 7.0),
    (1000.0, 1000.01),
]


@pytest.mark.parametrize("dtype", FLOATS)
def test_uniform_never_reaches_maxval(dtype):
    draw = jit(lambda key, low, high: random.uniform(key, 200_000, dtype, low, high))
    for low, high in ENDS:
        if high <= nx.finfo(dtype).max:
            least, end = nx.tensor(low, dtype), nx.tensor(high, dtype)
            x = draw(random.key(0), least, end).numpy()
            assert (x >= least.numpy()).all() and ((x < end.numpy()) | (least == end).numpy()).all(), (low, high)
            same(random.uniform(random.key(0), 2000, dtype, low, high), x[:2000])


def test_uniform_takes_all_values_of_a_short_interval():
    x = jit(lambda key: random.uniform(key, 100_000, minval=1.0, maxval=1 + 2.0**-21))(random.key(0)).numpy()
    values, counts = np.unique(x, return_counts=True)
    assert ((values - 1) * 2**23).tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(counts / x.size, np.array([1, 2, 2, 3]) / 8, atol=0.01)  # the nearest of each number


def test_gradients_of_bounds():
    u = random.uniform(random.key(1), 1000).numpy().astype(float)
    for dtype in ("float32", "bfloat16"):
        for run in COMPILERS.values():
            draw = functools.partial(random.uniform, random.key(1), 1000, dtype)
            slopes = run(grad(lambda low, high, draw=draw: nx.sum(draw(low, high)), (0, 1)))
            found = slopes(nx.tensor(-2.0), nx.tensor(3.0))
            np.testing.assert_allclose([g.item() for g in found], [(1 - u).sum(), u.sum()], rtol=1e-2)


# Integers

BOUNDS = [(0, 10), (-5, 7), (0, 256), (-(2**31), 2**31), (-7, 2**16 - 7), (0, 2**20)]


@pytest.mark.parametrize("low, high", BOUNDS)
def test_randint(low, high):
    key, theirs = random.key(9), jax.random.PRNGKey(9)
    with jax.enable_x64(True):
        want = jax.random.randint(theirs, (50,), low, high, "int32")
    same(random.randint(key, 50, low, high), want)
    same(random.randint(key, 50, nx.tensor(low, "int64"), nx.tensor(high, "int64")), want)


def words(key, n, bits):
    """The random words that n integers are made of."""
    parts = [random.bits(k, n, f"uint{bits // 2}").tolist() for k in (random.split(key)[0], random.split(key)[1])]
    return [high << bits // 2 | low for high, low in zip(*parts)]


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_randint_is_the_remainder_of_a_long_word(dtype, compiler):
    least, end = nx.iinfo(dtype).min, nx.iinfo(dtype).max + 1
    pairs = [(least, end), (least, end - 1), (0, end), (0, 97), (least, 3), (end // 3, end - 1), (1, 2)]
    pairs += [(0, 2**k - j) for k in (17, 31, 33, 47, 62, 63) for j in (-1, 0, 1, 2**15 + 3) if 2**k - j <= end]
    drawn = words(random.key(4), 100, 128 if nx.dtype(dtype).itemsize == 8 else 64)
    run = COMPILERS[compiler](lambda key, low, high: random.randint(key, 100, low, high, dtype))
    for low, high in pairs:
        if high <= nx.iinfo(dtype).max:
            found = run(random.key(4), nx.tensor(low, dtype), nx.tensor(high, dtype))
        else:
            found = COMPILERS[compiler](lambda key: random.randint(key, 100, low, high, dtype))(random.key(4))  # noqa: B023
        assert found.tolist() == [low + w % (high - low) for w in drawn], (low, high)


@pytest.mark.parametrize(
    "dtype, span",
    [("int32", 3 * 2**29), ("int32", 10**9), ("uint32", 3 * 2**30), ("int64", 3 * 2**61), ("uint64", 3 * 2**62)],
)
def test_randint_is_even(dtype, span):
    x = jit(lambda key: random.randint(key, 600_000, 0, span, dtype))(random.key(0)).numpy()
    found = np.histogram(x.astype(float), bins=12, range=(0.0, float(span)))[0] / x.size
    np.testing.assert_allclose(found, 1 / 12, atol=5 * math.sqrt(1 / 12 / x.size))


def test_bounds_beyond_the_dtype_are_its_ends():
    want = random.randint(random.key(0), 200, 250, 256, "uint8")
    assert set(want.tolist()) == set(range(250, 256))
    for end in (1000, 2**80, np.int64(1000), nx.tensor(1000)):
        same(random.randint(random.key(0), 200, 250, end, "uint8"), want)


def test_between_tensors_that_leave_nothing_is_the_lower():
    for low, high in ((3, 3), (5, 2)):
        assert random.randint(random.key(0), 3, nx.tensor(low), nx.tensor(high)).tolist() == [low] * 3


# Events


def test_bernoulli():
    p = np.array([0.1, 0.5, 0.9], dtype=np.float32)
    same(random.bernoulli(random.key(1), 0.3, (4, 5)), jax.random.bernoulli(jax.random.PRNGKey(1), 0.3, (4, 5)))
    assert random.bernoulli(random.key(1), 1, 4).tolist() == [True] * 4
    assert random.bernoulli(random.key(1), 0, 4).tolist() == [False] * 4
    same(random.bernoulli(random.key(1), nx.asarray(p)), jax.random.bernoulli(jax.random.PRNGKey(1), p))
    odd = nx.tensor([math.nan, -1.0, 2.0, math.inf])
    assert random.bernoulli(random.key(1), odd).tolist() == [False, False, True, True]


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_bernoulli_compares_64_bits(dtype, compiler):
    n, key = 20_000, random.key(6)
    halves = [(int(w) >> 32, int(w) & (2**32 - 1)) for w in random.bits(key, n, "uint64").numpy()]
    u = [((high ^ low) << 32 | low) / 2**64 for high, low in halves]
    draw = COMPILERS[compiler](lambda key, chance: random.bernoulli(key, chance, n))
    for p in (0.001, 0.3, *(min(u) * (1 + by) for by in (-0.01, 0.01)), 1 - 0.9 * (1 - max(u)), 2.0**-14):
        chance = nx.tensor(p, dtype)
        assert draw(key, chance).tolist() == [v < chance.item() for v in u], p


def test_bernoulli_of_tiny_probabilities():
    count = jit(lambda key, p: nx.sum(random.bernoulli(key, p, 30_000_000)))
    for p in (0.0, 1e-20, 1e-8, 1e-7, 1e-6, 2.0**-14):
        mean = 30e6 * p
        assert abs(count(random.key(1), nx.tensor(p)).item() - mean) <= 3 * math.sqrt(mean) + 1, p


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_probability_that_is_no_tensor_is_not_rounded(compiler):
    key = random.key(0)
    word = int(random.bits(key, 100, "uint64").numpy()[0])
    first = ((word >> 32 ^ word & (2**32 - 1)) << 32 | word & (2**32 - 1)) / 2**64
    for p, want in ((first * (1 + 1e-12), True), (first * (1 - 1e-12), False)):
        for given in (p, np.float64(p), [p]):
            draw = COMPILERS[compiler](lambda key, given=given: random.bernoulli(key, given, 100))
            assert draw(key)[0].item() is want


# Arguments


@pytest.mark.parametrize("shape", [3, np.int64(3), (3,), [np.int32(3)], np.array([3]), (0,), (2, 0), ()])
def test_shapes(shape):
    want, key = tuple(np.atleast_1d(np.asarray(shape, int)).tolist()), random.key(0)
    for draw in (
        random.bits,
        random.uniform,
        random.normal,
        lambda key, shape: random.bernoulli(key, 0.5, shape),
        lambda key, shape: random.randint(key, shape, 0, 9),
        lambda key, shape: random.randint(key, shape, 0, 9, "int64"),
        lambda key, shape: random.truncated_normal(key, 0, 1, shape),
        lambda key, shape: random.truncated_normal(key, 3, 4, shape),
    ):
        assert draw(key, shape).shape == want and jit(lambda key: draw(key, shape))(key).shape == want  # noqa: B023
    assert random.split(key, shape).shape == (*want, 2)


def test_bounds_and_probabilities_broadcast_to_the_shape():
    low = nx.tensor([[0.0], [10.0]])
    x = random.uniform(random.key(0), (2, 3), minval=low, maxval=low + 1)
    np.testing.assert_allclose(x.numpy(), (random.uniform(random.key(0), (2, 3)) + low).numpy(), atol=1e-6)
    same(random.bernoulli(random.key(0), low / 10, (2, 3)), [[False] * 3, [True] * 3])
    assert (random.randint(random.key(0), (3, 2), nx.tensor([0, 7]), nx.tensor([1, 8])).numpy() == [0, 7]).all()
