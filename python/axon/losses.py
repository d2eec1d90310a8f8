"""Losses: functions (y_true, y_pred) of one value a row (the mean over the last axis, or what the formula sums there).

`reduction` makes one number of the rows: "none" keeps them, "mean" or "sum" reduces them. Targets are never broadcast
against predictions. The result has the floating dtype that targets and predictions lead to, float32 if both are
integers; halves are computed in float32 and rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from . import activations, nx
from .asks import RATES, amounts, asks, distributions, rows_of_shares, shares, signs
from .defn import stop_grad
from .dtypes import DType
from .nx import Tensor
from .options import plain_options
from .rows import (
    Reduction,
    alike,
    are_classes,
    check_rows,
    check_same_shape,
    class_numbers,
    nan_outside,
    one_hot,
    reduce,
    weights,
)

__all__ = [
    "binary_cross_entropy", "categorical_cross_entropy", "categorical_hinge", "cosine_similarity", "hinge", "huber",
    "kl_divergence", "log_cosh", "margin_ranking", "mean_absolute_error", "mean_squared_error", "poisson",
    "soft_margin",
]  # fmt: skip


@plain_options
def mean_squared_error(y_true: Tensor, y_pred: Tensor, *, reduction: Reduction = "none") -> Tensor:
    """The mean over the last axis of (y_true - y_pred)**2.

    Shapes: both [..., n]; result [...]. ShapeError when they differ.

    >>> mean_squared_error(nx.tensor([[0.0, 1.0]]), nx.tensor([[1.0, 3.0]]))
    float32[1] [2.5]
    """
    (y_true, y_pred), rounded = alike("mean_squared_error", y_true, y_pred)
    return rounded(reduce(nx.mean(nx.square(y_true - y_pred), axis=-1), reduction))


@plain_options
def mean_absolute_error(y_true: Tensor, y_pred: Tensor, *, reduction: Reduction = "none") -> Tensor:
    """The mean over the last axis of |y_true - y_pred|.

    Shapes: both [..., n]; result [...]. ShapeError when they differ.

    >>> mean_absolute_error(nx.tensor([[0.0, 1.0]]), nx.tensor([[1.0, 3.0]]))
    float32[1] [1.5]
    """
    (y_true, y_pred), rounded = alike("mean_absolute_error", y_true, y_pred)
    return rounded(reduce(nx.mean(nx.abs(y_true - y_pred), axis=-1), reduction))


@plain_options
def huber(y_true: Tensor, y_pred: Tensor, *, delta: float = 1.0, reduction: Reduction = "none") -> Tensor:
    """The mean over the last axis of d**2 / 2 where d = |y_true - y_pred| is up to delta, else delta * (d - delta / 2).

    The scale is that of half the squared error: no division by delta, as "smooth L1" has it. Huber 1964.
    Shapes: both [..., n]; result [...]. ShapeError when they differ, ValueError for a delta that is not above 0.

    >>> huber(nx.tensor([[0.0, 1.0]]), nx.tensor([[1.0, 4.0]]))
    float32[1] [1.5]
    """
    if isinstance(delta, (int, float)) and not 0 < delta < math.inf:
        raise ValueError(f"huber: expected a finite delta above 0, got {delta}; without one use mean_squared_error")
    (y_true, y_pred), rounded = alike("huber", y_true, y_pred)
    distance = nx.abs(y_true - y_pred)
    small = distance <= delta
    near = nx.square(nx.where(small, distance, 0)) / 2
    return rounded(reduce(nx.mean(nx.where(small, near, delta * (distance - delta / 2)), axis=-1), reduction))


@plain_options
def log_cosh(y_true: Tensor, y_pred: Tensor, *, reduction: Reduction = "none") -> Tensor:
    """The mean over the last axis of log(cosh(y_true - y_pred)): near d**2 / 2 for small d, |d| - log(2) for large.

    Shapes: both [..., n]; result [...]. ShapeError when they differ.

    >>> log_cosh(nx.tensor([[0.0, 1.0]]), nx.tensor([[1.0, 1.0]]))
    float32[1] [0.21689]
    """
    (y_true, y_pred), rounded = alike("log_cosh", y_true, y_pred)
    distance = nx.abs(y_true - y_pred)
    small = distance < 1  # where the other form is a difference of nearly equal numbers
    near = nx.log1p(2 * nx.square(nx.sinh(nx.where(small, distance, 0) / 2)))
    far = distance + (nx.log1p(nx.exp(-2 * distance)) - math.log(2))
    return rounded(reduce(nx.mean(nx.where(small, near, far), axis=-1), reduction))


@plain_options
def cosine_similarity(
    y_true: Tensor, y_pred: Tensor, *, epsilon: float = 1e-6, reduction: Reduction = "none"
) -> Tensor:
    """Minus the cosine of the angle between rows, over the last axis: -1 where they point the same way, 1 where they
    are opposite. Minus, because a loss is made small.

    A norm counts as epsilon at least (6e-5 in float16), so that a row of zeros gives 0 and a finite slope.
    Shapes: both [..., n]; result [...]. ShapeError when they differ.

    >>> cosine_similarity(nx.tensor([[3.0, 0.0], [0.0, 1.0]]), nx.tensor([[2.0, 0.0], [0.0, -5.0]]))
    float32[2] [-1.,  1.]
    """
    dtypes = nx.asarray(y_true).dtype, nx.asarray(y_pred).dtype
    both, rounded = alike("cosine_similarity", y_true, y_pred)
    y, p = (_unit(rows, _least(dtype, epsilon)) for rows, dtype in zip(both, dtypes))
    return rounded(reduce(-nx.sum(y * p, axis=-1), reduction))


def _unit(rows: Tensor, least: float) -> Tensor:
    """Rows divided by their norms, or by `least` where that is more. Their largest element is divided by first, for
    squares overflow; it cancels, in the slope as well."""
    if not rows.size:
        return rows
    top = stop_grad(nx.maximum(nx.max(nx.abs(rows), axis=-1, keepdims=True), least))
    rows = rows / top
    return rows / nx.sqrt(nx.maximum(nx.sum(rows * rows, axis=-1, keepdims=True), nx.square(least / top)))


@asks(shares, "sigmoid", frozenset({"hard_sigmoid", "exp"}))
@plain_options
def binary_cross_entropy(
    y_true: Tensor,
    y_pred: Tensor,
    *,
    positive_weight: float | Sequence[float] | None = None,
    negative_weight: float | Sequence[float] | None = None,
    from_logits: bool = False,
    reduction: Reduction = "none",
) -> Tensor:
    """The mean over the last axis of -(a * y_true * log(p) + b * (1 - y_true) * log(1 - p)), where a is positive_weight
    and b negative_weight.

    p is y_pred, where the logarithms are of numbers kept above 1e-7 (6e-5 in float16), or sigmoid(y_pred) with
    from_logits, where nothing is cut off and infinite logits give the limits of value and slope. A weight is a number,
    or one for each of the last axis, 1 where it is not given; reduction "mean" does not divide by the weights.
    Shapes: both [..., n]; result [...]. ShapeError when they differ, and for another number of weights.

    >>> binary_cross_entropy(nx.tensor([[0.0, 1.0]]), nx.tensor([[0.5, 0.5]]))
    float32[1] [0.693147]
    >>> binary_cross_entropy(nx.tensor([[0.0, 1.0]]), nx.tensor([[0.5, 0.5]]), positive_weight=3.0)
    float32[1] [1.386294]
    """
    name, dtype = "binary_cross_entropy", nx.asarray(y_pred).dtype
    (y, p), rounded = alike(name, y_true, y_pred)
    positive, negative = y, 1 - y
    if positive_weight is not None:
        positive = positive * weights(name, "numbers as positive_weight", positive_weight, p)
    if negative_weight is not None:
        negative = negative * weights(name, "numbers as negative_weight", negative_weight, p)
    if from_logits:
        weighted = positive_weight is not None or negative_weight is not None
        terms = _binary_from_logits(positive, negative, p, positive + negative if weighted else None)
    else:
        terms = -(positive * _safe_log(p, dtype) + negative * _safe_log(1 - p, dtype))
    return rounded(reduce(nx.mean(terms, axis=-1), reduction))


def _binary_from_logits(positive: Tensor, negative: Tensor, x: Tensor, both: Tensor | None) -> Tensor:
    """positive * softplus(-x) + negative * softplus(x), with one softplus, of what is below 0. `both`: their sum, None
    for 1."""
    above = x > 0
    below = activations.softplus(nx.where(above, -x, x))
    return (below if both is None else both * below) + _weighed(nx.where(above, negative, -positive), x)


@asks(distributions, "softmax", frozenset({"exp"}), columns=2)
@plain_options
def categorical_cross_entropy(
    y_true: Tensor,
    y_pred: Tensor,
    *,
    sparse: bool | None = None,
    from_logits: bool = False,
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "none",
) -> Tensor:
    """The sum over the last axis of -y_true * log(p).

    p is y_pred kept above 1e-7 (6e-5 in float16), or softmax(y_pred) with from_logits, where nothing is cut off. y_true
    is a distribution a row (one-hot), or with sparse an integer class a row; without `sparse` its shape and dtype say
    which. A class of target 0 does not count, though its logit is -inf (it is masked); a class outside the range gives
    NaN. label_smoothing takes that share of each target and spreads it evenly over the n classes. Each class's term
    counts by its weight; reduction "mean" divides by the sum of the targets' weights, before smoothing.
    Shapes: y_pred [..., n], y_true [..., n] or [...]; result [...]. ShapeError for other shapes, ValueError for a
    label_smoothing outside 0..1.

    >>> categorical_cross_entropy(nx.tensor([1, 0]), nx.tensor([[0.5, 0.5], [0.25, 0.75]]))
    float32[2] [0.693147, 1.386294]
    """
    name = "categorical_cross_entropy"
    y_true, y_pred = nx.asarray(y_true), nx.asarray(y_pred)
    check_rows(name, y_pred)
    if isinstance(label_smoothing, (int, float)) and not 0 <= label_smoothing <= 1:
        raise ValueError(f"{name}: expected label_smoothing from 0 to 1, got {label_smoothing}; 0.1 is usual")
    classes = are_classes(name, y_true, y_pred, sparse)
    (p, *given), rounded = nx.widened(y_pred) if classes else nx.widened(y_pred, y_true)
    log_p = activations.log_softmax(p) if from_logits else _safe_log(p, y_pred.dtype)
    numbers = class_numbers(y_true) if classes else None
    hot = targets = given[0] if numbers is None else one_hot(numbers, p)
    if not isinstance(label_smoothing, (int, float)) or label_smoothing:
        targets = (1 - label_smoothing) * targets.astype(p.dtype) + label_smoothing / p.shape[-1]
    each = None if class_weights is None else weights(name, "class_weights", class_weights, p)
    if each is not None:
        targets = targets * each
    rows = -nx.sum(nx.where(targets, log_p, 0) if targets is hot and classes else _weighed(targets, log_p), axis=-1)
    if numbers is not None:
        rows = rows + nan_outside(numbers, p)
    if each is not None and reduction == "mean":
        return rounded(nx.sum(rows) / nx.sum(hot * each))
    return rounded(reduce(rows, reduction))


@asks(rows_of_shares, "softmax", frozenset({"exp"}), columns=2)
@plain_options
def kl_divergence(
    y_true: Tensor, y_pred: Tensor, *, from_logits: bool = False, reduction: Reduction = "none"
) -> Tensor:
    """The sum over the last axis of y_true * log(y_true / p): how far a distribution p is from y_true.

    p is y_pred, or softmax(y_pred) with from_logits, where nothing is cut off: a class of target 0 does not count,
    though its logit is -inf. Logarithms of probabilities are of numbers kept above 1e-7 (6e-5 in float16).
    Shapes: both [..., n]; result [...]. ShapeError when they differ.

    >>> kl_divergence(nx.tensor([[0.0, 1.0], [0.5, 0.5]]), nx.tensor([[0.5, 0.5], [0.5, 0.5]]))
    float32[2] [0.693147, 0.      ]
    """
    dtypes = nx.asarray(y_true).dtype, nx.asarray(y_pred).dtype
    (y, p), rounded = alike("kl_divergence", y_true, y_pred)
    log_p = activations.log_softmax(p) if from_logits else _safe_log(p, dtypes[1])
    return rounded(reduce(nx.sum(_weighed(y, _safe_log(y, dtypes[0]) - log_p), axis=-1), reduction))


@asks(amounts, "exp", RATES)
@plain_options
def poisson(y_true: Tensor, y_pred: Tensor, *, from_logits: bool = False, reduction: Reduction = "none") -> Tensor:
    """The mean over the last axis of p - y_true * log(p): counts y_true of a Poisson distribution of rate p, without
    the part that no prediction changes, log(y_true!).

    p is y_pred, whose logarithm is of p + 1e-7 (6e-5 in float16), or exp(y_pred) with from_logits, where nothing is
    added. A negative rate gives NaN.
    Shapes: both [..., n]; result [...]. ShapeError when they differ.

    >>> poisson(nx.tensor([[0.0, 1.0]]), nx.tensor([[2.0, 1.0]]))
    float32[1] [1.5]
    """
    dtype = nx.asarray(y_pred).dtype
    (y, p), rounded = alike("poisson", y_true, y_pred)
    if from_logits:
        rate = nx.exp(p)
        terms = rate - _weighed(y, nx.where(rate == math.inf, 0, p))  # inf - inf
    else:
        terms = p - y * nx.log(nx.minimum(p + _least(dtype), nx.finfo(p.dtype).max))
    return rounded(reduce(nx.mean(terms, axis=-1), reduction))


@asks(signs)
@plain_options
def hinge(y_true: Tensor, y_pred: Tensor, *, reduction: Reduction = "none") -> Tensor:
    """The mean over the last axis of max(0, 1 - y_true * y_pred), for labels -1 and 1 beside scores.

    Shapes: both [..., n]; result [...]. ShapeError when they differ.

    >>> hinge(nx.tensor([[-1.0, 1.0]]), nx.tensor([[-3.0, 0.5]]))
    float32[1] [0.25]
    """
    (y_true, y_pred), rounded = alike("hinge", y_true, y_pred)
    return rounded(reduce(nx.mean(activations.relu(1 - y_true * y_pred), axis=-1), reduction))


@asks(signs)
@plain_options
def soft_margin(y_true: Tensor, y_pred: Tensor, *, reduction: Reduction = "none") -> Tensor:
    """The mean over the last axis of log(1 + exp(-y_true * y_pred)), for labels -1 and 1 beside scores.

    One value a row, as of any other loss: Axon's first release summed over the first axis, the batch.
    Shapes: both [..., n]; result [...]. ShapeError when they differ.

    >>> soft_margin(nx.tensor([[-1.0, 1.0]]), nx.tensor([[0.0, 0.0]]))
    float32[1] [0.693147]
    """
    (y_true, y_pred), rounded = alike("soft_margin", y_true, y_pred)
    return rounded(reduce(nx.mean(activations.softplus(-y_true * y_pred), axis=-1), reduction))


@asks(distributions, columns=2)
@plain_options
def categorical_hinge(
    y_true: Tensor, y_pred: Tensor, *, sparse: bool | None = None, reduction: Reduction = "none"
) -> Tensor:
    """max(0, 1 + max((1 - y_true) * y_pred) - sum(y_true * y_pred)) over the last axis: the true class's score should
    be above those of all others, and above 0, by 1.

    y_true is one-hot, or with sparse an integer class a row; without `sparse` its shape and dtype say which. A class
    outside the range gives NaN.
    Shapes: y_pred [..., n], y_true [..., n] or [...]; result [...]. ShapeError for other shapes.

    >>> categorical_hinge(nx.tensor([1, 0]), nx.tensor([[0.5, 3.0, 1.0], [0.5, -1.0, 0.25]]))
    float32[2] [0.  , 0.75]
    """
    name = "categorical_hinge"
    y_true, y_pred = nx.asarray(y_true), nx.asarray(y_pred)
    check_rows(name, y_pred)
    classes = are_classes(name, y_true, y_pred, sparse)
    (p, *given), rounded = nx.widened(y_pred) if classes else nx.widened(y_pred, y_true)
    numbers = class_numbers(y_true) if classes else None
    hot = given[0] if numbers is None else one_hot(numbers, p).astype(p.dtype)
    others, own = nx.max(_weighed(1 - hot, p), axis=-1), nx.sum(_weighed(hot, p), axis=-1)
    rows = activations.relu(1 + others - own)
    return rounded(reduce(rows if numbers is None else rows + nan_outside(numbers, p), reduction))


@plain_options
def margin_ranking(
    y_true: Tensor,
    y_pred: tuple[Tensor, Tensor] | Tensor,
    other: Tensor | None = None,
    *,
    margin: float = 0.0,
    reduction: Reduction = "none",
) -> Tensor:
    """max(0, margin - y_true * (p1 - p2)) of each pair of scores y_pred = (p1, p2): where y_true is 1 the first should
    be higher by margin, where it is -1 the second. The scores may also be given one after the other: y_true, p1, p2.

    Shapes: all equal, result too: one value a pair. ShapeError when they differ, TypeError when y_pred is no pair.

    >>> margin_ranking(nx.tensor([1.0, -1.0]), (nx.tensor([3.0, 2.0]), nx.tensor([1.0, 1.0])), margin=0.5)
    float32[2] [0. , 1.5]
    """
    pair = y_pred if other is None else (y_pred, other)
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        got = f"{len(pair)} of them" if isinstance(pair, (tuple, list)) else nx.asarray(pair).type
        raise TypeError(f"margin_ranking: expected a pair (p1, p2) as y_pred, got {got}; write (p[..., 0], p[..., 1])")
    y, first, second = map(nx.asarray, (y_true, *pair))
    for scores in (first, second):
        check_same_shape("margin_ranking", y, scores)
    (y, first, second), rounded = nx.widened(y, first, second)
    return rounded(reduce(activations.relu(margin - y * (first - second)), reduction))


def _least(dtype: DType, epsilon: float = 1e-7) -> float:
    """What is kept away from 0 by epsilon, or by what has a finite reciprocal in a dtype."""
    return max(epsilon, nx.finfo(dtype).smallest_normal) if dtype.is_float else epsilon


def _safe_log(p: Tensor, dtype: DType) -> Tensor:
    """The logarithm of a probability given in a dtype, kept above 1e-7 and where the slope 1/p is finite there, too."""
    return nx.log(nx.maximum(p, _least(dtype)))


def _weighed(weight: Tensor, value: Tensor) -> Tensor:
    """weight * value, where a weight of 0 does not count what is infinite: 0 log 0 = 0. NaN counts."""
    return weight * nx.where((weight == 0) & nx.isinf(value), 0, value)
