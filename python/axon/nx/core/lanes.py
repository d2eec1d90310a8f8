"""A batch of calls of one row: its lanes, as the row's `batch` rule is given them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .op import apply
from .tensor import Tensor


class Lanes(NamedTuple):
    """How many calls there are, and which operands differ among them: those have the lanes as axis 0. The others are
    the same in every call."""

    size: int
    mapped: tuple[bool, ...]

    def all(self, *operands: Tensor) -> list[Tensor]:
        """The operands, each with the lanes as axis 0."""
        return [x if m else spread(x, self.size) for x, m in zip(operands, self.mapped, strict=True)]


def spread(x: Tensor, size: int) -> Tensor:
    """A tensor that is the same in every lane, with the lanes as axis 0."""
    return apply("broadcast_to", x, shape=(size, *x.shape))


def moved(x: Tensor, source: int, target: int) -> Tensor:
    """x with one of its axes moved to another place."""
    if source == target:
        return x
    order = [a for a in range(x.ndim) if a != source]
    order.insert(target, source)
    return apply("permute_dims", x, axes=tuple(order))


def merged(x: Tensor, axis: int, count: int = 2) -> Tensor:
    """x with neighbouring axes made one, from `axis` on."""
    size = math.prod(x.shape[axis : axis + count])
    return apply("reshape", x, shape=(*x.shape[:axis], size, *x.shape[axis + count :]))


def parted(x: Tensor, axis: int, sizes: Sequence[int]) -> Tensor:
    """x with one axis made several, of these sizes."""
    return apply("reshape", x, shape=(*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))
