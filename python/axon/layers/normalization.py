"""Normalization layers: (x - mean) / sqrt(var + epsilon) * gamma + beta. They differ in the axes that mean and variance
are taken over, and in whether running averages of them are kept.

Halves are computed in float32; results are in the common dtype of x, gamma and beta. `axis` is that of the channels, or
channels="first" or "last" says it; gamma and beta have an element for each, and may be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral

from .. import nx
from ..errors import ShapeError
from ..initializers import ones, zeros
from ..nx import Tensor, TensorType
from .channels import Channels, channel_axis, spatial
from .declare import Mode, Parameter, Stateful, layer, trains

Moments = tuple[Tensor, Tensor]  # mean and variance


def _channels(x: TensorType, axis: int = -1, channels: Channels | None = None) -> tuple[int]:
    return (x.shape[channel_axis("channels", x, axis, channels)],)


_GAMMA, _BETA = Parameter(_channels, ones()), Parameter(_channels, zeros())
_MEAN, _VAR = Parameter(_channels, zeros(), kind="state"), Parameter(_channels, ones(), kind="state")


def _beside(name: str, x: Tensor, axis: int, v: Tensor) -> Tensor:
    """A vector over the channels in the shape that broadcasts to x."""
    if v.size != x.shape[axis]:
        raise ShapeError(f"{name}: expected {x.shape[axis]} elements, one a channel, got {list(v.shape)}; look at axis")
    return v.reshape((1,) * axis + (x.shape[axis],) + (1,) * (x.ndim - axis - 1))


def _normed(
    name: str,
    x: Tensor,
    axis: int,
    gamma: Tensor | None,
    beta: Tensor | None,
    epsilon: float,
    moments: Callable[[Tensor], Moments],
) -> tuple[Tensor, Moments]:
    """What all of them give, and its mean and variance: `moments` has those of x, which broadcast to it."""
    if isinstance(epsilon, (int, float)) and not epsilon >= 0:
        raise ValueError(f"{name}: expected epsilon of at least 0, got {epsilon}; 1e-5 is usual")
    (x, *_), rounded = nx.widened(x, *(p for p in (gamma, beta) if p is not None))
    mean, var = moments(x)
    scale = nx.rsqrt(var + epsilon)
    y = (x - mean) * (scale if gamma is None else _beside(name, x, axis, gamma) * scale)
    return rounded(y if beta is None else y + _beside(name, x, axis, beta)), (mean, var)


def _running(
    name: str,
    x: Tensor,
    axis: int,
    over: Sequence[int],
    gamma: Tensor | None,
    beta: Tensor | None,
    mean: Tensor | None,
    var: Tensor | None,
    epsilon: float,
    momentum: float,
    mode: Mode,
) -> Tensor | Stateful:
    """x normalized by its own moments over axes or, in inference, by their running averages where these are kept."""
    if (mean is None) != (var is None):
        had, lacks = ("var", "mean") if mean is None else ("mean", "var")
        raise ValueError(f"{name}: expected mean and var, or neither, got {had} alone; give {lacks}, or leave out both")
    if isinstance(momentum, (int, float)) and not 0 <= momentum <= 1:
        raise ValueError(f"{name}: expected momentum from 0 to 1, got {momentum}; it is the share of the old average")
    training = trains(name, mode)

    def moments(x: Tensor) -> Moments:
        if mean is None or var is None or training:
            return nx.moments(x, axis=over, keepdims=True)
        (_, m, v), _ = nx.widened(x, mean, var)
        return _beside(name, x, axis, m), _beside(name, x, axis, v)

    def average(old: Tensor, new: Tensor) -> Tensor:
        if not x.size:
            return old  # an empty batch says nothing of the next
        (wide,), rounded = nx.widened(old)
        new = new if 0 in (axis, *over) else nx.mean(new, axis=0)  # of the examples
        return rounded(momentum * wide + (1 - momentum) * new.reshape(old.shape))

    y, used = _normed(name, x, axis, gamma, beta, epsilon, moments)
    if mean is None or var is None or not training:
        return y
    return Stateful(y, {"mean": average(mean, used[0]), "var": average(var, used[1])})


@layer(gamma=_GAMMA, beta=_BETA, mean=_MEAN, var=_VAR)
def batch_norm(
    x: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    mean: Tensor | None = None,
    var: Tensor | None = None,
    *,
    axis: int = -1,
    channels: Channels | None = None,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    mode: Mode = "inference",
) -> Tensor | Stateful:
    """(x - mean) / sqrt(var + epsilon) * gamma + beta, one mean and variance for each channel.

    In training they are the batch's (the variance biased) and the running averages become
    momentum * old + (1 - momentum) * batch (PyTorch's momentum is 1 - this one); in inference they are the running
    averages. Without these, they are the batch's in both. Ioffe and Szegedy 2015.
    Shapes: x any with c at `axis`, the others [c]; result as x, in the common dtype of x, gamma and beta. Halves are
    computed in float32, and averages keep their dtype. Training gives Stateful(output, {"mean", "var"}).
    ShapeError where x has no such axis; ValueError for channels other than "first" and "last", one average alone, a
    negative epsilon or a momentum outside 0..1.

    >>> one, zero = nx.ones((2,)), nx.zeros((2,))
    >>> batch_norm(nx.tensor([[1.0, 2.0]]), one, zero, zero, one, epsilon=0.0)
    float32[1,2]
    [[1., 2.]]
    """
    axis = channel_axis("batch_norm", x, axis, channels)
    over = tuple(i for i in range(x.ndim) if i != axis)
    return _running("batch_norm", x, axis, over, gamma, beta, mean, var, epsilon, momentum, mode)


@layer(gamma=_GAMMA, beta=_BETA, mean=_MEAN, var=_VAR)
def instance_norm(
    x: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    mean: Tensor | None = None,
    var: Tensor | None = None,
    *,
    axis: int = -1,
    channels: Channels | None = None,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    mode: Mode = "inference",
) -> Tensor | Stateful:
    """(x - mean) / sqrt(var + epsilon) * gamma + beta, one mean and variance for each channel of each example.

    In training they are the example's (the variance biased) and the running averages become
    momentum * old + (1 - momentum) * their mean over the batch; in inference they are the running averages. Without
    these, they are the example's in both: in a model by use_mean=False, use_var=False. Ulyanov et al. 2016.
    Shapes: x [batch, ...] with c at `axis` and at least one axis more, the others [c]; result as x, in the common dtype
    of x, gamma and beta. Halves are computed in float32, and averages keep their dtype. Training gives
    Stateful(output, {"mean", "var"}). ShapeError where x has no such axes; ValueError for channels other than "first"
    and "last", one average alone, a negative epsilon or a momentum outside 0..1.

    >>> instance_norm(nx.tensor([[[1.0, 5.0], [3.0, 5.0]]]), epsilon=0.25)
    float32[1,2,2]
    [[[-0.894427,  0.      ],
      [ 0.894427,  0.      ]]]
    """
    axis = channel_axis("instance_norm", x, axis, channels)
    over = spatial("instance_norm", x, axis)
    return _running("instance_norm", x, axis, over, gamma, beta, mean, var, epsilon, momentum, mode)


@layer(gamma=_GAMMA, beta=_BETA)
def layer_norm(
    x: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    *,
    axis: int = -1,
    channels: Channels | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + epsilon) * gamma + beta, mean and (biased) variance over the channels alone. Ba et al.
    2016.

    Shapes: x any with c at `axis`, the others [c]; result as x, in the common dtype of x, gamma and beta. Halves are
    computed in float32. ShapeError where x has no such axis; ValueError for channels other than "first" and "last", or
    a negative epsilon.

    >>> layer_norm(nx.tensor([[1.0, 3.0], [5.0, 5.0]]), epsilon=0.25)
    float32[2,2]
    [[-0.894427,  0.894427],
     [ 0.      ,  0.      ]]
    """
    axis = channel_axis("layer_norm", x, axis, channels)
    return _normed("layer_norm", x, axis, gamma, beta, epsilon, lambda x: nx.moments(x, axis=axis, keepdims=True))[0]


@layer(gamma=_GAMMA, beta=_BETA)
def group_norm(
    x: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    *,
    num_groups: int | None = None,
    group_size: int | None = None,
    axis: int = -1,
    channels: Channels | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + epsilon) * gamma + beta, mean and (biased) variance of each group of channels of each
    example, over all other axes. Wu and He 2018.

    The channels are cut into `num_groups` groups of neighbours, as x.group_norm(32) says, or into groups of
    `group_size` channels, the number that Axon's first release had there.
    Shapes: x [batch, ...] with c at `axis`, the others [c]; result as x, in the common dtype of x, gamma and beta.
    Halves are computed in float32. ShapeError where x has no such axis or the groups do not divide it; ValueError
    unless one of the two is given, for channels other than "first" and "last", or a negative epsilon.

    >>> group_norm(nx.tensor([[1.0, 3.0, 5.0, 5.0]]), num_groups=2, epsilon=0.25)
    float32[1,4]
    [[-0.894427,  0.894427,  0.      ,  0.      ]]
    """
    axis = channel_axis("group_norm", x, axis, channels)
    if axis == 0:
        raise ShapeError(f"group_norm: expected channels behind the batch, got axis 0 of {list(x.shape)}; add an axis")
    if (num_groups is None) == (group_size is None):
        got = "neither" if group_size is None else f"num_groups={num_groups} and group_size={group_size}"
        raise ValueError(
            f"group_norm: expected one of num_groups and group_size (channels of each), got {got}; 32 groups are usual"
        )
    count = x.shape[axis]
    option, given = ("num_groups", num_groups) if group_size is None else ("group_size", group_size)
    if not isinstance(given, Integral) or given < 1 or count % given:
        raise ShapeError(f"group_norm: expected {option} that divides the {count} channels, got {given}; 1 always does")
    groups, size = (given, count // given) if group_size is None else (count // given, given)
    others = tuple(i for i in range(1, x.ndim) if i != axis)

    def moments(x: Tensor) -> Moments:
        """Of each channel first, which reads x in its order: moments over channels and spatial axes at once take 30
        times as long where the channels are last."""
        means, variances = nx.moments(x, axis=others, keepdims=True)
        before, after = means.shape[:axis], means.shape[axis + 1 :]
        means, variances = (v.reshape((*before, groups, size, *after)) for v in (means, variances))
        mean, between = nx.moments(means, axis=axis + 1, keepdims=True)
        var = between + nx.mean(variances, axis=axis + 1, keepdims=True)
        mean, var = (nx.broadcast_to(v, means.shape).reshape((*before, count, *after)) for v in (mean, var))
        return mean, var

    return _normed("group_norm", x, axis, gamma, beta, epsilon, moments)[0]
