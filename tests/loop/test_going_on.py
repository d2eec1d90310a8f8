"""Going on from where a run stopped, between epochs and within one, as if it had never stopped."""

import os
import signal
from functools import cache
from typing import Any

import numpy as np
import pytest
from axon import model, nx, optimizers, schedules, training, tree, updates
from axon.datasets import batches
from axon.errors import StructureError
from axon.io import load, save
from axon.loop import Loop, State
from axon.model import input

from .trainers import EVALUATE, X, Y, data, mlp, trainer


def same(a: Any, b: Any) -> None:
    """Bit for bit the same weights, optimizer, totals and history (but for times)."""
    for x, y in zip(tree.leaves(a.last.step), tree.leaves(b.last.step), strict=True):
        np.testing.assert_array_equal(x, y)
    history = [[{k: v for k, v in h.items() if k != "seconds"} for h in r.history] for r in (a, b)]
    assert history[0] == history[1]
    assert a.last.step_count == b.last.step_count and a.last.iteration == b.last.iteration


def test_going_on_is_as_if_never_stopped() -> None:
    m = input("x", shape=(None, 4)).batch_norm().dropout(rate=0.2).dense(3, activation="softmax")
    loop = trainer(m, progress=False)
    straight = loop.run(data(), epochs=5, **EVALUATE)
    half = loop.run(data(), epochs=2, **EVALUATE)
    for _ in range(2):  # the state kept is not used up
        rest = loop.run(data(), epochs=5, state=half.last, **EVALUATE)
    assert [h["loss"] for h in rest.history] == [h["loss"] for h in straight.history]
    for a, b in zip(tree.leaves(straight.last.step), tree.leaves(rest.last.step), strict=True):
        np.testing.assert_array_equal(a, b)


def test_going_on_from_a_file(tmp_path: Any) -> None:
    """As docs/design/models.md says, by a loop that has not run before."""
    straight = trainer(progress=False).run(data(), epochs=4, **EVALUATE)
    save(tmp_path / "step", trainer(progress=False).run(data(), epochs=2, **EVALUATE).last.step)
    loop = trainer(progress=False)
    fresh = loop.run(data(), epochs=0, **EVALUATE).last
    last = fresh._replace(step=load(tmp_path / "step", like=fresh.step), epoch=2)
    assert loop.run(data(), epochs=4, state=last, **EVALUATE).history[-1]["loss"] == straight.history[-1]["loss"]


def test_going_on_with_other_metrics() -> None:
    last = trainer(progress=False).run(data(), **EVALUATE).last
    fewer = Loop.trainer(mlp(), "categorical_cross_entropy", "adam", progress=False).validate(data())
    for loop in (fewer, fewer.metric(lambda y, p: nx.max(p), "highest")):
        names = ["loss", *loop.metrics]
        reported = loop.run(data(), epochs=2, state=last, **EVALUATE).history[-1]
        assert list(reported) == ["epoch", *names, *(f"validation_{name}" for name in names), "seconds"]


def stateful() -> Loop:
    """A loop with all kinds of state: batch norm, dropout, moments, a schedule, counts, validation."""
    m = input("x", shape=(None, 4)).batch_norm().dropout(rate=0.2).dense(3, activation="softmax")
    optimizer = optimizers.adam(schedules.cosine_decay(0.02, decay_steps=12))
    loop = Loop.trainer(m, "categorical_cross_entropy", optimizer, progress=False).metric("accuracy")
    return loop.metric(lambda y, p: nx.max(p), "highest").validate(data(None))


def halt(state: State) -> State:
    return state.halt()


def interrupt(state: State) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def fail(state: State) -> None:
    raise RuntimeError("no more disk")


@cache
def straight(epochs: int) -> Any:
    return stateful().run(data(), epochs=epochs, **EVALUATE)


