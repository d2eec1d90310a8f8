"""Events, the filters that choose among them, and handlers made of a few words."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Literal

from ..errors import CLEAR
from ..values import remembered
from .state import EVENTS, Event, State

Handle = Callable[[State], "State | None"]  # None keeps the state


def at_least(least: int, name: str, value: int | None) -> None:
    """Refuse a count below `least` (ValueError) or anything but an integer (TypeError); None is no count."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, Integral)):
        raise TypeError(f"{name}, an integer, got {value!r}")
    if value is not None and value < least:
        raise ValueError(f"{name} of at least {least}, got {value}")


@dataclass(frozen=True)
class Handler:
    """A function called at every `every`-th time of an event that comes after the time `after` and before the time
    `before`, only the first of all with `once`, and only when `when(state)` holds."""

    event: Event
    handle: Handle
    every: int = 1
    after: int = 0
    before: int | None = None
    once: bool = False
    when: Callable[[State], bool] | None = None

    def __post_init__(self) -> None:
        if self.event not in EVENTS:
            raise ValueError(f"handle: expected one of {', '.join(EVENTS)}, got {self.event!r}")
        if not callable(self.handle):
            raise TypeError(f"handle: expected a function of the loop's state, got {self.handle!r}")
        for name, least in (("every", 1), ("after", 0), ("before", 0)):
            at_least(least, f"handle: expected {name}", getattr(self, name))

    def __call__(self, count: int, state: State) -> State:
        """The state after the event's `count`-th time (from 1)."""
        if (
            count % self.every
            or count <= self.after
            or (self.before is not None and count >= self.before)
            or (self.once and count > 1)
            or (self.when is not None and not self.when(state))
        ):
            return state
        after = self.handle(state)
        if after is not None and not isinstance(after, State):
            raise TypeError(
                f"handle: expected None or a State from the handler of {self.event}, got {type(after).__name__}; "
                f"state.remember(name, value) keeps a value"
            )
        return state if after is None else after


class Dispatcher:
    """Calls handlers in the order in which they were attached, and counts events while a loop runs."""

    def __init__(self, handlers: Sequence[Handler]) -> None:
        self._handlers = {event: [h for h in handlers if h.event == event] for event in EVENTS}
        self._counts = dict.fromkeys(EVENTS, 0)

    def __call__(self, event: Event, state: State) -> State:
        self._counts[event] += 1
        for h in self._handlers[event]:
            state = h(self._counts[event], state)
        return state


@remembered
def log(message: Callable[[State], str]) -> Handle:
    """A handler that prints the line message(state).

    >>> log(lambda state: f"epoch {state.epoch}")(State(3, 9, 0, None))
    epoch 3
    """

    def handle(state: State) -> None:
        sys.stdout.write((CLEAR if sys.stdout.isatty() else "") + message(state) + "\n")

    return handle


@remembered
def early_stop(metric: str, *, patience: int = 3, mode: Literal["min", "max"] = "min", restore: bool = False) -> Handle:
    """A handler that ends the loop when a metric has not got better (lower, or higher with mode "max") more than
    `patience` times in a row.

    With restore, the run ends with the weights (what the state calls `model`, a ModelState of a trainer; else all of
    it) of the best epoch, also where its last epoch is reached first; a copy of them is kept. It is for
    "epoch_completed". ValueError for another mode, a patience below 0, and when it is called for a metric that the loop
    does not have.

    >>> from axon import Loop, input, nx
    >>> data = [(nx.ones((4, 2)), nx.ones((4, 1)))]
    >>> loop = Loop.trainer(input("x", shape=(None, 2)).dense(1), "mean_squared_error", "adam", progress=False)
    >>> loop.handle("epoch_completed", early_stop("loss", mode="max", patience=1)).run(data, epochs=9).status
    'halted'
    """
    if mode not in ("min", "max"):
        raise ValueError(f'early_stop: expected mode "min" or "max", got {mode!r}')
    at_least(0, "early_stop: expected patience", patience)
    sign = 1.0 if mode == "min" else -1.0
    name = f"early_stop {metric}"

    def handle(state: State) -> State:
        metrics = state.metrics
        if metric not in metrics:
            raise ValueError(
                f"early_stop: expected one of {', '.join(metrics)}, got {metric!r}; attach it to the loop, "
                f"and handle the event as often as it is measured (every=n)"
            )
        best, bad, model = state.memory.get(name, (float("inf"), 0, None))
        value = sign * metrics[metric]
        if value < best:
            best, bad, model = value, 0, copy.deepcopy(state.step.model) if restore else None
        else:
            bad += 1
        state = state.remember(name, (best, bad, model))
        ends = bad > patience or (state.epoch >= state.epochs and not state.mid_epoch)
        if ends and model is not None:
            state = state._replace(step=state.step.with_model(copy.deepcopy(model)))
        return state.halt() if bad > patience else state

    return handle
