"""Decomposition: rewrites a traced graph into the few forms that `fuse` and `lower` know.

After it: reductions have one run of neighbouring axes of more than one element, and keepdims is False; 16-bit floats
are only loaded, stored, moved and cast; windows are slices; contractions have operands whose batch, free and contracted
axes each merge into one; call nodes of kinds that only carry a gradient are inlined.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from ..graph.expr import CALL, Builder, Graph, Node, Value, rewrite
from ..graph.trace import Trace
from ..nx.core.backend import recording
from ..nx.core.op import TABLE, results_of
from ..nx.core.tensor import Tensor, TensorType
from .fusion.index import strides


def decompose(graph: Graph) -> Graph:
    """The graph in core forms; one sweep a rule that some node needs, in the order of RULES."""
    for wants, rule in RULES:
        if any(map(wants, graph.nodes)):
            graph = rewrite(graph, lambda b, n, v, w=wants, r=rule: r(b, n, v) if w(n) else None)
    return graph


def inlined(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> list[Value]:
    """A call node that only carries a gradient or a native version is replaced by its region."""
    rule = lambda b, n, v: inlined(b, n, v) if is_inline(n) else None  # noqa: E731
    return list(rewrite(node.attrs["regions"][0], rule, builder, inputs).outputs)


def is_inline(node: Node) -> bool:
    return node.op is CALL and node.attrs["kind"].inline


def windows(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> list[Value]:
    """A row with an expansion is replaced by it (windows become slices combined one axis after the other)."""
    assert node.op.expand is not None
    trace = Trace(builder)
    with recording(trace):
        made = node.op.expand(*(Tensor(v.type, trace, v) for v in inputs), **node.attrs)
    return [t.data for t in results_of(made)]


def reductions(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> list[Value]:
    """One reduction a run of neighbouring axes, innermost first; keepdims becomes a reshape; empty ones a fill."""
    (operand,), out, combine = inputs, node.types[0], node.op.combine
    assert combine is not None
    axis, shape = node.attrs["axis"], operand.type.shape
    if operand.type.size == 0:
        return [filled(builder, combine.identity(out.dtype) + 0, out)]
    runs: list[list[int]] = []
    for a in sorted((axis,) if isinstance(axis, int) else axis):
        if runs and all(shape[k] == 1 for k in range(runs[-1][-1] + 1, a)):
            runs[-1].extend(range(runs[-1][-1] + 1, a + 1))
        else:
            runs.append([a])
    runs = [run for run in runs if any(shape[a] != 1 for a in run)]
    if not runs and combine.index:
        return [filled(builder, 0, out)]
    value = computed(builder, operand)
    for run in reversed(runs):
        attrs = {**node.attrs, "axis": tuple(run), "keepdims": False}
        kept = tuple(n for a, n in enumerate(value.type.shape) if a not in run)
        type_ = TensorType(out.dtype.computed_in, kept)
        value = Value(builder.node(node.op, (value,), attrs, (type_,), node.source), 0)
    if value.type.dtype is not out.dtype:
        value = builder.apply("astype", value, dtype=out.dtype)
    return [value if value.type.shape == out.shape else builder.apply("reshape", value, shape=out.shape)]


def filled(builder: Builder, value: object, out: TensorType) -> Value:
    """A literal, broadcast."""
    literal = builder.apply("literal", value=value, dtype=out.dtype)
    return builder.apply("broadcast_to", literal, shape=out.shape)


def computed(builder: Builder, value: Value) -> Value:
    """A value in the dtype that arithmetic has."""
    dtype = value.type.dtype.computed_in
    return value if dtype is value.type.dtype else builder.apply("astype", value, dtype=dtype)


def halves(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> list[Value]:
    """16-bit float arithmetic is float32 arithmetic, rounded after every op."""
    wide, out = tuple(computed(builder, v) for v in inputs), node.types[0]
    dtype = out.dtype.computed_in
    made = Value(builder.node(node.op, wide, node.attrs, (TensorType(dtype, out.shape),), node.source), 0)
    return [builder.apply("astype", made, dtype=out.dtype) if out.dtype is not dtype else made]


def contractions(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> list[Value]:
    """A dot's operands are permuted where their axes do not merge into (batch, free, contracted)."""
    operands = []
    for value, contract, batch in zip(inputs, node.attrs["contract"], node.attrs["batch"]):
        groups = dot_axes(value.type.shape, contract, batch)
        if not all(merges(value.type.shape, g) for g in groups):
            order = [a for g in groups for a in g]
            value = builder.apply("permute_dims", value, axes=tuple(order))
            contract, batch = range(len(order) - len(contract), len(order)), range(len(batch))
        operands.append((value, contract, batch))
    return [dot_over(builder, node, operands)]


