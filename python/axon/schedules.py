"""Schedules: each constructor returns a function from the step (int32, from 0) to a learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable

from . import nx
from .nx import Tensor

__all__ = ["constant", "cosine_decay", "exponential_decay", "polynomial_decay"]

Schedule = Callable[[Tensor], Tensor]


def constant(init_value: float = 0.01) -> Schedule:
    """The same value at every step.

    >>> constant(0.1)(nx.tensor(7))
    float32[] 0.1
    """
    return lambda step: nx.full_like(_real(step), init_value)


def exponential_decay(
    init_value: float = 0.01,
    *,
    decay_rate: float = 0.95,
    transition_steps: int = 10,
    transition_begin: int = 0,
    staircase: bool = False,
) -> Schedule:
    """init_value * decay_rate ** ((step - transition_begin) / transition_steps), the exponent rounded down with
    staircase; init_value before transition_begin.

    >>> exponential_decay(1.0, decay_rate=0.5)(nx.tensor(20))
    float32[] 0.25
    """

    def rate(step: Tensor) -> Tensor:
        periods = nx.maximum(_real(step) - transition_begin, 0) / transition_steps
        if staircase:
            periods = nx.floor(periods)
        return init_value * nx.exp(periods * math.log(decay_rate))

    return rate


def cosine_decay(init_value: float = 0.01, *, decay_steps: int = 10, alpha: float = 0.0) -> Schedule:
    """Half a cosine from init_value down to alpha * init_value at decay_steps, and constant after.
    Loshchilov and Hutter 2016.

    >>> cosine_decay(1.0, decay_steps=10)(nx.tensor(5))
    float32[] 0.5
    """

    def rate(step: Tensor) -> Tensor:
        done = nx.minimum(_real(step), decay_steps) / decay_steps
        return init_value * ((1 - alpha) * 0.5 * (1 + nx.cos(math.pi * done)) + alpha)

    return rate


def polynomial_decay(
    init_value: float = 0.01,
    *,
    end_value: float = 0.001,
    power: float = 2,
    transition_steps: int = 10,
    transition_begin: int = 0,
) -> Schedule:
    """From init_value to end_value over transition_steps by (1 - progress) ** power, and constant before and after.

    >>> polynomial_decay(1.0, end_value=0.0, power=1, transition_steps=10)(nx.tensor(5))
    float32[] 0.5
    """

    def rate(step: Tensor) -> Tensor:
        done = nx.clip(_real(step) - transition_begin, 0, transition_steps) / transition_steps
        return (init_value - end_value) * (1 - done) ** power + end_value

    return rate


def _real(step: Tensor) -> Tensor:
    return nx.asarray(step).astype(nx.float32)
