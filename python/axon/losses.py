"""Losses: functions (y_true, y_pred) of one value a row (the mean over the last axis, or what the formula sums there).

`reduction` makes one number of the rows: "none" keeps them, "mean" or "sum" reduces them. Targets are never broadcast
against predictions. The result has the floating dtype that targets and predictions lead to, float32 if both are
integers; halves are computed in float32 and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from . import activations, nx
from .dtypes import DType
from .errors import ShapeError
from .nx import Tensor

__all__ = ["binary_cross_entropy", "categorical_cross_entropy", "mean_absolute_error", "mean_squared_error"]

Reduction = Literal["none", "mean", "sum"]
EPSILON = 1e-7  # what logarithms are taken of is kept this far from 0


def reduce(rows: Tensor, reduction: Reduction) -> Tensor:
    """The rows themselves, their mean or their sum; ValueError for another word."""
    if reduction == "none":
        return rows
    if reduction == "mean":
        return nx.mean(rows)
    if reduction == "sum":
        return nx.sum(rows)
    raise ValueError(f'reduction: expected "none", "mean" or "sum", got {reduction!r}')


def check_rows(name: str, y_pred: Tensor) -> None:
    """Refuse a single number, which has no last axis."""
    if not y_pred.shape:
        raise ShapeError(f"{name}: expected rows of predictions [..., n], got {y_pred.type}; write .reshape((1,))")


def check_same_shape(name: str, y_true: Tensor, y_pred: Tensor) -> None:
    """Refuse what would broadcast, naming the reshape to write."""
    if y_true.shape == y_pred.shape:
        return
    advice = "give one target a prediction"
    if _same_but_for_ones(y_true.shape, y_pred.shape):
        advice = f"write y_true.reshape({any_batch(y_pred.shape)})"
    elif y_pred.ndim > 2 and y_true.shape in (y_pred.shape[:1], (y_pred.shape[0], 1), y_pred.shape[:: y_pred.ndim - 1]):
        inner = ", ".join(map(str, y_pred.shape[1:-1]))
        advice = f"predictions have axes {inner} between batch and outputs: add .flatten() before the last dense"
    raise ShapeError(f"{name}: expected y_true and y_pred of one shape, got {y_true.type} and {y_pred.type}; {advice}")


def are_classes(name: str, y_true: Tensor, y_pred: Tensor, sparse: bool | None) -> bool:
    """Whether y_true holds class numbers (an integer for each row of y_pred) rather than one value a class."""
    rows, integer = y_pred.shape[:-1], y_true.dtype.is_integer
    if sparse is not False and integer and y_true.shape == rows:
        return True
    meant = _same_but_for_ones(y_true.shape, rows) and not _same_but_for_ones(y_true.shape, y_pred.shape)
    if sparse is False or (sparse is None and not meant):
        check_same_shape(name, y_true, y_pred)
        return False
    advice = "pass one-hot rows without sparse"
    if meant:
        reshape = "" if y_true.shape == rows else f".reshape({any_batch(rows)})"
        advice = f"write y_true{reshape}" + ("" if integer else '.astype("int32")')
    raise ShapeError(
        f"{name}: expected integer classes of shape {rows}, got {y_true.type} beside {y_pred.type}; {advice}"
    )


def any_batch(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape to write into a reshape, which holds for batches of other sizes, too."""
    return (-1, *shape[1:]) if shape and 0 not in shape else tuple(shape)


