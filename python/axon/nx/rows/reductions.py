"""Reduction rows: combine all elements along axes. The order of a float reduction is docs/design/reductions.md's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...dtypes import DTypeLike, float64
from ..core.combine import ADD, ARGMAX, ARGMIN, LOGICAL_AND, LOGICAL_OR, MAXIMUM, MINIMUM, MULTIPLY
from ..core.functions import function
from ..core.rules import accumulating, choosing, locating, logical, numeric, position, reduction
from ..core.tensor import Tensor
from .conversion import astype, where
from .elementwise import abs, divide
from .logic import equal, isfinite, isnan, less_equal, logical_and, logical_or, not_equal
from .movement import broadcast_to, concat_, expand_dims, permute_dims, repeated, reshape, take_slice
from .wide import widened

Axis = int | str | Sequence[int | str] | None


def _spread(g: Tensor, x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    """A reduction's result or its gradient, repeated over the axes that were reduced."""
    return broadcast_to(g if keepdims else expand_dims(g, axis=axis), x.shape)


def _extreme_vjp(g: Tensor, y: Tensor, x: Tensor, *, axis: tuple[int, ...], keepdims: bool) -> tuple[Tensor]:
    """Elements that share the extreme share the gradient."""
    wins = equal(x, _spread(y, x, axis, keepdims))
    count = sum_(wins, axis=axis, keepdims=True)
    return (where(wins, divide(_spread(g, x, axis, keepdims), astype(count, g.dtype)), 0),)


def _prod_vjp(g: Tensor, y: Tensor, x: Tensor, *, axis: tuple[int, ...], keepdims: bool) -> tuple[Tensor]:
    """The product of the other elements, by multiplications alone: at zeros every derivative of it is right too."""
    order = (*axis, *(i for i in range(x.ndim) if i not in axis))
    turned = permute_dims(x, order)
    lines = reshape(turned, (math.prod(turned.shape[: len(axis)]), *turned.shape[len(axis) :]))
    slope = permute_dims(reshape(_others(lines), turned.shape), [order.index(i) for i in range(x.ndim)])
    return (_spread(g, x, axis, keepdims) * slope,)


def _others(x: Tensor) -> Tensor:
    """The product of all other elements along axis 0: of the pairs but one's own, times the other of the pair."""
    n, half = x.shape[0], x.shape[0] // 2
    if n < 2:
        return repeated(1, x.dtype, x.shape)
    a, b, odd = (take_slice(x, lo, hi, 0) for lo, hi in ((0, half), (half, 2 * half), (2 * half, n)))
    pairs = _others(concat_([a * b, odd], axis=0))
    shared = take_slice(pairs, 0, half, 0)
    return concat_([shared * b, shared * a, take_slice(pairs, half, n - half, 0)], axis=0)


