"""Dropout: in training a share of the elements, or of whole channels, is left out at random; in inference none is. The
key of the random numbers is state: training gives the next step's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .. import nx
from ..activations import SELU_ALPHA, SELU_GAMMA
from ..errors import ShapeError
from ..nx import Tensor
from .channels import Channels, channel_axis, spatial
from .declare import Mode, Parameter, Stateful, layer, trains

_KEY = Parameter(lambda: (2,), lambda shape, dtype, key: key, nx.uint32, kind="state")
_LOWEST = -SELU_ALPHA * SELU_GAMMA  # the limit of selu far below 0


def _dropping(
    name: str,
    x: Tensor,
    key: Tensor,
    rate: float,
    mode: Mode,
    noise_shape: Sequence[int],
    chosen: Callable[[Tensor, Tensor, float], Tensor],
) -> Tensor | Stateful:
    """In training, chosen(x, mask of what is kept, rate), where the mask broadcasts to x; else x."""
    if not 0 <= rate < 1:
        raise ValueError(f"{name}: expected a rate in [0, 1), got {rate}; it is the share that is dropped")
    if not trains(name, mode):
        return x
    following, use = nx.random.split(key)
    return Stateful(chosen(x, nx.random.bernoulli(use, 1 - rate, noise_shape), rate), {"key": following})


def _zeroed(x: Tensor, kept: Tensor, rate: float) -> Tensor:
    """Zeros for what is dropped; the rest is scaled so that means stay."""
    return nx.where(kept, x / (1 - rate), 0)


def _lowered(x: Tensor, kept: Tensor, rate: float) -> Tensor:
    """`_LOWEST` for what is dropped; all is scaled and moved so that a mean of 0 and a variance of 1 stay."""
    (wide,), rounded = nx.widened(x)
    scale = ((1 - rate) * (1 + rate * _LOWEST**2)) ** -0.5
    return rounded(scale * nx.where(kept, wide, _LOWEST) - scale * rate * _LOWEST)


def _by_channel(name: str, x: Tensor, channels: Channels) -> tuple[int, ...]:
    """The shape of a mask that is the same all over a channel."""
    same = spatial(name, x, channel_axis(name, x, channels=channels))
    return tuple(1 if i in same else size for i, size in enumerate(x.shape))


@layer("elements", key=_KEY)
def dropout(
    x: Tensor,
    key: Tensor,
    *,
    rate: float = 0.5,
    noise_shape: Sequence[int | None] | None = None,
    mode: Mode = "inference",
) -> Tensor | Stateful:
    """In training, each element is 0 with probability `rate`, else divided by 1 - rate; in inference, x itself.

    Srivastava et al. 2014. Along axes where `noise_shape` is 1, all elements share one fate; elsewhere it is the size
    of x, or None. ValueError when rate is not in [0, 1), ShapeError for another noise_shape. Shapes: x any, key
    uint32[2]; result as x. Training gives Stateful(output, {"key": the next step's key}).

    >>> dropout(nx.tensor([1.0, 2.0]), nx.random.key(0), rate=0.9)
    float32[2] [1., 2.]
    """
    noise = (None,) * x.ndim if noise_shape is None else tuple(noise_shape) if isinstance(noise_shape, Iterable) else ()
    if len(noise) != x.ndim or any(n not in (None, 1, size) for n, size in zip(noise, x.shape)):
        raise ShapeError(
            f"dropout: expected a noise_shape of 1 or None for each axis of {x.dtype}{list(x.shape)}, got {noise_shape}"
        )
    sizes = [size if n is None else n for n, size in zip(noise, x.shape)]
    return _dropping("dropout", x, key, rate, mode, sizes, _zeroed)


@layer("elements", key=_KEY)
def spatial_dropout(
    x: Tensor, key: Tensor, *, rate: float = 0.5, channels: Channels = "last", mode: Mode = "inference"
) -> Tensor | Stateful:
    """In training, each channel of each example is 0 with probability `rate`, else divided by 1 - rate; in inference, x
    itself. Neighbours in an image are alike, so that single elements would not be missed.

    Tompson et al. 2015. ValueError when rate is not in [0, 1), and for channels other than "first" and "last";
    ShapeError unless x is images. Shapes: x [batch, spatial..., channels] or [batch, channels, spatial...], key
    uint32[2]; result as x. Training gives Stateful(output, {"key": the next step's key}).

    >>> spatial_dropout(nx.ones((1, 2, 3)), nx.random.key(0), rate=0.5, mode="train").output
    float32[1,2,3]
    [[[2., 2., 0.],
      [2., 2., 0.]]]
    """
    noise = _by_channel("spatial_dropout", x, channels)
    return _dropping("spatial_dropout", x, key, rate, mode, noise, _zeroed)


@layer(key=_KEY)
def alpha_dropout(x: Tensor, key: Tensor, *, rate: float = 0.5, mode: Mode = "inference") -> Tensor | Stateful:
    """In training, each element becomes the lowest value of selu, -1.758, with probability `rate`, and all are scaled
    and moved so that a mean of 0 and a variance of 1 stay; in inference, x itself.

    Klambauer et al. 2017, for layers with selu. ValueError when rate is not in [0, 1).
    Shapes: x any, key uint32[2]; result as x, computed in float32 for halves and integers. Training gives
    Stateful(output, {"key": the next step's key}).

    >>> alpha_dropout(nx.tensor([1.0, 2.0]), nx.random.key(0), mode="train").output
    float32[2] [1.665599, 2.552004]
    """
    return _dropping("alpha_dropout", x, key, rate, mode, x.shape, _lowered)


@layer(key=_KEY)
def feature_alpha_dropout(
    x: Tensor, key: Tensor, *, rate: float = 0.5, channels: Channels = "last", mode: Mode = "inference"
) -> Tensor | Stateful:
    """In training, each channel of each example becomes the lowest value of selu, -1.758, with probability `rate`, and
    all are scaled and moved so that a mean of 0 and a variance of 1 stay; in inference, x itself.

    Klambauer et al. 2017; with -selu(x), as Axon has for what is dropped, neither would stay. ValueError when rate is
    not in [0, 1), and for channels other than "first" and "last"; ShapeError unless x is images. Shapes: x [batch,
    spatial..., channels] or [batch, channels, spatial...], key uint32[2]; result as x, computed in float32 for halves
    and integers. Training gives Stateful(output, {"key": the next step's key}).

    >>> feature_alpha_dropout(nx.ones((1, 2, 3)), nx.random.key(0), mode="train").output
    float32[1,2,3]
    [[[ 1.665599,  1.665599, -0.779194],
      [ 1.665599,  1.665599, -0.779194]]]
    """
    noise = _by_channel("feature_alpha_dropout", x, channels)
    return _dropping("feature_alpha_dropout", x, key, rate, mode, noise, _lowered)
