"""Random numbers as functions of a key: threefry2x32 of the element's index, so that the value of an element depends on
neither order, threads nor device. Keys and bits are JAX's (partitionable counters), and so are numbers made of them
unless a docstring says otherwise. Half-precision numbers are float32 ones, rounded once at the end.

Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (2011). A 64-bit word holds (high, low) 32-bit
halves: a key, a counter, a block of 64 random bits.

Arguments that Python or NumPy holds are looked at, and ValueError says which are wrong; a tensor's values are not, as a
trace knows none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..dtypes import DType, DTypeLike, float32, float64, int32, uint32, uint64
from ..dtypes import dtype as to_dtype
from ..errors import DTypeError, ShapeError
from .core.functions import function, programmed
from .core.number import Number, is_known
from .core.rules import broadcast_shapes, elementwise, integer, shape_of
from .core.tensor import Shape, Tensor, TensorType
from .core.types import finfo
from .creation import asarray, iota, tensor
from .layout import stack, unstack
from .rows import special
from .rows.conversion import astype, clip, where
from .rows.elementwise import abs, floor_divide, fma, maximum, minimum, remainder
from .rows.logic import (
    bitwise_and,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_or,
)
from .rows.movement import reshape
from .rows.powers import sqrt
from .rows.transcendental import erf_inv, log, log1p

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


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


@programmed
def _seeded(seed: Tensor) -> Tensor:
    return _unpacked(astype(seed, uint64))


def _unpacked(words: Tensor) -> Tensor:
    return stack([astype(bitwise_right_shift(words, 32), uint32), astype(words, uint32)], axis=words.ndim)


def _blocks(key: Tensor, shape: Shape) -> Tensor:
    """64 random bits an element; the counter is the element's row-major index."""
    counter = reshape(iota(math.prod(shape), 0, uint64), shape)
    return threefry2x32(_packed(key), counter)


def _word(name: str, what: str, value: int | Tensor, dtype: DType) -> Tensor:
    """An integer as the bits of an unsigned dtype; one that it does not hold, nor as a negative one, is refused."""
    if type(value) is Number:
        value = value.wide
    if isinstance(value, Tensor):
        if not value.dtype.is_integer or value.ndim:
            raise DTypeError(f"{name}: expected an integer of rank 0 for {what}, got {value.type}; index or cast it")
        return astype(value, dtype)
    found, end = integer(name, what, value, "give an int, or an integer tensor"), int(dtype.highest) + 1
    if not -end // 2 <= found < end:
        raise ValueError(f"{name}: expected {what} in [{-end // 2}, {end - 1}], got {found}; take it modulo {end}")
    return tensor(found % end, dtype)


def key(seed: int | Tensor, /) -> Tensor:
    """A key, uint32[2], out of a seed: a Python int of up to 64 bits, or an integer tensor of rank 0.

    JAX's key of the same seed where it has 64-bit integers; without them JAX drops a seed's high 32 bits, -1 being
    2**32 - 1. ValueError of a longer seed, TypeError for another seed, DTypeError for a tensor of another dtype.

    >>> nx.random.key(42)
    uint32[2] [ 0, 42]
    """
    short = isinstance(seed, Tensor) and seed.dtype.itemsize < 8
    return _seeded(_word("key", "seed", seed, uint32 if short else uint64))


@function
@programmed
def split(key: Tensor, /, n: int | Sequence[int] = 2) -> Tensor:
    """`n` new keys out of one, which must not be used again: uint32[n, 2].

    >>> nx.random.split(nx.random.key(0)).shape
    (2, 2)
    """
    return _unpacked(_blocks(key, shape_of("split", n)))


@function
def fold_in(key: Tensor, data: int | Tensor, /) -> Tensor:
    """A new key out of a key and 32 bits of data, an int or an integer tensor of rank 0: for example a step's number.

    Negative data are counted from 2**32, a 64-bit tensor is taken modulo 2**32. ValueError of a longer int, TypeError
    for other data.

    >>> nx.random.fold_in(nx.random.key(0), 1)
    uint32[2] [ 928981903, 3453687069]
    """
    return _folded(key, _word("fold_in", "data", data, uint32))


@programmed
def _folded(key: Tensor, data: Tensor) -> Tensor:
    return _unpacked(threefry2x32(_packed(key), astype(data, uint64)))


def _bits(key: Tensor, shape: Shape, dtype: DType) -> Tensor:
    words = _blocks(key, shape)
    return words if dtype is uint64 else astype(bitwise_xor(bitwise_right_shift(words, 32), words), dtype)


