"""Initializers: each constructor returns a function (shape, dtype, key) -> Tensor that makes a parameter's first value.

Fans follow the HWIO convention: the last two axes are in and out, the product of the others is the receptive field.
Half-precision values are drawn and scaled in float32, then rounded once. Those without randomness need no key.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Literal, Protocol

from . import nx
from .dtypes import DType, float32
from .errors import ShapeError
from .names import named
from .nx import Tensor
from .options import plain_options
from .values import remembered

__all__ = [
    "full", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "identity", "lecun_normal", "lecun_uniform",
    "normal", "ones", "orthogonal", "uniform", "variance_scaling", "zeros",
]  # fmt: skip

Shape = tuple[int, ...]
Initializer = Callable[[Shape, DType, Tensor], Tensor]


class Fixed(Protocol):
    """An initializer without randomness."""

    def __call__(self, shape: Shape, dtype: DType = ..., key: Tensor | None = ..., /) -> Tensor: ...


Mode = Literal["fan_in", "fan_out", "fan_avg"]
Distribution = Literal["normal", "uniform", "truncated_normal"]

# Standard deviation of a standard normal cut at two: sqrt(1 - 4 pdf(2) / (cdf(2) - cdf(-2))).
_CUT_DEVIATION = 0.87962566103423978


def _finite(name: str, *, scale: float, mean: float = 0.0) -> None:
    if not 0 <= scale < math.inf:
        raise ValueError(f"{name}: expected a scale in [0, inf), got {scale}; it multiplies the spread")
    if not math.isfinite(mean):
        raise ValueError(f"{name}: expected a finite mean, got {mean}; use full for infinities")


def _random(draw: Initializer) -> Initializer:
    """The initializer that a function draws by. TypeError without a key."""

    def init(shape: Shape, dtype: DType = float32, key: Tensor | None = None) -> Tensor:
        if key is None or isinstance(key, int):
            raise TypeError(
                f"initializer: expected (shape, dtype, key) with a key uint32[2], got {key}; write nx.random.key(0)"
            )
        return draw(shape, dtype, key)

    return init


def _rounded(dtype: DType, make: Callable[[DType], Tensor]) -> Tensor:
    """What `make` gives in the dtype that computes for `dtype`, rounded to it."""
    return nx.astype(make(nx.dtype(dtype).computed_in), dtype)


@remembered
@plain_options
def full(value: float) -> Fixed:
    """A tensor filled with one value.

    >>> full(0.5)((2,), nx.float32)
    float32[2] [0.5, 0.5]
    """
    return lambda shape, dtype=float32, key=None: nx.full(shape, value, dtype=dtype)


@remembered
def zeros() -> Fixed:
    """A tensor of zeros.

    >>> zeros()((2,), nx.float32)
    float32[2] [0., 0.]
    """
    return full(0)


@remembered
def ones() -> Fixed:
    """A tensor of ones.

    >>> ones()((2,), nx.float32)
    float32[2] [1., 1.]
    """
    return full(1)


def _matrices(name: str, shape: Shape) -> Shape:
    """A shape of matrices in normal form."""
    sizes = nx.template(shape).shape
    if len(sizes) < 2:
        raise ShapeError(f"{name}: expected two axes or more, got a shape {sizes}; use another for vectors")
    return sizes


@remembered
def identity() -> Fixed:
    """Ones where the last two axes have the same index, and zeros elsewhere. ShapeError of less than two axes.

    >>> identity()((2, 3))
    float32[2,3]
    [[1., 0., 0.],
     [0., 1., 0.]]
    """

    def init(shape: Shape, dtype: DType = float32, key: Tensor | None = None) -> Tensor:
        sizes = _matrices("identity", shape)
        return nx.broadcast_to(nx.eye(*sizes[-2:], dtype=dtype), sizes)

    return init


@remembered
@plain_options
def uniform(scale: float = 0.01) -> Initializer:
    """Uniform in [-scale, scale). ValueError of a scale that is negative or not finite.

    >>> bool(nx.all(nx.abs(uniform(0.1)((100,), nx.float32, nx.random.key(0))) <= 0.1))
    True
    """
    _finite("uniform", scale=scale)
    return _random(lambda shape, dtype, key: nx.random.uniform(key, shape, dtype, -scale, scale))


@remembered
@plain_options
def normal(mean: float = 0.0, scale: float = 0.01) -> Initializer:
    """Normal with that mean and standard deviation `scale`. ValueError of a mean or scale that is not finite, or a
    negative scale.

    >>> normal()((2, 3), nx.float32, nx.random.key(0)).shape
    (2, 3)
    """
    _finite("normal", mean=mean, scale=scale)

    @_random
    def init(shape: Shape, dtype: DType, key: Tensor) -> Tensor:
        return _rounded(dtype, lambda work: mean + scale * nx.random.normal(key, shape, work))

    return init


def find_initializer(initializer: str | Initializer, what: str = "initializer") -> Initializer:
    """An initializer given by name (with its defaults) or as the function that a constructor gives; `what` is its name
    in the error's text. ValueError for anything else, such as a constructor that was not called."""
    if initializer in [globals()[name] for name in __all__]:
        name = initializer.__name__  # type: ignore[union-attr]
        raise ValueError(f"{what}: expected a function that {name} makes, got {name} itself; write {name}(...)")
    rows = {name: name for name in __all__ if name != "full"}  # which has no default
    more = ", or a function (shape, dtype, key) -> tensor such as he_normal()"
    found = named(what, rows, initializer, more)
    return _default(found) if isinstance(found, str) else found


