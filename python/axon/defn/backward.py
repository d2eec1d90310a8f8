"""The backward sweep over a graph: what each node adds to its operands' gradients, by the vjp of its row, or for a call
node by the rule of its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ..errors import GradientError
from ..graph.expr import CALL, INPUT, Graph, Node, Value
from ..graph.trace import Derived, located
from ..nx.core.backend import select
from ..nx.core.tensor import Tensor, TensorType
from ..nx.rows.movement import Part
from .contributions import Contributions
from .control import switch
from .evaluate import replay


def pull(
    graph: Graph, env: Mapping[Value, Tensor], cotangents: Iterable[tuple[Value, Tensor]], wrt: Sequence[Value]
) -> list[Tensor]:
    """The gradients of `wrt`, given those of some values."""
    active = _active(graph, wrt)
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
        with located(node.source and Derived(node.source, _name(node))):
            gs = [None if c is None else c.total() for c in given]
            wanted = [v in active for v in node.inputs]
            operands = [env[v] for v in node.inputs]
            made = _contributions(node, gs, [env[v] for v in results], operands, wanted)
            for value, g, needed in zip(node.inputs, made, wanted, strict=True):
                if needed and g is not None:
                    assert isinstance(g, Part) or (g.dtype, g.shape) == (value.type.dtype, value.type.shape), (node, g)
                    add(value, g)
    return [found[v].total() if v in found else _zeros_like(env[v]) for v in wrt]


def filled(value: int, type_: TensorType, like: Tensor) -> Tensor:
    """A tensor of one value, on the backend that holds `like`."""
    backend = select([like])
    return Tensor(type_, backend, backend.constant(float(value) if type_.dtype.is_float else value, type_))


def _zeros_like(t: Tensor) -> Tensor:
    return filled(0, t.type, t)


def _active(graph: Graph, wrt: Sequence[Value]) -> set[Value]:
    """The float values that depend on `wrt`."""
    active = set(wrt)
    for node in graph.nodes:
        if node.op.nondifferentiable != "zero" and any(v in active for v in node.inputs):
            active.update(Value(node, i) for i, t in enumerate(node.types) if t.dtype.is_float)
    return active


def _contributions(
    node: Node, gs: list[Tensor | None], results: list[Tensor], operands: list[Tensor], wanted: list[bool]
) -> Sequence[Tensor | Part | None]:
    """What a node adds to the gradient of each operand: by the rule of the call's kind, else by the op's row."""
    if node.op is not CALL and node.op.vjp is None:
        why = node.op.nondifferentiable or "it has no gradient; keep it out with stop_grad"
        raise GradientError(f"grad: {node.op.name}{_at(node)} cannot be differentiated: {why}")
    given = [_zeros_like(y) if g is None else g for g, y in zip(gs, results, strict=True)]
    if node.op is CALL:
        return _RULES[node.attrs["kind"]](node, given, operands, wanted)
    assert node.op.vjp is not None
    if len(given) == 1:
        return node.op.vjp(given[0], results[0], *operands, **node.attrs)
    return node.op.vjp(tuple(given), tuple(results), *operands, **node.attrs)


def _name(node: Node) -> str:
    return node.attrs["kind"] if node.op is CALL else node.op.name


def _at(node: Node) -> str:
    return f" (at {node.source})" if node.source else ""


def _region_pull(
    region: Graph, operands: Sequence[Tensor], gs: Sequence[Tensor], wanted: Sequence[bool]
) -> list[Tensor]:
    """The gradients of the wanted operands of an inlined region."""
    env = replay(region, operands)
    wrt = [v for v, needed in zip(region.inputs, wanted) if needed]
    return pull(region, env, list(zip(region.outputs, gs)), wrt)


def _spread(found: Iterable[Tensor], wanted: Sequence[bool]) -> list[Tensor | None]:
    rest = iter(found)
    return [next(rest) if needed else None for needed in wanted]


def _block(node: Node, gs: list[Tensor], operands: list[Tensor], wanted: list[bool]) -> list[Tensor | None]:
    return _spread(_region_pull(node.attrs["regions"][0], operands, gs, wanted), wanted)


def _cond(node: Node, gs: list[Tensor], operands: list[Tensor], wanted: list[bool]) -> list[Tensor | None]:
    """The same choice among the branches' gradients."""
    index, *rest = operands
    n = len(rest)
    branches = [
        lambda *xs, region=region: _region_pull(region, xs[:n], xs[n:], wanted[1:]) for region in node.attrs["regions"]
    ]
    return [None, *_spread(switch(index, branches, *rest, *gs), wanted[1:])]


def _custom(node: Node, gs: list[Tensor], operands: list[Tensor], wanted: list[bool]) -> list[Tensor | None]:
    n = node.attrs["arguments"]
    if any(wanted[n:]):
        captured = node.inputs[n:][wanted[n:].index(True)].type
        raise GradientError(
            f"custom_grad{_at(node)}: expected gradients of its arguments only, got a captured {captured} that is "
            f"differentiated; pass it as an argument, or through stop_grad"
        )
    region = node.attrs["regions"][1]
    env = replay(region, [*operands[:n], *gs, *operands[n:]])
    return [*(env[v] for v in region.outputs), *(None for _ in operands[n:])]


def _loop(node: Node, gs: list[Tensor], operands: list[Tensor], wanted: list[bool]) -> list[Tensor | None]:
    kind = {"while": "while_loop", "scan": "scan"}[node.attrs["kind"]]
    raise GradientError(
        f"grad: {kind}{_at(node)} cannot be differentiated; write the steps as a Python loop, give it a custom_grad, "
        f"or keep it out with stop_grad"
    )


_RULES: Mapping[str, Callable[..., list[Tensor | None]]] = {
    "block": _block, "cond": _cond, "custom_grad": _custom, "scan": _loop, "while": _loop,
}  # fmt: skip
