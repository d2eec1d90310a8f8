"""Evenly spaced numbers. Those of an integer dtype are counted in integers, so that wide ones are exact."""

from __future__ import annotations

import math
from operator import index
from typing import Any

from ..dtypes import DType, DTypeLike, float32, float64, int64, uint64
from ..dtypes import dtype as to_dtype
from .core.functions import function
from .core.number import Number, is_known, scalar_of
from .core.rules import integer
from .core.tensor import Tensor
from .creation import asarray, iota
from .rows.conversion import astype, where
from .rows.elementwise import floor, floor_divide, fma, remainder
from .rows.logic import equal, isfinite

EXACT = 1 << 24  # the integers up to here are float32 numbers


@function
def arange(
    start: int | float,
    /,
    stop: int | float | None = None,
    step: int | float = 1,
    *,
    dtype: DTypeLike | None = None,
    device: str | None = None,
) -> Tensor:
    """start, start + step, ... up to but without stop; arange(n) counts from 0. int32 if all are ints, else float32,
    unless a dtype is given; numbers that are not whole are then cast to it.

    >>> nx.arange(1, 7, 2)
    int32[3] [1, 3, 5]
    """
    start, stop, step = (_number(v) for v in ((0, start, step) if stop is None else (start, stop, step)))
    if step == 0:
        raise ValueError("arange: expected a step other than 0, got 0; use full for equal values")
    if not all(-math.inf < v < math.inf for v in (start, stop, step)):
        raise ValueError(f"arange: expected finite numbers, got start {start}, stop {stop}, step {step}; bound them")
    given = all(isinstance(v, int) for v in (start, stop, step))
    target = to_dtype((int if given else float) if dtype is None else dtype)
    if given or (target.is_integer and all(v == int(v) for v in (start, stop, step))):
        return _counted(int(start), int(stop), int(step), target)
    start, stop, step = (scalar_of("arange", v, float64) for v in (start, stop, step))
    count = max(0, math.ceil((stop - start) / step))
    made = iota(count, 0, float32 if target.is_float and target is not float64 and count <= EXACT else float64)
    made = made if step == 1 else made * step
    return astype(made if start == 0 or not count else made + start, target)


def _counted(start: int, stop: int, step: int, target: DType) -> Tensor:
    """`arange` of integers: counted in a dtype that holds them, then cast."""
    count = max(0, -((start - stop) // step))
    ends = (start, start + (count - 1) * step)[:count]
    largest = max(count, *(abs(v) for v in (step, *ends)))
    if target.is_integer:
        work = target
    elif largest <= EXACT:
        work = float64 if target is float64 else float32
    else:
        work = int64 if largest <= int64.highest else float64
    if work.is_integer:
        for end in ends:
            scalar_of("arange", end, work)
        step = (step - int(work.lowest)) % (1 << 8 * work.itemsize) + int(work.lowest)  # as integers wrap
    made = iota(count, 0, work)
    made = made if step == 1 else made * step
    return astype(made if start == 0 or not count else made + start, target)


def _number(value: Any) -> int | float:
    """What a number without or with a dtype is in Python."""
    try:
        return index(value)
    except TypeError:
        return float(value)


@function
def linspace(
    start: float | Tensor,
    stop: float | Tensor,
    /,
    num: int,
    *,
    endpoint: bool = True,
    dtype: DTypeLike | None = None,
    device: str | None = None,
) -> Tensor:
    """`num` evenly spaced values from start to stop, which is the last one if endpoint, else the next; float32 unless
    another dtype is given. In an integer dtype they are rounded down; integers are the ends exactly.

    >>> nx.linspace(0, 1, 5)
    float32[5] [0.  , 0.25, 0.5 , 0.75, 1.  ]
    """
    num, target = integer("linspace", "num", num), to_dtype(float if dtype is None else dtype)
    parts = max(1, num - 1 if endpoint else num)
    start, stop = (_number(v) if is_known(v) else v for v in (start, stop))
    if target.is_integer and _whole(start) and _whole(stop):
        return _divided(start, stop, iota(num, 0, uint64), parts, target)
    wide = (
        not target.is_float or num > EXACT or float64 in (target, *(getattr(v, "dtype", None) for v in (start, stop)))
    )
    i = iota(num, 0, float64 if wide else float32)
    start, stop = (asarray(v, i.dtype) for v in (start, stop))
    scale = where(isfinite(stop - start), 1, 0.5)  # a power of two changes no bit
    low, high = start * scale, stop * scale
    made = where(equal(i, parts), stop, fma(high - low, i / parts, low) / scale)
    return astype(floor(made) if target.is_integer else made, target)


def _whole(value: Any) -> bool:
    return isinstance(value, int) if is_known(value) else value.dtype.is_integer


def _divided(start: Any, stop: Any, i: Tensor, parts: int, target: DType) -> Tensor:
    """start + floor(i * (stop - start) / parts): uint64 holds every distance, and divided into whole parts and a rest
    it has no product that overflows."""
    start, stop = (v.wide if isinstance(v, Number) else v for v in (start, stop))
    if isinstance(start, int) and isinstance(stop, int):
        for end in (start, start + max(i.size - 1, 0) * (stop - start) // parts):
            scalar_of("linspace", end, target)
    low, high = (asarray(v % (1 << 64), uint64) if isinstance(v, int) else astype(v, uint64) for v in (start, stop))
    down = stop < start
    distance = where(down, low - high, high - low)
    whole, rest = floor_divide(distance, parts), remainder(distance, parts)
    more = rest * i
    moved = whole * i + floor_divide(where(down, more + (parts - 1), more), parts)
    return astype(where(down, low - moved, low + moved), target)
