"""The benchmark of optimizers measures the same steps of both."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from axon import optimizers as public

from bench import optimizers


def test_every_optimizer_is_measured() -> None:
    assert list(optimizers.OPTIONS) == public.__all__


@pytest.mark.parametrize("name", ["lamb", "noisy_sgd", "rmsprop"])
def test_both_make_the_same_steps(name: str) -> None:
    (mine, kernels), theirs = optimizers.ours(name, 3, 50), optimizers.theirs(name, 3, 50)
    for _ in range(2):
        a, b = mine(), theirs()
    assert kernels > 0 and a.keys() == b.keys()
    for key, value in b.items():
        np.testing.assert_allclose(a[key], value, rtol=1e-4, atol=1e-6)
