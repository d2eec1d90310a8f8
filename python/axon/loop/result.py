"""What a run gives back."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any

from ..io import save
from .measures import COLUMNS
from .progress import in_words
from .state import State, Status


@dataclass(frozen=True, repr=False)
class Result:
    """What a run has reached: the model's state (of a pair of the user's: all of its state), one dict an epoch (its
    metrics, the last step's learning_rate where a schedule gives it), and the loop's last state, from which `run(...,
    state=result.last)` goes on."""

    state: Any
    history: tuple[dict[str, float], ...]
    last: State

    @property
    def status(self) -> Status:
        """completed; halted (by a handler); interrupted (by Ctrl-C); diverged (the loss became infinite or NaN); ready
        (epochs=0: nothing was trained)."""
        return self.last.status

    @property
    def metrics(self) -> dict[str, float]:
        """The last epoch's metrics."""
        last = self.history[-1] if self.history else {}
        return {name: value for name, value in last.items() if name not in COLUMNS or name == "loss"}

    def __repr__(self) -> str:
        last = self.history[-1] if self.history else {}
        reached = in_words({name: value for name, value in last.items() if name not in ("epoch", "seconds")})
        return f"<Result {', '.join([f'{self.status} at epoch {len(self.history)}', *reached])}>"

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model's state to a safetensors file."""
        save(path, self.state)
