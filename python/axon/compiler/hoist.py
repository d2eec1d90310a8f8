"""Hoisting: what is the same in all steps of a loop is computed before it.

That is what a body computes of captured tensors alone, but for what a kernel has for nothing (movement, literals,
casts) or for less than reading it would take (an outer product). A captured matrix that is the right operand of a
product, and lies transposed for it, is permuted before the loop, too: the product would copy it at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..graph.expr import CALL, INPUT, Builder, Graph, Node, Value, rewrite, sort, values_of
from ..nx.core.tensor import TensorType
from .decompose import dot_axes, dot_over
from .planning.regions import lowering


def hoist(graph: Graph, core: Callable[[Graph], Graph]) -> Graph:
    """The graph with loops of less work. core: the passes up to here, which bodies go through first."""
    if not any(map(is_loop, graph.nodes)):
        return graph
    return rewrite(graph, lambda b, n, v: hoisted(b, n, v, core) if is_loop(n) else None)


def is_loop(node: Node) -> bool:
    """Whether a node runs its regions many times over captured values."""
    return node.op is CALL and not node.attrs["kind"].inline and lowering(node).captured is not None


def hoisted(builder: Builder, node: Node, inputs: tuple[Value, ...], core: Callable[[Graph], Graph]) -> list[Value]:
    """The loop, which captures what its bodies need not compute."""
    captured = lowering(node).captured
    assert captured is not None
    first, operands, regions = captured(node.attrs), list(inputs), [*node.attrs["regions"]]
    for k in range(len(regions)):
        body = core(regions[k])
        body = rewrite(body, upright(body.inputs[first:]))
        same = invariant(body, body.inputs[first:])
        found = taken_out(body, same)
        if not found:
            continue
        outside = dict(zip(body.inputs[first:], operands[first:]))
        made = copied(builder, found, outside)
        regions = [
            given_more(body if i == k else other, found if i == k else [], [v.type for v in made])
            for i, other in enumerate(regions)
        ]
        operands += made
    made = builder.node(CALL, tuple(operands), {**node.attrs, "regions": tuple(regions)}, node.types, node.source)
    return list(values_of(made))


def upright(captured: Sequence[Value]) -> Callable[[Builder, Node, tuple[Value, ...]], list[Value] | None]:
    """The rule by which products read permuted copies of captured matrices that lie transposed."""

    def rule(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> list[Value] | None:
        if node.op.name != "dot_general" or inputs[1] not in captured or node.op.extern is None:
            return None
        left, right = inputs
        batch, free, inner = dot_axes(right.type.shape, node.attrs["contract"][1], node.attrs["batch"][1])
        if batch or not free or max(inner, default=0) != right.type.ndim - 1:
            return None
        turned = builder.apply("permute_dims", right, axes=(*inner, *free))
        left = (left, node.attrs["contract"][0], node.attrs["batch"][0])
        return [dot_over(builder, node, (left, (turned, range(len(inner)), ())))]

    return rule


def invariant(graph: Graph, captured: Sequence[Value]) -> set[Value]:
    """The values that are computed of captured ones alone."""
    same = set(captured)
    for node in graph.nodes:
        if node.op is not INPUT and not node.acts and same.issuperset(node.inputs):
            same.update(values_of(node))
    return same


def taken_out(graph: Graph, same: set[Value]) -> list[Value]:
    """The values to be computed before the loop: what others read, where it is not free in the kernel that reads it."""
    found: dict[Value, None] = {}

    def visit(value: Value, fused: bool) -> None:
        op = value.node.op
        if op is INPUT or value not in same:
            return
        if fused and op.kind.fused and (op.kind.free or op.cost == 0 or grows(value)):
            for v in value.node.inputs:
                visit(v, fused)
        elif not op.kind.creates:
            found[value] = None

    for node in graph.nodes:
        if Value(node, 0) not in same:
            for value in node.inputs:
                visit(value, node.op.kind.fused)
    for value in graph.outputs:
        visit(value, fused=True)
    return list(found)


def grows(value: Value) -> bool:
    """Whether a value is larger than what it is computed from: read at every step it costs more than it saves."""
    sources, pending = set[Value](), [*value.node.inputs]
    while pending:
        source = pending.pop()
        if source.node.op.kind.moves:
            pending += source.node.inputs
        elif not source.node.op.kind.creates:
            sources.add(source)
    return value.type.nbytes > sum(v.type.nbytes for v in sources)


def copied(builder: Builder, found: Sequence[Value], outside: Mapping[Value, Value]) -> list[Value]:
    """A body's values of captured ones, outside of the loop."""
    new = dict(outside)
    for node in sort([v.node for v in found]):
        if node.op is not INPUT:
            kept = builder.keep(node, tuple([new[v] for v in node.inputs]))
            new.update(zip(values_of(node), values_of(kept)))
    return [new[v] for v in found]


def given_more(graph: Graph, found: Sequence[Value], types: Sequence[TensorType]) -> Graph:
    """A body with more inputs, which take the place of what was found in it."""
    more = [Builder().input(t) for t in types]
    given = dict(zip(found, more))

    def rule(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> list[Value] | None:
        results = values_of(node)
        if given.keys().isdisjoint(results):
            return None
        kept = builder.keep(node, inputs)
        return [given.get(v, Value(kept, v.index)) for v in results]

    made = rewrite(graph, rule) if found else graph
    return Graph([*made.inputs, *more], made.outputs, made.effects)
