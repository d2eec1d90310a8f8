"""Steps that treat every element alike: by a number, by a schedule, by its parameter, by chance."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import nx, tree
from ..nx import Tensor
from ..schedules import Schedule
from .numbers import check_least, each, of_step, times, wide, zero
from .pipeline import Step, Tree, Update, combinator, stateful, stateless


@combinator
def scale(step_size: float) -> Update:
    """Multiply updates of any shapes by a number, which is the pipeline's for good; they keep their dtypes. A rate that
    may change is `scale_by_learning_rate`'s.

    >>> axon.updates.scale_by_adam(b1=0.95) | scale(-0.01)
    scale_by_adam(b1=0.95) | scale(-0.01)
    """
    (multiplied,) = stateless(lambda updates, params: each(lambda u: times(u, step_size), updates)).steps
    return Update((multiplied._replace(factor=lambda state: step_size),))


@combinator
def scale_by_schedule(schedule: Schedule) -> Update:
    """Multiply updates of any shapes by schedule(step), where step (int32 []) counts from 0; they keep their dtypes.
    TypeError when the schedule gives a function, as its constructor does.

    >>> _, update = halves = scale_by_schedule(lambda step: 0.5**step)
    >>> _, state = update({"w": nx.tensor(8.0)}, halves.init({}), {})
    >>> update({"w": nx.tensor(8.0)}, state, {})[0]
    {'w': float32[] 4.}
    """

    def apply(updates: Tree, count: Tensor, params: Tree) -> tuple[Tree, Tensor]:
        by = of_step(schedule, count)
        return each(lambda u: times(u, by), updates), count + 1

    return Update((Step("", lambda params: zero(), apply, lambda count: of_step(schedule, count), scheduled=True),))


@combinator
def add_decayed_weights(decay: float | Schedule = 0.0) -> Update:
    """Add decay * parameter: before the (negative) learning rate this is decoupled weight decay. The decay is a number,
    or a schedule of the step. Loshchilov and Hutter 2017. Updates have the shapes of their parameters and keep their
    dtypes.

    >>> add_decayed_weights(0.5).update({"w": nx.tensor(1.0)}, (), {"w": nx.tensor(4.0)})[0]
    {'w': float32[] 3.}
    """

    def add(updates: Tree, by: Any, params: Tree) -> Tree:
        return each(lambda u, p: u + times(p, by), updates, params)

    if not callable(decay):
        return stateless(lambda updates, params: add(updates, decay, params))
    return stateful(lambda params: zero(), lambda u, count, params: (add(u, of_step(decay, count), params), count + 1))


class NoiseState(NamedTuple):
    """The key of the noise to come, and how many steps had noise."""

    key: Tensor
    steps: Tensor


@combinator
def add_noise(*, eta: float = 0.01, gamma: float = 0.55, key: Tensor | int = 0) -> Update:
    """Add normal noise of the variance eta / step**gamma, where step counts from 1: much at first, ever less.
    Neelakantan et al. 2015. So optax has it; Polaris takes the variance for the deviation.

    Updates of any shapes keep their dtypes. The key, an int to make one of or a key of nx.random, makes the noise: the
    same key, the same noise. The state holds it, and splits it at every step. ValueError when eta is negative.

    >>> noisy = add_noise(eta=0.25, key=1)
    >>> state = noisy.init({"w": nx.zeros(2)})
    >>> noisy.update({"w": nx.zeros(2)}, state, {"w": nx.zeros(2)})[0]
    {'w': float32[2] [...]}
    """
    check_least("add_noise", eta=eta)
    first = key if isinstance(key, Tensor) else nx.random.key(key)

    def init(params: Tree) -> NoiseState:
        return NoiseState(nx.asarray(first, copy=True), zero())  # a state may be donated, the key is the pipeline's

    def apply(updates: Tree, state: NoiseState, params: Tree) -> tuple[Tree, NoiseState]:
        following, now = nx.unstack(nx.random.split(state.key))
        steps = state.steps + 1
        deviation = nx.sqrt(eta / steps.astype(nx.float64) ** gamma)
        leaves, structure = tree.flatten(updates)
        keys = tree.unflatten(structure, nx.unstack(nx.random.split(now, len(leaves))) if leaves else [])

        def noisy(u: Tensor, k: Tensor) -> Tensor:
            return u + times(nx.random.normal(k, u.shape, wide(u).dtype), deviation)

        return each(noisy, updates, keys), NoiseState(following, steps)

    return stateful(init, apply)
