"""The tangents of a graph: a run that carries them along. A rule a kind of op says what those of results are, unless
the row has one of its own; a kind of call node pushes them through its regions. None is a tangent of 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

from ..errors import GradientError
from ..graph.expr import CALL, Graph, Node, Value, values_of
from ..graph.reach import flow, sought
from ..graph.regions import Forward
from ..graph.trace import Derived, located, trace
from ..nx.core.call import call
from ..nx.core.op import Op, as_dtype, results_of
from ..nx.core.tensor import Tensor, TensorType
from ..nx.rows.elementwise import add, multiply
from ..nx.rows.movement import Part
from ..nx.rows.reductions import sum_
from .backward import pulled, quiet
from .common import at, filled, name_of, named, with_zeros
from .evaluate import carried_out, inlined, replay

Tangent = Tensor | None


def push(
    graph: Graph,
    tensors: Sequence[Tensor],
    tangents: Sequence[Tangent],
    known: Mapping[Value, Tensor] | None = None,
    asked: Sequence[bool] | None = None,
) -> tuple[list[Tensor], list[Tangent]]:
    """The outputs of a graph, and their tangents, given those of its inputs. known: the tensor of every value, where
    the graph has run before; its effects do not take place again. asked: the outputs whose tangents matter; all."""
    moving = {v: named(t, v.type) for v, t in zip(graph.inputs, tangents, strict=True) if t is not None}
    wanted = sought(graph, asked)

    def instead(node: Node, operands: list[Tensor]) -> list[Tensor] | None:
        values = values_of(node)
        results = None if known is None else [known[v] for v in values]
        given = [moving.get(v) for v in node.inputs]
        if wanted.isdisjoint(values) or node.op.nondifferentiable == "zero" or all(t is None for t in given):
            return results
        if node.op is CALL:
            regions = node.attrs["regions"]
            if results is not None:
                regions = [quiet(region) for region in regions]
            rule = node.attrs["kind"].push
            if rule is None:
                raise GradientError(f"jvp: {name_of(node)}{at(node)} has no tangents; keep it out with stop_grad")
            with located(node.source):
                made, found = rule(Forward(node, regions, operands, given, [v in wanted for v in values]))
            results = made if results is None else results
        else:
            results = carried_out(node, operands) if results is None else results
            with located(node.source and Derived(node.source, name_of(node))):
                found = by_row(node, given, results, operands)
        for value, t in zip(values, found, strict=True):
            if t is not None and value.type.dtype.is_float:
                moving[value] = named(t, value.type)
        return results

    env = replay(graph, tensors, instead)
    return [env[v] for v in graph.outputs], [moving.get(v) for v in graph.outputs]


def solid(tangents: Sequence[Tangent], like: Sequence[Tensor], marks: Sequence[bool]) -> list[Tensor]:
    """The marked tangents as tensors, 0 where there is none."""
    each = zip(tangents, like, marks, strict=True)
    return [filled(0, x.type, x) if t is None else t for t, x, mark in each if mark]


def by_row(node: Node, tangents: list[Tangent], results: list[Tensor], operands: list[Tensor]) -> Sequence[Tangent]:
    """The tangents of a node's results."""
    op, kind = node.op, node.op.kind
    if op.jvp is not None:
        made = op.jvp(tangents, results[0] if len(results) == 1 else tuple(results), *operands, **node.attrs)
        return made if isinstance(made, tuple) else (made,)
    if op.vjp is None:
        why = op.nondifferentiable or "it has no gradient; keep it out with stop_grad"
        raise GradientError(f"jvp: {op.name}{at(node)} cannot be differentiated: {why}")
    rule = next((rule for flag, rule in _RULES.items() if getattr(kind, flag)), _transposed)
    return rule(op, tangents, results, operands, node.attrs)


