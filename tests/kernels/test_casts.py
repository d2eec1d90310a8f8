"""Casts between all dtypes: numpy's where those are defined, saturating from float to integer, NaN to 0."""

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from axon import nx

from .accuracy import all_floats
from .test_widths import WORDS
from .tiles import DTYPES, cast

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
INTEGERS = [d for d in DTYPES if d.kind in "iu"]
FLOATS = [d for d in DTYPES if d.kind not in "biu"]
HALVES = [np.dtype("float16"), BFLOAT16]
DIGITS = {"float16": (11, -13), "bfloat16": (8, -125), "float32": (24, -125)}  # mantissa bits, frexp's least exponent


def same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    words = WORDS[a.dtype.itemsize]
    equal = a.view(words) == b.view(words)
    return equal if a.dtype.kind in "biu" else equal | (np.isnan(a) & np.isnan(b))


def rounded(x: np.ndarray, target: np.dtype) -> np.ndarray:
    """Floats rounded once, in float64: NumPy goes to bfloat16 by way of float32."""
    digits, least = DIGITS[target.name]
    place = np.maximum(np.frexp(x.astype(np.float64))[1], least) - digits
    with np.errstate(over="ignore"):
        return np.ldexp(np.rint(np.ldexp(x.astype(np.float64), -place)), place).astype(target)


def nearest(values: list[int], target: np.dtype) -> np.ndarray:
    """Integers rounded once, as fractions."""
    cut = [max(v.bit_length() - DIGITS[target.name][0], 0) for v in values]
    with np.errstate(over="ignore"):
        return np.array([float(round(Fraction(v, 1 << c)) << c) for v, c in zip(values, cut)]).astype(target)


def middles(dtype: np.dtype) -> list[int]:
    """Integers at and beside the middle between two neighbours of a 16-bit float, of every size."""
    info = np.iinfo(dtype)
    found = [
        sign * ((digits << k) + (1 << k >> 1) + d)
        for k in range(1, 8 * dtype.itemsize - 8)
        for digits in (128, 171, 255, 1024, 1025, 2047)
        for sign in (1, -1)
        for d in (-1, 0, 1)
    ]
    return [v for v in found if info.min <= v <= info.max]


def name(dtype: np.dtype) -> str:
    return dtype.name


@pytest.mark.parametrize("half", HALVES, ids=name)
def test_every_16_bit_float_is_read_and_written_back(half: np.dtype) -> None:
    words = np.arange(1 << 16, dtype=np.uint16)
    wide = cast(half, np.dtype("float32"))(words.view(half))
    with np.errstate(invalid="ignore"):
        assert same(wide, words.view(half).astype(np.float32)).all()
    back = cast(np.dtype("float32"), half)(wide).view(np.uint16)
    quiet = np.where(np.isnan(wide), words | (0x200 if half == HALVES[0] else 0x40), words)
    assert np.array_equal(back, quiet)


@pytest.mark.parametrize("half", HALVES, ids=name)
@pytest.mark.parametrize("source", ["float32", "float64"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_rounding_to_16_bits_is_to_nearest_even(half: np.dtype, source: str) -> None:
    """Once: also from float64, where float32 in between would round twice."""
    grid = np.arange(1 << 16, dtype=np.uint16).view(half).astype(np.float64)
    grid = np.sort(grid[np.isfinite(grid)])
    middle = (grid[1:] + grid[:-1]) / 2
    x = np.concatenate(
        [grid, middle, middle * (1 + 1e-12), middle * (1 - 1e-12), all_floats(1 << 18).astype(np.float64)]
    )
    x = x.astype(source)
    assert same(cast(x.dtype, half)(x), rounded(x, half)).all()
    assert same(nx.asarray(x).astype(half.name).numpy(), rounded(x, half)).all()


@pytest.mark.parametrize("source", [d for d in DTYPES if d.kind in "biu"], ids=name)
def test_from_integers(source: np.dtype) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, 1 << 15, dtype=np.uint8).view(source) if source.kind != "b" else rng.integers(0, 2, 99) > 0
    if source.kind != "b":
        info = np.iinfo(source)
        edges = [info.min, info.max, 0, 1, info.max // 2 + 1, 2**24 + 1 & info.max, 2**53 + 1 & info.max]
        x = np.concatenate([x, np.array([*edges, *middles(source)], source)])
    for target in DTYPES:
        by_value = target.name in DIGITS and source.kind != "b"
        expected = nearest(x.tolist(), target) if by_value else x.astype(target)
        for lanes in (1, 8):
            assert same(cast(source, target, lanes)(x), expected).all(), (target, lanes)
        assert same(nx.asarray(x).astype(target.name).numpy(), expected).all(), target


@pytest.mark.parametrize("target", DIGITS)
def test_python_numbers_are_rounded_once(target: str) -> None:
    dtype = next(d for d in DTYPES if d.name == target)
    whole = [v for v in middles(np.dtype("uint64")) if abs(v) < 60000 or target != "float16"] + [2**60 + 2**36 + 1]
    floats = np.array([1 + 2**-8 + 2**-40, 1 + 2**-11 + 2**-40, 1e-40, -(2.0**-134) - 2.0**-160, 1e39, -1e300, -0.0])
    for values, expected in ((whole, nearest(whole, dtype)), (floats.tolist(), rounded(floats, dtype))):
        for made in (
            [nx.tensor(v, target).numpy() for v in values],
            [nx.full((), v, target).numpy() for v in values],
            nx.tensor(values, target).numpy(),
        ):
            assert same(np.array(made, dtype), expected).all()


@pytest.mark.parametrize("source", FLOATS, ids=name)
def test_to_integers_saturates(source: np.dtype) -> None:
    edges = [
        s * (2.0**k + d) for s in (1, -1) for k in (0, 7, 8, 15, 16, 31, 32, 63, 64) for d in (-1, -0.5, 0, 0.5, 1)
    ]
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.concatenate([all_floats(1 << 14), edges, [np.nan, np.inf, -np.inf]]).astype(source)
    for target in INTEGERS:
        low, high = np.iinfo(target.name).min, np.iinfo(target.name).max
        want = [
            0 if v != v else high if v == np.inf else low if v == -np.inf else min(max(int(v), low), high)
            for v in x.astype(np.float64).tolist()
        ]
        assert np.array_equal(cast(source, target)(x), np.array(want, target)), target
    assert np.array_equal(cast(source, np.dtype(bool))(x), x != 0)
