"""Batches of arrays, in an order that is a pure function of a seed and the epoch: nothing is kept between epochs."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from .. import nx, tree
from ..arrays import arrays
from ..errors import ShapeError
from ..names import guided


def permutation(size: int, seed: int, epoch: int = 0) -> np.ndarray:
    """The numbers below `size` in an order that depends on seed and epoch alone: the order of random bits (threefry).

    >>> sorted(permutation(4, seed=0).tolist())
    [0, 1, 2, 3]
    """
    key = nx.random.fold_in(nx.random.key(seed), epoch)
    return np.argsort(np.asarray(nx.random.bits(key, (size,))), kind="stable")


@tree.atom
@dataclass(frozen=True, repr=False)
class Batches:
    """The batches of two trees of arrays. Iterating gives those of epoch 0; `epoch(n)` gives those of another.

    The last batch is smaller where the size does not divide the examples, or left out with `drop_last`.
    """

    x: Any
    y: Any
    size: int
    seed: int | None = None  # None: in the order of the arrays, every epoch
    drop_last: bool = False

    def __post_init__(self) -> None:
        for name in ("x", "y"):  # arrays: rows are chosen by position, whatever labels the data has for them
            object.__setattr__(self, name, arrays("batches", getattr(self, name), name))
        shapes = [np.shape(array) for array in tree.leaves((self.x, self.y))]
        if () in shapes or not shapes:
            raise ShapeError(
                f"batches: expected arrays [n, ...], got {'numbers' if shapes else 'none'}; give one row an example"
            )
        if len({shape[0] for shape in shapes}) > 1:
            advice = "np.stack makes one array of a list of them" if isinstance(self.x, list) else "pair them"
            got = ", ".join(map(str, dict.fromkeys(shapes)))
            raise ShapeError(f"batches: expected arrays of one length, got {got}; {advice}")
        if not isinstance(self.size, Integral) or self.size < 1:
            raise ValueError(f"batches: expected a size of at least 1, got {self.size!r}")

    @property
    def examples(self) -> int:
        """How many examples the arrays hold."""
        return len(tree.leaves(self.x)[0])

    def __repr__(self) -> str:
        return f"<Batches of {self.size}, {len(self)} from {self.examples} examples>"

    def __len__(self) -> int:
        full, rest = divmod(self.examples, self.size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self.epoch(0)

    def epoch(self, number: int) -> Iterator[tuple[Any, Any]]:
        """The batches of that epoch."""
        order = None if self.seed is None else permutation(self.examples, self.seed, number)
        for i in range(len(self)):
            chosen: Any = slice(i * self.size, (i + 1) * self.size)
            if order is not None:
                chosen = order[chosen]
            yield tree.map(operator.itemgetter(chosen), (self.x, self.y))


@guided(
    batch_size="size=",
    shuffle="seed=None to keep the order of the arrays, seed=<number> to shuffle",
    random_state="seed=",
    drop_remainder="drop_last=",
)
def batches(x: Any, y: Any, size: int = 32, *, seed: int | None = 0, drop_last: bool = False) -> Batches:
    """Batches of x [n, ...] and y [n, ...], shuffled anew every epoch from `seed` (None: not shuffled).

    x and y are arrays of any library, which become NumPy arrays of their dtype, or lists of numbers (int32, float32);
    or a dict by name or a tuple of such, for a model of several inputs. Rows are paired by position: a table's own
    labels for its rows count for nothing. ShapeError when the arrays differ in length, DTypeError for what holds no
    numbers, TypeError for anything but arrays, ValueError when the size is below 1.

    >>> [len(y) for x, y in batches(np.zeros((10, 2)), np.arange(10), 4)]
    [4, 4, 2]
    >>> next(iter(batches({"a": np.arange(9), "b": np.ones((9, 2))}, np.arange(9), 2, seed=None)))[0]["a"]
    array([0, 1])
    """
    return Batches(x, y, size, seed, drop_last)
