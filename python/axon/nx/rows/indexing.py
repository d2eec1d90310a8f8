"""Reading and writing at indices held in tensors: take, scatter_add and scatter are rows, the rest is composed of them.

A negative index counts from the end, once. An index outside the axis is an IndexError in eager code and under
`axon.debug()`. A compiled program cannot raise for what it finds while it runs: there such an index reads the nearest
element, in every dtype, and writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...dtypes import bool_, int32, int64
from ...dtypes import dtype as to_dtype
from ...errors import DTypeError, ShapeError
from ..core.attributes import axes, opaque
from ..core.functions import function
from ..core.lanes import Lanes, merged, moved, parted
from ..core.op import Index, describe
from ..core.rules import (
    Settled,
    axis_of,
    broadcast_shapes,
    index_dtype,
    indexed,
    indexed_numbers,
    indexing,
    integer,
    movement,
    names_of,
)
from ..core.tensor import Shape, Tensor, TensorType
from .conversion import astype, clip, where
from .creation import iota_
from .logic import equal, greater_equal, less, logical_and
from .movement import broadcast_to, identity_map, permute_dims, repeated, reshape, squeeze, take_slice

Types = Sequence[TensorType]


def _axis(name: str, x: TensorType, axis: Any) -> int:
    if axis is None and x.ndim != 1:
        raise ShapeError(f"{name}: expected an axis for {x}, got None; only a vector needs none")
    return axis_of(name, x, 0 if axis is None else axis)


def _take_shape(name: str, types: Types, *, axis: Any) -> Settled:
    x, indices = types
    a = _axis(name, x, axis)
    if x.shape[a] == 0 and indices.size:
        raise ShapeError(f"{name}: expected elements along axis {a}, got {x}; check for empty input first")
    names = None
    if x.names or indices.names:
        mine, theirs = x.names or (None,) * x.ndim, indices.names or (None,) * indices.ndim
        names = (*mine[:a], *theirs, *mine[a + 1 :])
    shape = (*x.shape[:a], *indices.shape, *x.shape[a + 1 :])
    return shape, names_of(name, names, shape), {"axis": a}


def _scatter_shape(name: str, types: Types, *, axis: Any) -> Settled:
    x, indices, updates = types
    a = _axis(name, x, axis)
    wanted = (*x.shape[:a], *indices.shape, *x.shape[a + 1 :])
    if updates.shape != wanted:
        raise ShapeError(
            f"{name}: expected updates of shape {wanted}, got {describe(types)}; axis {a} gives way to those of "
            f"the indices: broadcast_to or reshape the updates"
        )
    return x.shape, x.names, {"axis": a}


def _outside(indices: Tensor, size: int, axis: int) -> str | None:
    """What is wrong with indices of an axis of that size, if any are outside."""
    values = indices.numpy()
    if not values.size or (-size <= values.min() and values.max() < size):
        return None
    bad = values[(values < -size) | (values >= size)].flat[0]
    return f"expected indices in [{-size}, {size}) for axis {axis}, got {bad}; clip them, or mask what they stand for"


def _outside_axis(x: Tensor, indices: Tensor, *updates: Tensor, axis: int) -> str | None:
    return _outside(indices, x.shape[axis], axis)


def _within_shape(name: str, types: Types, *, size: Any, axis: Any) -> Settled:
    (x,) = types
    if not x.dtype.is_integer:
        raise DTypeError(f"{name}: expected integers, got {x}; cast them first")
    return x.shape, x.names, {"size": integer(name, "size", size), "axis": integer(name, "axis", axis)}


def _wrapped(xp: Any, indices: Any, n: int) -> Any:
    return xp.where(indices < 0, indices + n, indices)


def _take_map(types: Types, out: TensorType, *, axis: int) -> tuple[tuple[Index, ...], ...]:
    """x is read where the result is, but for the axis that gives way; there at the value of the indices."""
    x, indices = types
    after = indices.ndim - 1
    table = tuple(Index(None) if a == axis else Index(a if a < axis else a + after) for a in range(x.ndim))
    return table, tuple(Index(axis + a) for a in range(indices.ndim))


def _take_eager(xp: Any, x: Any, indices: Any, axis: int) -> Any:
    n = x.shape[axis]
    return xp.take(x, xp.clip(_wrapped(xp, indices, n), 0, n - 1), axis=axis)


def _written(xp: Any, x: Any, indices: Any, updates: Any, axis: int, write: Any) -> Any:
    """x after write(target, indices, updates), with the axis in front and indices on one axis, only those inside."""
    n, outer, inner = x.shape[axis], math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    target = x.reshape((outer, n, inner)).transpose((1, 0, 2)).copy()
    i = _wrapped(xp, indices, n).reshape(-1)
    inside = (i >= 0) & (i < n)
    write(target, i[inside], updates.reshape((outer, i.size, inner)).transpose((1, 0, 2))[inside])
    return target.transpose((1, 0, 2)).reshape(x.shape)


def _scatter_add_eager(xp: Any, x: Any, indices: Any, updates: Any, axis: int) -> Any:
    work = to_dtype(x.dtype).computed_in.numpy
    return _written(xp, x.astype(work, copy=False), indices, updates.astype(work, copy=False), axis, xp.add.at)


def _scatter_eager(xp: Any, x: Any, indices: Any, updates: Any, axis: int) -> Any:
    return _written(xp, x, indices, updates, axis, lambda target, i, u: target.__setitem__(i, u))


def _signed(indices: Tensor) -> Tensor:
    """Indices in the dtype that rows take them in, which holds any size."""
    return astype(indices, index_dtype(indices.dtype))


def _read(indices: Tensor, n: int, axis: int) -> Tensor:
    """The indices of the elements that take reads: none negative, none outside."""
    indices = within(_signed(indices), size=n, axis=axis)
    return clip(where(less(indices, 0), indices + n, indices), 0, max(n - 1, 0))


def _inside(indices: Tensor, n: int) -> Tensor:
    indices = _signed(indices)
    return logical_and(greater_equal(indices, -n), less(indices, n))


def _over(indices: Tensor, x: Tensor, axis: int) -> Tensor:
    """Something of the indices' shape, with axes of size 1 to broadcast to the shape of updates."""
    return reshape(indices, (*indices.shape, *(1,) * (x.ndim - axis - 1)))


