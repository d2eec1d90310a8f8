"""A graph of one lane replayed over all lanes at once. What differs among lanes has them as axis 0 of its tensor; what
does not is computed once, as it is. The row of a node, its kind, or the kind of a call node says how."""

from __future__ import annotations

from collections.abc import Sequence

from ..dtypes import int32
from ..errors import TraceError
from ..graph.expr import CALL, Graph, Node, Value
from ..graph.reach import flow, looped
from ..graph.regions import Batched
from ..graph.trace import located, trace
from ..nx.core.attributes import shifted
from ..nx.core.call import call
from ..nx.core.lanes import Lanes, spread
from ..nx.core.op import results_of
from ..nx.core.tensor import Tensor, TensorType
from ..nx.rows.conversion import astype, where
from ..nx.rows.indexing import take
from ..nx.rows.movement import reshape, stop_grad
from ..nx.rows.reductions import argmax_
from .common import at, filled, name_of, named
from .evaluate import replay

Found = tuple[list[Tensor], list[bool]]


def run(graph: Graph, tensors: Sequence[Tensor], mapped: Sequence[bool], size: int) -> Found:
    """A graph of one lane over the tensors of all; its results, and which of them differ among lanes."""
    differ = {v for v, m in zip(graph.inputs, mapped, strict=True) if m}

    def instead(node: Node, operands: list[Tensor]) -> list[Tensor] | None:
        given = [v in differ for v in node.inputs]
        if not any(given):
            return None
        try:
            with located(node.source):
                made = _node(Batched(node, operands, given, size))
        except IndexError as error:  # of a row that the rule is made of
            raise IndexError(f"{name_of(node)}{at(node)}: {str(error).partition(': ')[2]}") from None
        differ.update(Value(node, i) for i, (_, m) in enumerate(made) if m)
        return [t for t, _ in made]

    env = replay(graph, tensors, instead)
    return [env[v] for v in graph.outputs], [v in differ for v in graph.outputs]


def region(graph: Graph, mapped: Sequence[bool], size: int, every: Sequence[bool] = ()) -> tuple[Graph, list[bool]]:
    """The region of all lanes, its inputs mapped so; and which of its results are. every: results that must be."""
    found: list[bool] = []

    def over(*xs: Tensor) -> list[Tensor]:
        results, differ = run(graph, xs, mapped, size)
        found[:] = [a or b for a, b in zip(differ, every or (False,) * len(differ), strict=True)]
        return [spread(t, size) if m and not d else t for t, d, m in zip(results, differ, found)]

    traced = trace(over, tuple([of_lanes(t, size) if m else t for t, m in zip(graph.input_types, mapped)]))
    assert not traced.captured, traced.captured
    return traced.graph, found


def carrying(graph: Graph, carry: Sequence[bool], rest: Sequence[bool], size: int) -> tuple[Graph, list[bool]]:
    """The region of all lanes of one that gives a carry, then other results, of a carry and the rest: what is mapped of
    the carry is so before and after."""
    n = len(carry)
    mapped, _ = looped(graph, [*carry, *rest], n, flow)
    return region(graph, mapped, size, (*mapped[:n], *[False] * (len(graph.outputs) - n)))


def of_lanes(type_: TensorType, size: int) -> TensorType:
    """The type of all lanes' tensors of a type. The axis of the lanes has no name."""
    return TensorType(type_.dtype, (size, *type_.shape), type_.names and (None, *type_.names))


def choose(asks: Tensor, mine: Tensor, others: Tensor) -> Tensor:
    """`mine` for the lanes that ask (a bool each), `others` for the rest."""
    return where(reshape(asks, (*asks.shape, *(1,) * (max(mine.ndim, others.ndim) - 1))), mine, others)


def asked(asks: Tensor, operands: Sequence[Tensor], mapped: Sequence[bool]) -> list[Tensor]:
    """Operands for what only some lanes ask for: the others have those of the first that asks, so that nothing is
    computed of values which it was not meant for: no index is outside, no loop endless, no gradient NaN times 0."""
    first = argmax_(astype(asks, int32), axis=0)
    return [choose(asks, x, stop_grad(take(x, first, axis=0))) if m else x for x, m in zip(operands, mapped)]


def refuse_effects(given: Batched, graphs: Sequence[Graph]) -> None:
    """Refuse regions that act where lanes choose: all of them run, and for lanes that did not ask."""
    for graph in graphs:
        for node in graph.effects:
            raise refused(
                given.node, f"runs for some lanes only, and holds {_acting(node)}, which would act for others"
            )


def _acting(node: Node) -> str:
    """What acts: the node itself, or what it is in its regions that does (a hook on the gradient is a custom_grad)."""
    inside = [effect for region in node.attrs.get("regions", ()) for effect in region.effects]
    return _acting(inside[0]) if inside else f"{name_of(node)}{at(node)}"


def refused(node: Node, why: str) -> TraceError:
    """The error for a node that has no batch."""
    return TraceError(f"vmap: {name_of(node)}{at(node)} {why}; call it outside vmap, or loop over the lanes with scan")


def _node(given: Batched) -> list[tuple[Tensor, bool]]:
    """The results of a node of which some operand differs among lanes."""
    node, operands, _, size = given
    if not size:
        return [(filled(0, of_lanes(t, 0), operands[0]), True) for t in node.types]
    if node.op is not CALL:
        made = _row(given)
    elif (batch := node.attrs["kind"].batch) is not None:
        made = batch(given)
    else:
        raise refused(node, "has no rule for lanes")
    return [(named(t, of_lanes(type_, size) if m else type_), m) for (t, m), type_ in zip(made, node.types)]


def _row(given: Batched) -> list[tuple[Tensor, bool]]:
    node, operands, mapped, size = given
    op, lanes = node.op, Lanes(size, tuple(mapped))
    if op.batch is not None:
        made = op.batch(lanes, *operands, **node.attrs)
    elif op.kind.alias:
        return [(call(op, operands, dict(node.attrs)), mapped[0])]
    elif op.kind.effect:
        raise refused(node, "acts, and has no rule for lanes")
    elif op.kind.pointwise:  # operands have all axes of the result, in front of which lanes broadcast
        made = call(op, operands, dict(node.attrs))
    else:
        made = call(op, lanes.all(*operands), shifted(op, node.attrs, size))
    return [(t, True) for t in results_of(made)]
