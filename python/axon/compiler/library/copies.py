"""Strided copies: movements that are no index maps of a kernel, and whole values."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from ...dtypes import DType
from ...graph.expr import Node
from ...nx.core.op import Index
from ...nx.core.tensor import TensorType
from ..fusion.index import strides
from .step import Ints, Library, LibraryStep


def parts(node: Node) -> list[Ints]:
    """The ints of a movement's copies, one an operand."""
    assert node.op.index_map is not None
    types, out = [v.type for v in node.inputs], node.types[0]
    maps = node.op.index_map(types, out, **node.attrs)
    to = strides(out.shape)
    return [part(t, m, out, to) for t, m in zip(types, maps)]


def part(source: TensorType, index: Sequence[Index], result: TensorType, to: Sequence[int]) -> Ints:
    """The copy of one operand into the part of the result where its guards hold: itemsize, rank, sizes, then offset and
    strides of the source, and those of the target."""
    sizes, step, offset = list(result.shape), [0] * len(to), 0
    target, target_offset = list(to), 0
    for i, stride in zip(index, strides(source.shape)):
        offset += i.start * stride
        if i.axis is None:
            continue
        n = result.shape[i.axis]
        first = max(0, -(i.lo // i.div))
        last = -((i.lo - n) // i.div) if i.size is None else min(i.size, -((i.lo - n) // i.div))
        sizes[i.axis] = max(last - first, 0)
        step[i.axis] += i.mul * stride
        offset += first * i.mul * stride
        target[i.axis] = to[i.axis] * i.div
        target_offset += (i.lo + first * i.div) * to[i.axis]
    return (result.dtype.itemsize, len(sizes), *sizes, offset, *step, target_offset, *target)


def takes(*dtypes: DType) -> bool:
    return all(d.itemsize in (1, 2, 4, 8) for d in dtypes)


def moved(ints: Ints) -> int:
    itemsize, rank, *rest = ints
    return 2 * itemsize * prod(rest[:rank])


COPY = Library(symbol="copy", takes=takes, ints=parts, each=True, moved=moved)


def whole_copy(source: Any, result: Any, nbytes: int, text: str) -> LibraryStep:
    """A plain copy of bytes."""
    return LibraryStep(COPY.symbol, (source, result), (1, 1, nbytes, 0, 1, 0, 1), text)
