"""Elementwise rows: arithmetic and rounding (others: conversion.py, powers.py, logic.py, transcendental.py).

Names are those of the array-API standard and of the scalars of csrc/kernels/scalar.h. A gradient is with respect to
operands already broadcast to the result's shape.
"""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable
from typing import Any

from ...dtypes import int64
from ...errors import DTypeError
from ..core.convert import convert
from ..core.declare import method, operator
from ..core.functions import function
from ..core.number import Number, computed
from ..core.op import as_dtype
from ..core.rules import elementwise, floating, floats, full_floats, integer, numeric
from ..core.tensor import Tensor
from .conversion import astype, where
from .logic import Operand, equal, greater, isfinite, signbit
from .movement import repeated

# Arithmetic


@operator("add", reflected=True)
@elementwise(dtype=numeric, vjp=lambda g, z, x, y: (g, g))
def add(x: Operand, y: Operand, /) -> Tensor:
    """Sum x + y.

    >>> nx.add(2, 0.5)
    float32[] 2.5
    """
    ...


@operator("sub", reflected=True)
@elementwise(dtype=numeric, vjp=lambda g, z, x, y: (g, -g))
def subtract(x: Operand, y: Operand, /) -> Tensor:
    """Difference x - y.

    >>> nx.subtract(2, 0.5)
    float32[] 1.5
    """
    ...


@elementwise(
    dtype=floating,
    vjp=lambda g, z, x, y: (g, -g),
    eager=lambda xp, x, y: xp.where(x == y, 0, x - y),
)
def gap(x: Operand, y: Operand, /) -> Tensor:
    """x - y, and 0 between equal infinities: how far a value is below a maximum of which it is one.

    >>> nx.gap(nx.tensor([float("inf"), 2.0]), nx.tensor([float("inf"), 3.0]))
    float32[2] [ 0., -1.]
    """
    ...


@operator("mul", reflected=True)
@elementwise(dtype=numeric, vjp=lambda g, z, x, y: (g * y, g * x))
def multiply(x: Operand, y: Operand, /) -> Tensor:
    """Product x * y.

    >>> nx.multiply(2, 0.5)
    float32[] 1.
    """
    ...


def _fma(xp: Any, x: Any, y: Any, z: Any) -> Any:
    if x.dtype.itemsize == 4:  # the product is exact in float64; what a second rounding changes is one case in 2**29
        return (x.astype("float64") * y + z).astype(x.dtype)
    split = [v * 134217729.0 for v in (x, y)]  # Dekker's halves, whose products are exact
    (xh, yh) = (s - (s - v) for s, v in zip(split, (x, y)))
    product = x * y
    error = ((xh * yh - product) + xh * (y - yh) + (x - xh) * yh) + (x - xh) * (y - yh)
    total = product + z
    back = total - product
    exact = total + (error + ((product - (total - back)) + (z - back)))
    return xp.where(xp.isfinite(exact), exact, total)


@elementwise(dtype=floating, vjp=lambda g, w, x, y, z: (g * y, g * x, g), eager=_fma)
def fma(x: Operand, y: Operand, z: Operand, /) -> Tensor:
    """x * y + z rounded once.

    >>> nx.fma(2.0, 3.0, 1.0)
    float32[] 7.
    """
    ...


@operator("truediv", reflected=True)
@elementwise(cost=8, dtype=floating, vjp=lambda g, z, x, y: (g / y, -g * z / y))
def divide(x: Operand, y: Operand, /) -> Tensor:
    """Quotient x / y; of integers too it is a float.

    >>> nx.divide(1, 2)
    float32[] 0.5
    """
    ...


def _floor_divide(xp: Any, x: Any, y: Any) -> Any:
    if x.dtype.kind == "f":
        return xp.floor_divide(x, y)
    return xp.where(y == 0, 0, xp.floor_divide(x, xp.where(y == 0, 1, y)))


def _remainder(xp: Any, x: Any, y: Any) -> Any:
    if x.dtype.kind == "f":
        return xp.remainder(x, y)
    return xp.where(y == 0, 0, xp.remainder(x, xp.where(y == 0, 1, y)))


@operator("floordiv", reflected=True)
@elementwise(cost=8, dtype=numeric, nondifferentiable="zero", eager=_floor_divide)
def floor_divide(x: Operand, y: Operand, /) -> Tensor:
    """Quotient rounded down. Integers: x // 0 is 0 and lowest // -1 is lowest.

    >>> nx.floor_divide(-7, 2)
    int32[] -4
    """
    ...


@operator("mod", reflected=True)
@elementwise(cost=8, dtype=numeric, vjp=lambda g, z, x, y: (g, -g * floor_divide(x, y)), eager=_remainder)
def remainder(x: Operand, y: Operand, /) -> Tensor:
    """Remainder of floor_divide, with the divisor's sign. Integers: x % 0 is 0.

    >>> nx.remainder(-7, 2)
    int32[] 1
    """
    ...


@operator("neg")
@elementwise(dtype=numeric, vjp=lambda g, y, x: (-g,))
def negative(x: Operand, /) -> Tensor:
    """Negation -x; integers wrap.

    >>> nx.negative(2)
    int32[] -2
    """
    ...


@operator("pos")
@elementwise(dtype=numeric, vjp=lambda g, y, x: (g,))
def positive(x: Operand, /) -> Tensor:
    """x itself.

    >>> nx.positive(2)
    int32[] 2
    """
    ...


@operator("abs")
@elementwise(dtype=numeric, vjp=lambda g, y, x: (g * x.sign(),))
def abs(x: Operand, /) -> Tensor:
    """Absolute value; its gradient at 0 is 0. The lowest integer stays what it is.

    >>> nx.abs(-2)
    int32[] 2
    """
    ...


