"""The progress line: how often it is written, on a terminal and elsewhere."""

import io
import sys

import numpy as np
import pytest
from axon import nx
from axon.loop import log, progress, step

from .trainers import EVALUATE, X, Y, data, trainer


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setattr(sys, "stdout", found := Terminal())
    monkeypatch.setenv("COLUMNS", "80")
    return found


def test_the_line_is_refreshed_at_most_ten_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, written = [0.0], terminal(monkeypatch)
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    reads: list[int] = []
    line = progress.Progress(1, 2, 1000, True)
    state = step.StepState((), step.no_totals({}), step.no_watch(), None)
    for i in range(1, 1001):
        clock[0] += 0.001
        line.update(i, 32, state, lambda state: (reads.append(1), {"loss": 2.0})[1])
    line.finish({"loss": 2.0})
    assert 9 <= len(reads) <= 10
    assert written.getvalue().endswith("epoch 1/2   batch 1000/1000   loss 2.0000   32,000 examples/s\n")
    assert written.getvalue().count("\n") == 1


def test_the_rate_is_that_of_steps_that_were_compiled_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is no other batch the rate is that of the whole epoch."""
    clock = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    state = step.StepState((), step.no_totals({}), step.no_watch(), None)
    for steps, rate in ([8.0], "4"), ([8.0, 1.0, 1.0, 8.0], "32"):
        line = progress.Progress(1, 1, None, True)
        for i, seconds in enumerate(steps, 1):
            clock[0] += seconds
            line.update(i, 32, state, lambda state: {}, traced=seconds > 1)
        line.finish({})
        assert capsys.readouterr().out.endswith(f"   {rate} examples/s\n")


def test_a_live_line_fits_the_terminal_and_is_wiped_before_another(monkeypatch: pytest.MonkeyPatch) -> None:
    written = terminal(monkeypatch)
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    loop = trainer().metric("mean_absolute_error", "a metric of a very long name that fills the line")
    loop = loop.metric(lambda y, p: nx.mean(p), "mean").handle("iteration_completed", log(lambda s: "hi"))
    loop.run([(X[:8], np.eye(3, dtype=np.float32)[Y[:8]])] * 2, iterations=100, **EVALUATE)
    _, _, live, *more = written.getvalue().split(progress.CLEAR)
    assert live.startswith("epoch 1/1   batch 1/2   loss ") and len(live) == 79
    assert [line[:22] for line in more] == ["hi\n", *["epoch 1/1   batch 2/2 "] * 2] and more[-1].endswith("/s\n")


def test_an_error_leaves_the_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    written = terminal(monkeypatch)
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    with pytest.raises(ZeroDivisionError):
        trainer().handle("iteration_completed", lambda s: 1 // 0, after=1).run(data(), **EVALUATE)  # type: ignore[arg-type, return-value]
    assert written.getvalue().endswith(" examples/s\n")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.0000"), (-0.25, "-0.2500"), (0.0231, "0.0231"), (0.003, "0.003000"), (-7.576e-4, "-0.0007576"),
        (2.5e-5, "2.500e-05"), (123456.7, "123456.7000"), (-3.2e30, "-3.200e+30"),
        (float("nan"), "nan"), (float("-inf"), "-inf"),
    ],
)  # fmt: skip
def test_numbers_of_any_size_say_something(value: float, shown: str) -> None:
    assert progress.in_words({"a_loss": value}) == [f"a loss {shown}"]


def test_without_a_terminal_there_is_one_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    trainer().validate(data(None)).handle("epoch_completed", log(lambda s: f"at {s.epoch}")).run(
        data(), epochs=2, **EVALUATE
    )
    first, note, second, _ = capsys.readouterr().out.splitlines()
    assert first.startswith("epoch 1/2   batch 5/5   loss ") and first.endswith(" examples/s") and "\r" not in first
    assert "validation accuracy" in second and note == "at 1"
