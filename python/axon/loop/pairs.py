"""What a loop runs: a pair (init, step), with what a loop may ask of it besides. One of the user's, one that trains a
model, and one that evaluates it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from .. import nx, tree
from ..defn import jit
from ..model import Model, forward, init, needs_template
from ..model.state import ModelState, check_state
from ..nx import Tensor
from ..targets import Check
from ..training import TrainPair, TrainState, begun, objective, train_pair
from ..updates import RateState, Update, learning_rate
from ..values import Value
from .data import Look
from .divergence import look, not_finite

Sample = Callable[[], tuple[Any, ...]]  # the first batch, which the first epoch gives again


class Stepped(NamedTuple):
    """What a step gives that has more to show than its next state: what is measured of the batch, by name.

    >>> Stepped({"w": nx.zeros(2)}, {"loss": nx.tensor(0.5)}).named["loss"]
    float32[] 0.5
    """

    state: Any
    named: Mapping[str, Any] = {}


class Pair(Value, ABC):
    """What loops ask of a pair. name: its step's, in reports; paired: batches are (x, y); trains: a step changes the
    state, and uses up the one that it is given; scheduled: a learning rate that the state holds is shown."""

    name, paired, trains, scheduled = "step", False, True, True

    shown: tuple[str, ...] = ()  # numbers of a step that are measured in any case

    @property
    def evaluator(self) -> Pair | None:
        """What measures the `result` of a state without changing it."""
        return None

    @abstractmethod
    def begin(self, sample: Sample, key: Tensor | None, compiler: str | None) -> Any:
        """The state before the first step."""

    @abstractmethod
    def step(self, batch: Any, state: Any) -> Any:
        """The next state, or a Stepped."""

    def rate(self, state: Any) -> Tensor | None:
        """What the next step is taken with (float64 []), where the state holds a learning rate."""
        one = tree.structure(state).count(RateState) == 1
        return nx.ones((), dtype=nx.float64) * learning_rate(state) if one else None

    def another_rate(self, state: Any) -> str:
        """Which learning rate a state goes on with that is not the pair's own, in words; "" where there is none."""
        return ""

    def given(self, state: Any, compiler: str | None) -> Any:
        """A state that a run is to begin with, for steps to use up."""
        return copied(state)

    def holds(self, state: Any) -> bool:
        """Whether a state may be one that this pair's steps gave."""
        return True

    def weights(self, state: Any) -> Any:
        """What of a state no step makes numbers of again, once it is NaN."""
        return ()

    def check(self, functions: Iterable[Any]) -> Look | None:
        """What refuses a batch (x, y) that metrics cannot take."""
        return None

    def look(self, state: Any, batch: tuple[Any, ...]) -> str:
        """What of a batch makes a loss infinite or NaN; "" where nothing is found."""
        names = ("x", "y") if self.paired else ("an array",)
        return next(filter(None, map(not_finite, names, batch)), "")

    def result(self, state: Any) -> Any:
        """What a run gives as its state."""
        return state


@dataclass(frozen=True, eq=False)
class OwnPair(Pair):
    """A pair of the user's: init() -> state, of a batch and a key where it takes them, and step(batch, state)."""

    init: Callable[..., Any]
    advance: Callable[[Any, Any], Any]

    def begin(self, sample: Sample, key: Tensor | None, compiler: str | None) -> Any:
        return copied(begun(self.init, lambda: sample()[0], key))

    def step(self, batch: Any, state: Any) -> Any:
        return self.advance(batch, state)


