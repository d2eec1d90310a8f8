"""What depends on what in a graph, seen through its regions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat

from .expr import CALL, INPUT, Graph, Node, Value, values_of
from .regions import Marks, Through


def reached(graph: Graph, given: Iterable[Value], counts: Callable[[Value], bool] = lambda value: True) -> set[Value]:
    """The values that depend on the given ones by way of values that count."""
    found = set(given)
    through: Through = lambda region, marks: flow(region, marks, counts)  # noqa: E731
    for node in graph.nodes:
        if node.op is INPUT or found.isdisjoint(node.inputs):
            continue
        made = _of_call(node, [v in found for v in node.inputs], through) if node.op is CALL else repeat(True)
        found.update([v for v, mark in zip(values_of(node), made) if mark and counts(v)])
    return found


def behind(graph: Graph, given: Iterable[Value]) -> set[Value]:
    """All results of the nodes that the given values reach: what is not among them can be computed without these. (A
    call node is carried out whole, though a result of its own may depend on none of them.)"""
    found = set(given)
    for node in graph.nodes:
        if not found.isdisjoint(node.inputs):
            found.update(values_of(node))
    return found


def sought(graph: Graph, asked: Iterable[bool] | None = None) -> set[Value]:
    """The floats of whose derivatives those of outputs (of which are asked) are made: where a path ends in stop_grad
    nothing is refused."""
    outputs = graph.outputs if asked is None else [v for v, mark in zip(graph.outputs, asked) if mark]
    found = {v for v in outputs if v.type.dtype.is_float}
    for node in reversed(graph.nodes):
        if node.op.nondifferentiable != "zero" and not found.isdisjoint(values_of(node)):
            found.update(v for v in node.inputs if v.type.dtype.is_float)
    return found


def asked_of_step(body: Graph, asked: Sequence[bool], carry: int) -> list[bool]:
    """Of which results a loop's step is asked for derivatives, if the loop is for those of some: what a carry gives
    later counts."""
    while True:
        found = sought(body, asked)
        more = [a or v in found for a, v in zip(asked[:carry], body.inputs)]
        if more == [*asked[:carry]]:
            return [*asked]
        asked = [*more, *asked[carry:]]


def flow(region: Graph, marks: Marks, counts: Callable[[Value], bool] = lambda value: True) -> Marks:
    """Which outputs the marked inputs reach."""
    found = reached(region, [v for v, mark in zip(region.inputs, marks, strict=True) if mark], counts)
    return [v in found for v in region.outputs]


def differentiable(value: Value) -> bool:
    """Whether a value that depends on one with a tangent may have one."""
    return value.type.dtype.is_float and value.node.op.nondifferentiable != "zero"


def derivative_flow(region: Graph, marks: Marks) -> Marks:
    """Which outputs have a tangent, or a gradient to send, if the marked inputs have one."""
    return flow(region, marks, differentiable)


def looped(body: Graph, marks: Marks, carry: int, through: Through) -> tuple[Marks, Marks]:
    """The marks of the inputs, and of the results, of a loop over a body whose first `carry` outputs are its inputs
    again. A carry that begins with a mark may end with it: the loop may have no steps."""
    while True:
        made = through(body, marks)
        more = [a or b for a, b in zip(marks, made[:carry])]
        if more == marks[:carry]:
            return marks, [*more, *made[carry:]]
        marks = [*more, *marks[carry:]]


def of_first(node: Node, marks: Marks, through: Through) -> Marks:
    """The flow of a kind that means its first region."""
    return through(node.attrs["regions"][0], marks)


def _of_call(node: Node, marks: Marks, through: Through) -> Marks:
    rule = node.attrs["kind"].flow
    return [True] * len(node.types) if rule is None else rule(node, marks, through)
