"""What the machine can do at best, measured: the yardstick of a report."""

from __future__ import annotations

import functools
import time
from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

from ...dtypes import float32
from ..library.copies import whole_copy
from ..library.products import GEMM, Product
from ..library.step import LibraryStep
from .target import Target

COPIED, SIDE = 128 << 20, 1024  # bytes, many times what caches hold; of a matrix


class Limits(NamedTuple):
    """Bytes a second to and from memory, by a copy; operations a second, by a product of large float32 matrices."""

    memory: float
    products: float

    def __str__(self) -> str:
        return f"{self.memory / 1e9:.0f} GB/s of memory, {self.products / 1e9:.0f} Gop/s in products"


@functools.cache
def limits(target: Target) -> Limits:
    """A target's, measured when first asked for, in about a fifth of a second."""
    matrix = SIDE * SIDE * float32.itemsize
    product = Product(float32.code, 1, SIDE, SIDE, SIDE, SIDE * SIDE, SIDE, 1, SIDE * SIDE, SIDE, 1)
    copied = fastest(target, whole_copy(0, 1, COPIED, "copy"), [COPIED, COPIED])
    multiplied = fastest(target, LibraryStep(GEMM.symbol, (0, 1, 2), product, "gemm"), [matrix] * 3)
    return Limits(2 * COPIED / copied, GEMM.work(product) / multiplied)


def fastest(target: Target, step: LibraryStep, sizes: Sequence[int]) -> float:
    """Seconds of a library step over ones, in slots of these bytes, the last its result; the fastest of five runs."""
    *given, result = sizes
    slots: list[tuple[Any, ...]] = [*(("input", k, 0, n) for k, n in enumerate(given)), ("output", 0, -1, result)]
    steps = [("library", step.symbol, [*step.memory], step.ints, (), step.label)]
    program = target.program(slots, steps, 0, len(given), 1, "limits")
    data = tuple(array("f", [1.0]) * (n // 4) for n in given)  # written: fresh zeros are one page, which stays in cache
    seconds = []
    for _ in range(6):  # the first makes the memory
        start = time.perf_counter()
        program(data)
        seconds.append(time.perf_counter() - start)
    return min(seconds)
