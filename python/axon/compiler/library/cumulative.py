"""Running combinations along an axis."""

from __future__ import annotations

from math import prod

from ...graph.expr import Node
from ...nx.core.combine import ADD, LOGADDEXP, MAXIMUM, MINIMUM, MULTIPLY
from .step import Ints, Library, same_number

OPERATIONS = (ADD, MULTIPLY, MAXIMUM, MINIMUM, LOGADDEXP)  # by their codes


def cumulative(node: Node) -> Ints:
    """dtype, operation, outer, axis size, inner, whether it begins at the end."""
    x, axis = node.inputs[0].type, node.attrs["axis"]
    assert node.op.combine is not None
    sizes = prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :])
    return (x.dtype.code, OPERATIONS.index(node.op.combine), *sizes, int(node.attrs["reverse"]))


CUMULATIVE = Library(symbol="cumulative", takes=same_number, ints=cumulative, eager=True)
