"""Measures of a stream of batches: a `Metric` keeps a state from batch to batch, and a plain function its mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from . import nx, tree
from .errors import DTypeError, ShapeError
from .nx import Tensor
from .values import Value, named

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
        return self.name if named(self) else super().__reduce__()  # by name, as functions are


class Mean(NamedTuple):
    """The state of a mean over examples: sums to float64's precision, and an exact count."""

    total: Tensor
    examples: Tensor


def mean(function: Callable[..., Any], name: str, count: int | None = None) -> Metric:
    """The metric of a function (y_true, y_pred) -> number: its mean over all examples, NaN where there were none. A
    batch has `count` examples, by default those of the last argument.

    >>> largest = mean(lambda y, p: nx.max(p), "largest")
    >>> state = largest.update(largest.init(), nx.zeros(3), nx.tensor([1.0, 2.0, 3.0]))
    >>> largest.result(largest.update(state, nx.zeros(1), nx.tensor([7.0]))).item()
    4.0
    """

    def update(state: Mean, *parts: Any, **options: Any) -> Mean:
        weight = examples(parts[-1]) if count is None else count
        value = scalar(f"metric {name}", function(*parts, **options))
        return Mean(state.total + value.astype(nx.float64) * weight, state.examples + weight)

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


def examples(y_pred: Any) -> int:
    """How many examples a prediction is of: the size of its first axis, or of that of the first of several outputs."""
    first = tree.leaves(y_pred)[0]
    return first.shape[0] if first.shape else 1


def as_metric(metric: Callable[..., Any], name: str, count: int | None = None) -> Metric:
    """A Metric, or a partial of one, under a name; the mean of any other function over batches of `count` examples."""
    if isinstance(metric, Metric):
        return replace(metric, name=name)
    if isinstance(metric, partial) and isinstance(metric.func, Metric) and not metric.args:
        return replace(metric.func, name=name, update=partial(metric.func.update, **metric.keywords))
    return mean(metric, name, count)


def counted(number: int, result: Callable[..., Tensor]) -> Callable[[Callable[..., tuple[Tensor, ...]]], Metric]:
    """Make the metric of a function (y_true, y_pred, options) that gives a number of masks: result(how many there are
    of the first, of the second, ...), counts in int64."""

    def metric_of(masks: Callable[..., tuple[Tensor, ...]]) -> Metric:
        def update(state: tuple[Tensor, ...], y_true: Any, y_pred: Any, **options: Any) -> tuple[Tensor, ...]:
            found = masks(y_true, y_pred, **options)
            return tuple([count + nx.sum(mask).astype(count.dtype) for count, mask in zip(state, found, strict=True)])

        name = masks.__name__
        metric = Metric(name, lambda: (nx.zeros((), dtype=nx.int64),) * number, update, lambda state: result(*state))
        as_function = {"__module__": masks.__module__, "__name__": name, "__qualname__": name, "__doc__": masks.__doc__}
        metric.__dict__.update(as_function, __wrapped__=masks)
        return metric

    return metric_of
