"""Transcendental rows: exponentials, logarithms, trigonometry, hyperbolics, error functions."""

from __future__ import annotations

import functools
import math
from typing import Any

from ..core.rules import elementwise, floating
from ..core.tensor import Tensor
from . import special
from .conversion import where
from .elementwise import abs, gap
from .logic import Operand, greater_equal
from .powers import hypot, rsqrt

smooth = functools.partial(elementwise, dtype=floating, cost=8)

LN2, LN10 = math.log(2), math.log(10)


# Exponentials and logarithms


@smooth(domain=(-80, 80), vjp=lambda g, y, x: (g * y,))
def exp(x: Operand, /) -> Tensor:
    """e to the power x.

    >>> nx.exp(1.0)
    float32[] 2.718282
    """
    ...


@smooth(domain=(-100, 100), vjp=lambda g, y, x: (g * y * LN2,))
def exp2(x: Operand, /) -> Tensor:
    """2 to the power x.

    >>> nx.exp2(3.0)
    float32[] 8.
    """
    ...


@smooth(domain=(-80, 80), vjp=lambda g, y, x: (g * (y + 1),))
def expm1(x: Operand, /) -> Tensor:
    """exp(x) - 1, exact near 0.

    >>> nx.expm1(1e-6)
    float32[] 1.e-06
    """
    ...


@smooth(domain=(0, math.inf), vjp=lambda g, y, x: (g / x,))
def log(x: Operand, /) -> Tensor:
    """Natural logarithm; -inf of 0, NaN of negative numbers.

    >>> nx.log(2.0)
    float32[] 0.693147
    """
    ...


@smooth(domain=(-1, math.inf), vjp=lambda g, y, x: (g / (1 + x),))
def log1p(x: Operand, /) -> Tensor:
    """log(1 + x), exact near 0.

    >>> nx.log1p(1e-6)
    float32[] 9.999995e-07
    """
    ...


@smooth(domain=(0, math.inf), vjp=lambda g, y, x: (g / (x * LN2),))
def log2(x: Operand, /) -> Tensor:
    """Logarithm to base 2.

    >>> nx.log2(8.0)
    float32[] 3.
    """
    ...


@smooth(domain=(0, math.inf), vjp=lambda g, y, x: (g / (x * LN10),))
def log10(x: Operand, /) -> Tensor:
    """Logarithm to base 10.

    >>> nx.log10(1000.0)
    float32[] 3.
    """
    ...


def _weight(x: Tensor, total: Tensor) -> Tensor:
    return exp(gap(x, total))


@smooth(vjp=lambda g, z, x, y: (g * _weight(x, z), g * _weight(y, z)))
def logaddexp(x: Operand, y: Operand, /) -> Tensor:
    """log(exp(x) + exp(y)) without overflow on the way.

    >>> nx.logaddexp(0.0, 0.0)
    float32[] 0.693147
    """
    ...


def _sigmoid(xp: Any, x: Any) -> Any:
    e = xp.exp(-xp.abs(x))
    return xp.where(x < 0, e, 1) / (1 + e)


@smooth(domain=(-80, 80), vjp=lambda g, y, x: (g * y * (1 - y),), eager=_sigmoid)
def sigmoid(x: Operand, /) -> Tensor:
    """1 / (1 + exp(-x)), the logistic function.

    >>> nx.sigmoid(0.0)
    float32[] 0.5
    """
    ...


# Trigonometry and hyperbolics


@smooth(domain=(-100, 100), vjp=lambda g, y, x: (g * x.cos(),))
def sin(x: Operand, /) -> Tensor:
    """Sine of radians.

    >>> nx.sin(1.0)
    float32[] 0.841471
    """
    ...


@smooth(domain=(-100, 100), vjp=lambda g, y, x: (-g * x.sin(),))
def cos(x: Operand, /) -> Tensor:
    """Cosine of radians.

    >>> nx.cos(1.0)
    float32[] 0.540302
    """
    ...


@smooth(domain=(-100, 100), vjp=lambda g, y, x: (g * (1 + y * y),))
def tan(x: Operand, /) -> Tensor:
    """Tangent of radians.

    >>> nx.tan(1.0)
    float32[] 1.557408
    """
    ...


@smooth(domain=(-1, 1), vjp=lambda g, y, x: (g * rsqrt((1 - x) * (1 + x)),))
def asin(x: Operand, /) -> Tensor:
    """Inverse sine, in [-pi/2, pi/2]; NaN outside [-1, 1].

    >>> nx.asin(1.0)
    float32[] 1.570796
    """
    ...


