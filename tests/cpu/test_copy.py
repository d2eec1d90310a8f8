"""Strided copies against NumPy views."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .steps import run


def copy(view: np.ndarray, memory: np.ndarray, target: np.ndarray | None = None) -> np.ndarray:
    """What the step leaves in the target's memory (zeros if it is dense) after copying `view`, a view of `memory`."""

    def side(array, base):
        offset = (array.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // array.itemsize
        return [offset, *(s // array.itemsize for s in array.strides)]

    dense = np.zeros(view.shape, view.dtype)
    target, base = (dense, dense) if target is None else (target, target.base)
    ints = [view.itemsize, view.ndim, *view.shape, *side(view, memory), *side(target, base)]
    return run("copy", ints, [memory], base.shape, view.dtype.name)


VIEWS = {
    "dense": lambda x: x,
    "transpose": lambda x: x.T,
    "rotated": lambda x: x.transpose(1, 2, 0),
    "inner swapped": lambda x: x.swapaxes(1, 2),
    "outer swapped": lambda x: x.swapaxes(0, 1),
    "reversed": lambda x: x[::-1, :, ::-1],
    "steps": lambda x: x[1::2, ::3, 2::2],
    "slice": lambda x: x[1:, 2:-1, 3:],
    "transposed slice": lambda x: x[1:, 2:, 1:-1].transpose(2, 0, 1),
    "broadcast": lambda x: np.broadcast_to(x[:, :1], (x.shape[0], 5, x.shape[2])),
    "inner broadcast": lambda x: np.broadcast_to(x[..., :1], (*x.shape[:2], 40)),
    "empty": lambda x: x[:0],
    "one element": lambda x: x[1:2, 2:3, 3:4],
}


@pytest.mark.parametrize("name", ["uint8", "int16", "float32", "int64"])
@pytest.mark.parametrize("shape", [(3, 4, 5), (7, 65, 130), (33, 16, 64), (70, 3, 90)])
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_views(view, shape, name):
    x = np.random.default_rng(0).integers(0, 100, shape).astype(name)
    np.testing.assert_array_equal(copy(view(x), x), view(x))


@pytest.mark.parametrize("name", ["float32", "float64", "int16"])
@pytest.mark.parametrize("shape", [(2100, 1100), (1031, 2053)])
def test_a_transposition_larger_than_the_caches(shape, name):
    x = np.arange(shape[0] * shape[1]).astype(name).reshape(shape)
    np.testing.assert_array_equal(copy(x.T, x), x.T)


def test_targets_with_strides_of_their_own():
    x = np.arange(3 * 40 * 50, dtype=np.float32).reshape(3, 40, 50)
    for place in (lambda t: t[:, 3:43, 7:57], lambda t: t[::-1, 42:2:-1, :50], lambda t: t[:, :40, 1:101:2]):
        base = np.zeros((3, 50, 120), np.float32)
        target = place(base)
        got = copy(x, x, target)
        written = np.zeros(base.shape, bool)
        place(written)[...] = True
        np.testing.assert_array_equal(place(got), x)
        del written


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_copy(data):
    rank = data.draw(st.integers(0, 5))
    x = np.arange(1, 1 + 9**rank, dtype=data.draw(st.sampled_from(["uint16", "float32", "float64"]))).reshape(
        (9,) * rank
    )
    view = x
    for axis in range(rank):
        start, stop = sorted(data.draw(st.tuples(st.integers(0, 9), st.integers(0, 9))))
        step = data.draw(st.sampled_from([1, 1, 2, 3]))
        index = [slice(None)] * rank
        index[axis] = slice(start, stop, step)
        view = view[tuple(index)]
        if data.draw(st.booleans()):
            view = np.flip(view, axis)
    view = view.transpose(data.draw(st.permutations(range(rank))))
    np.testing.assert_array_equal(copy(view, x), view)


@pytest.mark.parametrize(
    "ints, message",
    [
        ([3, 1, 4, 0, 1, 0, 1], "itemsize 1, 2, 4 or 8"),
        ([4, 65], "rank in 0..64"),
        ([4, 1, 5, 0, 1, 0, 1], "expected operand 0 of at least 20 bytes"),
        ([4, 1, 4, 1, 1, 0, 1], "expected operand 0 of at least 20 bytes"),
        ([4, 1, 4, 0, -1, 0, 1], "before its start"),
        ([4, 1, 4, 0, 1, 0, 2], "expected operand 1 of at least 28 bytes"),
        ([4, 1, 4, 0, 1, 0, 0], "writes an element several times"),
        ([4, 1, 4, 0, 1, 0], "got only 6 ints"),
        ([1, 0, 2**63 - 1, 0], "expected source offset in 0.."),
        ([1, 1, 1, 0, 1, 2**63 - 1, 1], "expected target offset in 0.."),
    ],
)
def test_bad_copies_are_refused(ints, message):
    with pytest.raises(ValueError, match=message):
        run("copy", ints, [np.zeros(4, np.float32)], (4,), "float32")