@function
@programmed
def bits(key: Tensor, /, shape: int | Sequence[int] = (), dtype: DTypeLike = uint32) -> Tensor:
    """Random bits as unsigned integers.

    >>> nx.random.bits(nx.random.key(0), 2)
    uint32[2] [4070199207, 4202968722]
    """
    target = to_dtype(dtype)
    if target.kind != "u":
        raise DTypeError(f"bits: expected an unsigned dtype, got {target}; use randint for signed integers")
    return _bits(key, shape_of("bits", shape), target)


def _floating(name: str, dtype: DTypeLike) -> tuple[DType, DType]:
    """A floating dtype, and the one in which its numbers are drawn."""
    target = to_dtype(dtype)
    if not target.is_float:
        raise DTypeError(f"{name}: expected a floating dtype, got {target}; use randint for integers")
    return target, target.computed_in


def _fitting(name: str, shape: Shape, **given: Tensor) -> None:
    """Refuse what has more elements than numbers are drawn: several would share one number."""
    for what, value in given.items():
        if broadcast_shapes(name, [value.type, TensorType(value.dtype, shape)]) != shape:
            raise ShapeError(f"{name}: expected {what} to broadcast to {shape}, got {value.type}; give that shape")


def _known(*values: Any) -> tuple[Any, ...] | None:
    """Numbers as NumPy's arrays, of rank 1 at least, if all are known."""
    import numpy as np

    return tuple(map(np.atleast_1d, values)) if all(map(is_known, values)) else None


def _unit(key: Tensor, shape: Shape, work: DType) -> Tensor:
    """The multiples of 2**-23 in [0, 1), of 2**-52 in float64, each as probable as the others."""
    word, mantissa = uint64 if work is float64 else uint32, work.mantissa
    return astype(bitwise_right_shift(_bits(key, shape, word), 8 * word.itemsize - mantissa), work) * 2.0**-mantissa


def _below(x: Tensor, target: DType) -> Tensor:
    """The target's next number below its number x: x less 5/8 to 5/4 of the distance of numbers about it, rounded."""
    info = finfo(target)
    return minimum(fma(abs(x), -0.625 * info.eps, x), x - info.smallest_normal * info.eps)


@function
@programmed
def uniform(
    key: Tensor,
    /,
    shape: int | Sequence[int] = (),
    dtype: DTypeLike = float32,
    minval: float | Tensor = 0.0,
    maxval: float | Tensor = 1.0,
) -> Tensor:
    """Uniform numbers in [minval, maxval), rounded to the nearest that dtype has there; minval where both are equal.

    The bounds are rounded to dtype first. JAX's numbers can be maxval, and its halves have a grid of 2**-10 or 2**-7.
    ValueError unless minval <= maxval and their difference is finite.

    >>> nx.random.uniform(nx.random.key(0), 2)
    float32[2] [0.947667, 0.97858 ]
    """
    (target, work), sizes = _floating("uniform", dtype), shape_of("uniform", shape)
    low, high = (astype(asarray(v, target), work) for v in (minval, maxval))
    _fitting("uniform", sizes, minval=low, maxval=high)
    if known := _known(minval, maxval):
        import numpy as np

        with np.errstate(all="ignore"):
            least, end = (v.astype(target.numpy).astype(work.numpy) for v in known)
            if not ((least <= end) & np.isfinite(end - least)).all():
                raise ValueError(
                    f"uniform: expected minval <= maxval with a difference that is finite in {work}, got {minval} and "
                    f"{maxval}; exchange or narrow them"
                )
    drawn = fma(_unit(key, sizes, work), high - low, low)
    return maximum(astype(low, target), minimum(astype(drawn, target), astype(_below(high, target), target)))


def _bound(name: str, value: int | Tensor, target: DType) -> tuple[Tensor, Tensor]:
    """A bound limited to what a dtype holds, and whether it was above."""
    if hasattr(value, "__index__") and not isinstance(value, (Tensor, Number)) and not getattr(value, "ndim", 0):
        value = integer(name, "a bound", value)
        limited = min(max(value, int(target.lowest)), int(target.highest))
        return asarray(limited, target), asarray(value > target.highest)
    bound = value.wide if type(value) is Number else asarray(value)
    if not bound.dtype.is_integer:
        raise DTypeError(f"{name}: expected integer bounds, got {bound.type}; cast them with astype first")
    lowest, highest = max(bound.dtype.lowest, target.lowest), min(bound.dtype.highest, target.highest)
    return astype(clip(bound, int(lowest), int(highest)), target), greater(bound, int(highest))


