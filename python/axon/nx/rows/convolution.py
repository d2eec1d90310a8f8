"""Convolution, channels last: three rows closed under differentiation, since each is linear in both operands and the
gradient of one is another.

Layouts: input (N, spatial..., C), kernel (spatial..., C / groups, K), result (N, spatial..., K). Nothing is flipped.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...errors import ShapeError
from ..core.attributes import opaque
from ..core.lanes import Lanes, merged, moved, parted
from ..core.op import describe
from ..core.rules import Settled, contraction, integers, picked, shape_of
from ..core.tensor import Names, Shape, Tensor, TensorType
from .movement import pad_array, spread
from .windows import Padding, Pairs, fit

Types = Sequence[TensorType]


# Shapes


def _settled(
    name: str, x: Shape, kernel: Shape, shown: str,
    strides: Any, padding: Any, input_dilation: Any, kernel_dilation: Any, groups: Any,
) -> tuple[Shape, Mapping[str, Any]]:  # fmt: skip
    """The result's shape and the attributes in normal form; everything that can be wrong is found here."""
    rank = len(x) - 2
    if not 1 <= rank <= 3 or len(kernel) != len(x):
        raise ShapeError(
            f"{name}: expected an input (N, spatial..., C) and a kernel (spatial..., C / groups, K) of one rank, with "
            f"1 to 3 spatial axes, got {shown}; expand_dims what lacks axes"
        )
    strides = integers(name, "strides", strides, rank)
    input_dilation = integers(name, "input_dilation", input_dilation, rank)
    kernel_dilation = integers(name, "kernel_dilation", kernel_dilation, rank)
    (groups,) = integers(name, "groups", groups, 1)
    if groups < 1 or kernel[-2] * groups != x[-1] or kernel[-1] % groups:
        raise ShapeError(
            f"{name}: expected {x[-1]} input channels to be groups x the kernel's, and output channels a multiple of "
            f"groups, got groups {groups} and {shown}; kernels are (spatial..., C / groups, K)"
        )
    if any(d < 1 for d in input_dilation):
        raise ShapeError(f"{name}: expected input_dilation above 0, got {input_dilation}; 1 is none")
    sizes = tuple(map(spread, x[1:-1], input_dilation))
    spatial, pairs = fit(name, sizes, kernel[:rank], strides, padding, kernel_dilation)
    normal = {
        "strides": strides, "padding": pairs, "input_dilation": input_dilation, "kernel_dilation": kernel_dilation,
        "groups": groups,
    }  # fmt: skip
    return (x[0], *spatial, kernel[-1]), normal


def _names(x: TensorType) -> Names:
    return picked(x.names, (*range(x.ndim - 1), None))


def _conv_shape(name: str, types: Types, **attrs: Any) -> Settled:
    x, kernel = types
    shape, normal = _settled(name, x.shape, kernel.shape, describe(types), **attrs)
    return shape, _names(x), normal


def _input_gradient_shape(name: str, types: Types, *, input_shape: Any, **attrs: Any) -> Settled:
    g, kernel = types
    shape = shape_of(name, input_shape)
    wanted, normal = _settled(name, shape, kernel.shape, f"{shape} and {kernel}", **attrs)
    _check_gradient(name, g, wanted)
    return shape, _names(g), {"input_shape": shape, **normal}


def _kernel_gradient_shape(name: str, types: Types, *, kernel_shape: Any, **attrs: Any) -> Settled:
    x, g = types
    shape = shape_of(name, kernel_shape)
    wanted, normal = _settled(name, x.shape, shape, f"{x} and {shape}", **attrs)
    _check_gradient(name, g, wanted)
    return shape, None, {"kernel_shape": shape, **normal}


def _check_gradient(name: str, g: TensorType, wanted: Shape) -> None:
    if g.shape != wanted:
        raise ShapeError(
            f"{name}: expected the gradient of a result of shape {wanted}, got {g}; pass conv's own options"
        )


# Eager: patches and a matrix product for each group


def _patches(
    xp: Any, x: Any, kernel: Shape, out: Shape,
    strides: Shape, padding: Pairs, input_dilation: Shape, kernel_dilation: Shape,
) -> tuple[Any, Any]:  # fmt: skip
    """The padded input, and a view of it: (N, out..., kernel..., C)."""
    config = [(0, 0, 0), *((lo, hi, d - 1) for (lo, hi), d in zip(padding, input_dilation)), (0, 0, 0)]
    padded = pad_array(xp, x, 0, config)
    n, *space, c = padded.strides
    shape = (x.shape[0], *out, *kernel, x.shape[-1])
    steps = (n, *(a * s for a, s in zip(space, strides)), *(a * d for a, d in zip(space, kernel_dilation)), c)
    return padded, xp.lib.stride_tricks.as_strided(padded, shape=shape, strides=steps)


