"""The gradient of a scan: a scan from the last step to the first, over what the steps of the first kept.

One step and its gradient are traced together. What the gradient needs of the step is kept where it is dear to compute
(products, windows, loops, what acts), and computed again from that where it is cheap. Gradients of captured tensors are
summed in the carry; but where each step's is a product of two tensors, the sum over the steps is one product of the
stacked ones after the loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..graph.expr import INPUT, Builder, Graph, Node, Value, values_of
from ..graph.reach import asked_of_step, behind, derivative_flow, looped
from ..graph.regions import Backward
from ..graph.trace import effects_so_far, trace
from ..nx.core.call import call as row
from ..nx.core.tensor import Tensor, TensorType
from ..nx.rows.contractions import dot_general
from ..nx.rows.conversion import astype
from ..nx.rows.movement import reshape
from ..nx.rows.reductions import sum_
from .backward import pull, record
from .common import filled, named, placed
from .region import again


class Kept(NamedTuple):
    """What a differentiated scan leaves for its gradient."""

    step: Graph  # carry, rows, captured, gradients of the results -> the results, then the wanted gradients
    acted: int  # how many of its effects, the first, are the step's own; the others are of its gradient
    wanted: Sequence[bool]  # of the step's first inputs: those with a gradient
    saved: Sequence[Value]  # values of the step
    stacked: Sequence[Tensor]  # theirs, of all steps


def record_scan(
    node: Node, operands: list[Tensor], wanted: Sequence[bool], asked: Sequence[bool]
) -> tuple[list[Tensor], Kept]:
    """The same scan, which also stacks what its gradient needs."""
    (body,) = node.attrs["regions"]
    step, acted, wanted = _with_gradient(node, wanted, asked)
    given = step.inputs[: len(body.inputs)]
    gradients = [*step.outputs[len(body.outputs) :], *(v for effect in step.effects[acted:] for v in effect.inputs)]
    saved = _saved(step, given, given[node.attrs["carry"] :], gradients)
    keeping = Graph(given, (*step.outputs[: len(body.outputs)], *saved), step.effects[:acted])
    made = again(node, [keeping], operands)
    return made[: len(node.types)], Kept(step, acted, wanted, saved, made[len(node.types) :])


def _with_gradient(node: Node, wanted: Sequence[bool], asked: Sequence[bool]) -> tuple[Graph, int, Sequence[bool]]:
    """A step and its gradient as one graph, how many effects the step has, and which inputs have a gradient: a carry
    that comes to depend on one that has, has one. Results that nobody asks for have none, nor has what gives these."""
    (body,), n = node.attrs["regions"], node.attrs["carry"]
    wanted, _ = looped(body, list(wanted), n, derivative_flow)
    asked = asked_of_step(body, asked, n)
    acted = 0

    def both(*leaves: Tensor) -> list[Tensor]:
        nonlocal acted
        inputs, gs = leaves[: len(body.inputs)], leaves[len(body.inputs) :]
        wrt = [v for v, needed in zip(body.inputs, wanted) if needed]
        made = record(body, inputs, wrt)
        acted = effects_so_far()
        sent = [(v, g) for v, g, a in zip(body.outputs, gs, asked) if a and v in made.active]
        return [*(made.env[v] for v in body.outputs), *pull(made, sent)]

    return trace(both, (*body.input_types, *body.output_types)).graph, acted, wanted


def _saved(step: Graph, given: Sequence[Value], free: Iterable[Value], gradients: Iterable[Value]) -> list[Value]:
    """The values of a step that its gradients, and what else acts for them, are computed from, but for those that are
    there anyway: `free`. (Of a chain behind a product its end could be kept instead: a kernel more, and no faster.)"""
    late = behind(step, step.inputs[len(given) :])
    there, saved = {*free}, dict[Value, None]()
    pending = [v for node in step.nodes if Value(node, 0) in late for v in node.inputs]
    pending += gradients
    seen = set[Value]()
    while pending:
        value = pending.pop()
        if value in seen or value in late or value in there:
            continue
        seen.add(value)
        op = value.node.op
        if op is INPUT or not op.kind.fused:
            saved[value] = None
        else:
            pending += value.node.inputs
    order = {node: k for k, node in enumerate(step.nodes)}
    return sorted(saved, key=lambda v: (order[v.node], v.index))


def pull_scan(given: Backward) -> list[Tensor | None]:
    """The gradients of a scan's wanted operands."""
    node, kept = given.node, given.residuals
    assert isinstance(kept, Kept)
    step, (body,), n = kept.step, node.attrs["regions"], node.attrs["carry"]
    end, count = n + node.attrs["xs"], len(body.inputs)
    inputs, lasts, tops = step.inputs[:count], step.inputs[count : count + n], step.inputs[count + n :]
    found = placed(step.outputs[len(body.outputs) :], kept.wanted)
    carry = {
        i: (lasts[i], v) for i, v in enumerate(found[:n]) if v is not None
    }  # its gradients after and before a step
    gs = [named(g, t) for g, t in zip(given.gs, node.types)]

    # What is there of all steps, and what the reversed scan adds: gradients of rows, factors of products to be summed.
    there = {
        **dict(zip(kept.saved, kept.stacked)),
        **dict(zip([*inputs[n:end], *tops], [*given.operands[n:end], *gs[n:]])),
    }
    captured = [v for v in found[end:] if v is not None]
    sums = Sums(behind(step, [*inputs[:end], *lasts, *tops]), there)
    terms = sums.terms(captured)
    summed = [v for v, factors in zip(captured, terms) if factors is None]
    rows = [v for v in (*found[n:end], *(f for factors in terms for f in factors or ())) if v is not None]
    made = [v for v in dict.fromkeys(rows) if v not in there]

    zeros = [filled(0, TensorType(v.type.dtype.computed_in, v.type.shape), given.gs[0]) for v in summed]
    region = _turned(step, [*carry.values()], summed, [*there], inputs[end:], made, step.effects[kept.acted :])
    operands = [*(gs[i] for i in carry), *zeros, *there.values(), *given.operands[end:]]
    turned = {"carry": len(carry) + len(zeros), "xs": len(there), "reverse": not node.attrs["reverse"]}
    results = iter(again(node, [region], operands, **turned))
    first = dict(zip(carry, results))
    total = {v: astype(t, v.type.dtype) for v, t in zip(summed, results)}
    there.update(zip(made, results))
    of_captured = [total[v] if v in total else sums.total(v, there, given.gs[0]) for v in captured]
    of_rows = [None if v is None else there[v] for v in found[n:end]]
    return [*map(first.get, range(n)), *of_rows, *placed(of_captured, kept.wanted[end:])]


