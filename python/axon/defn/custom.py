"""custom_grad: a function with a gradient of its own, and the row of the node it makes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .. import tree
from ..errors import GradientError, StructureError
from ..graph.expr import Node
from ..graph.regions import Agreement, Backward, Batched, Forward, Region, run_first, types_of_first
from ..graph.trace import effects_so_far, trace
from ..nx.core.lanes import spread
from ..nx.core.tensor import Tensor, TensorType
from ..nx.creation import asarray
from ..nx.filled import zeros
from ..nx.rows.reductions import sum_
from .backward import quiet
from .batching import region, run
from .common import at, describe, placed, with_zeros
from .evaluate import inlined
from .region import again, call, close
from .tangents import transpose


def custom_grad(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function with a gradient of its own: `function` returns (result, pullback), where pullback maps a cotangent of
    the result to the gradient of its argument, or to a tuple of gradients where it has several arguments (None: zero).

    Arguments are trees of tensors, by position: functools.partial fixes options of `function` before. Differentiating
    by a tensor that it captures raises GradientError.

    >>> @custom_grad
    ... def clipped(x):
    ...     return x, lambda g: nx.clip(g, -1.0, 1.0)
    >>> grad(lambda x: 5 * clipped(x))(nx.tensor(2.0)).item()
    1.0
    """

    def gradients(pullback: Callable[..., Any], given: Leaves, made: Leaves, gs: Sequence[Tensor]) -> list[Tensor]:
        found = pullback(tree.unflatten(made.structure, gs))
        several = len(given.structure.children()) > 1
        return checked("custom_grad", "a pullback", given.structure, given.types, found if several else (found,))

    return with_rule(function, CUSTOM_GRAD, "pullback", gradients, lambda given, made: made)


class Leaves(NamedTuple):
    """The leaves of a tree by their types."""

    structure: tree.Structure
    types: tuple[TensorType, ...]


def with_rule(
    function: Callable[..., Any],
    kind: Region,
    name: str,
    follow: Callable[[Callable[..., Any], Leaves, Leaves, Sequence[Tensor]], list[Tensor]],
    operands: Callable[[Sequence[TensorType], Sequence[TensorType]], Sequence[TensorType]],
) -> Callable[..., Any]:
    """What `function` gives first, as a call node of `kind` whose second region is the rule that it gives second.

    name: of the rule. follow: (rule, arguments, results, tensors) -> what the rule makes of tensors, whose types are
    `operands` of those of arguments and results.
    """

    @functools.wraps(function)
    def wrapped(*args: Any, **options: Any) -> Any:
        refuse_options(function, kind.name, options)
        leaves, structure = tree.flatten(args)
        tensors = [asarray(leaf) for leaf in leaves]
        given = Leaves(structure, tuple([t.type for t in tensors]))
        n, acted = len(tensors), 0

        def pair(xs: Sequence[Tensor]) -> tuple[Any, Callable[..., Any]]:
            made = function(*tree.unflatten(structure, xs))
            if not isinstance(made, tuple) or len(made) != 2 or not callable(made[1]):
                raise GradientError(f"{kind.name}: expected (result, {name}), got {describe(made)}; return a pair")
            return made

        forward = trace(lambda *xs: pair(xs)[0], given.types)
        made = Leaves(forward.structure, tuple(forward.graph.output_types))

        def run(*xs: Tensor) -> list[Tensor]:
            nonlocal acted
            rule = pair(xs[:n])[1]
            acted = effects_so_far()
            return follow(rule, given, made, xs[n:])

        traced = trace(run, (*given.types, *operands(given.types, made.types)))
        quieted = quiet(traced.graph, traced.graph.effects[:acted])  # those of the function, which are not repeated
        graphs, captured = close([forward, traced._replace(graph=quieted)])
        return tree.unflatten(made.structure, call(kind, graphs, [*tensors, *captured], arguments=n))

    return wrapped


def refuse_options(function: Callable[..., Any], name: str, options: Mapping[str, Any]) -> None:
    """Refuse arguments by name, whose place in a rule nothing says."""
    if options:
        raise TypeError(
            f"{getattr(function, '__name__', name)}: expected tensors by position, got {', '.join(options)}=; fix "
            f"options before: {name}(functools.partial(function, ...))"
        )


def checked(
    name: str, rule: str, structure: tree.Structure, types: Sequence[TensorType], gradients: Any
) -> list[Tensor]:
    """The leaves of a custom gradient, None as zeros, with the types of the arguments they belong to."""
    try:
        leaves = tree.flatten_like(structure, gradients)
    except StructureError as error:
        raise GradientError(
            f"{name}: expected {rule} that gives the gradient of its argument, or a tuple of one for each of "
            f"several (None: zero); {error}"
        ) from None
    found = []
    for path, type_, g in zip(structure.paths(), types, leaves, strict=True):
        expected = f"{name}: expected a gradient of {type_} for argument {tree.show(path)}, got"
        found.append(
            fitted(g, type_, expected, "of one argument return the gradient itself", "sum, broadcast or cast it")
        )
    return found


