"""Statistics composed of reductions: mean is the sum divided by the count, variances have two passes with correction
(docs/design/reductions.md). Half floats are float32 on the way."""

from __future__ import annotations

import math

from .core.functions import function
from .core.rules import axes_of
from .core.tensor import Tensor
from .rows.conversion import where
from .rows.elementwise import divide, gap, maximum, square, subtract
from .rows.logic import equal, isinf, less, logical_and
from .rows.movement import stop_grad
from .rows.powers import sqrt
from .rows.reductions import Axis, max, sum
from .rows.transcendental import exp, log
from .rows.wide import widened


def _count(name: str, x: Tensor, axis: Axis) -> int:
    return math.prod(x.shape[a] for a in axes_of(name, x.type, axis))


@function(method=True)
def mean(x: Tensor, /, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """Mean over axes (None is all): the sum divided by the count; of integers it is float32. NaN over nothing. That of
    `moments` lacks the rounding errors of the sum.

    >>> nx.mean(nx.tensor([1, 2, 4]))
    float32[] 2.333333
    """
    (wide,), rounded = widened(x)
    return rounded(divide(sum(wide, axis=axis, keepdims=keepdims), _count("mean", x, axis)))


@function(method=True)
def moments(
    x: Tensor, /, axis: Axis = None, *, correction: float = 0.0, keepdims: bool = False
) -> tuple[Tensor, Tensor]:
    """Mean and variance over axes (None is all), the variance as of `var`. This mean is that of the elements also where
    they are large beside their distances, which rounding errors are of: use it for what is divided by a distance.

    >>> average, variance = nx.moments(nx.full((1000,), 1000.1))
    >>> float(variance), bool(average == 1000.1)
    (0.0, True)
    """
    return _moments("moments", x, axis, correction, keepdims)


def _moments(name: str, x: Tensor, axis: Axis, correction: float, keepdims: bool) -> tuple[Tensor, Tensor]:
    """Rounding leaves the first mean some last places off. The mean of the distances to it puts mean and variance
    right: they are the same whatever it is, so it has no gradient."""
    (wide,), rounded = widened(x)
    count, gone = float(_count(name, x, axis)), axes_of(name, x.type, axis)
    first = stop_grad(_near_the_mean(wide, gone))
    distance = subtract(wide, first)
    rest = divide(sum(distance, axis=axis, keepdims=True), count)
    spread = sum(square(distance), axis=axis, keepdims=True) - count * rest * rest
    spread = spread + stop_grad(maximum(-spread, 0))  # rounding does not make it negative
    average, variance = rounded(first + rest), rounded(divide(spread, count - correction))
    return (average, variance) if keepdims or not gone else (average.squeeze(gone), variance.squeeze(gone))


def _near_the_mean(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The mean of every sixteenth element along the first of these axes. The last axis is read whole: a row is at hand
    anyway."""
    if not axes or x.ndim - 1 in axes:
        return mean(x, axis=axes, keepdims=True)
    first, *others = axes
    sample = x[(slice(None),) * first + (slice(None, None, 16),)]
    if others:  # in two steps, for no one goes over all of them without a copy
        sample = mean(sample, axis=tuple(others), keepdims=True)
    return mean(sample, axis=first, keepdims=True)


@function(method=True)
def var(x: Tensor, /, axis: Axis = None, *, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """Variance over axes (None is all): the squared distances to the mean, summed and divided by count - correction.
    That of equal elements is 0.

    >>> nx.var(nx.tensor([1.0, 2.0, 3.0]))
    float32[] 0.666667
    """
    return _moments("var", x, axis, correction, keepdims)[1]


@function(method=True)
def std(x: Tensor, /, axis: Axis = None, *, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """Standard deviation over axes (None is all), the square root of var. Where it is 0, its gradient is 0, too: one of
    its subgradients.

    >>> nx.std(nx.tensor([1.0, 2.0, 3.0]))
    float32[] 0.816497
    """
    (wide,), rounded = widened(x)
    variance = var(wide, axis=axis, correction=correction, keepdims=keepdims)
    still = equal(variance, 0)
    return rounded(where(still, 0, sqrt(where(still, 1, variance))))


@function(method=True)
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
