"""Pooling layers: windows over the spatial axes of channels-last images."""

from __future__ import annotations

from .. import nx
from ..nx import Tensor
from .declare import layer
from .window import Padding, Sizes, over_images, spatial_axes


@layer("elements")
def max_pool(
    x: Tensor, *, kernel_size: Sizes, strides: Sizes | None = None, padding: Padding = "valid", dilation: Sizes = 1
) -> Tensor:
    """The largest element of each window.

    Shapes: x [batch, spatial..., channels]; result the same with fewer spatial indices. Windows of `kernel_size` (a
    number, or one each spatial axis) lie side by side unless `strides` says how far apart they begin. padding: as for
    `conv`.

    >>> max_pool(nx.arange(4.0).reshape((1, 4, 1)), kernel_size=2).reshape((2,))
    float32[2] [1., 3.]
    """
    return nx.window_max(x, **over_images(x, kernel_size, strides, padding, dilation))


@layer("elements")
def avg_pool(
    x: Tensor, *, kernel_size: Sizes, strides: Sizes | None = None, padding: Padding = "valid", dilation: Sizes = 1
) -> Tensor:
    """The mean of each window, whose padding counts as zeros.

    Shapes: x [batch, spatial..., channels]; result the same with fewer spatial indices. Windows of `kernel_size` (a
    number, or one each spatial axis) lie side by side unless `strides` says how far apart they begin. padding: as for
    `conv`.

    >>> avg_pool(nx.arange(4.0).reshape((1, 4, 1)), kernel_size=2).reshape((2,))
    float32[2] [0.5, 2.5]
    """
    return nx.window_mean(x, **over_images(x, kernel_size, strides, padding, dilation))


@layer("elements")
def global_avg_pool(x: Tensor) -> Tensor:
    """The mean over all spatial axes.

    Shapes: x [batch, spatial..., channels]; result [batch, channels]. ShapeError without spatial axes.

    >>> global_avg_pool(nx.arange(4.0).reshape((1, 4, 1)))
    float32[1,1]
    [[1.5]]
    """
    return nx.mean(x, axis=spatial_axes(x))


@layer("elements")
def global_max_pool(x: Tensor) -> Tensor:
    """The largest element over all spatial axes.

    Shapes: x [batch, spatial..., channels]; result [batch, channels]. ShapeError without spatial axes.

    >>> global_max_pool(nx.arange(4.0).reshape((1, 4, 1)))
    float32[1,1]
    [[3.]]
    """
    return nx.max(x, axis=spatial_axes(x))
