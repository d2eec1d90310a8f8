"""x[...] for reading, x.at[...] for writing: NumPy's subscripts as slices, flips, takes and pads.

A key has for each axis an int, a slice with any step, or a tensor of integers; None is a new axis, ... the rest.
Several tensors are of neighbouring axes, broadcast, and address them together. A tensor of bools is the places where it
is true: in eager code only, since a trace does not know how many they are. Where NumPy would move the tensors' axes to
the front, an error says so.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..dtypes import bool_, int32, result_type
from ..errors import DTypeError, ShapeError
from .core.backend import tracing
from .core.convert import convert
from .core.functions import function
from .core.number import Number, brief, scalar_type
from .core.op import attribute_key, keep
from .core.rules import broadcast_shapes
from .core.tensor import Shape, Tensor
from .creation import asarray
from .filled import full
from .rows.conversion import where
from .rows.indexing import positions, scatter, scatter_add, take
from .rows.movement import broadcast_to, expand_dims, flip, pad, reshape, slice_, squeeze


class Key(NamedTuple):
    """A subscript settled for one shape. Slices come first, then the tensor, then axes go and come."""

    starts: Shape
    stops: Shape
    steps: Shape  # positive; an axis read backwards is in `flipped`
    flipped: Shape
    axis: int | None  # the axis that `indices` are for
    indices: Tensor | None
    dropped: Shape  # axes of int items
    shape: Shape  # of what is read, without the new axes
    new: Shape  # the new axes, in the final numbering
    sliced: bool  # whether the slices leave something out

    @property
    def whole(self) -> bool:
        """Whether the slices take everything in order."""
        return not self.flipped and all(a == 0 and s == 1 for a, s in zip(self.starts, self.steps))


def settle(x: Tensor, key: Any) -> Key:
    """The subscript in normal form; IndexError for an int outside, ShapeError or DTypeError for what it cannot be."""
    items = list(key) if isinstance(key, tuple) else [key]
    used = sum(1 for i in items if i is not None and i is not Ellipsis)
    if used > x.ndim or sum(1 for i in items if i is Ellipsis) > 1:
        raise ShapeError(
            f"index: expected at most {x.ndim} items and one ..., got {len(items)} for {x.type}; drop some"
        )
    at = next((p for p, i in enumerate(items) if i is Ellipsis), len(items))
    items[at : at + 1] = [slice(None)] * (x.ndim - used) or [Ellipsis]  # for no axis it still parts ints and tensor
    starts, stops, steps, flipped, dropped, new = [], [], [], [], [], []
    axis, indices, result, before = None, None, 0, 0
    chosen: list[int] = []  # places of ints and of the tensor
    for place, item in enumerate(items):
        if item is Ellipsis:
            continue
        if item is None:
            new.append(result)
            result += 1
            continue
        a = len(starts)
        n = x.shape[a]
        start, stop, step = 0, n, 1
        if isinstance(item, slice):
            start, stop, step = item.indices(n)
            count = len(range(start, stop, step))
            if step < 0:  # the same elements in rising order, then reversed
                start, step = start + (count - 1) * step, -step
                flipped.append(a)
            if not count:
                start = 0
            stop = start + max(count - 1, 0) * step + (1 if count else 0)
            result += 1
        elif _is_int(item):
            i = item.__index__()
            if not -n <= i < n:
                raise IndexError(f"index: expected an integer in [{-n}, {n}) for axis {a} of {x.type}, got {brief(i)}")
            start, stop = i % n, i % n + 1
            dropped.append(a)
            chosen.append(place)
        else:
            if indices is not None:
                raise ShapeError(
                    f"index: expected tensors of indices on neighbouring axes of {x.type}, got others "
                    f"between; index in two steps"
                )
            axis, indices, before = a, _indices(item), result
            result += indices.ndim
            chosen.append(place)
        starts.append(start)
        stops.append(stop)
        steps.append(step)
    sizes = [len(range(a, b, s)) for a, b, s in zip(starts, stops, steps)]
    if indices is not None and before and chosen[-1] - chosen[0] >= len(chosen):
        raise ShapeError(f"index: expected ints next to the tensor of indices, got {key}; index {x.type} in two steps")
    shape: list[int] = []
    for a, n in enumerate(sizes):
        shape += indices.shape if a == axis and indices is not None else () if a in dropped else (n,)
    slices = tuple(starts), tuple(stops), tuple(steps), tuple(flipped)
    sliced = any(a != 0 or s != 1 for a, s in zip(starts, steps)) or tuple(stops) != x.shape
    return Key(*slices, axis, indices, tuple(dropped), tuple(shape), tuple(new), sliced)


_keys: dict[Any, Key] = {}  # by the type of what is subscripted and the subscript
_ALIKE = frozenset((int, slice, type(None), type(Ellipsis)))  # items that make one key wherever they are equal


def settled(x: Tensor, key: Any) -> Key:
    """`settle`, looked up where a tensor of the type was subscripted so before."""
    items = key if type(key) is tuple else (key,)
    if not _ALIKE.issuperset(map(type, items)):
        return settle(x, key)
    try:
        form = (x.type, *[attribute_key((i.start, i.stop, i.step)) if type(i) is slice else i for i in items])
    except TypeError:
        return settle(x, key)
    found = _keys.get(form)
    if found is None:
        found = keep(_keys, form, settle(x, key))
    return found


def joined(x: Tensor, key: Any, *, write: bool) -> tuple[Tensor, Any]:
    """x and key with neighbouring tensors of indices as one, of their axes made one."""
    items = list(key) if isinstance(key, tuple) else [key]
    tensors = [p for p, item in enumerate(items) if _is_array(item)]
    if not tensors:
        return x, key
    for p in reversed(tensors):
        indices = asarray(items[p])
        if indices.dtype is bool_ and tracing.get() is None:
            items[p : p + 1] = _places(x, indices, _axis(x, items, p))
    tensors = [p for p, item in enumerate(items) if _is_array(item)]
    first, count = tensors[0], len(tensors)
    if count == 1 or tensors[-1] - first >= count:
        return x, tuple(items)
    axis = _axis(x, items, first)
    sizes = x.shape[axis : axis + count]
    if len(sizes) < count:
        return x, tuple(items)
    parts = [_indices(items[p]) for p in tensors]
    shape = broadcast_shapes("index", [part.type for part in parts])
    places, inside = positions(sizes, [broadcast_to(part, shape) for part in parts], shape, first=axis)
    n = math.prod(sizes)
    items[first : first + count] = [where(inside, places, n) if write else places]
    return reshape(x, (*x.shape[:axis], n, *x.shape[axis + count :])), tuple(items)


def _axis(x: Tensor, items: list[Any], place: int) -> int:
    """The axis of x that the item at this place of a key is for; ... stands for what the others leave."""
    taken = [asarray(i).ndim if _is_array(i) and asarray(i).dtype is bool_ else 1 for i in items]
    taken = [0 if i is None or i is Ellipsis else n for i, n in zip(items, taken)]
    before = sum(taken[:place])
    return before + (x.ndim - sum(taken) if any(i is Ellipsis for i in items[:place]) else 0)


def _places(x: Tensor, mask: Tensor, axis: int) -> list[Tensor]:
    """Where the mask is true, as indices of each of its axes."""
    import numpy as np

    sizes = x.shape[axis : axis + mask.ndim]
    if not mask.ndim or mask.shape != sizes:
        raise ShapeError(
            f"index: expected a mask of the shape of axes it is for, got {mask.type} for {x.type}, {sizes}"
        )
    return [asarray(i) for i in np.nonzero(mask.numpy())]


def _is_array(item: Any) -> bool:
    return isinstance(item, (Tensor, list)) or (hasattr(item, "__array__") and not _is_int(item))


def _is_int(item: Any) -> bool:
    if isinstance(item, (Tensor, Number, bool)) or getattr(getattr(item, "dtype", None), "kind", "") == "b":
        return False
    return hasattr(item, "__index__") and not getattr(item, "ndim", 0)


def _indices(item: Any) -> Tensor:
    found = None if isinstance(item, bool) else asarray(item, int32 if isinstance(item, list) and not item else None)
    if found is None or found.dtype is bool_:
        raise DTypeError(
            "index: expected integers, got bool; a trace does not know how many are true: write nx.where(mask, x, "
            "other), or index outside the function"
        )
    if not found.dtype.is_integer:
        raise DTypeError(
            f"index: expected ints, slices, None, ... or a tensor of integers, got {found.type}; cast it first"
        )
    return found


def _part(x: Tensor, key: Key) -> Tensor:
    """What the slices of the key read, all axes kept."""
    part = slice_(x, key.starts, key.stops, key.steps) if key.sliced else x
    return flip(part, axis=key.flipped) if key.flipped else part


@function
def index(x: Tensor, /, key: Any) -> Tensor:
    x, key = joined(x, key, write=False)
    k = settled(x, key)
    part = _part(x, k)
    if k.indices is not None:
        part = take(part, k.indices, axis=k.axis)
    if part.shape != k.shape:
        extra = 0 if k.indices is None else k.indices.ndim - 1
        part = squeeze(part, [d + (extra if k.axis is not None and d > k.axis else 0) for d in k.dropped])
    return expand_dims(part, axis=k.new) if k.new else part


class At:
    """`x.at`: subscript it, then say what to write. Gives a new tensor; x stays as it is.

    >>> nx.zeros(3).at[1].set(5.0)
    float32[3] [0., 5., 0.]
    """

    __slots__ = ("_key", "_x")

    def __init__(self, x: Tensor, key: Any = Ellipsis) -> None:
        self._x, self._key = x, key

    def __getitem__(self, key: Any) -> At:
        return At(self._x, key)

    def set(self, value: Any) -> Tensor:
        """x with `value`, broadcast and cast, in place of what x[key] reads; of an index given twice the last value
        stays. DTypeError of a number that x's dtype does not hold."""
        return at(self._x, self._key, value, add=False)

    def add(self, value: Any) -> Tensor:
        """x with `value`, broadcast and cast, added to what x[key] reads; at an index given twice it is added twice.
        DTypeError of a number that x's dtype does not hold."""
        return at(self._x, self._key, value, add=True)


