"""What the steps compute with: halves in float32, counts of steps, and checks of their numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import nx, tree
from ..nx import Tensor
from ..options import is_number, unfit
from ..schedules import Schedule
from .pipeline import Tree


def wide(x: Tensor) -> Tensor:
    """In float32 at least: a half's square overflows or vanishes, and its running average stands still."""
    (made,), _ = nx.widened(x)
    return made


def each(function: Callable[..., Tensor], updates: Tree, *rest: Tree) -> Tree:
    """function(update, ...) of every tensor of the updates, and of the others in its place, halves among them as
    float32: a number may be one that no half holds. In the update's dtype, where that is floating."""

    def apply(*given: Tensor) -> Tensor:
        u, *others = map(nx.asarray, given)
        result = function(*(t.astype(t.dtype.computed_in) for t in (u, *others)))
        return result.astype(u.dtype) if u.dtype.is_float else result

    return tree.map(apply, updates, *rest)


def times(u: Tensor, factor: Any) -> Tensor:
    """u * factor, in u's dtype, float32 where that is an integer."""
    if isinstance(factor, Tensor):
        factor = factor.astype(u.dtype if u.dtype.is_float else nx.float32)
    return u * factor


def zero() -> Tensor:
    """A count of steps, before the first."""
    return nx.zeros((), dtype=nx.int32)


def filled(params: Tree, value: float = 0.0) -> Tree:
    """What is kept beside each parameter, in float32 at least, where it begins as one number."""
    return tree.map(lambda p: nx.full_like(wide(p), value), params)


def squares(x: Tensor) -> Tensor:
    """The sum of the squares of all elements, in float32 at least."""
    return nx.sum(nx.square(wide(x)))


def of_step(schedule: Schedule, count: Tensor) -> Tensor:
    """What a schedule says, one number. TypeError when it is none, such as a function, which a constructor gives, and
    for a schedule that takes no step; ValueError when it is several."""
    name = getattr(schedule, "__qualname__", repr(schedule)).split(".")[0]
    if odd := unfit(schedule, 1):
        raise TypeError(f"schedule: expected a function of the step, got {name} ({odd}); write lambda step: ...")
    value = schedule(count)
    if callable(value):
        raise TypeError(f"schedule: expected a number, got a function; write {name}(...)")
    if not is_number(value) or isinstance(value, bool):
        raise TypeError(f"schedule: expected a number, got {value!r}; let {name} return one")
    made = nx.asarray(value)
    if made.ndim:
        raise ValueError(f"schedule: expected one number, got {made.type}; let {name} return a tensor of rank 0")
    return made


def check_decay(name: str, **decays: float) -> None:
    """ValueError of an average that does not forget, or never began."""
    for option, decay in decays.items():
        if not 0 <= decay < 1:
            raise ValueError(f"{name}: expected {option} in [0, 1), got {decay}; 0.9 or more is usual")


def check_least(name: str, least: float = 0.0, **numbers: Any) -> None:
    """ValueError of a number that is too small; one that is traced is not known yet."""
    for option, number in numbers.items():
        if isinstance(number, (int, float)) and not number >= least:
            raise ValueError(f"{name}: expected {option} of at least {least:g}, got {number}")