def _sum(xp: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    """NumPy begins with 0.0, so that its sum of negative zeros is 0.0; a kernel's is -0.0, and 0.0 only of nothing."""
    start = {"initial": -0.0} if x.dtype.kind == "f" and x.size else {}
    return xp.sum(x, axis=axis, keepdims=keepdims, **start)


def _sum_jvp(tangents: Sequence[Tensor], y: Tensor, x: Tensor, **attrs: Any) -> Tensor:
    return sum_(tangents[0], **attrs)


@reduction(
    dtype=accumulating,
    combine=ADD,
    eager=_sum,
    vjp=lambda g, y, x, *, axis, keepdims: (_spread(g, x, axis, keepdims),),
    jvp=_sum_jvp,
)
def sum_(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The row under `sum`."""
    ...


@reduction(dtype=accumulating, combine=MULTIPLY, vjp=_prod_vjp)
def prod_(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The row under `prod`."""
    ...


@function(method=True)
def sum(x: Tensor, /, axis: Axis = None, *, dtype: DTypeLike | None = None, keepdims: bool = False) -> Tensor:
    """Sum over axes (None is all), in `dtype` if given. Small integers and bool give int32 or uint32.

    >>> nx.sum(nx.tensor([[1, 2], [3, 4]]), axis=0)
    int32[2] [4, 6]
    """
    if dtype is None:
        return sum_(x, axis=axis, keepdims=keepdims)
    return astype(sum_(astype(x, dtype), axis=axis, keepdims=keepdims), dtype)


@function(method=True)
def prod(x: Tensor, /, axis: Axis = None, *, dtype: DTypeLike | None = None, keepdims: bool = False) -> Tensor:
    """Product over axes (None is all), in `dtype` if given. Small integers give int32 or uint32.

    >>> nx.prod(nx.tensor([[1, 2], [3, 4]]), axis=0)
    int32[2] [3, 8]
    """
    if dtype is None:
        return prod_(x, axis=axis, keepdims=keepdims)
    return astype(prod_(astype(x, dtype), axis=axis, keepdims=keepdims), dtype)


@reduction(dtype=numeric, shape=choosing, combine=MAXIMUM, vjp=_extreme_vjp)
def max(x: Tensor, /, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """The largest element over axes (None is all); NaN if there is one. Equal ones share the gradient.

    >>> nx.max(nx.tensor([[1, 2], [3, 4]]), axis=0)
    int32[2] [3, 4]
    """
    ...


@reduction(dtype=numeric, shape=choosing, combine=MINIMUM, vjp=_extreme_vjp)
def min(x: Tensor, /, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """The smallest element over axes (None is all); NaN if there is one. Equal ones share the gradient.

    >>> nx.min(nx.tensor([[1, 2], [3, 4]]), axis=0)
    int32[2] [1, 2]
    """
    ...


@reduction(dtype=logical, combine=LOGICAL_OR, nondifferentiable="zero")
def any(x: Tensor, /, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """Whether some element over axes (None is all) is true.

    >>> nx.any(nx.tensor([0, 1]))
    bool[] True
    """
    ...


@reduction(dtype=logical, combine=LOGICAL_AND, nondifferentiable="zero")
def all(x: Tensor, /, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """Whether every element over axes (None is all) is true.

    >>> nx.all(nx.tensor([0, 1]))
    bool[] False
    """
    ...


@reduction(
    dtype=position,
    shape=locating,
    combine=ARGMAX,
    eager=lambda xp, x, axis, keepdims: xp.argmax(x, axis=axis[0], keepdims=keepdims),
    nondifferentiable="zero",
)
def argmax_(x: Tensor, /, *, axis: int | str, keepdims: bool = False) -> Tensor:
    """The row under `argmax`: one axis."""
    ...


@reduction(
    dtype=position,
    shape=locating,
    combine=ARGMIN,
    eager=lambda xp, x, axis, keepdims: xp.argmin(x, axis=axis[0], keepdims=keepdims),
    nondifferentiable="zero",
)
def argmin_(x: Tensor, /, *, axis: int | str, keepdims: bool = False) -> Tensor:
    """The row under `argmin`: one axis."""
    ...


@function(method=True)
def argmax(x: Tensor, /, axis: int | str | None = None, *, keepdims: bool = False) -> Tensor:
    """The int32 index of the largest element along an axis, or in row-major order if axis is None. The lowest index
    wins among equals; NaN counts as the largest.

    >>> nx.argmax(nx.tensor([1.0, 3.0, 3.0]))
    int32[] 1
    """
    return _positioned(argmax_, x, axis, keepdims)


@function(method=True)
def argmin(x: Tensor, /, axis: int | str | None = None, *, keepdims: bool = False) -> Tensor:
    """The int32 index of the smallest element along an axis, or in row-major order if axis is None. The lowest index
    wins among equals; NaN counts as the smallest.

    >>> nx.argmin(nx.tensor([3.0, 1.0, 1.0]))
    int32[] 1
    """
    return _positioned(argmin_, x, axis, keepdims)


@function(method=True)
def count_nonzero(x: Tensor, /, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """How many elements over axes (None is all) are not zero, as int32.

    >>> nx.count_nonzero(nx.tensor([0, 3, -1]))
    int32[] 2
    """
    return sum_(not_equal(x, 0), axis=axis, keepdims=keepdims)


@function(method=True)
def all_close(x: Tensor, y: Tensor, /, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether all |x - y| <= atol + rtol |y|; infinities are close to themselves, NaN too if equal_nan. Integers are
    compared as float64 numbers, halves as float32 ones.

    >>> nx.all_close(nx.tensor([1.0, 2.0]), nx.tensor([1.0, 2.00001]))
    bool[] True
    """
    if not (x.dtype.is_float or y.dtype.is_float):
        x, y = astype(x, float64), astype(y, float64)
    (x, y), _ = widened(x, y)
    near = less_equal(abs(x - y), atol + rtol * abs(y))
    same = logical_or(equal(x, y), logical_and(isfinite(y), near))
    return all(logical_or(same, logical_and(isnan(x), isnan(y))) if equal_nan else same)


def _positioned(row: Any, x: Tensor, axis: int | str | None, keepdims: bool) -> Tensor:
    if axis is not None:
        return row(x, axis=axis, keepdims=keepdims)
    found = row(reshape(x, (x.size,)), axis=0)
    return reshape(found, (1,) * x.ndim) if keepdims else found
