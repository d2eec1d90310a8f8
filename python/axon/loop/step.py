"""What runs on the device: one train step or one evaluation step as one jitted call, with metrics summed there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from .. import nx
from ..defn import Definition, jit
from ..model import Model, ModelState, forward
from ..nx import Tensor
from ..training import Loss, TrainState, model_step, objective, scalar

Metric = Callable[[Any, Tensor], Tensor]  # of (y_true, y_pred), one number for a batch
Metrics = Mapping[str, Metric]


class Totals(NamedTuple):
    """Running sums over an epoch: each metric times the batch's examples, and how many examples there were."""

    sums: dict[str, Tensor]
    examples: Tensor


class StepState(NamedTuple):
    """All that a train step takes and gives. It is donated: a step uses up the one it is given."""

    model: ModelState
    optimizer: Any
    totals: Totals


def no_totals(names: Iterable[str]) -> Totals:
    """The sums before the first batch."""
    return Totals({name: nx.zeros(()) for name in names}, nx.zeros(()))


def read(totals: Totals) -> dict[str, float]:
    """The means so far: the one place where the loop waits for the device and reads from it."""
    examples = max(float(totals.examples), 1.0)
    return {name: float(total) / examples for name, total in totals.sums.items()}


def _added(totals: Totals, metrics: Metrics, y_true: Any, y_pred: Tensor, **known: Tensor) -> Totals:
    examples = y_pred.shape[0] if y_pred.shape else 1
    values = {**known, **{name: scalar(f"metric {name}", metric(y_true, y_pred)) for name, metric in metrics.items()}}
    sums = {name: total + values[name].astype(total.dtype) * examples for name, total in totals.sums.items()}
    return Totals(sums, totals.examples + examples)


def first(model: ModelState, optimizer: Any, metrics: Metrics, compiler: str | None) -> StepState:
    """The state before the first step."""
    init_update, _ = optimizer
    return StepState(model, jit(init_update, compiler=compiler)(model.parameters), no_totals(("loss", *metrics)))


def make_train_step(model: Model, loss: Loss, optimizer: Any, metrics: Metrics, compiler: str | None) -> Definition:
    """step_fn(state, x, y) -> state, in training mode."""
    advance = model_step(model, loss, optimizer)

    def train_step(state: StepState, x: Any, y: Any) -> StepState:
        after, value, y_pred = advance(TrainState(state.model, state.optimizer), x, y)
        return StepState(*after, _added(state.totals, metrics, y, y_pred, loss=value))

    return jit(train_step, compiler=compiler, donate=0)


def make_evaluation_step(model: Model, loss: Loss | None, metrics: Metrics, compiler: str | None) -> Definition:
    """step_fn(totals, state, x, y) -> totals, in inference mode."""
    function = None if loss is None else objective(model, loss, "inference")

    def evaluation_step(totals: Totals, state: ModelState, x: Any, y: Any) -> Totals:
        if function is None:
            return _added(totals, metrics, y, forward(model, state, x, "inference").values[model])
        value, extra = function(state.parameters, state, x, y)
        return _added(totals, metrics, y, extra.y_pred, loss=value)

    return jit(evaluation_step, compiler=compiler)