@elementwise(dtype=numeric, nondifferentiable="zero")
def sign(x: Operand, /) -> Tensor:
    """-1, 0 or 1; a float's zeros and NaN are kept.

    >>> nx.sign(-2.5)
    float32[] -1.
    """
    ...


@elementwise(dtype=numeric, vjp=lambda g, y, x: (2 * g * x,))
def square(x: Operand, /) -> Tensor:
    """x * x.

    >>> nx.square(3)
    int32[] 9
    """
    ...


@elementwise(cost=8, dtype=floating, vjp=lambda g, y, x: (-g * y * y,), eager=lambda xp, x: 1 / x)
def reciprocal(x: Operand, /) -> Tensor:
    """1 / x.

    >>> nx.reciprocal(4)
    float32[] 0.25
    """
    ...


def _shared(g: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The gradient of a in max(a, b): all of g where a wins, half of it at a tie."""
    return where(greater(a, b), g, where(equal(a, b), g * 0.5, 0))


@elementwise(dtype=numeric, vjp=lambda g, z, x, y: (_shared(g, x, y), _shared(g, y, x)))
def maximum(x: Operand, y: Operand, /) -> Tensor:
    """The larger of x and y; NaN if either is. A tie splits the gradient.

    >>> nx.maximum(2, 3)
    int32[] 3
    """
    ...


@elementwise(dtype=numeric, vjp=lambda g, z, x, y: (_shared(g, y, x), _shared(g, x, y)))
def minimum(x: Operand, y: Operand, /) -> Tensor:
    """The smaller of x and y; NaN if either is. A tie splits the gradient.

    >>> nx.minimum(2, 3)
    int32[] 2
    """
    ...


@elementwise(dtype=floating, vjp=lambda g, z, x, y: (where(equal(signbit(x), signbit(y)), g, -g), None))
def copysign(x: Operand, y: Operand, /) -> Tensor:
    """The magnitude of x with the sign of y.

    >>> nx.copysign(2.0, -0.0)
    float32[] -2.
    """
    ...


@elementwise(dtype=full_floats, nondifferentiable="zero")
def nextafter(x: Operand, y: Operand, /) -> Tensor:
    """The next representable value after x towards y; float32 and float64 only.

    >>> nx.nextafter(1.0, 2.0) - 1.0
    float32[] 1.192093e-07
    """
    ...


# Rounding: integers are whole already


def _whole(row: Callable[[Operand], Tensor]) -> Callable[[Operand], Tensor]:
    """Integers are returned as they are; the row sees floats only."""

    @functools.wraps(row)
    def run(x: Operand, /) -> Tensor:
        x = convert(row.__name__, x)
        return row(x) if x.dtype.is_float else x

    return method(run)


@_whole
@elementwise(dtype=floats, nondifferentiable="zero")
def floor(x: Operand, /) -> Tensor:
    """The largest whole number not above x.

    >>> nx.floor(-1.5)
    float32[] -2.
    """
    ...


@_whole
@elementwise(dtype=floats, nondifferentiable="zero")
def ceil(x: Operand, /) -> Tensor:
    """The smallest whole number not below x.

    >>> nx.ceil(-1.5)
    float32[] -1.
    """
    ...


@_whole
@elementwise(dtype=floats, nondifferentiable="zero")
def trunc(x: Operand, /) -> Tensor:
    """The nearest whole number towards 0.

    >>> nx.trunc(-1.5)
    float32[] -1.
    """
    ...


@_whole
@elementwise(dtype=floats, nondifferentiable="zero", eager=lambda xp, x: xp.rint(x))
def round(x: Operand, /) -> Tensor:
    """The nearest whole number; halves go to the even one.

    >>> nx.round(2.5)
    float32[] 2.
    """
    ...


def to_decimals(x: Tensor, digits: int | None) -> Tensor:
    """x rounded to so many decimals, or whole. A float too large to have them is itself."""
    digits = integer("round", "digits", digits or 0)
    if not digits or not x.dtype.is_float:
        if digits < 0:
            raise DTypeError(f"round: expected at least 0 digits for {x.type}, got {digits}; cast it to a float dtype")
        return round(x)
    wide, scale = astype(x, x.dtype.computed_in), float(f"1e{digits if digits > 0 else -digits}")
    made = round(wide * scale) / scale if digits > 0 else round(wide / scale) * scale
    return astype(where(isfinite(made), made, wide), x.dtype)


@method
def __round__(x: Tensor, /, digits: int | None = None) -> Tensor:
    """Every element as nx.round gives it, or to so many decimals."""
    return to_decimals(x, digits)


def _rounded_number(self: Number, digits: int | None = None) -> Number:
    found = to_decimals(self.cast("round", int64) if self.python is bool else self.wide, digits)
    return computed("round", as_dtype(found, int64) if digits is None else found, builtins.round, (self, digits))


Number.__round__ = _rounded_number  # type: ignore[attr-defined]


# The complex functions, of real numbers: no dtype is complex


@function(method=True)
def conj(x: Tensor, /) -> Tensor:
    """The complex conjugate, of a real tensor x itself.

    >>> nx.conj(2.0)
    float32[] 2.
    """
    return x


@function(method=True)
def real(x: Tensor, /) -> Tensor:
    """The real part, of a real tensor x itself.

    >>> nx.real(2.0)
    float32[] 2.
    """
    return x


@function(method=True)
def imag(x: Tensor, /) -> Tensor:
    """The imaginary part, of a real tensor 0.

    >>> nx.imag(2.0)
    float32[] 0.
    """
    return repeated(False, x.dtype, x.shape)
