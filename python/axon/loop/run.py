"""Carrying out a loop: epochs, batches, events, validation, and stopping when asked to."""

from __future__ import annotations

import operator
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..defn import Definition
from ..errors import NonFiniteError, note
from .data import Batch, NoBatches, Source, rows
from .divergence import explained
from .handlers import Dispatcher
from .measures import Metrics
from .pairs import Pair
from .progress import Progress, own_line_for_errors
from .state import State
from .step import StepState, found_bad, no_totals, no_watch, read

Validation = Callable[[Any, Callable[[], bool]], dict[str, float]]  # of a state: its metrics, until interrupted


@dataclass
class Runner:
    """A run under way: what stays the same while it goes on, and the last state from which another run could."""

    pair: Pair
    steps: Definition  # (StepState, *batch) -> StepState
    data: Source
    iterations: int | None  # at most so many batches an epoch
    validation: tuple[Validation, int] | None  # and every how many epochs
    fire: Dispatcher
    progress: bool
    metrics: Metrics  # the loss among them
    reached: State

    def all(self) -> State:
        """Run the epochs that are left."""
        began = self.reached.step_count
        try:
            with own_line_for_errors(self.progress), interrupts() as interrupted:
                return self.epochs(interrupted)
        except BaseException as error:
            if self.pair.trains and self.reached.step_count > began:
                attach(error, self.reached)
            raise

    def epochs(self, interrupted: Callable[[], bool]) -> State:
        """The same, by whoever asks for interrupts."""
        epoch = self.reached.epoch
        now = self.fire("started", self.reached)
        while now.status == "running" and now.epoch + (not now.mid_epoch) <= now.epochs:
            try:
                now = _obeyed(self.epoch(now, interrupted), interrupted)
            except NoBatches as error:
                if now.epoch == epoch:
                    raise
                now = _ended(now, error)
            self.reached = now
        if now.status == "running":
            now = self.fire("completed", now._replace(status="completed"))
        elif now.status in ("halted", "diverged"):
            now = self.fire("halted", now)
        return now

    def epoch(self, now: State, interrupted: Callable[[], bool]) -> State:
        """Run one epoch, or the rest of one: the batches, the validation, one entry of history."""
        spent = 0.0
        if now.mid_epoch:  # the part that was run has an entry where the run did not end by an error
            spent = sum(h["seconds"] for h in now.history if h["epoch"] == now.epoch)
            now = now._replace(history=tuple([h for h in now.history if h["epoch"] != now.epoch]))
        else:
            fresh = now.step._replace(totals=no_totals(self.metrics), watch=no_watch())
            now = self.fire("epoch_started", now._replace(epoch=now.epoch + 1, iteration=0, validation={}, step=fresh))
        batches = min(filter(None, (self.iterations, operator.length_hint(self.data))), default=None)
        line = Progress(now.epoch, now.epochs, batches, self.progress)
        began, now = time.perf_counter(), _obeyed(self.batches(now, line, interrupted), interrupted)
        measured, seconds = self.measured(now.step), spent + time.perf_counter() - began
        if bad := found_bad(now.step.watch):
            now = now._replace(status="diverged")
            note(explained(self.pair, now, bad, self.batch(now.epoch, bad)))
        if self.validation and now.status == "running" and now.epoch % self.validation[1] == 0:
            try:
                found = self.validation[0](self.pair.result(now.step.state), interrupted)
                now = _obeyed(now, interrupted)
            except NoBatches as error:
                now, found = _ended(now, error), {}
            if now.status == "running":  # else it was cut off
                now = now._replace(validation={f"validation_{name}": value for name, value in found.items()})
        line.finish({**measured, **now.validation})
        entry = {"epoch": now.epoch, **measured, **now.validation, "seconds": seconds}
        now = now._replace(history=(*now.history, entry), mid_epoch=now.status not in ("running", "halt_epoch"))
        self.reached = now
        if now.status == "halt_epoch":
            return self.fire("epoch_halted", now._replace(status="running"))
        return self.fire("epoch_completed", now) if now.status == "running" else now

    def batches(self, now: State, line: Progress, interrupted: Callable[[], bool]) -> State:
        """Run the steps of one epoch that are left: those of a run that never stopped."""
        batches = self.pass_of(now.epoch)
        for _ in range(now.iteration):
            if next(batches, None) is None:
                raise ValueError(
                    f"run: expected the {now.iteration} batches that the state has behind it in this epoch, got fewer; "
                    f"pass the data it was trained on, or leave the epoch by state._replace(mid_epoch=False)"
                )
        left = None if self.iterations is None else max(self.iterations - now.iteration, 0)
        for batch in islice(batches, left):
            count = rows(batch)
            number, total = now.iteration + 1, now.step_count + (count > 0)
            now = self.fire("iteration_started", now._replace(iteration=number, step_count=total, mid_epoch=True))
            traces = self.steps.traces
            now = now._replace(step=self.step(now.step, batch))
            self.reached = now
            now = self.fire("iteration_completed", now)
            bad = line.update(now.iteration, count, now.step, self.measured, self.steps.traces > traces)
            if bad or interrupted() or now.status != "running":
                break
        return now

    def step(self, before: StepState, batch: Batch) -> StepState:
        """One step; under `debug` its error also says what is wrong with the batch."""
        try:
            after = self.steps(before, *batch)
        except NonFiniteError as error:
            if found := self.pair.look(before.state, batch):
                error.add_note(found)
            raise
        return after if self.pair.trains else after._replace(state=before.state)

    def pass_of(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch; an evaluation's are in the order of epoch 0, whichever it is."""
        return self.data.epoch(epoch if self.pair.trains else 0)

    def batch(self, epoch: int, number: int) -> Batch | None:
        """One batch of an epoch, by its number from 1; None where the data cannot be passed over again."""
        if not self.data.again:
            return None
        try:
            return next(islice(self.pass_of(epoch), number - 1, None), None)
        except Exception:  # the user's, while the run's result is what counts
            return None

    def measured(self, step: StepState) -> dict[str, float]:
        """What history and the progress line show of a step's state."""
        rate = {} if step.rate is None or not self.pair.scheduled else {"learning_rate": float(step.rate)}
        return {**read(step.totals), **rate}


def attach(error: BaseException, reached: State) -> None:
    """Give an error that ends a run the state from which another can go on."""
    with suppress(AttributeError):  # an exception with slots
        error.last = reached  # type: ignore[attr-defined]
        where = f"iteration {reached.iteration} of epoch {reached.epoch}"
        error.add_note(f"run: {where} was completed before; run(..., state=error.last) goes on from there")


def _obeyed(now: State, interrupted: Callable[[], bool]) -> State:
    return now._replace(status="interrupted") if interrupted() else now


def _ended(now: State, error: NoBatches) -> State:
    """The state that ends the loop because data has run out, with what was reached."""
    note(f"{error}; the run ends after epoch {now.epoch}")
    return now.halt()


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Make the first Ctrl-C a question to ask between steps (the second raises), so that no step is lost half-way.
    Outside the main thread, which alone gets signals, the answer is always no; a run within another, in a handler, asks
    the same question."""
    asked: list[int] = []

    def note(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    outer = getattr(signal.getsignal(signal.SIGINT), "asked", None)
    if outer is not None:
        yield lambda: bool(outer)
        return
    note.asked = asked  # type: ignore[attr-defined]
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)
