"""Index maps: where a value is read, as a function of a kernel's loop axes. They make movement free: pulling a value
through a slice, pad or broadcast composes maps instead of copying."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from ...nx.core.op import Index


class Guard(NamedTuple):
    """The loop index i of an axis is inside when t = i - lo is a multiple of div and 0 <= t // div < size."""

    axis: int
    lo: int
    div: int
    size: int


class Idx(NamedTuple):
    """The index along one axis of a value: start + sum of loop index * multiplier. With a guard there is one term, and
    the guard's quotient takes the place of its loop index."""

    terms: tuple[tuple[int, int], ...]
    start: int = 0
    guard: Guard | None = None


Map = tuple[Idx, ...]  # one Idx for each axis of the value; None (in the functions below) means it cannot be expressed


@cache
def identity(rank: int, first: int = 0) -> Map:
    """Each axis read at its own loop axis, counted from `first`; always the same object."""
    return tuple(Idx(((first + a, 1),)) for a in range(rank))


def compose(
    outer: Map, steps: Sequence[Index], result: Sequence[int], shape: Sequence[int], loops: Sequence[int]
) -> Map | None:
    """The map of a movement's operand (of `shape`), given the map of its result and the row's index map.

    None where the index cannot be written with one guard an axis, or where a guard would fall on the vectorised axis.
    """
    inner = innermost(loops)
    found: list[Idx] = []
    for step in steps:
        if step.axis is None:
            found.append(Idx((), step.start))
            continue
        at = outer[step.axis]
        if at.guard is None and all(loops[a] == 1 for a, _ in at.terms):  # one place, which is inside or not
            place, off = divmod(at.start - step.lo, step.div)
            if off or place < 0 or (step.size is not None and place >= step.size):
                return None
            found.append(Idx((), place * step.mul + step.start))
            continue
        plain = step.lo == 0 and step.div == 1 and (step.size is None or step.size >= result[step.axis])
        if plain:
            terms = tuple((a, m * step.mul) for a, m in at.terms)
            found.append(Idx(terms, at.start * step.mul + step.start, at.guard))
            continue
        if at.guard is not None or len(at.terms) != 1 or at.terms[0][1] != 1 or at.terms[0][0] == inner:
            return None
        axis = at.terms[0][0]
        size = step.size if step.size is not None else 1 << 62
        found.append(Idx(((axis, step.mul),), step.start, Guard(axis, step.lo - at.start, step.div, size)))
    made = tuple(found)
    return made if keeps_innermost(made, shape, loops) else None


def reshape(outer: Map, result: Sequence[int], operand: Sequence[int], loops: Sequence[int]) -> Map | None:
    """The map of a reshape's operand: axes of size 1 come and go, with their guards, since no address moves with them;
    and an operand axis may be split into neighbouring axes of the result. None where axes are merged."""
    made: list[Idx] = []
    k = len(result)
    for size in reversed(operand):
        terms: list[tuple[int, int]] = []
        start, scale = 0, 1
        guards: list[Guard] = []
        while scale < size:
            if k == 0:
                return None
            k -= 1
            at = outer[k]
            if result[k] == 1:
                continue
            terms += [(a, m * scale) for a, m in at.terms]
            start += at.start * scale
            if at.guard is not None:
                guards.append(at.guard)
            scale *= result[k]
        if scale != max(size, 1) or size == 0 or (guards and len(terms) > 1):
            return None
        made.append(Idx(tuple(terms), start, guards[0] if guards else None))
    if any(s != 1 for s in result[:k]):
        return None
    made.reverse()
    return tuple(made) if keeps_innermost(tuple(made), operand, loops) else None


def innermost(loops: Sequence[int]) -> int:
    """The axis that is vectorised: the last one longer than 1."""
    for a in range(len(loops) - 1, -1, -1):
        if loops[a] > 1:
            return a
    return len(loops) - 1


def keeps_innermost(at: Map, shape: Sequence[int], loops: Sequence[int]) -> bool:
    """Whether the vectorised axis moves along the value's own last axis, or not at all: else it is a transpose."""
    inner, last = innermost(loops), innermost(shape)
    for k, i in enumerate(at):
        if k != last:
            for a, m in i.terms:
                if a == inner and m:
                    return False
    return True


def axes_of(at: Map) -> set[int]:
    """The loop axes a map depends on."""
    return {a for i in at for a, m in i.terms if m}


def guards_of(at: Map) -> list[Guard]:
    """The guards under which the map's address may be used, in axis order."""
    return [i.guard for i in at if i.guard is not None]


def address(at: Map, along: Sequence[int], rank: int) -> tuple[int, list[int]]:
    """Where a value of these strides is read: the offset in elements, and the step along each of `rank` loop axes."""
    offset, step = 0, [0] * rank
    for i, stride in zip(at, along):
        offset += i.start * stride
        for a, m in i.terms:
            step[a] += m * stride
    return offset, step


def strides(shape: Sequence[int]) -> list[int]:
    """Row-major strides in elements."""
    made, n = [], 1
    for size in reversed(shape):
        made.append(n)
        n *= size
    return made[::-1]
