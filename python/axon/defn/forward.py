"""Forward-mode derivatives: the graph of a function is run with tangents beside its values. All of it is ordinary nx
calls, so it runs eagerly, compiles inside a trace, and composes with itself and with gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import tree
from ..errors import GradientError, StructureError
from ..graph.expr import Graph, Value, cut
from ..graph.reach import behind
from ..graph.trace import trace
from ..nx.core.backend import beside
from ..nx.core.number import scalar_type
from ..nx.core.tensor import Tensor
from ..nx.creation import asarray
from .common import describe, filled, placed
from .evaluate import inlined, replay
from .grad import Run, first_of, run_of
from .region import callables
from .tangents import push, solid


def jvp(
    function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], *, has_aux: bool = False
) -> tuple[Any, ...]:
    """function(*primals), and its derivative along `tangents`: (result, tangent), each of the result's structure.

    A tangent has the type of the argument's leaf that it belongs to, None stands for 0; what is not float has None. So
    has the result: None where it is not float. has_aux: function returns (result, aux), and jvp gives (result, tangent,
    aux). GradientError for a tangent of another type, or where an op on the way has no derivative.

    >>> y, t = jvp(nx.sin, (0.0,), (2.0,))
    >>> y.item(), t.item()
    (0.0, 2.0)
    """
    return along("jvp", function, primals, tangents, has_aux)


def along(
    name: str, function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool
) -> tuple[Any, ...]:
    """`jvp`, for a transformation of that name."""
    callables(name, function=function)
    leaves, structure = _arguments(name, primals)
    given = _tangents(name, structure, tangents)
    moving = [i for i, t in enumerate(given) if t is not None]
    with beside([x for x in leaves if isinstance(x, Tensor)]):
        points = [asarray(leaves[i]) for i in moving]
        directions = [_direction(given[i], x) for i, x in zip(moving, points)]
    _check(name, structure, moving, points, directions)

    def over(*xs: Tensor) -> Any:
        given = dict(zip(moving, xs))
        return function(*tree.unflatten(structure, [given.get(i, x) for i, x in enumerate(leaves)]))

    with beside(points):
        traced = trace(over, tuple([x.type for x in points]))
        made, found = push(traced.graph, [*points, *traced.captured], [*directions, *[None] * len(traced.captured)])
        value = tree.unflatten(traced.structure, made)
        if not has_aux:
            return value, tree.unflatten(traced.structure, _shown(made, found))
        first_of(name, value)
        inner = traced.structure.children()[0]
        return value[0], tree.unflatten(inner, _shown(made, found)[: inner.size]), value[1]


def linearize(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """function(*primals), and the linear function that maps tangents of the arguments to the result's: (result, tangent
    function). What does not depend on tangents is computed once, however often that is called.

    Arguments that are not float take the tangent None. has_aux: function returns (result, aux), and linearize gives
    (result, tangent function, aux). GradientError as `jvp`.

    >>> y, push = linearize(lambda x, y: x * y, nx.tensor(2.0), nx.tensor(5.0))
    >>> y.item(), push(1.0, 0.0).item(), push(0.0, 1.0).item()
    (10.0, 5.0, 2.0)
    """
    callables("linearize", function=function)
    leaves, structure = _arguments("linearize", primals)
    with beside([x for x in leaves if isinstance(x, Tensor)]):
        floats = [asarray(x).dtype.is_float for x in leaves]
    moving = [i for i, is_float in enumerate(floats) if is_float]

    def over(xs: Sequence[Any]) -> Any:
        given = dict(zip(moving, xs))
        return function(*tree.unflatten(structure, [given.get(i, x) for i, x in enumerate(leaves)]))

    run = run_of("linearize", over, [leaves[i] for i in moving], function, lambda traced, count: False)
    points = [run.record.env[v] for v in run.record.wrt]
    primal, inner = run.value, tree.structure(run.value)
    if has_aux:
        primal = first_of("linearize", primal)
        inner = tree.structure(primal)
    linear = linear_of(run, run.outputs[: inner.size])

    def tangent(*tangents: Any) -> Any:
        given = _tangents("linearize", structure, tangents)
        if unmoved := [i for i, t in enumerate(given) if t is not None and not floats[i]]:
            where = tree.show(structure.paths()[unmoved[0]])
            raise GradientError(
                f"linearize: expected None as the tangent of argument {where}, which is not float and has no "
                f"derivative, got {describe(given[unmoved[0]])}; give None, or cast the argument with astype(float32)"
            )
        with beside(points):
            directions = [
                filled(0, x.type, x) if given[i] is None else _direction(given[i], x) for i, x in zip(moving, points)
            ]
        _check("linearize", structure, moving, points, directions)
        return tree.unflatten(inner, linear(directions))

    return (primal, tangent, run.value[1]) if has_aux else (primal, tangent)


def linear_of(run: Run, outputs: Sequence[Value]) -> Callable[[Sequence[Tensor]], list[Tensor | None]]:
    """The function from tangents of a run's float arguments to those of its outputs; None where one is not float."""
    graph, wrt, _, env, _ = run.record
    points, n = [env[v] for v in wrt], len(wrt)
    others, floats = [None] * (len(graph.inputs) - n), [v.type.dtype.is_float for v in outputs]
    again = Graph(graph.inputs, outputs)  # its effects have taken place

    def over(*tangents: Tensor) -> list[Tensor]:
        made, found = push(again, [env[v] for v in graph.inputs], [*tangents, *others], env)
        return solid(found, made, floats)

    with beside(points):
        traced = trace(over, tuple([x.type for x in points]))
        given, fixed = traced.graph.inputs[:n], traced.graph.inputs[n:]
        moving = behind(traced.graph, given)
        read = [v for node in traced.graph.nodes if any(v in moving for v in node.inputs) for v in node.inputs]
        known = tuple(dict.fromkeys(v for v in (*read, *traced.graph.outputs) if v not in moving))
        once = replay(Graph(fixed, known), traced.captured)
    rest = cut(traced.graph, given, known)

    def linear(tangents: Sequence[Tensor]) -> list[Tensor | None]:
        with beside(points):
            return placed(inlined(rest, [*tangents, *[once[v] for v in known]]), floats)

    return linear


