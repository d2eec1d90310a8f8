"""What a loop's handlers see and give back: where the loop is, and what has been reached."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from .step import StepState, read

Event = Literal[
    "started", "epoch_started", "iteration_started", "iteration_completed", "epoch_completed", "epoch_halted", "halted",
    "completed",
]  # fmt: skip
EVENTS: tuple[Event, ...] = Event.__args__  # type: ignore[attr-defined]
Status = Literal["running", "halt_epoch", "halted", "interrupted", "completed"]


class State(NamedTuple):
    """An immutable value; a handler that wants to change it returns another.

    epoch, iteration: from 1, the ones under way. step: tensors, valid until the next step uses them up. validation: the
    last validation's metrics. history: one dict a finished epoch. memory: what handlers keep from event to event.
    """

    epoch: int
    epochs: int
    iteration: int
    step: StepState
    validation: dict[str, float] = {}  # noqa: RUF012  (a default of an immutable tuple; never written to)
    history: tuple[dict[str, float], ...] = ()
    memory: dict[str, Any] = {}  # noqa: RUF012
    status: Status = "running"

    @property
    def metrics(self) -> dict[str, float]:
        """The epoch's running means and the last validation's: waits for the device, so ask for it rarely."""
        return {**read(self.step.totals), **self.validation}

    def halt_epoch(self) -> State:
        """The state that ends this epoch."""
        return self._replace(status="halt_epoch")

    def halt(self) -> State:
        """The state that ends the loop."""
        return self._replace(status="halted")

    def remember(self, name: str, value: Any) -> State:
        """The state with one entry of `memory` replaced."""
        return self._replace(memory={**self.memory, name: value})