def _zeros(x: Tensor) -> Tensor:
    return repeated(0, x.dtype, x.shape)


def _take_batch(lanes: Lanes, x: Tensor, indices: Tensor, *, axis: int) -> Tensor:
    """Where every lane reads at indices of its own, all read in one table of the lanes' slices."""
    n = x.shape[axis + lanes.mapped[0]]
    if not lanes.mapped[1]:
        return take(x, within(indices, size=n, axis=axis), axis=axis + 1)
    if not lanes.mapped[0]:
        return moved(take(x, within(indices, size=n, axis=axis), axis=axis), axis, 0)
    flat, _ = positions((lanes.size, n), [None, indices], indices.shape, first=axis - 1)
    made = take(merged(moved(x, axis + 1, 1), 0), flat, axis=0)
    return _rows_at(made, indices.ndim, axis)


def _rows_at(x: Tensor, count: int, axis: int) -> Tensor:
    """x with the axes of indices, which stand after the lanes (axis 0 of `count`), moved behind `axis` others."""
    order = [0, *range(count, count + axis), *range(1, count), *range(count + axis, x.ndim)]
    return x if order == [*range(x.ndim)] else permute_dims(x, order)


def _scatter_batch(add: bool) -> Any:
    def batch(lanes: Lanes, x: Tensor, indices: Tensor, updates: Tensor, *, axis: int) -> Tensor:
        """Where every lane writes at indices of its own, all write into one table of the lanes' slices."""
        row = scatter_add if add else scatter
        n = x.shape[axis + lanes.mapped[0]]
        if not lanes.mapped[1]:
            x, _, updates = Lanes(lanes.size, (lanes.mapped[0], True, lanes.mapped[2])).all(x, indices, updates)
            return row(x, within(indices, size=n, axis=axis), updates, axis=axis + 1)
        x, indices, updates = lanes.all(x, indices, updates)
        count = indices.ndim
        places = positions((lanes.size, n), [None, indices], indices.shape, first=axis - 1)
        order = [0, *range(axis + 1, axis + count), *range(1, axis + 1), *range(axis + count, updates.ndim)]
        updates = updates if order == [*range(updates.ndim)] else permute_dims(updates, order)
        made = _put(merged(moved(x, axis + 1, 1), 0), *places, updates, add)
        return moved(parted(made, 0, (lanes.size, n)), 1, axis + 1)

    return batch


Gradients = tuple[Tensor | None, ...]


def _scatter_vjp(g: Tensor, y: Tensor, x: Tensor, i: Tensor, u: Tensor, *, axis: int) -> Gradients:
    """Only the last update of an element was written, so only it has a gradient."""
    n = x.shape[axis]
    if not n:
        return g, None, _zeros(u)
    order = reshape(iota_(i.size, 0), i.shape)
    last = repeated(-1, int32, (n,)).scatter(i, order, axis=0).take(i, axis=0)
    written = logical_and(equal(last, order), _inside(i, n))
    return g.scatter(i, _zeros(u), axis=axis), None, where(_over(written, x, axis), g.take(i, axis=axis), 0)


