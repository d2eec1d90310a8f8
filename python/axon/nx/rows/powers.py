"""Powers and roots."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from ...errors import DTypeError
from ..core.convert import convert
from ..core.declare import method, operator
from ..core.rules import elementwise, floating, numeric
from ..core.tensor import Tensor
from .conversion import where
from .elementwise import sign
from .logic import Operand, equal, isfinite, isinf, logical_and


def _pow(xp: Any, x: Any, y: Any) -> Any:
    if x.dtype.kind == "f":
        return xp.power(x, y)
    whole = xp.power(x, xp.maximum(y, 0))
    if x.dtype.kind == "u":
        return whole
    inverse = xp.where(x == 1, 1, xp.where(x == -1, 1 - 2 * (y & 1), 0))
    return xp.where(y < 0, inverse, whole)


def _pow_vjp(g: Tensor, z: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    still = equal(y, 0)
    slope = where(still, 0, y * pow(x, where(still, 1, y - 1)))
    return g * slope, g * z * where(equal(x, 0), 1, x).log()


def _power(row: Callable[[Operand, Operand], Tensor]) -> Callable[[Operand, Operand], Tensor]:
    """Integers to the power of a negative number are refused: as integers nearly all of the results are 0."""

    @functools.wraps(row)
    def run(x: Operand, y: Operand, /) -> Tensor:
        if isinstance(y, int) and y < 0:
            if (base := convert("pow", x)).dtype.is_integer:
                raise DTypeError(f"pow: expected an exponent of at least 0 for {base.type}, got {y}; cast it")
        return row(x, y)

    return method(run)


@operator("pow", reflected=True)
@_power
@elementwise(cost=8, dtype=numeric, vjp=_pow_vjp, eager=_pow)
def pow(x: Operand, y: Operand, /) -> Tensor:
    """x to the power y. Integers wrap; an exponent below 0 gives the inverse rounded towards 0 (0 of base 0), but
    DTypeError where it is a Python int.

    >>> nx.pow(2.0, 0.5)
    float32[] 1.414214
    """
    ...


@elementwise(cost=8, dtype=floating, domain=(0, math.inf), vjp=lambda g, y, x: (g * 0.5 / y,))
def sqrt(x: Operand, /) -> Tensor:
    """Square root; NaN of negative numbers.

    >>> nx.sqrt(2.0)
    float32[] 1.414214
    """
    ...


@elementwise(
    cost=8,
    dtype=floating,
    domain=(0, math.inf),
    vjp=lambda g, y, x: (-0.5 * g * y / x,),
    eager=lambda xp, x: 1 / xp.sqrt(x),
)
def rsqrt(x: Operand, /) -> Tensor:
    """1 / sqrt(x).

    >>> nx.rsqrt(4.0)
    float32[] 0.5
    """
    ...


@elementwise(cost=8, dtype=floating, vjp=lambda g, y, x: (g / (3 * y * y),))
def cbrt(x: Operand, /) -> Tensor:
    """Cube root, of negative numbers too.

    >>> nx.cbrt(-8.0)
    float32[] -2.
    """
    ...


def _hypot_vjp(g: Tensor, z: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    length = where(equal(z, 0), 1, z)

    def share(x: Tensor, other: Tensor) -> Tensor:
        return where(logical_and(isinf(x), isfinite(other)), sign(x), x / length)

    return g * share(x, y), g * share(y, x)


@elementwise(cost=8, dtype=floating, vjp=_hypot_vjp)
def hypot(x: Operand, y: Operand, /) -> Tensor:
    """sqrt(x*x + y*y) without overflow on the way; its gradient at (0, 0) is 0, as abs has it.

    >>> nx.hypot(3.0, 4.0)
    float32[] 5.
    """
    ...