def fitted(given: Any, type_: TensorType, expected: str, alone: str, advice: str) -> Tensor:
    """A leaf that a user's rule gave, None as zeros, if it has the type; else the error, with what to do about a
    container, and about another type."""
    if isinstance(given, (tuple, list, dict)):
        raise GradientError(f"{expected} {describe(given)}; {alone}")
    made = zeros(type_.shape, type_.dtype) if given is None else asarray(given)
    if (made.dtype, made.shape) != (type_.dtype, type_.shape):
        raise GradientError(f"{expected} {made.type}; {advice}")
    return made


def _agreements(node: Node) -> Iterator[Agreement]:
    given, (forward, backward) = [v.type for v in node.inputs], node.attrs["regions"]
    count = node.attrs["arguments"]
    yield "inputs of the forward region", given, forward.input_types
    yield "inputs of the backward region", [*given[:count], *node.types, *given[count:]], backward.input_types
    yield "gradients", given[:count], backward.output_types


def refuse_captured(name: str, node: Node, marks: Sequence[bool]) -> None:
    """Refuse to differentiate by what a function with a rule of its own captured: the rule says nothing of it."""
    n = node.attrs["arguments"]
    if any(marks[n:]):
        captured = node.inputs[n:][list(marks[n:]).index(True)].type
        raise GradientError(
            f"{name}{at(node)}: expected gradients of its arguments only, got a captured {captured} that is "
            f"differentiated; pass it as an argument, or through stop_grad"
        )


def _pull(given: Backward) -> list[Tensor | None]:
    node, n = given.node, given.node.attrs["arguments"]
    refuse_captured("custom_grad", node, given.wanted)
    region, captured = node.attrs["regions"][1], given.operands[n:]
    return [*inlined(region, [*given.operands[:n], *given.gs, *captured]), *(None for _ in captured)]


def _batch(given: Batched) -> list[tuple[Tensor, bool]]:
    """Both regions over all lanes. All results differ among lanes, so that their gradients do: that of an argument
    which does not is the sum over lanes."""
    (forward, backward), n = given.node.attrs["regions"], given.node.attrs["arguments"]
    count, mapped, size = len(given.node.types), given.mapped, given.size
    graph, found = region(forward, mapped, size, (True,) * count)

    def gradients(*xs: Tensor) -> list[Tensor]:
        made, differ = run(backward, xs, [*mapped[:n], *found, *mapped[n:]], size)
        return [_shared(g, d, m, size) for g, d, m in zip(made, differ, mapped)]

    given_types = [t.type for t in given.operands]
    types = (*given_types[:n], *graph.output_types, *given_types[n:])
    regions = [graph, trace(gradients, types).graph]
    return list(zip(again(given.node, regions, given.operands), found))


def _shared(g: Tensor, differs: bool, mapped: bool, size: int) -> Tensor:
    """The gradient of an argument, of all lanes if it is mapped."""
    if differs == mapped:
        return g
    return spread(g, size) if mapped else sum_(g, axis=(0,))


def _push(given: Forward) -> tuple[list[Tensor], list[Tensor | None]]:
    """The transposed of the backward region, which is to be linear in the cotangents."""
    node, n = given.node, given.node.attrs["arguments"]
    refuse_captured("custom_grad", node, [t is not None for t in given.tangents])
    (_, backward), arguments, captured = given.regions, given.operands[:n], given.operands[n:]
    marks = [t is not None for t in given.tangents[:n]]
    results = again(node, given.regions, given.operands)

    def back(*gs: Tensor) -> list[Tensor]:
        made = inlined(backward, [*arguments, *with_zeros(gs, results), *captured])
        return [g for g, mark in zip(made, marks) if mark]

    moving = [y.dtype.is_float for y in results]
    types = [y.type for y in results if y.dtype.is_float]
    found = transpose(back, types, [t for t in given.tangents if t is not None])
    if found is None:
        raise GradientError(
            f"jvp: custom_grad{at(node)}: expected a pullback that is linear in its cotangent, got one that is not, "
            f"which has no tangents; give the function a custom_jvp, or differentiate in reverse (grad, vjp, jacrev)"
        )
    return results, placed(found, moving)


# inputs: arguments, captured; forward: inputs -> results; backward: (arguments, a cotangent a result, captured) -> a
# gradient an argument
CUSTOM_GRAD = Region(
    "custom_grad",
    types=types_of_first,
    agreements=_agreements,
    evaluate=run_first,
    pull=_pull,
    inline=True,
    batch=_batch,
    push=_push,
)