@function
def at(x: Tensor, /, key: Any, value: Any, *, add: bool) -> Tensor:
    whole = x.shape
    x, key = joined(x, key, write=True)
    made = _written(x, settle(x, key), value, add)
    return made if made.shape == whole else reshape(made, whole)


def _written(x: Tensor, k: Key, value: Any, add: bool) -> Tensor:
    if not isinstance(value, Tensor):
        if (weak := scalar_type(value)) and result_type(x.dtype, weak) is not x.dtype:
            raise DTypeError(f"at: expected a value that {x.dtype} holds, got {value}; cast {x.type} with astype first")
        value = convert("at", value, x.dtype)
    final = list(k.shape)
    for a in k.new:
        final.insert(a, 1)
    value = broadcast_to(value.astype(x.dtype), final)
    part = _part(x, k)
    if k.indices is not None:
        assert k.axis is not None
        shape = (*part.shape[: k.axis], *k.indices.shape, *part.shape[k.axis + 1 :])
        part = (scatter_add if add else scatter)(part, k.indices, reshape(value, shape), axis=k.axis)
        if part.shape == x.shape and k.whole:
            return part
        value, add = part, False
    value = reshape(value, part.shape)
    if k.flipped:
        value = flip(value, axis=k.flipped)
    config = [(a, n - b, s - 1) for a, b, s, n in zip(k.starts, k.stops, k.steps, x.shape)]
    if add:
        return x + pad(value, config)
    return where(pad(full(value.shape, True), config, False), pad(value, config), x)


Tensor.__getitem__ = index  # type: ignore[attr-defined]
Tensor.at = property(At, doc=At.__doc__)  # type: ignore[attr-defined]
