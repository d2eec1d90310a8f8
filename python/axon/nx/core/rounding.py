"""Casts of arrays, rounded once: to bfloat16 NumPy and ml_dtypes go by way of float32, and Python by way of float64.

A value is rounded to odd on the way: cut, with the last bit set where that is inexact. It then is on the same side of
every midpoint of the next grid as it was.
"""

from __future__ import annotations

import math
from typing import Any

from ...dtypes import DType, bfloat16, bool_, float64


def nearest(value: int | float, dtype: DType) -> float:
    """A Python number as a float that converts to `dtype` as the number itself would.

    >>> nearest(1 + 2**-8 + 2**-40, bfloat16)
    1.0078125
    """
    if isinstance(value, int) and dtype is not float64 and (beyond := value.bit_length() - 53) > 0:
        kept = value >> beyond << beyond
        value = kept | (kept != value) << beyond
    value = float(value)
    if dtype is not bfloat16 or not abs(value) < 2.0 ** (dtype.bias + 1):
        return value
    place = max(math.frexp(value)[1], 2 - dtype.bias) - dtype.digits  # of the last bit that bfloat16 keeps
    return math.copysign(math.ldexp(round(math.ldexp(abs(value), -place)), place), value)


def to_bfloat16(xp: Any, x: Any) -> Any:
    """An array of any dtype as bfloat16; the tiles do as this does (csrc/kernels/lanes_convert.h)."""
    if x.dtype.kind in "iu" and x.dtype.itemsize == 8:  # to the 53 bits of float64
        far = (x < 1 << 20) if x.dtype.kind == "u" else (x >= -(1 << 20)) & (x < 1 << 20)
        x = xp.where(far, x, (x & ~x.dtype.type(0xFFF)) | ((x & 0xFFF) != 0) * x.dtype.type(0x800))
    if x.dtype.itemsize >= 4 and x.dtype != "float32":
        wide = x.astype("float64")
        near = wide.astype("float32")
        back, words = near.astype("float64"), near.view("uint32")
        inexact = (back != wide) & (wide == wide)
        x = (words - (xp.abs(back) > xp.abs(wide)) | inexact).astype("uint32").view("float32")
    return x.astype(bfloat16.numpy)


def cast(xp: Any, x: Any, dtype: DType) -> Any:
    """`astype` of an array."""
    if dtype is bool_:
        return x != 0
    if dtype is bfloat16:
        return to_bfloat16(xp, x)
    if x.dtype.kind != "f" or dtype.is_float:
        return x.astype(dtype.numpy)
    # Both bounds are powers of two (or 0), so they are exact in the float dtype. NaN is neither above nor inside.
    inside, above = (x >= float(dtype.lowest)) & (x < float(dtype.highest + 1)), x >= float(dtype.highest + 1)
    y = xp.where(inside, x, xp.zeros_like(x)).astype(dtype.numpy)
    y[above] = dtype.highest
    y[x < float(dtype.lowest)] = dtype.lowest
    return y
