"""Rows that answer questions or move bits: comparison, classification, logic. None has a gradient other than 0.

Comparisons are of the values in the common dtype, so an integer beside a float is compared as that float (float32
beside a Python one). Only a Python int that an integer dtype cannot hold is compared as it is.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeAlias

from ..core.declare import operator
from ..core.rules import bitwise, classifying, elementwise, equality, integral, logical, ordering, signs
from ..core.tensor import Tensor

if TYPE_CHECKING:
    import numpy as np

Operand: TypeAlias = "Tensor | np.ndarray | bool | int | float"


# Comparison and classification

comparison = functools.partial(elementwise, by_value=True, nondifferentiable="zero")


@operator("eq")
@comparison(dtype=equality)
def equal(x: Operand, y: Operand, /) -> Tensor:
    """Whether x == y.

    >>> nx.equal(2, 2.0)
    bool[] True
    """
    ...


@operator("ne")
@comparison(dtype=equality)
def not_equal(x: Operand, y: Operand, /) -> Tensor:
    """Whether x != y.

    >>> nx.not_equal(2, 2.0)
    bool[] False
    """
    ...


@operator("lt")
@comparison(dtype=ordering)
def less(x: Operand, y: Operand, /) -> Tensor:
    """Whether x < y.

    >>> nx.less(2, 2.5)
    bool[] True
    """
    ...


@operator("le")
@comparison(dtype=ordering)
def less_equal(x: Operand, y: Operand, /) -> Tensor:
    """Whether x <= y.

    >>> nx.less_equal(2, 2.0)
    bool[] True
    """
    ...


@operator("gt")
@comparison(dtype=ordering)
def greater(x: Operand, y: Operand, /) -> Tensor:
    """Whether x > y.

    >>> nx.greater(2, 2.5)
    bool[] False
    """
    ...


@operator("ge")
@comparison(dtype=ordering)
def greater_equal(x: Operand, y: Operand, /) -> Tensor:
    """Whether x >= y.

    >>> nx.greater_equal(2, 2.0)
    bool[] True
    """
    ...


@elementwise(dtype=classifying, nondifferentiable="zero")
def isnan(x: Operand, /) -> Tensor:
    """Whether x is NaN.

    >>> nx.isnan(nx.nan)
    bool[] True
    """
    ...


@elementwise(dtype=classifying, nondifferentiable="zero")
def isinf(x: Operand, /) -> Tensor:
    """Whether x is infinite.

    >>> nx.isinf(-nx.inf)
    bool[] True
    """
    ...


@elementwise(dtype=classifying, nondifferentiable="zero")
def isfinite(x: Operand, /) -> Tensor:
    """Whether x is neither infinite nor NaN.

    >>> nx.isfinite(1.0)
    bool[] True
    """
    ...


@elementwise(dtype=signs, nondifferentiable="zero")
def signbit(x: Operand, /) -> Tensor:
    """Whether the sign bit is set, as it is in -0.0.

    >>> nx.signbit(-0.0)
    bool[] True
    """
    ...


# Logic and bits


@elementwise(dtype=logical, nondifferentiable="zero")
def logical_and(x: Operand, y: Operand, /) -> Tensor:
    """Whether both are true.

    >>> nx.logical_and(True, False)
    bool[] False
    """
    ...


@elementwise(dtype=logical, nondifferentiable="zero")
def logical_or(x: Operand, y: Operand, /) -> Tensor:
    """Whether one or both are true.

    >>> nx.logical_or(True, False)
    bool[] True
    """
    ...


@elementwise(dtype=logical, nondifferentiable="zero")
def logical_xor(x: Operand, y: Operand, /) -> Tensor:
    """Whether exactly one is true.

    >>> nx.logical_xor(True, True)
    bool[] False
    """
    ...


@elementwise(dtype=logical, nondifferentiable="zero")
def logical_not(x: Operand, /) -> Tensor:
    """Whether x is false.

    >>> nx.logical_not(True)
    bool[] False
    """
    ...


@operator("and", reflected=True)
@elementwise(dtype=bitwise, nondifferentiable="zero")
def bitwise_and(x: Operand, y: Operand, /) -> Tensor:
    """Bits set in both.

    >>> nx.bitwise_and(6, 3)
    int32[] 2
    """
    ...


@operator("or", reflected=True)
@elementwise(dtype=bitwise, nondifferentiable="zero")
def bitwise_or(x: Operand, y: Operand, /) -> Tensor:
    """Bits set in one or both.

    >>> nx.bitwise_or(6, 3)
    int32[] 7
    """
    ...


@operator("xor", reflected=True)
@elementwise(dtype=bitwise, nondifferentiable="zero")
def bitwise_xor(x: Operand, y: Operand, /) -> Tensor:
    """Bits set in exactly one.

    >>> nx.bitwise_xor(6, 3)
    int32[] 5
    """
    ...


@operator("invert")
@elementwise(dtype=bitwise, nondifferentiable="zero")
def bitwise_invert(x: Operand, /) -> Tensor:
    """All bits flipped.

    >>> nx.bitwise_invert(0)
    int32[] -1
    """
    ...


def _shifted(xp: Any, x: Any, n: Any, shift: Any, beyond: Any) -> Any:
    inside = (n >= 0) & (n < 8 * x.dtype.itemsize)
    return xp.where(inside, shift(x, xp.where(inside, n, 0)), beyond)


@operator("lshift", reflected=True)
@elementwise(dtype=integral, nondifferentiable="zero", eager=lambda xp, x, n: _shifted(xp, x, n, xp.left_shift, 0))
def bitwise_left_shift(x: Operand, n: Operand, /) -> Tensor:
    """x shifted left by n bits; 0 if n is negative or the width or more.

    >>> nx.bitwise_left_shift(3, 2)
    int32[] 12
    """
    ...


@operator("rshift", reflected=True)
@elementwise(
    dtype=integral,
    nondifferentiable="zero",
    eager=lambda xp, x, n: _shifted(xp, x, n, xp.right_shift, xp.where(x < 0, -1, 0).astype(x.dtype)),
)
def bitwise_right_shift(x: Operand, n: Operand, /) -> Tensor:
    """x shifted right by n bits, keeping the sign; 0 or -1 if n is negative or the width or more.

    >>> nx.bitwise_right_shift(-8, 1)
    int32[] -4
    """
    ...