def _diagonal(
    op: Op, tangents: list[Tangent], results: list[Tensor], operands: list[Tensor], attrs: Mapping[str, Any]
) -> Sequence[Tangent]:
    """Of an elementwise row the Jacobian by an operand is diagonal, and so its own transposed."""
    (y,), (vjp,) = results, (op.vjp,)
    assert vjp is not None
    parts = [vjp(t, y, *operands, **attrs)[i] for i, t in enumerate(tangents) if t is not None]
    return [_sum([as_dtype(part, y.dtype) for part in parts if part is not None])]


def _linear(
    op: Op, tangents: list[Tangent], results: list[Tensor], operands: list[Tensor], attrs: Mapping[str, Any]
) -> Sequence[Tangent]:
    given = [
        x if not x.dtype.is_float else filled(0, x.type, x) if t is None else t for t, x in zip(tangents, operands)
    ]
    return results_of(call(op, given, dict(attrs)))


def _multilinear(
    op: Op, tangents: list[Tangent], results: list[Tensor], operands: list[Tensor], attrs: Mapping[str, Any]
) -> Sequence[Tangent]:
    given = [[*operands[:i], t, *operands[i + 1 :]] for i, t in enumerate(tangents) if t is not None]
    return [_sum([call(op, xs, dict(attrs)) for xs in given])]


def _along(
    op: Op, tangents: list[Tangent], results: list[Tensor], operands: list[Tensor], attrs: Mapping[str, Any]
) -> Sequence[Tangent]:
    """Of a reduction each element of the operand is in one element of the result: the sum of its slopes by tangents."""
    (y,), (x,), (t,) = results, operands, tangents
    assert op.vjp is not None and t is not None
    (slope,) = op.vjp(filled(1, y.type, y), y, x, **attrs)
    return [sum_(multiply(slope, t), **attrs)]


def _transposed(
    op: Op, tangents: list[Tangent], results: list[Tensor], operands: list[Tensor], attrs: Mapping[str, Any]
) -> Sequence[Tangent]:
    """What holds of any row: its vjp is linear in the result's gradient, and the jvp is the transposed of that."""
    vjp, floats = op.vjp, [r.dtype.is_float for r in results]
    assert vjp is not None

    def back(*gs: Tensor) -> list[Tensor]:
        full = with_zeros(gs, results)
        one = len(full) == 1
        found = vjp(full[0] if one else tuple(full), results[0] if one else tuple(results), *operands, **attrs)
        moving = [(g, x) for g, x, t in zip(found, operands, tangents, strict=True) if t is not None]
        gradients = [filled(0, x.type, x) if g is None else g for g, x in moving]
        return [g.whole() if isinstance(g, Part) else g for g in gradients]

    types = [r.type for r, is_float in zip(results, floats) if is_float]
    made = iter(transpose(back, types, [t for t in tangents if t is not None]) or [])
    return [next(made) if is_float else None for is_float in floats]


# By a flag of the kind; a row of any other kind has the transposed of its vjp.
_RULES = {"pointwise": _diagonal, "linear": _linear, "contracts": _multilinear, "reduces": _along}


def transpose(
    function: Callable[..., Any], types: Sequence[TensorType], given: Sequence[Tensor]
) -> list[Tensor] | None:
    """The transposed of a linear function of tensors of these types, at these tensors of the types of its results. None
    if the function is not linear."""
    traced, n = trace(function, tuple(types)), len(types)
    wanted = [*[True] * n, *[False] * len(traced.captured)]

    def back(*xs: Tensor) -> list[Tensor]:
        return [g for g in pulled(traced.graph, [*xs[:n], *traced.captured], xs[n:], wanted) if g is not None]

    graph, captured, _ = trace(back, (*types, *[t.type for t in given]))
    if any(flow(graph, [*[True] * n, *[False] * (len(graph.inputs) - n)])):
        return None
    anywhere = [filled(0, type_, given[0]) for type_ in types]
    return inlined(graph, [*anywhere, *given, *captured])


def _sum(parts: Sequence[Tensor]) -> Tangent:
    return reduce(add, parts) if parts else None
