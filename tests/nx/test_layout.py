"""Functions composed of movement rows against NumPy, and what the rows refuse."""

import numpy as np
import pytest
from axon import nx, testing
from axon.errors import ShapeError
from hypothesis import given
from hypothesis import strategies as st

X = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    "ours, theirs",
    [
        (lambda x: nx.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1)),
        (lambda x: nx.moveaxis(x, (0, 1), (2, 0)), lambda x: np.moveaxis(x, (0, 1), (2, 0))),
        (lambda x: nx.swapaxes(x, 0, 2), lambda x: np.swapaxes(x, 0, 2)),
        (nx.matrix_transpose, lambda x: np.swapaxes(x, -1, -2)),
        (nx.transpose, np.transpose),
        (lambda x: nx.roll(x, 1), lambda x: np.roll(x, 1)),
        (lambda x: nx.roll(x, (1, -2), axis=(0, 2)), lambda x: np.roll(x, (1, -2), axis=(0, 2))),
        (lambda x: nx.roll(x, 9, axis=1), lambda x: np.roll(x, 9, axis=1)),
        (lambda x: nx.repeat(x, 3), lambda x: np.repeat(x, 3)),
        (lambda x: nx.repeat(x, 2, axis=1), lambda x: np.repeat(x, 2, axis=1)),
        (lambda x: nx.tile(x, 2), lambda x: np.tile(x, 2)),
        (lambda x: nx.tile(x, (2, 1, 1, 3)), lambda x: np.tile(x, (2, 1, 1, 3))),
        (lambda x: nx.stack([x, x + 1], axis=1), lambda x: np.stack([x, x + 1], axis=1)),
        (lambda x: nx.stack([x, x + 1], axis=-1), lambda x: np.stack([x, x + 1], axis=-1)),
        (lambda x: nx.concat([x, x], axis=-1), lambda x: np.concatenate([x, x], axis=-1)),
        (lambda x: nx.concat([x, x[0]], axis=None), lambda x: np.concatenate([x, x[0]], axis=None)),
        (lambda x: nx.reshape(x, (4, -1), copy=True), lambda x: x.reshape(4, -1)),
        (lambda x: x.reshape(4, -1), lambda x: x.reshape(4, -1)),
        (nx.flatten, np.ravel),
        (lambda x: nx.split(x, 2, axis=2)[1], lambda x: np.split(x, 2, axis=2)[1]),
        (lambda x: nx.split(x, (1, 2), axis=1)[1], lambda x: x[:, 1:]),
        (lambda x: nx.unstack(x, axis=1)[2], lambda x: x[:, 2]),
        (lambda x: x[0].T, lambda x: x[0].T),
        (lambda x: nx.flip(x, axis=(0, 2)), lambda x: np.flip(x, (0, 2))),
    ],
)
def test_composed(ours, theirs):
    got, want = ours(nx.asarray(X)), theirs(X)
    assert got.shape == want.shape
    np.testing.assert_array_equal(got.numpy(), want)
    testing.check_grads(ours, X)


def test_meshgrid():
    vectors = [np.arange(2.0), np.arange(3.0), np.arange(4.0)]
    for indexing in ("xy", "ij"):
        for n in (1, 2, 3):
            for ours, theirs in zip(
                nx.meshgrid(*map(nx.asarray, vectors[:n]), indexing=indexing),
                np.meshgrid(*vectors[:n], indexing=indexing),
            ):
                np.testing.assert_array_equal(ours.numpy(), theirs)
    assert [x.tolist() for x in nx.meshgrid([], [1])] == [[[]], [[]]]


def test_arrays_become_tensors():
    assert nx.meshgrid([1, 2], np.ones(3))[0].type == nx.template((3, 2), "int32")
    assert [x.shape for x in nx.broadcast_arrays([1, 2], np.ones((3, 1)))] == [(3, 2), (3, 2)]
    assert nx.concat([[1], np.ones(1, "int32")], axis=None).tolist() == nx.stack([1, nx.tensor(1)]).tolist() == [1, 1]


def test_numbers_do_not_change_the_dtype():
    half = nx.ones((), "float16")
    joined = nx.stack([half, 2.0]), nx.stack([2.0, half]), nx.concat([2, half], axis=None)
    assert all(x.dtype is nx.float16 for x in (*joined, *nx.broadcast_arrays(2.0, half), *nx.meshgrid(half, 2)))
    assert nx.stack([0.1, nx.ones((), "float64")]).tolist() == [0.1, 1.0]


