"""Events, the filters that choose among them, and handlers made of a few words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from .state import EVENTS, Event, State

Handle = Callable[[State], "State | None"]  # None keeps the state


class Handler(NamedTuple):
    """A function called at an event, the times that its filter lets through; `count` is 1 at the event's first time."""

    event: Event
    handle: Handle
    chosen: Callable[[int, State], bool]


def handler(
    event: Event,
    handle: Handle,
    *,
    every: int = 1,
    after: int = 0,
    before: int | None = None,
    once: bool = False,
    when: Callable[[State], bool] | None = None,
) -> Handler:
    """Call `handle` at every `every`-th time of an event that comes after the time `after` and before the time
    `before`, only the first of all with `once`, and only when `when(state)` holds."""
    if event not in EVENTS:
        raise ValueError(f"handle: expected one of {', '.join(EVENTS)}, got {event!r}")

    def chosen(count: int, state: State) -> bool:
        return (
            count % every == 0
            and count > after
            and (before is None or count < before)
            and (not once or count == 1)
            and (when is None or when(state))
        )

    return Handler(event, handle, chosen)


class Dispatcher:
    """Calls handlers in the order in which they were attached, and counts events while a loop runs."""

    def __init__(self, handlers: Sequence[Handler]) -> None:
        self._handlers = {event: [h for h in handlers if h.event == event] for event in EVENTS}
        self._counts = dict.fromkeys(EVENTS, 0)

    def __call__(self, event: Event, state: State) -> State:
        self._counts[event] += 1
        for h in self._handlers[event]:
            if h.chosen(self._counts[event], state):
                state = h.handle(state) or state
        return state


def log(message: Callable[[State], str]) -> Handle:
    """A handler that prints a line."""

    def handle(state: State) -> None:
        sys.stdout.write(message(state) + "\n")

    return handle


def early_stop(metric: str, *, patience: int = 3, mode: Literal["min", "max"] = "min") -> Handle:
    """A handler that ends the loop when a metric has not got better more than `patience` times in a row."""
    sign = {"min": 1.0, "max": -1.0}[mode]
    name = f"early_stop {metric}"

    def handle(state: State) -> State:
        metrics = state.metrics
        if metric not in metrics:
            raise ValueError(f"early_stop: expected one of {', '.join(metrics)}, got {metric!r}; attach it to the loop")
        best, bad = state.memory.get(name, (float("inf"), 0))
        value = sign * metrics[metric]
        best, bad = (value, 0) if value < best else (best, bad + 1)
        state = state.remember(name, (best, bad))
        return state.halt() if bad > patience else state

    return handle
