"""custom_jvp: a function with tangents of its own, and the row of the node it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .. import tree
from ..errors import GradientError, StructureError
from ..graph.expr import Graph, Node
from ..graph.regions import Agreement, Backward, Batched, Forward, Region, run_first, types_of_first
from ..nx.core.tensor import Tensor, TensorType
from .batching import region
from .common import at, describe, placed
from .custom import Leaves, fitted, refuse_captured, with_rule
from .evaluate import inlined
from .region import again
from .tangents import solid, transpose


def custom_jvp(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function with tangents of its own: `function` returns (result, pushforward), where pushforward maps the
    tangents of its arguments, in order, to the tangent of the result (None: zero).

    The pushforward is to be linear: the gradient in reverse is its transposed, so one rule does for both modes.
    Arguments are trees of tensors, by position; the tangent of an integer is None. GradientError for a tangent of
    another type, a pushforward that is not linear, and differentiation by a tensor that `function` captures.

    >>> @custom_jvp
    ... def log1pexp(x):
    ...     return nx.log1p(nx.exp(x)), lambda t: t * nx.sigmoid(x)
    >>> grad(log1pexp)(nx.tensor(0.0)).item(), jvp(log1pexp, (0.0,), (2.0,))[1].item()
    (0.5, 1.0)
    """

    def tangents(pushforward: Callable[..., Any], given: Leaves, made: Leaves, ts: Sequence[Tensor]) -> list[Tensor]:
        moving = placed(ts, [t.dtype.is_float for t in given.types])
        return _tangents_of(made.structure, made.types, pushforward(*tree.unflatten(given.structure, moving)))

    return with_rule(
        function, CUSTOM_JVP, "pushforward", tangents, lambda given, made: [t for t in given if t.dtype.is_float]
    )


def _tangents_of(structure: tree.Structure, types: Sequence[TensorType], made: Any) -> list[Tensor]:
    """The leaves of a tangent, those of floats only, None as zeros, with the types of the results they belong to."""
    try:
        leaves = [None] * len(types) if made is None else tree.flatten_like(structure, made)
    except StructureError as error:
        raise GradientError(
            f"custom_jvp: expected a pushforward that gives the tangent of the result (None: zero); {error}"
        ) from None
    found = []
    for path, type_, t in zip(structure.paths(), types, leaves, strict=True):
        where = f" at {tree.show(path)}" if path else ""
        expected = f"custom_jvp: expected a tangent of {type_}{where}, got"
        if type_.dtype.is_float:
            found.append(fitted(t, type_, expected, "of one result return the tangent itself", "broadcast or cast it"))
        elif t is not None:
            raise GradientError(f"custom_jvp: expected None as the tangent of {type_}{where}, got {describe(t)}")
    return found


def _agreements(node: Node) -> Iterator[Agreement]:
    given, (forward, pushed) = [v.type for v in node.inputs], node.attrs["regions"]
    count = node.attrs["arguments"]
    moving, results = ([t for t in types if t.dtype.is_float] for types in (given[:count], node.types))
    yield "inputs of the forward region", given, forward.input_types
    yield "inputs of the tangents' region", [*given[:count], *moving, *given[count:]], pushed.input_types
    yield "tangents", results, pushed.output_types


def _pushed(pushed: Graph, arguments: Sequence[Tensor], captured: Sequence[Tensor]) -> Callable[..., list[Tensor]]:
    """The region of tangents as a function of these."""
    return lambda *tangents: inlined(pushed, [*arguments, *tangents, *captured])


def _push(given: Forward) -> tuple[list[Tensor], list[Tensor | None]]:
    """The results as they are, and the region of tangents."""
    node, n = given.node, given.node.attrs["arguments"]
    refuse_captured("custom_jvp", node, [t is not None for t in given.tangents])
    arguments, captured = given.operands[:n], given.operands[n:]
    results = again(node, given.regions, given.operands)
    tangents = solid(given.tangents[:n], arguments, [x.dtype.is_float for x in arguments])
    found = _pushed(given.regions[1], arguments, captured)(*tangents)
    return results, placed(found, [y.dtype.is_float for y in results])


def _pull(given: Backward) -> list[Tensor | None]:
    """The transposed of the region of tangents, which is to be linear in these."""
    node, n = given.node, given.node.attrs["arguments"]
    refuse_captured("custom_jvp", node, given.wanted)
    arguments, captured = given.operands[:n], given.operands[n:]
    gs = [g for g, type_ in zip(given.gs, node.types) if type_.dtype.is_float]
    floats = [x.dtype.is_float for x in arguments]
    types = [x.type for x in arguments if x.dtype.is_float]
    found = transpose(_pushed(node.attrs["regions"][1], arguments, captured), types, gs)
    if found is None:
        raise GradientError(
            f"grad: custom_jvp{at(node)}: expected a pushforward that is linear in its tangents, got one that is not, "
            f"which has no transposed; give the function a custom_grad"
        )
    return [*placed(found, floats), *(None for _ in captured)]


def _batch(given: Batched) -> list[tuple[Tensor, bool]]:
    """Both regions over all lanes; all results, and so all tangents, differ among lanes."""
    (forward, pushed), n = given.node.attrs["regions"], given.node.attrs["arguments"]
    mapped, size = given.mapped, given.size
    graph, found = region(forward, mapped, size, (True,) * len(forward.outputs))
    moving = [m for m, x in zip(mapped, given.operands[:n]) if x.dtype.is_float]
    tangents, _ = region(pushed, [*mapped[:n], *moving, *mapped[n:]], size, (True,) * len(pushed.outputs))
    return list(zip(again(given.node, [graph, tangents], given.operands), found))


# inputs: arguments, captured; forward: inputs -> results; tangents: (arguments, a tangent a float argument, captured)
# -> a tangent a float result
CUSTOM_JVP = Region(
    "custom_jvp",
    types=types_of_first,
    agreements=_agreements,
    evaluate=run_first,
    pull=_pull,
    inline=True,
    batch=_batch,
    push=_push,
)
