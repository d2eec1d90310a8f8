"""Losses: functions (y_true, y_pred) of one value a row (the mean over the last axis, or what the formula sums there).

`reduction` makes one number of the rows: "none" keeps them, "mean" or "sum" reduces them. Targets are never broadcast
against predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from . import nx
from .activations import log_softmax, softplus
from .errors import ShapeError
from .nx import Tensor

__all__ = ["binary_cross_entropy", "categorical_cross_entropy", "mean_absolute_error", "mean_squared_error"]

Reduction = Literal["none", "mean", "sum"]
EPSILON = 1e-7  # probabilities are kept this far from 0 (and from 1, where both logarithms are taken)


def reduce(rows: Tensor, reduction: Reduction) -> Tensor:
    """The rows themselves, their mean or their sum; ValueError for another word."""
    if reduction == "none":
        return rows
    if reduction == "mean":
        return nx.mean(rows)
    if reduction == "sum":
        return nx.sum(rows)
    raise ValueError(f'reduction: expected "none", "mean" or "sum", got {reduction!r}')


def check_same_shape(name: str, y_true: Tensor, y_pred: Tensor) -> None:
    """Refuse what would broadcast, naming the reshape to write."""
    if y_true.shape == y_pred.shape:
        return
    advice = "make the shapes equal"
    if y_true.size == y_pred.size:
        advice = f"write y_true.reshape({y_pred.shape})"
    raise ShapeError(f"{name}: expected y_true and y_pred of one shape, got {y_true.type} and {y_pred.type}; {advice}")


def are_classes(name: str, y_true: Tensor, y_pred: Tensor, sparse: bool | None) -> bool:
    """Whether y_true holds class numbers (an integer for each row of y_pred) rather than one value a class."""
    fits = y_true.dtype.is_integer and y_true.shape == y_pred.shape[:-1]
    if sparse and not fits:
        column = (*y_pred.shape[:-1], 1)
        advice = "cast it with astype" if not y_true.dtype.is_integer else "pass one-hot rows without sparse"
        if y_true.shape == column:
            advice = f"write y_true.reshape({y_pred.shape[:-1]})"
        raise ShapeError(
            f"{name}: expected integer classes of shape {y_pred.shape[:-1]}, got {y_true.type} beside {y_pred.type}; "
            f"{advice}"
        )
    if sparse is None and fits:
        return True
    if not sparse:
        check_same_shape(name, y_true, y_pred)
    return bool(sparse)


def one_hot(classes: Tensor, y_pred: Tensor) -> Tensor:
    """Rows of False and one True: which class of y_pred's last axis each number names."""
    numbers = nx.arange(y_pred.shape[-1], dtype=classes.dtype)
    return nx.expand_dims(classes, axis=-1) == numbers


def mean_squared_error(y_true: Tensor, y_pred: Tensor, *, reduction: Reduction = "none") -> Tensor:
    """The mean over the last axis of (y_true - y_pred)**2.

    Shapes: both [..., n]; result [...]. ShapeError when they differ.

    >>> mean_squared_error(nx.tensor([[0.0, 1.0]]), nx.tensor([[1.0, 3.0]]))
    float32[1] [2.5]
    """
    y_true, y_pred = nx.asarray(y_true), nx.asarray(y_pred)
    check_same_shape("mean_squared_error", y_true, y_pred)
    return reduce(nx.mean(nx.square(y_true - y_pred), axis=-1), reduction)


def mean_absolute_error(y_true: Tensor, y_pred: Tensor, *, reduction: Reduction = "none") -> Tensor:
    """The mean over the last axis of |y_true - y_pred|.

    Shapes: both [..., n]; result [...]. ShapeError when they differ.

    >>> mean_absolute_error(nx.tensor([[0.0, 1.0]]), nx.tensor([[1.0, 3.0]]))
    float32[1] [1.5]
    """
    y_true, y_pred = nx.asarray(y_true), nx.asarray(y_pred)
    check_same_shape("mean_absolute_error", y_true, y_pred)
    return reduce(nx.mean(nx.abs(y_true - y_pred), axis=-1), reduction)


def binary_cross_entropy(
    y_true: Tensor, y_pred: Tensor, *, from_logits: bool = False, reduction: Reduction = "none"
) -> Tensor:
    """The mean over the last axis of -(y_true * log(p) + (1 - y_true) * log(1 - p)).

    p is y_pred kept within [1e-7, 1 - 1e-7], or sigmoid(y_pred) with from_logits, where nothing is cut off.
    Shapes: both [..., n]; result [...]. ShapeError when they differ.

    >>> binary_cross_entropy(nx.tensor([[0.0, 1.0]]), nx.tensor([[0.5, 0.5]]))
    float32[1] [0.693147]
    """
    y_true, y_pred = nx.asarray(y_true), nx.asarray(y_pred)
    check_same_shape("binary_cross_entropy", y_true, y_pred)
    if from_logits:
        terms = softplus(y_pred) - y_true * y_pred
    else:
        p = nx.clip(y_pred, EPSILON, 1 - EPSILON)
        terms = -(y_true * nx.log(p) + (1 - y_true) * nx.log1p(-p))
    return reduce(nx.mean(terms, axis=-1), reduction)


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

    p is y_pred kept above 1e-7, or softmax(y_pred) with from_logits, where nothing is cut off. y_true is a distribution
    a row (one-hot), or with sparse an integer class a row; without `sparse` its shape and dtype say which. A class
    outside the range gives NaN. Each row counts by the weight of its class; reduction "mean" divides by their sum.
    Shapes: y_pred [..., n], y_true [..., n] or [...]; result [...]. ShapeError for other shapes.

    >>> categorical_cross_entropy(nx.tensor([1, 0]), nx.tensor([[0.5, 0.5], [0.25, 0.75]]))
    float32[2] [0.693147, 1.386294]
    """
    name = "categorical_cross_entropy"
    y_true, y_pred = nx.asarray(y_true), nx.asarray(y_pred)
    log_p = log_softmax(y_pred) if from_logits else nx.log(nx.maximum(y_pred, EPSILON))
    if are_classes(name, y_true, y_pred, sparse):
        hot = one_hot(y_true, y_pred)
        rows = -nx.sum(nx.where(hot, log_p, 0), axis=-1)
        rows = nx.where((y_true < 0) | (y_true >= y_pred.shape[-1]), float("nan"), rows)
    else:
        hot = y_true
        rows = -nx.sum(y_true * log_p, axis=-1)
    if class_weights is None:
        return reduce(rows, reduction)
    if len(class_weights) != y_pred.shape[-1]:
        raise ShapeError(
            f"{name}: expected {y_pred.shape[-1]} class_weights, got {len(class_weights)}; give one a class"
        )
    weights = nx.sum(hot * nx.asarray(class_weights, dtype=y_pred.dtype), axis=-1)
    if reduction == "mean":
        return nx.sum(rows * weights) / nx.sum(weights)
    return reduce(rows * weights, reduction)


# Losses that can work from the logits of an activation: a model that ends in it is trained from its logits.
LOGITS: dict[Callable[..., Tensor], str] = {categorical_cross_entropy: "softmax", binary_cross_entropy: "sigmoid"}
