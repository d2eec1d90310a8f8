"""Schedules: each constructor returns a function from the step (int32 [], from 0) to a learning rate (float32 [])."""

from __future__ import annotations

import math
from collections.abc import Callable

from . import nx
from .nx import Tensor
from .options import plain_options
from .values import remembered

__all__ = ["constant", "cosine_decay", "exponential_decay", "polynomial_decay"]

Schedule = Callable[[Tensor], Tensor]


@remembered
@plain_options
def constant(init_value: float = 0.01) -> Schedule:
    """The same value at every step: int32 [] -> float32 [].

    >>> constant(0.1)(nx.tensor(7))
    float32[] 0.1
    """
    return lambda step: nx.full_like(_real(step), init_value)


@remembered
@plain_options
def exponential_decay(
    init_value: float = 0.01,
    *,
    decay_rate: float = 0.95,
    transition_steps: int = 10,
    transition_begin: int = 0,
    staircase: bool = False,
) -> Schedule:
    """init_value * decay_rate ** ((step - transition_begin) / transition_steps), the exponent rounded down with
    staircase; init_value before transition_begin. int32 [] -> float32 [].

    ValueError when transition_steps < 1 or decay_rate < 0.

    >>> exponential_decay(1.0, decay_rate=0.5)(nx.tensor(20))
    float32[] 0.25
    """
    _check("exponential_decay", "transition_steps", transition_steps, 1)
    _check("exponential_decay", "decay_rate", decay_rate, 0)

    def rate(step: Tensor) -> Tensor:
        periods = nx.maximum(_real(step) - transition_begin, 0) / transition_steps
        if staircase:
            periods = nx.floor(periods)
        return init_value * nx.asarray(decay_rate, dtype=nx.float32) ** periods

    return rate


@remembered
@plain_options
def cosine_decay(init_value: float = 0.01, *, decay_steps: int = 10, alpha: float = 0.0) -> Schedule:
    """Half a cosine from init_value down to alpha * init_value at decay_steps, and constant after.
    Loshchilov and Hutter 2016. int32 [] -> float32 []. ValueError when decay_steps < 1.

    >>> cosine_decay(1.0, decay_steps=10)(nx.tensor(5))
    float32[] 0.5
    """
    _check("cosine_decay", "decay_steps", decay_steps, 1)

    def rate(step: Tensor) -> Tensor:
        done = nx.minimum(_real(step), decay_steps) / decay_steps
        return init_value * ((1 - alpha) * 0.5 * (1 + nx.cos(math.pi * done)) + alpha)

    return rate


@remembered
@plain_options
def polynomial_decay(
    init_value: float = 0.01,
    *,
    end_value: float = 0.001,
    power: float = 2,
    transition_steps: int = 10,
    transition_begin: int = 0,
) -> Schedule:
    """From init_value to end_value over transition_steps by (1 - progress) ** power, and constant before and after.
    int32 [] -> float32 []. ValueError when transition_steps < 1.

    >>> polynomial_decay(1.0, end_value=0.0, power=1, transition_steps=10)(nx.tensor(5))
    float32[] 0.5
    """
    _check("polynomial_decay", "transition_steps", transition_steps, 1)

    def rate(step: Tensor) -> Tensor:
        done = nx.clip(_real(step) - transition_begin, 0, transition_steps) / transition_steps
        return (init_value - end_value) * (1 - done) ** power + end_value

    return rate


def _check(name: str, option: str, value: float, least: int) -> None:
    if not value >= least:
        raise ValueError(f"{name}: expected {option} of at least {least}, got {value}")


def _real(step: Tensor) -> Tensor:
    return nx.asarray(step).astype(nx.float32)
