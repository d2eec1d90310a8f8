"""The progress line: plain text, rewritten in place on a terminal, printed once an epoch elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from ..errors import CLEAR
from .step import StepState, found_bad

Numbers = Mapping[str, float]
INTERVAL = 0.1  # seconds between two refreshes, so that reading the metrics costs nothing that can be felt


def in_words(metrics: Numbers) -> list[str]:
    """Each metric's name and value: four digits behind the point, below 0.01 four that say something; what is below
    1e-4 or huge has an exponent.

    >>> in_words({"loss": 0.25, "learning_rate": 0.003, "mean_squared_error": 2e-5})
    ['loss 0.2500', 'learning rate 0.003000', 'mean squared error 2.000e-05']
    """

    def number(value: float) -> str:
        return f"{value:.4f}" if value == 0 or 1e-2 <= abs(value) < 1e6 else f"{value:#.4g}"

    return [f"{name.replace('_', ' ')} {number(value)}" for name, value in metrics.items()]


@contextmanager
def own_line_for_errors(shown: bool) -> Iterator[None]:
    """Leave the live line before an error's text is printed."""
    try:
        yield
    except BaseException:
        if shown and sys.stdout.isatty():
            sys.stdout.write("\n")
        raise


class Progress:
    """One epoch's line. `update` is cheap: it counts, and only now and then looks at the metrics."""

    def __init__(self, epoch: int, epochs: int, batches: int | None, shown: bool) -> None:
        self._head = f"epoch {epoch:>{len(str(epochs))}}/{epochs}"
        self._batches, self._shown, self._live = batches, shown, shown and sys.stdout.isatty()
        self._batch = self._examples = self._traced = 0  # of the examples those whose step was traced for them
        self._spent = 0.0  # in such steps
        self._began = self._last = self._now = time.perf_counter()

    def update(
        self,
        batch: int,
        examples: int,
        step: StepState,
        measured: Callable[[StepState], Numbers],
        traced: bool = False,
    ) -> int:
        """Count a batch; refresh the line if it is on a terminal and a tenth of a second old. The number of the epoch's
        first bad loss, if it was looked for and found. traced: its step was traced and compiled."""
        before, self._now, self._batch = self._now, time.perf_counter(), batch
        self._examples += examples
        if traced:
            self._traced += examples
            self._spent += self._now - before
        if not self._live or self._now - self._last < INTERVAL:
            return 0
        self._last = self._now
        columns = shutil.get_terminal_size().columns
        self._write(self.text(measured(step))[: columns - 1])  # a line that wraps could not be rewritten
        return found_bad(step.watch)

    def finish(self, metrics: Numbers) -> None:
        """Print the epoch's last line; its rate is that of the batches alone."""
        if self._shown:
            self._write(self.text(metrics) + "\n")

    def text(self, metrics: Numbers) -> str:
        """The line: epoch, batch, metrics, examples a second, without what was traced unless that is all there is."""
        batch = f"{self._batch:>{len(str(self._batches))}}/{self._batches}" if self._batches else str(self._batch)
        traced, spent = (self._traced, self._spent) if self._examples > self._traced else (0, 0.0)
        rate = (self._examples - traced) / max(self._now - self._began - spent, 1e-9)
        return "   ".join([self._head, f"batch {batch}", *in_words(metrics), f"{rate:,.0f} examples/s"])

    def _write(self, line: str) -> None:
        sys.stdout.write((CLEAR if self._live else "") + line)
        sys.stdout.flush()
