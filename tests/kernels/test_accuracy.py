"""float32 scalars: errors in ulp over all floats, and every special value."""

import itertools

import numpy as np
import pytest

from .accuracy import BINARY, UNARY, error_in_ulp, samples, worst
from .tiles import tile

HUGE = np.finfo(np.float32).max
SPECIAL = np.array(
    "0 -0 1 -1 0.5 -0.5 2 -2 3 -3 1.5 -2.5 inf -inf nan 1e-45 -1e-45 1.1754944e-38 -1.1754944e-38 1e-20 -1e-20"
    " 3.4028235e38 -3.4028235e38 16777216 16777218 8388609 -8388609 16 -27 1000 88.72283 88.72284 -87.33655"
    " -103.27893 -103.97208 -103.97209 128 127.99999 -149 -150 -126.5 9 9.02 3.9 10.05 10.06 89.41598 89.416".split(),
    np.float32,
)


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_error(name: str) -> None:
    error, where = worst(name)
    assert error <= (UNARY.get(name) or BINARY[name])[1], f"{name}{where} is {error:.2f} ulp off"


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_special_values(name: str) -> None:
    reference, bound, _ = UNARY.get(name) or BINARY[name]
    arity = 1 if name in UNARY else 2
    args = [np.array(column) for column in zip(*itertools.product(SPECIAL, repeat=arity))]
    with np.errstate(all="ignore"):
        exact = reference(*(a.astype(np.float64) for a in args))
    got = tile(name, *["float32"] * arity)(*args)
    error = error_in_ulp(got, exact)
    known = ~np.isnan(exact)
    assert error.max() <= bound, [(tuple(a[i] for a in args), got[i], exact[i]) for i in np.nonzero(error > bound)[0]]
    assert (np.signbit(got) == np.signbit(exact))[known].all()


@pytest.mark.parametrize(
    "name", ["sinh", "tanh", "asinh", "atanh", "sin", "tan", "asin", "atan", "erf", "erf_inv", "cbrt", "expm1", "log1p"]
)
def test_denormals(name: str) -> None:
    x = np.concatenate([np.arange(1 << 12), np.linspace(1 << 12, 1 << 25, 1 << 16)]).astype(np.uint32).view(np.float32)
    for values in (x, -x):
        exact = UNARY[name][0](values.astype(np.float64))
        assert error_in_ulp(tile(name, "float32")(values), exact).max() <= 1.0


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_angles_next_to_multiples_of_half_pi(name: str) -> None:
    """Where cancellation is worst, and in the whole range of floats, beyond the fast reduction."""
    near = (np.arange(1, 1 << 20, 7) * (np.pi / 2)).astype(np.float32)
    wide = np.float32(2) ** np.random.default_rng(0).uniform(19.9, 128, 1 << 16).astype(np.float32)
    nearest_of_all = np.array([16367173 * 2.0**72], np.float32)  # to a multiple of pi/2, among floats
    x = np.concatenate([near, np.nextafter(near, np.float32(0)), np.nextafter(near, HUGE), wide, nearest_of_all])
    x = x[np.isfinite(x)]
    exact = UNARY[name][0](x.astype(np.float64))
    assert error_in_ulp(tile(name, "float32")(x), exact).max() <= 2.0


def test_huge_and_small_angles_in_one_vector_do_not_change_each_other() -> None:
    small = np.linspace(-3, 3, 64, dtype=np.float32)
    mixed = np.stack([small, np.full(64, 1e30, np.float32)], 1).ravel()
    for name in ("sin", "cos", "tan"):
        op = tile(name, "float32")
        assert np.array_equal(op(mixed)[::2], op(small)) and np.unique(op(mixed)[1::2]).size == 1


def test_exact_results() -> None:
    powers = np.float32(2) ** np.arange(-149, 128, dtype=np.float32)
    tens = np.float32(10) ** np.arange(0, 11, dtype=np.float32)
    cubes = np.arange(-200, 200, dtype=np.float32)
    assert np.array_equal(tile("log2", "float32")(powers), np.arange(-149, 128))
    assert np.array_equal(tile("exp2", "float32")(np.arange(-149, 128, dtype=np.float32)), powers)
    assert np.array_equal(tile("log10", "float32")(tens), np.arange(0, 11))
    assert np.array_equal(tile("cbrt", "float32")(cubes**3), cubes)
    squares = np.arange(-2000, 2000, dtype=np.float32)
    assert np.array_equal(tile("pow", "float32", "float32")(squares, np.full_like(squares, 2)), squares * squares)
    assert np.array_equal(tile("erfc", "float32")(np.zeros(1, np.float32)), [1])


def test_normal_deviates() -> None:
    """sqrt(2) erf_inv(u), as nx.random.normal forms it, is within 4 ulp for every u of 23 bits."""
    u = np.arange(-(2**22) + 1, 2**22, 5, dtype=np.float32) / np.float32(2**22)
    exact = np.sqrt(2) * UNARY["erf_inv"][0](u.astype(np.float64))
    got = np.float32(np.sqrt(2)) * tile("erf_inv", "float32")(u)
    assert error_in_ulp(got, exact).max() < 4


def test_logaddexp() -> None:
    a, b = samples("hypot", 1 << 16)[1]
    exact = np.logaddexp(a.astype(np.float64), b.astype(np.float64))
    assert np.abs(tile("logaddexp", "float32", "float32")(a, b) - exact).max() < 5e-7
    x, y = (np.array(column) for column in zip(*itertools.product(SPECIAL, SPECIAL)))
    with np.errstate(all="ignore"):
        exact = np.logaddexp(x.astype(np.float64), y.astype(np.float64)).astype(np.float32)
    np.testing.assert_allclose(tile("logaddexp", "float32", "float32")(x, y), exact, rtol=3e-7, atol=1e-7)


@pytest.mark.parametrize("name", ["erf_inv", "sigmoid", "logaddexp"])
def test_float64_functions_of_our_own(name: str) -> None:
    rng = np.random.default_rng(0)
    if name == "erf_inv":
        x = np.concatenate(
            [rng.uniform(-1, 1, 5000), 1 - 10.0 ** -rng.uniform(0, 15, 5000), [0, -0.0, 1, -1, 2, np.nan]]
        )
        np.testing.assert_allclose(tile(name, "float64")(x), UNARY[name][0](x), rtol=2e-15)
    elif name == "sigmoid":
        x = np.concatenate([rng.uniform(-750, 40, 5000), [0, np.inf, -np.inf, np.nan]])
        np.testing.assert_allclose(tile(name, "float64")(x), UNARY[name][0](x), rtol=1e-15)
    else:
        x, y = rng.normal(0, 30, (2, 5000))
        np.testing.assert_allclose(tile(name, "float64", "float64")(x, y), np.logaddexp(x, y), rtol=1e-14, atol=1e-15)
