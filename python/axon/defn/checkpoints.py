"""checkpoint: a function whose gradient computes again what it would have kept, and the row of the node it makes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, overload

from .. import tree
from ..errors import TraceError
from ..graph.expr import INPUT, Graph, Node, values_of
from ..graph.reach import derivative_flow, of_first
from ..graph.regions import Agreement, Backward, Batched, Forward, Region, run_first, types_of_first
from ..graph.trace import trace
from ..nx.core.convert import is_array
from ..nx.core.op import find
from ..nx.core.tensor import Tensor
from ..nx.creation import asarray
from ..nx.rows.movement import named
from ..nx.rows.sequencing import after
from . import checkpoint_policies as checkpoint_policies
from .backward import pulled, quiet
from .batching import region
from .checkpoint_policies import Policy, candidate, nothing
from .common import placed
from .evaluate import carried_out
from .region import again, call, callables, close
from .tangents import push, solid

NAMED = find("named")
Function = TypeVar("Function", bound=Callable[..., Any])


@overload
def checkpoint(function: Function, *, policy: Policy = nothing) -> Function: ...
@overload
def checkpoint(*, policy: Policy = nothing) -> Callable[[Function], Function]: ...
def checkpoint(function: Callable[..., Any] | None = None, *, policy: Policy = nothing) -> Any:
    """A function of the same results whose gradient keeps its arguments only, and computes what lies between again.

    policy: what else is kept, of `axon.checkpoint_policies` (`dots`, `names("q", "k")`) or any function of a value's
    description; what loops, branches and custom gradients inside compute is theirs. Without a function it is a
    decorator. Arguments are trees of tensors and arrays (of any shapes and dtypes), and of anything else, such as
    numbers and texts, which the function gets as it is. The gradient has the same bits; a program takes less memory and
    more time. TraceError where `function` or `policy` is no function, or what is returned is no tensor.

    >>> @checkpoint(policy=checkpoint_policies.dots)
    ... def block(x, w):
    ...     return nx.tanh(nx.tanh(x @ w) @ w)
    >>> grad(lambda x: block(x, nx.ones((2, 2))).sum())(nx.zeros((1, 2))).tolist()
    [[4.0, 4.0]]
    """
    if function is None:
        return functools.partial(checkpoint, policy=policy)
    callables("checkpoint", function=function)
    if not callable(policy):
        raise TraceError(
            f"checkpoint: expected a policy that is a function, got {policy!r}; take one of axon.checkpoint_policies, "
            f"such as dots (nothing is the default)"
        )

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten((args, kwargs))
        operands = {i: asarray(x) for i, x in enumerate(leaves) if is_array(x)}

        def body(*given: Tensor) -> Any:
            tensors = dict(zip(operands, given))
            positional, options = tree.unflatten(structure, [tensors.get(i, x) for i, x in enumerate(leaves)])
            return function(*positional, **options)

        traced = trace(body, tuple([t.type for t in operands.values()]))
        (graph,), captured = close([traced])
        kept = [v for node in graph.nodes if node.op is not INPUT for v in values_of(node) if policy(candidate(v))]
        graph = Graph(graph.inputs, (*graph.outputs, *kept), graph.effects)
        made = call(CHECKPOINT, [graph], [*operands.values(), *captured], kept=len(kept))
        return tree.unflatten(traced.structure, made[: len(made) - len(kept)])

    return wrapped


def name(value: Any, label: str) -> Any:
    """The same tree of tensors, under a label by which `checkpoint_policies.names` keeps them. TypeError unless that is
    a text.

    >>> f = checkpoint(lambda x: name(x * x, "square") * x, policy=checkpoint_policies.names("square"))
    >>> grad(lambda x: f(x))(nx.tensor(2.0)).item()
    12.0
    """
    if not isinstance(label, str) or not label:
        raise TypeError(f"name: expected a label that is a text, got {label!r}; write one such as 'scores'")
    return tree.map(lambda leaf: named(leaf, label), value)


def _agreements(node: Node) -> Iterator[Agreement]:
    (body,) = node.attrs["regions"]
    yield "inputs of the body", [v.type for v in node.inputs], body.input_types


def _record(
    node: Node, operands: list[Tensor], wanted: Sequence[bool], asked: Sequence[bool]
) -> tuple[list[Tensor], list[Tensor]]:
    """The results, of which the last are kept."""
    made = carried_out(node, operands)
    return made, made[len(made) - node.attrs["kept"] :]


def _pull(given: Backward) -> list[Tensor | None]:
    """The gradients of the region, run again once those of its results are there: nothing of the first run is used but
    what is kept, and nothing that was computed of that."""
    (body,), reached = given.node.attrs["regions"], [g for g, there in zip(given.gs, given.reached) if there]
    body = quiet(body)
    later = lambda x: functools.reduce(after, reached, x)  # noqa: E731
    kept = dict(zip(body.outputs[len(body.outputs) - len(given.residuals) :], map(later, given.residuals)))
    for value, x in list(kept.items()):
        while value.node.op is NAMED:  # what has a label is there, too
            kept[value := value.node.inputs[0]] = x
    gs = [g if there else None for g, there in zip(given.gs, given.reached)]
    return pulled(body, [later(x) for x in given.operands], gs, given.wanted, kept)


def _batch(given: Batched) -> list[tuple[Tensor, bool]]:
    graph, found = region(given.node.attrs["regions"][0], given.mapped, given.size)
    return list(zip(again(given.node, [graph], given.operands), found))


def _push(given: Forward) -> tuple[list[Tensor], list[Tensor | None]]:
    """A checkpoint of the region with its tangents: the gradient of a tangent keeps no more than these operands."""
    (body,), n = given.regions, len(given.operands)
    marks = [t is not None for t in given.tangents]
    moving = derivative_flow(body, marks)

    def both(*xs: Tensor) -> list[Tensor]:
        made, found = push(body, xs[:n], placed(xs[n:], marks))
        return [*solid(found, made, moving), *made]

    operands = [*given.operands, *[t for t in given.tangents if t is not None]]
    graphs, captured = close([trace(both, tuple([t.type for t in operands]))])
    results = again(given.node, graphs, [*operands, *captured])
    count = sum(moving)
    return results[count:], placed(results[:count], moving)


# inputs: operands; body: operands -> results, of which the last `kept` are what the gradient need not compute again
CHECKPOINT = Region(
    "checkpoint",
    types=types_of_first,
    agreements=_agreements,
    evaluate=run_first,
    pull=_pull,
    record=_record,
    inline=True,
    batch=_batch,
    push=_push,
    flow=of_first,
)
