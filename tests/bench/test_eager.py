"""bench.eager: every row has a call, and what stands beside it computes the same."""

import numpy as np
import pytest
from axon import nx
from axon.nx.core.op import results_of

from bench import eager
from tests import cases

SMALL = eager.SIZES["100"]


@pytest.mark.parametrize("op", cases.rows(), ids=lambda op: op.name)
def test_a_row_and_what_it_is_compared_with(op):
    ours, theirs = eager.pair(op, SMALL)
    found = results_of(ours())[0]
    assert found.size
    if theirs is not None:
        np.testing.assert_allclose(found.numpy(), theirs(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", eager.COMPOSED)
def test_a_composed_function_and_what_it_is_compared_with(name):
    ours, theirs = eager.COMPOSED[name]
    x = np.random.default_rng(0).random(SMALL, "float32")
    np.testing.assert_allclose(ours(nx.tensor(x)).numpy(), theirs(x), rtol=1e-3)


def test_every_draw_is_one():
    key, generator = nx.random.key(0), np.random.default_rng(0)
    for draw, theirs in eager.DRAWS.values():
        assert draw(nx.random, key, (3,)).size and (theirs is None or theirs(generator, (3,)) is not None)


def test_lines_say_times_and_ratios():
    cells = eager.line("x", "kind", {"": (lambda: sum(range(9)), None, lambda: sum(range(9)))}, 0.001)
    assert cells[:2] == ("x", "kind") and cells[3:5] == ("", "") and float(cells[2]) > 0 and float(cells[6]) > 0
    assert eager.table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
