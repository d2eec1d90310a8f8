"""Pooling layers: windows over the spatial axes of images.

Windows of `kernel_size`, which has no default (Axon's, 1, pools nothing), lie side by side unless `strides` says how
far apart they begin. A model's pool takes both by position: x.max_pool(2, 1). No data is moved for channels that come
first: windows lie over other axes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import nx
from ..nx import Tensor
from .channels import Channels, spatial_axes
from .declare import layer
from .window import Padding, Sizes, Wanted, adapted, over_images


@layer("elements")
def max_pool(
    x: Tensor,
    *,
    kernel_size: Sizes,
    strides: Sizes | None = None,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    channels: Channels = "last",
) -> Tensor:
    """The largest element of each window.

    Shapes: x [batch, spatial..., channels]; result the same with fewer spatial indices. Windows of `kernel_size` (a
    number, or one each spatial axis) lie side by side unless `strides` says how far apart they begin. padding and
    channels: as for `conv`.

    >>> max_pool(nx.arange(4.0).reshape((1, 4, 1)), kernel_size=2).reshape((2,))
    float32[2] [1., 3.]
    """
    return nx.window_max(x, **over_images(x, kernel_size, strides, padding, dilation, channels))


@layer("elements")
def avg_pool(
    x: Tensor,
    *,
    kernel_size: Sizes,
    strides: Sizes | None = None,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    channels: Channels = "last",
) -> Tensor:
    """The mean of each window, whose padding counts as zeros.

    Shapes: x [batch, spatial..., channels]; result the same with fewer spatial indices. Windows of `kernel_size` (a
    number, or one each spatial axis) lie side by side unless `strides` says how far apart they begin. padding and
    channels: as for `conv`.

    >>> avg_pool(nx.arange(4.0).reshape((1, 4, 1)), kernel_size=2).reshape((2,))
    float32[2] [0.5, 2.5]
    """
    return nx.window_mean(x, **over_images(x, kernel_size, strides, padding, dilation, channels))


@layer()
def lp_pool(
    x: Tensor,
    *,
    kernel_size: Sizes,
    strides: Sizes | None = None,
    padding: Padding = "valid",
    dilation: Sizes = 1,
    norm: float = 2,
    channels: Channels = "last",
) -> Tensor:
    """The norm of each window: the sum of |x| ** norm, to the power 1 / norm; with `nx.inf` the largest |x|.

    Shapes: x [batch, spatial..., channels]; result the same with fewer spatial indices. Windows of `kernel_size` (a
    number, or one each spatial axis) lie side by side unless `strides` says how far apart they begin. padding and
    channels: as for `conv`. The gradient of a window of zeros is 0. ValueError for a norm below 1.

    >>> lp_pool(nx.tensor([3.0, -4.0, 0.0, 2.0]).reshape((1, 4, 1)), kernel_size=2).reshape((2,))
    float32[2] [5., 2.]
    """
    return nx.window_norm(x, **over_images(x, kernel_size, strides, padding, dilation, channels), norm=norm)


def _by_axis(x: Tensor, windows: dict[str, Any], over: Callable[..., Tensor], pool: Callable[..., Tensor]) -> Tensor:
    """Pooled over whole axes and those that windows divide, which are reductions, then along one axis after the other.
    Windows that adapt can be large, and code grows by each place in one, the gradient's of a largest element too: along
    axes these are few."""
    sizes, strides, names = windows["window"], windows["strides"], x.names
    shape, inside = [], []
    for n, size, step in zip(x.shape, sizes, strides):
        shape.append(n // size if size == step else n)
        if 1 < size == step:
            inside.append(len(shape))
            shape.append(size)
    if inside:
        x = over(x.reshape(shape), axis=tuple(inside))
        x = x if names is None else x.rename(names)
    for a in reversed(range(x.ndim)):
        if sizes[a] != strides[a]:
            window, steps = ([own[a] if i == a else 1 for i in range(x.ndim)] for own in (sizes, strides))
            x = pool(x, window=window, strides=steps)
    return x


@layer("elements")
def adaptive_avg_pool(x: Tensor, *, output_size: Wanted = None, channels: Channels = "last") -> Tensor:
    """The means of `output_size` windows (a number, or one each spatial axis; None is the images' size there).

    Along an axis of n elements and m windows they begin n // m apart and have n - (m - 1) * (n // m) elements each, as
    Axon has it: all of one size, so that they overlap where m does not divide n. PyTorch's windows differ there.
    Shapes: x [batch, spatial..., channels]; result [batch, output_size..., channels]. channels: as for `conv`.
    ShapeError for more windows than elements.

    >>> adaptive_avg_pool(nx.arange(5.0).reshape((1, 5, 1)), output_size=2).reshape((2,))
    float32[2] [1., 3.]
    """
    (wide,), rounded = nx.widened(x)
    return rounded(_by_axis(wide, adapted(x, output_size, channels), nx.mean, nx.window_mean))


@layer("elements")
def adaptive_max_pool(x: Tensor, *, output_size: Wanted = None, channels: Channels = "last") -> Tensor:
    """The largest elements of `output_size` windows, which lie as those of `adaptive_avg_pool`.

    Shapes: x [batch, spatial..., channels]; result [batch, output_size..., channels]. channels: as for `conv`.
    ShapeError for more windows than elements.

    >>> adaptive_max_pool(nx.arange(5.0).reshape((1, 5, 1)), output_size=2).reshape((2,))
    float32[2] [2., 4.]
    """
    return _by_axis(x, adapted(x, output_size, channels), nx.max, nx.window_max)


@layer()
def adaptive_lp_pool(x: Tensor, *, output_size: Wanted = None, norm: float = 2, channels: Channels = "last") -> Tensor:
    """The norms (see `lp_pool`) of `output_size` windows, which lie as those of `adaptive_avg_pool`.

    Shapes: x [batch, spatial..., channels]; result [batch, output_size..., channels]. channels: as for `conv`.
    ShapeError for more windows than elements, ValueError for a norm below 1.

    >>> adaptive_lp_pool(nx.tensor([3.0, 0.0, 4.0, 0.0, 3.0]).reshape((1, 5, 1)), output_size=2).reshape((2,))
    float32[2] [5., 5.]
    """
    return nx.window_norm(x, **adapted(x, output_size, channels), norm=norm)


@layer("elements")
def global_avg_pool(x: Tensor, *, keep_axes: bool = False, channels: Channels = "last") -> Tensor:
    """The mean over all spatial axes.

    Shapes: x [batch, spatial..., channels]; result [batch, channels], with `keep_axes` the spatial axes too, of size 1.
    channels: as for `conv`. ShapeError without spatial axes.

    >>> global_avg_pool(nx.arange(4.0).reshape((1, 4, 1)))
    float32[1,1]
    [[1.5]]
    """
    return nx.mean(x, axis=spatial_axes(x, channels), keepdims=keep_axes)


@layer("elements")
def global_max_pool(x: Tensor, *, keep_axes: bool = False, channels: Channels = "last") -> Tensor:
    """The largest element over all spatial axes.

    Shapes: x [batch, spatial..., channels]; result [batch, channels], with `keep_axes` the spatial axes too, of size 1.
    channels: as for `conv`. ShapeError without spatial axes.

    >>> global_max_pool(nx.arange(4.0).reshape((1, 4, 1)))
    float32[1,1]
    [[3.]]
    """
    return nx.max(x, axis=spatial_axes(x, channels), keepdims=keep_axes)


@layer()
def global_lp_pool(x: Tensor, *, norm: float = 2, keep_axes: bool = False, channels: Channels = "last") -> Tensor:
    """The norm (see `lp_pool`) over all spatial axes.

    Shapes: x [batch, spatial..., channels]; result [batch, channels], with `keep_axes` the spatial axes too, of size 1.
    channels: as for `conv`. ShapeError without spatial axes, ValueError for a norm below 1.

    >>> global_lp_pool(nx.tensor([3.0, 0.0, -4.0]).reshape((1, 3, 1)))
    float32[1,1]
    [[5.]]
    """
    y = nx.window_norm(x, **adapted(x, 1, channels), norm=norm)
    return y if keep_axes else nx.squeeze(y, axis=spatial_axes(x, channels))
