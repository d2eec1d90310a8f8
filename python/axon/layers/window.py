"""What windows over channels-last images have in common: options per spatial axis, and their padding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import ShapeError
from ..nx import Tensor, TensorType

Sizes = int | Sequence[int]  # one for all spatial axes, or one each
Padding = str | int | Sequence[int | Sequence[int]]  # "valid", "same", or a number or (low, high), for all or each


def spatial_axes(x: Tensor | TensorType) -> tuple[int, ...]:
    """All axes but the batch (first) and the channels (last); ShapeError without any."""
    if len(x.shape) < 3:
        raise ShapeError(f"expected images [batch, spatial..., channels], got {x.dtype}{list(x.shape)}; add an axis")
    return tuple(range(1, len(x.shape) - 1))


def each(sizes: Any, x: Tensor | TensorType, what: str) -> tuple[Any, ...]:
    """An option as one value for each spatial axis."""
    rank = len(spatial_axes(x))
    made = tuple(sizes) if isinstance(sizes, Iterable) else (sizes,) * rank
    if len(made) != rank:
        raise ShapeError(f"expected {what} as a number or {rank} of them, got {sizes}; give one for each spatial axis")
    return made


def over_images(
    x: Tensor, kernel_size: Sizes, strides: Sizes | None, padding: Padding, dilation: Sizes
) -> dict[str, Any]:
    """The arguments of a window function over all axes of x. Strides default to the size of the window."""
    size = each(kernel_size, x, "kernel_size")
    pairs = padding if isinstance(padding, str) else (0, *each(padding, x, "padding"), 0)
    return {
        "window": (1, *size, 1),
        "strides": (1, *(size if strides is None else each(strides, x, "strides")), 1),
        "padding": pairs,
        "dilation": (1, *each(dilation, x, "dilation"), 1),
    }
