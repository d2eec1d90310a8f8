"""Normalization layers."""

from __future__ import annotations

from .. import nx
from ..errors import ShapeError
from ..initializers import ones, zeros
from ..nx import Tensor, TensorType
from ..options import plain_options
from .declare import Mode, Parameter, Stateful, layer


def _channels(x: Tensor | TensorType, axis: int) -> tuple[int]:
    if not -len(x.shape) <= axis < len(x.shape):
        raise ShapeError(f"batch_norm: expected an axis of {x.dtype}{list(x.shape)}, got {axis}; -1 is the last")
    return (x.shape[axis],)


@layer(
    gamma=Parameter(_channels, ones()),
    beta=Parameter(_channels, zeros()),
    mean=Parameter(_channels, zeros(), kind="state"),
    var=Parameter(_channels, ones(), kind="state"),
)
@plain_options
def batch_norm(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    mean: Tensor,
    var: Tensor,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    mode: Mode = "inference",
) -> Tensor | Stateful:
    """(x - mean) / sqrt(var + epsilon) * gamma + beta, one mean and variance for each index of `axis`.

    In training they are the batch's (the variance biased) and the running averages become
    momentum * old + (1 - momentum) * batch; in inference they are the running averages. Ioffe and Szegedy 2015.
    Shapes: x any with c at `axis`, the others [c]; result as x, in the common dtype of x, gamma and beta. Halves are
    computed in float32, and averages keep their dtype. Training gives Stateful(output, {"mean", "var"}).
    ShapeError where x has no such axis.

    >>> one, zero = nx.ones((2,)), nx.zeros((2,))
    >>> batch_norm(nx.tensor([[1.0, 2.0]]), one, zero, zero, one, epsilon=0.0)
    float32[1,2]
    [[1., 2.]]
    """
    channels, axis = _channels(x, axis), axis % x.ndim
    others = tuple(i for i in range(x.ndim) if i != axis)

    def spread(v: Tensor) -> Tensor:
        return v.reshape((1,) * axis + channels + (1,) * (x.ndim - axis - 1))

    (x, gamma, beta), rounded = nx.widened(x, gamma, beta)
    used_mean, used_var = nx.moments(x, axis=others) if mode == "train" else (mean, var)
    y = rounded((x - spread(used_mean)) * spread(gamma * nx.rsqrt(used_var + epsilon)) + spread(beta))
    if mode != "train":
        return y

    def average(old: Tensor, new: Tensor) -> Tensor:
        return (momentum * old + (1 - momentum) * new).astype(old.dtype)

    return Stateful(y, {"mean": average(mean, used_mean), "var": average(var, used_var)})
