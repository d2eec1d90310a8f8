"""Functions composed of movement rows: stacking, splitting, reordering axes, repeating."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import ShapeError
from .core.backend import beside
from .core.functions import function, lift
from .core.op import describe
from .core.rules import axes_of, axis_of, broadcast_shapes, integer, integers
from .core.tensor import Tensor
from .rows.logic import Operand
from .rows.movement import broadcast_to, concat_, expand_dims, permute_dims, reshape, squeeze, take_slice


@function(method=True)
def flatten(x: Tensor, /) -> Tensor:
    """All elements on one axis, in row-major order.

    >>> nx.flatten(nx.zeros((2, 3))).shape
    (6,)
    """
    return reshape(x, (-1,)) if x.size else reshape(x, (0,))


@function
def concat(arrays: Sequence[Operand], /, axis: int | str | None = 0) -> Tensor:
    """Tensors one after the other along an axis; None flattens them first.

    >>> nx.concat([nx.zeros(1), nx.ones(2)])
    float32[3] [0., 1., 1.]
    """
    tensors = _several("concat", arrays)
    return concat_(tensors, axis=axis) if axis is not None else concat_([flatten(x) for x in tensors], axis=0)


def _tensors(name: str, arrays: Sequence[Operand]) -> list[Tensor]:
    with beside([x for x in arrays if isinstance(x, Tensor)]):
        return lift(name, arrays)


def _several(name: str, arrays: Any) -> list[Tensor]:
    found = list(arrays) if isinstance(arrays, Iterable) else []
    if not found:
        raise ShapeError(
            f"{name}: expected a sequence of at least one tensor, got {arrays!r}; make an empty one with zeros"
        )
    return _tensors(name, found)


@function
def stack(arrays: Sequence[Operand], /, axis: int = 0) -> Tensor:
    """Tensors of one shape side by side along a new axis.

    >>> nx.stack([nx.arange(2), nx.arange(2)], axis=1)
    int32[2,2]
    [[0, 0],
     [1, 1]]
    """
    tensors = _several("stack", arrays)
    if any(x.shape != tensors[0].shape for x in tensors):
        types = describe([x.type for x in tensors])
        raise ShapeError(f"stack: expected tensors of one shape, got {types}; broadcast or pad one")
    return concat_([expand_dims(x, axis=axis) for x in tensors], axis=axis)


@function(method=True)
def unstack(x: Tensor, /, axis: int | str = 0) -> tuple[Tensor, ...]:
    """The tensors along an axis, without it.

    >>> nx.unstack(nx.arange(2))
    (int32[] 0, int32[] 1)
    """
    a = axis_of("unstack", x.type, axis)
    return tuple(squeeze(take_slice(x, i, i + 1, a), a) for i in range(x.shape[a]))


@function(method=True)
def split(x: Tensor, /, sections: int | Sequence[int], axis: int | str = 0) -> tuple[Tensor, ...]:
    """Parts along an axis: so many equal ones, or ones of these sizes.

    >>> nx.split(nx.arange(3), (1, 2))
    (int32[1] [0], int32[2] [1, 2])
    """
    a = axis_of("split", x.type, axis)
    if isinstance(sections, int):
        count = integer("split", "sections", sections)
        sizes = [x.shape[a] // count] * count if count > 0 else []
    else:
        sizes = list(integers("split", "sections", sections))
    if sum(sizes) != x.shape[a] or any(s < 0 for s in sizes):
        raise ShapeError(f"split: expected parts that fill axis {a} of {x.type}, got {sections}; give the sizes")
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return tuple(take_slice(x, lo, lo + n, a) for lo, n in zip(starts, sizes))


@function
def broadcast_arrays(*arrays: Operand) -> tuple[Tensor, ...]:
    """All tensors broadcast to their common shape.

    >>> [x.shape for x in nx.broadcast_arrays(nx.zeros(3), nx.zeros((2, 1)))]
    [(2, 3), (2, 3)]
    """
    tensors = _tensors("broadcast_arrays", arrays)
    shape = broadcast_shapes("broadcast_arrays", [x.type for x in tensors])
    return tuple(broadcast_to(x, shape) for x in tensors)


@function
def meshgrid(*arrays: Operand, indexing: str = "xy") -> list[Tensor]:
    """Coordinate tensors of the grid that vectors span; "xy" has the second vector along axis 0, "ij" the first.

    >>> [x.tolist() for x in nx.meshgrid(nx.arange(2), nx.arange(3), indexing="ij")]
    [[[0, 0, 0], [1, 1, 1]], [[0, 1, 2], [0, 1, 2]]]
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f'meshgrid: expected indexing "xy" or "ij", got {indexing!r}; choose one')
    tensors = _tensors("meshgrid", arrays)
    order = list(range(len(tensors)))
    if indexing == "xy":
        order[:2] = order[:2][::-1]
    shape = tuple(tensors[i].size for i in order)
    lines = [[x.size if i == k else 1 for i in order] for k, x in enumerate(tensors)]
    return [broadcast_to(reshape(x, line), shape) for x, line in zip(tensors, lines)]


