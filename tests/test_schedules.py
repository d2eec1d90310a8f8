"""Schedules against optax at every step, also inside a trace."""

from collections.abc import Callable
from typing import Any

import numpy as np
import optax
import pytest
from axon import nx, schedules
from axon.defn import jit

PAIRS: dict[str, tuple[schedules.Schedule, Callable[[Any], Any]]] = {
    "constant": (schedules.constant(0.3), optax.constant_schedule(0.3)),
    "exponential": (
        schedules.exponential_decay(0.5, decay_rate=0.9, transition_steps=4),
        optax.exponential_decay(0.5, 4, 0.9),
    ),
    "staircase": (
        schedules.exponential_decay(0.5, decay_rate=0.9, transition_steps=4, transition_begin=3, staircase=True),
        optax.exponential_decay(0.5, 4, 0.9, transition_begin=3, staircase=True),
    ),
    "cosine": (schedules.cosine_decay(0.5, decay_steps=12, alpha=0.1), optax.cosine_decay_schedule(0.5, 12, 0.1)),
    "polynomial": (
        schedules.polynomial_decay(0.5, end_value=0.05, power=3, transition_steps=9, transition_begin=2),
        optax.polynomial_schedule(0.5, 0.05, 3, 9, 2),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_every_step(name: str) -> None:
    ours, theirs = PAIRS[name]
    compiled = jit(ours, compiler="evaluate")
    expected = [float(theirs(i)) for i in range(25)]
    np.testing.assert_allclose([compiled(nx.tensor(i)).item() for i in range(25)], expected, rtol=1e-5)
    assert ours(nx.tensor(3)).dtype is nx.float32 and compiled.traces == 1


def test_a_rate_that_decays_at_once() -> None:
    schedule = schedules.exponential_decay(0.5, decay_rate=0.0, transition_begin=1)
    assert [schedule(nx.tensor(i)).item() for i in range(4)] == [0.5, 0.5, 0.0, 0.0]


@pytest.mark.parametrize(
    ("make", "options", "least"),
    [
        (schedules.exponential_decay, {"transition_steps": 0}, 1),
        (schedules.exponential_decay, {"decay_rate": -0.5}, 0),
        (schedules.cosine_decay, {"decay_steps": 0}, 1),
        (schedules.polynomial_decay, {"transition_steps": -3}, 1),
    ],
)
def test_what_schedules_refuse(make: Any, options: dict[str, Any], least: int) -> None:
    ((option, value),) = options.items()
    with pytest.raises(ValueError, match=f"{make.__name__}: expected {option} of at least {least}, got {value}"):
        make(**options)
