"""Library steps: how a node that is not a kernel is handed to the runtime, by the symbol its row names.

A planner takes a node and gives the ints (and floats) of its step; slots are the node's inputs, then its results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

from ..graph.expr import Node, Value
from ..nx.core.op import Index
from .decompose import dot_axes, merged_stride
from .fusion.index import strides


class LibraryStep(NamedTuple):
    """One call of native code: `memory` in slot order; the last `written` of them are its results."""

    symbol: str
    memory: tuple[Any, ...]
    ints: tuple[int, ...]
    label: str
    written: int = 1


def gemm(node: Node) -> tuple[int, ...]:
    """dtype, batch, m, n, k, then (batch, row, column) strides of both operands, and whether there is a bias."""
    shapes = [v.type.shape for v in node.inputs]
    groups = [dot_axes(s, c, b) for s, c, b in zip(shapes, node.attrs["contract"], node.attrs["batch"])]
    batch, free, inner = groups[0]
    m, k = prod(shapes[0][i] for i in free), prod(shapes[0][i] for i in inner)
    n = prod(shapes[1][i] for i in groups[1][1])
    count = prod(shapes[0][i] for i in batch)
    a = [merged_stride(shapes[0], g) for g in (batch, free, inner)]
    b = [merged_stride(shapes[1], g) for g in (groups[1][0], groups[1][2], groups[1][1])]
    return (node.types[0].dtype.code, count, m, n, k, *a, *b, 0)


def _conv(node: Node, direction: int, x: Sequence[int], kernel: Sequence[int], y: Sequence[int]) -> tuple[int, ...]:
    attrs, rank = node.attrs, len(x) - 2
    low, high = zip(*attrs["padding"]) if rank else ((), ())
    return (
        node.types[0].dtype.code, direction, rank, x[0], x[-1], y[-1], attrs["groups"],
        *x[1:-1], *kernel[:rank], *y[1:-1], *attrs["strides"], *low, *high,
        *attrs["input_dilation"], *attrs["kernel_dilation"], 0,
    )  # fmt: skip


def conv(node: Node) -> tuple[int, ...]:
    """Forward, or a gradient: which one follows from the attributes its row has."""
    a, b, out = node.inputs[0].type.shape, node.inputs[1].type.shape, node.types[0].shape
    if "input_shape" in node.attrs:
        return _conv(node, 1, out, b, a)
    if "kernel_shape" in node.attrs:
        return _conv(node, 2, a, out, b)
    return _conv(node, 0, a, b, out)


def scatter_add(node: Node) -> tuple[int, ...]:
    """dtype, index dtype, outer, axis size, inner, number of indices."""
    target, indices, _ = (v.type for v in node.inputs)
    axis, shape = node.attrs["axis"], target.shape
    outer, inner = prod(shape[:axis]), prod(shape[axis + 1 :])
    return (target.dtype.code, indices.dtype.code, outer, shape[axis], inner, indices.size)


PLANNERS: dict[str, Callable[[Node], tuple[int, ...]]] = {"gemm": gemm, "conv": conv, "scatter_add": scatter_add}


def bias_length(node: Node) -> int | None:
    """The length of the vector that the native step of a node can add to each row of its result, or None: it cannot."""
    match node.op.extern:
        case "gemm":
            return gemm(node)[3]
        case "conv" if not {"input_shape", "kernel_shape"} & node.attrs.keys():
            return node.types[0].shape[-1]
    return None


def library_step(node: Node, inputs: Sequence[Value], results: Sequence[Value]) -> LibraryStep | None:
    """The native step of a node, or None where there is none for its dtypes or kind. One more input is a bias."""
    planner = PLANNERS.get(node.op.extern or "")
    if planner is None:
        return None
    ints = planner(node)
    if len(inputs) > len(node.inputs):
        ints = (*ints[:-1], 1)
    return LibraryStep(node.op.extern or "", (*inputs, *results), ints, label(node), len(results))


def copies(node: Node) -> list[LibraryStep]:
    """A movement that is no index map of a kernel: one strided copy an operand, the last operand's first and whole."""
    out = node.types[0]
    result = Value(node, 0)
    to = strides(out.shape)
    assert node.op.index_map is not None
    maps = node.op.index_map([v.type for v in node.inputs], out, **node.attrs)
    return [copy(v, m, result, to, label(node)) for v, m in reversed(list(zip(node.inputs, maps)))]


def copy(source: Value, index: Sequence[Index], result: Value, to: Sequence[int], text: str) -> LibraryStep:
    """The copy of one operand into the part of the result where its guards hold."""
    sizes, step, offset = list(result.type.shape), [0] * len(to), 0
    target, target_offset = list(to), 0
    for i, stride in zip(index, strides(source.type.shape)):
        offset += i.start * stride
        if i.axis is None:
            continue
        n = result.type.shape[i.axis]
        first = max(0, -(i.lo // i.div))
        last = -((i.lo - n) // i.div) if i.size is None else min(i.size, -((i.lo - n) // i.div))
        sizes[i.axis] = max(last - first, 0)
        step[i.axis] += i.mul * stride
        offset += first * i.mul * stride
        target[i.axis] = to[i.axis] * i.div
        target_offset += (i.lo + first * i.div) * to[i.axis]
    ints = (result.type.dtype.itemsize, len(sizes), *sizes, offset, *step, target_offset, *target)
    return LibraryStep("copy", (source, result), ints, text)


def whole_copy(source: Any, result: Any, nbytes: int, text: str) -> LibraryStep:
    """A plain copy of bytes."""
    return LibraryStep("copy", (source, result), (1, 1, nbytes, 0, 1, 0, 1), text)


def label(node: Node) -> str:
    """What errors and reports call a step: the op, and the user's line."""
    return f"{node.op.name} at {node.source}" if node.source else node.op.name
