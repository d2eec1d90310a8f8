"""Carrying out a loop: epochs, batches, events, validation, and stopping when asked to."""

from __future__ import annotations

import math
import operator
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..defn import Definition
from ..errors import note
from ..model import ModelState
from .data import NoBatches, Source
from .handlers import Dispatcher
from .progress import Progress, own_line_for_errors
from .state import State
from .step import Totals, no_totals, read


class Steps(NamedTuple):
    """The jitted steps of a loop."""

    train: Definition  # (StepState, x, y) -> StepState
    evaluate: Definition  # (Totals, ModelState, x, y) -> Totals


class Runner(NamedTuple):
    """All that stays the same while a loop runs."""

    steps: Steps
    data: Source
    iterations: int | None  # at most so many batches an epoch
    validation: tuple[Source, int] | None  # data, every how many epochs
    fire: Dispatcher
    progress: bool
    names: tuple[str, ...]  # of the loss and the metrics

    def all(self, now: State) -> State:
        """Run the epochs that are left."""
        with own_line_for_errors(self.progress), interrupts() as interrupted:
            began, now = now.epoch, self.fire("started", now)
            while now.status == "running" and now.epoch < now.epochs:
                try:
                    now = _obeyed(self.epoch(now, interrupted), interrupted)
                except NoBatches as error:
                    if now.epoch == began:
                        raise
                    now = _ended(now, error)
        if now.status == "running":
            return self.fire("completed", now._replace(status="completed"))
        return self.fire("halted", now) if now.status == "halted" else now

    def epoch(self, now: State, interrupted: Callable[[], bool]) -> State:
        """Run one epoch: the batches, the validation, one entry of history."""
        now = now._replace(
            epoch=now.epoch + 1,
            iteration=0,
            validation={},
            step=now.step._replace(totals=no_totals(self.names)),
        )
        now = self.fire("epoch_started", now)
        batches = min(filter(None, (self.iterations, operator.length_hint(self.data))), default=None)
        line = Progress(now.epoch, now.epochs, batches, self.progress)
        began, now = time.perf_counter(), _obeyed(self.batches(now, line, interrupted), interrupted)
        means, seconds = read(now.step.totals), time.perf_counter() - began
        if self.validation and now.status == "running" and now.epoch % self.validation[1] == 0:
            try:
                found = measure(self.steps.evaluate, now.step.model, self.validation[0], self.names, interrupted)
                now = _obeyed(now, interrupted)
            except NoBatches as error:
                now, found = _ended(now, error), {}
            if now.status == "running":  # else it was cut off
                now = now._replace(validation={f"validation_{name}": value for name, value in found.items()})
        line.finish({**means, **now.validation})
        if math.isnan(means["loss"]) and not any(math.isnan(h["loss"]) for h in now.history):
            note(
                f"run: the loss is NaN in epoch {now.epoch}; are all class numbers in range, is the learning rate too "
                f"high? `with axon.debug():` around the run names the op"
            )
        now = now._replace(history=(*now.history, {"epoch": now.epoch, **means, **now.validation, "seconds": seconds}))
        if now.status == "halt_epoch":
            return self.fire("epoch_halted", now._replace(status="running"))
        return self.fire("epoch_completed", now) if now.status == "running" else now

    def batches(self, now: State, line: Progress, interrupted: Callable[[], bool]) -> State:
        """Run the steps of one epoch."""
        for x, y in self.data.epoch(now.epoch):
            now = self.fire("iteration_started", now._replace(iteration=now.iteration + 1))
            now = now._replace(step=self.steps.train(now.step, x, y))
            now = self.fire("iteration_completed", now)
            line.update(now.iteration, examples(x), now.step.totals)
            if interrupted() or now.status != "running" or now.iteration == self.iterations:
                break
        return now


def measure(
    step: Callable[..., Totals],
    state: ModelState,
    data: Source,
    names: Iterable[str],
    interrupted: Callable[[], bool] = lambda: False,
) -> dict[str, float]:
    """The means over all examples of some data, by an evaluation step; over those so far when interrupted."""
    totals = no_totals(names)
    for x, y in data.epoch(0):
        totals = step(totals, state, x, y)
        if interrupted():
            break
    return read(totals)


def examples(x: Any) -> int:
    """How many examples a batch's inputs hold."""
    shape = np.shape(tree.leaves(x)[0])
    return shape[0] if shape else 1


def _obeyed(now: State, interrupted: Callable[[], bool]) -> State:
    return now._replace(status="interrupted") if interrupted() else now


def _ended(now: State, error: NoBatches) -> State:
    """The state that ends the loop because data has run out, with what was reached."""
    note(f"{error}; the run ends after epoch {now.epoch}")
    return now.halt()


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
