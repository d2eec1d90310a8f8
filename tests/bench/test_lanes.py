"""The benchmark of vmap measures the same numbers of both."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from axon import tree

from bench import lanes


def by_path(made: object) -> list[tuple[tree.Path, object]]:
    return sorted(zip(tree.paths(made), tree.leaves(made)), key=lambda entry: entry[0])


@pytest.mark.parametrize("name", lanes.NAMES)
def test_both_compute_the_same(name: str) -> None:
    pytest.importorskip("jax")
    mine, theirs = (by_path(side(name, lanes.SMALL)()) for side in (lanes.ours, lanes.theirs))
    assert [path for path, _ in mine] == [path for path, _ in theirs]
    for (_, a), (_, b) in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-5)
