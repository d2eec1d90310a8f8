"""Sorting: one row of two results, the elements of an axis in order and the indices that they had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.attributes import axes, opaque
from ..core.functions import function
from ..core.rules import Settled, axis_of, library, with_positions
from ..core.tensor import Tensor, TensorType
from .indexing import put_along_axis
from .movement import repeated


def _sort_shape(name: str, types: Sequence[TensorType], *, axis: Any, descending: Any) -> Settled:
    (x,) = types
    return x.shape, x.names, {"axis": axis_of(name, x, axis), "descending": bool(descending)}


def _sort_eager(xp: Any, x: Any, axis: int, descending: bool) -> tuple[Any, Any]:
    if descending:  # the reverse of the reversed axis in rising order, so that equal ones stay in order
        order = xp.flip(x.shape[axis] - 1 - xp.argsort(xp.flip(x, axis), axis=axis, kind="stable"), axis)
    else:
        order = xp.argsort(x, axis=axis, kind="stable")
    return xp.take_along_axis(x, order, axis), order


def _sort_vjp(
    g: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor], x: Tensor, *, axis: int, descending: bool
) -> tuple[Tensor]:
    """Each element has the gradient of the place that it went to."""
    return (put_along_axis(repeated(0, x.dtype, x.shape), y[1], g[0], axis=axis, add=True),)


@library(
    dtype=with_positions,
    shape=_sort_shape,
    attributes={"axis": axes, "descending": opaque},
    eager=_sort_eager,
    vjp=_sort_vjp,
)
def sort_(x: Tensor, /, axis: int | str = -1, *, descending: bool = False) -> tuple[Tensor, Tensor]:
    """The row under `sort` and `argsort`: the elements, and their int32 indices."""
    ...


@function(method=True)
def sort(x: Tensor, /, axis: int | str = -1, *, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements along an axis in rising order, or in falling order; NaN counts as the largest. Equal ones, such as
    -0.0 and 0.0, stay in order, whatever `stable`, which is the standard's, says.

    >>> nx.sort(nx.tensor([3, 1, 2]))
    int32[3] [1, 2, 3]
    """
    return sort_(x, axis, descending=descending)[0]


@function(method=True)
def argsort(x: Tensor, /, axis: int | str = -1, *, descending: bool = False, stable: bool = True) -> Tensor:
    """The int32 indices that elements have along an axis, in the order in which `sort` puts them.

    >>> nx.argsort(nx.tensor([3, 1, 2]))
    int32[3] [1, 2, 0]
    """
    return sort_(x, axis, descending=descending)[1]
