"""What a loop's handlers see and give back: where the loop is, and what has been reached."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from .step import StepState, read

Event = Literal[
    "started", "epoch_started", "iteration_started", "iteration_completed", "epoch_completed", "epoch_halted", "halted",
    "completed",
]  # fmt: skip
EVENTS: tuple[Event, ...] = Event.__args__  # type: ignore[attr-defined]
Status = Literal["running", "halt_epoch", "halted", "interrupted", "diverged", "completed", "ready"]


class State(NamedTuple):
    """An immutable value; a handler that wants to change it returns another.

    epoch: from 1, the one under way; iteration: how many steps were taken in it; step_count: how many in all. step:
    tensors, valid until the next step uses them up: `state` is what the loop's pair takes and gives, whose `model` a
    handler finds as `step.model`, too: `copy.deepcopy(state.step.model)` keeps the weights. validation:
    the last validation's metrics. history: one dict an epoch. memory: what handlers keep from event to event.
    mid_epoch: whether the epoch is not over: a run that goes on from here takes the rest of its batches.
    """

    epoch: int
    epochs: int
    iteration: int
    step: StepState
    validation: dict[str, float] = {}  # noqa: RUF012  (a default of an immutable tuple; never written to)
    history: tuple[dict[str, float], ...] = ()
    memory: dict[str, Any] = {}  # noqa: RUF012
    status: Status = "running"
    step_count: int = 0
    mid_epoch: bool = False

    @property
    def metrics(self) -> dict[str, float]:
        """The epoch's metrics so far (NaN before its first batch) and the last validation's: waits for the device, so
        ask for it rarely."""
        return {**read(self.step.totals), **self.validation}

    @property
    def learning_rate(self) -> float | None:
        """What the last step was taken with (before any, what the first will be); None where the state
        holds none, as that of most pairs of functions. Waits for the device, so ask for it rarely."""
        return None if self.step.rate is None else float(self.step.rate)

    def halt_epoch(self) -> State:
        """The state that ends this epoch."""
        return self._replace(status="halt_epoch")

    def halt(self) -> State:
        """The state that ends the loop."""
        return self._replace(status="halted")

    def remember(self, name: str, value: Any) -> State:
        """The state with one entry of `memory` replaced."""
        return self._replace(memory={**self.memory, name: value})
