"""Composed programs of fixed seeds. `python -m tests.composed` makes others."""

from __future__ import annotations

from random import Random

import pytest

from .comparing import Unfit, check
from .making import program


@pytest.mark.parametrize("seed", range(24))
def test_all_ways_give_the_plain_reading(seed: int) -> None:
    try:
        check(program(Random(seed)), seed, native=seed % 8 == 0)
    except Unfit:
        pytest.skip("rounding chooses, or it is refused")