@function(method=True)
def moveaxis(x: Tensor, source: int | Sequence[int], destination: int | Sequence[int], /) -> Tensor:
    """Axes at `source` moved to `destination`, the others in order.

    >>> nx.moveaxis(nx.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    old, new = axes_of("moveaxis", x.type, source), axes_of("moveaxis", x.type, destination)
    if len(old) != len(new):
        raise ShapeError(
            f"moveaxis: expected as many sources as destinations, got {source} and {destination}; pair them"
        )
    order = [a for a in range(x.ndim) if a not in old]
    for place, axis in sorted(zip(new, old)):
        order.insert(place, axis)
    return permute_dims(x, order)


@function(method=True)
def swapaxes(x: Tensor, first: int | str, second: int | str, /) -> Tensor:
    """Two axes exchanged.

    >>> nx.swapaxes(nx.zeros((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    a, b = axis_of("swapaxes", x.type, first), axis_of("swapaxes", x.type, second)
    order = list(range(x.ndim))
    order[a], order[b] = b, a
    return permute_dims(x, order)


@function(method=True)
def matrix_transpose(x: Tensor, /) -> Tensor:
    """The last two axes exchanged.

    >>> nx.matrix_transpose(nx.zeros((2, 3, 4))).shape
    (2, 4, 3)
    """
    return swapaxes(x, -2, -1)


@function(method=True)
def transpose(x: Tensor, /, axes: Sequence[int | str] | None = None) -> Tensor:
    """The axes in reverse, or in the given order.

    >>> nx.transpose(nx.zeros((2, 3, 4))).shape
    (4, 3, 2)
    """
    return permute_dims(x, tuple(reversed(range(x.ndim))) if axes is None else axes)


@function(method=True)
def roll(x: Tensor, /, shift: int | Sequence[int], axis: int | str | Sequence[int | str] | None = None) -> Tensor:
    """Elements moved by `shift` along axes, coming in again at the other end; None rolls the flat tensor.

    >>> nx.roll(nx.arange(4), 1)
    int32[4] [3, 0, 1, 2]
    """
    if axis is None:
        return reshape(roll(flatten(x), shift, axis=0), x.shape)
    axes = axes_of("roll", x.type, axis)
    for a, by in zip(axes, integers("roll", "shift", shift, len(axes))):
        if n := x.shape[a]:
            cut = -by % n
            x = concat_([take_slice(x, cut, n, a), take_slice(x, 0, cut, a)], axis=a) if cut else x
    return x


@function(method=True)
def repeat(x: Tensor, repeats: int, /, axis: int | str | None = None) -> Tensor:
    """Each element `repeats` times in a row along an axis; None repeats the flat tensor.

    >>> nx.repeat(nx.arange(3), 2)
    int32[6] [0, 0, 1, 1, 2, 2]
    """
    if axis is None:
        return repeat(flatten(x), repeats, axis=0)
    a, count = axis_of("repeat", x.type, axis), integer("repeat", "repeats", repeats)
    spread = broadcast_to(expand_dims(x, axis=a + 1), (*x.shape[: a + 1], count, *x.shape[a + 1 :]))
    return reshape(spread, (*x.shape[:a], x.shape[a] * count, *x.shape[a + 1 :]))


@function(method=True)
def tile(x: Tensor, repetitions: int | Sequence[int], /) -> Tensor:
    """The whole tensor repeated so often along each axis, counted from the last.

    >>> nx.tile(nx.arange(2), 2)
    int32[4] [0, 1, 0, 1]
    """
    counts = integers("tile", "repetitions", repetitions)
    counts = (1,) * (x.ndim - len(counts)) + counts
    shape = (1,) * (len(counts) - x.ndim) + x.shape
    pairs = [s for c, n in zip(counts, shape) for s in (c, n)]
    spread = broadcast_to(reshape(x, [s for n in shape for s in (1, n)]), pairs)
    return reshape(spread, [c * n for c, n in zip(counts, shape)])


def _transposed(x: Tensor) -> Tensor:
    if x.ndim != 2:
        raise ShapeError(f"T: expected a matrix, got {x.type}; use mT for stacks of matrices, or permute_dims")
    return permute_dims(x, (1, 0))


Tensor.T = property(_transposed, doc="The matrix transposed.")  # type: ignore[attr-defined]
Tensor.mT = property(matrix_transpose, doc="The last two axes exchanged.")  # type: ignore[attr-defined]
