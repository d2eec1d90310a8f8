"""The gradients of a graph: a run that keeps what they need, and the sweep back over it. The vjp of a node's row, or
the kind of a call node, says what it adds to its operands' gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from ..errors import GradientError
from ..graph.expr import CALL, INPUT, Builder, Graph, Node, Value, rewrite, values_of
from ..graph.reach import differentiable, reached, sought
from ..graph.regions import Backward
from ..graph.trace import Derived, located
from ..nx.core.tensor import Tensor
from ..nx.rows.movement import Part
from .common import at, filled, name_of, named, placed
from .contributions import Contributions
from .evaluate import replay


class Record(NamedTuple):
    """A graph that was run for its gradients by `wrt`: the tensor of every value, what call nodes keep for theirs, and
    the values that depend on `wrt`."""

    graph: Graph
    wrt: Sequence[Value]
    active: set[Value]
    env: Mapping[Value, Tensor]
    residuals: Mapping[Node, Any]


def record(
    graph: Graph, tensors: Sequence[Tensor], wrt: Sequence[Value], kept: Mapping[Value, Tensor] = MappingProxyType({})
) -> Record:
    """Run a graph over tensors, and keep what its gradients need. `kept`: values that are there already."""
    active, asked, residuals = reached(graph, wrt, differentiable), sought(graph), dict[Node, Any]()

    def instead(node: Node, operands: list[Tensor]) -> list[Tensor] | None:
        made = values_of(node)
        there = [kept[v] for v in made] if kept and all(v in kept for v in made) else None
        wanted, given = [v in active for v in node.inputs], [v in asked for v in made]
        if node.op is not CALL or node.attrs["kind"].record is None or not any(wanted) or not any(given):
            return there
        with located(node.source):  # what a call node's gradient needs is no result of it, and so not kept
            results, residuals[node] = node.attrs["kind"].record(node, operands, wanted, given)
        return results if there is None else there

    return Record(graph, wrt, active, replay(graph, tensors, instead), residuals)


def pull(made: Record, cotangents: Iterable[tuple[Value, Tensor]]) -> list[Tensor]:
    """The gradients of `wrt`, with its axis names, given those of some values."""
    graph, wrt, active, env, residuals = made
    found: dict[Value, Contributions] = {}

    def add(value: Value, g: Tensor | Part) -> None:
        if value in active:
            found.setdefault(value, Contributions()).add(g)

    for value, g in cotangents:
        add(value, g)
    for node in reversed(graph.nodes):
        if node.op is INPUT:
            continue
        results = values_of(node)
        given = [found.pop(v, None) for v in results]
        if all(c is None for c in given):
            continue
        with located(node.source and Derived(node.source, name_of(node))):
            gs = [_zeros_like(env[v]) if c is None else c.total() for v, c in zip(results, given)]
            operands = [env[v] for v in node.inputs]
            if node.op is CALL:
                wanted = [v in active for v in node.inputs]
                there = [c is not None for c in given]
                sent = node.attrs["kind"].pull(Backward(node, gs, operands, residuals.get(node), wanted, there))
            else:
                sent = _by_row(node, gs, [env[v] for v in results], operands)
            for value, g in zip(node.inputs, sent, strict=True):
                if g is not None and value in active:
                    assert isinstance(g, Part) or (g.dtype, g.shape) == (value.type.dtype, value.type.shape), (node, g)
                    add(value, g)
    return [named(found[v].total(), v.type) if v in found else _zeros_like(env[v]) for v in wrt]


def _zeros_like(t: Tensor) -> Tensor:
    return filled(0, t.type, t)


def _by_row(
    node: Node, gs: list[Tensor], results: list[Tensor], operands: list[Tensor]
) -> Sequence[Tensor | Part | None]:
    """What a node adds to the gradient of each operand, by its op's row."""
    if node.op.vjp is None:
        why = node.op.nondifferentiable or "it has no gradient; keep it out with stop_grad"
        raise GradientError(f"grad: {node.op.name}{at(node)} cannot be differentiated: {why}")
    if len(gs) == 1:
        return node.op.vjp(gs[0], results[0], *operands, **node.attrs)
    return node.op.vjp(tuple(gs), tuple(results), *operands, **node.attrs)


def pulled(
    region: Graph,
    operands: Sequence[Tensor],
    gs: Sequence[Tensor | None],
    wanted: Sequence[bool],
    kept: Mapping[Value, Tensor] = MappingProxyType({}),
) -> list[Tensor | None]:
    """The gradients of the wanted operands of a region, which is run again for them, but for its effects and what is
    `kept`; None for the others."""
    region = quiet(region)
    made = record(region, operands, [v for v, needed in zip(region.inputs, wanted, strict=True) if needed], kept)
    return placed(pull(made, [(v, g) for v, g in zip(region.outputs, gs, strict=True) if g is not None]), wanted)


def quiet(graph: Graph, effects: Sequence[Node] | None = None) -> Graph:
    """A graph without its effects, or without these of them. GradientError where it needs what one of them gives: to
    have that again, Python would be called again."""
    silent = set(graph.effects if effects is None else effects)
    if not silent:
        return graph

    def rule(builder: Builder, node: Node, operands: tuple[Value, ...]) -> list[Value] | None:
        if node not in silent:
            return None
        if node.op is not CALL:
            raise GradientError(
                f"grad: {node.op.name}{at(node)} gives results inside a function that is run again for its gradient, "
                f"and would be called twice; call it outside of the checkpoint, branch, while_loop or custom_grad, and "
                f"pass its results in, or use scan, which keeps them"
            )
        regions, inline = node.attrs["regions"], node.attrs["kind"].inline  # of which only the first one runs
        silenced = [g if k and inline else quiet(g) for k, g in enumerate(regions)]
        attrs = {**node.attrs, "regions": tuple(silenced)}
        made = builder.node(node.op, operands, attrs, node.types, node.source)
        return [Value(made, i) for i in range(len(node.types))]

    rest = [node for node in graph.effects if node not in silent]
    return rewrite(Graph(graph.inputs, graph.outputs, rest), rule)
