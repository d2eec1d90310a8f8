"""The array-API standard's functions about dtypes, beside axon.dtypes."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...dtypes import CATEGORIES, DType, DTypeLike, promote
from ...dtypes import dtype as to_dtype
from ...dtypes import result_type as result_of
from ...errors import DTypeError
from .number import scalar_type


class FloatInfo(NamedTuple):
    """What a floating dtype can hold."""

    bits: int
    eps: float  # from 1 to the next value
    max: float
    min: float
    smallest_normal: float
    dtype: DType


class IntInfo(NamedTuple):
    """What an integer dtype can hold."""

    bits: int
    max: int
    min: int
    dtype: DType


def finfo(dtype: Any, /) -> FloatInfo:
    """The limits of a floating dtype, or of an array's.

    >>> nx.finfo("float32").eps
    1.1920928955078125e-07
    """
    found = _of(dtype)
    if not found.is_float:
        raise DTypeError(f"finfo: expected a floating dtype, got {found}; use iinfo for integers")
    largest = (2 - found.eps) * 2.0**found.bias
    return FloatInfo(8 * found.itemsize, found.eps, largest, -largest, 2.0 ** (1 - found.bias), found)


def iinfo(dtype: Any, /) -> IntInfo:
    """The limits of an integer dtype, or of an array's.

    >>> nx.iinfo("int8").max
    127
    """
    found = _of(dtype)
    if not found.is_integer:
        raise DTypeError(f"iinfo: expected an integer dtype, got {found}; use finfo for floats")
    return IntInfo(8 * found.itemsize, int(found.highest), int(found.lowest), found)


def _of(item: Any) -> DType:
    return item if isinstance(item, DType) else to_dtype(getattr(item, "dtype", item))


def isdtype(dtype: DTypeLike, kind: DTypeLike | tuple[DTypeLike, ...], /) -> bool:
    """Whether a dtype is of a kind: a dtype, or "bool", "signed integer", "unsigned integer", "integral", "real
    floating", "complex floating", "numeric", or one of a tuple of these.

    >>> nx.isdtype(nx.int8, "integral"), nx.isdtype(nx.int8, (nx.float32, "bool"))
    (True, False)
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if isinstance(kind, str) and kind in CATEGORIES:
        return to_dtype(dtype).kind in CATEGORIES[kind]
    return to_dtype(dtype) is to_dtype(kind)


def can_cast(source: Any, to: DTypeLike, /) -> bool:
    """Whether promotion leads from the dtype of `source` to `to`.

    >>> nx.can_cast(nx.int8, nx.int16), nx.can_cast(nx.float32, nx.int64)
    (True, False)
    """
    given, wanted = _of(source), to_dtype(to)
    try:
        return promote(given, wanted) is wanted
    except DTypeError:  # they have no common dtype
        return False


def result_type(*items: Any) -> DType:
    """The dtype of an operation over arrays, dtypes and Python scalars.

    >>> nx.result_type(nx.ones(2), 1.0, nx.float16)
    float32
    """
    return result_of(*(scalar_type(i) or _of(i) for i in items))