def _scatter_add_vjp(g: Tensor, y: Tensor, x: Tensor, i: Tensor, u: Tensor, *, axis: int) -> Gradients:
    n = x.shape[axis]
    if not n:
        return g, None, _zeros(u)
    return g, None, where(_over(_inside(i, n), x, axis), g.take(i, axis=axis), 0)


@indexing(
    attributes={"axis": axes},
    shape=_take_shape,
    eager=_take_eager,
    index_map=_take_map,
    outside=_outside_axis,
    batch=_take_batch,
    vjp=lambda g, y, x, i, *, axis: (_zeros(x).scatter_add(_read(i, x.shape[axis], axis), g, axis=axis), None),
)
def take(x: Tensor, indices: Tensor, /, axis: int | str | None = None) -> Tensor:
    """The slices of x at these indices of an axis; the indices' axes stand where the axis was.
    IndexError for an index outside, in eager code and under `axon.debug()`; compiled code reads the nearest element.

    >>> nx.take(nx.tensor([10, 20, 30]), nx.tensor([2, 0]))
    int32[2] [30, 10]
    """
    ...


@indexing(
    attributes={"axis": axes},
    dtype=indexed_numbers,
    shape=_scatter_shape,
    eager=_scatter_add_eager,
    extern="scatter_add",
    outside=_outside_axis,
    vjp=_scatter_add_vjp,
    batch=_scatter_batch(add=True),
)
def scatter_add(x: Tensor, indices: Tensor, updates: Tensor, /, axis: int | str | None = None) -> Tensor:
    """x with updates added at these indices of an axis. Updates of one element are added in rising index position.
    IndexError for an index outside, in eager code and under `axon.debug()`; compiled code adds nothing there.

    >>> nx.scatter_add(nx.zeros(3), nx.tensor([2, 2]), nx.ones(2))
    float32[3] [0., 0., 2.]
    """
    ...


@indexing(
    attributes={"axis": axes},
    shape=_scatter_shape,
    eager=_scatter_eager,
    outside=_outside_axis,
    vjp=_scatter_vjp,
    batch=_scatter_batch(add=False),
)
def scatter(x: Tensor, indices: Tensor, updates: Tensor, /, axis: int | str | None = None) -> Tensor:
    """x with updates in place of the elements at these indices of an axis. The last update of an element stays.
    IndexError for an index outside, in eager code and under `axon.debug()`; compiled code writes nothing there.

    >>> nx.scatter(nx.zeros(3), nx.tensor([2, 0]), nx.ones(2))
    float32[3] [1., 0., 1.]
    """
    ...


@movement(
    attributes={"size": opaque, "axis": opaque},
    shape=_within_shape,
    index_map=identity_map,
    eager=lambda xp, x, size, axis: x,
    outside=lambda x, *, size, axis: _outside(x, size, axis),
    nondifferentiable="zero",
)
def within(x: Tensor, /, *, size: int, axis: int = 0) -> Tensor:
    """x, integers that are indices of an axis of that size; the axis is what an error names.

    IndexError where one is outside [-size, size), in eager code and under `axon.debug()`; compiled code does not look.

    >>> nx.within(nx.tensor([0, 2]), size=3)
    int32[2] [0, 2]
    """
    ...


# Composed: element by element, through one flat axis


def _index_dtype(size: int) -> Any:
    return int32 if size < 1 << 31 else int64


def positions(x: Shape, parts: Sequence[Tensor | None], shape: Shape, *, first: int = 0) -> tuple[Tensor, Tensor]:
    """Row-major positions in an axis of x.size elements of (parts[k] along axis k; None is the position's own), with
    each part limited to its axis, and whether all parts were inside. first: the first axis's number, for errors."""
    dtype = _index_dtype(math.prod(x))
    flat, inside = repeated(0, dtype, shape), repeated(True, bool_, shape)
    for k, (n, part) in enumerate(zip(x, parts)):
        stride = math.prod(x[k + 1 :])
        if part is None:
            flat = flat + iota_(shape, k, dtype) * stride
        else:
            flat = flat + astype(_read(part, n, first + k), dtype) * stride
            inside = logical_and(inside, _inside(part, n))
    return flat, inside


