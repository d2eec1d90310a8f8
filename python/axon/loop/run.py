"""Carrying out a loop: epochs, batches, events, validation, and stopping when asked to."""

from __future__ import annotations

import operator
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..datasets.batches import Batches
from ..defn import Definition
from ..model import ModelState
from .handlers import Dispatcher
from .progress import Progress
from .state import State
from .step import Totals, no_totals, read

Batch = tuple[Any, Any]
Data = Iterable[Batch]


class Functions(NamedTuple):
    """The jitted steps of a loop."""

    train: Definition  # (StepState, x, y) -> StepState
    evaluate: Definition  # (Totals, ModelState, x, y) -> Totals


class Run(NamedTuple):
    """All that stays the same while a loop runs."""

    functions: Functions
    data: Data
    iterations: int | None  # at most so many batches an epoch
    validation: tuple[Data, int] | None  # data, every how many epochs
    fire: Dispatcher
    progress: bool

    def all(self, now: State) -> State:
        """Run the epochs that are left."""
        with interrupts() as interrupted:
            now = self.fire("started", now)
            while now.status == "running" and now.epoch < now.epochs:
                now = self.epoch(now, interrupted)
        if now.status == "running":
            return self.fire("completed", now._replace(status="completed"))
        return self.fire("halted", now) if now.status == "halted" else now

    def epoch(self, now: State, interrupted: Callable[[], bool]) -> State:
        """Run one epoch: the batches, the validation, one entry of history."""
        now = now._replace(
            epoch=now.epoch + 1,
            iteration=0,
            validation={},
            step=now.step._replace(totals=no_totals(now.step.totals.sums)),
        )
        now = self.fire("epoch_started", now)
        line = Progress(
            now.epoch, now.epochs, self.iterations or operator.length_hint(self.data) or None, self.progress
        )
        began, now = time.perf_counter(), self.batches(now, line, interrupted)
        means, seconds = read(now.step.totals), time.perf_counter() - began
        if self.validation and now.status == "running" and now.epoch % self.validation[1] == 0:
            found = measure(self.functions.evaluate, now.step.model, self.validation[0], now.step.totals.sums)
            now = now._replace(validation={f"validation_{name}": value for name, value in found.items()})
        line.finish({**means, **now.validation})
        now = now._replace(history=(*now.history, {"epoch": now.epoch, **means, **now.validation, "seconds": seconds}))
        if now.status == "halt_epoch":
            return self.fire("epoch_halted", now._replace(status="running"))
        return self.fire("epoch_completed", now) if now.status == "running" else now

    def batches(self, now: State, line: Progress, interrupted: Callable[[], bool]) -> State:
        """Run the steps of one epoch."""
        for x, y in of_epoch(self.data, now.epoch):
            now = self.fire("iteration_started", now._replace(iteration=now.iteration + 1))
            now = now._replace(step=self.functions.train(now.step, x, y))
            now = self.fire("iteration_completed", now)
            line.update(now.iteration, examples(x), now.step.totals)
            if interrupted():
                now = now._replace(status="interrupted")
            if now.status != "running" or now.iteration == self.iterations:
                break
        if now.iteration == 0:
            raise ValueError(
                f"run: expected batches in epoch {now.epoch}, got none; pass a list, not a used-up generator"
            )
        return now


def measure(step: Callable[..., Totals], state: ModelState, data: Data, names: Iterable[str]) -> dict[str, float]:
    """The means over all examples of some data, by an evaluation step."""
    totals = no_totals(names)
    for x, y in of_epoch(data, 0):
        totals = step(totals, state, x, y)
    return read(totals)


def of_epoch(data: Data, epoch: int) -> Iterator[Batch]:
    """The batches of one epoch: a batcher's in that epoch's order, else what the data iterates over."""
    return iter(data.epoch(epoch) if isinstance(data, Batches) else data)


def examples(x: Any) -> int:
    """How many examples a batch's inputs hold."""
    first = x
    while isinstance(first, (Mapping, tuple, list)):
        first = next(iter(first.values() if isinstance(first, Mapping) else first))
    return first.shape[0] if first.shape else 1


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Make the first Ctrl-C a question to ask between steps (the second raises), so that no step is lost half-way.
    Outside the main thread, which alone gets signals, the answer is always no."""
    asked: list[int] = []

    def note(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)
