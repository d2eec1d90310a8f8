"""Steps of a user's own code: a kernel of one call, which reads dtypes and shapes where our kernels read sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...nx.core.tensor import TensorType
from .target import Target

SCRATCH = 256  # bytes for the text of an error


def encoded(
    native: Any,
    target: Target,
    places: Sequence[int],
    operands: Sequence[TensorType],
    results: Sequence[TensorType],
    label: str,
) -> tuple[Any, ...]:
    """A call of `native` (the `function` of a row of kind custom) over slots of memory, as the runtime reads it."""
    call = (list(places), ints(operands, results), [], native.count(operands))
    return "kernel", native.handle(target), [call], native.grain, SCRATCH, label


def ints(operands: Sequence[TensorType], results: Sequence[TensorType]) -> list[int]:
    """What a call reads beside memory, as custom.h says."""
    records = [(t.dtype.code, len(t.shape), *t.shape) for t in (*operands, *results)]
    starts, place = list[int](), 2 + len(records)
    for record in records:
        starts.append(place)
        place += len(record)
    return [len(operands), len(results), *starts, *(n for record in records for n in record)]
