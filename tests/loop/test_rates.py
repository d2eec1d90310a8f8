"""How many steps were taken, and the learning rate: in the state, in the history, in the progress line."""

from typing import Any

import pytest
from axon import optimizers, schedules, tree, updates
from axon.loop import Loop, State

from .trainers import EVALUATE, data, mlp

SCHEDULE = schedules.cosine_decay(0.1, decay_steps=20)


def falling(step: int) -> float:
    return SCHEDULE(step).item()  # type: ignore[arg-type]


PAIR = (lambda params: (), lambda gradients, state, params: (tree.map(lambda g: -0.01 * g, gradients), state))
RATES: dict[str, tuple[Any, Any]] = {
    "sgd": (optimizers.sgd(0.25), lambda step: 0.25),
    "momentum": (optimizers.sgd(0.25, momentum=0.9), lambda step: 0.25),
    "adam": (optimizers.adam(0.003), lambda step: 0.003),
    "adamw": (optimizers.adamw(0.003, decay=0.1), lambda step: 0.003),
    "a name": ("adam", lambda step: 1e-3),
    "sgd with a schedule": (optimizers.sgd(SCHEDULE), falling),
    "adam with a schedule": (optimizers.adam(SCHEDULE), falling),
    "adamw with a schedule": (optimizers.adamw(SCHEDULE, decay=0.1), falling),
    "a warm-up times a decay": (
        updates.scale_by_adam()
        | updates.scale_by_schedule(lambda step: (step + 1) / 32)
        | updates.scale_by_schedule(SCHEDULE)
        | updates.scale(-0.5),
        lambda step: 0.5 * falling(step) * (step + 1) / 32,
    ),
    "no rate": (updates.clip(1e-3) | updates.stateless(lambda u, p: tree.map(lambda t: -t, u)), lambda step: None),
    "a pair of functions": (PAIR, lambda step: None),
    "an optimizer as a pair": (tuple(optimizers.adam(0.003)), lambda step: 0.003),
    "a rate times a constant": (optimizers.adam(0.003) | updates.scale(0.5), lambda step: 0.0015),
    "a held optimizer": (updates.apply_if_finite(optimizers.adam(0.003)), lambda step: 0.003),
}


@pytest.mark.parametrize("name", RATES)
def test_the_rate_is_that_of_the_last_step(name: str) -> None:
    optimizer, rate = RATES[name]
    seen: list[tuple[int, float | None]] = []

    def see(state: State) -> None:
        seen.append((state.step_count, state.learning_rate))

    loop = Loop.trainer(mlp(), "categorical_cross_entropy", optimizer, progress=False)
    loop = loop.handle("started", see).handle("iteration_completed", see)
    last = loop.run(data(), **EVALUATE).last
    result = loop.run(data(), epochs=2, state=last, **EVALUATE)
    expected = [(0, rate(0)), *((n, rate(n - 1)) for n in range(1, 6)), (5, rate(4))]
    expected += [(n, rate(n - 1)) for n in range(6, 11)]
    assert [n for n, _ in seen] == [n for n, _ in expected]
    assert [r for _, r in seen] == [r if r is None else pytest.approx(r, rel=1e-6) for _, r in expected]
    column = [h.get("learning_rate") for h in result.history]
    shown = "schedule" in name or "warm" in name
    assert column == ([pytest.approx(rate(n), rel=1e-6) for n in (4, 9)] if shown else [None, None])


def test_a_new_optimizer_begins_its_schedule() -> None:
    loop = Loop.trainer(mlp(), "categorical_cross_entropy", optimizers.adam(SCHEDULE), progress=False)
    first = loop.run(data(), **EVALUATE)
    again = loop.run(data(), state=first.state, **EVALUATE)
    assert again.history[0]["learning_rate"] == first.history[0]["learning_rate"] and again.last.step_count == 5


def test_a_run_that_goes_on_keeps_its_rate_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    first, second, scheduled = (
        Loop.trainer(mlp(), "categorical_cross_entropy", optimizers.adam(rate), progress=False)
        for rate in (0.25, 0.125, SCHEDULE)
    )
    last = first.run(data(), **EVALUATE).last
    capsys.readouterr()
    for loop, said in (
        (first, ""),
        (second, "run: the state goes on with its learning rate 0.25, not with the optimizer's 0.125; state._repla"),
        (scheduled, "run: the state goes on with its learning rate 0.25, not with the optimizer's schedule; state."),
    ):
        assert loop.run(data(), epochs=2, state=last, **EVALUATE).last.learning_rate == 0.25
        lines = [line for line in capsys.readouterr().err.splitlines() if "learning rate" in line]
        assert [line[: len(said)] for line in lines] == [said] * bool(said)


def test_the_progress_line_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    loop = Loop.trainer(mlp(), "categorical_cross_entropy", optimizers.adam(SCHEDULE))
    loop.run(data(), **EVALUATE)
    assert f"   learning rate {falling(4):.4f}   " in capsys.readouterr().out


@pytest.mark.parametrize("name", ["sgd", "adam with a schedule", "a held optimizer", "an optimizer as a pair"])
def test_a_handler_sets_the_rate_of_a_run(name: str) -> None:
    """From the next step on, also where a schedule gave it before and in a run that goes on; without another trace."""
    seen: list[float | None] = []

    def lower(state: State) -> State:
        return state._replace(step=updates.with_rate(state.step, 0.125))

    loop = Loop.trainer(mlp(), "categorical_cross_entropy", RATES[name][0], progress=False)
    loop = loop.handle("iteration_completed", lambda s: seen.append(s.learning_rate))
    lowered = loop.handle("iteration_completed", lower, when=lambda s: s.step_count == 3)
    last = lowered.run(data(), **EVALUATE).last
    loop.run(data(), epochs=2, state=last, **EVALUATE)
    expected = [RATES[name][1](n) for n in range(3)]
    assert seen == pytest.approx([*expected, *[0.125] * 7], rel=1e-6)
    assert lowered.steps("evaluate").train.traces == 2  # the last batch is ragged
