"""Batches of arrays, in an order that is a pure function of a seed and the epoch: nothing is kept between epochs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import nx
from ..errors import ShapeError


def permutation(size: int, seed: int, epoch: int = 0) -> np.ndarray:
    """The numbers below `size` in an order that depends on seed and epoch alone: the order of random bits (threefry).

    >>> sorted(permutation(4, seed=0).tolist())
    [0, 1, 2, 3]
    """
    key = nx.random.fold_in(nx.random.key(seed), epoch)
    return np.argsort(np.asarray(nx.random.bits(key, (size,))), kind="stable")


@dataclass(frozen=True)
class Batches:
    """The batches of two arrays. Iterating gives those of epoch 0; `epoch(n)` gives those of another.

    The last batch is smaller where the size does not divide the examples, or left out with `drop_last`.
    """

    x: Any
    y: Any
    size: int
    seed: int | None = None  # None: in the order of the arrays, every epoch
    drop_last: bool = False

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ShapeError(
                f"batches: expected as many labels as examples, got {len(self.y)} and {len(self.x)}; pair them"
            )
        if self.size < 1:
            raise ValueError(f"batches: expected a size of at least 1, got {self.size}")

    def __len__(self) -> int:
        full, rest = divmod(len(self.x), self.size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self.epoch(0)

    def epoch(self, number: int) -> Iterator[tuple[Any, Any]]:
        """The batches of that epoch."""
        order = None if self.seed is None else permutation(len(self.x), self.seed, number)
        for i in range(len(self)):
            chosen: Any = slice(i * self.size, (i + 1) * self.size)
            if order is not None:
                chosen = order[chosen]
            yield self.x[chosen], self.y[chosen]


def batches(x: Any, y: Any, size: int = 32, *, seed: int | None = 0, drop_last: bool = False) -> Batches:
    """Batches of numpy arrays x [n, ...] and y [n, ...], shuffled anew every epoch from `seed` (None: not shuffled).

    ShapeError when the arrays differ in length.

    >>> [len(y) for x, y in batches(np.zeros((10, 2)), np.arange(10), 4)]
    [4, 4, 2]
    """
    return Batches(x, y, size, seed, drop_last)