def _turned(
    step: Graph,
    ends: Sequence[tuple[Value, Value]],
    summed: Sequence[Value],
    rows: Sequence[Value],
    captured: Sequence[Value],
    made: Sequence[Value],
    effects: Sequence[Node],
) -> Graph:
    """The body of the reversed scan: (the carry's gradients after the step, sums, rows, captured) -> (its gradients
    before, sums, what is made), with these effects."""
    builder, (lasts, firsts) = Builder(), zip(*ends) if ends else ((), ())
    new = {v: v if v.node.op is INPUT else builder.input(v.type) for v in (*lasts, *rows, *captured)}
    given = [new[v] for v in (*lasts, *rows, *captured)]
    wanted = [*firsts, *summed, *made]
    needed = set(effects)
    pending = [v for v in (*wanted, *(v for node in effects for v in node.inputs)) if v not in new]
    while pending:
        node = pending.pop().node
        if node not in needed:
            needed.add(node)
            pending += [v for v in node.inputs if v not in new]
    for node in step.nodes:
        if node in needed:
            kept = builder.keep(node, tuple([new[v] for v in node.inputs]))
            new.update({v: made for v, made in zip(values_of(node), values_of(kept)) if v not in new})
    sums = [builder.input(TensorType(v.type.dtype.computed_in, v.type.shape)) for v in summed]
    added = [builder.apply("add", s, builder.apply("astype", new[v], dtype=s.type.dtype)) for s, v in zip(sums, summed)]
    inputs = [*given[: len(lasts)], *sums, *given[len(lasts) :]]
    return Graph(inputs, [*(new[v] for v in firsts), *added, *(new[v] for v in made)], builder.effects)


class Sums:
    """Sums of a value over all steps, as sums of products: of what moves, adds, casts or sums those, too."""

    def __init__(self, varying: set[Value], stacked: Iterable[Value]) -> None:
        self.varying = varying  # what differs from step to step
        self.stacked = set(stacked)  # what is there of all steps

    def terms(self, values: Sequence[Value]) -> list[list[Value] | None]:
        """What each value's sum is made of, in values of the step; None where it is none of products."""
        for factors in map(self._terms, values):
            self.stacked.update(factors or ())
        return [self._terms(v) for v in values]  # again: a sum is of products whose factors are there

    def _terms(self, value: Value) -> list[Value] | None:
        op, inputs = value.node.op, value.node.inputs
        if op.name == "dot_general":
            return list(inputs) if self.varying.issuperset(inputs) else None
        if op.name == "sum":
            return list(inputs) if self.stacked.issuperset(inputs) else None
        if _is_zero(value):
            return []
        if not (op.kind.moves or op.name in ("add", "astype")):
            return None
        found = [self._terms(v) for v in inputs]
        return None if None in found else [v for terms in found for v in terms or ()]

    def total(self, value: Value, there: Mapping[Value, Tensor], like: Tensor) -> Tensor:
        """The sum, of what the terms were in all steps, where `like` is."""
        node, attrs = value.node, value.node.attrs
        if _is_zero(value):
            return filled(0, value.type, like)
        if node.op.name == "dot_general":
            contract, batch = ([_next(axes) for axes in attrs[which]] for which in ("contract", "batch"))
            a, b = (there[v] for v in node.inputs)
            return dot_general(a, b, contract=((0, *contract[0]), (0, *contract[1])), batch=(batch[0], batch[1]))
        if node.op.name == "sum":
            return reshape(sum_(there[node.inputs[0]], axis=(0, *_next(attrs["axis"]))), value.type.shape)
        return row(node.op, [self.total(v, there, like) for v in node.inputs], dict(attrs))


def _next(axes: Iterable[int]) -> tuple[int, ...]:
    """Numbers of axes of a step, in what is stacked of all steps."""
    return tuple([axis + 1 for axis in axes])


def _is_zero(value: Value) -> bool:
    """Whether a value is a literal 0 everywhere."""
    while value.node.op.kind.moves and len(value.node.inputs) == 1:
        (value,) = value.node.inputs
    return value.node.op.kind.creates and value.node.attrs.get("value") == 0
