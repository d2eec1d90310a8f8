"""How a kernel's reductions combine: the ops that carry an index with the value, and what each op starts from."""

from __future__ import annotations

from ...dtypes import DType
from ...nx.core.op import TABLE

ARG = ("argmax", "argmin")


def identity(combine: str, dtype: DType) -> bool | int | float:
    """What combines with any x to x (argmax, argmin: as the value), from the reduction's row of the op table."""
    for op in TABLE.values():
        if op.combine == combine and op.identity is not None:
            return op.identity(dtype)
    raise KeyError(f"kernel: expected a combining op of some reduction row, got {combine!r}")