def _same_but_for_ones(a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether a reshape between two shapes only adds or drops axes of size 1."""
    return [n for n in a if n != 1] == [n for n in b if n != 1]


def safe_log(p: Tensor, dtype: DType) -> Tensor:
    """The logarithm of a probability given in a dtype, kept above 1e-7 and where the slope 1/p is finite there, too."""
    least = max(EPSILON, nx.finfo(dtype).smallest_normal) if dtype.is_float else EPSILON
    return nx.log(nx.maximum(p, least))


def weighed(weight: Tensor, value: Tensor) -> Tensor:
    """weight * value, where a weight of 0 does not count what is infinite: 0 log 0 = 0. NaN counts."""
    return weight * nx.where((weight == 0) & nx.isinf(value), 0, value)


def class_numbers(classes: Tensor) -> Tensor:
    """Classes in a dtype that holds the number of classes, too: one past the last."""
    return classes.astype(nx.int32) if classes.dtype.itemsize < 4 else classes


def one_hot(classes: Tensor, y_pred: Tensor) -> Tensor:
    """Rows of False and one True: which class of y_pred's last axis each of `class_numbers` names."""
    numbers = nx.arange(y_pred.shape[-1], dtype=classes.dtype)
    return nx.expand_dims(classes, axis=-1) == numbers


def alike(name: str, y_true: Tensor, y_pred: Tensor) -> tuple[list[Tensor], Callable[[Tensor], Tensor]]:
    """Targets and predictions of one shape as they are computed with, and what rounds the loss."""
    y_true, y_pred = nx.asarray(y_true), nx.asarray(y_pred)
    check_rows(name, y_pred)
    check_same_shape(name, y_true, y_pred)
    return nx.widened(y_true, y_pred)


def mean_squared_error(y_true: Tensor, y_pred: Tensor, *, reduction: Reduction = "none") -> Tensor:
    """The mean over the last axis of (y_true - y_pred)**2.

    Shapes: both [..., n]; result [...]. ShapeError when they differ.

    >>> mean_squared_error(nx.tensor([[0.0, 1.0]]), nx.tensor([[1.0, 3.0]]))
    float32[1] [2.5]
    """
    (y_true, y_pred), rounded = alike("mean_squared_error", y_true, y_pred)
    return rounded(reduce(nx.mean(nx.square(y_true - y_pred), axis=-1), reduction))


def mean_absolute_error(y_true: Tensor, y_pred: Tensor, *, reduction: Reduction = "none") -> Tensor:
    """The mean over the last axis of |y_true - y_pred|.

    Shapes: both [..., n]; result [...]. ShapeError when they differ.

    >>> mean_absolute_error(nx.tensor([[0.0, 1.0]]), nx.tensor([[1.0, 3.0]]))
    float32[1] [1.5]
    """
    (y_true, y_pred), rounded = alike("mean_absolute_error", y_true, y_pred)
    return rounded(reduce(nx.mean(nx.abs(y_true - y_pred), axis=-1), reduction))


def binary_cross_entropy(
    y_true: Tensor, y_pred: Tensor, *, from_logits: bool = False, reduction: Reduction = "none"
) -> Tensor:
    """The mean over the last axis of -(y_true * log(p) + (1 - y_true) * log(1 - p)).

    p is y_pred, where the logarithms are of numbers kept above 1e-7 (6e-5 in float16), or sigmoid(y_pred) with
    from_logits, where nothing is cut off and infinite logits give the limits of value and slope.
    Shapes: both [..., n]; result [...]. ShapeError when they differ.

    >>> binary_cross_entropy(nx.tensor([[0.0, 1.0]]), nx.tensor([[0.5, 0.5]]))
    float32[1] [0.693147]
    """
    dtype = nx.asarray(y_pred).dtype
    (y, p), rounded = alike("binary_cross_entropy", y_true, y_pred)
    if from_logits:
        terms = _binary_from_logits(y, p)
    else:
        terms = -(y * safe_log(p, dtype) + (1 - y) * safe_log(1 - p, dtype))
    return rounded(reduce(nx.mean(terms, axis=-1), reduction))


def _binary_from_logits(y: Tensor, x: Tensor) -> Tensor:
    """softplus(x) - y * x, or what is the same, softplus(-x) + (1 - y) * x: the one that is no difference of large
    numbers."""
    above = x > 0
    return activations.softplus(nx.where(above, -x, x)) + weighed(above - y, x)


def categorical_cross_entropy(
    y_true: Tensor,
    y_pred: Tensor,
    *,
    sparse: bool | None = None,
    from_logits: bool = False,
    class_weights: Sequence[float] | None = None,
    reduction: Reduction = "none",
) -> Tensor:
    """The sum over the last axis of -y_true * log(p).

    p is y_pred kept above 1e-7 (6e-5 in float16), or softmax(y_pred) with from_logits, where nothing is cut off. y_true
    is a distribution a row (one-hot), or with sparse an integer class a row; without `sparse` its shape and dtype say
    which. A class of target 0 does not count, though its logit is -inf (it is masked); a class outside the range gives
    NaN. Each row counts by the weight of its class; reduction "mean" divides by their sum.
    Shapes: y_pred [..., n], y_true [..., n] or [...]; result [...]. ShapeError for other shapes.

    >>> categorical_cross_entropy(nx.tensor([1, 0]), nx.tensor([[0.5, 0.5], [0.25, 0.75]]))
    float32[2] [0.693147, 1.386294]
    """
    name = "categorical_cross_entropy"
    y_true, y_pred = nx.asarray(y_true), nx.asarray(y_pred)
    check_rows(name, y_pred)
    classes = are_classes(name, y_true, y_pred, sparse)
    (p, *given), rounded = nx.widened(y_pred) if classes else nx.widened(y_pred, y_true)
    log_p = activations.log_softmax(p) if from_logits else safe_log(p, y_pred.dtype)
    if classes:
        numbers = class_numbers(y_true)
        hot = one_hot(numbers, p)
        rows = -nx.sum(nx.where(hot, log_p, 0), axis=-1)
        inside = (numbers >= 0) & (numbers < p.shape[-1])
        rows = rows + nx.sqrt(nx.where(inside, 0, -1).astype(rows.dtype))  # `debug` would stop at a literal NaN
    else:
        (hot,) = given
        rows = -nx.sum(weighed(hot, log_p), axis=-1)
    if class_weights is None:
        return rounded(reduce(rows, reduction))
    if len(class_weights) != p.shape[-1]:
        raise ShapeError(f"{name}: expected {p.shape[-1]} class_weights, got {len(class_weights)}; give one a class")
    weights = nx.sum(hot * nx.asarray(class_weights, dtype=p.dtype), axis=-1)
    rows = weighed(weights, rows)
    return rounded(nx.sum(rows) / nx.sum(weights) if reduction == "mean" else reduce(rows, reduction))