@pytest.mark.parametrize(
    ("stop", "event", "at"),
    [
        *((halt, "iteration_completed", at) for at in (1, 4, 5, 7, 10)),  # 5 steps an epoch
        (halt, "iteration_started", 6),
        *((interrupt, "iteration_completed", at) for at in (2, 10)),
        *((fail, "iteration_completed", at) for at in (1, 5)),
        *((fail, "iteration_started", at) for at in (6, 9)),
    ],
)
def test_going_on_within_an_epoch(stop: Any, event: Any, at: int) -> None:
    loop = stateful()
    stopping = loop.handle(event, stop, when=lambda s: s.step_count == at)
    try:
        last = stopping.run(data(), epochs=3, **EVALUATE).last
    except RuntimeError as error:
        last = error.last  # type: ignore[attr-defined]
    assert last.step_count == (at - 1 if (stop, event) == (fail, "iteration_started") else at)
    rest = loop.run(data(), epochs=3, state=last, **EVALUATE)
    same(rest, straight(3))
    assert not rest.last.mid_epoch


def test_an_error_before_the_first_step_says_nothing_of_it() -> None:
    with pytest.raises(RuntimeError) as error:
        stateful().handle("iteration_started", fail).run(data(), **EVALUATE)
    assert not hasattr(error.value, "last") and not hasattr(error.value, "__notes__")


def test_stopping_again_and_again() -> None:
    loop = stateful()
    one = loop.handle("iteration_completed", halt)
    result = one.run(data(), epochs=2, **EVALUATE)
    while result.status == "halted" and len(result.history) < 3:
        following = one.run(data(), epochs=2, state=result.last, **EVALUATE)
        assert following.history[-1]["seconds"] > 0 and len(following.history) == following.last.epoch
        result = following
    same(result, straight(2))


def test_an_error_in_the_data_and_in_validation_keeps_what_was_reached() -> None:
    class Failing:
        """Data whose pass number `bad` ends in an error."""

        passes = 0

        def __init__(self, bad: int) -> None:
            self.bad = bad

        def __iter__(self) -> Any:
            self.passes += 1
            yield from list(data(None))[:3]
            if self.passes == self.bad:
                raise OSError("no such image")
            yield from list(data(None))[3:]

    loop = stateful()
    whole = loop.run(list(data(None)), epochs=3, **EVALUATE)
    with pytest.raises(OSError) as error:
        loop.run(Failing(2), epochs=3, **EVALUATE)
    last = error.value.last  # type: ignore[attr-defined]
    assert (last.epoch, last.iteration, len(last.history)) == (2, 3, 1)
    assert error.value.__notes__ == [
        "run: iteration 3 of epoch 2 was completed before; run(..., state=error.last) goes on from there"
    ]
    same(loop.run(Failing(0), epochs=3, state=last, **EVALUATE), whole)
    with pytest.raises(OSError) as error:
        loop.validate(Failing(2)).run(list(data(None)), epochs=3, **EVALUATE)
    same(loop.run(list(data(None)), epochs=3, state=error.value.last, **EVALUATE), whole)  # type: ignore[attr-defined]


def test_an_epoch_that_was_cut_short_on_purpose_is_over() -> None:
    loop = trainer(progress=False)
    capped = loop.run(data(), epochs=1, iterations=2, **EVALUATE).last
    ended = loop.handle("iteration_completed", State.halt_epoch, when=lambda s: s.iteration == 2)
    for last in (capped, ended.run(data(), **EVALUATE).last):
        assert not last.mid_epoch
        assert loop.run(data(), epochs=2, state=last, **EVALUATE).last.step_count == 7
    stopped = loop.handle("iteration_completed", halt).run(data(), iterations=3, **EVALUATE).last
    for cap, steps in ((3, 3), (1, 1)):
        assert loop.run(data(), iterations=cap, state=stopped, **EVALUATE).last.step_count == steps


def test_going_on_within_an_epoch_from_a_file(tmp_path: Any) -> None:
    loop = stateful()
    last = loop.handle("iteration_completed", halt, after=6).run(data(), epochs=3, **EVALUATE).last
    save(tmp_path / "step", last.step)
    fresh = stateful().run(data(), epochs=0, **EVALUATE).last
    place = {name: getattr(last, name) for name in ("epoch", "iteration", "step_count", "mid_epoch", "history")}
    again = fresh._replace(step=load(tmp_path / "step", like=fresh.step), **place)
    same(stateful().run(data(), epochs=3, state=again, **EVALUATE), straight(3))