def padded(x, config, value):
    """Pad by its definition: spread, surround, crop."""
    for axis, (lo, hi, inner) in enumerate(config):
        x = np.moveaxis(x, axis, 0)
        spread = np.full((max(0, len(x) + (len(x) - 1) * inner), *x.shape[1:]), value)
        spread[:: inner + 1] = x
        around = [np.full((max(0, n), *x.shape[1:]), value) for n in (lo, hi)]
        x = np.concatenate([around[0], spread, around[1]])
        x = np.moveaxis(x[max(0, -lo) : len(x) - max(0, -hi)], 0, axis)
    return x


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-2, 3), st.integers(-2, 3), st.integers(0, 2)), max_size=3))
def test_pad(axes):
    shape, config = tuple(n for n, *_ in axes), [tuple(c) for _, *c in axes]
    x = np.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape)
    if any(n + max(n - 1, 0) * i + lo + hi < 0 for n, (lo, hi, i) in zip(shape, config)):
        with pytest.raises(ShapeError, match="crop"):
            nx.pad(nx.asarray(x), config)
        return
    np.testing.assert_array_equal(nx.pad(nx.asarray(x), config, -1.0).numpy(), padded(x, config, -1.0))


def test_pad_shorthand_and_gradient():
    assert nx.pad(nx.ones((2, 2)), 1).shape == (4, 4) and nx.pad(nx.ones((2, 2)), [1, (0, 2)]).shape == (4, 4)
    assert nx.pad(nx.tensor([True]), 1).tolist() == [False, True, False]
    assert nx.pad(nx.tensor([True]), 1).dtype is nx.bool and nx.pad(nx.ones(1, "uint8"), 1).dtype is nx.uint8
    config = [(1, -1, 2), (-1, 2, 0)]
    testing.check_grads(lambda x, v: nx.pad(x, config, v), X[0], np.array(2.0))


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda x: nx.reshape(x, (5, -1)), "24 elements"),
        (lambda x: nx.reshape(x, (-1, -1)), "24 elements"),
        (lambda x: nx.permute_dims(x, (0, 1)), "each axis once"),
        (lambda x: nx.permute_dims(x, (0, 1, 1)), "distinct"),
        (lambda x: nx.broadcast_to(x, (2, 3, 5)), "broadcast"),
        (lambda x: nx.squeeze(x, 0), "size 1"),
        (lambda x: nx.concat([x, nx.ones((2, 3))]), "equal but for axis"),
        (lambda x: nx.sum(x, axis=3), r"\[-3, 3\)"),
        (lambda x: nx.sum(x, axis=(0, 0)), "distinct"),
        (lambda x: nx.max(x[:0], axis=0), "at least one element"),
        (lambda x: nx.split(x, 5, axis=2), "fill axis"),
        (lambda x: x + nx.ones(3), "sizes must be equal or 1"),
        (lambda x: x @ nx.ones((3, 3)), "matmul: expected equal sizes"),
        (lambda x: nx.dot(x, nx.ones(3)), "dot: expected equal sizes"),
        (lambda x: nx.tensordot(x, x, axes=([0],)), "expected pairs"),
        (lambda x: nx.dot_general(x, x, contract=3), "expected pairs"),
        (lambda x: nx.argmax(x, axis=(0, 1)), "argmax: expected one axis"),
        (lambda x: nx.argmin(x, axis=()), "argmin: expected one axis"),
        (lambda x: nx.rename(x, "abc"), "3 axis names"),
        (lambda x: nx.rename(x, {"nope": "z"}), "names that axes have"),
        (lambda x: nx.stack([x, x[0]]), r"stack: expected tensors of one shape, got float64\[2,3,4\] and"),
        (lambda x: nx.stack([]), "stack: expected a sequence of at least one"),
        (lambda x: nx.concat([]), "concat: expected a sequence of at least one"),
        (lambda x: nx.concat(3), "concat: expected a sequence of at least one"),
        (lambda x: x.T, "matrix"),
        (lambda x: nx.slice_(x, 0, 9), "0 <= start"),
        (lambda x: nx.pad(x, [(1, 1)]), "for each axis"),
    ],
)
def test_shape_errors_say_what_to_do(call, said):
    with pytest.raises(ShapeError, match=said) as error:
        call(nx.asarray(X))
    assert ";" in str(error.value) and "expected" in str(error.value) and "got" in str(error.value)


def test_argument_errors():
    with pytest.raises(TypeError, match=r"round\(\)"):
        nx.round(nx.ones(2), 2)
    with pytest.raises(TypeError, match="unexpected"):
        nx.max(nx.ones(2), axes=0)
    with pytest.raises(TypeError, match="missing"):
        nx.reshape(nx.ones(2))
    with pytest.raises(TypeError, match="positional"):
        nx.tanh(nx.ones(2), 3)
