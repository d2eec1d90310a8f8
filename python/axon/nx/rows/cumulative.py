"""Cumulative rows: element i along an axis combines the elements up to i. A row a combination; its order is
docs/design/reductions.md's.

Each is a recurrence, y[i] = op(y[i-1], x[i]), so its derivatives are a linear one: with the slopes a[i] of y[i] in
y[i-1] and b[i] in x[i], what reaches y[i] from behind is r[i] = g[i] + a[i+1] r[i+1], and x[i] has b[i] r[i].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ...dtypes import DTypeLike
from ...errors import ShapeError
from ..core.attributes import axes, opaque
from ..core.combine import ADD, LOGADDEXP, MAXIMUM, MINIMUM, MULTIPLY, Combine
from ..core.functions import function
from ..core.op import apply
from ..core.rules import Settled, accumulating, axis_of, floating, library, numeric
from ..core.tensor import Tensor, TensorType
from .associative import associative
from .conversion import astype, where
from .elementwise import gap
from .logic import isnan, logical_not, logical_or
from .movement import concat_, repeated, take_slice
from .transcendental import exp
from .wide import widened

SEGMENT, BLOCK = 16, 1024  # elements of the last axis that are combined by themselves


def _shape(name: str, types: Sequence[TensorType], *, axis: Any, reverse: Any) -> Settled:
    (x,) = types
    if axis is None and x.ndim == 1:
        axis = 0
    if axis is None or not x.ndim:
        raise ShapeError(
            f"{name}: expected an axis of a tensor that has one, got axis {axis} of {x}; say which, or reshape it"
        )
    return x.shape, x.names, {"axis": axis_of(name, x, axis), "reverse": bool(reverse)}


def _eager(combine: Combine, xp: Any, x: Any, *, axis: int, reverse: bool) -> Any:
    """In the order of the library step: along the last axis pieces are joined, each with what is before."""
    join = getattr(xp, combine.name)
    x = xp.flip(x, axis) if reverse else x
    if not x.size or any(n != 1 for n in x.shape[axis + 1 :]):
        y = join.accumulate(x, axis=axis, dtype=x.dtype)
    else:
        n, lead = x.shape[axis], x.shape[:axis]
        whole = -(-n // BLOCK) * BLOCK
        y = xp.zeros((*lead, whole), x.dtype)
        y[..., :n] = x.reshape((*lead, n))
        for size, joined in ((1, SEGMENT), (SEGMENT, BLOCK), (BLOCK, whole)):
            pieces = y.reshape((*lead, whole // joined, joined // size, size))
            before = join.accumulate(pieces[..., -1], axis=-1, dtype=x.dtype)[..., :-1, None]
            pieces[..., 1:, :] = join(before, pieces[..., 1:, :])
        y = y[..., :n].reshape(x.shape)
    return xp.flip(y, axis) if reverse else y


Slopes = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]  # (y[i-1], x[i], y[i]) -> of y[i] in each of the two


def _vjp(slopes: Slopes, g: Tensor, y: Tensor, x: Tensor, *, axis: int, reverse: bool) -> tuple[Tensor]:
    n = x.shape[axis]
    if n < 2:
        return (g,)
    (g, y, x), rounded = widened(g, y, x)
    rest, others = (0, n - 1), (1, n)  # all but the last in order, all but the first
    if reverse:
        rest, others = others, rest
    through, own = slopes(*(take_slice(t, *part, axis) for t, part in ((y, rest), (x, others), (y, others))))
    one = repeated(1, x.dtype, tuple(1 if k == axis else size for k, size in enumerate(x.shape)))

    def ordered(a: Tensor, b: Tensor) -> Tensor:
        return concat_([b, a] if reverse else [a, b], axis=axis)

    def join(a: Sequence[Tensor], b: Sequence[Tensor]) -> list[Tensor]:
        return [a[0] * b[0], a[1] * b[0] + b[1]]

    _, reached = associative(join, [ordered(through, one), g], [axis, axis], reverse=not reverse)
    return (rounded(ordered(one, own) * reached),)


def _chosen(combine: Combine, before: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The element by which the extreme changed has it until the next one: of equal ones the first."""
    new = logical_or(apply(combine.further, x, before), isnan(x) & logical_not(isnan(before)))
    return where(new, 0, repeated(1, x.dtype, x.shape)), where(new, repeated(1, x.dtype, x.shape), 0)


