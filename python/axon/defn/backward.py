"""The gradients of a graph: a run that keeps what they need, and the sweep back over it. The vjp of a node's row, or
the kind of a call node, says what it adds to its operands' gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from ..errors import GradientError
from ..graph.expr import CALL, INPUT, Builder, Graph, Node, Value, results_of, rewrite
from ..graph.regions import Backward
from ..graph.trace import Derived, located
from ..nx.core.backend import select
from ..nx.core.tensor import Tensor, TensorType
from ..nx.rows.movement import Part
from .contributions import Contributions
from .evaluate import replay

T = TypeVar("T")


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
    reached, residuals = active_values(graph, wrt), dict[Node, Any]()

    def instead(node: Node, operands: list[Tensor]) -> list[Tensor] | None:
        if kept and all(v in kept for v in results_of(node)):
            return [kept[v] for v in results_of(node)]
        wanted = [v in reached for v in node.inputs]
        if node.op is not CALL or node.attrs["kind"].forward is None or not any(wanted):
            return None
        with located(node.source):
            results, residuals[node] = node.attrs["kind"].forward(node, operands, wanted)
        return results

    return Record(graph, wrt, reached, replay(graph, tensors, instead), residuals)


def pull(made: Record, cotangents: Iterable[tuple[Value, Tensor]]) -> list[Tensor]:
    """The gradients of `wrt`, given those of some values."""
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
        results = [Value(node, i) for i in range(len(node.types))]
        given = [found.pop(v, None) for v in results]
        if all(c is None for c in given):
            continue
        with located(node.source and Derived(node.source, name_of(node))):
            gs = [_zeros_like(env[v]) if c is None else c.total() for v, c in zip(results, given)]
            operands = [env[v] for v in node.inputs]
            if node.op is CALL:
                wanted = [v in active for v in node.inputs]
                reached = [c is not None for c in given]
                sent = node.attrs["kind"].pull(Backward(node, gs, operands, residuals.get(node), wanted, reached))
            else:
                sent = _by_row(node, gs, [env[v] for v in results], operands)
            for value, g in zip(node.inputs, sent, strict=True):
                if g is not None and value in active:
                    assert isinstance(g, Part) or (g.dtype, g.shape) == (value.type.dtype, value.type.shape), (node, g)
                    add(value, g)
    return [found[v].total() if v in found else _zeros_like(env[v]) for v in wrt]


def filled(value: int, type_: TensorType, like: Tensor) -> Tensor:
    """A tensor of one value, on the backend that holds `like`."""
    backend = select([like])
    return Tensor(type_, backend, backend.constant(float(value) if type_.dtype.is_float else value, type_))


def _zeros_like(t: Tensor) -> Tensor:
    return filled(0, t.type, t)


def active_values(graph: Graph, wrt: Sequence[Value]) -> set[Value]:
    """The float values that depend on `wrt`."""
    active = set(wrt)
    for node in graph.nodes:
        if node.op.nondifferentiable != "zero" and any(v in active for v in node.inputs):
            active.update(Value(node, i) for i, t in enumerate(node.types) if t.dtype.is_float)
    return active


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
    region = quiet(region, region.effects)
    made = record(region, operands, [v for v, needed in zip(region.inputs, wanted, strict=True) if needed], kept)
    return spread(pull(made, [(v, g) for v, g in zip(region.outputs, gs, strict=True) if g is not None]), wanted)


def quiet(graph: Graph, effects: Sequence[Node]) -> Graph:
    """A graph without those of its effects. GradientError where it needs what one of them gives: to have that again,
    Python would be called again."""
    if not effects:
        return graph
    silent = set(effects)

    def rule(builder: Builder, node: Node, operands: tuple[Value, ...]) -> list[Value] | None:
        if node not in silent:
            return None
        if node.op is not CALL:
            raise GradientError(
                f"grad: {node.op.name}{at(node)} gives results inside a function that is run again for its gradient, "
                f"and would be called twice; call it outside of the checkpoint, branch or custom_grad, and pass "
                f"its results in"
            )
        regions, inline = node.attrs["regions"], node.attrs["kind"].inline  # of which only the first one runs
        silenced = [g if k and inline else quiet(g, g.effects) for k, g in enumerate(regions)]
        attrs = {**node.attrs, "regions": tuple(silenced)}
        made = builder.node(node.op, operands, attrs, node.types, node.source)
        return [Value(made, i) for i in range(len(node.types))]

    rest = [node for node in graph.effects if node not in silent]
    return rewrite(Graph(graph.inputs, graph.outputs, rest), rule)


def spread(found: Iterable[T], wanted: Sequence[bool]) -> list[T | None]:
    """What is there, at the places where it is wanted."""
    rest = iter(found)
    return [next(rest) if needed else None for needed in wanted]


def name_of(node: Node) -> str:
    """The name of its op, or of its kind of call."""
    return node.attrs["kind"].name if node.op is CALL else node.op.name


def at(node: Node) -> str:
    """Where a node was written, for an error."""
    return f" (at {node.source})" if node.source else ""
