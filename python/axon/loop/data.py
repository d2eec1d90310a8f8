"""Where a loop's batches come from: data of any form, gone through once an epoch; its arrays are made here.

Data that has `epoch(number)` is asked for each epoch's batches by its number, from 1 in training: what shuffles by it
gives the same ones again to a run that goes on. What has `x` and `y`, too, has all its targets at hand.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

import numpy as np

from .. import tree
from ..arrays import arrays

Batch = tuple[Any, ...]  # (x, y), or a tree of arrays alone


class Loader(Protocol):
    """What makes the batches of each epoch by its number: `datasets.Batches`, or another."""

    def epoch(self, number: int, /) -> Iterator[Any]: ...


Data = Iterable[Any] | Loader | Callable[[], Iterable[Any] | Loader]
Look = Callable[[Any, Any], None]  # at a batch, to refuse it

AT_ONCE = 1 << 26  # bytes of targets that are looked at before the first step; more are looked at batch by batch


def rows(batch: Any) -> int:
    """How many examples a batch holds: the size of the first axis of its first array; 1 where it has none."""
    for first in tree.leaves(batch):
        shape = first.shape if hasattr(first, "shape") else np.shape(first)
        return shape[0] if shape else 1
    return 1


class NoBatches(ValueError):
    """Data had no batch left."""


class Source:
    """Data as one form: what iterates over batches, or a function that makes it anew each epoch.

    paired: batches are (x, y), and not any tree of arrays; `passes`: how many epochs will go through it, each to its
    end unless `iterations` are given. The batches of the first epoch are looked at. ValueError for an iterator that is
    to be gone through several times, TypeError for what cannot be gone through.
    """

    def __init__(
        self,
        name: str,
        data: Data,
        look: Look | None = None,
        *,
        passes: int = 1,
        iterations: int | None = None,
        paired: bool = True,
    ) -> None:
        self.name, self.data, self._look, self._paired = name, data, look, paired
        self._wanted = "batches (x, y)" if paired else "batches"
        self._once = iter(data) if isinstance(data, Iterator) and not _by_number(data) else None
        self._held: list[Batch] = []  # taken from the iterator, and put back
        if not _iterates(data):
            self._check_function()
        if not paired and hasattr(data, "__array__"):  # whose rows would be the batches
            raise TypeError(
                f"{name}: expected batches, got a {type(data).__name__}; cut it: [x[i : i + n] for i in ...]"
            )
        if self._once is not None and passes > 1 and iterations is None:
            raise ValueError(
                f"{name}: expected data for {passes} epochs, got a {type(data).__name__}, which is used up after one; "
                f"pass a list, or the function that makes the {type(data).__name__}, called anew each epoch"
            )
        if look is not None and self._at_hand and getattr(data.y, "nbytes", AT_ONCE) < AT_ONCE:  # type: ignore[union-attr]
            look(data.x, data.y)  # type: ignore[union-attr]
            self._look = None

    def _check_function(self) -> None:
        if not callable(self.data):
            raise TypeError(
                f"{self.name}: expected {self._wanted}, got a {type(self.data).__name__}; arrays are cut into them by "
                f"axon.datasets.batches(x, y)"
            )
        try:
            inspect.signature(self.data).bind()
        except TypeError as error:
            raise TypeError(
                f"{self.name}: expected a function without arguments that makes the batches, got one with them "
                f"({error}); write lambda: function(...)"
            ) from None
        except ValueError:  # a function written in C
            pass

    def __length_hint__(self) -> int:
        """How many batches are left, 0 where that is not known."""
        return len(self._held) + operator.length_hint(self.data)

    @property
    def _at_hand(self) -> bool:
        return _by_number(self.data) and hasattr(self.data, "x") and hasattr(self.data, "y")

    @property
    def again(self) -> bool:
        """Whether data can be gone through from its beginning at any time."""
        return self._once is None

    def first(self) -> Batch:
        """The first batch, which the next epoch gives again."""
        batch = next(self.epoch(1))
        if self._once is not None:
            self._held = [batch]
        return batch

    def peek(self) -> None:
        """Refuse now what the first batch would show later, where looking at it costs nothing."""
        if isinstance(self.data, (Sequence, Iterator)) or self._at_hand or hasattr(self.data, "__array__"):
            self.first()

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of one epoch: by its number where data has `epoch`, else what it iterates over. NoBatches when
        there are none."""
        data = self.data
        if not _iterates(data):
            data = data()  # type: ignore[operator]
            if not _iterates(data):
                raise TypeError(
                    f"{self.name}: expected a function that makes the batches, got one that gives a "
                    f"{type(data).__name__}; yield (x, y), or return a list of them"
                )
        if _by_number(data):
            data = data.epoch(number)  # type: ignore[union-attr]
        held, self._held = self._held, []
        found = chain(held, self._once or iter(data))  # type: ignore[arg-type]
        for batch in found:
            return self._looked_at(chain([batch], found))
        raise NoBatches(
            f"{self.name}: expected batches, got none from {self.data!r}; pass a list, or the function that makes a "
            f"generator, not a used-up one"
        )

    def _looked_at(self, found: Iterable[Any]) -> Iterator[Batch]:
        for batch in found:
            if not self._paired:
                yield (arrays(self.name, batch, "batches"),)
                continue
            if not isinstance(batch, (tuple, list)) or len(batch) != 2:
                got = f"a {type(batch).__name__}" + (f" of {len(batch)}" if isinstance(batch, (tuple, list)) else "")
                raise TypeError(
                    f"{self.name}: expected batches (x, y), got {got}; arrays are cut into them by "
                    f"axon.datasets.batches(x, y)"
                )
            x, y = arrays(self.name, batch[0]), arrays(self.name, batch[1], "y")
            if self._look is not None:
                self._look(x, y)
            yield x, y
        self._look = None


def _iterates(data: Any) -> bool:
    """Whether a value, and not what it makes when called, gives batches: a class does not, though its instances may."""
    return any(hasattr(type(data), name) for name in ("__iter__", "__getitem__", "epoch"))


def _by_number(data: Any) -> bool:
    return callable(getattr(type(data), "epoch", None))
