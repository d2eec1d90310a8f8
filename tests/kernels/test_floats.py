"""Float arithmetic that must be exact: numpy's bits for each op, in float32 and float64."""

import itertools

import numpy as np
import pytest

from .accuracy import all_floats
from .tiles import tile

SPECIAL = np.array(
    "0 -0 1 -1 2 -2 3 0.5 -0.5 1.5 2.5 -2.5 inf -inf nan 1e-45 -1e-45 1e-38 3e38 -3e38 4194304.5 8388609".split(),
    np.float64,
)
UNARY = "negative positive abs sign square reciprocal sqrt floor ceil trunc round isfinite isinf isnan signbit".split()
BINARY = (
    "add subtract gap multiply divide floor_divide remainder copysign nextafter equal not_equal less less_equal greater"
    " greater_equal maximum minimum".split()
)
OWN = {"abs": np.absolute, "round": np.rint, "gap": lambda a, b: np.where(a == b, 0, a - b)}
LIBRARY = (
    "exp exp2 expm1 log log1p log2 log10 sin cos tan sinh cosh tanh arcsin arccos arctan arcsinh arccosh arctanh"
    " cbrt".split()
)


def values(dtype: str, seed: int) -> np.ndarray:
    """Any bits at all, and values whose quotients and sums mean something."""
    rng = np.random.default_rng(seed)
    bits = (
        rng.permutation(all_floats(1 << 16, seed))
        if dtype == "float32"
        else rng.integers(0, 2**64, 1 << 16, dtype=np.uint64).view(np.float64)
    )
    near = np.concatenate(
        [rng.uniform(-30, 30, 1 << 16), rng.integers(-20, 20, 1 << 16), rng.uniform(-1e9, 1e9, 1 << 12)]
    )
    return np.concatenate([bits, near.astype(dtype)])


def same(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    if got.dtype == np.bool_:
        return got == want
    return ((got == want) & (np.signbit(got) == np.signbit(want))) | (np.isnan(got) & np.isnan(want))


def check(name: str, *args: np.ndarray) -> None:
    reference = OWN.get(name) or getattr(np, name)
    with np.errstate(all="ignore"):
        want = reference(*args)
    got = tile(name, *(a.dtype for a in args))(*args)
    ok = same(got, want)
    if name in ("maximum", "minimum"):  # which of two zeros is not said
        ok |= (args[0] == 0) & (args[1] == 0) & (got == 0)
    bad = np.nonzero(~ok)[0]
    assert not bad.size, [(tuple(a[i] for a in args), got[i], want[i]) for i in bad[:5]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str, dtype: str) -> None:
    check(name, np.concatenate([values(dtype, 0), SPECIAL.astype(dtype)]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BINARY)
def test_binary(name: str, dtype: str) -> None:
    check(name, values(dtype, 0), np.random.default_rng(5).permutation(values(dtype, 1)))
    check(name, values(dtype, 0), values(dtype, 1))
    a, b = (np.array(column, dtype) for column in zip(*itertools.product(SPECIAL, SPECIAL)))
    check(name, a, b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fma_rounds_once(dtype: str) -> None:
    step = np.array([np.finfo(dtype).eps], dtype)
    a, b = 1 + step, 1 - step
    assert tile("fma", dtype, dtype, dtype)(a, b, -np.ones(1, dtype))[0] == -step[0] * step[0]


def test_bits() -> None:
    for dtype, word in (("float32", "uint32"), ("float64", "uint64")):
        x = values(dtype, 3)
        assert np.array_equal(tile("bits", dtype)(x), x.view(word))
        assert np.array_equal(tile("from_bits", word)(x.view(word)).view(word), x.view(word))


@pytest.mark.parametrize("name", LIBRARY)
def test_float64_transcendentals_are_the_c_library_s(name: str) -> None:
    x = values("float64", 7)
    with np.errstate(all="ignore"):
        want = getattr(np, name)(x)
    np.testing.assert_allclose(tile(name.replace("arc", "a"), "float64")(x), want, rtol=1e-14, atol=0)
