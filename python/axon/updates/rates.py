"""Learning rates: a step that keeps its rate in its state, where it can be read and set between two updates."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

from .. import nx, tree
from ..errors import StructureError
from ..nx import Tensor
from ..options import is_number, plain
from ..schedules import Schedule
from .numbers import each, of_step, times, zero
from .pipeline import Step, Tree, Update, combinator

LearningRate = float | Schedule


class RateState(NamedTuple):
    """learning_rate: what the next update is taken with (float64 [], so that it is exact for parameters of any dtype).
    steps: how many rates a schedule has given before it (int32 []), -1 once a rate was set; None without a schedule."""

    learning_rate: Tensor
    steps: Tensor | None = None


@combinator
def scale_by_learning_rate(learning_rate: LearningRate, *, shrink: bool = False) -> Update:
    """Multiply updates of any shapes by minus the learning rate, a number or a schedule: the step against the gradient.

    The rate is in the state (a RateState), so that `with_rate` changes it without another trace. With shrink,
    parameters are then divided by sqrt(1 + rate**2): what keeps Fromage's as long as they were. Updates keep their
    dtypes. ValueError when the rate is negative, TypeError when it is no number and no schedule.

    >>> descent = scale_by_learning_rate(0.5)
    >>> state = descent.init({})
    >>> state[0].learning_rate
    float64[] 0.5
    >>> descent.update(nx.tensor(8.0), with_rate(state, 0.25), nx.tensor(0.0))[0]
    float32[] -2.
    """
    schedule = learning_rate if callable(learning_rate) else None
    if schedule is None:
        _checked("learning_rate", learning_rate, "a number or a schedule")

    def init(params: Tree) -> RateState:
        if schedule is None:
            return RateState(_rate(learning_rate))
        return RateState(_rate(_said(schedule, zero())), zero())

    def following(state: RateState) -> RateState:
        if schedule is None or state.steps is None:
            return state
        scheduled = state.steps >= 0
        steps = nx.where(scheduled, state.steps + 1, state.steps)
        return RateState(nx.where(scheduled, _rate(_said(schedule, steps)), state.learning_rate), steps)

    def apply(updates: Tree, state: RateState, params: Tree) -> tuple[Tree, RateState]:
        rate = _own(state).learning_rate
        if not shrink:
            return each(lambda u: -times(u, rate), updates), following(state)  # -rate would be a kernel of its own
        root = nx.sqrt(1 + rate * rate)
        lost = -rate * rate / (root * (1 + root))  # 1 / root - 1, without the difference of nearly equal numbers
        return each(lambda u, p: times(u, -rate / root) + times(p, lost), updates, params), following(state)

    step = Step("", init, apply, lambda state: -_own(state).learning_rate, scheduled=schedule is not None)
    return Update((step,))


def learning_rate(state: Tree) -> Tensor:
    """The learning rate that a tree holds (float64 []): an optimizer's state, or a tree with one somewhere in it.
    ValueError when it holds none, or several.

    >>> learning_rate(axon.optimizers.adam(0.125).init({}))
    float64[] 0.125
    """
    leaves, structure = tree.flatten(state)
    return leaves[_place("learning_rate", structure)]


def with_rate(state: Tree, rate: float | Tensor) -> Tree:
    """The tree with another learning rate: the next update is taken with it, and all after that: what a schedule says
    no longer counts. The tree keeps its types, so that nothing is traced or compiled anew.

    state: an optimizer's, or a tree with one somewhere in it, such as a loop's `state.step`. ValueError when it holds
    no rate, or several, and for a rate that is negative; TypeError for one that is no number.

    >>> state = with_rate(axon.optimizers.sgd(0.5).init({}), 0.25)
    >>> learning_rate(state)
    float64[] 0.25
    """
    leaves, structure = tree.flatten(state)
    place = _place("with_rate", structure)
    leaves[place] = _rate(_checked("with_rate", plain(rate)))
    (*parent, _), *after = structure.paths()[place : place + 2]
    if after == [(*parent, "steps")]:
        leaves[place + 1] = nx.full((), -1, dtype=nx.int32)
    return tree.unflatten(structure, leaves)


def _place(name: str, structure: tree.Structure) -> int:
    """Which leaf of a tree is its learning rate."""
    places = [structure[:at].count("*") for at, token in enumerate(structure) if token is RateState]
    if len(places) != 1:
        advice = "pass the part with one" if places else "a rate that may change is scale_by_learning_rate's"
        got = len(places) or "none"
        raise ValueError(f"{name}: expected a tree that holds one learning rate, got {got}; {advice}")
    return places[0]


def _checked(name: str, rate: Any, wanted: str = "a number") -> Any:
    if not is_number(rate) or isinstance(rate, bool) or getattr(rate, "shape", ()):
        raise TypeError(f"{name}: expected {wanted}, got {rate!r}; write 1e-3")
    if isinstance(rate, (int, float)) and not rate >= 0:
        raise ValueError(f"{name}: expected a number of at least 0, got {rate}; steps go downhill")
    if isinstance(rate, float) and math.isinf(rate):
        raise ValueError(f"{name}: expected a finite number, got {rate}; write 1e-3")
    return rate


def _said(schedule: Schedule, count: Tensor) -> Tensor:
    """What a schedule of rates says; a number that is known must be one that a rate may be."""

    def known(count: Tensor) -> Any:
        value = schedule(count)
        return _checked("schedule", value) if isinstance(value, (int, float)) else value

    return of_step(functools.wraps(schedule)(known), count)


def _rate(value: Any) -> Tensor:
    """A rate as a state keeps it: a product, since a number given to a trace is as exact as what it meets."""
    return nx.ones((), dtype=nx.float64) * value


def _own(state: Any) -> RateState:
    """The state of a rate: one saved before rates were state is another."""
    if isinstance(state, RateState):
        return state
    raise StructureError(
        f"update: expected a RateState (learning_rate, steps) for scale_by_learning_rate, got {type(state).__name__}; "
        f"pass what this optimizer's init or last update gave; of a count saved before learning rates were state make "
        f"RateState(schedule(count).astype('float64'), count)"
    )
