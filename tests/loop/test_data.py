"""Where a loop's batches come from: iterators, functions that make them, and data that runs out."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from axon.loop import Result, evaluate
from axon.model import init, input

from .trainers import EVALUATE, X, Y, data, mlp, trainer

BATCHES = [(X[:20], Y[:20]), (X[20:40], Y[20:40]), (X[40:], Y[40:])]
LOOSE = input("x", shape=(None, None)).dense(3, activation="softmax")  # whose shapes come from the first batch


def generator() -> Iterator[Any]:
    yield from BATCHES


ONCE: dict[str, Callable[[list[Any]], Any]] = {
    "generator": lambda given: (batch for batch in given),
    "zip": lambda given: zip([x for x, _ in given], [y for _, y in given]),
    "map": lambda given: map(tuple, given),
    "iterator": iter,
}


def same(a: Result, b: Result) -> bool:
    return [h["loss"] for h in a.history] == [h["loss"] for h in b.history]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("form", ONCE)
def test_no_batch_is_lost_to_the_template(form: str, count: int) -> None:
    expected = trainer(LOOSE, progress=False).run(BATCHES[:count], **EVALUATE)
    result = trainer(LOOSE, progress=False).run(ONCE[form](BATCHES[:count]), **EVALUATE)
    assert result.last.iteration == count and same(result, expected)


@pytest.mark.parametrize("m", [mlp(), LOOSE])
def test_a_function_makes_the_batches_anew_each_epoch(m: Any) -> None:
    expected = trainer(m, progress=False).validate(BATCHES).run(BATCHES, epochs=3, **EVALUATE)

    class Made:
        def __iter__(self) -> Iterator[Any]:
            return generator()

    for make in (generator, lambda: BATCHES, lambda: zip(*zip(*BATCHES)), Made, Made()):
        result = trainer(m, progress=False).validate(make).run(make, epochs=3, **EVALUATE)
        assert same(result, expected) and result.history[2]["validation_loss"] == expected.history[2]["validation_loss"]
    epochs = trainer(m, progress=False).run(data, epochs=2, **EVALUATE)  # a function that gives a batcher
    assert same(epochs, trainer(m, progress=False).run(data(), epochs=2, **EVALUATE))
    assert evaluate(mlp(), init(mlp(), **EVALUATE), generator, **EVALUATE).keys() == {"accuracy"}


def test_data_for_one_epoch_is_refused_before_several() -> None:
    def endless() -> Iterator[Any]:
        while True:
            yield from BATCHES

    taken: list[int] = []
    counted = (taken.append(1) or batch for batch in BATCHES)
    with pytest.raises(
        ValueError, match=r"^run: expected data for 2 epochs, got a generator, which is used up after on"
    ):
        trainer(LOOSE, progress=False).run(counted, epochs=2, **EVALUATE)
    with pytest.raises(
        ValueError, match=r"^validate: expected data for 2 epochs, got a generator, .* pass a list, or th"
    ):
        trainer(progress=False).validate(counted).run(data(), epochs=2, **EVALUATE)
    with pytest.raises(ValueError, match=r"^validate: expected data for 2 epochs"):
        trainer(progress=False).validate(counted, every=2).run(data(), epochs=5, **EVALUATE)
    assert not taken
    loop = trainer(progress=False).validate(counted, every=2)
    assert "validation_loss" in loop.run(data(), epochs=3, **EVALUATE).history[1]  # gone through once
    result = trainer(LOOSE, progress=False).run(endless(), epochs=2, iterations=3, **EVALUATE)
    assert same(result, trainer(LOOSE, progress=False).run(BATCHES, epochs=2, **EVALUATE))


def test_what_was_reached_is_kept_when_data_runs_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A run ends with what it has: in training, and in validation whose epoch stays trained."""
    expected = trainer(progress=False).run(BATCHES, epochs=2, **EVALUATE)
    result = trainer(progress=False).run(iter(BATCHES * 2), epochs=5, iterations=3, **EVALUATE)
    assert (result.status, result.last.epoch) == ("halted", 2) and same(result, expected)
    np.testing.assert_array_equal(result.state["dense_0"]["kernel"], expected.state["dense_0"]["kernel"])
    assert "run: expected batches, got none from <list_iterator" in capsys.readouterr().err
    held = iter([BATCHES, BATCHES[:0]])
    result = trainer(progress=False).validate(lambda: next(held)).run(BATCHES, epochs=5, **EVALUATE)
    assert (result.status, result.last.epoch) == ("halted", 2) and same(result, expected)
    assert ["validation_loss" in h for h in result.history] == [True, False]
    assert "validate: expected batches, got none from <function" in capsys.readouterr().err


def test_a_state_that_has_all_epochs_behind_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    loop = trainer(progress=False)
    last = loop.run(BATCHES, epochs=2, **EVALUATE).last
    capsys.readouterr()
    assert len(loop.run(BATCHES, epochs=2, state=last, **EVALUATE).history) == 2
    told = capsys.readouterr().err
    assert told == "run: expected epochs above the 2 that the state has behind it, got 2: nothing is left\n"


def test_functions_that_make_no_batches() -> None:
    for make, text in (
        (lambda: None, "run: expected a function that makes the batches, got one that gives a NoneType; yield"),
        (lambda size: BATCHES, r"run: expected a function without arguments .* 'size'\); write lambda: function"),
    ):
        with pytest.raises(TypeError, match=f"^{text}"):
            trainer(progress=False).run(make, **EVALUATE)  # type: ignore[arg-type]


def test_one_iterator_does_not_feed_training_and_validation() -> None:
    both = iter(BATCHES)
    with pytest.raises(ValueError, match="run: expected data of its own beside that of validate, got one list_it"):
        trainer(progress=False).validate(both).run(both, **EVALUATE)
    assert len(list(both)) == len(BATCHES)


class Shuffled:
    """A loader of another library: it is no sequence and no iterable, and orders its batches by the epoch's number."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def epoch(self, number: int) -> Iterator[Any]:
        self.asked.append(number)
        order = np.random.default_rng(number).permutation(len(X))
        for i in range(0, len(X), 10):
            yield X[order[i : i + 10]], Y[order[i : i + 10]]


@pytest.mark.parametrize("form", [lambda: Shuffled(), lambda: Shuffled])
@pytest.mark.parametrize("at", [3, 7, 10])
def test_any_loader_gives_the_epochs_by_number(form: Any, at: int) -> None:
    """So that a run that goes on within an epoch has the batches of one that never stopped."""
    straight = trainer(progress=False).run(form(), epochs=3, **EVALUATE)
    stopping = trainer(progress=False).handle(
        "iteration_completed", lambda s: s.halt(), when=lambda s: s.step_count == at
    )
    rest = trainer(progress=False).run(
        form(), epochs=3, state=stopping.run(form(), epochs=3, **EVALUATE).last, **EVALUATE
    )
    assert same(rest, straight) and straight.history[0]["loss"] != straight.history[1]["loss"]
    loader = Shuffled()
    trainer(LOOSE, progress=False).validate(loader).run(loader, epochs=2, **EVALUATE)
    assert loader.asked == [1, 1, 0, 2, 0]  # the first for the template; validation's is always epoch 0
