"""Casts between all dtypes: numpy's where those are defined, saturating from float to integer, NaN to 0."""

import ml_dtypes
import numpy as np
import pytest

from .accuracy import all_floats
from .test_widths import WORDS
from .tiles import DTYPES, cast

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
INTEGERS = [d for d in DTYPES if d.kind in "iu"]
FLOATS = [d for d in DTYPES if d.kind not in "biu"]
HALVES = [np.dtype("float16"), BFLOAT16]


def same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    words = WORDS[a.dtype.itemsize]
    equal = a.view(words) == b.view(words)
    return equal if a.dtype.kind in "biu" else equal | (np.isnan(a) & np.isnan(b))


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
    """Once: also from float64, where float32 in between would round twice (bfloat16 is defined to go through it)."""
    grid = np.arange(1 << 16, dtype=np.uint16).view(half).astype(np.float64)
    grid = np.sort(grid[np.isfinite(grid)])
    middle = (grid[1:] + grid[:-1]) / 2
    x = np.concatenate(
        [grid, middle, middle * (1 + 1e-12), middle * (1 - 1e-12), all_floats(1 << 18).astype(np.float64)]
    )
    x = x.astype(source)
    assert same(cast(x.dtype, half)(x), x.astype(half)).all()


@pytest.mark.parametrize("source", [d for d in DTYPES if d.kind in "biu"], ids=name)
def test_from_integers(source: np.dtype) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, 1 << 15, dtype=np.uint8).view(source) if source.kind != "b" else rng.integers(0, 2, 99) > 0
    if source.kind != "b":
        info = np.iinfo(source)
        edges = [info.min, info.max, 0, 1, info.max // 2 + 1, 2**24 + 1 & info.max, 2**53 + 1 & info.max]
        x = np.concatenate([x, np.array(edges, source)])
    for target in DTYPES:
        with np.errstate(over="ignore"):
            assert same(cast(source, target)(x), x.astype(target)).all(), target


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
