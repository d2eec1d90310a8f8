"""Reverse-mode gradients: trace the function, replay its graph over the actual tensors, walk back. All of it is
ordinary nx calls, so it runs eagerly, compiles inside a trace, and composes with itself."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from .. import tree
from ..errors import GradientError
from ..graph.expr import Value
from ..graph.trace import Traced, trace
from ..nx.core.backend import beside, tracing
from ..nx.core.tensor import Tensor, TensorType
from ..nx.creation import asarray
from ..nx.rows import movement
from .arguments import listed, place_of
from .backward import Record, pull, record
from .common import describe, filled
from .evaluate import inlined, replay
from .region import callables

Argnums = int | str | Sequence[int | str]


def grad(function: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a function that returns a float scalar, as a function of the same arguments.

    argnums: the argument differentiated, by position or name; several give a tuple. Each gradient has the structure,
    shapes and dtypes of its argument. has_aux: the function returns (scalar, aux), the gradient function (gradient,
    aux). GradientError where an argument is not float, the result no scalar, or an op on the way has no gradient.

    >>> grad(lambda w: (w * w).sum())(nx.tensor([1.0, 2.0])).tolist()
    [2.0, 4.0]
    """
    return gradient_of("grad", function, argnums, has_aux)


def gradient_of(name: str, function: Callable[..., Any], argnums: Argnums, has_aux: bool) -> Callable[..., Any]:
    """`grad`, for a transformation of that name."""
    both = _both(name, function, argnums, has_aux)

    @functools.wraps(function)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, gradients = both(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def value_and_grad(function: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False) -> Callable[..., Any]:
    """Like `grad`, but gives (value, gradient), or ((value, aux), gradient), at the cost of the gradient alone.

    >>> value, gradient = value_and_grad(lambda x: x**3)(nx.tensor(2.0))
    >>> value.item(), gradient.item()
    (8.0, 12.0)
    """
    return _both("grad", function, argnums, has_aux)


def _both(name: str, function: Callable[..., Any], argnums: Argnums, has_aux: bool) -> Callable[..., Any]:
    callables(name, function=function)

    @functools.wraps(function)
    def both(*args: Any, **kwargs: Any) -> Any:
        picked, rebuild = picked_of(name, function, argnums, args, kwargs)
        run = run_of(name, rebuild, picked, function)
        value = run.value
        scalar = first_of(name, value) if has_aux else value
        if not isinstance(scalar, Tensor):
            raise GradientError(f"{name}: expected a float scalar result, got {describe(value)}; {_RESULT_ADVICE}")
        if scalar.ndim or not scalar.dtype.is_float:
            raise GradientError(f"{name}: expected a float scalar result, got {scalar.type}; {_RESULT_ADVICE}")
        gradients = run.pull([(run.outputs[0], filled(1, scalar.type, scalar))])
        return value, gradients if several(argnums) else gradients[0]

    return both


_RESULT_ADVICE = "reduce it with nx.sum or nx.mean, return anything else through has_aux=True, or use vjp or jacobian"


def vjp(function: Callable[..., Any], *args: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """function(*args), and the function that maps a cotangent of the result to a tuple of gradients, one an argument.

    The cotangent has the structure and types of the result. has_aux: function returns (result, aux), and vjp gives
    (result, pullback, aux). GradientError where an argument is not float or an op has no gradient.

    >>> y, pullback = vjp(nx.multiply, nx.tensor(2.0), nx.tensor(5.0))
    >>> [g.item() for g in pullback(nx.tensor(1.0))]
    [5.0, 2.0]
    """
    callables("vjp", function=function)
    run = run_of("vjp", lambda picked: function(*picked), args, function)
    result = run.value
    primal = first_of("vjp", result) if has_aux else result
    outputs, structure = tree.flatten(primal)
    met: dict[tuple[TensorType, ...], Traced | None] = {}  # what was recorded of calls, by the types of cotangents

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        with beside(outputs):
            given = [asarray(g) for g in tree.flatten_like(structure, cotangent)]
        for path, y, g in zip(structure.paths(), outputs, given, strict=True):
            if (g.dtype, g.shape) != (y.dtype, y.shape):
                where = f" at {tree.show(path)}" if path else ""
                raise GradientError(f"vjp{where}: expected a cotangent of {y.type}, got {g.type}; broadcast or cast it")
        pull = lambda *gs: run.pull(list(zip(run.outputs, gs)))  # noqa: E731
        key = tuple([g.type for g in given])
        if tracing.get() is None or key not in met:
            met[key] = None
            return pull(*given)
        traced = met[key] = met[key] or trace(pull, key)  # called again (a Jacobian's rows): recorded once, and copied
        return tree.unflatten(traced.structure, inlined(traced.graph, [*given, *traced.captured]))

    return (primal, pullback, result[1]) if has_aux else (primal, pullback)


def first_of(name: str, value: Any) -> Any:
    """The result without its aux."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise GradientError(f"{name}: expected (result, aux) with has_aux=True, got {describe(value)}; return a pair")
    return value[0]


def stop_grad(value: Any) -> Any:
    """The same tree of tensors, through which no gradient flows.

    >>> grad(lambda x: x * stop_grad(x))(nx.tensor(3.0)).item()
    3.0
    """
    return tree.map(movement.stop_grad, value)


class Run(NamedTuple):
    """A function's run, remembered for its derivatives."""

    record: Record
    structures: tuple[tree.Structure, ...]  # of the differentiated arguments
    value: Any
    outputs: tuple[Value, ...]
    back: bool  # whether it keeps what walking back needs

    def pull(self, cotangents: Iterable[tuple[Value, Tensor]]) -> tuple[Any, ...]:
        """The gradients of the differentiated arguments, zeros where nothing depends on one."""
        with beside([self.record.env[v] for v in self.record.wrt]):
            found = iter(pull(self.record, cotangents))
        return tuple([tree.unflatten(s, [next(found) for _ in range(s.size)]) for s in self.structures])


def run_of(
    name: str,
    function: Callable[[Sequence[Any]], Any],
    picked: Sequence[Any],
    named: Any,
    back: Callable[[Traced, int], bool] = lambda traced, count: True,
) -> Run:
    """Trace and run a function of the differentiated arguments alone; all else it reads is captured. back: whether the
    run keeps what walking back needs, by the trace and how many of its inputs are differentiated."""
    flat = [tree.flatten(argument) for argument in picked]
    structures = tuple(structure for _, structure in flat)
    given = [leaf for leaves, _ in flat for leaf in leaves]
    with beside([leaf for leaf in given if isinstance(leaf, Tensor)]):
        tensors = [asarray(leaf) for leaf in given]
    paths = [(i, path) for i, s in enumerate(structures) for path in s.paths()]
    for (i, path), t in zip(paths, tensors):
        if not t.dtype.is_float:
            where = tree.show((i, *path)) if len(picked) > 1 or path else "0"
            raise GradientError(
                f"{name} of {getattr(named, '__name__', 'function')}: expected float inputs, got {t.type} as "
                f"differentiated argument {where}; cast it with astype(float32), or pass it outside argnums"
            )

    def over(*leaves: Tensor) -> Any:
        rest = iter(leaves)
        return function([tree.unflatten(s, [next(rest) for _ in range(s.size)]) for s in structures])

    with beside(tensors):
        traced = trace(over, tuple(t.type for t in tensors))
    graph = traced.graph
    given, wrt = [*tensors, *traced.captured], graph.inputs[: len(tensors)]
    kept = back(traced, len(tensors))
    made = record(graph, given, wrt) if kept else Record(graph, wrt, set(), replay(graph, given), {})
    value = tree.unflatten(traced.structure, [made.env[v] for v in graph.outputs])
    return Run(made, structures, value, graph.outputs, kept)


def several(argnums: Argnums) -> bool:
    """Whether there are several arguments, so that their gradients are a tuple."""
    return not isinstance(place_of(argnums), (int, str))


def picked_of(
    name: str, function: Callable[..., Any], argnums: Argnums, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """The arguments to differentiate, and the function of them with the others in place."""
    wanted = listed(argnums)
    places: list[int | str] = []
    for which in wanted:
        place: int | str = which
        if isinstance(which, str) and which not in kwargs:
            names = list(inspect.signature(function).parameters)
            place = names.index(which) if which in names else -len(args) - 1
        elif isinstance(which, int) and which < 0:
            place = which + len(args)
        if isinstance(place, int) and not 0 <= place < len(args):
            raise GradientError(
                f"{name}: expected argnums among the {len(args)} arguments given, got {which!r}; pass it"
            )
        if place in places:
            raise GradientError(f"{name}: expected each argument once in argnums, got {argnums!r}; drop one")
        places.append(place)

    def rebuild(picked: Sequence[Any]) -> Any:
        positional, named = list(args), dict(kwargs)
        for place, value in zip(places, picked, strict=True):
            if isinstance(place, int):
                positional[place] = value
            else:
                named[place] = value
        return function(*positional, **named)

    return [args[p] if isinstance(p, int) else kwargs[p] for p in places], rebuild
