"""Statistics composed of reductions: mean is the sum divided by the count, var has two passes. Half floats are float32
on the way."""

from __future__ import annotations

import math

from ..dtypes import float32
from .elementwise import divide, gap, sqrt, square, subtract, where
from .logic import isinf, less, logical_and
from .movement import stop_grad
from .op import composed
from .reductions import Axis, max, sum
from .rules import axes_of
from .tensor import Tensor
from .transcendental import exp, log
from .wide import widened


def _wide(x: Tensor) -> Tensor:
    """In the dtype that statistics are computed in."""
    return x.astype(float32) if x.dtype.is_half or not x.dtype.is_float else x


def _result(y: Tensor, x: Tensor) -> Tensor:
    return y.astype(x.dtype) if x.dtype.is_half else y


def _count(name: str, x: Tensor, axis: Axis) -> int:
    return math.prod(x.shape[a] for a in axes_of(name, x.type, axis))


@composed
def mean(x: Tensor, /, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """Mean over axes (None is all); of integers it is float32. NaN over nothing.

    >>> nx.mean(nx.tensor([1, 2, 4]))
    float32[] 2.333333
    """
    return _result(_mean("mean", _wide(x), axis, keepdims), x)


def _mean(name: str, x: Tensor, axis: Axis, keepdims: bool) -> Tensor:
    count = _count(name, x, axis)
    return divide(sum(x, axis=axis, keepdims=keepdims), count)


@composed
def var(x: Tensor, /, axis: Axis = None, *, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """Variance over axes (None is all): the squared distances to the mean, summed and divided by count - correction.

    >>> nx.var(nx.tensor([1.0, 2.0, 3.0]))
    float32[] 0.666667
    """
    wide = _wide(x)
    distance = subtract(wide, _mean("var", wide, axis, True))
    total = sum(square(distance), axis=axis, keepdims=keepdims)
    return _result(divide(total, float(_count("var", x, axis)) - correction), x)


@composed
def std(x: Tensor, /, axis: Axis = None, *, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """Standard deviation over axes (None is all), the square root of var.

    >>> nx.std(nx.tensor([1.0, 2.0, 3.0]))
    float32[] 0.816497
    """
    return _result(sqrt(var(_wide(x), axis=axis, correction=correction, keepdims=keepdims)), x)


@composed
def logsumexp(x: Tensor, /, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """log of the sum of exp over axes (None is all), without overflow on the way; -inf over nothing.

    The gradient is softmax, its limit too: 0 where all is -inf, and all of it to what is inf, in equal shares.

    >>> nx.logsumexp(nx.tensor([1000.0, 1000.0]))
    float32[] 1000.6932
    """
    (wide,), rounded = widened(x)
    top = stop_grad(max(wide, axis=axis, keepdims=True)) if _count("logsumexp", x, axis) else 0.0
    total = log(sum(exp(gap(wide, top)), axis=axis, keepdims=True))
    found = where(logical_and(isinf(top), less(top, 0)), top, total + top)
    if keepdims:
        return rounded(found)
    gone = axes_of("logsumexp", x.type, axis)
    return rounded(found.squeeze(gone) if gone else found)
