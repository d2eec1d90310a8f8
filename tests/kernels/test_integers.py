"""Integer semantics against Python's unbounded integers: every pair of 8-bit values, and the edges of wider types."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from .tiles import tile

DTYPES = [np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)]


def pairs(dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    info = np.iinfo(dtype)
    if info.bits == 8:
        values = np.arange(info.min, info.max + 1).astype(dtype)
    else:
        edges = {
            0,
            1,
            2,
            3,
            5,
            7,
            31,
            32,
            63,
            64,
            100,
            info.bits - 1,
            info.bits,
            *(info.max - k for k in range(3)),
            *(info.min + k for k in range(3)),
            info.max // 2,
            info.max // 3,
        }
        edges |= {-v for v in edges if info.min <= -v <= info.max}
        random = np.random.default_rng(0).integers(info.min, info.max, 60, dtype=dtype, endpoint=True)
        values = np.unique(np.concatenate([np.array(sorted(edges), dtype), random]))
    a, b = np.meshgrid(values, values)
    return a.ravel(), b.ravel()


def shift_left(x: int, n: int, bits: int) -> int:
    return x << n if 0 <= n < bits else 0


def shift_right(x: int, n: int, bits: int) -> int:
    return x >> n if 0 <= n < bits else -1 if x < 0 else 0


def power(x: int, n: int, bits: int) -> int:
    if n < 0:
        return 1 if x == 1 else (-1 if n % 2 else 1) if x == -1 else 0
    return pow(x, n, 2**bits)


BINARY: dict[str, Callable[[int, int, int], int | bool]] = {
    "add": lambda x, y, _: x + y,
    "subtract": lambda x, y, _: x - y,
    "multiply": lambda x, y, _: x * y,
    "floor_divide": lambda x, y, _: x // y if y else 0,
    "remainder": lambda x, y, _: x % y if y else 0,
    "pow": power,
    "bitwise_and": lambda x, y, _: x & y,
    "bitwise_or": lambda x, y, _: x | y,
    "bitwise_xor": lambda x, y, _: x ^ y,
    "bitwise_left_shift": shift_left,
    "bitwise_right_shift": shift_right,
    "maximum": lambda x, y, _: max(x, y),
    "minimum": lambda x, y, _: min(x, y),
    "equal": lambda x, y, _: x == y,
    "not_equal": lambda x, y, _: x != y,
    "less": lambda x, y, _: x < y,
    "less_equal": lambda x, y, _: x <= y,
    "greater": lambda x, y, _: x > y,
    "greater_equal": lambda x, y, _: x >= y,
}
UNARY: dict[str, Callable[[int, int], int]] = {
    "negative": lambda x, _: -x,
    "positive": lambda x, _: x,
    "abs": lambda x, _: abs(x),
    "sign": lambda x, _: (x > 0) - (x < 0),
    "square": lambda x, _: x * x,
    "bitwise_invert": lambda x, _: ~x,
    "population_count": lambda x, bits: (x % 2**bits).bit_count(),
    "count_leading_zeros": lambda x, bits: bits - (x % 2**bits).bit_length(),
}


def wrapped(values: list[int], dtype: np.dtype) -> np.ndarray:
    bits = np.iinfo(dtype).bits
    return np.array([v % 2**bits for v in values], np.dtype(f"uint{bits}")).view(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_binary(name: str, dtype: np.dtype) -> None:
    x, y = pairs(dtype)
    want = [BINARY[name](a, b, 8 * dtype.itemsize) for a, b in zip(x.tolist(), y.tolist())]
    got = tile(name, dtype, dtype)(x, y)
    if got.dtype == np.bool_:
        assert np.array_equal(got, want)
    else:
        assert np.array_equal(got, wrapped([int(v) for v in want], dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str, dtype: np.dtype) -> None:
    x = np.unique(pairs(dtype)[0])
    want = [UNARY[name](a, 8 * dtype.itemsize) for a in x.tolist()]
    assert np.array_equal(tile(name, dtype)(x), wrapped(want, dtype))


@pytest.mark.parametrize("dtype", [*DTYPES, np.dtype(bool), np.dtype("float32"), np.dtype("float64")], ids=str)
def test_where(dtype: np.dtype) -> None:
    rng = np.random.default_rng(0)
    mask, a, b = rng.integers(0, 2, 99) > 0, rng.integers(0, 2, 99).astype(dtype), np.full(99, 1, dtype)
    assert np.array_equal(tile("where", "bool", dtype, dtype)(mask, a, b), np.where(mask, a, b))


def test_logic() -> None:
    a, b = (np.array(column) for column in zip(*itertools.product([False, True], repeat=2)))
    for name in (
        "logical_and",
        "logical_or",
        "logical_xor",
        "bitwise_and",
        "bitwise_or",
        "bitwise_xor",
        "equal",
        "not_equal",
    ):
        assert np.array_equal(tile(name, "bool", "bool")(a, b), getattr(np, name)(a, b)), name
    for name in ("logical_not", "bitwise_invert"):
        assert np.array_equal(tile(name, "bool")(a), ~a), name
