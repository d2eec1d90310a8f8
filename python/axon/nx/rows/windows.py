"""Sliding windows: sum, max and min over windows, each axis with its size, stride, padding and dilation."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from ...dtypes import DType, bool_
from ...errors import ShapeError
from ..core.combine import MAXIMUM, MINIMUM
from ..core.functions import function
from ..core.rules import Settled, integers, window
from ..core.tensor import Shape, Tensor, TensorType
from .conversion import where
from .elementwise import add, divide, maximum, minimum
from .logic import bitwise_invert, equal, isfinite, not_equal
from .movement import pad, repeated, slice_, spread, stop_grad
from .wide import widened

Padding = str | int | Sequence[int | Sequence[int]]
Pairs = tuple[tuple[int, int], ...]


def fit(name: str, sizes: Shape, window: Shape, strides: Shape, padding: Any, dilation: Shape) -> tuple[Shape, Pairs]:
    """How many windows fit along each axis, and the padding as (low, high) pairs: "valid" is none, "same" gives
    ceil(size / stride) windows with the odd cell on the high side."""
    if any(v < 1 for v in (*window, *strides, *dilation)):
        raise ShapeError(
            f"{name}: expected sizes, strides and dilations above 0, got {window}, {strides}, {dilation}; use 1"
        )
    spans = list(map(spread, window, dilation))
    if padding == "valid":
        pairs: Pairs = ((0, 0),) * len(sizes)
    elif padding == "same":
        needed = [max((-(-n // s) - 1) * s + span - n, 0) for n, s, span in zip(sizes, strides, spans)]
        pairs = tuple((p // 2, p - p // 2) for p in needed)
    elif isinstance(padding, str):
        raise ShapeError(f'{name}: expected padding "valid", "same" or pairs, got {padding!r}; choose one')
    else:
        given = padding if isinstance(padding, Sequence) else [padding] * len(sizes)
        ends = [integers(name, "padding", p) for p in given]
        if len(ends) != len(sizes) or any(len(p) not in (1, 2) for p in ends):
            raise ShapeError(f"{name}: expected {len(sizes)} pairs of padding, got {padding}; give one an axis")
        pairs = tuple((p[0], p[-1]) for p in ends)
    padded = [n + lo + hi for n, (lo, hi) in zip(sizes, pairs)]
    if any(p < span and (p, span) != (0, 1) for p, span in zip(padded, spans)):  # no cells make no windows of one
        raise ShapeError(
            f"{name}: expected windows of at most {tuple(padded)} elements, the padded size, got {tuple(spans)}; pad "
            f'more, or use padding="same"'
        )
    return tuple((p - span) // s + 1 for p, span, s in zip(padded, spans, strides)), pairs


def _window_shape(
    name: str, types: Sequence[TensorType], *, window: Any, strides: Any, padding: Any, dilation: Any
) -> Settled:
    (x,) = types
    window = integers(name, "window", window, x.ndim)
    strides = integers(name, "strides", strides, x.ndim)
    dilation = integers(name, "dilation", dilation, x.ndim)
    shape, pairs = fit(name, x.shape, window, strides, padding, dilation)
    return shape, x.names, {"window": window, "strides": strides, "padding": pairs, "dilation": dilation}


def _held(name: str, sizes: Shape, window: Shape, strides: Shape, pairs: Pairs, dilation: Shape) -> None:
    """Refuse a window that holds padding alone: it has no largest element, and no mean."""
    for a, (n, w, s, (lo, hi), d) in enumerate(zip(sizes, window, strides, pairs, dilation)):
        starts = range(-lo, n + hi - spread(w, d) + 1, s)
        before = starts[: max(0, -(-lo // s))]
        for start in (*before, *starts[-1:]):
            inside = start + max(0, -(start // d)) * d  # the window's first place that is not before the axis
            if inside >= n or inside > start + (w - 1) * d:
                raise ShapeError(
                    f"{name}: expected an element in every window, got one in the padding alone along axis {a} (size "
                    f"{n}, padding {(lo, hi)}, window {w}, dilation {d}); pad less"
                )


def _choosing_shape(name: str, types: Sequence[TensorType], **attrs: Any) -> Settled:
    shape, names, normal = _window_shape(name, types, **attrs)
    _held(name, types[0].shape, normal["window"], normal["strides"], normal["padding"], normal["dilation"])
    return shape, names, normal


def _expand(combine: Callable[[Tensor, Tensor], Tensor], identity: Callable[[DType], Any]) -> Callable[..., Tensor]:
    """The window function as slices combined one axis after the other, in rising order."""

    def expand(x: Tensor, /, *, window: Shape, strides: Shape, padding: Pairs, dilation: Shape) -> Tensor:
        dtype = x.dtype
        if dtype.is_half:
            x = x.astype(dtype.computed_in)
        x = pad(x, [(lo, hi, 0) for lo, hi in padding], identity(x.dtype)) if any(map(any, padding)) else x
        for a, (w, s, d) in enumerate(zip(window, strides, dilation)):
            count = (x.shape[a] - (w - 1) * d - 1) // s + 1
            if (w, s) != (1, 1):
                x = functools.reduce(combine, [_every(x, a, i * d, count, s) for i in range(w)])
        return x.astype(dtype)

    return expand


def _every(x: Tensor, axis: int, start: int, count: int, step: int) -> Tensor:
    """`count` elements of an axis, from start on, `step` apart."""
    starts, stops, steps = [0] * x.ndim, list(x.shape), [1] * x.ndim
    starts[axis], stops[axis], steps[axis] = start, start + spread(count, step), step
    return slice_(x, starts, stops, steps)


def _sum_vjp(
    g: Tensor, y: Tensor, x: Tensor, *, window: Shape, strides: Shape, padding: Pairs, dilation: Shape
) -> tuple[Tensor]:
    """Each element sums the gradients of the windows that hold it: windows over the spread-out gradient."""
    config = [
        ((w - 1) * d - lo, n + lo - spread(m, s), s - 1)
        for n, m, w, s, (lo, _), d in zip(x.shape, g.shape, window, strides, padding, dilation)
    ]
    return (window_sum(pad(g, config), window=window, dilation=dilation),)


def _extreme_vjp(
    combine: Callable[[Tensor, Tensor], Tensor], identity: Callable[[DType], Any]
) -> Callable[..., tuple[Tensor]]:
    """The gradient goes to the first of the equal extremes of a window, in row-major order; NaN is extreme. Half floats
    are summed in float32."""

    def shares(
        g: Tensor, y: Tensor, x: Tensor, *, window: Shape, strides: Shape, padding: Pairs, dilation: Shape
    ) -> Tensor:
        *others, last = [a for a, w in enumerate(window) if w > 1] or [0]
        if others and math.prod(window) > 4:  # along the last axis, then the others: a sum of places, no product
            given = {"window": window, "strides": strides, "padding": padding, "dilation": dilation}
            none = {"window": 1, "strides": 1, "padding": (0, 0), "dilation": 1}
            along, across = (
                {k: tuple(v if (a == last) == own else none[k] for a, v in enumerate(given[k])) for k in given}
                for own in (True, False)
            )
            inner = _expand(combine, identity)(x, **along)
            return shares(shares(g, y, inner, **across), inner, x, **along)
        padded, inside = x, None
        if any(map(any, padding)):
            config = [(lo, hi, 0) for lo, hi in padding]
            padded = pad(x, config, identity(x.dtype))
            inside = pad(repeated(True, bool_, x.shape), config, False)  # an element may be the identity, too
        total, free = None, None
        for place in itertools.product(*map(range, window)):
            starts = [i * d for i, d in zip(place, dilation)]
            stops = [a + spread(m, s) for a, m, s in zip(starts, g.shape, strides)]
            piece = slice_(padded, starts, stops, strides)
            hit = equal(piece, y) | not_equal(piece, piece)
            hit = hit if inside is None else hit & slice_(inside, starts, stops, strides)
            first = hit if free is None else hit & free
            free = bitwise_invert(hit) if free is None else free & bitwise_invert(hit)
            lows = [a - lo for a, (lo, _) in zip(starts, padding)]
            config = [(a, n - a - spread(m, s), s - 1) for a, n, m, s in zip(lows, x.shape, g.shape, strides)]
            share = pad(where(first, g, 0), config)
            total = share if total is None else total + share
        assert total is not None
        return total

    def vjp(g: Tensor, y: Tensor, x: Tensor, **options: Any) -> tuple[Tensor]:
        return (shares(g.astype(g.dtype.computed_in), y, x, **options).astype(g.dtype),)

    return vjp


def _sum_jvp(tangents: Sequence[Tensor], y: Tensor, x: Tensor, **attrs: Any) -> Tensor:
    return window_sum(tangents[0], **attrs)


@window(
    shape=_window_shape,
    vjp=_sum_vjp,
    jvp=_sum_jvp,
    expand=_expand(add, lambda d: 0),
)
def window_sum(
    x: Tensor,
    /,
    *,
    window: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """The sum of each window; `window` gives its size along every axis. Half floats are summed in float32.

    >>> nx.window_sum(nx.arange(5), window=3)
    int32[3] [3, 6, 9]
    """
    ...


_LARGEST = (maximum, MAXIMUM.identity)
_SMALLEST = (minimum, MINIMUM.identity)


@window(shape=_choosing_shape, vjp=_extreme_vjp(*_LARGEST), expand=_expand(*_LARGEST))
def window_max(
    x: Tensor,
    /,
    *,
    window: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """The largest element of each window; NaN if there is one. Padding never wins;
    ShapeError for a window that holds nothing else.

    >>> nx.window_max(nx.arange(5), window=2, strides=2)
    int32[2] [1, 3]
    """
    ...


@window(shape=_choosing_shape, vjp=_extreme_vjp(*_SMALLEST), expand=_expand(*_SMALLEST))
def window_min(
    x: Tensor,
    /,
    *,
    window: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """The smallest element of each window; NaN if there is one. Padding never wins;
    ShapeError for a window that holds nothing else.

    >>> nx.window_min(nx.arange(5), window=2, strides=2)
    int32[2] [0, 2]
    """
    ...


@function(method=True)
def window_mean(
    x: Tensor,
    /,
    *,
    window: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window; padded cells count as zeros, or not at all: ShapeError then for a window that holds
    nothing else.

    >>> nx.window_mean(nx.arange(5), window=2, padding="same", count_include_pad=False)
    float32[5] [0.5, 1.5, 2.5, 3.5, 4. ]
    """
    options: dict[str, Any] = {"window": window, "strides": strides, "padding": padding, "dilation": dilation}
    (wide,), rounded = widened(x)
    if count_include_pad:
        count: Tensor | int = math.prod(integers("window_mean", "window", window, x.ndim))
    else:
        _choosing_shape("window_mean", [x.type], **options)
        count = window_sum(repeated(1, wide.dtype, wide.shape), **options)
    return rounded(divide(window_sum(wide, **options), count))


