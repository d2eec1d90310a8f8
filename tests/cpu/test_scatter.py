"""Scatter against numpy.add.at: duplicates, negative and missing indices, every dtype, any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from axon import _core

from .steps import CODES, close, numbers, run

SHAPES = [
    (1, 10, 1, 50),
    (1, 7, 64, 40),
    (3, 5, 8, 20),
    (1, 100, 3, 1000),
    (4, 6, 1, 9),
    (2, 300, 130, 40),
    (1, 20000, 1, 5000),
]


def scatter(target, indices, updates):
    outer, axis, inner = target.shape
    name = target.dtype.name
    ints = [CODES[name], CODES[indices.dtype.name], outer, axis, inner, updates.shape[1]]
    return run("scatter_add", ints, [target, indices, updates], target.shape, name)


def expected(target, indices, updates, dtype):
    """Adds in rising i, in `dtype`; indices out of range are dropped."""
    out = target.astype(dtype)
    axis = out.shape[1]
    every = np.broadcast_to(indices[None, :, None], updates.shape)
    wrapped = np.where(every < 0, every + axis, every)
    o, i, c = np.nonzero((wrapped >= 0) & (wrapped < axis))
    np.add.at(out, (o, wrapped[o, i, c], c), updates[o, i, c].astype(dtype))
    return out


@pytest.mark.parametrize("name", ["float32", "float64", "int8", "int32", "uint64", "float16", "bfloat16"])
@pytest.mark.parametrize("outer, axis, inner, n", SHAPES)
def test_scatter(outer, axis, inner, n, name):
    rng = np.random.default_rng(0)
    target, updates = numbers(rng, (outer, axis, inner), name), numbers(rng, (outer, n, inner), name)
    for index in ("int32", "int64"):
        indices = rng.integers(-axis - 3, axis + 3, n).astype(index)
        got = scatter(target, indices, updates)
        if name in ("float16", "bfloat16"):
            close(got, expected(target, indices, updates, np.float64), name, 10)
        else:
            with np.errstate(over="ignore"):
                np.testing.assert_array_equal(got, expected(target, indices, updates, name))


def test_half_sums_are_rounded_once():
    target, updates = np.full((1, 1, 1), 2048, np.float16), np.ones((1, 100, 1), np.float16)
    assert scatter(target, np.zeros(100, np.int32), updates).item() == 2148


def test_the_same_bits_at_any_number_of_threads():
    rng = np.random.default_rng(1)
    before = _core.threads()
    try:
        for outer, axis, inner, n in SHAPES:
            target, updates = numbers(rng, (outer, axis, inner), "float32"), numbers(rng, (outer, n, inner), "float32")
            indices = rng.integers(0, axis, n).astype(np.int32)
            results = set()
            for count in (1, 2, 16):
                _core.set_threads(count)
                results.add(scatter(target, indices, updates).tobytes())
            assert len(results) == 1
    finally:
        _core.set_threads(before)


@pytest.mark.parametrize("outer, axis, inner, n", [(0, 3, 2, 4), (2, 0, 2, 4), (2, 3, 0, 4), (2, 3, 2, 0)])
def test_empty(outer, axis, inner, n):
    target, updates = np.ones((outer, axis, inner), np.float32), np.ones((outer, n, inner), np.float32)
    np.testing.assert_array_equal(scatter(target, np.zeros(n, np.int64), updates), target)


@pytest.mark.parametrize(
    "change, message",
    [
        ({0: 0}, "dtype of a number"),
        ({1: 5}, "int32 or int64 indices"),
        ({3: 5}, "expected operand 0"),
        ({5: 3}, "expected operand 1"),
        ({4: 1 << 41}, "inner in 0"),
    ],
)
def test_bad_calls_are_refused(change, message):
    ints = [11, 3, 1, 4, 1, 2]
    for position, value in change.items():
        ints[position] = value
    arrays = [np.zeros((1, 4, 1), np.float32), np.zeros(2, np.int32), np.zeros((1, 2, 1), np.float32)]
    with pytest.raises(ValueError, match=message):
        run("scatter_add", ints, arrays, (1, 4, 1), "float32")
