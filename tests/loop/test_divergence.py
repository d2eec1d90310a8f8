"""A loss that becomes infinite or NaN ends the run, and what is said of it."""

import re
import sys
from dataclasses import replace
from typing import Any

import axon
import numpy as np
import pytest
from axon import losses, nx, optimizers
from axon.errors import NonFiniteError
from axon.loop import Loop, progress
from axon.model import Model, input

from .test_progress import Terminal
from .trainers import EVALUATE, X, Y, data, mlp

SUM = X.sum(1, keepdims=True)


def line() -> Model:
    return input("x", shape=(None, 4)).dense(1)


def changed(array: np.ndarray, at: Any, value: float) -> np.ndarray:
    array = array.copy()
    array[at] = value
    return array


def regression(rate: float) -> Loop:
    return Loop.trainer(line(), "mean_squared_error", optimizers.sgd(rate), progress=False)


def cut(x: np.ndarray, y: np.ndarray) -> list[Any]:
    return [(x[i : i + 10], y[i : i + 10]) for i in range(0, 70, 10)]


def cross_entropy(y: nx.Tensor, p: nx.Tensor) -> nx.Tensor:
    """As a user's own loss, whose targets nobody looks at beforehand."""
    return losses.categorical_cross_entropy(y, p, reduction="mean")


def own(loss: Any, m: Model | None = None) -> Loop:
    return Loop.trainer(m or line(), loss, "sgd", progress=False)


TWO = axon.add(input("a", shape=(None, 4)), input("b", shape=(None, 4))).dense(1)
CASES = {
    "NaN in x": (
        regression(0.01), cut(changed(X, (23, 1), np.nan), SUM), 3,
        "x of that batch holds 1 NaN and 0 infinite values of 40, the first in row 3; mend",
    ),
    "infinity in y": (
        regression(0.01), cut(X, changed(SUM, 69, -np.inf)), 7,
        "y of that batch holds 0 NaN and 1 infinite values of 10, the first in row 9; mend",
    ),
    "classes from 1": (
        own(cross_entropy, mlp()), cut(X, Y + 1), 1,
        r"y of that batch holds classes \d\.\.3, expected 0\.\.2 for 3 outputs; number the classes from 0",
    ),
    "a large rate": (
        regression(1e4), cut(X, SUM), 6,
        r"x and y of that batch are finite, the loss grew from [\d.]+ to \S+e\+\d\d; lower the learning rate, 1e\+04 ",
    ),
    "a single step too large": (
        regression(1e38), cut(X, SUM), 2,
        r"x and y of that batch are finite, the loss before was [\d.]+; lower the learning rate, 1e\+38 now, or clip",
    ),
    "a loss of its own": (
        own(lambda y, p: nx.mean(p) / 0.0), cut(X, SUM), 1,
        r"x and y of that batch are finite, it was the first loss; `with axon.debug\(\):`",
    ),
    "a generator": (
        regression(0.01), (b for b in cut(X, SUM * np.nan)), 1,
        "its batch cannot be had again to look at, it was the first loss; ",
    ),
    "two inputs": (
        own("mean_squared_error", TWO), [({"a": X, "b": X * np.nan}, SUM)], 1, "x at b of that batch holds 280 NaN",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the eager compiler, which computes with NumPy
def test_it_is_said_what_was_found(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    loop, batches, iteration, text = CASES[case]
    events: list[str] = []
    for event in ("epoch_completed", "halted", "completed"):
        loop = loop.handle(event, lambda s, event=event: events.append(f"{event} {s.status}"))  # type: ignore[arg-type]
    result = loop.run(batches, epochs=3 if isinstance(batches, list) else 1, **EVALUATE)
    assert result.status == "diverged" and events == ["halted diverged"] and len(result.history) == 1
    assert not np.isfinite(result.history[0]["loss"])
    (said,) = capsys.readouterr().err.splitlines()
    start = f"run: the loss became infinite or NaN at iteration {iteration} of epoch 1, where the run ends: "
    assert said.startswith(start)
    assert re.match(text, said.removeprefix(start)), said


def test_a_later_epoch_is_compared_with_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    result = regression(10.0).run([(X, SUM)], epochs=99, **EVALUATE)
    assert result.status == "diverged" and len(result.history) < 99
    first, last = result.history[0]["loss"], result.history[-2]["loss"]
    assert f"grew from {first:.4g} to {last:.4g}; lower" in capsys.readouterr().err
    assert repr(result).startswith("<Result diverged at epoch ")


def test_going_on_from_it_says_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    data = [(X, Y + 1)] * 3
    result = own(cross_entropy, mlp()).run(data, **EVALUATE)
    said = capsys.readouterr().err
    assert own(cross_entropy, mlp()).run(data, epochs=9, state=result.last, **EVALUATE).status == "diverged"
    assert capsys.readouterr().err == said != ""


def test_a_live_line_ends_the_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    loop = replace(own(cross_entropy, mlp()), progress=True)
    result = loop.run([(X, Y), (X, Y + 1), *[(X, Y)] * 9], **EVALUATE)
    assert result.status == "diverged" and result.last.iteration == 2


def test_a_bad_loss_of_validation_is_no_divergence() -> None:
    result = own(cross_entropy, mlp()).validate([(X, Y + 1)]).run(data(), epochs=2, **EVALUATE)
    assert result.status == "completed" and np.isnan(result.history[-1]["validation_loss"])


def test_debug_names_the_op_and_what_is_wrong_with_the_batch() -> None:
    with pytest.raises(NonFiniteError) as error, axon.debug():
        own(cross_entropy, mlp()).run([(X, Y + 1)], **EVALUATE)
    assert error.value.__notes__[0].startswith("y of that batch holds classes ")
    with pytest.raises(NonFiniteError) as error, axon.debug():
        own(cross_entropy, mlp()).run([(X, Y), (X * np.nan, Y)], **EVALUATE)
    assert error.value.__notes__[0].startswith("x of that batch holds 280 NaN")
    assert error.value.last.iteration == 1  # type: ignore[attr-defined]


def test_no_run_goes_on_from_weights_that_are_nan() -> None:
    loop = regression(0.1)
    result = loop.run([(changed(X, 3, np.nan), SUM)], **EVALUATE)
    assert result.status == "diverged"
    for state in (result.last, result.state):
        with pytest.raises(ValueError, match="run: expected weights that are numbers in the state, got NaN in dense_0"):
            loop.run([(X, SUM)], epochs=2, state=state, **EVALUATE)