def _weights(before: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return exp(gap(before, y)), exp(gap(x, y))


def _cumulative(combine: Combine, slopes: Slopes | None = None, **fields: Any) -> Any:
    """The decorator of a row of this family."""
    return library(
        shape=_shape,
        attributes={"axis": axes, "reverse": opaque},
        combine=combine,
        extern="cumulative",
        eager=partial(_eager, combine),
        **({"vjp": partial(_vjp, slopes)} if slopes else {}),
        **fields,
    )


def _sum_vjp(g: Tensor, y: Tensor, x: Tensor, *, axis: int, reverse: bool) -> tuple[Tensor]:
    return (cumulative_sum_(g, axis=axis, reverse=not reverse),)


@_cumulative(ADD, dtype=accumulating, vjp=_sum_vjp)
def cumulative_sum_(x: Tensor, /, axis: int | str | None = None, *, reverse: bool = False) -> Tensor:
    """The row under `cumulative_sum`."""
    ...


@_cumulative(MULTIPLY, lambda before, x, y: (x, before), dtype=accumulating)
def cumulative_prod_(x: Tensor, /, axis: int | str | None = None, *, reverse: bool = False) -> Tensor:
    """The row under `cumulative_prod`."""
    ...


@_cumulative(MAXIMUM, partial(_chosen, MAXIMUM), dtype=numeric)
def cumulative_max(x: Tensor, /, axis: int | str | None = None, *, reverse: bool = False) -> Tensor:
    """The largest element so far along an axis, which x of one axis need not say; NaN from the first one on. reverse:
    from the end of the axis. Of equal elements the first has the gradient. Of numbers of any dtype, which stays;
    DTypeError for bool. ShapeError for rank 0, and for several axes without `axis`.

    >>> nx.cumulative_max(nx.tensor([1, 3, 2]))
    int32[3] [1, 3, 3]
    """
    ...


@_cumulative(MINIMUM, partial(_chosen, MINIMUM), dtype=numeric)
def cumulative_min(x: Tensor, /, axis: int | str | None = None, *, reverse: bool = False) -> Tensor:
    """The smallest element so far along an axis, which x of one axis need not say; NaN from the first one on. reverse:
    from the end of the axis. Of equal elements the first has the gradient. Of numbers of any dtype, which stays;
    DTypeError for bool. ShapeError for rank 0, and for several axes without `axis`.

    >>> nx.cumulative_min(nx.tensor([3, 1, 2]))
    int32[3] [3, 1, 1]
    """
    ...


@_cumulative(LOGADDEXP, _weights, dtype=floating)
def cumulative_logsumexp(x: Tensor, /, axis: int | str | None = None, *, reverse: bool = False) -> Tensor:
    """log(sum(exp(x))) of the elements so far along an axis, which x of one axis need not say, without overflow on the
    way. reverse: from the end of the axis. Integers give float32. ShapeError for rank 0, and for several axes without
    `axis`.

    >>> nx.cumulative_logsumexp(nx.tensor([1000.0, 1000.0]))
    float32[2] [1000.    , 1000.6932]
    """
    ...


@function(method=True)
def cumulative_sum(
    x: Tensor,
    /,
    axis: int | str | None = None,
    *,
    dtype: DTypeLike | None = None,
    include_initial: bool = False,
    reverse: bool = False,
) -> Tensor:
    """The sum of the elements so far along an axis, which x of one axis need not say, in `dtype` if given. Small
    integers and bool give int32 or uint32. include_initial: the empty sum 0 is there, too. reverse: from the end of the
    axis. ShapeError for rank 0, and for several axes without `axis`.

    >>> nx.cumulative_sum(nx.tensor([1, 2, 3]))
    int32[3] [1, 3, 6]
    >>> nx.cumulative_sum(nx.tensor([1, 2, 3]), include_initial=True)
    int32[4] [0, 1, 3, 6]
    """
    return _so_far(cumulative_sum_, 0, x, axis, dtype, include_initial, reverse)


@function(method=True)
def cumulative_prod(
    x: Tensor,
    /,
    axis: int | str | None = None,
    *,
    dtype: DTypeLike | None = None,
    include_initial: bool = False,
    reverse: bool = False,
) -> Tensor:
    """The product of the elements so far along an axis, which x of one axis need not say, in `dtype` if given. Small
    integers and bool give int32 or uint32. include_initial: the empty product 1 is there, too. reverse: from the end of
    the axis. ShapeError for rank 0, and for several axes without `axis`.

    >>> nx.cumulative_prod(nx.tensor([1, 2, 3]))
    int32[3] [1, 2, 6]
    """
    return _so_far(cumulative_prod_, 1, x, axis, dtype, include_initial, reverse)


def _so_far(
    row: Any, nothing: int, x: Tensor, axis: int | str | None, dtype: DTypeLike | None, initial: bool, reverse: bool
) -> Tensor:
    y = row(x if dtype is None else astype(x, dtype), axis=axis, reverse=reverse)
    y = y if dtype is None else astype(y, dtype)
    if not initial:
        return y
    along = 0 if axis is None else axis_of(row.op.name, y.type, axis)
    first = repeated(nothing, y.dtype, tuple(1 if k == along else n for k, n in enumerate(y.shape)))
    return concat_([y, first] if reverse else [first, y], axis=along)
