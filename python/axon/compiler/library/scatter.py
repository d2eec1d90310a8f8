"""Updates of a tensor at indices of an axis."""

from __future__ import annotations

from math import prod

from ...dtypes import DType, int32, int64
from ...graph.expr import Node
from .step import Ints, Library, same_number


def scatter(node: Node) -> Ints:
    """dtype, index dtype, outer, axis size, inner, number of indices."""
    target, indices, _ = (v.type for v in node.inputs)
    axis, shape = node.attrs["axis"], target.shape
    outer, inner = prod(shape[:axis]), prod(shape[axis + 1 :])
    return (target.dtype.code, indices.dtype.code, outer, shape[axis], inner, indices.size)


def takes(target: DType, indices: DType, updates: DType, out: DType) -> bool:
    return indices in (int32, int64) and same_number(target, updates, out)


SCATTER_ADD = Library(symbol="scatter_add", takes=takes, ints=scatter)
