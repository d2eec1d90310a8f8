"""Metrics against scikit-learn."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
from axon import metrics, nx
from axon.errors import ShapeError
from sklearn import metrics as theirs

RNG = np.random.default_rng(0)


def test_accuracy() -> None:
    p = RNG.random((50, 5)).astype(np.float32)
    y = RNG.integers(0, 5, 50).astype(np.int32)
    expected = theirs.accuracy_score(y, p.argmax(-1))
    assert metrics.accuracy(y, p).item() == pytest.approx(expected)
    assert metrics.accuracy(np.eye(5)[y], p).item() == pytest.approx(expected)
    assert metrics.accuracy(y, p, sparse=True).item() == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(50,), (50, 1)])
def test_binary(shape: tuple[int, ...]) -> None:
    p, y = RNG.random(shape).astype(np.float32), RNG.integers(0, 2, shape)
    hard = (p > 0.5).ravel()
    assert metrics.accuracy(y, p).item() == pytest.approx(theirs.accuracy_score(y.ravel(), hard))
    assert metrics.precision(y, p).item() == pytest.approx(theirs.precision_score(y.ravel(), hard))
    assert metrics.recall(y, p).item() == pytest.approx(theirs.recall_score(y.ravel(), hard))
    logits = np.log(p / (1 - p))
    assert metrics.accuracy(y, logits, from_logits=True).item() == metrics.accuracy(y, p).item()


@pytest.mark.parametrize("shape", [(4,), (1, 4), (4, 1, 1)])
def test_one_column_is_never_an_argmax(shape: tuple[int, ...]) -> None:
    p = nx.tensor([[0.9], [0.8], [0.7], [0.1]])
    y = np.array([1, 1, 1, 0], np.int32)
    assert metrics.accuracy(y[:, None], p).item() == 1
    with pytest.raises(ShapeError, match=r"accuracy: expected .*; write y_true.reshape\(\(-1, 1\)\)"):
        metrics.accuracy(y.reshape(shape), p)


def test_one_hot_rows_of_any_dtype() -> None:
    p, classes = RNG.random((20, 3)).astype(np.float32), RNG.integers(0, 3, 20)
    for dtype in (bool, np.uint8, np.float64):
        hot = np.eye(3, dtype=dtype)[classes]
        assert metrics.accuracy(hot, p).item() == pytest.approx((p.argmax(-1) == classes).mean())


def test_nan_is_no_right_answer() -> None:
    nan = np.nan
    assert metrics.accuracy(nx.tensor([[0.0], [1.0]]), nx.tensor([[nan], [0.9]])).item() == 0.5
    for y in ([0, 1, 1], np.eye(2)[[0, 1, 1]]):
        p = nx.tensor([[nan, nan], [0.9, nan], [0.1, 0.9]])  # the NaN of the second is where the true class is
        assert metrics.accuracy(y, p).item() == pytest.approx(1 / 3)
    for y, p in (([[nan], [1.0]], [[0.1], [0.9]]), ([[nan, 0.0], [0.0, 1.0]], [[0.9, 0.1], [0.1, 0.9]])):
        assert metrics.accuracy(nx.tensor(y), nx.tensor(p)).item() == 0.5


def test_a_metric_of_many_batches() -> None:
    """Precision of two batches is that of their rows together; a partial of it is a metric, too."""
    p, y = np.float32([0.9, 0.8, 0.1, 0.3]), np.int32([1, 0, 1, 1])
    at = partial(metrics.precision, threshold=0.2)
    for metric, expected in ((metrics.precision, 1 / 2), (at, 2 / 3), (metrics.as_metric(at, "at"), 2 / 3)):
        stream = metrics.as_metric(metric, "mine")
        state = stream.init()
        for rows in (slice(0, 1), slice(1, 4)):
            state = stream.update(state, y[rows], p[rows])
        assert stream.name == "mine" and stream.result(state).item() == pytest.approx(expected, rel=1e-6)
        assert metric(y, p).item() == pytest.approx(expected, rel=1e-6)


def test_metrics_are_copied_and_pickled_by_name() -> None:
    for metric in (metrics.precision, metrics.recall):
        assert pickle.loads(pickle.dumps(metric)) is copy.deepcopy(metric) is metric
    mine = metrics.Metric("mine", nx.zeros, nx.add, nx.sum)
    assert pickle.loads(pickle.dumps(mine)).update is nx.add


def test_nothing_counted_is_zero() -> None:
    zeros = nx.zeros(4)
    assert metrics.precision(zeros, zeros).item() == 0 and metrics.recall(zeros, zeros).item() == 0


def test_errors() -> None:
    y, p = RNG.normal(size=(2, 5, 3)).astype(np.float32)
    assert metrics.mean_absolute_error(y, p).item() == pytest.approx(np.abs(y - p).mean(), rel=1e-5)
    assert metrics.mean_squared_error(y, p).item() == pytest.approx(((y - p) ** 2).mean(), rel=1e-5)


def test_shapes_are_not_broadcast() -> None:
    with pytest.raises(ShapeError, match="accuracy"):
        metrics.accuracy(nx.zeros((8, 1)), nx.zeros((8, 4)))
    with pytest.raises(ShapeError, match="precision"):
        metrics.precision(nx.zeros((8, 1)), nx.zeros(8))
