"""Random numbers as functions of a key: threefry2x32 of the element's index, so that the value of an element depends on
neither order, threads nor device. Keys and bits are JAX's (partitionable counters).

Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (2011). A 64-bit word holds (high, low) 32-bit
halves: a key, a counter, a block of 64 random bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..dtypes import DType, DTypeLike, float32, int32, uint8, uint16, uint32, uint64
from ..dtypes import dtype as to_dtype
from ..errors import DTypeError, ShapeError
from .creation import asarray, iota, tensor
from .elementwise import astype, clip, fma, maximum, remainder, where
from .layout import stack, unstack
from .logic import bitwise_left_shift, bitwise_or, bitwise_right_shift, bitwise_xor, equal, greater, less, logical_or
from .movement import reshape
from .op import lifted
from .rules import elementwise, integer, shape_of
from .tensor import Shape, Tensor
from .transcendental import erf_inv
from .types import LAYOUT, finfo

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
UNSIGNED = {1: uint8, 2: uint16, 4: uint32, 8: uint64}


def _words(name: str, operands: Any) -> Any:
    """Takes and gives uint64 words of two 32-bit halves."""
    if any(o is not uint64 for o in operands):
        raise DTypeError(f"{name}: expected uint64 words, got {operands}; use random.bits, which packs them")
    return (uint64, uint64), uint64


def _threefry(xp: Any, key: Any, counter: Any) -> Any:
    halves = [((w >> 32).astype("uint32"), w.astype("uint32")) for w in (key, counter)]
    (k0, k1), (x0, x1) = halves
    schedule = (k0, k1, k0 ^ k1 ^ xp.asarray(0x1BD11BDA, dtype="uint32"))
    x0, x1 = x0 + k0, x1 + k1
    for i in range(5):
        for r in ROTATIONS[i % 2]:
            x0 = x0 + x1
            x1 = x0 ^ ((x1 << r) | (x1 >> (32 - r)))
        x0 = x0 + schedule[(i + 1) % 3]
        x1 = x1 + schedule[(i + 2) % 3] + xp.asarray(i + 1, dtype="uint32")
    return (x0.astype("uint64") << 32) | x1


@elementwise(dtype=_words, cost=64, nondifferentiable="zero", eager=_threefry)
def threefry2x32(key: Tensor, counter: Tensor, /) -> Tensor:
    """The 20-round threefry block cipher of a counter under a key.

    >>> nx.threefry2x32(nx.tensor(0, "uint64"), nx.tensor(0, "uint64"))
    uint64[] 7719171245655871230
    """
    ...


def _packed(key: Tensor) -> Tensor:
    if key.dtype is not uint32 or key.shape != (2,):
        raise ShapeError(f"expected a key uint32[2], got {key.type}; make one with random.key and take one of split")
    high, low = (astype(key[i], uint64) for i in range(2))
    return bitwise_or(bitwise_left_shift(high, 32), low)


def _unpacked(words: Tensor) -> Tensor:
    return stack([astype(bitwise_right_shift(words, 32), uint32), astype(words, uint32)], axis=words.ndim)


def _blocks(key: Tensor, shape: Shape) -> Tensor:
    """64 random bits an element; the counter is the element's row-major index."""
    counter = reshape(iota(math.prod(shape), 0, uint64), shape)
    return threefry2x32(_packed(key), counter)


def _word(name: str, what: str, value: int | Tensor, dtype: DType) -> Tensor:
    """An integer as the bits of an unsigned dtype; one that it does not hold, nor as a negative one, is refused."""
    if isinstance(value, Tensor):
        if not value.dtype.is_integer or value.ndim:
            raise DTypeError(f"{name}: expected an integer of rank 0 for {what}, got {value.type}; index or cast it")
        return astype(value, dtype)
    found, end = integer(name, what, value), int(dtype.highest) + 1
    if not -end // 2 <= found < end:
        raise ValueError(f"{name}: expected {what} in [-2**{8 * dtype.itemsize - 1}, {dtype.highest}], got {found}")
    return tensor(found % end, dtype)


def key(seed: int | Tensor, /) -> Tensor:
    """A key, uint32[2], out of a seed: a Python int of up to 64 bits, or an integer tensor of rank 0.

    JAX's key of the same seed where it has 64-bit integers; without them JAX drops a seed's high 32 bits, -1 being
    2**32 - 1. ValueError of a longer seed, DTypeError of a tensor of anything else.

    >>> nx.random.key(42)
    uint32[2] [ 0, 42]
    """
    short = isinstance(seed, Tensor) and seed.dtype.itemsize < 8
    return _unpacked(astype(_word("key", "seed", seed, uint32 if short else uint64), uint64))


@lifted
def split(key: Tensor, /, n: int | Sequence[int] = 2) -> Tensor:
    """`n` new keys out of one, which must not be used again: uint32[n, 2].

    >>> nx.random.split(nx.random.key(0)).shape
    (2, 2)
    """
    return _unpacked(_blocks(key, shape_of("split", n)))


@lifted
def fold_in(key: Tensor, data: int | Tensor, /) -> Tensor:
    """A new key out of a key and 32 bits of data, an int or an integer tensor of rank 0: for example a step's number.

    >>> nx.random.fold_in(nx.random.key(0), 1)
    uint32[2] [ 928981903, 3453687069]
    """
    return _unpacked(threefry2x32(_packed(key), astype(_word("fold_in", "data", data, uint32), uint64)))