@cache
def _default(name: str) -> Initializer:
    """One function a name, so that parameters that ask for it are known to be drawn alike."""
    return globals()[name]()


def fans(shape: Shape) -> tuple[int, int]:
    """(fan in, fan out) of a parameter; an axis that stands alone is both.

    >>> fans((784, 128)), fans((3, 3, 16, 32)), fans((7,))
    ((784, 128), (144, 288), (7, 7))
    """
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


@remembered
@plain_options
def variance_scaling(scale: float = 1.0, mode: Mode = "fan_in", distribution: Distribution = "normal") -> Initializer:
    """Mean 0 and variance scale / fan. truncated_normal is cut at two standard deviations and widened to make up;
    ValueError names an unknown mode or distribution, or a scale that is negative or not finite.

    >>> variance_scaling(2.0, "fan_avg", "uniform")((4, 4), nx.float32, nx.random.key(0)).shape
    (4, 4)
    """
    if mode not in ("fan_in", "fan_out", "fan_avg"):
        raise ValueError(f"variance_scaling: expected mode fan_in, fan_out or fan_avg, got {mode!r}")
    if distribution not in ("normal", "uniform", "truncated_normal"):
        raise ValueError(
            f"variance_scaling: expected distribution normal, uniform or truncated_normal, got {distribution!r}"
        )
    _finite("variance_scaling", scale=scale)

    @_random
    def init(shape: Shape, dtype: DType, key: Tensor) -> Tensor:
        into, out = fans(nx.template(shape, dtype).shape)
        fan = {"fan_in": into, "fan_out": out, "fan_avg": (into + out) / 2}[mode]
        deviation = math.sqrt(scale / max(fan, 1))
        if distribution == "uniform":
            return uniform(math.sqrt(3) * deviation)(shape, dtype, key)
        if distribution == "normal":
            return normal(0.0, deviation)(shape, dtype, key)
        widened = deviation / _CUT_DEVIATION
        return _rounded(dtype, lambda work: widened * nx.random.truncated_normal(key, -2.0, 2.0, shape, work))

    return init


@remembered
@plain_options
def lecun_uniform(scale: float = 1.0) -> Initializer:
    """Uniform with variance scale / fan in. LeCun et al. 1998.

    >>> lecun_uniform()((4, 4), nx.float32, nx.random.key(0)).shape
    (4, 4)
    """
    return variance_scaling(scale, "fan_in", "uniform")


@remembered
@plain_options
def lecun_normal(scale: float = 1.0) -> Initializer:
    """Truncated normal with variance scale / fan in. LeCun et al. 1998.

    >>> lecun_normal()((4, 4), nx.float32, nx.random.key(0)).shape
    (4, 4)
    """
    return variance_scaling(scale, "fan_in", "truncated_normal")


@remembered
@plain_options
def glorot_uniform(scale: float = 1.0) -> Initializer:
    """Uniform with variance 2 * scale / (fan in + fan out). Glorot and Bengio 2010.

    >>> glorot_uniform()((4, 4), nx.float32, nx.random.key(0)).shape
    (4, 4)
    """
    return variance_scaling(scale, "fan_avg", "uniform")


@remembered
@plain_options
def glorot_normal(scale: float = 1.0) -> Initializer:
    """Truncated normal with variance 2 * scale / (fan in + fan out). Glorot and Bengio 2010.

    >>> glorot_normal()((4, 4), nx.float32, nx.random.key(0)).shape
    (4, 4)
    """
    return variance_scaling(scale, "fan_avg", "truncated_normal")


