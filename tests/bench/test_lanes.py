"""The benchmark of vmap measures the same numbers of both."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from axon import tree

from bench import lanes


@pytest.mark.parametrize("name", lanes.NAMES)
def test_both_compute_the_same(name: str) -> None:
    pytest.importorskip("jax")
    mine, theirs = (tree.leaves(side(name, lanes.SMALL)()) for side in (lanes.ours, lanes.theirs))
    shapes = lambda leaves: sorted(tuple(x.shape) for x in leaves)  # noqa: E731
    assert shapes(mine) == shapes(theirs)
    for a, b in zip(sorted(mine, key=lambda x: x.shape), sorted(theirs, key=lambda x: x.shape)):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-5)
