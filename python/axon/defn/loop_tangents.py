"""The tangents of loops: the same loop, in which those of carry, rows and captured tensors lie beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from ..graph.expr import Graph, Node
from ..graph.reach import asked_of_step, derivative_flow, looped
from ..graph.regions import Forward, Marks, Through
from ..graph.trace import trace
from ..nx.core.tensor import Tensor
from .common import placed
from .evaluate import inlined
from .region import again
from .tangents import Tangent, push, solid

Pushed = tuple[list[Tensor], list[Tangent]]


def push_while(given: Forward) -> Pushed:
    """Of a while: how often it runs is no matter."""
    condition, body = given.regions
    n = given.node.attrs["carry"]
    return _push(given, body, [n, len(body.inputs)], [n], condition)


def push_scan(given: Forward) -> Pushed:
    """Of a scan."""
    (body,), attrs = given.regions, given.node.attrs
    n, end = attrs["carry"], attrs["carry"] + attrs["xs"]
    rows = sum(t is not None for t in given.tangents[n:end])
    return _push(given, body, [n, end, len(body.inputs)], [n, len(body.outputs)], xs=attrs["xs"] + rows)


def flow_while(node: Node, marks: Marks, through: Through) -> Marks:
    """Results depend on the condition, too."""
    condition, body = node.attrs["regions"]
    marks, made = looped(body, marks, node.attrs["carry"], through)
    return [mark or any(through(condition, marks)) for mark in made]


def flow_scan(node: Node, marks: Marks, through: Through) -> Marks:
    """Through any number of steps."""
    return looped(node.attrs["regions"][0], marks, node.attrs["carry"], through)[1]


def _push(given: Forward, body: Graph, inputs: list[int], outputs: list[int], *tests: Graph, **attrs: Any) -> Pushed:
    """`inputs` and `outputs` of the body are parts that end there; the first of each is the carry."""
    n = inputs[0]
    asked = asked_of_step(body, given.asked, n)
    marks, moving = looped(body, [t is not None for t in given.tangents], n, derivative_flow)
    moving = [mark and a for mark, a in zip(moving, asked)]
    marks = [*moving[:n], *marks[n:]]
    types = _beside(body.input_types, [t if mark else None for t, mark in zip(body.input_types, marks)], inputs)

    def step(*xs: Tensor) -> list[Tensor]:
        made, found = push(body, *_apart(xs, marks, inputs), asked=asked)
        return _beside(made, placed(solid(found, made, moving), moving), outputs)

    def test(region: Graph) -> Callable[..., list[Tensor]]:
        return lambda *xs: inlined(region, _apart(xs, marks, inputs)[0])

    regions = [trace(f, tuple(types)).graph for f in (*map(test, tests), step)]
    tangents = placed(solid(given.tangents, given.operands, marks), marks)
    operands = _beside(given.operands, tangents, inputs)
    carry = n + sum(marks[:n])
    results = again(given.node, regions, operands, carry=carry, **attrs)
    return _apart(results, moving, outputs)


def _beside(xs: Sequence[Any], tangents: Sequence[Any], ends: list[int]) -> list[Any]:
    """Each part of xs, and after it the tangents that are there."""
    parts = [(xs[a:b], tangents[a:b]) for a, b in pairwise([0, *ends])]
    return [x for part, ts in parts for x in (*part, *[t for t in ts if t is not None])]


def _apart(xs: Sequence[Tensor], marks: Marks, ends: list[int]) -> Pushed:
    """What `_beside` put together."""
    rest, values, tangents = iter(xs), list[Tensor](), list[Tangent]()
    for a, b in pairwise([0, *ends]):
        values += [next(rest) for _ in range(a, b)]
        tangents += [next(rest) if mark else None for mark in marks[a:b]]
    return values, tangents
