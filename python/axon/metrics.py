"""Metrics: what is measured of predictions (y_true, y_pred), a number for one batch or for a stream of them.

A metric whose value over many examples is the mean of its values is a plain function of a batch. Any other is a
`Metric`, which keeps totals from batch to batch: precision is a quotient of counts, and no mean of quotients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from . import losses, nx
from .errors import DTypeError, ShapeError
from .losses import are_classes, check_same_shape, class_numbers
from .nx import Tensor
from .options import plain_options
from .values import Value

__all__ = ["Metric", "accuracy", "mean_absolute_error", "mean_squared_error", "precision", "recall"]

Tree = Any  # nested containers of tensors


@dataclass(frozen=True, eq=False)
class Metric(Value):
    """A measure of a stream of batches: init() -> state, update(state, y_true, y_pred) -> state and result(state) ->
    number (any dtype, []).

    A loop compiles update and result into its step. The state is a tree of tensors that keep their shapes and dtypes;
    it begins anew in every epoch. Sums over many batches want float64, counts int64: float32 counts no further than
    2**24. Called with one batch, a metric gives that batch's result; keywords go to `update`, and functools.partial
    fixes them.

    >>> rmse = Metric(
    ...     "rmse",
    ...     init=lambda: (nx.zeros((), "float64"), nx.zeros((), "int64")),
    ...     update=lambda state, y, p: (state[0] + nx.sum((y - p) ** 2), state[1] + p.size),
    ...     result=lambda state: nx.sqrt(state[0] / state[1]),
    ... )
    >>> rmse(nx.tensor([[0.0], [0.0]]), nx.tensor([[3.0], [4.0]])).item() == 12.5**0.5
    True
    """

    name: str
    init: Callable[[], Tree]
    update: Callable[..., Tree]
    result: Callable[[Tree], Tensor]

    def __call__(self, y_true: Any, y_pred: Any, **options: Any) -> Tensor:
        return self.result(self.update(self.init(), y_true, y_pred, **options))

    def __repr__(self) -> str:
        return f"<metric {self.name}>"

    def __reduce__(self) -> Any:
        ours = globals().get(self.name) is self  # pickled by name, as functions are
        return self.name if ours else super().__reduce__()


class Mean(NamedTuple):
    """The state of a mean over examples: sums to float64's precision, and an exact count."""

    total: Tensor
    examples: Tensor


def mean(function: Callable[..., Any], name: str) -> Metric:
    """The metric of a function (y_true, y_pred) -> number: its mean over all examples, NaN where there were none.

    >>> largest = mean(lambda y, p: nx.max(p), "largest")
    >>> state = largest.update(largest.init(), nx.zeros(3), nx.tensor([1.0, 2.0, 3.0]))
    >>> largest.result(largest.update(state, nx.zeros(1), nx.tensor([7.0]))).item()
    4.0
    """

    def update(state: Mean, y_true: Any, y_pred: Tensor, **options: Any) -> Mean:
        count = examples(y_pred)
        value = scalar(f"metric {name}", function(y_true, y_pred, **options))
        return Mean(state.total + value.astype(nx.float64) * count, state.examples + count)

    return Metric(
        name,
        lambda: Mean(nx.zeros((), dtype=nx.float64), nx.zeros((), dtype=nx.int64)),
        update,
        lambda state: state.total / state.examples.astype(nx.float64),
    )


def scalar(name: str, value: Any) -> Tensor:
    """A loss or a metric as a tensor, which must be one number."""
    try:
        number = nx.asarray(value)
    except DTypeError:
        raise DTypeError(f"{name}: expected one number, got {type(value).__name__}; return a tensor") from None
    if number.shape:
        raise ShapeError(f'{name}: expected one number, got {number.type}; reduce it, with reduction="mean" or nx.mean')
    return number


def examples(y_pred: Tensor) -> int:
    """How many examples a prediction is of: the size of its first axis."""
    return y_pred.shape[0] if y_pred.shape else 1


def as_metric(metric: Callable[..., Any], name: str) -> Metric:
    """A Metric, or a partial of one, under a name; the mean of any other function."""
    if isinstance(metric, Metric):
        return replace(metric, name=name)
    if isinstance(metric, partial) and isinstance(metric.func, Metric) and not metric.args:
        return replace(metric.func, name=name, update=partial(metric.func.update, **metric.keywords))
    return mean(metric, name)


def _share(masks: Callable[..., tuple[Tensor, Tensor]]) -> Metric:
    """The metric of a function that gives two masks: how many there are of the first / of the second, float32 []; 0
    where the second has none."""

    def update(state: tuple[Tensor, ...], y_true: Any, y_pred: Any, **options: Any) -> tuple[Tensor, ...]:
        found = masks(y_true, y_pred, **options)
        return tuple([count + nx.sum(mask).astype(count.dtype) for count, mask in zip(state, found, strict=True)])

    def result(state: tuple[Tensor, ...]) -> Tensor:
        part, whole = (count.astype(nx.float64) for count in state)
        return (part / nx.maximum(whole, 1)).astype(nx.float32)

    metric = Metric(masks.__name__, lambda: (nx.zeros((), dtype=nx.int64),) * 2, update, result)
    metric.__dict__.update(__wrapped__=masks, __name__=masks.__name__, __doc__=masks.__doc__)  # as a function has them
    return metric


def accuracy(y_true: Tensor, y_pred: Tensor, *, sparse: bool | None = None, from_logits: bool = False) -> Tensor:
    """The share of rows whose largest prediction is at the true class; where rows have one value, a threshold decides:
    0.5, or 0 for logits.

    y_true holds one-hot rows or, with sparse, an integer class a row; without `sparse` its shape and dtype say which.
    A row with a NaN among its predictions or targets is wrong: what is not known to be right does not count.
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
        true = class_numbers(y_true) if classes else nx.argmax(0 + y_true, axis=-1)  # of bools, too
        known = ~nx.isnan(nx.max(y_pred, axis=-1))
        if not classes:
            known = known & ~nx.isnan(nx.max(0 + y_true, axis=-1))
        hits = nx.argmax(y_pred, axis=-1).astype(true.dtype) == true
    return nx.mean((hits & known).astype(nx.float32))


@_share
@plain_options
def precision(y_true: Tensor, y_pred: Tensor, *, threshold: float = 0.5) -> tuple[Tensor, Tensor]:
    """True positives / all predicted positives, where a value above the threshold is positive; 0 where there are none.
    Over many batches: of all their counts.

    Shapes: equal; result []. ShapeError when they differ.

    >>> precision(nx.tensor([1.0, 0.0, 1.0]), nx.tensor([0.9, 0.8, 0.1]))
    float32[] 0.5
    """
    true, predicted = _positives("precision", y_true, y_pred, threshold)
    return true & predicted, predicted


@_share
@plain_options
def recall(y_true: Tensor, y_pred: Tensor, *, threshold: float = 0.5) -> tuple[Tensor, Tensor]:
    """True positives / all that are positive, a value above the threshold being predicted so; 0 where there are none.
    Over many batches: of all their counts.

    Shapes: equal; result []. ShapeError when they differ.

    >>> recall(nx.tensor([1.0, 0.0, 1.0]), nx.tensor([0.9, 0.8, 0.1]))
    float32[] 0.5
    """
    true, predicted = _positives("recall", y_true, y_pred, threshold)
    return true & predicted, true


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
    return y_true > 0.5, y_pred > threshold