@dataclass(frozen=True, eq=False)
class Trainer(Pair):
    """A train step: of a model and a loss, or of functions (init, objective) as the model, without a loss."""

    model: Any
    loss: Any
    optimizer: Any

    name, paired = "train_step", True

    @property
    def shown(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("loss",)

    @cached_property
    def made(self) -> TrainPair:
        return train_pair(self.model, self.loss, self.optimizer)

    @property
    def scheduled(self) -> bool:  # type: ignore[override]
        return getattr(self.optimizer, "scheduled", False)

    @property
    def evaluator(self) -> Pair:
        return Evaluator(self.model, self.loss)

    def begin(self, sample: Sample, key: Tensor | None, compiler: str | None) -> TrainState:
        return self.made.init(lambda: template(self.model, sample), key, compiler)

    def step(self, batch: Any, state: TrainState) -> Stepped:
        following, loss, y_pred = self.made.advance(state, *batch)
        return Stepped(following, {"loss": loss, "y_true": batch[1], "y_pred": y_pred})

    def rate(self, state: TrainState) -> Tensor | None:
        if not isinstance(self.optimizer, Update):
            return super().rate(state.optimizer)
        found = self.optimizer.learning_rate(state.optimizer)
        return None if found is None else nx.ones((), dtype=nx.float64) * found

    def another_rate(self, state: TrainState) -> str:
        if not isinstance(self.optimizer, Update) or (kept := self.rate(state)) is None:
            return ""
        fresh = self.optimizer.init(self.weights(state))
        if tree.structure(fresh) != tree.structure(state.optimizer) and self.scheduled:
            return f"the state goes on with its learning rate {float(kept):g}, not with the optimizer's schedule"
        own = self.optimizer.learning_rate(fresh)
        if self.scheduled or own is None or float(own) == float(kept):
            return ""
        return f"the state goes on with its learning rate {float(kept):g}, not with the optimizer's {float(own):g}"

    def given(self, state: Any, compiler: str | None) -> TrainState:
        model = state.model if isinstance(state, TrainState) else state
        if isinstance(self.model, Model):
            check_state(model, "run")
        if isinstance(state, TrainState):
            return copied(state)
        first, _ = self.optimizer
        return TrainState(copied(model), jit(first, compiler=compiler)(self.weights(TrainState(model, ()))))

    def holds(self, state: Any) -> bool:
        is_model = isinstance(self.model, Model)
        return isinstance(state, TrainState) and isinstance(state.model, ModelState) == is_model

    def weights(self, state: TrainState) -> Any:
        return state.model.parameters if isinstance(self.model, Model) else state.model

    def check(self, functions: Iterable[Any]) -> Look | None:
        return Check(self.model, (self.loss, *functions)) if isinstance(self.model, Model) else None

    def look(self, state: TrainState, batch: tuple[Any, ...]) -> str:
        is_model = isinstance(self.model, Model)
        return look(self.model, self.loss, state.model, *batch) if is_model else super().look(state, batch)

    def result(self, state: TrainState) -> Any:
        return state.model


@dataclass(frozen=True, eq=False)
class Evaluator(Pair):
    """An evaluation step, in inference mode: what a Trainer of the same shows, of a state that stays what it is."""

    model: Any
    loss: Any = None

    name, paired, trains = "evaluation_step", True, False

    @property
    def shown(self) -> tuple[str, ...]:  # type: ignore[override]
        return () if self.loss is None and isinstance(self.model, Model) else ("loss",)

    @cached_property
    def made(self) -> Any:
        """(state, x, y) -> what is shown."""
        model = self.model
        if not isinstance(model, Model):
            return lambda state, x, y: {"loss": model[1](state, x, y)}
        if self.loss is None:
            return lambda state, x, y: {"y_true": y, "y_pred": forward(model, state, x, "inference").values[model]}
        function = objective(model, self.loss, "inference")

        def measured(state: Any, x: Any, y: Any) -> dict[str, Any]:
            value, extra = function(state.parameters, state, x, y)
            return {"loss": value, "y_true": y, "y_pred": extra.y_pred}

        return measured

    def begin(self, sample: Sample, key: Tensor | None, compiler: str | None) -> Any:
        if not isinstance(self.model, Model):
            return copied(begun(self.model[0], lambda: sample()[0], key))
        return init(self.model, template(self.model, sample), key=key, compiler=compiler)

    def step(self, batch: Any, state: Any) -> Stepped:
        return Stepped(state, self.made(state, *batch))

    def given(self, state: Any, compiler: str | None) -> Any:
        if isinstance(self.model, Model):
            check_state(state, "run")
        return state

    def holds(self, state: Any) -> bool:
        return not isinstance(state, TrainState) and isinstance(state, ModelState) == isinstance(self.model, Model)

    def check(self, functions: Iterable[Any]) -> Look | None:
        asking = functions if self.loss is None else (self.loss, *functions)
        return Check(self.model, asking) if isinstance(self.model, Model) else None


def template(model: Any, sample: Sample) -> Any:
    """The inputs of a batch, where a model's shapes come from them, and for functions of the user's."""
    return sample()[0] if not isinstance(model, Model) or needs_template(model) else None


def copied(state: Any) -> Any:
    """A state for steps to use up, while the user keeps the one given."""
    return tree.map(lambda t: nx.asarray(t, copy=True), state)
