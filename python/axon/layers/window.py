"""What windows over images have in common: options for each spatial axis, and where windows that adapt lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import Any

from .. import nx
from ..errors import ShapeError
from ..nx import Tensor, TensorType
from .channels import Channels, axis_of, spatial_axes

Sizes = int | Sequence[int]  # one for all spatial axes, or one each
Wanted = int | Sequence[int | None] | None  # the same of results, None where they have the size of what is read
Padding = str | int | Sequence[int | Sequence[int]]  # "valid", "same", or a number or (low, high), for all or each


def each(sizes: Any, x: Tensor | TensorType, what: str, channels: Channels = "last") -> tuple[Any, ...]:
    """An option as one value for each spatial axis."""
    rank = len(spatial_axes(x, channels))
    made = tuple(sizes) if isinstance(sizes, Iterable) else (sizes,) * rank
    if len(made) != rank:
        raise ShapeError(f"expected {what} as a number or {rank} of them, got {sizes}; give one for each spatial axis")
    return made


def over_images(
    x: Tensor, kernel_size: Sizes, strides: Sizes | None, padding: Padding, dilation: Sizes, channels: Channels
) -> dict[str, Any]:
    """The arguments of a window function over all axes of x. Strides default to the size of the window."""
    axes = spatial_axes(x, channels)

    def over_all(values: Any, what: str, elsewhere: int) -> tuple[Any, ...]:
        placed = dict(zip(axes, each(values, x, what)))
        return tuple(placed.get(axis, elsewhere) for axis in range(x.ndim))

    return {
        "window": over_all(kernel_size, "kernel_size", 1),
        "strides": over_all(kernel_size if strides is None else strides, "strides", 1),
        "padding": padding if isinstance(padding, str) else over_all(padding, "padding", 0),
        "dilation": over_all(dilation, "dilation", 1),
    }


def adapted(x: Tensor, output_size: Wanted, channels: Channels) -> dict[str, Any]:
    """The arguments of a window function that gives `output_size` windows, all of one size and as far apart as fit."""
    sizes = [x.shape[axis] for axis in spatial_axes(x, channels)]
    wanted = [size if out is None else out for size, out in zip(sizes, each(output_size, x, "output_size"))]
    if not all(isinstance(out, Integral) and 0 < int(out) <= size for size, out in zip(sizes, wanted)):
        raise ShapeError(
            f"expected output_size from 1 to {tuple(sizes)}, the size of the images, got {output_size}; resize them"
        )
    strides = [size // out for size, out in zip(sizes, wanted)]
    window = [size - (out - 1) * stride for size, out, stride in zip(sizes, wanted, strides)]
    return over_images(x, window, strides, "valid", 1, channels)


def over_last(function: Callable[[Tensor], Tensor], x: Tensor, channels: Channels) -> Tensor:
    """function(x) where it takes and gives images with channels last: moved there and back if they are first."""
    if axis_of(channels) == -1:
        return function(x)
    spatial_axes(x, channels)
    return nx.moveaxis(function(nx.moveaxis(x, 1, -1)), -1, 1)