@function(method=True)
def window_norm(
    x: Tensor,
    /,
    *,
    window: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
    norm: float = 2,
) -> Tensor:
    """The norm of each window: the sum of |x| ** norm, to the power 1 / norm; with `nx.inf` the largest |x|.

    Powers are those of shares of the window's largest |x|, so that none overflows and not all of them vanish. Half
    floats are computed in float32. The gradient of a window of zeros is 0. ValueError for a norm below 1.

    >>> nx.window_norm(nx.tensor([3.0, -4.0, 0.0]), window=2)
    float32[2] [5., 4.]
    """
    norm = float(norm)
    if not norm >= 1:
        raise ValueError(f"window_norm: expected a norm of at least 1, got {norm}; 2 is the root of the sum of squares")
    options: dict[str, Any] = {"window": window, "strides": strides, "padding": padding, "dilation": dilation}
    (wide,), rounded = widened(x)
    largest = wide.abs()
    if math.isinf(norm):
        return rounded(window_max(largest, **options))
    _, _, settled = _window_shape("window_norm", [x.type], **options)
    if norm == 1 or set(settled["window"]) <= {1}:
        return rounded(window_sum(largest, **options))
    if any(map(any, settled["padding"])):
        largest = pad(largest, [(lo, hi, 0) for lo, hi in settled["padding"]])
    total = repeated(1, largest.dtype, largest.shape)
    for a, (w, s, d) in enumerate(zip(settled["window"], settled["strides"], settled["dilation"])):
        if (w, s) != (1, 1):
            largest, total = _powers(largest, total, norm, a, w, s, d)
    total = where(equal(total, 0), 1, total)  # the root of 0 has no slope; the norm is 0 as the largest is
    y = rounded(where(isfinite(largest), largest, 1) * (total.sqrt() if norm == 2 else total.pow(1 / norm)))
    return y if x.names is None else y.rename(x.names)


def _powers(largest: Tensor, total: Tensor, norm: float, a: int, w: int, s: int, d: int) -> tuple[Tensor, Tensor]:
    """Windows along one axis of what has windows along others: the largest |x| of each, and the sum of all |x| / that
    to the power `norm`, 0 where all are 0. The largest is a constant for gradients, since it cancels out."""

    def powers(largest: Tensor, total: Tensor) -> Tensor:
        return total * (largest / where(isfinite(most) & (most > 0), most, 1)).pow(norm)

    if (w, d) == (largest.shape[a], 1):  # one window, which is a reduction
        most = stop_grad(largest.max(axis=a, keepdims=True))
        return most, powers(largest, total).sum(axis=a, keepdims=True)
    count = (largest.shape[a] - spread(w, d)) // s + 1
    places = [[_every(t, a, i * d, count, s) for t in (largest, total)] for i in range(w)]
    most = stop_grad(functools.reduce(maximum, [part for part, _ in places]))
    return most, functools.reduce(add, [powers(*place) for place in places])
