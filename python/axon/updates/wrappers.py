"""Updates of updates: what holds another one decides when it runs and what it sees."""

from __future__ import annotations

import functools
from typing import NamedTuple

from .. import nx, tree
from ..nx import Tensor
from .numbers import check_least, zero
from .pipeline import Step, Tree, Update, wrapper


class FiniteState(NamedTuple):
    """The state of the update that is held, and how many updates were left out: of late in a row, and in all (int32
    [])."""

    inner: Tree
    errors: Tensor
    total_errors: Tensor


@wrapper
def apply_if_finite(inner: Update, *, max_consecutive_errors: int = 10) -> Update:
    """Leave an update out where a gradient holds an infinite or NaN number: nothing is added to the parameters, and the
    state of `inner` stays what it was. After more than max_consecutive_errors in a row they go through, since what
    never ends is to be seen. As optax has it.

    Updates are those of `inner`, for gradients of any shapes; where they are left out, zeros. ValueError when
    max_consecutive_errors is negative.

    >>> careful = apply_if_finite(axon.optimizers.sgd(0.5))
    >>> change, state = careful.update({"w": nx.tensor([1.0, float("nan")])}, careful.init({}), {})
    >>> change, state[0].errors
    ({'w': float32[2] [0., 0.]}, int32[] 1)
    """
    check_least("apply_if_finite", max_consecutive_errors=max_consecutive_errors)

    def init(params: Tree) -> FiniteState:
        return FiniteState(inner.init(params), zero(), zero())

    def apply(updates: Tree, state: FiniteState, params: Tree) -> tuple[Tree, FiniteState]:
        each = [nx.all(nx.isfinite(nx.asarray(u))) for u in tree.leaves(updates)]
        finite = functools.reduce(nx.logical_and, each, nx.asarray(True))
        errors = nx.where(finite, 0, state.errors + 1)
        goes = finite | (errors > max_consecutive_errors)
        made, following = inner.update(updates, state.inner, params)
        made = tree.map(lambda u: nx.where(goes, u, nx.zeros_like(u)), made)
        kept = tree.map(lambda old, new: nx.where(goes, new, old), state.inner, following)
        return made, FiniteState(kept, errors, state.total_errors + nx.where(finite, 0, 1))

    return Update((_holding(inner, Step("", init, apply)),))


def _holding(inner: Update, step: Step) -> Step:
    """A step whose state has that of an update as `inner`, and whose learning rate is that update's."""
    if all(held.factor is None for held in inner.steps):
        return step
    return step._replace(factor=lambda state: -inner.learning_rate(state.inner), scheduled=inner.scheduled)  # type: ignore[operator]
