"""Initializers: each constructor returns a function (shape, dtype, key) -> Tensor that makes a parameter's first value.

Fans follow the HWIO convention: the last two axes are in and out, the product of the others is the receptive field.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from . import nx
from .dtypes import DType
from .nx import Tensor
from .values import remembered

__all__ = [
    "full", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform", "normal",
    "ones", "uniform", "variance_scaling", "zeros",
]  # fmt: skip

Shape = tuple[int, ...]
Initializer = Callable[[Shape, DType, Tensor], Tensor]
Mode = Literal["fan_in", "fan_out", "fan_avg"]
Distribution = Literal["normal", "uniform", "truncated_normal"]

# Standard deviation of a standard normal cut at two: sqrt(1 - 4 pdf(2) / (cdf(2) - cdf(-2))).
_CUT_DEVIATION = 0.87962566103423978


@remembered
def full(value: float) -> Initializer:
    """A tensor filled with one value.

    >>> full(0.5)((2,), nx.float32, nx.random.key(0))
    float32[2] [0.5, 0.5]
    """
    return lambda shape, dtype, key: nx.full(shape, value, dtype=dtype)


@remembered
def zeros() -> Initializer:
    """A tensor of zeros.

    >>> zeros()((2,), nx.float32, nx.random.key(0))
    float32[2] [0., 0.]
    """
    return full(0)


@remembered
def ones() -> Initializer:
    """A tensor of ones.

    >>> ones()((2,), nx.float32, nx.random.key(0))
    float32[2] [1., 1.]
    """
    return full(1)


@remembered
def uniform(scale: float = 0.01) -> Initializer:
    """Uniform in [-scale, scale).

    >>> bool(nx.all(nx.abs(uniform(0.1)((100,), nx.float32, nx.random.key(0))) <= 0.1))
    True
    """
    return lambda shape, dtype, key: nx.random.uniform(key, shape, dtype, -scale, scale)


@remembered
def normal(mean: float = 0.0, scale: float = 0.01) -> Initializer:
    """Normal with that mean and standard deviation `scale`.

    >>> normal()((2, 3), nx.float32, nx.random.key(0)).shape
    (2, 3)
    """
    return lambda shape, dtype, key: mean + scale * nx.random.normal(key, shape, dtype)


def find_initializer(initializer: str | Initializer, what: str = "initializer") -> Initializer:
    """An initializer given by name (with its defaults) or as the function that a constructor gives; `what` is its name
    in the error's text. ValueError for anything else, such as a constructor that was not called."""
    constructors = {name: globals()[name] for name in __all__}
    named = [name for name in __all__ if name != "full"]  # which has no default
    if isinstance(initializer, str) and initializer in named:
        return constructors[initializer]()
    if not callable(initializer) or initializer in constructors.values():
        raise ValueError(
            f"{what}: expected one of {', '.join(named)}, or a function (shape, dtype, key) -> tensor such as "
            f"he_normal(), got {getattr(initializer, '__name__', repr(initializer))}"
        )
    return initializer


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
def variance_scaling(scale: float = 1.0, mode: Mode = "fan_in", distribution: Distribution = "normal") -> Initializer:
    """Mean 0 and variance scale / fan. truncated_normal is cut at two standard deviations and widened to make up;
    ValueError names an unknown mode or distribution.

    >>> variance_scaling(2.0, "fan_avg", "uniform")((4, 4), nx.float32, nx.random.key(0)).shape
    (4, 4)
    """
    if mode not in ("fan_in", "fan_out", "fan_avg"):
        raise ValueError(f"variance_scaling: expected mode fan_in, fan_out or fan_avg, got {mode!r}")
    if distribution not in ("normal", "uniform", "truncated_normal"):
        raise ValueError(
            f"variance_scaling: expected distribution normal, uniform or truncated_normal, got {distribution!r}"
        )

    def init(shape: Shape, dtype: DType, key: Tensor) -> Tensor:
        into, out = fans(shape)
        fan = {"fan_in": into, "fan_out": out, "fan_avg": (into + out) / 2}[mode]
        deviation = math.sqrt(scale / max(fan, 1))
        if distribution == "uniform":
            return uniform(math.sqrt(3) * deviation)(shape, dtype, key)
        if distribution == "normal":
            return normal(0.0, deviation)(shape, dtype, key)
        return deviation / _CUT_DEVIATION * nx.random.truncated_normal(key, -2.0, 2.0, shape, dtype)

    return init


@remembered
def lecun_uniform(scale: float = 1.0) -> Initializer:
    """Uniform with variance scale / fan in. LeCun et al. 1998.

    >>> lecun_uniform()((4, 4), nx.float32, nx.random.key(0)).shape
    (4, 4)
    """
    return variance_scaling(scale, "fan_in", "uniform")


@remembered
def lecun_normal(scale: float = 1.0) -> Initializer:
    """Truncated normal with variance scale / fan in. LeCun et al. 1998.

    >>> lecun_normal()((4, 4), nx.float32, nx.random.key(0)).shape
    (4, 4)
    """
    return variance_scaling(scale, "fan_in", "truncated_normal")


@remembered
def glorot_uniform(scale: float = 1.0) -> Initializer:
    """Uniform with variance 2 * scale / (fan in + fan out). Glorot and Bengio 2010.

    >>> glorot_uniform()((4, 4), nx.float32, nx.random.key(0)).shape
    (4, 4)
    """
    return variance_scaling(scale, "fan_avg", "uniform")


@remembered
def glorot_normal(scale: float = 1.0) -> Initializer:
    """Truncated normal with variance 2 * scale / (fan in + fan out). Glorot and Bengio 2010.

    >>> glorot_normal()((4, 4), nx.float32, nx.random.key(0)).shape
    (4, 4)
    """
    return variance_scaling(scale, "fan_avg", "truncated_normal")


@remembered
def he_uniform(scale: float = 2.0) -> Initializer:
    """Uniform with variance scale / fan in. He et al. 2015.

    >>> he_uniform()((4, 4), nx.float32, nx.random.key(0)).shape
    (4, 4)
    """
    return variance_scaling(scale, "fan_in", "uniform")


@remembered
def he_normal(scale: float = 2.0) -> Initializer:
    """Truncated normal with variance scale / fan in. He et al. 2015.

    >>> he_normal()((4, 4), nx.float32, nx.random.key(0)).shape
    (4, 4)
    """
    return variance_scaling(scale, "fan_in", "truncated_normal")
