"""What loops refuse, and how they say it."""

from typing import Any

import pytest
from axon import model, nx, optimizers
from axon.datasets import batches
from axon.errors import DTypeError, ShapeError
from axon.loop import Loop, early_stop, evaluate
from axon.model import ModelState

from .trainers import EVALUATE, X, Y, data, mlp, trainer


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: trainer().metric("accuracy"), ValueError, "metric: expected a new name, got 'accuracy' again"),
        (lambda: trainer().metric(["accuracy"]), ValueError, r"metric: expected one of .*, got \['accuracy'\]"),  # type: ignore[arg-type]
        (lambda: trainer().metric("f1"), ValueError, "metric: expected one of .*, got 'f1'"),
        (lambda: trainer().metric(lambda y, p: nx.mean(p)), ValueError, "metric: expected a name beside a function"),
        (lambda: trainer().handle("epoch_end", print), ValueError, "handle: expected one of started, .*, got 'e"),  # type: ignore[arg-type]
        (lambda: trainer().handle("started", "stop"), TypeError, "handle: expected a function of .*, got 'stop'"),  # type: ignore[arg-type]
        (lambda: trainer().handle("started", print, every=0), ValueError, "handle: expected every of at least 1"),
        (
            lambda: trainer().handle("started", print, evry=2),  # type: ignore[call-arg]
            TypeError,
            "handle: got an unknown option evry; write every",
        ),
        (
            lambda: trainer().handle("started"),  # type: ignore[call-arg]
            TypeError,
            "handle: missing a required argument: 'handle'; write handle",
        ),
        (
            lambda: trainer().handle("started", print, every=True),
            TypeError,
            "handle: expected every, an integer, got Tr",
        ),
        (lambda: trainer().validate([], every=0), ValueError, "validate: expected every of at least 1, got 0"),
        (
            lambda: trainer().handle("started", print, after="3"),
            TypeError,
            "handle: expected after, an integer, got '3'",
        ),
        (lambda: trainer().validate([], every=2.0), TypeError, "validate: expected every, an integer, got 2.0"),  # type: ignore[arg-type]
        (lambda: trainer().run(data(), iterations=0), ValueError, "run: expected iterations of at least 1, got 0"),
        (
            lambda: trainer().run(data(), epochs=-1),
            ValueError,
            "run: expected a whole number of epochs, got -1; 1 goes",
        ),
        (lambda: trainer().run(data(), epochs=1.0), ValueError, "run: expected a whole number of epochs, got 1.0; 1 "),  # type: ignore[arg-type]
        (lambda: early_stop("loss", patience=-1), ValueError, "early_stop: expected patience of at least 0, got -1"),
        (lambda: early_stop("loss", mode="minimize"), ValueError, 'early_stop: expected mode "min" or "max", got \'m'),  # type: ignore[arg-type]
        (lambda: Loop.trainer(mlp, "mean_squared_error", "adam"), TypeError, "trainer: expected a Model, got function"),  # type: ignore[arg-type]
        (lambda: evaluate(None, ModelState(), data()), TypeError, "evaluate: expected a Model, got NoneType"),  # type: ignore[arg-type]
        (
            lambda: Loop.trainer(mlp().dense(3), "categorical_cross_entropy", "adam"),
            ValueError,
            "categorical_cross_entropy: expected a model that ends in softmax, got one that ends in dense_2",
        ),
        (
            lambda: Loop.trainer(mlp(), "mse", "adam"),
            ValueError,
            "loss: .*, got 'mse'; did you mean mean_squared_error",
        ),
        (
            lambda: Loop.trainer(mlp(), "mean_squared_error", "Adam"),
            ValueError,
            "optimizer: .*'Adam'; did you mean adam",
        ),
        (lambda: Loop.trainer(mlp(), "mean_squared_error", optimizers.adam), TypeError, "optimizer: .* got adam"),  # type: ignore[arg-type]
    ],
)
def test_what_loops_refuse(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{text}"):
        make()


def never() -> Any:
    raise AssertionError("trained before what is wrong with the validation data was said")
    yield


RUNS = {
    "run": lambda data: trainer(progress=False).run(data, **EVALUATE),
    "validate": lambda data: trainer(progress=False).validate(data).run(never(), **EVALUATE),
    "evaluate": lambda data: evaluate(mlp(), model.init(mlp(), **EVALUATE), data, **EVALUATE),
}
FORMS = {
    "two arrays": (lambda: (X, Y), TypeError, "a ndarray; arrays are cut into them by axon.datasets.batches"),
    "triples": (lambda: [(X, Y, Y)], TypeError, "a tuple of 3; "),
    "dicts": (lambda: [{"x": X, "y": Y}], TypeError, "a dict; "),
    "nothing": (lambda: [], ValueError, r"none from \[\]; pass a list, or the function that makes a generator"),
    "a number": (lambda: 3, TypeError, "a int; arrays are cut into them"),
    "a used-up iterator": (lambda: iter([]), ValueError, "none from <list_iterator"),
    "too few": (
        lambda: batches(X, Y, 99, drop_last=True),
        ValueError,
        "none from <Batches of 99, 0 from 70 examples>; ",
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", RUNS)
def test_data_is_batches_and_some(name: str, form: str) -> None:
    make, error, text = FORMS[form]
    with pytest.raises(error, match=rf"^{name}: expected batches.*, got {text}"):
        RUNS[name](make())


@pytest.mark.parametrize("wrong", [lambda s: s.parameters, lambda s: "state", lambda s: (s, ())])
def test_states_are_model_states(wrong: Any) -> None:
    state = wrong(model.init(mlp(), **EVALUATE))
    with pytest.raises(TypeError, match=r"^run: expected a ModelState, got "):
        trainer(progress=False).run(data(), state=state, **EVALUATE)
    with pytest.raises(TypeError, match=r"^evaluate: expected a ModelState, got "):
        evaluate(mlp(), state, data(), **EVALUATE)


def test_a_metric_is_one_number() -> None:
    def run(metric: Any) -> dict[str, float]:
        loop = trainer(progress=False).metric(metric, "mine")
        return loop.run([(X, Y)], **EVALUATE).history[0]

    assert run(lambda y, p: 0.5)["mine"] == 0.5
    with pytest.raises(ShapeError, match=r"^metric mine: expected one number, got float32\[70\]; reduce it"):
        run(lambda y, p: p[:, 0])
    with pytest.raises(DTypeError, match=r"^metric mine: expected one number, got NoneType"):
        run(lambda y, p: None)


def test_a_handler_gives_a_state_or_none() -> None:
    loop = trainer(progress=False).handle("started", lambda s: {"metrics": s.metrics})  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match="expected None or a State from the handler of started, got dict"):
        loop.run(data(), **EVALUATE)
