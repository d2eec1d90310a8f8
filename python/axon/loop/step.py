"""What runs on the device: one train step or one evaluation step as one jitted call, with metrics kept there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .. import nx, tree
from ..defn import Definition, jit
from ..errors import DTypeError, ShapeError, StructureError
from ..model import Model, ModelState, forward
from ..nx import Tensor
from ..streams import as_metric, examples, scalar
from ..training import Loss, TrainState, model_step, objective
from ..updates import Update

Measure = Callable[..., Any]  # a Metric, a partial of one, or (y_true, y_pred) -> number, whose mean is meant
Metrics = Mapping[str, Measure]


class Totals(NamedTuple):
    """What metrics keep over an epoch, the loss among them, and their results so far."""

    states: dict[str, Any]
    results: dict[str, Tensor]


class Watch(NamedTuple):
    """How the epoch's losses went. good: the number of batches while all were finite; -n once the n-th was not. first:
    the first loss; last: the last finite one before."""

    good: Tensor
    first: Tensor
    last: Tensor


class StepState(NamedTuple):
    """All that a train step takes and gives. It is donated: a step uses up the one it is given. rate: where the
    optimizer can say it, what the last step was taken with (before any: what the first will be)."""

    model: ModelState
    optimizer: Any
    totals: Totals
    watch: Watch
    rate: Tensor | None


def no_totals(metrics: Metrics) -> Totals:
    """What metrics keep before the first batch."""
    states = {
        name: tree.map(lambda t: nx.asarray(t, copy=True), as_metric(metric, name).init())
        for name, metric in metrics.items()
    }
    return Totals(states, {name: nx.full((), float("nan"), dtype=nx.float64) for name in metrics})


def read(totals: Totals) -> dict[str, float]:
    """The results so far. With `found_bad` all that the loop waits for the device for, and reads from it."""
    return {name: float(result) for name, result in totals.results.items()}


def no_watch() -> Watch:
    """Before an epoch's first batch."""
    return Watch(nx.zeros((), dtype=nx.int32), nx.full((), float("nan")), nx.full((), float("nan")))


def found_bad(watch: Watch) -> int:
    """The number (from 1) of the epoch's first batch whose loss was not finite, or 0."""
    return max(-int(watch.good), 0)


def _added(totals: Totals, metrics: Metrics, y_true: Any, y_pred: Tensor) -> Totals:
    states, results = {}, {}
    for name, given in metrics.items():
        metric, before = as_metric(given, name), totals.states[name]
        states[name] = _kept(name, before, metric.update(before, y_true, y_pred))
        results[name] = scalar(f"metric {name}", metric.result(states[name])).astype(nx.float64)
    return Totals(states, results)


def _kept(name: str, before: Any, after: Any) -> Any:
    """The state after an update, in the dtypes of the one before: another shape or structure would retrace the step."""
    text = f"metric {name}: expected update to give a state like the one it took"
    try:
        after = tree.map(lambda old, new: nx.asarray(new).astype(old.dtype), before, after)
    except (StructureError, DTypeError) as error:
        raise StructureError(f"{text}, got another ({error}); give the containers that init gives") from None
    for old, new in zip(tree.leaves(before), tree.leaves(after)):
        if new.shape != old.shape:
            raise ShapeError(f"{text}, {old.type}, got {new.type}; reduce it, or change init")
    return after


def _watched(watch: Watch, loss: Tensor) -> Watch:
    loss, good = loss.astype(nx.float32), watch.good
    fine = (good >= 0) & nx.isfinite(loss)
    return Watch(
        good=nx.where(good < 0, good, nx.where(fine, 1, -1) * (good + 1)),
        first=nx.where((good >= 0) & nx.isnan(watch.first), loss, watch.first),
        last=nx.where(fine, loss, watch.last),
    )


def learning_rate(optimizer: Any, state: Any) -> Tensor | None:
    """What the next step is taken with (float64 []), where the optimizer can say."""
    found = optimizer.learning_rate(state) if isinstance(optimizer, Update) else None
    return None if found is None else nx.ones((), dtype=nx.float64) * found


def measures(metrics: Metrics, loss: Any = None) -> Metrics:
    """The loss and the metrics; a loss by its value where there is one, to count with the others."""
    return {"loss": lambda y_true, y_pred: loss, **metrics}


def first(model: ModelState, optimizer: Any, metrics: Metrics, compiler: str | None) -> StepState:
    """The state before the first step."""
    init_update, _ = optimizer
    state = jit(init_update, compiler=compiler)(model.parameters)
    return StepState(model, state, no_totals(measures(metrics)), no_watch(), learning_rate(optimizer, state))


def make_train_step(model: Model, loss: Loss, optimizer: Any, metrics: Metrics, compiler: str | None) -> Definition:
    """step_fn(state, x, y) -> state, in training mode. A batch without examples is counted, and changes nothing."""
    advance = model_step(model, loss, optimizer)

    def train_step(state: StepState, x: Any, y: Any) -> StepState:
        after, value, y_pred = advance(TrainState(state.model, state.optimizer), x, y)
        if not examples(y_pred):
            good = state.watch.good
            return state._replace(watch=state.watch._replace(good=nx.where(good < 0, good, good + 1)))
        totals = _added(state.totals, measures(metrics, value), y, y_pred)
        return StepState(*after, totals, _watched(state.watch, value), learning_rate(optimizer, state.optimizer))

    return jit(train_step, compiler=compiler, donate=0)


def make_evaluation_step(model: Model, loss: Loss | None, metrics: Metrics, compiler: str | None) -> Definition:
    """step_fn(totals, state, x, y) -> totals, in inference mode. A batch without examples changes nothing."""
    function = None if loss is None else objective(model, loss, "inference")

    def evaluation_step(totals: Totals, state: ModelState, x: Any, y: Any) -> Totals:
        if function is None:
            measured, y_pred = metrics, forward(model, state, x, "inference").values[model]
        else:
            value, extra = function(state.parameters, state, x, y)
            measured, y_pred = measures(metrics, value), extra.y_pred
        return _added(totals, measured, y, y_pred) if examples(y_pred) else totals

    return jit(evaluation_step, compiler=compiler)
