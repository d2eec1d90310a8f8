"""Convolution layers over images. Kernels are [spatial..., in / groups, out] wherever the images' channels lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

from .. import nx
from ..errors import ShapeError
from ..initializers import zeros
from ..nx import Tensor, TensorType
from .channels import Channels, axis_of
from .declare import REQUIRED, Parameter, layer
from .window import Padding, Sizes, each, over_last

_UNITS = {"units": REQUIRED, "kernel_size": REQUIRED}
_MULTIPLIER = {"channel_multiplier": REQUIRED, "kernel_size": REQUIRED}


def _kernel(
    x: TensorType, units: int, kernel_size: Sizes, groups: int = 1, channels: Channels = "last"
) -> tuple[int, ...]:
    size, count = each(kernel_size, x, "kernel_size", channels), x.shape[axis_of(channels)]
    if not isinstance(groups, Integral) or groups < 1 or count % groups:
        raise ShapeError(f"expected groups that divide the {count} input channels, got groups={groups}; 1 is none")
    return (*size, count // groups, units)


@layer(
    options=_UNITS,
    kernel=Parameter(_kernel),
    bias=Parameter(lambda units: (units,), zeros()),
)
def conv(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None = None,
    *,
    strides: Sizes = 1,
    padding: Padding = "valid",
    input_dilation: Sizes = 1,
    kernel_dilation: Sizes = 1,
    groups: int = 1,
    channels: Channels = "last",
) -> Tensor:
    """The cross-correlation of images with `units` kernels of `kernel_size` (a number, or one each spatial axis), plus
    bias.

    Shapes: x [batch, spatial..., in], kernel [spatial..., in / groups, units], bias [units]; result [batch, spatial...,
    units]. padding: "valid", "same" (the size divided by the stride, rounded up), or a number or (low, high) for each
    spatial axis (one number for all). channels: "last", or "first" for x and result [batch, channels, spatial...].
    Channels and units are cut into `groups`, each convolved by itself: Axon's feature_group_size, beside which it has
    one of batches, and 1 as the default kernel_size, which is to be given here.

    >>> conv(nx.arange(4.0).reshape((1, 4, 1)), nx.ones((2, 1, 1))).reshape((3,))
    float32[3] [1., 3., 5.]
    """

    def run(x: Tensor) -> Tensor:
        y = nx.conv(
            x,
            kernel,
            strides=strides,
            padding=padding,
            input_dilation=input_dilation,
            kernel_dilation=kernel_dilation,
            groups=groups,
        )
        return y if bias is None else y + bias

    return over_last(run, x, channels)


def _between(size: int, stride: int, padding: str) -> tuple[int, int]:
    """How far images with zeros between their elements are padded, (low, high), for windows of that size."""
    if padding == "valid":
        return size - 1, max(size, stride) - 1
    total = size + stride - 2
    low = size - 1 if stride >= size else -(-total // 2)
    return low, total - low


@layer(
    options=_UNITS,
    kernel=Parameter(lambda x, units, kernel_size, channels: _kernel(x, units, kernel_size, 1, channels)),
    bias=Parameter(lambda units: (units,), zeros()),
)
def conv_transpose(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None = None,
    *,
    strides: Sizes = 1,
    padding: Padding = "valid",
    kernel_dilation: Sizes = 1,
    channels: Channels = "last",
) -> Tensor:
    """A convolution of images between whose elements lie strides - 1 zeros, plus bias: images become larger by their
    strides.

    An axis of n elements becomes one of n * stride by padding "same", of (n - 1) * stride + max(window, stride) by
    "valid"; numbers or pairs pad what has the zeros. Kernels are not flipped, as in Axon and JAX: PyTorch's layer is
    the gradient of a convolution, whose kernels are flipped and whose padding p is window - 1 - p here.
    Shapes: x [batch, spatial..., in], kernel [spatial..., in, units], bias [units]; result [batch, spatial..., units].
    Other options: as for `conv`. ShapeError for a kernel of another shape.

    >>> conv_transpose(nx.tensor([[[1.0], [2.0]]]), nx.ones((3, 1, 1)), strides=2, padding="same").reshape((4,))
    float32[4] [1., 1., 3., 2.]
    """
    sizes, steps = kernel.shape[:-2], each(strides, x, "strides")
    if padding in ("valid", "same"):
        spread = each(kernel_dilation, x, "kernel_dilation")
        windows = [(size - 1) * by + 1 for size, by in zip(sizes, spread)]
        padding = [_between(window, step, str(padding)) for window, step in zip(windows, steps)]
    return conv(
        x, kernel, bias, padding=padding, input_dilation=steps, kernel_dilation=kernel_dilation, channels=channels
    )


def _outputs(x: TensorType, channel_multiplier: int, channels: Channels = "last") -> tuple[int]:
    return (x.shape[axis_of(channels)] * channel_multiplier,)


def _depthwise_kernel(
    x: TensorType, channel_multiplier: int, kernel_size: Sizes, channels: Channels = "last"
) -> tuple[int, ...]:
    return (*each(kernel_size, x, "kernel_size", channels), 1, *_outputs(x, channel_multiplier, channels))


@layer(
    options=_MULTIPLIER,
    kernel=Parameter(_depthwise_kernel),
    bias=Parameter(_outputs, zeros()),
)
def depthwise_conv(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None = None,
    *,
    strides: Sizes = 1,
    padding: Padding = "valid",
    input_dilation: Sizes = 1,
    kernel_dilation: Sizes = 1,
    channels: Channels = "last",
) -> Tensor:
    """Each channel convolved with `channel_multiplier` kernels of its own, of `kernel_size`, plus bias.

    Shapes: x [batch, spatial..., in], kernel [spatial..., 1, out], bias [out]; result [batch, spatial..., out], with
    out = in * channel_multiplier, the first channel's results first. Other options: as for `conv`. ShapeError for a
    kernel of another shape.

    >>> depthwise_conv(nx.ones((1, 3, 2)), nx.tensor([[[1.0, 2.0]], [[1.0, 2.0]]]))
    float32[1,2,2]
    [[[2., 4.],
      [2., 4.]]]
    """
    count = x.shape[axis_of(channels)] if x.ndim > 1 else 1
    if kernel.ndim < 2 or kernel.shape[-2] != 1 or kernel.shape[-1] % max(count, 1):
        raise ShapeError(
            f"depthwise_conv: expected a kernel [spatial..., 1, a multiple of the {count} input channels], got "
            f"{kernel.dtype}{list(kernel.shape)}; conv takes kernels over all channels"
        )
    multiplier = kernel.shape[-1] // max(count, 1)
    if multiplier > 1:  # groups of one channel in and out have an engine of their own
        x, count = nx.repeat(x, multiplier, axis=axis_of(channels)), count * multiplier
    return conv(
        x,
        kernel,
        bias,
        strides=strides,
        padding=padding,
        input_dilation=input_dilation,
        kernel_dilation=kernel_dilation,
        groups=count,
        channels=channels,
    )


def _along(axis: int, values: Any, x: Tensor | TensorType, what: str, elsewhere: int = 1) -> Any:
    """An option for each spatial axis, for a convolution along one of them alone."""
    if isinstance(values, str):
        return values
    return tuple(value if i == axis else elsewhere for i, value in enumerate(each(values, x, what)))


def _line(axis: int, rank: int) -> Callable[..., tuple[int, ...]]:
    """The shape of a kernel along one of `rank` spatial axes."""

    def shape(
        x: TensorType, channel_multiplier: int, kernel_size: Sizes, channels: Channels = "last"
    ) -> tuple[int, ...]:
        _check_rank(x, rank, channels)
        size = _along(axis, kernel_size, x, "kernel_size")
        return (*size, 1, *_outputs(x, channel_multiplier, channels))

    return shape


def _check_rank(x: Tensor | TensorType, rank: int, channels: Channels) -> None:
    axes = ["depth", "height", "width"][-rank:]
    axes.insert(0 if axis_of(channels) == 1 else rank, "channels")
    if len(x.shape) != rank + 2:
        raise ShapeError(
            f"separable_conv{rank}d: expected images [batch, {', '.join(axes)}], got {x.dtype}{list(x.shape)}; "
            f"depthwise_conv takes 1 to 3 spatial axes"
        )


def _separable(
    x: Tensor,
    pairs: Sequence[tuple[Tensor, Tensor | None]],
    strides: Sizes,
    padding: Padding,
    input_dilation: Sizes,
    kernel_dilation: Sizes,
    channels: Channels,
) -> Tensor:
    _check_rank(x, len(pairs), channels)

    def run(x: Tensor) -> Tensor:
        for axis, (kernel, bias) in enumerate(pairs):
            x = depthwise_conv(
                x,
                kernel,
                bias,
                strides=_along(axis, strides, x, "strides"),
                padding=_along(axis, padding, x, "padding", 0),
                input_dilation=_along(axis, input_dilation, x, "input_dilation"),
                kernel_dilation=_along(axis, kernel_dilation, x, "kernel_dilation"),
            )
        return x

    return over_last(run, x, channels)


@layer(
    options=_MULTIPLIER,
    kernel_1=Parameter(_line(0, 2), option="kernel"),
    bias_1=Parameter(_outputs, zeros(), option="bias"),
    kernel_2=Parameter(_line(1, 2), option="kernel"),
    bias_2=Parameter(_outputs, zeros(), option="bias"),
)
def separable_conv2d(
    x: Tensor,
    kernel_1: Tensor,
    bias_1: Tensor | None,
    kernel_2: Tensor,
    bias_2: Tensor | None,
    *,
    strides: Sizes = 1,
    padding: Padding = "valid",
    input_dilation: Sizes = 1,
    kernel_dilation: Sizes = 1,
    channels: Channels = "last",
) -> Tensor:
    """A depthwise convolution along each of two spatial axes in turn, each plus its bias.

    Options for each axis are those of the convolution along it: without biases, the result is that of `depthwise_conv`
    with the product of the kernels. (Axon applies strides, padding and input dilation of all axes in every one.)
    Shapes: x [batch, height, width, in], kernel_1 [size, 1, 1, out], kernel_2 [1, size, 1, out], biases [out], with out
    = in * channel_multiplier; result [batch, height, width, out]. A bias of None is none. Options: as for `conv`.
    ShapeError for images of another rank.

    >>> x, (k1, k2) = nx.arange(4.0).reshape((1, 2, 2, 1)), (nx.ones((2, 1, 1, 1)), nx.ones((1, 2, 1, 1)))
    >>> separable_conv2d(x, k1, None, k2, None).reshape(())
    float32[] 6.
    """
    pairs = [(kernel_1, bias_1), (kernel_2, bias_2)]
    return _separable(x, pairs, strides, padding, input_dilation, kernel_dilation, channels)


@layer(
    options=_MULTIPLIER,
    kernel_1=Parameter(_line(0, 3), option="kernel"),
    bias_1=Parameter(_outputs, zeros(), option="bias"),
    kernel_2=Parameter(_line(1, 3), option="kernel"),
    bias_2=Parameter(_outputs, zeros(), option="bias"),
    kernel_3=Parameter(_line(2, 3), option="kernel"),
    bias_3=Parameter(_outputs, zeros(), option="bias"),
)
def separable_conv3d(
    x: Tensor,
    kernel_1: Tensor,
    bias_1: Tensor | None,
    kernel_2: Tensor,
    bias_2: Tensor | None,
    kernel_3: Tensor,
    bias_3: Tensor | None,
    *,
    strides: Sizes = 1,
    padding: Padding = "valid",
    input_dilation: Sizes = 1,
    kernel_dilation: Sizes = 1,
    channels: Channels = "last",
) -> Tensor:
    """A depthwise convolution along each of three spatial axes in turn, each plus its bias: see `separable_conv2d`.

    Shapes: x [batch, depth, height, width, in], kernel_1 [size, 1, 1, 1, out], kernel_2 [1, size, 1, 1, out], kernel_3
    [1, 1, size, 1, out], biases [out], with out = in * channel_multiplier; result [batch, depth, height, width, out].
    Options: as for `conv`. ShapeError for images of another rank.

    >>> kernels = [nx.ones(shape) for shape in ((2, 1, 1, 1, 1), (1, 2, 1, 1, 1), (1, 1, 2, 1, 1))]
    >>> k1, k2, k3 = kernels
    >>> separable_conv3d(nx.ones((1, 2, 2, 2, 1)), k1, None, k2, None, k3, None).reshape(())
    float32[] 8.
    """
    pairs = [(kernel_1, bias_1), (kernel_2, bias_2), (kernel_3, bias_3)]
    return _separable(x, pairs, strides, padding, input_dilation, kernel_dilation, channels)
