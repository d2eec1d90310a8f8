"""Where the channels of a layer's input are, and which axes are spatial."""

from __future__ import annotations

from numbers import Integral
from typing import Literal, get_args

from ..errors import ShapeError
from ..names import none_of
from ..nx import Tensor, TensorType

Channels = Literal["first", "last"]  # behind the batch, or last


def axis_of(channels: Channels) -> int:
    """The axis that a word for the place of channels stands for, 1 or -1; ValueError for another word."""
    if channels not in get_args(Channels):
        raise ValueError(none_of("channels", get_args(Channels), channels))
    return 1 if channels == "first" else -1


def channel_axis(name: str, x: Tensor | TensorType, axis: int = -1, channels: Channels | None = None) -> int:
    """The axis of the channels, counted from 0: `axis`, or the one that `channels` says instead. Errors begin with
    `name`: ValueError for other words or for both, ShapeError where x has no such axis."""
    if channels is not None:
        if axis != -1:
            raise ValueError(
                f"{name}: expected axis or channels, got axis={axis} and channels={channels!r}; leave one out"
            )
        axis = axis_of(channels)
    if not isinstance(axis, Integral) or not -len(x.shape) <= axis < len(x.shape):
        raise ShapeError(f"{name}: expected an axis of {x.dtype}{list(x.shape)}, got {axis}; -1 is the last")
    return axis % len(x.shape)


def spatial(name: str, x: Tensor, axis: int) -> tuple[int, ...]:
    """All axes but the batch, which is first, and the channels. ShapeError without any."""
    if axis == 0 or x.ndim < 3:
        raise ShapeError(
            f"{name}: expected images of a batch, channels and other axes, got {x.dtype}{list(x.shape)} with channels "
            f"at {axis}; the first axis is the batch"
        )
    return tuple(i for i in range(1, x.ndim) if i != axis)


def spatial_axes(x: Tensor | TensorType, channels: Channels = "last") -> tuple[int, ...]:
    """All axes but the batch (first) and the channels; ShapeError without any."""
    first, rank = axis_of(channels) == 1, len(x.shape)
    if rank < 3:
        layout = "channels, spatial..." if first else "spatial..., channels"
        raise ShapeError(f"expected images [batch, {layout}], got {x.dtype}{list(x.shape)}; add an axis")
    return tuple(range(2, rank) if first else range(1, rank - 1))