def _long_remainder(high: Tensor, low: Tensor, divisor: Tensor) -> Tensor:
    """(high * 2**64 + low) % divisor: Knuth, The Art of Computer Programming, 4.3.1, algorithm D, in digits of 32 bits.

    The divisor is shifted until its first bit is set: then a quotient by its first digit is too large by 2 at most.
    """
    digit, rest, shift = 2**32 - 1, remainder(high, divisor), asarray(0, uint64)
    for bits in (32, 16, 8, 4, 2, 1):
        by = astype(less(divisor, 1 << 64 - bits), uint64) * bits
        divisor, shift = bitwise_left_shift(divisor, by), shift + by
    rest = bitwise_or(bitwise_left_shift(rest, shift), bitwise_right_shift(low, 64 - shift))
    low = bitwise_left_shift(low, shift)
    first, second = bitwise_right_shift(divisor, 32), bitwise_and(divisor, digit)
    for following in (bitwise_right_shift(low, 32), bitwise_and(low, digit)):
        quotient = minimum(floor_divide(rest, first), digit)
        left = rest - quotient * first
        for _ in range(2):
            short = less(bitwise_or(bitwise_left_shift(left, 32), following), quotient * second)
            over = logical_and(less_equal(left, digit), short)
            quotient, left = quotient - astype(over, uint64), where(over, left + first, left)
        rest = bitwise_left_shift(left, 32) + following - quotient * second  # what wraps is not in the difference
    return bitwise_right_shift(rest, shift)


@function
@programmed
def randint(
    key: Tensor, /, shape: int | Sequence[int], minval: int | Tensor, maxval: int | Tensor, dtype: DTypeLike = int32
) -> Tensor:
    """Integers in [minval, maxval), as far as dtype holds them: minval + w % (maxval - minval) of random words w of 64
    bits, of 64-bit dtypes 128. So values differ in probability by 2**-64, or 2**-128, at most.

    JAX's products wrap where the span is over 2**16, or 2**32, and no power of 2: these numbers are others. ValueError
    where there is no integer to draw; between tensors the result is minval then.

    >>> nx.random.randint(nx.random.key(0), 4, 0, 10)
    int32[4] [9, 0, 2, 3]
    """
    target = to_dtype(dtype)
    if not target.is_integer:
        raise DTypeError(f"randint: expected an integer dtype, got {target}; use uniform for floats")
    sizes, long = shape_of("randint", shape), target.itemsize == 8
    (least, _), (end, beyond) = (_bound("randint", v, target) for v in (minval, maxval))
    _fitting("randint", sizes, minval=least, maxval=end)
    if known := _known(minval, maxval):
        low, high = known
        if not ((low < high) & (low <= int(target.highest)) & (high > int(target.lowest))).all():
            raise ValueError(
                f"randint: expected minval < maxval with integers of {target} between them, got {minval} and {maxval}; "
                f"there are none to draw"
            )
    wide = astype(end, uint64) - astype(least, uint64) + astype(beyond, uint64)  # 2**64 wraps to 0
    span = where(logical_or(greater(end, least), beyond), wide, 1)
    high, low = (_bits(k, sizes, uint64 if long else uint32) for k in unstack(_unpacked(_blocks(key, (2,)))))
    if long:
        offset = where(equal(span, 0), low, _long_remainder(high, low, span))
    else:
        offset = remainder(bitwise_or(bitwise_left_shift(astype(high, uint64), 32), astype(low, uint64)), span)
    return astype(astype(least, uint64) + offset, target)


@function
@programmed
def normal(key: Tensor, /, shape: int | Sequence[int] = (), dtype: DTypeLike = float32) -> Tensor:
    """Normal numbers with mean 0 and standard deviation 1: sqrt(2) erf_inv of uniform numbers in (-1, 1).

    >>> nx.random.normal(nx.random.key(0), 2)
    float32[2] [1.622642, 2.025265]
    """
    (target, work), sizes = _floating("normal", dtype), shape_of("normal", shape)
    u = fma(_unit(key, sizes, work), 2.0, finfo(work).eps / 2 - 1)
    return astype(erf_inv(u) * math.sqrt(2), target)


