"""What a loop measures: metrics by name, and what of a step's result each takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .. import metrics
from ..names import named
from .pairs import Pair

Measure = Callable[..., Any]  # a Metric, a partial of one, or a function -> number, whose mean is meant
ROWS = {name: getattr(metrics, name) for name in metrics.__all__ if name != "Metric"}
COLUMNS = ("loss", "learning_rate", "epoch", "seconds")  # of the history, beside the metrics


class Measured(NamedTuple):
    """A metric, and what of a step's result it takes, by name; "batch" is the batch."""

    metric: Measure
    of: tuple[str, ...] = ("y_true", "y_pred")


Metrics = Mapping[str, Measured]


def itself(value: Any) -> Any:
    """A number that a step gives, whose mean over the batches' examples is shown."""
    return value


def measures(pair: Pair, metrics: Metrics) -> Metrics:
    """What a loop measures: what its pair always shows, and the metrics."""
    return {**{name: Measured(itself, (name,)) for name in pair.shown}, **metrics}


def find_metric(metric: str | Measure, name: str | None = None, free: Sequence[str] = ()) -> tuple[str, Measure]:
    """(name, metric) of a metric given by name, as a Metric, or as a function with a name; `free`: columns of the
    history that the loop does not fill itself."""
    name = name or (metric if isinstance(metric, str) else getattr(metric, "name", None))
    metric = named("metric", ROWS, metric, " or a function")
    if name is None:
        raise ValueError(
            "metric: expected a name beside a function, got none; write (function, name=...) or {name: function}"
        )
    if name in {*COLUMNS} - {*free} or name.startswith("validation_"):
        raise ValueError(f"metric: expected a new name, got {name!r}, which the history has; pass another name=")
    return name, metric  # type: ignore[return-value]


def of_names(of: str | Sequence[str]) -> tuple[str, ...]:
    """Names of what a metric is of; TypeError where they are none."""
    names = (of,) if isinstance(of, str) else tuple(of)
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f'metric: expected names as of, got {of!r}; write of=("y_true", "y_pred")')
    return names