@remembered
@plain_options
def he_uniform(scale: float = 2.0) -> Initializer:
    """Uniform with variance scale / fan in. He et al. 2015.

    >>> he_uniform()((4, 4), nx.float32, nx.random.key(0)).shape
    (4, 4)
    """
    return variance_scaling(scale, "fan_in", "uniform")


@remembered
@plain_options
def he_normal(scale: float = 2.0) -> Initializer:
    """Truncated normal with variance scale / fan in. He et al. 2015.

    >>> he_normal()((4, 4), nx.float32, nx.random.key(0)).shape
    (4, 4)
    """
    return variance_scaling(scale, "fan_in", "truncated_normal")


@remembered
@plain_options
def orthogonal(scale: float = 1.0, distribution: Literal["normal", "uniform"] = "normal") -> Initializer:
    """Matrices of orthonormal columns, or of orthonormal rows where these are fewer, times `scale`; the columns are
    those of the last axis. Saxe et al. 2014.

    Of "normal" numbers all such matrices are equally probable (Haar's measure); of "uniform" ones, in [-1, 1), they are
    not. ShapeError of less than two axes; ValueError names an unknown distribution, or a scale that is negative or not
    finite.

    >>> q = orthogonal()((4, 2), nx.float32, nx.random.key(0))
    >>> bool(nx.all(nx.abs(nx.matrix_transpose(q) @ q - nx.eye(2)) < 1e-6))
    True
    """
    if distribution not in ("normal", "uniform"):
        raise ValueError(f"orthogonal: expected distribution normal or uniform, got {distribution!r}")
    _finite("orthogonal", scale=scale)
    draw = normal(0.0, 1.0) if distribution == "normal" else uniform(1.0)

    @_random
    def init(shape: Shape, dtype: DType, key: Tensor) -> Tensor:
        sizes = _matrices("orthogonal", shape)
        if 0 in sizes:
            return nx.zeros(sizes, dtype=dtype)
        rows, columns = math.prod(sizes[:-1]), sizes[-1]
        tall = max(rows, columns), min(rows, columns)

        def make(work: DType) -> Tensor:
            found = _orthonormal(draw(tall, work, key))
            return scale * (found if rows >= columns else nx.matrix_transpose(found)).reshape(sizes)

        return _rounded(dtype, make)

    return init


def _orthonormal(drawn: Tensor) -> Tensor:
    """Orthonormal columns [n, m], made of the numbers on and below the diagonal of a matrix of that shape: the product
    of reflections 1 - 2 v v', the k-th of which takes the k-th axis to the k-th column from the diagonal down, or to
    its opposite, which the sign mends. Made of normal numbers it is distributed as the Q of a QR decomposition whose R
    has a positive diagonal. Stewart: The efficient generation of random orthogonal matrices (1980).

    The product is 1 - V T V', where T of two halves is [[T1, -T1 V1' V2 T2], [0, T2]]: the halves of all sizes are
    joined in log2(m) products of matrices, not one by one. Schreiber and Van Loan 1989.
    """
    n, m = drawn.shape
    axes, low = nx.eye(n, m, dtype=drawn.dtype), nx.tril(drawn)
    length = nx.sqrt(nx.sum(low * low, axis=0))
    sign = nx.where(nx.sum(low * axes, axis=0) < 0, -1, 1).astype(drawn.dtype)
    v = low + axes * sign * nx.where(length == 0, 1, length)
    v = nx.matrix_transpose(v / nx.sqrt(nx.sum(v * v, axis=0)))
    levels = (m - 1).bit_length()
    v = nx.pad(v, [(0, 2**levels - m), (0, 0)])  # by zeros, which reflect nothing
    t = nx.full((2**levels, 1, 1), 2.0, dtype=drawn.dtype)
    for level in range(levels):
        (v1, v2), (t1, t2) = (nx.unstack(x.reshape((-1, 2, 2**level, x.shape[-1])), axis=1) for x in (v, t))
        corner = -(t1 @ (v1 @ nx.matrix_transpose(v2))) @ t2
        upper, lower = nx.concat([t1, corner], axis=-1), nx.concat([nx.zeros_like(corner), t2], axis=-1)
        t = nx.concat([upper, lower], axis=1)
    return (axes - nx.matrix_transpose(v) @ (t[0] @ v[:, :m])) * -sign
