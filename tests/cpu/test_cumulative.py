"""Running combinations against their order written in NumPy, bit by bit: every dtype, either direction, odd tails, any
number of threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from axon import _core
from axon.compiler.library.cumulative import OPERATIONS

from .steps import CODES, Step, close, dtype, numbers, raw

SEGMENT, BLOCK = 16, 1024  # what docs/design/reductions.md says
ROWS = [(1, 1), (3, 16), (11, 5), (9, 17), (2, 1023), (1, 1024), (3, 1025), (1, 5000), (40, 2100), (1, 700_001)]
COLUMNS = [(2, 33, 5), (1, 40, 1300), (1, 3000, 3), (17, 1, 2)]
SHAPES = [(o, n, 1) for o, n in ROWS] + COLUMNS
NUMPY = {
    "add": np.add,
    "multiply": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "logaddexp": np.logaddexp,
}
FLOATS = ["float16", "bfloat16", "float32", "float64"]


@pytest.fixture
def at_threads() -> Iterator[None]:
    before = _core.threads()
    yield
    _core.set_threads(before)


def cumulative(x: np.ndarray, name: str, reverse: bool = False) -> np.ndarray:
    codes = [c.name for c in OPERATIONS]
    ints = [CODES[x.dtype.name], codes.index(name), *x.shape, int(reverse)]
    return Step("cumulative", ints, [raw(x).size], x.shape, x.dtype.name)(x)


def joined(f: np.ufunc, y: np.ndarray, size: int) -> np.ndarray:
    """Parts of a row, each accumulated, as one: from the second on each element after what was before its part."""
    before = None
    for k in range(0, len(y), size):
        part = y[k : k + size]
        if before is not None:
            part[:] = f(before, part)
        before = part[-1]
    return y


def in_order(f: np.ufunc, x: np.ndarray) -> np.ndarray:
    """Along axis 1: columns one element after the other; of a row segments, those of a block, and blocks."""
    if x.shape[2] > 1:
        return f.accumulate(x, axis=1, dtype=x.dtype)
    rows = []
    for row in x[:, :, 0]:
        row = np.concatenate([f.accumulate(row[k : k + SEGMENT], dtype=x.dtype) for k in range(0, len(row), SEGMENT)])
        blocks = [joined(f, row[k : k + BLOCK], SEGMENT) for k in range(0, len(row), BLOCK)]
        rows.append(joined(f, np.concatenate(blocks), BLOCK))
    return np.stack(rows)[:, :, None]


def expected(x: np.ndarray, name: str, reverse: bool) -> np.ndarray:
    wide = x.astype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind in "fV" else x
    with np.errstate(all="ignore"):
        made = in_order(NUMPY[name], wide[:, ::-1] if reverse else wide)
        return (made[:, ::-1] if reverse else made).astype(x.dtype)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", ["add", "multiply", "maximum", "minimum"])
@pytest.mark.parametrize("given", [*FLOATS, "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_the_order(given: str, name: str, reverse: bool) -> None:
    rng = np.random.default_rng(0)
    for shape in SHAPES if given in ("float32", "int8") else SHAPES[:6] + COLUMNS[:1]:
        x = numbers(rng, shape, given)
        if name == "multiply" and given in FLOATS:
            x = (1 + x.astype(np.float32) / 64).astype(dtype(given))
        got, want = cumulative(x, name, reverse), expected(x, name, reverse)
        np.testing.assert_array_equal(got, want, err_msg=str(shape))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("given", FLOATS)
def test_sums_of_exponentials(given: str, reverse: bool) -> None:
    rng = np.random.default_rng(0)
    for shape in [s for s in SHAPES if np.prod(s) < 100_000]:
        x = (20 * numbers(rng, shape, "float32")).astype(dtype(given))
        close(cumulative(x, "logaddexp", reverse), expected(x.astype(np.float64), "logaddexp", reverse), given, 4)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", NUMPY)
def test_the_same_bits_at_any_number_of_threads(name: str, reverse: bool, at_threads: None) -> None:
    rng = np.random.default_rng(0)
    shapes = [(1, 80_000, 1), (2, 40_001, 1), (50, 2000, 1), (9000, 11, 1), (1, 100, 700), (3, 500, 40)]
    for shape in shapes:
        x = numbers(rng, shape, "float32") / 8
        made = []
        for threads in (1, 2, 3):
            _core.set_threads(threads)
            made.append(cumulative(x, name, reverse))
        for other in made[1:]:
            np.testing.assert_array_equal(made[0].view(np.uint32), other.view(np.uint32), err_msg=str(shape))


@pytest.mark.parametrize("given", ["int32", "int64", "int16"])
def test_results_that_no_cache_holds(given: str) -> None:
    x = numbers(np.random.default_rng(0), (1, (16 << 20) // np.dtype(given).itemsize + 5000, 1), given)
    for reverse in (False, True):
        got = cumulative(x, "add", reverse)[0, :, 0]
        want = np.cumsum(x[0, ::-1, 0] if reverse else x[0, :, 0], dtype=given)
        np.testing.assert_array_equal(got[::-1] if reverse else got, want)


@pytest.mark.parametrize("inner", [1, 3])
def test_sums_of_numbers_from_zero_on_never_fall(inner: int) -> None:
    x = np.abs(numbers(np.random.default_rng(0), (1, 9000, inner), "float32"))
    x[:, ::3] = 0
    for reverse in (False, True):
        made = cumulative(x, "add", reverse)
        steps = np.diff(made[:, ::-1] if reverse else made, axis=1)
        assert (steps >= 0).all()
        assert (steps[(np.roll(x[:, ::-1], -1, 1) if reverse else np.roll(x, -1, 1))[:, :-1] == 0] == 0).all()


@pytest.mark.parametrize("name", ["maximum", "minimum", "add", "logaddexp"])
def test_nan_stays(name: str) -> None:
    for shape in [(1, 3000, 1), (1, 12, 1), (1, 30, 4)]:
        x = np.zeros(shape, np.float32)
        x[0, 9] = np.nan
        found = np.all(np.isnan(cumulative(x, name)), axis=2)
        np.testing.assert_array_equal(found[0], np.arange(shape[1]) >= 9)


def test_half_sums_are_rounded_once() -> None:
    x = np.ones((1, 4000, 1), np.float16)
    np.testing.assert_array_equal(cumulative(x, "add")[0, :, 0], np.arange(1, 4001).astype(np.float16))


@pytest.mark.parametrize("shape", [(0, 5, 1), (3, 0, 1), (2, 4, 0)])
def test_nothing(shape: Sequence[int]) -> None:
    assert cumulative(np.zeros(shape, np.float32), "add").shape == shape


GOOD = [CODES["float32"], 0, 2, 3, 4, 0]


@pytest.mark.parametrize(
    ("ints", "nbytes", "why"),
    [
        (GOOD[:-1], 96, "expected an int for reverse, got only 5 ints"),
        ([*GOOD, 0], 96, "expected 6 ints, got 7"),
        ([0, *GOOD[1:]], 96, "dtype of a number"),
        ([GOOD[0], 5, *GOOD[2:]], 96, "expected operation in 0..4, got 5"),
        ([CODES["int32"], 4, *GOOD[2:]], 96, "expected a floating dtype"),
        ([*GOOD[:3], 2**40, *GOOD[4:]], 96, "expected operand 0 of at least"),
        ([*GOOD[:5], 2], 96, "expected reverse in 0..1, got 2"),
        (GOOD, 92, "expected operand 0 of at least 96 bytes, got 92"),
    ],
)
def test_refusals(ints: list[int], nbytes: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Step("cumulative", ints, [nbytes], (24,), "float32")(np.zeros(nbytes, np.uint8))
