"""Metrics against scikit-learn."""

import copy
import pickle
from functools import partial
from typing import Any

import numpy as np
import pytest
from axon import metrics, nx
from axon.datasets import batches
from axon.defn import jit
from axon.errors import ShapeError
from axon.loop import evaluate
from axon.model import init, input
from axon.streams import as_metric
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
        called = np.eye(3, dtype=dtype)[p.argmax(-1)]
        assert metrics.accuracy(classes, called).item() == pytest.approx((p.argmax(-1) == classes).mean())


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
    for metric, expected in ((metrics.precision, 1 / 2), (at, 2 / 3), (as_metric(at, "at"), 2 / 3)):
        stream = as_metric(metric, "mine")
        state = stream.init()
        for rows in (slice(0, 1), slice(1, 4)):
            state = stream.update(state, y[rows], p[rows])
        assert stream.name == "mine" and stream.result(state).item() == pytest.approx(expected, rel=1e-6)
        assert metric(y, p).item() == pytest.approx(expected, rel=1e-6)


def test_metrics_are_copied_and_pickled_by_name() -> None:
    for name in DECISIONS:
        metric = getattr(metrics, name)
        assert pickle.loads(pickle.dumps(metric)) is copy.deepcopy(metric) is metric
    mine = metrics.Metric("mine", nx.zeros, nx.add, nx.sum)
    assert pickle.loads(pickle.dumps(mine)).update is nx.add


def test_nothing_counted_is_zero() -> None:
    zeros, ones = nx.zeros(4), nx.ones(4)
    for name in ("precision", "recall", "sensitivity", "true_positives", "false_positives", "false_negatives"):
        assert getattr(metrics, name)(zeros, zeros).item() == 0
    assert metrics.specificity(ones, ones).item() == metrics.true_negatives(ones, ones).item() == 0
    assert metrics.true_positives(zeros[:0], zeros[:0]).item() == 0


DECISIONS: dict[str, Any] = {  # of labels and decisions
    "precision": lambda y, d: theirs.precision_score(y, d),
    "recall": lambda y, d: theirs.recall_score(y, d),
    "sensitivity": lambda y, d: theirs.recall_score(y, d),
    "specificity": lambda y, d: theirs.recall_score(y, d, pos_label=0),
    "true_negatives": lambda y, d: theirs.confusion_matrix(y, d).ravel()[0],
    "false_positives": lambda y, d: theirs.confusion_matrix(y, d).ravel()[1],
    "false_negatives": lambda y, d: theirs.confusion_matrix(y, d).ravel()[2],
    "true_positives": lambda y, d: theirs.confusion_matrix(y, d).ravel()[3],
}
MODES: dict[str, Any] = {"eager": lambda f: f, "native": jit, "evaluate": lambda f: jit(f, compiler="evaluate")}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_decisions(dtype: str, mode: str) -> None:
    p, y = nx.tensor(RNG.random((7, 9)), dtype), RNG.integers(0, 2, (7, 9))
    for threshold in (0.5, np.float64(0.25)):
        found = MODES[mode](
            lambda y, p: [getattr(metrics, name)(y, p, threshold=threshold) for name in DECISIONS]  # noqa: B023
        )
        hard = (p.numpy().astype("f8") > threshold).ravel()
        expected = [of(y.ravel(), hard) for of in DECISIONS.values()]
        for targets in (y, y.astype(bool), y.astype("u1"), 2 * y - 1, nx.tensor(y, dtype)):
            got = found(nx.asarray(targets), p)
            assert [t.item() for t in got] == pytest.approx(expected, rel=1e-6)
            assert [str(t.dtype) for t in got] == ["float32"] * 4 + ["int64"] * 4


def test_nan_is_no_right_decision() -> None:
    y, p = nx.tensor([1.0, 0.0, np.nan, np.nan, 1.0, 0.0]), nx.tensor([np.nan, np.nan, 0.9, 0.1, 0.9, 0.1])
    found = {name: getattr(metrics, name)(y, p).item() for name in DECISIONS}
    assert found == pytest.approx(
        {
            "precision": 1 / 2, "recall": 1 / 2, "sensitivity": 1 / 2, "specificity": 1 / 4,
            "true_negatives": 1, "false_positives": 1, "false_negatives": 1, "true_positives": 1,
        }
    )  # fmt: skip


@pytest.mark.parametrize("name", ["true_positives", "specificity", "recall"])
def test_counts_go_beyond_what_float32_holds(name: str) -> None:
    metric, many = getattr(metrics, name), 2**24
    y = nx.zeros(3) if name == "specificity" else nx.ones(3)
    state = tuple(count + many for count in metric.init())
    p = nx.tensor([0.1, 0.9, 0.9]) if name != "specificity" else nx.tensor([0.9, 0.1, 0.1])
    found = metric.update(state, y, p)
    assert [t.item() for t in found] == [many + 2, many + 3][: len(found)]
    assert [str(t.dtype) for t in found] == ["int64"] * len(found)


