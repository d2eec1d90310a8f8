"""Scans by an associative function, of logarithmic depth: slices of the operands are combined, and no row of their own
is needed, so that gradients and everything else are the composition's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..core.tensor import Tensor
from .movement import concat_, expand_dims, flip, rename, reshape, slice_

Join = Callable[[list[Tensor], list[Tensor]], list[Tensor]]


def associative(f: Join, xs: Sequence[Tensor], axes: Sequence[int], reverse: bool = False) -> list[Tensor]:
    """The running combinations of slices: those of neighbours, scanned, are every second result; the others are each
    one slice more. axes: of each operand, all of one size. reverse: from the end, f takes the later slice first."""
    if reverse:
        xs = [flip(x, axis=a) for x, a in zip(xs, axes)]
    made = _scanned(f, xs, axes)
    return [flip(y, axis=a) for y, a in zip(made, axes)] if reverse else made


def _scanned(f: Join, xs: Sequence[Tensor], axes: Sequence[int]) -> list[Tensor]:
    n = xs[0].shape[axes[0]]
    if n < 2:
        return [*xs]

    def every(of: Sequence[Tensor], start: int, stop: int, step: int = 2) -> list[Tensor]:
        return [_every(x, start, stop, step, a) for x, a in zip(of, axes)]

    odd = _scanned(f, f(every(xs, 0, n - 1), every(xs, 1, n)), axes)
    even = every(xs, 0, 1)
    if n > 2:
        more = f(every(odd, 0, (n - 1) // 2, 1), every(xs, 2, n))
        even = [concat_([first, others], axis=a) for first, others, a in zip(even, more, axes)]
    return [_interleaved(a, b, axis) for a, b, axis in zip(even, odd, axes)]


def _every(x: Tensor, start: int, stop: int, step: int, axis: int) -> Tensor:
    starts, stops, steps = [0] * x.ndim, list(x.shape), [1] * x.ndim
    starts[axis], stops[axis], steps[axis] = start, stop, step
    return slice_(x, starts, stops, steps)


def _interleaved(even: Tensor, odd: Tensor, axis: int) -> Tensor:
    """Their slices in turn; of the first there may be one more."""
    n = odd.shape[axis]
    pairs = [expand_dims(_every(x, 0, n, 1, axis), axis=axis + 1) for x in (even, odd)]
    shape = (*odd.shape[:axis], 2 * n, *odd.shape[axis + 1 :])
    made = rename(reshape(concat_(pairs, axis=axis + 1), shape), odd.names)
    return made if even.shape[axis] == n else concat_([made, _every(even, n, n + 1, 1, axis)], axis=axis)
