"""Metrics over a stream of batches: exact whatever the batches' sizes, and what the totals count."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from axon import metrics, model, nx, optimizers, tree
from axon.datasets import batches
from axon.errors import ShapeError, StructureError
from axon.loop import Loop, State, early_stop, evaluate
from axon.metrics import Metric
from axon.model import Model, input
from sklearn import metrics as theirs

from .trainers import EVALUATE

RNG = np.random.default_rng(3)
X = RNG.random((200, 1)).astype(np.float32)
Y = (RNG.random((200, 1)) < 0.3 * X).astype(np.float32)  # few are positive
RMSE = Metric(
    "rmse",
    init=lambda: (nx.zeros((), dtype="float64"), 0),
    update=lambda state, y, p: (state[0] + nx.sum((y - p) ** 2), state[1] + p.size),
    result=lambda state: nx.sqrt(state[0] / state[1]),
)
ASKED: dict[str, Any] = {
    "precision": metrics.precision,
    "recall": metrics.recall,
    "precision at 0.2": partial(metrics.precision, threshold=0.2),
    "rmse": RMSE,
    "highest": Metric("highest", lambda: -1.0, lambda s, y, p: nx.maximum(s, nx.max(p)), lambda s: s),
    "mean_absolute_error": metrics.mean_absolute_error,
}
EXPECTED = {
    "precision": theirs.precision_score(Y, X > 0.5),
    "recall": theirs.recall_score(Y, X > 0.5),
    "precision at 0.2": theirs.precision_score(Y, X > 0.2),
    "rmse": np.sqrt(np.mean((Y.astype("f8") - X) ** 2)),
    "highest": X.max(),
    "mean_absolute_error": np.abs(Y.astype("f8") - X).mean(),
}


def itself() -> Model:
    return input("x", shape=(None, 1)).nx(lambda x: x)


@pytest.mark.parametrize("size", [1, 7, 64, 200])
def test_whatever_the_sizes_of_batches(size: int) -> None:
    found = evaluate(itself(), model.init(itself()), batches(X, Y, size), ASKED, **EVALUATE)
    assert found == pytest.approx(EXPECTED, rel=3e-7)
    assert list(found) == list(ASKED)


@pytest.mark.parametrize("compiler", ["native", "evaluate"])
def test_in_training_validation_progress_and_early_stop(compiler: str, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[dict[str, float]] = []
    loop = Loop.trainer(itself(), "mean_squared_error", "sgd").validate(batches(X, Y, 64))
    for name, metric in ASKED.items():
        loop = loop.metric(metric, name)
    loop = loop.handle("epoch_completed", early_stop("validation_precision", mode="max", patience=0))
    loop = loop.handle("halted", lambda s: seen.append(s.metrics))
    result = loop.run(batches(X, Y, 7), epochs=3, compiler=compiler)
    assert len(result.history) == 2  # no better in the second
    (metrics,) = seen
    for shown in (metrics, *result.history):
        for name, value in EXPECTED.items():
            assert [shown[name], shown[f"validation_{name}"]] == pytest.approx([value, value], rel=3e-7)
    assert f"   precision {EXPECTED['precision']:.4f}   recall {EXPECTED['recall']:.4f}" in capsys.readouterr().out


def test_a_running_metric_is_that_of_the_batches_so_far() -> None:
    seen: list[float] = []
    loop = Loop.trainer(itself(), "mean_squared_error", "sgd", progress=False).metric("recall")
    loop = loop.handle("iteration_completed", lambda s: seen.append(s.metrics["recall"]))
    loop.run(batches(X, Y, 50, seed=None), **EVALUATE)
    expected = [theirs.recall_score(Y[:n], X[:n] > 0.5) for n in (50, 100, 150, 200)]
    assert seen == pytest.approx(expected, rel=1e-6)


def test_a_metric_has_a_name_of_its_own() -> None:
    loop = Loop.trainer(itself(), "mean_squared_error", "sgd").metric(RMSE).metric(RMSE, "again").metric("recall")
    assert list(loop.metrics) == ["rmse", "again", "recall"]
    assert list(evaluate(itself(), model.init(itself()), [(X, Y)], [RMSE, "precision"], **EVALUATE)) == [
        "rmse",
        "precision",
    ]


@pytest.mark.parametrize("name", ["loss", "epoch", "seconds", "learning_rate", "validation_loss"])
def test_columns_of_the_history_are_no_names(name: str) -> None:
    with pytest.raises(ValueError, match=f"^metric: expected a new name, got '{name}'.*; pass another name="):
        Loop.trainer(itself(), "mean_squared_error", "sgd").metric(RMSE, name)


@pytest.mark.parametrize(
    ("update", "result", "error", "text"),
    [
        (lambda s, y, p: p, None, ShapeError, r"a state like the one it took, float32\[\], got float32\[200,1\]; "),
        (lambda s, y, p: (s, s), None, StructureError, "metric mine: expected update to give a state like the one"),
        (lambda s, y, p: None, None, StructureError, "metric mine: expected update to give a state like the one"),
        (None, lambda s: nx.stack([s, s]), ShapeError, r"metric mine: expected one number, got float32\[2\]"),
    ],
)  # fmt: skip
def test_what_a_metric_must_give(update: Any, result: Any, error: Any, text: str) -> None:
    mine = Metric("mine", lambda: 0.0, update or (lambda s, y, p: s), result or (lambda s: s))
    with pytest.raises(error, match=text):
        evaluate(itself(), model.init(itself()), [(X, Y)], mine, **EVALUATE)


def test_the_state_of_a_metric_keeps_its_dtype_and_the_step_its_trace() -> None:
    counted = Metric("counted", lambda: 0, lambda s, y, p: s + nx.sum(p > 2).astype("int64") + 1.0, lambda s: s)
    loop = Loop.trainer(itself(), "mean_squared_error", "sgd", progress=False).metric(counted)
    result = loop.run([(X, Y)] * 3, **EVALUATE)
    assert result.history[0]["counted"] == 3 and loop.steps("evaluate").train.traces == 1
    assert result.last.step.totals.states["counted"].dtype is nx.int32


@pytest.mark.parametrize("compiler", ["native", "evaluate"])
def test_totals_do_not_stop_counting(compiler: str) -> None:
    """One batch of 2**24 zeros, where float32's counts end, then 200 ones: their mean to float32's precision."""
    many = np.zeros((2**24, 1), np.float32)
    one = np.ones((1, 1), np.float32)
    stream = ((x, x) for x in (many, *[one] * 200))
    asked = {"mean": lambda y, p: nx.mean(p), "share": partial(metrics.recall, threshold=-1.0)}
    found = evaluate(itself(), model.init(itself()), stream, asked, compiler=compiler)
    assert found["mean"] == pytest.approx(200 / (2**24 + 200), rel=1e-7)
    assert found["share"] == 1.0


def test_a_long_sum_of_small_things() -> None:
    """0.1 of float32, 20,000 times: float32 would be off by 1e-4 of it."""
    step = Loop.trainer(itself(), "mean_squared_error", "sgd").metric(lambda y, p: nx.mean(p), "mean")
    tenth = np.full((1, 1), 0.1, np.float32)
    result = step.run([(tenth, tenth)] * 5000, iterations=5000)
    assert result.history[0]["mean"] == pytest.approx(float(np.float32(0.1)), rel=1e-7)


NONE = (np.zeros((0, 4), np.float32), np.zeros((0, 1), np.float32))
SOME = [(RNG.normal(size=(n, 4)).astype(np.float32), np.ones((n, 1), np.float32)) for n in (3, 5)]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_batch_without_examples_changes_nothing(place: int) -> None:
    m = input("x", shape=(None, 4)).batch_norm().dense(1, activation="sigmoid")
    loop = Loop.trainer(m, "mean_squared_error", optimizers.adam(0.1), progress=False).metric("recall")
    stream: list[Any] = list(SOME)
    stream.insert(place, NONE)
    expected, result = (loop.run(data, epochs=2, **EVALUATE) for data in (SOME, stream))
    for a, b in zip(tree.leaves(expected.last.step), tree.leaves(result.last.step), strict=True):
        if a is not expected.last.step.watch.good:  # which counts batches
            np.testing.assert_array_equal(a, b)
    assert [h["loss"] for h in result.history] == [h["loss"] for h in expected.history]
    assert result.last.step_count == expected.last.step_count == 4
    measured = [evaluate(m, result.state, data, "recall", "mean_squared_error", **EVALUATE) for data in (SOME, stream)]
    assert measured[0] == measured[1]


def test_the_mean_of_nothing_is_nan() -> None:
    seen: list[float] = []
    loop = Loop.trainer(itself(), "mean_squared_error", "sgd", progress=False)

    def see(state: State) -> None:
        seen.append(state.metrics["loss"])

    result = loop.handle("epoch_started", see).run([(X[:0], Y[:0])], **EVALUATE)
    assert np.isnan([*seen, result.history[0]["loss"]]).all() and result.status == "completed"
