"""Metrics: functions (y_true, y_pred) that give one number for a batch, as float32 []."""

from __future__ import annotations

from . import losses, nx
from .losses import are_classes, check_same_shape, class_numbers
from .nx import Tensor

__all__ = ["accuracy", "mean_absolute_error", "mean_squared_error", "precision", "recall"]

_TINY = 1e-16  # keeps a quotient of counts finite where nothing was counted


def accuracy(y_true: Tensor, y_pred: Tensor, *, sparse: bool | None = None, from_logits: bool = False) -> Tensor:
    """The share of rows whose largest prediction is at the true class; where rows have one value, a threshold decides:
    0.5, or 0 for logits.

    y_true holds one-hot rows or, with sparse, an integer class a row; without `sparse` its shape and dtype say which.
    A row with a NaN among its predictions is wrong: what a model did not say is no right answer.
    Shapes: y_pred [..., n], y_true [..., n] or [...]; result []. ShapeError for other shapes.

    >>> accuracy(nx.tensor([1, 0]), nx.tensor([[0.4, 0.6], [0.1, 0.9]]))
    float32[] 0.5
    """
    y_true, y_pred = nx.asarray(y_true), nx.asarray(y_pred)
    if y_pred.shape[-1:] == (1,) or (y_pred.ndim < 2 and y_pred.shape == y_true.shape):
        check_same_shape("accuracy", y_true, y_pred)
        said = y_pred
        hits = (y_true > 0.5) == (y_pred > (0.0 if from_logits else 0.5))
    else:
        classes = are_classes("accuracy", y_true, y_pred, sparse)
        true = class_numbers(y_true) if classes else nx.argmax(0 + y_true, axis=-1)  # of bools, too
        said = nx.max(y_pred, axis=-1)
        hits = nx.argmax(y_pred, axis=-1).astype(true.dtype) == true
    return nx.mean((hits & ~nx.isnan(said)).astype(nx.float32))


def precision(y_true: Tensor, y_pred: Tensor, *, threshold: float = 0.5) -> Tensor:
    """True positives / all predicted positives, where a value above the threshold is positive; 0 where there are none.

    Shapes: equal; result []. ShapeError when they differ.

    >>> precision(nx.tensor([1.0, 0.0, 1.0]), nx.tensor([0.9, 0.8, 0.1]))
    float32[] 0.5
    """
    true, predicted = _positives("precision", y_true, y_pred, threshold)
    return nx.sum(true * predicted) / (nx.sum(predicted) + _TINY)


def recall(y_true: Tensor, y_pred: Tensor, *, threshold: float = 0.5) -> Tensor:
    """True positives / all that are positive, a value above the threshold being predicted so; 0 where there are none.

    Shapes: equal; result []. ShapeError when they differ.

    >>> recall(nx.tensor([1.0, 0.0, 1.0]), nx.tensor([0.9, 0.8, 0.1]))
    float32[] 0.5
    """
    true, predicted = _positives("recall", y_true, y_pred, threshold)
    return nx.sum(true * predicted) / (nx.sum(true) + _TINY)


def mean_absolute_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The mean of |y_true - y_pred| over all elements.

    Shapes: equal; result []. ShapeError when they differ.

    >>> mean_absolute_error(nx.tensor([[0.0, 1.0]]), nx.tensor([[1.0, 3.0]]))
    float32[] 1.5
    """
    (y_true, y_pred), _ = losses.alike("mean_absolute_error", y_true, y_pred)
    return losses.mean_absolute_error(y_true, y_pred, reduction="mean")


def mean_squared_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The mean of (y_true - y_pred)**2 over all elements.

    Shapes: equal; result []. ShapeError when they differ.

    >>> mean_squared_error(nx.tensor([[0.0, 1.0]]), nx.tensor([[1.0, 3.0]]))
    float32[] 2.5
    """
    (y_true, y_pred), _ = losses.alike("mean_squared_error", y_true, y_pred)
    return losses.mean_squared_error(y_true, y_pred, reduction="mean")


def _positives(name: str, y_true: Tensor, y_pred: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    y_true, y_pred = nx.asarray(y_true), nx.asarray(y_pred)
    check_same_shape(name, y_true, y_pred)
    return (y_true > 0.5).astype(nx.float32), (y_pred > threshold).astype(nx.float32)
