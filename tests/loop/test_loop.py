"""Loops: learning, metrics, events, validation, resuming, interruption; and what they do not do: read back, retrace."""

import copy
import os
import re
import signal
from typing import Any

import numpy as np
import pytest
from axon import losses, metrics, model, nx, optimizers, tree
from axon.datasets import batches
from axon.io import load
from axon.loop import Loop, early_stop, evaluate
from axon.model import input

from .trainers import EVALUATE, X, Y, data, mlp, trainer


def test_it_learns_and_its_history_tells() -> None:
    result = trainer(progress=False).run(data(), epochs=30, **EVALUATE)
    assert result.status == "completed" and len(result.history) == 30
    assert [h["epoch"] for h in result.history] == list(range(1, 31))
    assert result.history[-1]["accuracy"] > 0.95 > result.history[0]["accuracy"]
    assert result.history[-1]["loss"] < 0.5 * result.history[0]["loss"]


def test_reported_means_are_over_examples_though_the_last_batch_is_ragged() -> None:
    """With a learning rate of zero the epoch's means are those of the whole data."""
    m = mlp()
    state = model.init(m, **EVALUATE)
    loop = trainer(m, rate=0.0, progress=False).metric(lambda y, p: nx.mean(nx.max(p, axis=-1)), "confidence")
    found = loop.run(data(), epochs=2, state=state, **EVALUATE).history[-1]
    p = model.predict(m, state, X, **EVALUATE)
    assert found["loss"] == pytest.approx(losses.categorical_cross_entropy(Y, p, reduction="mean").item(), rel=1e-5)
    assert found["accuracy"] == pytest.approx(metrics.accuracy(Y, p).item(), rel=1e-5)
    assert found["confidence"] == pytest.approx(p.numpy().max(-1).mean(), rel=1e-5)


def test_validation_is_the_same_measure_in_inference_mode() -> None:
    m = input("x", shape=(None, 4)).batch_norm().dropout(rate=0.5).dense(3, activation="softmax")
    loop = trainer(m, progress=False).validate(batches(X, Y, 32, seed=None), every=2)
    result = loop.run(data(), epochs=4, **EVALUATE)
    assert ["validation_loss" in h for h in result.history] == [False, True, False, True]
    p = model.predict(m, result.state, X, **EVALUATE)
    expected = losses.categorical_cross_entropy(Y, p, reduction="mean").item()
    assert result.history[-1]["validation_loss"] == pytest.approx(expected, rel=1e-4)
    assert result.history[-1]["validation_accuracy"] == pytest.approx(metrics.accuracy(Y, p).item())
    found = evaluate(m, result.state, batches(X, Y, 9), ["accuracy"], "categorical_cross_entropy", **EVALUATE)
    assert found == pytest.approx({"loss": expected, "accuracy": metrics.accuracy(Y, p).item()}, rel=1e-4)


def test_a_run_is_a_function_of_its_arguments() -> None:
    m = input("x", shape=(None, 4)).dropout(rate=0.2).dense(3, activation="softmax")
    one, two = (trainer(m, progress=False).run(data(), epochs=3, **EVALUATE) for _ in range(2))
    other = trainer(m, progress=False).run(data(seed=1), epochs=3, **EVALUATE)
    for a, b, c in zip(*(tree.leaves(r.state.parameters) for r in (one, two, other)), strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


def test_the_state_given_is_not_used_up() -> None:
    state = model.init(mlp(), **EVALUATE)
    trainer(progress=False).run(data(), state=state, **EVALUATE)
    assert np.isfinite(state["dense_0"]["kernel"].numpy()).all()


def test_events_come_in_order() -> None:
    seen: list[str] = []
    loop = trainer(progress=False)
    for event in (
        "started",
        "epoch_started",
        "iteration_started",
        "iteration_completed",
        "epoch_completed",
        "completed",
    ):
        loop = loop.handle(event, lambda s, event=event: seen.append(f"{event} {s.epoch}.{s.iteration}"))  # type: ignore[arg-type]
    loop.run([(X[:8], Y[:8])] * 2, epochs=2, **EVALUATE)
    epoch = lambda e: [  # noqa: E731
        f"epoch_started {e}.0",
        *(f"iteration_{what} {e}.{i}" for i in (1, 2) for what in ("started", "completed")),
        f"epoch_completed {e}.2",
    ]
    assert seen == ["started 0.0", *epoch(1), *epoch(2), "completed 2.2"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"every": 3}, [3, 6, 9]),
        ({"after": 7}, [8, 9, 10]),
        ({"before": 3}, [1, 2]),
        ({"once": True}, [1]),
        ({"every": 2, "after": 3, "before": 9}, [4, 6, 8]),
        ({"when": lambda s: s.iteration > 8}, [9, 10]),
    ],
)
def test_filters(options: dict[str, Any], expected: list[int]) -> None:
    seen: list[int] = []
    loop = trainer(progress=False).handle("iteration_completed", lambda s: seen.append(s.iteration), **options)
    loop.run([(X[:8], Y[:8])] * 10, **EVALUATE)
    assert seen == expected


