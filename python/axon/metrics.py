"""Metrics: what is measured of predictions (y_true, y_pred), a number for one batch or for a stream of them.

A metric whose value over many examples is the mean of its values is a plain function of a batch. Any other is a
`Metric`, which keeps totals from batch to batch: precision is a quotient of counts, and no mean of quotients.

Those of decisions (precision, recall, the counts of true and false ones) call a prediction above a threshold positive,
and a target above 0.5, so that labels may be 0 and 1 or -1 and 1. NaN is above nothing, and no right answer either.
"""

from __future__ import annotations

from . import losses, nx
from .asks import asks, decisions, hits, numbers
from .nx import Tensor
from .options import plain_options
from .rows import alike, are_classes, check_rows, check_same_shape, class_numbers, one_hot
from .streams import Metric, counted

__all__ = [
    "Metric", "accuracy", "false_negatives", "false_positives", "mean_absolute_error", "mean_squared_error",
    "precision", "recall", "sensitivity", "specificity", "top_k_categorical_accuracy", "true_negatives",
    "true_positives",
]  # fmt: skip


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """One count / another, float32; 0 where there is none."""
    return (part.astype(nx.float64) / nx.maximum(whole.astype(nx.float64), 1)).astype(nx.float32)


@asks(hits)
@plain_options
def accuracy(y_true: Tensor, y_pred: Tensor, *, sparse: bool | None = None, from_logits: bool = False) -> Tensor:
    """The share of rows whose largest prediction is at the true class; where rows have one value, a threshold decides:
    0.5, or 0 for logits.

    y_true holds one-hot rows or, with sparse, an integer class a row; without `sparse` its shape and dtype say which.
    A row with a NaN among its predictions or targets is wrong: only predictions known to be right count.
    Shapes: y_pred [..., n], y_true [..., n] or [...]; result []. ShapeError for other shapes.

    >>> accuracy(nx.tensor([1, 0]), nx.tensor([[0.4, 0.6], [0.1, 0.9]]))
    float32[] 0.5
    """
    y_true, y_pred = nx.asarray(y_true), nx.asarray(y_pred)
    if y_pred.shape[-1:] == (1,) or (y_pred.ndim < 2 and y_pred.shape == y_true.shape):
        check_same_shape("accuracy", y_true, y_pred)
        known = ~(nx.isnan(y_true) | nx.isnan(y_pred))
        hits = (y_true > 0.5) == (y_pred > (0.0 if from_logits else 0.5))
    else:
        classes = are_classes("accuracy", y_true, y_pred, sparse)
        true = class_numbers(y_true) if classes else nx.argmax(0 + y_true, axis=-1)  # 0 +: of bools, too
        known = ~nx.isnan(nx.max(0 + y_pred, axis=-1))
        if not classes:
            known = known & ~nx.isnan(nx.max(0 + y_true, axis=-1))
        hits = nx.argmax(0 + y_pred, axis=-1).astype(true.dtype) == true
    return nx.mean((hits & known).astype(nx.float32))


@asks(hits, columns=2)
@plain_options
def top_k_categorical_accuracy(y_true: Tensor, y_pred: Tensor, *, k: int = 5, sparse: bool | None = None) -> Tensor:
    """The share of rows whose true class has one of the k largest predictions; of equal ones the first is the largest.

    y_true holds one-hot rows or, with sparse, an integer class a row; without `sparse` its shape and dtype say which.
    A row with a NaN among its predictions or targets, or with a class outside the range, is wrong.
    Shapes: y_pred [..., n], y_true [..., n] or [...]; result []. ShapeError for other shapes, ValueError when k is not
    in 1..n.

    >>> top_k_categorical_accuracy(nx.tensor([1, 0]), nx.tensor([[0.5, 0.3, 0.2], [0.1, 0.3, 0.6]]), k=2)
    float32[] 0.5
    """
    name = "top_k_categorical_accuracy"
    y_true, y_pred = nx.asarray(y_true), nx.asarray(y_pred)
    check_rows(name, y_pred)
    n = y_pred.shape[-1]
    if not isinstance(k, int) or not 1 <= k <= n:
        raise ValueError(f"{name}: expected k from 1 to {n}, the number of classes, got {k!r}; give another k")
    classes = are_classes(name, y_true, y_pred, sparse)
    true = class_numbers(y_true) if classes else nx.argmax(0 + y_true, axis=-1)  # of bools, too
    hot = one_hot(true, y_pred)
    own = nx.sum(nx.where(hot, y_pred, 0), axis=-1, keepdims=True)
    before = nx.arange(n, dtype=true.dtype) < nx.expand_dims(true, axis=-1)
    rank = nx.sum((y_pred > own) | ((y_pred == own) & before), axis=-1)
    known = ~nx.any(nx.isnan(y_pred), axis=-1) & nx.any(hot, axis=-1)
    if not classes:
        known = known & ~nx.any(nx.isnan(y_true), axis=-1)
    return nx.mean(((rank < k) & known).astype(nx.float32))


@asks(decisions)
@counted(2, _share)
@plain_options
def precision(y_true: Tensor, y_pred: Tensor, *, threshold: float = 0.5) -> tuple[Tensor, ...]:
    """True positives / all predicted positives, where a value above the threshold is positive; 0 where there are none.
    Over many batches: of all their counts.

    Shapes: equal; result []. ShapeError when they differ.

    >>> precision(nx.tensor([1.0, 0.0, 1.0]), nx.tensor([0.9, 0.8, 0.1]))
    float32[] 0.5
    """
    true, predicted, _ = _decisions("precision", y_true, y_pred, threshold)
    return true & predicted, predicted