def _by_group(xp: Any, x: Any, rows: int, inner: int, groups: int) -> Any:
    """(rows, inner, groups * channels) as (groups, rows, inner * channels)."""
    channels = x.shape[-1] // groups
    return x.reshape((rows, inner, groups, channels)).transpose((2, 0, 1, 3)).reshape((groups, rows, inner * channels))


def _grouped_kernel(kernel: Any, taps: int, groups: int) -> Any:
    """(spatial..., C / groups, K) as (groups, taps * C / groups, K / groups)."""
    c, k = kernel.shape[-2:]
    return kernel.reshape((taps * c, groups, k // groups)).transpose((1, 0, 2))


def _conv_eager(xp: Any, x: Any, kernel: Any, *, groups: int, **attrs: Any) -> Any:
    shape, _ = _settled("conv", x.shape, kernel.shape, "", groups=groups, **attrs)
    space, rows = kernel.shape[:-2], math.prod(shape[:-1])
    taps = math.prod(space)
    _, view = _patches(xp, x, space, shape[1:-1], **attrs)
    y = xp.matmul(_by_group(xp, view, rows, taps, groups), _grouped_kernel(kernel, taps, groups))
    return y.transpose((1, 0, 2)).reshape(shape)


def _kernel_gradient_eager(xp: Any, x: Any, g: Any, *, kernel_shape: Shape, groups: int, **attrs: Any) -> Any:
    rank, rows = x.ndim - 2, math.prod(g.shape[:-1])
    taps = math.prod(kernel_shape[:rank])
    _, view = _patches(xp, x, kernel_shape[:rank], g.shape[1:-1], **attrs)
    left = _by_group(xp, view, rows, taps, groups).transpose((0, 2, 1))
    made = xp.matmul(left, _by_group(xp, g, rows, 1, groups))
    return made.transpose((1, 0, 2)).reshape(kernel_shape)


def _input_gradient_eager(xp: Any, g: Any, kernel: Any, *, input_shape: Shape, groups: int, **attrs: Any) -> Any:
    """The patches' gradients, added to where the patches were read, tap by tap; then the padding is undone."""
    rank, rows = g.ndim - 2, math.prod(g.shape[:-1])
    space, taps = kernel.shape[:rank], math.prod(kernel.shape[:rank])
    right = _grouped_kernel(kernel, taps, groups).transpose((0, 2, 1))
    patches = xp.matmul(_by_group(xp, g, rows, 1, groups), right).reshape((groups, rows, taps, kernel.shape[-2]))
    patches = patches.transpose((2, 1, 0, 3)).reshape((*space, *g.shape[:-1], input_shape[-1]))
    dilated = map(spread, input_shape[1:-1], attrs["input_dilation"])
    padded = [n + lo + hi for n, (lo, hi) in zip(dilated, attrs["padding"])]
    total = xp.zeros((input_shape[0], *padded, input_shape[-1]), dtype=g.dtype)
    for tap in itertools.product(*map(range, space)):
        places = [
            slice(i * d, i * d + spread(m, s), s)
            for i, d, m, s in zip(tap, attrs["kernel_dilation"], g.shape[1:-1], attrs["strides"])
        ]
        total[(slice(None), *places)] += patches[tap]
    config = [(0, 0, 0), *((-lo, -hi, 0) for lo, hi in attrs["padding"]), (0, 0, 0)]
    steps = [slice(None, None, d) for d in attrs["input_dilation"]]
    return pad_array(xp, total, 0, config)[(slice(None), *steps)]


# Lanes: in the batch axis where kernels are the same for all, else among the channels


def _in_channels(x: Tensor, groups: int) -> Tensor:
    """Channels of (lanes, ..., groups * C) as those of (..., groups * lanes * C)."""
    x = parted(moved(x, 0, x.ndim - 2), x.ndim - 1, (groups, x.shape[-1] // groups))
    return merged(moved(x, x.ndim - 3, x.ndim - 2), x.ndim - 3, 3)


def _of_channels(y: Tensor, groups: int, size: int) -> Tensor:
    """(..., groups * lanes * C) as (lanes, ..., groups * C)."""
    y = parted(y, y.ndim - 1, (groups, size, y.shape[-1] // (groups * size)))
    return merged(moved(y, y.ndim - 2, 0), y.ndim - 2)


def _among_channels(
    row: Callable[..., Tensor], lanes: Lanes, a: Tensor, b: Tensor, groups: int, *, shared: bool, **attrs: Any
) -> Tensor:
    """Each lane as a group of its own. shared: one first operand goes with all channels of the second, so that where it
    is the same for all lanes, they are more channels of its groups."""
    if shared and not lanes.mapped[0]:
        return _of_channels(row(a, _in_channels(b, groups), groups=groups, **attrs), groups, lanes.size)
    a, b = [_in_channels(x, 1) for x in lanes.all(a, b)]
    return _of_channels(row(a, b, groups=lanes.size * groups, **attrs), 1, lanes.size)


def _among_images(row: Callable[..., Tensor], lanes: Lanes, x: Tensor, kernel: Tensor, **attrs: Any) -> Tensor:
    return parted(row(merged(x, 0), kernel, **attrs), 0, (lanes.size, x.shape[1]))


def _conv_batch(lanes: Lanes, x: Tensor, kernel: Tensor, *, groups: int, **attrs: Any) -> Tensor:
    if not lanes.mapped[1]:
        return _among_images(conv, lanes, x, kernel, groups=groups, **attrs)
    return _among_channels(conv, lanes, x, kernel, groups, shared=True, **attrs)


def _input_gradient_batch(
    lanes: Lanes, g: Tensor, kernel: Tensor, *, input_shape: Shape, groups: int, **attrs: Any
) -> Tensor:
    n, *space, c = input_shape
    row = conv_input_gradient
    if not lanes.mapped[1]:
        shape = (lanes.size * n, *space, c)
        return _among_images(row, lanes, g, kernel, input_shape=shape, groups=groups, **attrs)
    shape = (n, *space, lanes.size * c)
    return _among_channels(row, lanes, g, kernel, groups, shared=False, input_shape=shape, **attrs)


def _kernel_gradient_batch(
    lanes: Lanes, x: Tensor, g: Tensor, *, kernel_shape: Shape, groups: int, **attrs: Any
) -> Tensor:
    shape = (*kernel_shape[:-1], lanes.size * kernel_shape[-1])
    return _among_channels(conv_kernel_gradient, lanes, x, g, groups, shared=True, kernel_shape=shape, **attrs)


# Rows

_OPTIONS = dict.fromkeys(("strides", "padding", "input_dilation", "kernel_dilation", "groups"), opaque)


@contraction(
    attributes=_OPTIONS,
    shape=_conv_shape,
    eager=_conv_eager,
    batch=_conv_batch,
    extern="conv",
    vjp=lambda g, y, x, kernel, **attrs: (
        g.conv_input_gradient(kernel, input_shape=x.shape, **attrs),
        x.conv_kernel_gradient(g, kernel_shape=kernel.shape, **attrs),
    ),
)
def conv(
    x: Tensor,
    kernel: Tensor,
    /,
    *,
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    input_dilation: int | Sequence[int] = 1,
    kernel_dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution of (N, spatial..., C) with a kernel (spatial..., C / groups, K): (N, spatial..., K).

    Padding is "valid", "same" (the odd cell on the high side), or (low, high) a spatial axis; negative ones crop.
    Half floats are summed in float32.

    >>> nx.conv(nx.ones((1, 4, 4, 2)), nx.ones((3, 3, 2, 5)), padding="same").shape
    (1, 4, 4, 5)
    """
    ...


@contraction(
    attributes={"input_shape": opaque, **_OPTIONS},
    shape=_input_gradient_shape,
    eager=_input_gradient_eager,
    batch=_input_gradient_batch,
    extern="conv",
    vjp=lambda h, y, g, kernel, *, input_shape, **attrs: (
        h.conv(kernel, **attrs),
        h.conv_kernel_gradient(g, kernel_shape=kernel.shape, **attrs),
    ),
)
def conv_input_gradient(
    g: Tensor,
    kernel: Tensor,
    /,
    *,
    input_shape: Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    input_dilation: int | Sequence[int] = 1,
    kernel_dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of conv's input, from that of its result: the transposed convolution.

    >>> nx.conv_input_gradient(nx.ones((1, 2, 1)), nx.ones((3, 1, 1)), input_shape=(1, 4, 1)).flatten()
    float32[4] [1., 2., 2., 1.]
    """
    ...


@contraction(
    attributes={"kernel_shape": opaque, **_OPTIONS},
    shape=_kernel_gradient_shape,
    eager=_kernel_gradient_eager,
    batch=_kernel_gradient_batch,
    extern="conv",
    vjp=lambda h, y, x, g, *, kernel_shape, **attrs: (
        g.conv_input_gradient(h, input_shape=x.shape, **attrs),
        x.conv(h, **attrs),
    ),
)
def conv_kernel_gradient(
    x: Tensor,
    g: Tensor,
    /,
    *,
    kernel_shape: Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    input_dilation: int | Sequence[int] = 1,
    kernel_dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of conv's kernel, from its input and the gradient of its result.

    >>> nx.conv_kernel_gradient(nx.ones((1, 4, 1)), nx.ones((1, 2, 1)), kernel_shape=(3, 1, 1)).flatten()
    float32[3] [2., 2., 2.]
    """
    ...
