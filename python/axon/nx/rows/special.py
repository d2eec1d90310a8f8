"""Error functions over any array namespace, to float64 accuracy: eager rules of rows that NumPy lacks.

erf(x)/x on [-1, 1] and (1+2x) exp(x*x) erfc(x) on [0, inf) are Chebyshev series; their coefficients are discrete cosine
transforms of values computed with 50 digits. The second variable is t = (x-3.75)/(x+3.75), the choice of Shepherd and
Laframboise, Math. Comp. 36 (1981).
"""

from __future__ import annotations

import math
from typing import Any

_ERF = (
    0.975476939382654096, -0.142261205103713642, 0.0100355821875997956, -0.000576876469976748477,
    0.000027419931252196061, -1.10431755073445076e-6, 3.84887554203450369e-8, -1.1808582533875467e-9,
    3.23342158260509096e-11, -7.99101594700454876e-13, 1.79907251139614556e-14, -3.71863548781869264e-16,
    7.10359900371425297e-18,
)  # fmt: skip
_ERFC = (
    1.17757893456740175, -0.00459005458064647733, -0.0842491333665179156, 0.0592099399981918905,
    -0.0266586684353057523, 0.00907499767070526509, -0.00241316354041760819, 0.000490775836525808632,
    -0.0000691697330250120637, 4.13902798607301017e-6, 7.74038306619849067e-7, -2.18864010492343957e-7,
    1.07649994656709104e-8, 4.5219598112182869e-9, -7.75440020883135108e-10, -6.31808834088668373e-11,
    2.86879501093067117e-11, 1.94558685457791085e-13, -9.65469674843321635e-13, 3.25254814815139917e-14,
    3.34781194828986215e-14, -1.8645628803851883e-15, -1.25079505303164771e-15, 7.41823526060430922e-17,
    5.06814890898082569e-17,
)  # fmt: skip


def _chebyshev(coefficients: tuple[float, ...], t: Any) -> Any:
    """Clenshaw's sum of c[k] T_k(t)."""
    b = c = 0.0 * t
    for a in coefficients[:0:-1]:
        b, c = 2 * t * b - c + a, b
    return t * b - c + coefficients[0]


def erfcx(x: Any, terms: int | None = None) -> Any:
    """exp(x*x) erfc(x) of x >= 0, of a number, an array or a tensor; 12 terms of the series do for float32."""
    return _chebyshev(_ERFC[:terms], (x - 3.75) / (x + 3.75)) / (1 + 2 * x)


def _positive_erfc(xp: Any, x: Any) -> Any:
    """erfc of x >= 0. exp(-x*x) is taken in two factors, the first exact, so that its relative error stays small."""
    x = xp.minimum(x, 28.0)  # erfc(28) is 0 in float64; NaN passes
    rounded = x.astype("float32").astype("float64")
    tail = xp.exp(-rounded * rounded) * xp.exp((rounded - x) * (rounded + x))
    return tail * erfcx(x)


def erf(xp: Any, x: Any) -> Any:
    """The error function, in float64."""
    x = x.astype("float64")
    near = x * _chebyshev(_ERF, 2 * xp.minimum(x * x, 1.0) - 1)
    return xp.where(xp.abs(x) < 1, near, xp.copysign(1 - _positive_erfc(xp, xp.abs(x)), x))


def erfc(xp: Any, x: Any) -> Any:
    """1 - erf(x), in float64."""
    x = x.astype("float64")
    tail = _positive_erfc(xp, xp.abs(x))
    return xp.where(xp.abs(x) < 0.5, 1 - erf(xp, x), xp.where(x < 0, 2 - tail, tail))


def erf_inv(xp: Any, x: Any) -> Any:
    """The inverse error function in float64: Winitzki's approximation, then Halley steps."""
    x = x.astype("float64")
    a = xp.abs(x)
    logarithm = xp.log1p(-xp.minimum(a, 1 - 2.0**-53)) + xp.log1p(a)
    half = 2 / (math.pi * 0.147) + logarithm / 2
    y = xp.where(a < 0.1, a * (math.sqrt(math.pi) / 2), xp.sqrt(xp.sqrt(half * half - logarithm / 0.147) - half))
    for _ in range(3):
        error = xp.where(a < 0.5, erf(xp, y) - a, (1 - a) - erfc(xp, y))
        step = error * xp.exp(y * y) * (math.sqrt(math.pi) / 2)
        y = y - step / (1 + y * step)
    y = xp.where(a < 1, y, xp.where(a == 1, math.inf, math.nan))
    return xp.copysign(y, x)