@asks(decisions)
@counted(2, _share)
@plain_options
def recall(y_true: Tensor, y_pred: Tensor, *, threshold: float = 0.5) -> tuple[Tensor, ...]:
    """True positives / all that are positive, a value above the threshold being predicted so; 0 where there are none.
    Over many batches: of all their counts.

    Shapes: equal; result []. ShapeError when they differ.

    >>> recall(nx.tensor([1.0, 0.0, 1.0]), nx.tensor([0.9, 0.8, 0.1]))
    float32[] 0.5
    """
    true, predicted, _ = _decisions("recall", y_true, y_pred, threshold)
    return true & predicted, true


@asks(decisions)
@counted(2, _share)
@plain_options
def sensitivity(y_true: Tensor, y_pred: Tensor, *, threshold: float = 0.5) -> tuple[Tensor, ...]:
    """Recall, by its other name: true positives / all that are positive; 0 where there are none.

    Shapes: equal; result []. ShapeError when they differ.

    >>> sensitivity(nx.tensor([1.0, 0.0, 1.0]), nx.tensor([0.9, 0.8, 0.1]))
    float32[] 0.5
    """
    true, predicted, _ = _decisions("sensitivity", y_true, y_pred, threshold)
    return true & predicted, true


@asks(decisions)
@counted(2, _share)
@plain_options
def specificity(y_true: Tensor, y_pred: Tensor, *, threshold: float = 0.5) -> tuple[Tensor, ...]:
    """True negatives / all that are negative, a value up to the threshold being predicted so; 0 where there are none.
    Over many batches: of all their counts.

    Shapes: equal; result []. ShapeError when they differ.

    >>> specificity(nx.tensor([1.0, 0.0, 0.0]), nx.tensor([0.9, 0.8, 0.1]))
    float32[] 0.5
    """
    true, predicted, known = _decisions("specificity", y_true, y_pred, threshold)
    return known & ~true & ~predicted, ~true


@asks(decisions)
@counted(1, nx.positive)
@plain_options
def true_positives(y_true: Tensor, y_pred: Tensor, *, threshold: float = 0.5) -> tuple[Tensor, ...]:
    """How many values above the threshold are positive; over many batches, in all of them.

    Shapes: equal; result int64 []. ShapeError when they differ.

    >>> true_positives(nx.tensor([1.0, 0.0, 1.0, 0.0]), nx.tensor([0.9, 0.8, 0.1, 0.2]))
    int64[] 1
    """
    true, predicted, _ = _decisions("true_positives", y_true, y_pred, threshold)
    return (true & predicted,)


@asks(decisions)
@counted(1, nx.positive)
@plain_options
def true_negatives(y_true: Tensor, y_pred: Tensor, *, threshold: float = 0.5) -> tuple[Tensor, ...]:
    """How many values up to the threshold are negative; over many batches, in all of them.

    Shapes: equal; result int64 []. ShapeError when they differ.

    >>> true_negatives(nx.tensor([1.0, 0.0, 1.0, 0.0]), nx.tensor([0.9, 0.8, 0.1, 0.2]))
    int64[] 1
    """
    true, predicted, known = _decisions("true_negatives", y_true, y_pred, threshold)
    return (known & ~true & ~predicted,)


@asks(decisions)
@counted(1, nx.positive)
@plain_options
def false_positives(y_true: Tensor, y_pred: Tensor, *, threshold: float = 0.5) -> tuple[Tensor, ...]:
    """How many values above the threshold are not positive; over many batches, in all of them.

    Shapes: equal; result int64 []. ShapeError when they differ.

    >>> false_positives(nx.tensor([1.0, 0.0, 1.0, 0.0]), nx.tensor([0.9, 0.8, 0.1, 0.2]))
    int64[] 1
    """
    true, predicted, _ = _decisions("false_positives", y_true, y_pred, threshold)
    return (predicted & ~true,)


@asks(decisions)
@counted(1, nx.positive)
@plain_options
def false_negatives(y_true: Tensor, y_pred: Tensor, *, threshold: float = 0.5) -> tuple[Tensor, ...]:
    """How many values not above the threshold are positive; over many batches, in all of them.

    Shapes: equal; result int64 []. ShapeError when they differ.

    >>> false_negatives(nx.tensor([1.0, 0.0, 1.0, 0.0]), nx.tensor([0.9, 0.8, 0.1, 0.2]))
    int64[] 1
    """
    true, predicted, _ = _decisions("false_negatives", y_true, y_pred, threshold)
    return (true & ~predicted,)


@asks(numbers)
@plain_options
def mean_absolute_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The mean of |y_true - y_pred| over all elements.

    Shapes: equal; result []. ShapeError when they differ.

    >>> mean_absolute_error(nx.tensor([[0.0, 1.0]]), nx.tensor([[1.0, 3.0]]))
    float32[] 1.5
    """
    (y_true, y_pred), _ = alike("mean_absolute_error", y_true, y_pred)
    return losses.mean_absolute_error(y_true, y_pred, reduction="mean")


@asks(numbers)
@plain_options
def mean_squared_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The mean of (y_true - y_pred)**2 over all elements.

    Shapes: equal; result []. ShapeError when they differ.

    >>> mean_squared_error(nx.tensor([[0.0, 1.0]]), nx.tensor([[1.0, 3.0]]))
    float32[] 2.5
    """
    (y_true, y_pred), _ = alike("mean_squared_error", y_true, y_pred)
    return losses.mean_squared_error(y_true, y_pred, reduction="mean")


def _decisions(name: str, y_true: Tensor, y_pred: Tensor, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
    """What is positive, what is predicted so, and where neither is NaN."""
    y_true, y_pred = nx.asarray(y_true), nx.asarray(y_pred)
    check_same_shape(name, y_true, y_pred)
    return y_true > 0.5, y_pred > threshold, ~(nx.isnan(y_true) | nx.isnan(y_pred))
