"""Activations: elementwise functions of a tensor, and the softmax family over one axis, several, or None: all. Every
name in `__all__` is also a model layer.

Integers and bool are taken as the float32 numbers they stand for. Halves are computed in float32 and rounded once. At
infinities the result and the slope are the limits where these exist.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from . import nx
from .defn import stop_grad
from .nx import Tensor
from .options import plain_options

__all__ = [
    "celu", "elu", "exp", "gelu", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu", "linear", "log_sigmoid",
    "log_softmax", "log_sumexp", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign",
    "tanh",
]  # fmt: skip

Axis = int | str | Sequence[int | str] | None  # one, by number or name, several, or all
F = TypeVar("F", bound=Callable[..., Tensor])
SELU_ALPHA = 1.6732632423543772  # Klambauer et al. 2017: the fixed point with mean 0 and variance 1
SELU_GAMMA = 1.0507009873554805


def activation(function: F) -> F:
    """Have a function of a tensor compute in floats, float32 at least, with one rounding at its end; its options may be
    scalars of any library."""

    @plain_options
    @functools.wraps(function)
    def run(x: Any, *args: Any, **options: Any) -> Tensor:
        (wide,), rounded = nx.widened(x)
        return rounded(function(wide, *args, **options))

    return run  # type: ignore[return-value]


def _gated(x: Tensor, gate: Callable[[Tensor], Tensor]) -> Tensor:
    """x * gate(x), where a gate closes far below 0 and is open far above it: neither value nor slope is inf * 0."""
    most = nx.finfo(x.dtype).max
    return nx.clip(x, min=-most) * gate(nx.clip(x, max=most))


def _below_top(x: Tensor, axis: Axis) -> tuple[Tensor, Tensor, Tensor]:
    """How far x is below its maximum along axes; the maximum; and whether that is -inf: all is masked."""
    top = stop_grad((nx.max if x.size else nx.sum)(x, axis=axis, keepdims=True))  # nothing has a sum, no maximum
    return nx.gap(x, top), top, nx.isinf(top) & (top < 0)


def _up_to_zero(x: Tensor) -> Tensor:
    """What elu and celu take exp of: x, or 0 where exp(x) could overflow; `minimum` would halve the slope at 0."""
    return nx.where(x > 0, 0, x)


@activation
def celu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """x where positive, else alpha * (exp(x / alpha) - 1); ValueError when alpha is 0. Barron 2017.

    x: floats of any shape; result as x.

    >>> celu(nx.tensor([-1.0, 0.0, 2.0]))
    float32[3] [-0.632121,  0.      ,  2.      ]
    """
    if isinstance(alpha, (int, float)) and alpha == 0:
        raise ValueError("celu: expected alpha other than 0, got 0; use relu for the limit")
    return nx.where(x > 0, x, alpha * nx.expm1(_up_to_zero(x) / alpha))


@activation
def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """x where positive, else alpha * (exp(x) - 1). Clevert et al. 2015.

    x: floats of any shape; result as x.

    >>> elu(nx.tensor([-1.0, 0.0, 2.0]))
    float32[3] [-0.632121,  0.      ,  2.      ]
    """
    return nx.where(x > 0, x, alpha * nx.expm1(_up_to_zero(x)))


@activation
def exp(x: Tensor) -> Tensor:
    """e to the power of each element.

    x: floats of any shape; result as x.

    >>> exp(nx.tensor([0.0, 1.0]))
    float32[2] [1.      , 2.718282]
    """
    return nx.exp(x)


@activation
def gelu(x: Tensor) -> Tensor:
    """x * P(N(0, 1) <= x), by erfc and not by the tanh approximation. Hendrycks and Gimpel 2016.

    x: floats of any shape; result as x.

    >>> gelu(nx.tensor([-1.0, 0.0, 2.0]))
    float32[3] [-0.158655,  0.      ,  1.9545  ]
    """
    return _gated(x, lambda x: 0.5 * nx.erfc(x * -math.sqrt(0.5)))  # 1 + erf would cancel where x is far below 0


@activation
def hard_sigmoid(x: Tensor) -> Tensor:
    """relu6(x + 3) / 6, the piecewise linear sigmoid. Howard et al. 2019.

    x: floats of any shape; result as x.

    >>> hard_sigmoid(nx.tensor([-4.0, 0.0, 1.5]))
    float32[3] [0.  , 0.5 , 0.75]
    """
    return relu6(x + 3) / 6


@activation
def hard_silu(x: Tensor) -> Tensor:
    """x * hard_sigmoid(x). Howard et al. 2019.

    x: floats of any shape; result as x.

    >>> hard_silu(nx.tensor([-4.0, 0.0, 3.0]))
    float32[3] [-0.,  0.,  3.]
    """
    return _gated(x, hard_sigmoid)


@activation
def hard_tanh(x: Tensor) -> Tensor:
    """x kept within [-1, 1].

    x: floats of any shape; result as x.

    >>> hard_tanh(nx.tensor([-2.0, 0.5, 3.0]))
    float32[3] [-1. ,  0.5,  1. ]
    """
    return nx.clip(x, -1, 1)


@activation
def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """x where positive, else alpha * x.

    x: floats of any shape; result as x.

    >>> leaky_relu(nx.tensor([-2.0, 3.0]), alpha=0.5)
    float32[2] [-1.,  3.]
    """
    if isinstance(alpha, (int, float)) and alpha == 0:
        return relu(x)  # 0 * -inf
    return nx.where(x > 0, x, alpha * x)


@activation
def linear(x: Tensor) -> Tensor:
    """x itself.

    x: floats of any shape; result as x.

    >>> linear(nx.tensor([1.0]))
    float32[1] [1.]
    """
    return x


@activation
def log_sigmoid(x: Tensor) -> Tensor:
    """log(sigmoid(x)), exact where sigmoid(x) underflows.

    x: floats of any shape; result as x.

    >>> log_sigmoid(nx.tensor([-100.0, 0.0]))
    float32[2] [-100.      ,   -0.693147]
    """
    return -softplus(-x)


@activation
def log_softmax(x: Tensor, *, axis: Axis = -1) -> Tensor:
    """log(softmax(x)) over axes, exact where softmax underflows; -inf where a row has nothing but -inf.

    x: floats, at least one axis; result as x. ShapeError where x has no such axis.

    >>> log_softmax(nx.tensor([0.0, 0.0]))
    float32[2] [-0.693147, -0.693147]
    """
    below, top, masked = _below_top(x, axis)
    return below - nx.where(masked, -top, nx.log(nx.sum(nx.exp(below), axis=axis, keepdims=True)))


@activation
def log_sumexp(x: Tensor, *, axis: Axis = -1) -> Tensor:
    """log(sum(exp(x))) over axes, which are kept with size 1 and their names; -inf over nothing.

    x: floats, at least one axis; result as x with those axes of size 1. ShapeError where x has no such axis.

    >>> log_sumexp(nx.tensor([0.0, 0.0]))
    float32[1] [0.693147]
    """
    y = nx.logsumexp(x, axis=axis, keepdims=True)
    return y if x.names is None else y.rename(x.names)


@activation
def mish(x: Tensor) -> Tensor:
    """x * tanh(softplus(x)). Misra 2019.

    x: floats of any shape; result as x.

    >>> mish(nx.tensor([-1.0, 0.0, 2.0]))
    float32[3] [-0.303401,  0.      ,  1.943959]
    """
    return _gated(x, lambda x: nx.tanh(softplus(x)))


@activation
def relu(x: Tensor) -> Tensor:
    """x where positive, else 0; NaN stays NaN, and the gradient at 0 is 0.

    x: floats of any shape; result as x.

    >>> relu(nx.tensor([-1.0, 0.0, 2.0]))
    float32[3] [0., 0., 2.]
    """
    return nx.where(x <= 0, 0, x)


@activation
def relu6(x: Tensor) -> Tensor:
    """x kept within [0, 6].

    x: floats of any shape; result as x.

    >>> relu6(nx.tensor([-1.0, 3.0, 7.0]))
    float32[3] [0., 3., 6.]
    """
    return nx.clip(x, 0, 6)


@activation
def selu(x: Tensor, *, alpha: float = SELU_ALPHA, gamma: float = SELU_GAMMA) -> Tensor:
    """gamma * elu(x, alpha), which keeps mean 0 and variance 1 through deep networks. Klambauer et al. 2017.

    x: floats of any shape; result as x.

    >>> selu(nx.tensor([-1.0, 0.0, 2.0]))
    float32[3] [-1.111331,  0.      ,  2.101402]
    """
    return gamma * elu(x, alpha=alpha)


@activation
def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)).

    x: floats of any shape; result as x.

    >>> sigmoid(nx.tensor([0.0, 100.0]))
    float32[2] [0.5, 1. ]
    """
    return nx.sigmoid(x)