def _aligned(name: str, x: Tensor, indices: Tensor, axis: Any) -> tuple[Tensor, Tensor, int]:
    """Both operands of an along-axis function with all axes but `axis` broadcast."""
    indexed(name, (x.dtype, indices.dtype))
    a = axis_of(name, x.type, axis)
    if indices.ndim != x.ndim:
        raise ShapeError(
            f"{name}: expected indices of rank {x.ndim}, got {describe((x.type, indices.type))}; reshape them"
        )
    rests = [TensorType(t.dtype, (*t.shape[:a], 1, *t.shape[a + 1 :])) for t in (x, indices)]
    rest = broadcast_shapes(name, rests)
    made = (broadcast_to(t, (*rest[:a], t.shape[a], *rest[a + 1 :])) for t in (x, indices))
    return *made, a  # type: ignore[return-value]


@function(method=True)
def take_along_axis(x: Tensor, indices: Tensor, /, axis: int | str = -1) -> Tensor:
    """For each place of indices the element of x at that index of the axis; the other axes broadcast.

    >>> nx.take_along_axis(nx.tensor([[1, 2], [3, 4]]), nx.tensor([[1], [0]]))
    int32[2,1]
    [[2],
     [3]]
    """
    x, indices, a = _aligned("take_along_axis", x, indices, axis)
    flat, _ = positions(x.shape, [indices if k == a else None for k in range(x.ndim)], indices.shape)
    return take(reshape(x, (x.size,)), flat, axis=0)


@function(method=True)
def put_along_axis(
    x: Tensor, indices: Tensor, updates: Tensor, /, axis: int | str = -1, *, add: bool = False
) -> Tensor:
    """x with updates in place of (or added to) the elements that take_along_axis would read.

    >>> nx.put_along_axis(nx.zeros((2, 2)), nx.tensor([[1], [0]]), 5.0)
    float32[2,2]
    [[0., 5.],
     [5., 0.]]
    """
    x, indices, a = _aligned("put_along_axis", x, indices, axis)
    places = positions(x.shape, [indices if k == a else None for k in range(x.ndim)], indices.shape)
    updates = broadcast_to(updates, indices.shape)
    return reshape(_put(reshape(x, (x.size,)), *places, updates, add), x.shape)


def _put(table: Tensor, flat: Tensor, inside: Tensor, updates: Tensor, add: bool) -> Tensor:
    """Updates at positions of axis 0, those inside."""
    places = where(inside, flat, table.shape[0])
    return scatter_add(table, places, updates, axis=0) if add else scatter(table, places, updates, axis=0)


def _rows(name: str, x: Tensor, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x with the axes that rows of indices address made one, the positions on it, and whether all were inside."""
    indexed(name, (x.dtype, indices.dtype))
    if not indices.ndim or indices.shape[-1] > x.ndim:
        raise ShapeError(
            f"{name}: expected rows of at most {x.ndim} indices, got {indices.type} for {x.type}; reshape them"
        )
    k = indices.shape[-1]
    parts = [squeeze(take_slice(indices, j, j + 1, indices.ndim - 1), indices.ndim - 1) for j in range(k)]
    table = reshape(x, (math.prod(x.shape[:k]), *x.shape[k:]))
    return table, *positions(x.shape[:k], parts, indices.shape[:-1])


@function(method=True)
def gather(x: Tensor, indices: Tensor, /) -> Tensor:
    """The parts of x at rows of indices: the last axis of indices addresses the leading axes of x.

    >>> nx.gather(nx.tensor([[1, 2], [3, 4]]), nx.tensor([[0, 1], [1, 0]]))
    int32[2] [2, 3]
    """
    table, flat, _ = _rows("gather", x, indices)
    return take(table, flat, axis=0)


def _indexed(name: str, x: Tensor, indices: Tensor, updates: Tensor, add: bool) -> Tensor:
    table, flat, inside = _rows(name, x, indices)
    return reshape(_put(table, flat, inside, updates, add), x.shape)


@function(method=True)
def indexed_add(x: Tensor, indices: Tensor, updates: Tensor, /) -> Tensor:
    """x with updates added to the parts that gather would read.

    >>> nx.indexed_add(nx.zeros((2, 2)), nx.tensor([[0, 1], [0, 1]]), nx.ones(2))
    float32[2,2]
    [[0., 2.],
     [0., 0.]]
    """
    return _indexed("indexed_add", x, indices, updates, True)


@function(method=True)
def indexed_put(x: Tensor, indices: Tensor, updates: Tensor, /) -> Tensor:
    """x with updates in place of the parts that gather would read; the last one of a place stays.

    >>> nx.indexed_put(nx.zeros((2, 2)), nx.tensor([[0, 1]]), nx.ones(1))
    float32[2,2]
    [[0., 1.],
     [0., 0.]]
    """
    return _indexed("indexed_put", x, indices, updates, False)