def outer(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> list[Value]:
    """A dot that adds nothing up is a multiplication, which fuses with what is beside it."""
    factors = []
    for k, (value, contract, batch) in enumerate(zip(inputs, node.attrs["contract"], node.attrs["batch"])):
        shape = value.type.shape
        batched, free, one = dot_axes(shape, contract, batch)
        order = (*batched, *free, *one)
        if order != tuple(range(len(order))):
            value = builder.apply("permute_dims", value, axes=order)
        lead, own = [shape[a] for a in batched], [shape[a] for a in free]
        gap = [1] * (len(node.types[0].shape) - len(lead) - len(own))
        value = builder.apply("reshape", value, shape=(*lead, *gap, *own) if k else (*lead, *own, *gap))
        factors.append(builder.apply("broadcast_to", value, shape=node.types[0].shape))
    return [Value(builder.node(TABLE["multiply"], tuple(factors), {}, node.types, node.source), 0)]


def is_outer(node: Node) -> bool:
    """Whether a dot has one product an element."""
    if "contract" not in node.attrs:
        return False
    shape = node.inputs[0].type.shape
    return prod(shape[a] for a in node.attrs["contract"][0]) == 1


def dot_over(builder: Builder, node: Node, operands: Sequence[tuple[Value, Sequence[int], Sequence[int]]]) -> Value:
    """The result of a dot, computed from other operands, each with its contracted and its batch axes."""
    values, contract, batch = zip(*operands)
    attrs = {**node.attrs, "contract": tuple(map(tuple, contract)), "batch": tuple(map(tuple, batch))}
    return Value(builder.node(node.op, values, attrs, node.types, node.source), 0)


def dot_axes(
    shape: Sequence[int], contract: Sequence[int], batch: Sequence[int]
) -> tuple[list[int], list[int], list[int]]:
    """A dot operand's batch, free and contracted axes."""
    taken = {*contract, *batch}
    return list(batch), [a for a in range(len(shape)) if a not in taken], list(contract)


def scattered(node: Node) -> bool:
    """Whether a dot has an operand whose axes do not merge."""
    if "contract" not in node.attrs:
        return False
    shapes = [v.type.shape for v in node.inputs]
    groups = [(s, dot_axes(s, c, b)) for s, c, b in zip(shapes, node.attrs["contract"], node.attrs["batch"])]
    return not all(merges(s, g) for s, three in groups for g in three)


def merges(shape: Sequence[int], axes: Sequence[int]) -> bool:
    """Whether axes of a dense operand, in this order, act as one axis."""
    step = strides(shape)
    real = [a for a in axes if shape[a] != 1]
    return all(step[a] == step[b] * shape[b] for a, b in pairwise(real)) or prod(shape) == 0


def merged_stride(shape: Sequence[int], axes: Sequence[int]) -> int:
    """The stride of the one axis that merged axes make."""
    step = strides(shape)
    real = [a for a in axes if shape[a] != 1]
    return step[real[-1]] if real else 0


def computes_halves(node: Node) -> bool:
    """Whether a node does arithmetic on 16-bit floats (a cast is none)."""
    return node.op.kind.pointwise and node.op.cost > 0 and any(v.type.dtype.is_half for v in node.inputs)


def is_empty(node: Node) -> bool:
    """Whether a node has nothing to compute. (Creation already is a fill.)"""
    kind = node.op.kind
    return not (kind.creates or kind.opaque) and all(t.size == 0 for t in node.types)


def empty(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> list[Value]:
    """What has no elements is computed from nothing."""
    return [filled(builder, 0, t) for t in node.types]


RULES = (
    (is_empty, empty),
    (is_inline, inlined),
    (lambda node: node.op.expand is not None, windows),
    (is_outer, outer),
    (scattered, contractions),
    (lambda node: node.op.kind.reduces, reductions),
    (computes_halves, halves),
)