@smooth(domain=(-1, 1), vjp=lambda g, y, x: (-g * rsqrt((1 - x) * (1 + x)),))
def acos(x: Operand, /) -> Tensor:
    """Inverse cosine, in [0, pi]; NaN outside [-1, 1].

    >>> nx.acos(-1.0)
    float32[] 3.141593
    """
    ...


@smooth(vjp=lambda g, y, x: (g / (1 + x * x),))
def atan(x: Operand, /) -> Tensor:
    """Inverse tangent, in [-pi/2, pi/2].

    >>> nx.atan(1.0)
    float32[] 0.785398
    """
    ...


def _atan2_vjp(g: Tensor, z: Tensor, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """g x / (x*x + y*y) and -g y / (x*x + y*y), where no square over- or underflows."""
    flat = greater_equal(abs(x), abs(y))
    ratio = where(flat, y, x) / where(flat, x, y)
    by_larger = g / (1 + ratio * ratio) / where(flat, x, y)
    by_smaller = by_larger * ratio
    return where(flat, by_larger, by_smaller), -where(flat, by_smaller, by_larger)


@smooth(vjp=_atan2_vjp)
def atan2(y: Operand, x: Operand, /) -> Tensor:
    """The angle of the point (x, y), in [-pi, pi].

    >>> nx.atan2(1.0, -1.0)
    float32[] 2.356194
    """
    ...


@smooth(domain=(-80, 80), vjp=lambda g, y, x: (g * x.cosh(),))
def sinh(x: Operand, /) -> Tensor:
    """Hyperbolic sine.

    >>> nx.sinh(1.0)
    float32[] 1.175201
    """
    ...


@smooth(domain=(-80, 80), vjp=lambda g, y, x: (g * x.sinh(),))
def cosh(x: Operand, /) -> Tensor:
    """Hyperbolic cosine.

    >>> nx.cosh(1.0)
    float32[] 1.543081
    """
    ...


@smooth(vjp=lambda g, y, x: (g * (1 - y * y),))
def tanh(x: Operand, /) -> Tensor:
    """Hyperbolic tangent.

    >>> nx.tanh(1.0)
    float32[] 0.761594
    """
    ...


@smooth(vjp=lambda g, y, x: (g / hypot(x, 1),))
def asinh(x: Operand, /) -> Tensor:
    """Inverse hyperbolic sine.

    >>> nx.asinh(1.0)
    float32[] 0.881374
    """
    ...


@smooth(domain=(1, math.inf), vjp=lambda g, y, x: (g * rsqrt(x - 1) * rsqrt(x + 1),))
def acosh(x: Operand, /) -> Tensor:
    """Inverse hyperbolic cosine; NaN below 1.

    >>> nx.acosh(2.0)
    float32[] 1.316958
    """
    ...


@smooth(domain=(-1, 1), vjp=lambda g, y, x: (g / ((1 - x) * (1 + x)),))
def atanh(x: Operand, /) -> Tensor:
    """Inverse hyperbolic tangent; NaN outside [-1, 1].

    >>> nx.atanh(0.5)
    float32[] 0.549306
    """
    ...


# Error functions


@smooth(domain=(-6, 6), eager=special.erf, vjp=lambda g, y, x: (g * (2 / math.sqrt(math.pi)) * exp(-x * x),))
def erf(x: Operand, /) -> Tensor:
    """Error function, 2/sqrt(pi) times the integral of exp(-t*t) from 0 to x.

    >>> nx.erf(0.5)
    float32[] 0.5205
    """
    ...


@smooth(
    domain=(-6, 9),
    eager=special.erfc,
    vjp=lambda g, y, x: (g * (-2 / math.sqrt(math.pi)) * exp(-x * x),),
)
def erfc(x: Operand, /) -> Tensor:
    """1 - erf(x), exact where erf is near 1.

    >>> nx.erfc(5.0)
    float32[] 1.53746e-12
    """
    ...


@smooth(
    domain=(-1, 1),
    eager=special.erf_inv,
    vjp=lambda g, y, x: (g * (math.sqrt(math.pi) / 2) * exp(y * y),),
)
def erf_inv(x: Operand, /) -> Tensor:
    """Inverse of erf; infinite at -1 and 1, NaN outside.

    >>> nx.erf_inv(0.5)
    float32[] 0.476936
    """
    ...
