"""What windows over channels-last images have in common: options per spatial axis, and their padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ShapeError
from ..nx import Tensor, TensorType

Sizes = int | Sequence[int]  # one for all spatial axes, or one each
Padding = str | Sequence[tuple[int, int]]  # "valid", "same", or (low, high) for each spatial axis


def spatial(x: Tensor | TensorType) -> tuple[int, ...]:
    """The sizes of the spatial axes: all but the batch (first) and the channels (last); ShapeError without any."""
    if len(x.shape) < 3:
        raise ShapeError(f"expected images [batch, spatial..., channels], got {x.dtype}{list(x.shape)}; add an axis")
    return tuple(x.shape[1:-1])


def each(sizes: Sizes, x: Tensor | TensorType, what: str) -> tuple[int, ...]:
    """An option as one number for each spatial axis."""
    rank = len(spatial(x))
    made = (sizes,) * rank if isinstance(sizes, int) else tuple(sizes)
    if len(made) != rank:
        raise ShapeError(f"expected {what} as a number or {rank} of them, got {sizes}; give one for each spatial axis")
    return made


def over_images(
    x: Tensor, kernel_size: Sizes, strides: Sizes | None, padding: Padding, dilation: Sizes
) -> dict[str, Any]:
    """The arguments of a window function over all axes of x. Strides default to the size of the window."""
    size = each(kernel_size, x, "kernel_size")
    pairs = padding if isinstance(padding, str) else ((0, 0), *(tuple(p) for p in padding), (0, 0))
    return {
        "window": (1, *size, 1),
        "strides": (1, *(size if strides is None else each(strides, x, "strides")), 1),
        "padding": pairs,
        "dilation": (1, *each(dilation, x, "dilation"), 1),
    }