@activation
def silu(x: Tensor) -> Tensor:
    """x * sigmoid(x). Elfwing et al. 2017.

    x: floats of any shape; result as x.

    >>> silu(nx.tensor([-1.0, 0.0, 2.0]))
    float32[3] [-0.268941,  0.      ,  1.761594]
    """
    return _gated(x, nx.sigmoid)


@activation
def softmax(x: Tensor, *, axis: Axis = -1) -> Tensor:
    """exp(x) / sum(exp(x)) over axes, computed without overflow.

    A row of nothing but -inf, in which all is masked, gives zeros with slopes of 0: it says nothing, and takes nothing
    away from what other rows say.
    x: floats, at least one axis; result as x. ShapeError where x has no such axis.

    >>> softmax(nx.tensor([[0.0, 0.0], [1000.0, 0.0]]))
    float32[2,2]
    [[0.5, 0.5],
     [1. , 0. ]]
    """
    below, top, masked = _below_top(x, axis)
    e = nx.exp(below)
    return e / nx.where(masked, -top, nx.sum(e, axis=axis, keepdims=True))


@activation
def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), computed without overflow.

    x: floats of any shape; result as x.

    >>> softplus(nx.tensor([0.0, 100.0]))
    float32[2] [  0.693147, 100.      ]
    """
    return nx.logaddexp(x, 0)


@activation
def softsign(x: Tensor) -> Tensor:
    """x / (1 + |x|).

    x: floats of any shape; result as x.

    >>> softsign(nx.tensor([-1.0, 0.0, 3.0]))
    float32[3] [-0.5 ,  0.  ,  0.75]
    """
    most = nx.finfo(x.dtype).max
    x = nx.clip(x, -most, most)  # inf / inf
    return x / (1 + nx.abs(x))


@activation
def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent of each element.

    x: floats of any shape; result as x.

    >>> tanh(nx.tensor([0.0, 1.0]))
    float32[2] [0.      , 0.761594]
    """
    return nx.tanh(x)