def _arguments(name: str, primals: Any) -> tuple[list[Any], tree.Structure]:
    if not isinstance(primals, (tuple, list)):
        raise GradientError(f"{name}: expected a tuple of arguments, got {describe(primals)}; write (x,) for one")
    return tree.flatten(tuple(primals))


def _tangents(name: str, structure: tree.Structure, given: Any) -> list[Any]:
    """The tangent of each leaf of the arguments: None of those that have none."""
    parts = structure.children()
    if not isinstance(given, (tuple, list)) or len(given) != len(parts):
        got = f"{len(given)} of them" if isinstance(given, (tuple, list)) else describe(given)
        raise GradientError(f"{name}: expected tangents for {len(parts)} arguments, got {got}; None stands for 0")
    found: list[Any] = []
    for i, (part, tangent) in enumerate(zip(parts, given)):
        try:
            found += [None] * part.size if tangent is None else tree.flatten_like(part, tangent)
        except StructureError as error:
            raise GradientError(f"{name}: expected a tangent like argument {i}; {error}") from None
    return found


def _direction(tangent: Any, x: Tensor) -> Tensor:
    """A tangent as a tensor; a Python number has the dtype of what it belongs to."""
    return asarray(tangent, x.dtype if scalar_type(tangent) in (int, float) and x.dtype.is_float else None)


def _check(
    name: str, structure: tree.Structure, moving: Sequence[int], points: Sequence[Tensor], directions: Sequence[Tensor]
) -> None:
    """Refuse tangents that are not of the types of what they belong to."""
    for i, x, t in zip(moving, points, directions, strict=True):
        where = tree.show(structure.paths()[i])
        if not x.dtype.is_float:
            raise GradientError(
                f"{name}: expected None as the tangent of argument {where}, {x.type}, which has no derivative, got "
                f"{t.type}; give None, or cast the argument with astype(float32)"
            )
        if (t.dtype, t.shape) != (x.dtype, x.shape):
            advice = "broadcast or cast it"
            raise GradientError(f"{name}: expected a tangent of {x.type} for argument {where}, got {t.type}; {advice}")


def _shown(made: Sequence[Tensor], found: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The tangents of results: 0 where none came, None where one is not float."""
    floats = [y.dtype.is_float for y in made]
    return placed(solid(found, made, floats), floats)
