"""Convolution layers over channels-last images."""

from __future__ import annotations

from .. import nx
from ..errors import ShapeError
from ..initializers import zeros
from ..nx import Tensor, TensorType
from .declare import Parameter, layer
from .window import Padding, Sizes, each


def _kernel(x: TensorType, units: int, kernel_size: Sizes, groups: int = 1) -> tuple[int, ...]:
    size, channels = each(kernel_size, x, "kernel_size"), x.shape[-1]
    if groups < 1 or channels % groups:
        raise ShapeError(f"expected groups that divide the {channels} input channels, got groups={groups}; 1 is none")
    return (*size, channels // groups, units)


@layer(
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
) -> Tensor:
    """The cross-correlation of images with `units` kernels of `kernel_size` (a number, or one each spatial axis), plus
    bias.

    Shapes: x [batch, spatial..., in], kernel [spatial..., in / groups, units], bias [units]; result [batch, spatial...,
    units]. padding: "valid", "same" (the size divided by the stride, rounded up), or a number or (low, high) for each
    spatial axis (one number for all).

    >>> conv(nx.arange(4.0).reshape((1, 4, 1)), nx.ones((2, 1, 1))).reshape((3,))
    float32[3] [1., 3., 5.]
    """
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