def test_handlers_halt_epochs_and_loops() -> None:
    loop = trainer(progress=False)
    result = loop.handle("iteration_completed", lambda s: s.halt_epoch() if s.iteration == 2 else None).run(
        data(), epochs=3, **EVALUATE
    )
    assert result.status == "completed" and len(result.history) == 3 and result.last.iteration == 2
    seen: list[int] = []
    halting = loop.handle("epoch_completed", lambda s: s.halt() if s.metrics["loss"] < 1e9 else None)
    result = halting.handle("halted", lambda s: seen.append(s.epoch)).run(data(), epochs=5, **EVALUATE)
    assert result.status == "halted" and len(result.history) == 1 and seen == [1]


def test_early_stop() -> None:
    """A rate of zero never gets better after the first epoch: it stops with the fourth bad check in a row."""
    stopping = (
        trainer(rate=0.0, progress=False).validate(data(None)).handle("epoch_completed", early_stop("validation_loss"))
    )
    assert len(stopping.run(data(), epochs=20, **EVALUATE).history) == 5
    with pytest.raises(ValueError, match="early_stop: expected one of loss, accuracy, got 'validation_loss'; attach"):
        trainer(progress=False).handle("epoch_completed", early_stop("validation_loss")).run(data(), **EVALUATE)


@pytest.mark.parametrize("epochs", [4, 9])
def test_early_stop_restores_the_best_weights(epochs: int) -> None:
    """Whether it stops by itself (in epoch 5) or the run's last epoch comes first; and the kept copy stays alive."""
    kept: dict[int, Any] = {}
    loop = trainer(progress=False).metric(lambda y, p: nx.max(p), "highest")
    loop = loop.handle("epoch_completed", lambda s: kept.update({s.epoch: copy.deepcopy(s.step.model)}))
    stopping = loop.handle("epoch_completed", early_stop("highest", restore=True))  # it grows from epoch 1 on
    result = stopping.run(data(), epochs=epochs, **EVALUATE)
    assert len(result.history) == min(epochs, 5)
    best = min(result.history, key=lambda h: h["highest"])["epoch"]
    assert best < len(result.history)
    for a, b in zip(tree.leaves(result.state), tree.leaves(kept[best]), strict=True):
        np.testing.assert_array_equal(a, b)
    stopping.run(data(), epochs=epochs + 1, state=result.last, **EVALUATE)


def test_iterations_cap_an_epoch() -> None:
    result = trainer(progress=False).run(data(), epochs=2, iterations=3, **EVALUATE)
    assert result.last.iteration == 3


def test_a_shape_unknown_but_for_data() -> None:
    m = input("x", shape=(None, None)).dense(3, activation="softmax")
    assert trainer(m, progress=False).run(data(), **EVALUATE).state["dense_0"]["kernel"].shape == (4, 3)


def test_one_trace_a_batch_shape_over_all_epochs_and_runs(capsys: pytest.CaptureFixture[str]) -> None:
    loop = trainer(progress=False).validate(data(None))
    for _ in range(2):
        loop.run(data(), epochs=3, **EVALUATE)
    steps = loop.steps("evaluate")
    assert steps.train.traces == steps.evaluate.traces == 2  # type: ignore[attr-defined]
    assert capsys.readouterr().err.count("train_step: trace 2: argument 'x' axis 0") == 1


