"""Movement rows: the elements of operands, elsewhere. Each says by an index map where a result's element comes from, so
that the compiler needs no code for any of them; the map with its guards is described at `Index`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...dtypes import DType, bool_
from ...errors import ShapeError
from ..core.attributes import SIZE, axes, each, opaque, order, sizes
from ..core.functions import function
from ..core.lanes import Lanes, parted
from ..core.number import as_tensor
from ..core.op import RESHAPE, Index, describe
from ..core.rules import (
    Settled,
    axes_of,
    axis_of,
    broadcast_shapes,
    integers,
    merged,
    movement,
    names_of,
    picked,
    shape_of,
)
from ..core.tensor import Shape, Tensor, TensorType
from .conversion import where

Types = Sequence[TensorType]
Map = tuple[tuple[Index, ...], ...]


def spread(count: int, step: int) -> int:
    """How far `count` elements reach that lie `step` apart."""
    return (count - 1) * step + 1 if count else 0


# Shape rules and index maps, a pair a row


def _reshape_shape(name: str, types: Types, *, shape: Any) -> Settled:
    (x,) = types
    found = integers(name, "shape", shape)
    if found.count(-1) == 1 and (rest := -math.prod(found)) and x.size % rest == 0:
        found = tuple(x.size // rest if s == -1 else s for s in found)
    if any(s < 0 for s in found) or math.prod(found) != x.size:
        raise ShapeError(f"{name}: expected a shape of {x.size} elements, got {found} for {x}; -1 stands for one size")
    return found, x.names if found == x.shape else None, {"shape": found}


def _permute_shape(name: str, types: Types, *, axes: Any) -> Settled:
    (x,) = types
    found = axes_of(name, x, axes)
    if len(found) != x.ndim:
        raise ShapeError(f"{name}: expected each axis once, got {axes} for {x}; use moveaxis to move a few")
    return tuple(x.shape[a] for a in found), picked(x.names, found), {"axes": found}


def _permute_map(types: Types, out: TensorType, *, axes: tuple[int, ...]) -> Map:
    return (tuple(Index(axes.index(i)) for i in range(len(axes))),)


def _broadcast_shape(name: str, types: Types, *, shape: Any) -> Settled:
    (x,) = types
    found = shape_of(name, shape)
    if broadcast_shapes(name, [x, TensorType(x.dtype, found)]) != found:
        raise ShapeError(f"{name}: expected a shape that {x} broadcasts to, got {found}; only sizes of 1 are repeated")
    return found, picked(x.names, (*(None,) * (len(found) - x.ndim), *range(x.ndim))), {"shape": found}


def _broadcast_map(types: Types, out: TensorType, *, shape: Shape) -> Map:
    (x,) = types
    first = out.ndim - x.ndim
    return (tuple(Index(None if s != out.shape[first + i] else first + i) for i, s in enumerate(x.shape)),)


def _expand_shape(name: str, types: Types, *, axis: Any) -> Settled:
    (x,) = types
    given = integers(name, "axis", axis)
    ndim = x.ndim + len(given)
    new = tuple(sorted(axes_of(name, TensorType(x.dtype, (1,) * ndim), given)))
    old = iter(range(x.ndim))
    source = [None if i in new else next(old) for i in range(ndim)]
    return tuple(1 if a is None else x.shape[a] for a in source), picked(x.names, source), {"axis": new}


def _expand_map(types: Types, out: TensorType, *, axis: tuple[int, ...]) -> Map:
    return (tuple(Index(i) for i in range(out.ndim) if i not in axis),)


def _squeeze_shape(name: str, types: Types, *, axis: Any) -> Settled:
    (x,) = types
    gone = tuple(sorted([a for a, s in enumerate(x.shape) if s == 1] if axis is None else axes_of(name, x, axis)))
    if any(x.shape[a] != 1 for a in gone):
        raise ShapeError(f"{name}: expected axes of size 1, got axis {gone} of {x}; use reshape or index it")
    kept = [i for i in range(x.ndim) if i not in gone]
    return tuple(x.shape[i] for i in kept), picked(x.names, kept), {"axis": gone}


def _squeeze_map(types: Types, out: TensorType, *, axis: tuple[int, ...]) -> Map:
    kept = iter(range(out.ndim))
    return (tuple(Index(None) if i in axis else Index(next(kept)) for i in range(types[0].ndim)),)


def _slice_shape(name: str, types: Types, *, starts: Any, stops: Any, steps: Any) -> Settled:
    (x,) = types
    starts, stops = integers(name, "starts", starts, x.ndim), integers(name, "stops", stops, x.ndim)
    steps = integers(name, "steps", 1 if steps is None else steps, x.ndim)
    if not all(0 <= a <= b <= n and s > 0 for a, b, s, n in zip(starts, stops, steps, x.shape)):
        raise ShapeError(
            f"{name}: expected 0 <= start <= stop <= size and steps above 0, got {starts}, {stops}, {steps} for {x}; "
            f"index with [...] for negative ones"
        )
    shape = tuple(-((a - b) // s) for a, b, s in zip(starts, stops, steps))
    stops = tuple(a + spread(n, s) for a, n, s in zip(starts, shape, steps))
    return shape, x.names, {"starts": starts, "stops": stops, "steps": steps}


def _slice_map(types: Types, out: TensorType, *, starts: Shape, stops: Shape, steps: Shape) -> Map:
    return (tuple(Index(i, mul=s, start=a) for i, (a, s) in enumerate(zip(starts, steps))),)


class Part(NamedTuple):
    """A gradient that is zero but for a block, before it is padded by `pad`'s config: the gradients of many slices of
    one tensor can be put side by side, where padding each costs as much as the whole."""

    block: Tensor
    config: tuple[tuple[int, int, int], ...]

    def whole(self) -> Tensor:
        """The gradient, padded."""
        return pad(self.block, self.config) if any(map(any, self.config)) else self.block


def _slice_vjp(g: Tensor, y: Tensor, x: Tensor, *, starts: Shape, stops: Shape, steps: Shape) -> tuple[Part]:
    return (Part(g, tuple((a, n - b, s - 1) for a, b, s, n in zip(starts, stops, steps, x.shape))),)


def _pad_shape(name: str, types: Types, *, config: Any) -> Settled:
    x, value = types
    if value.shape:
        raise ShapeError(f"{name}: expected a value of rank 0, got {value}; pad each part and concat them")
    given = [integers(name, "config", c) for c in (config if isinstance(config, Sequence) else [config] * x.ndim)]
    full = tuple((*c * 2, 0) if len(c) == 1 else (*c, 0) if len(c) == 2 else c for c in given)
    if len(full) != x.ndim or any(len(c) != 3 or c[2] < 0 for c in full):
        raise ShapeError(
            f"{name}: expected (low, high, interior >= 0) for each axis of {x}, got {config}; 0 leaves one out"
        )
    shape = tuple(lo + hi + spread(n, inner + 1) for n, (lo, hi, inner) in zip(x.shape, full))
    if any(s < 0 for s in shape):
        raise ShapeError(f"{name}: expected crops no larger than the axes of {x}, got {config}; crop less")
    return shape, x.names, {"config": full}


def _pad_map(types: Types, out: TensorType, *, config: tuple[tuple[int, int, int], ...]) -> Map:
    x = types[0].shape
    return tuple(Index(i, lo=lo, div=inner + 1, size=n) for i, (n, (lo, _, inner)) in enumerate(zip(x, config))), ()


def pad_array(xp: Any, x: Any, value: Any, config: Sequence[tuple[int, int, int]]) -> Any:
    """`pad` of arrays."""
    out = xp.empty([lo + hi + spread(n, inner + 1) for n, (lo, hi, inner) in zip(x.shape, config)], dtype=x.dtype)
    out[...] = value
    # Of each axis, the first element that a crop at the low end leaves, its place, and the stride between places.
    first = [max(0, -(lo // (inner + 1))) for lo, _, inner in config]
    target = tuple(slice(lo + f * (i + 1), None, i + 1) for f, (lo, _, i) in zip(first, config))
    window = out[(*target, ...)]  # the ... keeps an array of rank 0 an array
    source = x[(*(slice(f, f + n) for f, n in zip(first, window.shape)), ...)]
    window[tuple(slice(0, n) for n in source.shape)] = source
    return out


def _pad_vjp(g: Tensor, y: Tensor, x: Tensor, value: Tensor, *, config: Any) -> tuple[Tensor, Tensor]:
    cropped = pad(g, [(-lo, -hi, 0) for lo, hi, _ in config])
    steps = [inner + 1 for *_, inner in config]
    outside = pad(repeated(False, bool_, x.shape), config, True)
    return slice_(cropped, [0] * x.ndim, cropped.shape, steps), where(outside, g, 0).sum()


def _pad_batch(lanes: Lanes, x: Tensor, value: Tensor, *, config: Any) -> Tensor:
    """A value has rank 0: where each lane has one of its own, they are put around zeros."""
    config = ((0, 0, 0), *config) if lanes.mapped[0] else config
    if not lanes.mapped[1]:
        return pad_(x, value, config)
    outside = pad(repeated(False, bool_, x.shape), config, True)
    return where(outside, reshape(value, (lanes.size, *(1,) * len(outside.shape[lanes.mapped[0] :]))), pad(x, config))


def _flip_shape(name: str, types: Types, *, axis: Any) -> Settled:
    (x,) = types
    return x.shape, x.names, {"axis": tuple(sorted(axes_of(name, x, axis)))}


def _flip_map(types: Types, out: TensorType, *, axis: tuple[int, ...]) -> Map:
    return (tuple(Index(i, -1, n - 1) if i in axis else Index(i) for i, n in enumerate(out.shape)),)


def _concat_shape(name: str, types: Types, *, axis: Any) -> Settled:
    a = axis_of(name, types[0], axis)
    shape = types[0].shape
    if any(t.ndim != len(shape) or t.shape[:a] + t.shape[a + 1 :] != shape[:a] + shape[a + 1 :] for t in types):
        raise ShapeError(f"{name}: expected shapes equal but for axis {a}, got {describe(types)}; broadcast or pad one")
    return (*shape[:a], sum(t.shape[a] for t in types), *shape[a + 1 :]), merged(name, types), {"axis": a}


def _offsets(types: Sequence[TensorType | Tensor], axis: int) -> list[int]:
    found = [0]
    for t in types:
        found.append(found[-1] + t.shape[axis])
    return found


def _concat_map(types: Types, out: TensorType, *, axis: int) -> Map:
    return tuple(
        tuple(Index(i, lo=lo, size=n) if i == axis else Index(i) for i, n in enumerate(t.shape))
        for t, lo in zip(types, _offsets(types, axis))
    )


def _concat_vjp(g: Tensor, y: Tensor, *parts: Tensor, axis: int) -> list[Tensor]:
    return [take_slice(g, lo, lo + x.shape[axis], axis) for x, lo in zip(parts, _offsets(parts, axis))]


def _same_shape(name: str, types: Types) -> Settled:
    return types[0].shape, types[0].names, {}


def _rename_shape(name: str, types: Types, *, names: Any) -> Settled:
    (x,) = types
    if isinstance(names, Mapping):
        if unknown := [n for n in names if n not in (x.names or ())]:
            raise ShapeError(f"{name}: expected names that axes have, got {unknown} for {x}; list new ones instead")
        names = [names.get(n, n) for n in x.names or (None,) * x.ndim]
    found = names_of(name, names, x.shape)
    return x.shape, found, {"names": found}


def _named_shape(name: str, types: Types, *, label: Any) -> Settled:
    if not isinstance(label, str) or not label:
        raise TypeError(f"{name}: expected a label that is a text, got {label!r}; write one such as 'scores'")
    return types[0].shape, types[0].names, {"label": label}


def identity_map(types: Types, out: TensorType, **attrs: Any) -> Map:
    return (tuple(Index(i) for i in range(out.ndim)),)


# Rows


@movement(
    attributes={"shape": sizes},
    shape=_reshape_shape,
    index_map=lambda types, out, *, shape: RESHAPE,
    eager=lambda xp, x, shape: x.reshape(shape),
    vjp=lambda g, y, x, *, shape: (g.reshape(x.shape),),
)
def reshape_(x: Tensor, /, shape: int | Sequence[int]) -> Tensor:
    """The row under `reshape`."""
    ...


@function(method=True)
def reshape(x: Tensor, /, shape: int | Sequence[int], *sizes: int, copy: bool | None = None) -> Tensor:
    """The elements in row-major order under another shape, given as one argument or a size each; one size may be -1,
    for what is left. `copy` is the standard's, and changes nothing: tensors are immutable.

    >>> nx.arange(6).reshape(2, -1)
    int32[2,3]
    [[0, 1, 2],
     [3, 4, 5]]
    """
    return reshape_(x, (shape, *sizes) if sizes else shape)


@movement(
    attributes={"axes": order},
    shape=_permute_shape,
    index_map=_permute_map,
    eager=lambda xp, x, axes: x.transpose(axes),
    vjp=lambda g, y, x, *, axes: (g.permute_dims([axes.index(i) for i in range(len(axes))]),),
)
def permute_dims(x: Tensor, /, axes: Sequence[int | str]) -> Tensor:
    """The axes in another order.

    >>> nx.permute_dims(nx.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    ...


def _broadcast_vjp(g: Tensor, y: Tensor, x: Tensor, *, shape: Shape) -> tuple[Tensor]:
    first = len(shape) - x.ndim
    repeats = [i for i, s in enumerate(shape) if i < first or x.shape[i - first] != s]
    return (g.sum(axis=repeats, dtype=g.dtype).reshape(x.shape),)


def _broadcast_batch(lanes: Lanes, x: Tensor, *, shape: Shape) -> Tensor:
    """Axes are aligned at the end: those that the operand lacks come between the lanes and its own."""
    x = x if x.ndim > len(shape) else parted(x, 0, (lanes.size, *(1,) * (len(shape) + 1 - x.ndim)))
    return broadcast_to(x, (lanes.size, *shape))


@movement(
    attributes={"shape": sizes},
    shape=_broadcast_shape,
    index_map=_broadcast_map,
    vjp=_broadcast_vjp,
    batch=_broadcast_batch,
)
def broadcast_to(x: Tensor, /, shape: int | Sequence[int]) -> Tensor:
    """Axes of size 1, and new ones in front, repeated to a shape.

    >>> nx.broadcast_to(nx.tensor([1, 2]), (2, 2))
    int32[2,2]
    [[1, 2],
     [1, 2]]
    """
    ...


@movement(
    attributes={"axis": axes},
    shape=_expand_shape,
    index_map=_expand_map,
    vjp=lambda g, y, x, *, axis: (g.squeeze(axis),),
)
def expand_dims(x: Tensor, /, axis: int | Sequence[int] = 0) -> Tensor:
    """New axes of size 1 at these places of the result.

    >>> nx.expand_dims(nx.zeros(3), axis=0).shape
    (1, 3)
    """
    ...


@movement(
    attributes={"axis": axes},
    shape=_squeeze_shape,
    index_map=_squeeze_map,
    vjp=lambda g, y, x, *, axis: (g.expand_dims(axis=axis),),
)
def squeeze(x: Tensor, /, axis: int | str | Sequence[int | str] | None = None) -> Tensor:
    """Without these axes, whose size must be 1; None: without all whose size is 1.

    >>> nx.squeeze(nx.zeros((1, 3)), 0).shape
    (3,)
    """
    ...


@movement(
    attributes={"starts": each(0), "stops": each(SIZE), "steps": each(1)},
    shape=_slice_shape,
    index_map=_slice_map,
    eager=lambda xp, x, starts, stops, steps: x[tuple(map(slice, starts, stops, steps))],
    vjp=_slice_vjp,
)
def slice_(x: Tensor, /, starts: Sequence[int], stops: Sequence[int], steps: Sequence[int] | None = None) -> Tensor:
    """Every step-th element from start up to but without stop, of every axis. x[...] is the convenient form.

    >>> nx.slice_(nx.arange(6), [1], [6], [2])
    int32[3] [1, 3, 5]
    """
    ...


@movement(
    attributes={"config": each((0, 0, 0))},
    shape=_pad_shape,
    index_map=_pad_map,
    eager=pad_array,
    vjp=_pad_vjp,
    batch=_pad_batch,
)
def pad_(x: Tensor, value: Tensor | bool | int | float, /, config: Any) -> Tensor:
    """The row under `pad`."""
    ...


@function(method=True)
def pad(
    x: Tensor, /, config: int | Sequence[int | Sequence[int]], value: Tensor | bool | int | float = False
) -> Tensor:
    """`value` put around and between the elements: (low, high) or (low, high, interior) for each axis; negative low and
    high crop. False is the 0 of every dtype.

    >>> nx.pad(nx.tensor([1, 2]), [(1, 0, 1)])
    int32[4] [0, 1, 0, 2]
    """
    return pad_(x, value, config)


@movement(
    attributes={"axis": axes}, shape=_flip_shape, index_map=_flip_map, vjp=lambda g, y, x, *, axis: (g.flip(axis=axis),)
)
def flip(x: Tensor, /, axis: int | str | Sequence[int | str] | None = None) -> Tensor:
    """The elements in reverse along axes (None is all).

    >>> nx.flip(nx.arange(3))
    int32[3] [2, 1, 0]
    """
    ...


@movement(
    attributes={"axis": axes},
    shape=_concat_shape,
    index_map=_concat_map,
    variadic=True,
    eager=lambda xp, *parts, axis: xp.concatenate(parts, axis=axis),
    vjp=_concat_vjp,
)
def concat_(arrays: Sequence[Tensor], /, *, axis: int | str) -> Tensor:
    """The row under `concat`."""
    ...


@movement(
    attributes={"names": each(None)},
    shape=_rename_shape,
    index_map=identity_map,
    eager=lambda xp, x, names: x,
    vjp=lambda g, y, x, *, names: (g.rename(x.names),),
)
def rename(x: Tensor, /, names: Sequence[str | None] | Mapping[str, str] | None) -> Tensor:
    """With other axis names: a name or None for each axis, a mapping from old names to new, or None for no names.

    >>> print(nx.rename(nx.zeros((2, 3)), ["batch", None]).type)
    float32[batch=2,3]
    """
    ...


@movement(shape=_same_shape, index_map=identity_map, eager=lambda xp, x: x, nondifferentiable="zero")
def stop_grad(x: Tensor, /) -> Tensor:
    """x as a constant: its gradient is 0.

    >>> nx.stop_grad(nx.tensor(2.0))
    float32[] 2.
    """
    ...


@movement(
    attributes={"label": opaque},
    shape=_named_shape,
    index_map=identity_map,
    eager=lambda xp, x, label: x,
    vjp=lambda g, y, x, *, label: (g,),
)
def named(x: Tensor, /, label: str) -> Tensor:
    """x, under a label by which it is found: policies of `axon.checkpoint` may keep it. TypeError unless it is a text.

    >>> nx.named(nx.tensor(2.0), "scores")
    float32[] 2.
    """
    ...


def take_slice(x: Tensor, start: int, stop: int, axis: int) -> Tensor:
    """Elements [start, stop) along one axis."""
    starts, stops = [0] * x.ndim, list(x.shape)
    starts[axis], stops[axis] = start, stop
    return slice_(x, starts, stops)


def repeated(value: bool | int | float, dtype: DType, shape: Shape) -> Tensor:
    """One value in every place."""
    return broadcast_to(as_tensor("full", value, dtype), shape)
