"""What runs on the device: a step of any pair as one jitted call, with metrics kept there.

A step gives the next state, or `Stepped(state, named)`. What the loop wants of it (the loss to watch, what metrics are
of) it asks by name: an entry of `named`, or an entry or field of the state.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .. import nx, tree
from ..defn import Definition, jit
from ..errors import DTypeError, ShapeError, StructureError
from ..nx import Tensor
from ..streams import as_metric, scalar
from .data import rows
from .measures import Metrics, measures
from .pairs import Pair, Stepped


def part_of(result: Any, name: str) -> Any:
    """What a step's result, or a state, calls so; None where it calls nothing so."""
    found = result.get(name) if isinstance(result, Mapping) else getattr(result, name, None)
    return None if callable(found) else found


def _names(result: Any) -> Sequence[Any]:
    if isinstance(result, Mapping):
        return list(result)
    is_dataclass = dataclasses.is_dataclass(result)
    return [f.name for f in dataclasses.fields(result)] if is_dataclass else getattr(result, "_fields", ())


def replaced(state: Any, name: str, value: Any) -> Any:
    """A state with what it calls so replaced."""
    if isinstance(state, Mapping):
        return type(state)({**state, name: value})  # type: ignore[call-arg]
    change: Any = dataclasses.replace if dataclasses.is_dataclass(state) else type(state)._replace
    return change(state, **{name: value})


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
    """All that a step takes and gives. One that trains is donated it: it uses up the one that it is given. state: the
    pair's; rate: where that has a learning rate, what the last step was taken with (before any: what the first will
    be)."""

    state: Any
    totals: Totals
    watch: Watch
    rate: Tensor | None

    @property
    def model(self) -> Any:
        """What the state calls its model, such as a trainer's ModelState; the whole of it where it calls nothing so."""
        model = part_of(self.state, "model")
        return self.state if model is None else model

    @property
    def optimizer(self) -> Any:
        """The optimizer's state, of a trainer."""
        return part_of(self.state, "optimizer")

    def with_model(self, model: Any) -> StepState:
        """With another `model`."""
        whole = part_of(self.state, "model") is None
        return self._replace(state=model if whole else replaced(self.state, "model", model))


def no_totals(metrics: Metrics) -> Totals:
    """What metrics keep before the first batch."""
    states = {
        name: tree.map(lambda t: nx.asarray(t, copy=True), as_metric(asked.metric, name).init())
        for name, asked in metrics.items()
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


def _added(totals: Totals, metrics: Metrics, result: Any, batch: Any, count: int) -> Totals:
    states, results = {}, {}
    for name, asked in metrics.items():
        metric, before = as_metric(asked.metric, name, count), totals.states[name]
        parts = [batch if part == "batch" else _part(name, result, part) for part in asked.of]
        states[name] = _kept(name, before, metric.update(before, *parts))
        results[name] = scalar(f"metric {name}", metric.result(states[name])).astype(nx.float64)
    return Totals(states, results)


def _part(metric: str, result: Any, name: str) -> Any:
    found = part_of(result, name)
    if found is None:
        shown = [n for n in _names(result) if part_of(result, n) is not None]
        names = ", ".join(map(str, shown)) or "nothing by name"
        raise ValueError(
            f"metric {metric}: expected a step that gives {name}, got one that gives {names}; return Stepped(state, "
            f'{{"{name}": ...}}), or say what the metric is of: .metric(..., of=names)'
        )
    return found


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


def _watched(watch: Watch, given: Any) -> Watch:
    """After a batch of that loss; a state may call something so that is no number, which is not watched."""
    if not isinstance(given, (int, float, Tensor)) or getattr(given, "shape", ()):
        return watch
    loss, good = nx.asarray(given).astype(nx.float32), watch.good
    fine = (good >= 0) & nx.isfinite(loss)
    return Watch(
        good=nx.where(good < 0, good, nx.where(fine, 1, -1) * (good + 1)),
        first=nx.where((good >= 0) & nx.isnan(watch.first), loss, watch.first),
        last=nx.where(fine, loss, watch.last),
    )


def first(pair: Pair, state: Any, metrics: Metrics) -> StepState:
    """A state of the pair as what the first step takes."""
    return StepState(state, no_totals(measures(pair, metrics)), no_watch(), pair.rate(state))


def make_step(pair: Pair, metrics: Metrics, compiler: str | None) -> Definition:
    """step_fn(state, *batch) -> state; of one that does not train the state's `state` is left out. A batch without
    examples is counted, and changes nothing."""
    measured = measures(pair, metrics)

    def advance(before: StepState, batch: tuple[Any, ...]) -> StepState:
        count, watch = rows(batch), before.watch
        if not count:
            good = watch.good
            following = before._replace(watch=watch._replace(good=nx.where(good < 0, good, good + 1)))
        else:
            whole = batch if pair.paired else batch[0]
            given = pair.step(whole, before.state)
            state, result = given if isinstance(given, Stepped) else (given, given)
            if pair.trains:
                state = _like("step", before.state, state)
                watch = _watched(watch, part_of(result, "loss"))
            totals = _added(before.totals, measured, result, whole, count)
            following = StepState(state, totals, watch, pair.rate(before.state))
        return following if pair.trains else following._replace(state=())

    def of_pairs(state: StepState, x: Any, y: Any) -> StepState:
        return advance(state, (x, y))

    def of_any(state: StepState, batch: Any) -> StepState:
        return advance(state, (batch,))

    step = of_pairs if pair.paired else of_any  # whose parameters a line about a trace names
    step.__name__ = step.__qualname__ = pair.name
    return jit(step, compiler=compiler, donate=0 if pair.trains else ())


def _like(name: str, before: Any, after: Any) -> Any:
    """A state after a step, whose structure and types are those of the one before: others would retrace every step."""
    try:
        after = tree.map(lambda old, new: nx.asarray(new), before, after)
    except (StructureError, DTypeError) as error:
        raise StructureError(
            f"{name}: expected a state like the one that it took, got another ({error}); give the containers that init "
            f"gives, and what is shown beside them as Stepped(state, named)"
        ) from None
    for path, old, new in zip(tree.paths(before), tree.leaves(before), tree.leaves(after)):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            place = tree.show(path) or "the state"
            raise ShapeError(
                f"{name}: expected {old.type} as {place}, which the step took, got {new.type}; keep the type"
            )
    return after
