"""What the machine can do at best, measured: the yardstick of a report."""

from __future__ import annotations

import functools
import time
from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

from ...dtypes import float32
from .target import Program

COPIED, SIDE = 128 << 20, 1024  # bytes, many times what caches hold; of a matrix


class Limits(NamedTuple):
    """Bytes a second to and from memory, by a copy; operations a second, by a product of large float32 matrices."""

    memory: float
    products: float

    def __str__(self) -> str:
        return f"{self.memory / 1e9:.0f} GB/s of memory, {self.products / 1e9:.0f} Gop/s in products"


@functools.cache
def limits() -> Limits:
    """Measured when first asked for, in about a fifth of a second."""
    matrix = SIDE * SIDE * float32.itemsize
    product = (float32.code, 1, SIDE, SIDE, SIDE, SIDE * SIDE, SIDE, 1, SIDE * SIDE, SIDE, 1, 0)
    copied = fastest("copy", [COPIED], COPIED, (1, 1, COPIED, 0, 1, 0, 1))
    return Limits(2 * COPIED / copied, 2 * SIDE**3 / fastest("gemm", [matrix, matrix], matrix, product))


def fastest(symbol: str, sizes: Sequence[int], result: int, ints: Sequence[int]) -> float:
    """Seconds of a library step over ones, the fastest of five runs."""
    slots: list[tuple[Any, ...]] = [*(("input", k, 0, n) for k, n in enumerate(sizes)), ("output", 0, -1, result)]
    step = ("library", symbol, [*range(len(slots))], ints, (), symbol)
    program = Program(slots, [step], 0, len(sizes), 1)
    data = tuple(array("f", [1.0]) * (n // 4) for n in sizes)  # written: fresh zeros are one page, which stays in cache
    seconds = []
    for _ in range(6):  # the first makes the memory
        start = time.perf_counter()
        program(data)
        seconds.append(time.perf_counter() - start)
    return min(seconds)