@lifted
def bits(key: Tensor, /, shape: int | Sequence[int] = (), dtype: DTypeLike = uint32) -> Tensor:
    """Random bits as unsigned integers.

    >>> nx.random.bits(nx.random.key(0), 2)
    uint32[2] [4070199207, 4202968722]
    """
    target = to_dtype(dtype)
    if target.kind != "u":
        raise DTypeError(f"bits: expected an unsigned dtype, got {target}; use randint for signed integers")
    words = _blocks(key, shape_of("bits", shape))
    if target is uint64:
        return words
    return astype(bitwise_xor(bitwise_right_shift(words, 32), words), target)


def _floating(name: str, dtype: DTypeLike) -> DType:
    target = to_dtype(dtype)
    if not target.is_float:
        raise DTypeError(f"{name}: expected a floating dtype, got {target}; use randint for integers")
    return target


@lifted
def uniform(
    key: Tensor,
    /,
    shape: int | Sequence[int] = (),
    dtype: DTypeLike = float32,
    minval: float | Tensor = 0.0,
    maxval: float | Tensor = 1.0,
) -> Tensor:
    """Uniform numbers in [minval, maxval).

    >>> nx.random.uniform(nx.random.key(0), 2)
    float32[2] [0.947667, 0.97858 ]
    """
    target, sizes = _floating("uniform", dtype), shape_of("uniform", shape)
    mantissa, _ = LAYOUT[target.name]
    width = 8 if mantissa < 8 else 8 * target.itemsize
    found = bitwise_right_shift(bits(key, sizes, UNSIGNED[width // 8]), width - mantissa)
    floats = astype(found, target) * 2.0**-mantissa  # integers below 2**mantissa: both steps are exact
    low, high = asarray(minval, target), asarray(maxval, target)
    span = high - low
    return maximum(low, floats * span + low if target.is_half else fma(floats, span, low))  # where JAX rounds


def _bound(name: str, value: int | Tensor, target: DType) -> tuple[Tensor, Tensor]:
    """A bound limited to what a dtype holds, and whether it was above."""
    if hasattr(value, "__index__") and not isinstance(value, Tensor) and not getattr(value, "ndim", 0):
        value = integer(name, "a bound", value)
        limited = min(max(value, int(target.lowest)), int(target.highest))
        return asarray(limited, target), asarray(value > target.highest)
    bound = asarray(value)
    if not bound.dtype.is_integer:
        raise DTypeError(f"{name}: expected integer bounds, got {bound.type}; cast them with astype first")
    lowest, highest = max(bound.dtype.lowest, target.lowest), min(bound.dtype.highest, target.highest)
    return astype(clip(bound, int(lowest), int(highest)), target), greater(bound, int(highest))


@lifted
def randint(
    key: Tensor, /, shape: int | Sequence[int], minval: int | Tensor, maxval: int | Tensor, dtype: DTypeLike = int32
) -> Tensor:
    """Integers in [minval, maxval), as far as dtype holds them; minval where that is empty. The bias is at most
    span / 2**64, of 64-bit dtypes span / 2**128.

    >>> nx.random.randint(nx.random.key(0), 4, 0, 10)
    int32[4] [9, 0, 2, 3]
    """
    target = to_dtype(dtype)
    if not target.is_integer:
        raise DTypeError(f"randint: expected an integer dtype, got {target}; use uniform for floats")
    sizes, unsigned = shape_of("randint", shape), uint64 if target.itemsize == 8 else uint32
    width = 8 * unsigned.itemsize
    (least, _), (end, beyond) = (_bound("randint", v, target) for v in (minval, maxval))
    # What wraps at `width` is part of the numbers' definition. A span of 2**width is 0, and takes all of `low`.
    wide = astype(end, unsigned) - astype(least, unsigned) + astype(beyond, unsigned)
    span = where(logical_or(greater(end, least), beyond), wide, 1)
    high, low = (bits(k, sizes, unsigned) for k in unstack(split(key)))
    half = remainder(1 << width // 2, span)
    # (high * 2**width + low) % span
    offset = remainder(remainder(high, span) * remainder(half * half, span) + remainder(low, span), span)
    return astype(where(equal(span, 0), low, offset) + astype(least, unsigned), target)


@lifted
def normal(key: Tensor, /, shape: int | Sequence[int] = (), dtype: DTypeLike = float32) -> Tensor:
    """Normal numbers with mean 0 and standard deviation 1: sqrt(2) erf_inv of uniform numbers in (-1, 1).

    >>> nx.random.normal(nx.random.key(0), 2)
    float32[2] [1.622642, 2.025265]
    """
    target = _floating("normal", dtype)
    lowest = -1.0 + finfo(target).eps / 2  # the next after -1
    return erf_inv(uniform(key, shape, target, lowest, 1.0)) * math.sqrt(2)


@lifted
def truncated_normal(
    key: Tensor, /, lower: float, upper: float, shape: int | Sequence[int] = (), dtype: DTypeLike = float32
) -> Tensor:
    """Normal numbers on the condition that they lie in [lower, upper].

    >>> bool(nx.all(nx.abs(nx.random.truncated_normal(nx.random.key(0), -2.0, 2.0, 100)) <= 2))
    True
    """
    target = _floating("truncated_normal", dtype)
    bounds = [math.erf(v / math.sqrt(2)) for v in (lower, upper)]
    return clip(erf_inv(uniform(key, shape, target, *bounds)) * math.sqrt(2), lower, upper)


@lifted
def bernoulli(key: Tensor, /, p: float | Tensor = 0.5, shape: int | Sequence[int] | None = None) -> Tensor:
    """True with probability p, as bool; of p's shape unless another is given.

    >>> nx.random.bernoulli(nx.random.key(0), 0.5, 3)
    bool[3] [False, False,  True]
    """
    p = asarray(p)
    p = p if p.dtype.is_float else astype(p, float32)
    return less(uniform(key, p.shape if shape is None else shape, p.dtype), p)
