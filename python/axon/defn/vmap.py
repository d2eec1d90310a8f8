"""vmap: a function of one element as a function of many at once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from operator import index
from typing import Any

from .. import tree
from ..errors import ShapeError, StructureError, TraceError
from ..graph.trace import trace
from ..nx.core.backend import beside
from ..nx.core.convert import is_array
from ..nx.core.lanes import moved, spread
from ..nx.core.rules import axis_of
from ..nx.core.tensor import Tensor, TensorType
from ..nx.creation import asarray
from .batching import run
from .region import callables, whole_number

Axis = int | str | None


def vmap(
    function: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    *,
    axis_name: str | None = None,
    size: int | None = None,
) -> Callable[..., Any]:
    """A function of one example as a function of many: it is traced for one, and carried out for all at once.

    in_axes: the axis along which arrays hold the examples, by number or name: one for all, or a tuple with an entry an
    argument; an entry is an axis, None (the same for every example), or a tree of such. Arrays by keyword have them
    along axis 0. What is no array is given to `function` as it is. out_axes: the axis of the results along which those
    of the examples are put, which has no name, or a tree of such; None for a result that is the same for every example.
    axis_name: a name for errors. size: how many examples there are, where no array says.

    `function` must be pure, and is traced once a call: `jit` what is called often. Results that do not depend on the
    examples are computed once. ShapeError where the mapped axes differ in size or are not there, TraceError for what
    has no meaning for many at once; both name the place.

    >>> vmap(lambda w, x: w @ x, in_axes=(None, 0))(nx.ones((2, 3)), nx.ones((5, 3))).shape
    (5, 2)
    >>> vmap(grad(lambda x: x**3))(nx.tensor([1.0, 2.0])).tolist()
    [3.0, 12.0]
    """
    callables("vmap", function=function)
    called = getattr(function, "__name__", "function")
    label = f"vmap of {called}" + (f" along {axis_name}" if axis_name else "")

    @functools.wraps(function)
    def batched(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten((args, kwargs))
        axes = _in_axes(label, structure, in_axes)
        name = _namer(function, structure)
        places = [k for k, leaf in enumerate(leaves) if is_array(leaf)]
        given = [leaves[k] for k in places]
        with beside([leaf for leaf in given if isinstance(leaf, Tensor)]):
            tensors = [asarray(leaf) for leaf in given]
        whole = [t.type for t in tensors]
        at = [_axis(f"{label}, {name(k)}", type_, axes[k]) for k, type_ in zip(places, whole)]
        count = _count(label, size, [(name(k), t, a) for k, t, a in zip(places, whole, at) if a is not None])
        lanes = [type_ if a is None else _without(type_, a) for type_, a in zip(whole, at)]
        placed = dict(zip(places, lanes))
        one = [placed.get(k, leaf) for k, leaf in enumerate(leaves)]
        with beside(tensors):
            traced = trace(function, *tree.unflatten(structure, one))
            operands = [t if a is None else moved(t, a, 0) for t, a in zip(tensors, at)]
            mapped = [*(a is not None for a in at), *(False for _ in traced.captured)]
            results, differ = run(traced.graph, [*operands, *traced.captured], mapped, count)
            out = _prefix(label, "out_axes", traced.structure, out_axes)
            made = [
                _placed(f"{label}, {_result(path)}", t, m, axis, count)
                for t, m, axis, path in zip(results, differ, out, traced.structure.paths())
            ]
        return tree.unflatten(traced.structure, made)

    return batched


def _is_axis(value: Any) -> bool:
    return value is None or isinstance(value, str) or hasattr(value, "__index__")


def _in_axes(label: str, structure: tree.Structure, in_axes: Any) -> list[Axis]:
    """The axis of each leaf of (args, kwargs)."""
    positional, named = structure.children()
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if isinstance(in_axes, tuple) and len(in_axes) != len(positional.children()):
        raise StructureError(
            f"{label}: expected in_axes for {len(positional.children())} arguments by position, got {len(in_axes)}; "
            f"give one axis for all, or one entry an argument"
        )
    return [*_prefix(label, "in_axes", positional, in_axes), *[0] * named.size]


def _prefix(label: str, what: str, structure: tree.Structure, axes: Any) -> list[Axis]:
    try:
        found = tree.flatten_prefix(structure, axes, _is_axis)
    except StructureError as error:
        raise StructureError(
            f"{label}: expected {what} to be an axis, None or a tree of such like the values', got {axes!r} ({error}); "
            f"one axis stands for all that is below its place"
        ) from None
    return [index(a) if hasattr(a, "__index__") else a for a in found]


def _namer(function: Callable[..., Any], structure: tree.Structure) -> Callable[[int], str]:
    """A leaf of (args, kwargs) as errors name it: the parameter, then the path inside it."""
    paths = structure.paths()

    def name(k: int) -> str:
        kind, first, *rest = paths[k]
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        if kind == 0 and first < len(parameters) and parameters[first].kind <= inspect.Parameter.POSITIONAL_OR_KEYWORD:
            first = parameters[first].name
        return f"argument {tree.show((first, *rest))}"

    return name


def _result(path: tree.Path) -> str:
    return f"result{f' at {tree.show(path)}' if path else ''}"


def _axis(name: str, type_: TensorType, axis: Axis) -> int | None:
    if axis is not None and not type_.ndim:
        raise ShapeError(f"{name}: expected an axis to map, got {type_}; say in_axes=None of what is the same for all")
    return None if axis is None else axis_of(name, type_, axis)


def _count(label: str, size: int | None, mapped: Sequence[tuple[str, TensorType, int]]) -> int:
    """How many lanes all mapped axes, and `size` if given, agree on."""
    if size is not None:
        size = whole_number(label, "size", size)
    if size is None and not mapped:
        raise ShapeError(
            f"{label}: expected an array with an axis to map, got none; say in_axes of an argument, size= for how many "
            f"examples there are, or write nx.tensor of a list"
        )
    first, count = ("size", size) if size is not None else (None, 0)
    for name, type_, axis in mapped:
        found = f"{name} (axis {axis} of {type_})"
        if first is None:
            first, count = found, type_.shape[axis]
        if type_.shape[axis] != count:
            raise ShapeError(
                f"{label}: expected mapped axes of one size, got {count} of {first} and {type_.shape[axis]} of "
                f"{found}; say in_axes=None of what is the same for all"
            )
    return count


def _without(type_: TensorType, axis: int) -> TensorType:
    """The type of one example: without the axis, and its name."""
    names = type_.names and type_.names[:axis] + type_.names[axis + 1 :]
    named = names if names and any(names) else None
    return TensorType(type_.dtype, type_.shape[:axis] + type_.shape[axis + 1 :], named)


def _placed(name: str, t: Tensor, mapped: bool, axis: Axis, count: int) -> Tensor:
    """A result with the lanes where `out_axes` says."""
    if axis is None:
        if mapped:
            raise TraceError(
                f"{name}: expected a result that is the same for every example with out_axes=None, got {t.type}, which "
                f"depends on mapped arguments; say an axis, or reduce it outside"
            )
        return t
    t = t if mapped else spread(t, count)
    if isinstance(axis, str):
        raise ShapeError(f"{name}: expected the number of an axis, got {axis!r}; rename the result outside")
    return moved(t, 0, axis_of(name, t.type, axis))