@pytest.mark.parametrize("compiler", ["native", "evaluate"])
@pytest.mark.parametrize("size", [1, 7, 60])
def test_decisions_over_an_epoch_whatever_the_batches(size: int, compiler: str) -> None:
    p, y = RNG.random((60, 1)).astype("f4"), RNG.integers(0, 2, (60, 1))
    itself = input("x", shape=(None, 1)).nx(lambda x: x)
    asked = {**{name: name for name in DECISIONS}, "at 0.2": partial(metrics.specificity, threshold=0.2)}
    asked = {name: getattr(metrics, metric) if isinstance(metric, str) else metric for name, metric in asked.items()}
    found = evaluate(itself, init(itself), batches(p, y, size), asked, compiler=compiler)
    expected = {name: of(y, p > 0.5) for name, of in DECISIONS.items()}
    expected["at 0.2"] = DECISIONS["specificity"](y, p > 0.2)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_top_k(dtype: str, mode: str) -> None:
    """Ties and all: the place of the true class where rows are sorted, equal scores in their order."""
    p, y = nx.tensor(RNG.integers(0, 5, (40, 7)), dtype), RNG.integers(0, 7, 40)
    p = nx.where(nx.tensor(RNG.random((40, 7)) < 0.1), -np.inf, p)
    order = np.argsort(-p.numpy().astype("f8"), axis=-1, kind="stable")
    place = (order == y[:, None]).argmax(-1)
    hot = nx.tensor(np.eye(7)[y], dtype)
    found = MODES[mode](
        lambda y, hot, p: [[metrics.top_k_categorical_accuracy(t, p, k=k) for k in range(1, 8)] for t in (y, hot)]
    )(nx.tensor(y.astype("u1")), hot, p)
    for shares in found:
        assert [float(share) for share in shares] == pytest.approx([(place < k).mean() for k in range(1, 8)])
    assert float(found[0][0]) == metrics.accuracy(y, p).item() and float(found[0][6]) == 1


def test_top_k_of_sklearn() -> None:
    p, y = RNG.random((50, 8)).astype("f4"), RNG.integers(0, 8, 50)
    for k in (1, 3, 5):
        wanted = theirs.top_k_accuracy_score(y, p, k=k, labels=range(8))
        assert metrics.top_k_categorical_accuracy(y, p, k=np.int64(k)).item() == pytest.approx(wanted)
    assert metrics.top_k_categorical_accuracy(y, p).item() == pytest.approx(wanted)
    deep = metrics.top_k_categorical_accuracy(y.reshape(2, 5, 5), p.reshape(2, 5, 5, 8))
    assert deep.item() == pytest.approx(wanted)


def test_top_k_of_what_is_no_class_or_no_number() -> None:
    p = nx.tensor([[0.1, np.nan, 0.9], [0.1, 0.2, 0.9], [0.1, 0.2, 0.9], [np.inf, -np.inf, 0.0]])
    assert metrics.top_k_categorical_accuracy(nx.tensor([2, 3, -1, 1]), p, k=3).item() == 0.25
    y = nx.tensor([[0.0, 0.0, 1.0], [0.0, np.nan, 1.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    assert metrics.top_k_categorical_accuracy(y, p, k=1).item() == 0.5
    for k in (0, 4):
        with pytest.raises(ValueError, match=rf"expected k from 1 to 3, the number of classes, got {k}; give another"):
            metrics.top_k_categorical_accuracy(y, p, k=k)
    with pytest.raises(TypeError, match=r"^top_k_categorical_accuracy: expected an integer as k, got 2\.5"):
        metrics.top_k_categorical_accuracy(y, p, k=2.5)  # type: ignore[arg-type]


def test_errors() -> None:
    y, p = RNG.normal(size=(2, 5, 3)).astype(np.float32)
    assert metrics.mean_absolute_error(y, p).item() == pytest.approx(np.abs(y - p).mean(), rel=1e-5)
    assert metrics.mean_squared_error(y, p).item() == pytest.approx(((y - p) ** 2).mean(), rel=1e-5)


def test_shapes_are_not_broadcast() -> None:
    with pytest.raises(ShapeError, match="accuracy"):
        metrics.accuracy(nx.zeros((8, 1)), nx.zeros((8, 4)))
    for name in DECISIONS:
        with pytest.raises(ShapeError, match=f"^{name}: "):
            getattr(metrics, name)(nx.zeros((8, 1)), nx.zeros(8))