def test_no_read_back_in_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values leave the device through Tensor.numpy: once a metric an epoch, however many steps there are."""
    reads: list[int] = []
    numpy = nx.Tensor.numpy
    monkeypatch.setattr(nx.Tensor, "numpy", lambda self: (reads.append(1), numpy(self))[1])
    counts = []
    for n in (2, 20):
        loop = trainer(progress=False)
        loop.run([(X[:8], Y[:8])] * n, epochs=1, **EVALUATE)
        reads.clear()
        loop.run([(X[:8], Y[:8])] * n, epochs=1, state=loop.run([(X[:8], Y[:8])], **EVALUATE).last, **EVALUATE)
        counts.append(len(reads))
    assert counts[0] == counts[1]


def interrupt(state: Any = None) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_gives_the_state_reached() -> None:
    before = signal.getsignal(signal.SIGINT)
    loop = trainer(progress=False).handle("iteration_completed", interrupt, after=7, once=False, before=9)
    result = loop.run(data(), epochs=10, **EVALUATE)
    assert result.status == "interrupted" and (result.last.epoch, result.last.iteration) == (2, 3)
    assert len(result.history) == 2 and np.isfinite(result.state["dense_0"]["kernel"].numpy()).all()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("epochs", [1, 3])
def test_ctrl_c_during_validation_and_between_epochs(epochs: int) -> None:
    """It ends the run at once, in the last epoch too, and a validation cut off reports nothing."""
    taken: list[int] = []

    class Validation:
        def __iter__(self) -> Any:
            for i in range(5):
                taken.append(i)
                interrupt()
                yield X[:8], Y[:8]

    result = trainer(progress=False).validate(Validation()).run(data(), epochs=epochs, **EVALUATE)
    assert result.status == "interrupted" and (result.last.epoch, result.last.iteration) == (1, 5) and taken == [0]
    assert list(result.history[0]) == ["epoch", "loss", "accuracy", "seconds"]
    between = trainer(progress=False).handle("epoch_completed", interrupt)
    result = between.run(data(), epochs=epochs, **EVALUATE)
    assert result.status == "interrupted" and (result.last.epoch, result.last.iteration) == (1, 5)


def test_a_second_ctrl_c_interrupts_at_once() -> None:
    def impatient() -> Any:
        yield X[:8], Y[:8]
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        yield X[:8], Y[:8]

    with pytest.raises(KeyboardInterrupt):
        trainer(progress=False).run(impatient(), **EVALUATE)


def test_ctrl_c_within_a_handler_ends_the_run() -> None:
    """In a run, or in evaluate, that a handler makes: the outer run gives the state that it reached."""
    seen: list[Any] = []

    def interrupting() -> Any:
        interrupt()
        yield from [(X[:8], Y[:8])] * 3

    def inner(state: Any) -> None:
        seen.append(trainer(progress=False).run(interrupting, **EVALUATE).status)

    def measured(state: Any) -> None:
        seen.append(evaluate(mlp(), state.step.model, interrupting, **EVALUATE).keys())

    for handler in (inner, measured):
        result = trainer(progress=False).handle("iteration_completed", handler).run(data(), epochs=3, **EVALUATE)
        assert (result.status, result.last.iteration) == ("interrupted", 1)
    assert seen == ["interrupted", {"accuracy"}]
    with pytest.raises(KeyboardInterrupt):
        evaluate(mlp(), model.init(mlp(), **EVALUATE), interrupting, **EVALUATE)


def test_loops_are_values() -> None:
    loop = trainer()
    loop.metric("mean_absolute_error", "error").validate([]).handle("started", lambda s: None)
    assert list(loop.metrics) == ["accuracy"] and loop.validation is None and not loop.handlers


def test_what_evaluate_measures() -> None:
    state = model.init(mlp(), **EVALUATE)
    (expected,) = evaluate(mlp(), state, data(), **EVALUATE).values()
    for asked in ("accuracy", ["accuracy"], {"accuracy": "accuracy"}, {"accuracy": metrics.accuracy}):
        assert evaluate(mlp(), state, data(), asked, **EVALUATE) == {"accuracy": expected}  # type: ignore[arg-type]


def test_a_result_is_one_line() -> None:
    result = trainer(progress=False).run(data(), epochs=2, **EVALUATE)
    assert re.fullmatch(r"<Result completed at epoch 2, loss \d\.\d{4}, accuracy 0\.\d{4}>", repr(result))


def test_a_model_of_two_inputs() -> None:
    m = model.add(input("a", shape=(None, 4)), input("b", shape=(None, 4))).dense(3, activation="softmax")
    for x in ({"a": X, "b": X}, (X, X)):
        assert trainer(m, progress=False).run(batches(x, Y, 16), epochs=20, **EVALUATE).history[-1]["accuracy"] > 0.8


def test_saving(tmp_path: Any) -> None:
    result = trainer(progress=False).run(data(), **EVALUATE)
    result.save(tmp_path / "model.safetensors")
    found = load(tmp_path / "model.safetensors", like=result.state)
    for a, b in zip(tree.leaves(found), tree.leaves(result.state), strict=True):
        np.testing.assert_array_equal(a, b)


def test_native_trains_as_evaluate_does() -> None:
    m = mlp()
    state = model.init(m, **EVALUATE)
    one, two = (
        trainer(m, progress=False).run(data(), epochs=2, state=state, compiler=c) for c in ("evaluate", "native")
    )
    for a, b in zip(tree.leaves(one.state), tree.leaves(two.state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_a_model_of_several_outputs_is_trained_and_measured() -> None:
    x = input("x", shape=(None, 4))
    m = model.container({"mean": x.dense(1), "sign": x.dense(1, activation="sigmoid")})
    given = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    y = {"mean": given.sum(1, keepdims=True), "sign": (given[:, :1] > 0).astype(np.float32)}
    pairs = [({"x": given[i : i + 20]}, tree.map(lambda part: part[i : i + 20], y)) for i in (0, 20, 40, 60)]  # noqa: B023
    loss: Any = {"mean": "mean_squared_error", "sign": ("binary_cross_entropy", 0.1)}
    error: Any = lambda y, p: nx.mean(nx.abs(y["mean"] - p["mean"]))  # noqa: E731
    loop = Loop.trainer(m, loss, optimizers.adam(0.03), progress=False).metric(error, "error").metric(hits, "hits")
    result = loop.validate(pairs[:1]).run(pairs, epochs=60, **EVALUATE)
    first, last = result.history[0], result.history[-1]
    assert last["loss"] < 0.5 * first["loss"] and last["hits"] > 0.9 and last["validation_error"] < first["error"]
    found = evaluate(m, result.state, pairs, loss=loss, metrics={"error": error}, **EVALUATE)
    p = model.predict(m, result.state, given, **EVALUATE)
    np.testing.assert_allclose(found["error"], np.abs(p["mean"].numpy() - y["mean"]).mean(), rtol=1e-5)


@pytest.mark.parametrize("shape", [(None, 4), None])
def test_targets_of_several_outputs_are_looked_at_before_the_first_step(shape: Any) -> None:
    m = model.container((input("x", shape=shape).dense(1), input("z", shape=(None, 4)).dense(3, activation="softmax")))
    given, y = np.ones((6, 4), np.float32), (np.ones((6, 1), np.float32), np.array([0, 1, 2, 3, 0, 0]))
    loop = Loop.trainer(m, ["huber", ("categorical_cross_entropy", 0.5)], "sgd", progress=False)
    with pytest.raises(ValueError, match=r"categorical_cross_entropy: expected classes 0..2 for 3 outputs, got 0..3"):
        loop.run([((given, given), y)], epochs=1, **EVALUATE)
    for name in metrics.__all__:
        if name != "Metric":
            text = rf"^{name}: expected one output, got 0, 1; write a function \(y_true, y_pred"
            with pytest.raises(ValueError, match=text):
                loop.metric(name).run([((given, given), (y[0], y[1] % 3))], epochs=1, **EVALUATE)
    with pytest.raises(ValueError, match=r"^loss 0: layer dense_0 .*: expected a layer of several results"):
        evaluate(input("x", shape=(None, 4)).dense(1), model.ModelState(), [], loss=("huber", "huber"), metrics={})


def hits(y: Any, p: Any) -> nx.Tensor:
    return metrics.accuracy(y["sign"], p["sign"])
