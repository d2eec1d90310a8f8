"""The mistakes that beginners make, and to the letter what each is told: this is where texts are read side by side."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axon import (  # noqa: F401
    Model,
    activations,
    build,
    config,
    init,
    initializers,
    input,
    layers,
    losses,
    metrics,
    nx,
    predict,
    schedules,
    updates,
)
from axon.datasets import batches
from axon.loop import Loop, Result, evaluate
from axon.optimizers import adam, sgd

from .tables import DataFrame, Series

RNG = np.random.default_rng(0)
x = RNG.normal(size=(96, 4)).astype(np.float32)
y = (x @ RNG.normal(size=(4, 3))).argmax(-1)
yes = (y == 1)[:, None]
value = x.sum(-1, keepdims=True)
images = RNG.normal(size=(96, 8, 8, 1)).astype(np.float32)
names = np.array(["setosa", "versicolor", "virginica"])
people = DataFrame(np.array([[1, "m", 0, 0]], object), [7], ["age", "sex", "a", "b"])


def model(units: int, end: str | None = None) -> Model:
    return input("x", shape=(None, 4)).dense(16, activation="relu").dense(units, activation=end)


def trainer(m: Model, loss: Any, *named: Any, rate: float = 0.02) -> Loop:
    loop = Loop.trainer(m, loss, adam(rate) if rate < 1 else sgd(rate), progress=False)
    for metric in named:
        loop = loop.metric(metric, metric if isinstance(metric, str) else "mine")
    return loop


def fit(m: Model, loss: Any, x: Any, y: Any, *named: Any, **options: Any) -> Result:
    return trainer(m, loss, *named, **options).run(batches(x, y, 32, seed=None))


CCE, BCE, MSE = "categorical_cross_entropy", "binary_cross_entropy", "mean_squared_error"
IMAGE = input("x", shape=(None, 8, 8, 1))
ROWS = re.findall(r"^(\S.*)\n    (.*)$", (Path(__file__).parent / "mistakes.txt").read_text(), re.MULTILINE)


@pytest.fixture(autouse=True)
def evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "default_compiler", "evaluate")


@pytest.mark.parametrize(("mistake", "told"), ROWS)
def test_mistakes_that_are_refused(mistake: str, told: str) -> None:
    with pytest.raises(Exception) as caught:
        eval(mistake)
    assert f"{type(caught.value).__name__}: {caught.value}" == told


def test_the_table_is_read_whole() -> None:
    text = (Path(__file__).parent / "mistakes.txt").read_text()
    assert len(ROWS) == sum(line.startswith("    ") for line in text.splitlines()) > 40


def test_a_loss_of_ones_own_that_broadcasts_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    fit(model(1), lambda y, p: nx.mean((y - p) ** 2), x, value[:, 0])
    assert capsys.readouterr().err == (
        "loss: expected y_true and y_pred of one shape, got float32[32] and float32[32,1], which broadcast: each "
        "target is compared with every prediction; write y_true.reshape((-1, 1))\n"
    )


def spoilt(index: int, put: float) -> np.ndarray:
    copy = x.copy()
    copy.flat[index] = put
    return copy


def categorical(y: Any, p: Any) -> Any:  # a loss of one's own, whose targets nobody knows
    return nx.mean(losses.categorical_cross_entropy(y, p))


# Runs that end as "diverged": the mistake, and what is said of it.
DIVERGED = {
    "NaN in x": (
        lambda: fit(model(3, "softmax"), CCE, spoilt(5, np.nan), y),
        "iteration 1 of epoch 1, where the run ends: x of that batch holds 1 NaN and 0 infinite values of 128, the "
        "first in row 1; mend the data",
    ),
    "infinity in x": (
        lambda: fit(model(1), MSE, spoilt(77, np.inf), value),
        "iteration 1 of epoch 1, where the run ends: x of that batch holds 0 NaN and 1 infinite values of 128, the "
        "first in row 19; mend the data",
    ),
    "NaN in y": (
        lambda: fit(model(1), MSE, x, np.where(x[:, :1] > 1, np.nan, value)),
        "iteration 1 of epoch 1, where the run ends: y of that batch holds 3 NaN and 0 infinite values of 32, the "
        "first in row 12; mend the data",
    ),
    "classes from 1, in a loss of one's own": (
        lambda: fit(model(3, "softmax"), categorical, x, y + 1),
        "iteration 1 of epoch 1, where the run ends: y of that batch holds classes 1..3, expected 0..2 for 3 outputs; "
        "number the classes from 0, or give the model as many outputs",
    ),
    "a rate that is too high": (
        lambda: fit(model(1), MSE, x, value, rate=1e9),
        "iteration 3 of epoch 1, where the run ends: x and y of that batch are finite, the loss grew from A to B; "
        "lower the learning rate, 1e+09 now, or clip the updates; `with axon.debug():` around the run names the op "
        "that made it",
    ),
}


@pytest.mark.parametrize("mistake", DIVERGED)
def test_mistakes_that_diverge(mistake: str, capsys: pytest.CaptureFixture[str]) -> None:
    run, told = DIVERGED[mistake]
    assert run().status == "diverged"
    said = re.sub(r"grew from \S+ to \S+;", "grew from A to B;", capsys.readouterr().err)
    assert said == f"run: the loss became infinite or NaN at {told}\n"


SHUFFLED = RNG.permutation(96)
# What looks like a mistake, and is none: it trains as the arrays do.
TAKEN = {
    "float64 and int64": (x.astype("f8"), y.astype("i8")),
    "small labels": (x, y.astype("u1")),
    "lists": (x.tolist(), y.tolist()),
    "tables whose rows have labels in another order": (
        DataFrame(x, SHUFFLED, ["a", "b", "c", "d"]),
        Series(y, RNG.permutation(96)),
    ),
    "one-hot": (x, np.eye(3)[y]),
    "labels that are True and False": (x, np.eye(3, dtype=bool)[y]),
}


@pytest.mark.parametrize("form", TAKEN)
def test_what_is_taken_as_the_arrays_are(form: str) -> None:
    given, targets = TAKEN[form]
    loop = trainer(model(3, "softmax"), CCE, "accuracy")
    expected = loop.run(batches(x, y, 8), epochs=6)
    result = loop.run(batches(given, targets, 8), epochs=6)
    assert expected.history[-1]["accuracy"] > 0.9
    assert result.history[-1]["accuracy"] == pytest.approx(expected.history[-1]["accuracy"], abs=0.03)
    found = evaluate(loop.model, result.state, batches(given, targets))["accuracy"]
    assert found == pytest.approx(metrics.accuracy(y, predict(loop.model, result.state, given)).item())


def test_integers_and_bools_are_taken_as_inputs() -> None:
    for given in ((10 * x).astype(np.int64), (10 * abs(x)).astype(np.uint8), x > 0):
        assert np.isfinite(fit(model(3, "softmax"), CCE, given, y).history[-1]["loss"])
