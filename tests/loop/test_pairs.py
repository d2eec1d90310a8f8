"""Loops of any pair (init, step), of objectives, and evaluation: the same runner, events, metrics and looks."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass
from typing import Any, NamedTuple

import axon
import numpy as np
import pytest
from axon import losses, metrics, model, nx, optimizers, training, tree, updates
from axon.errors import DTypeError, ShapeError, StructureError
from axon.loop import Loop, State, Stepped, early_stop, evaluate
from axon.model import input

from .test_going_on import halt, same
from .trainers import EVALUATE, X, Y, data, mlp, trainer

RNG = np.random.default_rng(7)
TRUE = np.array([1.0, -2.0, 0.5], np.float32)
A = RNG.normal(size=(64, 3)).astype(np.float32)
B = A @ TRUE
CUT = [(A[i : i + 16], B[i : i + 16]) for i in range(0, 64, 16)]
SGD = optimizers.sgd(0.1)


class Held(NamedTuple):
    """A state of the user's: weights, an optimizer's state, and what was measured of the last batch."""

    model: Any
    optimizer: Any
    loss: nx.Tensor


def begin() -> Held:
    weights = nx.zeros(3)
    return Held(weights, SGD.init(weights), nx.zeros(()))


def objective(w: Any, x: Any, y: Any) -> nx.Tensor:
    return nx.mean((x @ w - y) ** 2)


def descend(batch: Any, state: Held) -> Held:
    loss, slope = axon.value_and_grad(objective)(state.model, *batch)
    change, following = SGD.update(slope, state.optimizer, state.model)
    return Held(updates.apply_updates(state.model, change), following, loss)


def pairs(rate: float = 0.1) -> dict[str, Loop]:
    """The same training as a pair whose state is shown, and as an objective."""
    of = Loop.of(begin, descend, progress=False).metric("loss")
    return {"of": of, "trainer": Loop.trainer((lambda: nx.zeros(3), objective), optimizers.sgd(rate), progress=False)}


@pytest.mark.parametrize("compiler", ["native", "evaluate"])
def test_a_pair_trains_as_the_step_of_the_same_does(compiler: str) -> None:
    init_fn, step_fn = training.step((lambda: nx.zeros(3), objective), optimizers.sgd(0.1), compiler=compiler)
    state = init_fn()
    for _ in range(5):
        for x, y in CUT:
            state, _ = step_fn(state, x, y)
    results = {name: loop.run(CUT, epochs=5, compiler=compiler) for name, loop in pairs().items()}
    for result in results.values():
        np.testing.assert_allclose(result.last.step.model, state.model, rtol=1e-5)
        assert result.status == "completed" and result.history[-1]["loss"] < 0.05 * result.history[0]["loss"]
        assert result.last.learning_rate == pytest.approx(0.1) and result.last.step_count == 20
    assert isinstance(results["of"].state, Held) and results["trainer"].state.shape == (3,)
    mine, theirs = ([h["loss"] for h in r.history] for r in results.values())
    assert mine == pytest.approx(theirs, rel=1e-5)
    again = pairs()["trainer"].run(CUT, epochs=1, state=state, compiler=compiler)  # what the step gave
    assert again.history[0]["loss"] < mine[-1]


@dataclass
class Best:
    largest: nx.Tensor
    rows: nx.Tensor


def test_states_and_batches_are_trees_of_any_form() -> None:
    """A dataclass over batches that are dicts, and a bare tensor over arrays; init takes a batch, a key, or nothing."""

    def start(sample: Any, *, key: Any) -> Best:
        return Best(nx.random.uniform(key, ()) + 0 * nx.sum(sample["a"]), nx.tensor(0))

    def widest(batch: Any, state: Best) -> Stepped:
        largest = nx.maximum(state.largest, nx.max(batch["a"]) + batch["b"][0])
        return Stepped(Best(largest, state.rows + batch["a"].shape[0]), {"largest of all": largest, "width": 3})

    batches = [{"a": A[:10], "b": [1.0, 2.0]}, {"a": A[10:30], "b": [3.0, 4.0]}]
    loop = Loop.of(start, widest, progress=False).metric("largest of all").metric("width")
    result = loop.run(batches, epochs=2, key=nx.random.key(3), **EVALUATE)
    first, last = max(1.0 + A[:10].max(), 0), 3.0 + A[10:30].max()
    assert result.state.rows.item() == 60 and result.state.largest.item() == pytest.approx(last)
    expected = (10 * first + 20 * max(first, last)) / 30
    assert result.history[0]["largest of all"] == pytest.approx(expected, rel=1e-6)
    assert result.metrics["width"] == 3 and loop.steps("evaluate").train.traces == 2  # two shapes
    kept = Loop.of(lambda: {"loss": nx.zeros(3)}, lambda batch, state: {"loss": state["loss"] + np.nan}, progress=False)
    assert kept.run([A], **EVALUATE).status == "completed"  # what it calls its loss is no number
    total = Loop.of(lambda: 0.0, lambda batch, state: state + nx.sum(batch), progress=False)
    assert total.run(iter([A, A]), **EVALUATE).state.item() == pytest.approx(2 * A.sum(), rel=1e-4)


@pytest.mark.parametrize("batches", [range(5), [None] * 5, [{}] * 5])
def test_steps_that_need_no_data(batches: Any) -> None:
    weights = nx.tensor([1.0, 2.0])  # which steps do not use up
    loop = Loop.of(lambda: weights, lambda batch, state: state / 2, progress=False)
    result = loop.run(batches, epochs=2, **EVALUATE)
    assert result.state.tolist() == [2**-10, 2**-9] and result.last.step_count == 10
    assert weights.tolist() == [1.0, 2.0] and loop.steps("evaluate").train.traces == 1
    trained = Loop.trainer((lambda: weights, lambda w, x, y: nx.sum(w * w)), "sgd", progress=False)
    assert trained.run([(0.0, 0.0)], **EVALUATE).state.tolist() == pytest.approx([0.98, 1.96])
    assert weights.tolist() == [1.0, 2.0]


def test_metrics_are_of_what_the_step_calls_so() -> None:
    loop = pairs()["of"].metric(lambda w: nx.sum(w), "sum", of="model")
    loop = loop.metric(lambda w, b: nx.sum(w) * b[0].shape[0], "scaled", of=["model", "batch"])
    result = loop.run(CUT[:1], **EVALUATE)
    total = float(nx.sum(result.state.model))
    assert result.metrics["sum"] == pytest.approx(total) and result.metrics["scaled"] == pytest.approx(16 * total)

    def step(batch: Any, state: Any) -> Stepped:
        return Stepped(state, {"y_true": batch[1], "y_pred": batch[0]})

    asked = Loop.of(lambda: nx.zeros(()), step, progress=False).metric("recall").metric(metrics.precision, "precision")
    y, p = np.array([1, 0, 1, 1], "f4"), np.array([0.9, 0.8, 0.1, 0.2], "f4")
    found = asked.run([(p[:1], y[:1]), (p[1:], y[1:])], **EVALUATE).metrics
    assert found == pytest.approx({"recall": 1 / 3, "precision": 1 / 2})


@pytest.mark.parametrize("name", ["of", "trainer"])
@pytest.mark.parametrize("at", [2, 4, 5])
def test_any_loop_goes_on_as_if_it_had_never_stopped(name: str, at: int, tmp_path: Any) -> None:
    loop = pairs()[name]
    straight = loop.run(CUT, epochs=3, **EVALUATE)
    last = (
        loop.handle("iteration_completed", halt, when=lambda s: s.step_count == at).run(CUT, epochs=3, **EVALUATE).last
    )
    axon.io.save(tmp_path / "step", last.step)
    fresh = loop.run(CUT, epochs=0, **EVALUATE).last
    place = {n: getattr(last, n) for n in ("epoch", "iteration", "step_count", "mid_epoch", "history")}
    again = fresh._replace(step=axon.io.load(tmp_path / "step", like=fresh.step), **place)
    for state in (last, again):
        same(loop.run(CUT, epochs=3, state=state, **EVALUATE), straight)


def test_handlers_set_the_rate_and_keep_the_best() -> None:
    """Of any loop whose state has an optimizer's in it; nothing is traced again."""

    def lower(state: State) -> State:
        return state._replace(step=updates.with_rate(state.step, state.learning_rate / 2))  # type: ignore[operator]

    for name, loop in {**pairs(), "model": trainer(progress=False, rate=0.1)}.items():
        seen: list[Any] = []
        see = lambda s, seen=seen: seen.append(s.learning_rate)  # noqa: E731
        loop = loop.handle("epoch_completed", lower).handle("epoch_completed", see)
        stopping = loop.handle("epoch_completed", early_stop("loss", mode="max", patience=1, restore=True))
        kept: list[Any] = []
        keep = lambda s, kept=kept: kept.append(copy.deepcopy(s.step.model))  # noqa: E731
        stopping = stopping.handle("epoch_completed", keep, once=True)
        batches = CUT if name != "model" else [(X[:16], Y[:16])]
        result = stopping.run(batches, epochs=9, **EVALUATE)
        assert result.status == "halted" and len(result.history) == 3, name  # no loss is higher than the first
        assert seen == pytest.approx([0.1, 0.05, 0.025])
        for a, b in zip(tree.leaves(result.last.step.model), tree.leaves(kept[0]), strict=True):
            np.testing.assert_array_equal(a, b)
        assert stopping.steps("evaluate").train.traces == 1


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loss_that_is_not_finite_ends_any_loop(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [(A[:16], B[:16]), (A[16:32] * np.nan, B[16:32])]
    assert pairs()["trainer"].run(wrong, epochs=3, **EVALUATE).status == "diverged"
    assert "iteration 2 of epoch 1, where the run ends: x of that batch holds 48 NaN" in capsys.readouterr().err
    assert pairs()["of"].run(wrong, epochs=3, **EVALUATE).status == "diverged"
    assert "where the run ends: an array at 0 of that batch holds 48 NaN" in capsys.readouterr().err
    grows = Loop.of(
        lambda: nx.tensor(1.0), lambda batch, state: Stepped(state * 1e30, {"loss": state * 1e30}), progress=False
    )
    assert grows.run([A] * 3, **EVALUATE).status == "diverged"
    assert "ends: that batch is finite, the loss before was 1e+30; lower" in capsys.readouterr().err


def test_an_evaluator_runs_with_events_and_leaves_its_state() -> None:
    m, seen = mlp(), []
    state = model.init(m, **EVALUATE)
    loop = Loop.evaluator(m, "categorical_cross_entropy", progress=False).metric("accuracy")
    for event in ("started", "epoch_started", "iteration_completed", "epoch_completed", "completed"):
        loop = loop.handle(event, lambda s, event=event: seen.append((event, s.iteration, s.metrics)))  # type: ignore[arg-type]
    result = loop.run(data(), state=state, **EVALUATE)
    assert [event for event, *_ in seen] == [
        "started",
        "epoch_started",
        *["iteration_completed"] * 5,
        "epoch_completed",
        "completed",
    ]
    expected = evaluate(m, state, data(), "accuracy", "categorical_cross_entropy", **EVALUATE)
    assert result.metrics == expected and seen[-1][2] == expected and result.state is state
    p = model.predict(m, state, X, **EVALUATE)
    assert expected["loss"] == pytest.approx(losses.categorical_cross_entropy(Y, p, reduction="mean").item(), rel=1e-5)
    halted = loop.handle("iteration_completed", halt, when=lambda s: s.iteration == 2).run(
        data(), state=state, **EVALUATE
    )
    assert halted.status == "halted" and halted.last.iteration == 2
    measured = Loop.evaluator((lambda: nx.zeros(3), objective), progress=False).run(CUT, **EVALUATE)
    assert measured.metrics == pytest.approx({"loss": float((B**2).mean())}, rel=1e-5)


def test_validation_by_a_loop_of_its_own() -> None:
    """With metrics and handlers of its own; and of a pair, by an evaluating pair."""
    seen: list[Any] = []
    by = Loop.evaluator(mlp()).metric(lambda y, p: nx.max(p), "highest")
    by = by.handle("iteration_completed", lambda s: seen.append(s.iteration))
    result = trainer(progress=False).validate(data(None), every=2, by=by).run(data(), epochs=2, **EVALUATE)
    assert list(result.history[1]) == ["epoch", "loss", "accuracy", "validation_highest", "seconds"] and seen == [
        1,
        2,
        3,
        4,
        5,
    ]

    def measure(batch: Any, state: Held) -> Stepped:
        return Stepped(state, {"error": objective(state.model, *batch)})

    own = pairs()["of"].validate(CUT, by=Loop.of(begin, measure).metric("error"))
    result = own.run(CUT, epochs=2, **EVALUATE)
    error = ((A @ np.asarray(result.state.model) - B) ** 2).mean()
    assert result.metrics["validation_error"] == pytest.approx(error, rel=1e-4)
    loss = pairs()["trainer"].validate(CUT).run(CUT, epochs=2, **EVALUATE)
    assert loss.metrics["validation_loss"] == pytest.approx(error, rel=1e-4)


def test_batches_without_examples_and_debug_of_any_loop() -> None:
    none = (A[:0], B[:0])
    for loop in pairs().values():
        same_weights = [loop.run(batches, **EVALUATE).last.step.model.tolist() for batches in (CUT, [none, *CUT, none])]
        assert same_weights[0] == same_weights[1]
    with pytest.raises(axon.errors.NonFiniteError) as error, axon.debug():
        pairs()["of"].run([(A * np.nan, B)], **EVALUATE)
    assert error.value.__notes__[0].startswith("an array at 0 of that batch holds 192 NaN")


def test_a_pair_of_functions_is_pickled_with_its_loop() -> None:
    loop = pickle.loads(pickle.dumps(Loop.of(begin, descend, progress=False).metric("loss")))
    assert loop.run(CUT, **EVALUATE).metrics == pairs()["of"].run(CUT, **EVALUATE).metrics
    with pytest.raises(pickle.PicklingError, match=r"functions that can be imported by name, got .*<lambda> of"):
        pickle.dumps(Loop.of(lambda: 0.0, descend))


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Loop.of(begin, None), TypeError, "of: expected a function as step, got None"),  # type: ignore[arg-type]
        (lambda: Loop.of(descend, begin), TypeError, "of: expected step.batch, state., got another function .too"),
        (lambda: Loop.of(begin, descend).run([["a"]]), DTypeError, "run: expected numbers as batches, got strings"),
        (lambda: Loop.of(begin, lambda b, s: (s, s)).run(CUT, **EVALUATE), StructureError, "step: expected a state l"),
        (
            lambda: Loop.of(lambda: nx.zeros(2), lambda b, s: nx.zeros(3)).run(CUT, **EVALUATE),
            ShapeError,
            r"step: expected float32\[2\] as the state, which the step took, got float32\[3\]",
        ),
        (
            lambda: Loop.of(begin, descend).metric("reward").run(CUT, **EVALUATE),
            ValueError,
            "metric reward: expected a step that gives reward, got one that gives model, optimizer, loss; ret",
        ),
        (
            lambda: pairs()["trainer"].metric("accuracy").run(CUT, **EVALUATE),
            ValueError,
            "metric accuracy: expected a step that gives y_pred, got one that gives loss, y_true; return",
        ),
        (lambda: pairs()["of"].metric("recall", of=()), TypeError, r"metric: expected names as of, got \(\)"),
        (lambda: pairs()["of"].validate(CUT), ValueError, "validate: expected a loop that measures, got none; write"),
        (lambda: pairs()["of"].run(CUT, key=nx.random.key(0), **EVALUATE), TypeError, "init: expected a function tha"),
        (
            lambda: Loop.trainer((begin, objective), "mean_squared_error", SGD),  # type: ignore[arg-type]
            TypeError,
            r"trainer: expected \(\(init, objective\), optimizer\), got a loss besides",
        ),
        (lambda: pairs()["of"].run(A, **EVALUATE), TypeError, "run: expected batches, got a ndarray; cut it"),
        (
            lambda: trainer(progress=False).run(data(), state=training.TrainState({}, ()), **EVALUATE),
            TypeError,
            "run: expected a ModelState, got dict",
        ),
        (lambda: trainer().validate([], by=mlp()), TypeError, "validate: expected a Loop as by, got Model"),  # type: ignore[arg-type]
        (lambda: Loop.trainer(mlp(), "mean_squared_error"), TypeError, "trainer: .* a model without an optimizer"),
        (lambda: Loop.evaluator("mlp"), TypeError, "evaluator: expected a Model, got str"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_pairs_refuse(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{text}"):
        make()


def test_a_model_of_unknown_shape_is_evaluated_from_its_first_batch() -> None:
    loose = input("x", shape=(None, None)).dense(3, activation="softmax")
    result = Loop.evaluator(loose, progress=False).metric("accuracy").run(iter([(X, Y)]), **EVALUATE)
    assert result.state["dense_0"]["kernel"].shape == (4, 3) and result.metrics.keys() == {"accuracy"}


def test_a_state_of_another_loop_is_refused() -> None:
    training_loop, m = trainer(progress=False), mlp()
    trained = training_loop.run(data(), epochs=1, **EVALUATE)
    evaluator = Loop.evaluator(m, "categorical_cross_entropy", progress=False)
    evaluated = evaluator.run(data(), epochs=1, state=trained.state, **EVALUATE)
    own = Loop.of(begin, descend, progress=False)
    for loop, last in ((evaluator, trained.last), (training_loop, evaluated.last)):
        for epochs in (1, 2):
            with pytest.raises(TypeError, match=r"run: expected a state of this loop, .*; pass the state of its"):
                loop.run(data(), epochs=epochs, state=last, **EVALUATE)
    with pytest.raises(AttributeError, match="model: expected a loop that has one, got one whose step is step"):
        _ = own.model