def _tail(u: Tensor, lower: float, upper: float) -> Tensor:
    """What a normal number in [lower, upper], lower >= 1, is less than with probability u.

    x = lower + sqrt(2) d solves erfc(y + d) = erfc(y) exp(-s), where y = lower / sqrt(2). With erfc(y) = exp(-y*y)
    erfcx(y), logarithms make it s = d * (2*y + d) - log(erfcx(y + d) / erfcx(y)), in which nothing underflows. Two of
    Halley's steps go there from the smaller of two solutions that are too large, to 1e-12 of x.
    """
    start = min(lower, 1e9)  # from where on d is less than the distance of numbers
    y, end = start / math.sqrt(2), (start + min(upper - lower, 40)) / math.sqrt(2)  # exp(-40*40/2) is 0
    scale, slope = special.erfcx(y), math.sqrt(math.pi) / 2
    beyond = -(end - y) * (end + y) + math.log(special.erfcx(end) / scale)  # the logarithm of P(x > upper | x > lower)
    # The logarithms are equal, each is exact where it is used.
    s = -where(less(u, 0.5), log1p(math.expm1(beyond) * u), log(fma(u, math.exp(beyond), 1 - u)))
    d = minimum(s / (y + sqrt(y * y + s)), s * (slope * scale))
    for _ in range(2):
        x = y + d
        found = special.erfcx(x, None if u.dtype is float64 else 12)
        newton = (d * (y + x) - log(found / scale) - s) * (found * slope)
        d = d - newton / (1 + newton * (x - 0.5 / (found * slope)))
    return lower + math.sqrt(2) * d


@function
@programmed
def truncated_normal(
    key: Tensor, /, lower: float, upper: float, shape: int | Sequence[int] = (), dtype: DTypeLike = float32
) -> Tensor:
    """Normal numbers on the condition that they lie in [lower, upper], whose ends are Python numbers or infinite, and
    are rounded to dtype.

    JAX's numbers, but for rounding, unless both ends are beyond 1 or -1: there JAX's lose digits, down to one number in
    the far tails. ValueError unless lower <= upper and dtype has numbers about there.

    >>> bool(nx.all(nx.abs(nx.random.truncated_normal(nx.random.key(0), -2.0, 2.0, 100)) <= 2))
    True
    """
    (target, work), sizes = _floating("truncated_normal", dtype), shape_of("truncated_normal", shape)
    if not (is_known(lower) and is_known(upper)):
        raise TypeError(
            f"truncated_normal: expected Python numbers as ends, got {lower!r} and {upper!r}; their values choose the "
            f"method, which is compiled: pass float(end), in a definition a static argument"
        )
    low, high = (float(v) if hasattr(v, "__float__") else math.nan for v in (lower, upper))
    if not (low <= high and low <= finfo(target).max and high >= finfo(target).min):
        raise ValueError(
            f"truncated_normal: expected numbers lower <= upper that {target} does not overflow, got {lower!r} and "
            f"{upper!r}; exchange them or give another dtype"
        )
    half = finfo(work).eps / 2
    if low >= 1 or high <= -1:
        u = _unit(key, sizes, work) + half  # in (0, 1), and so is 1 - u
        drawn = _tail(u, low, high) if low > 0 else -_tail(1 - u, -high, -low)
    else:
        first, last = (max(half - 1, min(math.erf(v / math.sqrt(2)), 1 - half)) for v in (low, high))
        drawn = erf_inv(fma(_unit(key, sizes, work), last - first, first)) * math.sqrt(2)
    return clip(astype(drawn, target), low, high)


@function
@programmed
def bernoulli(key: Tensor, /, p: float | Tensor = 0.5, shape: int | Sequence[int] | None = None) -> Tensor:
    """True with probability p, as bool; of p's shape unless another is given.

    64 random bits are compared with p in float64; JAX compares as many as p's mantissa has. ValueError of a p outside
    [0, 1]; in a tensor, p under 0 and NaN are 0, over 1 they are 1.

    >>> nx.random.bernoulli(nx.random.key(0), 0.5, 3)
    bool[3] [False, False,  True]
    """
    chance = asarray(p, float64)
    sizes = chance.shape if shape is None else shape_of("bernoulli", shape)
    _fitting("bernoulli", sizes, p=chance)
    if (known := _known(p)) and not ((known[0] >= 0) & (known[0] <= 1)).all():
        raise ValueError(f"bernoulli: expected p in [0, 1], got {p}; it is a probability")
    words = _blocks(key, sizes)
    words = bitwise_xor(words, bitwise_left_shift(words, 32))  # they begin with the 32 that `bits` gives
    return logical_or(less(words, astype(chance * 2.0**64, uint64)), greater_equal(chance, 1))