def test_going_on_with_a_function_that_makes_the_batches() -> None:
    loop = stateful()
    last = loop.handle("iteration_completed", halt, after=1).run(lambda: iter(data(None)), epochs=2, **EVALUATE).last
    rest = loop.run(lambda: iter(data(None)), epochs=2, state=last, **EVALUATE)
    same(rest, loop.run(list(data(None)), epochs=2, **EVALUATE))


def test_what_is_refused_within_an_epoch() -> None:
    loop = trainer(progress=False)
    last = loop.handle("iteration_completed", halt, after=2).run(data(), epochs=2, **EVALUATE).last
    run = lambda loop, data, last=last: loop.run(data, epochs=2, state=last, **EVALUATE)  # noqa: E731
    with pytest.raises(ValueError, match=r"^run: expected data that can be passed over from its beginning, .* epoch 1"):
        loop.run(iter(data()), state=last, **EVALUATE)
    with pytest.raises(ValueError, match=r"^run: expected the 3 batches that the state has behind it .*, got fewer; "):
        run(loop, batches(X, Y, 35))
    other = loop.metric(lambda y, p: nx.max(p), "highest")
    with pytest.raises(
        ValueError, match=r"^run: expected the metrics loss, accuracy, .* epoch 1, got a loop with loss"
    ):
        run(other, data())
    assert len(run(other, data(), last._replace(mid_epoch=False)).history) == 2  # the advice: its second epoch


def test_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    loop = trainer(progress=False)
    ready = loop.run(data(), epochs=0, **EVALUATE)
    assert ready.status == "ready" and ready.history == () and capsys.readouterr().err == ""
    last = loop.run([(X, Y)], epochs=3, **EVALUATE).last
    for epochs in (2, 3):
        assert loop.run([(X, Y)], epochs=epochs, state=last, **EVALUATE).history == last.history
        said = capsys.readouterr().err
        assert said.startswith("run: expected epochs above the 3 that the state has behind it, got ")
    assert model.predict(mlp(), ready.state, X, **EVALUATE).shape == (70, 3)


@pytest.mark.parametrize("optimizer", [optimizers.adam(0.02), optimizers.adam(schedules.cosine_decay(0.02))], ids=repr)
def test_a_step_that_was_saved_before_rates_were_state(optimizer: Any, tmp_path: Any) -> None:
    """As docs/design/models.md says: its optimizer's state had no rate, and with a schedule a count instead."""
    loop = Loop.trainer(mlp(), "categorical_cross_entropy", optimizer, progress=False)
    last = loop.run(data(), epochs=2, **EVALUATE).last
    rate, *moments = last.step.optimizer
    counts = () if rate.steps is None else (rate.steps,)
    rates = {} if rate.steps is None else {"rate": last.step.rate}
    before = {"model": last.step.model, "optimizer": (*counts, *moments), "totals": last.step.totals}
    save(tmp_path / "step", {**before, "watch": last.step.watch, **rates})
    fresh = loop.run(data(), epochs=0, **EVALUATE).last
    with pytest.raises(StructureError, match=r"missing: state.optimizer.0.learning_rate"):
        load(tmp_path / "step", like=fresh.step)
    old = load(tmp_path / "step", like={**before, "watch": fresh.step.watch, **rates})
    made = fresh.step.optimizer[0]
    if counts:
        count = old["optimizer"][0]
        made = updates.RateState(schedules.cosine_decay(0.02)(count).astype("float64"), count)
    state = training.TrainState(old["model"], (made, *old["optimizer"][len(counts) :]))
    step = fresh.step._replace(state=state, totals=old["totals"], watch=old["watch"])
    again = loop.run(data(), epochs=3, state=fresh._replace(step=step, epoch=2), **EVALUATE)
    assert again.history[-1]["loss"] == loop.run(data(), epochs=3, **EVALUATE).history[-1]["loss"]
