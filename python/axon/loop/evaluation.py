"""Measuring a model's state in one call: the loop of an evaluator, without events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..metrics import Metric
from ..model import Model, ModelState
from ..model.graph import check_model
from ..model.state import check_state
from ..training import Loss
from .data import Data
from .loop import Loop
from .measures import Measure, Measured, find_metric


def evaluate(
    model: Model,
    state: ModelState,
    data: Data,
    metrics: str | Metric | Iterable[str | Metric] | Mapping[str, str | Measure] = "accuracy",
    loss: Loss | None = None,
    *,
    compiler: str | None = None,
) -> dict[str, float]:
    """Some metrics (see Loop.metric), and the loss where given, over all examples of `data`, batches (x, y), in
    inference mode.

    data: as for `Loop.run`; x and y have the shapes that model, metrics and loss take. ValueError for an unknown name,
    when there are no batches and for targets that do not fit, TypeError when model, state or data are of another form.

    >>> from axon.model import init, input
    >>> model = input("x", shape=(None, 3)).softmax()
    >>> evaluate(model, init(model), [(nx.eye(3), nx.arange(3)), (nx.eye(3)[:1], nx.tensor([2]))])
    {'accuracy': 0.75}
    """
    check_model(model, "evaluate")
    check_state(state, "evaluate")
    asked = (metrics,) if isinstance(metrics, (str, Metric)) else metrics
    pairs: Any = asked.items() if isinstance(asked, Mapping) else [(None, metric) for metric in asked]
    found = dict(find_metric(metric, name) for name, metric in pairs)
    loop = replace(Loop.evaluator(model, loss, progress=False), metrics={n: Measured(m) for n, m in found.items()})
    return loop.measured(loop.source("evaluate", data), compiler, state)
