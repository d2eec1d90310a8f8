"""Train steps: against hand-written JAX, from pairs, from logits, and what stays of what they are given."""

import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from axon import losses, model, nx, optimizers, training, tree, updates
from axon.defn import grad
from axon.errors import DonationError, DTypeError, ShapeError
from axon.model import Model, container, input

EVALUATE = {"compiler": "evaluate"}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 5)).astype(np.float32)
Y = RNG.integers(0, 3, 16).astype(np.int32)


def mlp() -> Model:
    return input("x", shape=(None, 5)).dense(8, activation="tanh").dense(3, activation="softmax")


def test_ten_steps_are_those_of_jax_and_optax() -> None:
    init_fn, step_fn = training.step(mlp(), "categorical_cross_entropy", optimizers.adamw(0.05, decay=0.1), **EVALUATE)
    state = init_fn()
    params = tree.map(lambda t: jnp.asarray(t.numpy()), state.model.parameters)

    def theirs(params: Any) -> jax.Array:
        h = jnp.tanh(X @ params["dense_0"]["kernel"] + params["dense_0"]["bias"])
        logits = h @ params["dense_1"]["kernel"] + params["dense_1"]["bias"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, Y).mean()

    optimizer = optax.adamw(0.05, weight_decay=0.1)
    their_state = optimizer.init(params)
    value_and_grad = jax.jit(jax.value_and_grad(theirs))
    for _ in range(10):
        state, loss = step_fn(state, X, Y)
        their_loss, gradients = value_and_grad(params)
        np.testing.assert_allclose(loss, their_loss, rtol=1e-4)
        change, their_state = optimizer.update(gradients, their_state, params)
        params = optax.apply_updates(params, change)
    for path, leaf in zip(tree.paths(params), tree.leaves(params), strict=True):
        np.testing.assert_allclose(state.model[path[0]][path[1]], leaf, rtol=1e-3, atol=1e-5)
    assert step_fn.traces == 1  # type: ignore[attr-defined]


def test_two_pairs_need_no_model() -> None:
    def objective(w: nx.Tensor, x: nx.Tensor, y: nx.Tensor) -> nx.Tensor:
        return nx.mean((x @ w - y) ** 2)

    true = np.array([1.0, -2.0, 0.5, 3.0, 0.0], np.float32)
    init_fn, step_fn = training.step((lambda: nx.zeros(5), objective), optimizers.sgd(0.1), **EVALUATE)
    state = init_fn()
    for _ in range(300):
        state, loss = step_fn(state, X, X @ true)
    np.testing.assert_allclose(state.model, true, atol=1e-3)
    assert loss.item() < 1e-6


def test_parameters_may_begin_as_numbers() -> None:
    pairs = (
        (lambda: {"w": 3.0, "b": np.float32(1)}, lambda p, x, y: (p["w"] * x + p["b"] - y) ** 2),
        optimizers.sgd(0.1),
    )
    init_fn, step_fn = training.step(*pairs, **EVALUATE)
    state = init_fn()
    for _ in range(3):
        state, _ = step_fn(state, 1.0, 2.0)
    assert step_fn.traces == 1  # type: ignore[attr-defined]


def test_an_optimizer_is_any_pair() -> None:
    pair = (lambda params: (), lambda gradients, state, params: (tree.map(lambda g: -0.1 * g, gradients), state))
    for optimizer in (pair, updates.scale(-0.1)):
        init_fn, step_fn = training.step((lambda: nx.tensor(2.0), lambda w, x, y: w * w), optimizer, **EVALUATE)
        assert step_fn(init_fn(), 0.0, 0.0)[0].model.item() == pytest.approx(1.6)


def test_a_used_state_cannot_be_used_again() -> None:
    init_fn, step_fn = training.step(mlp(), "categorical_cross_entropy", "sgd", **EVALUATE)
    state = init_fn()
    step_fn(state, X, Y)
    with pytest.raises(DonationError):
        step_fn(state, X, Y)


@pytest.mark.parametrize(
    ("last", "loss", "expected"),
    [
        ("softmax", "categorical_cross_entropy", True),
        ("sigmoid", "binary_cross_entropy", True),
        ("softmax", partial(losses.categorical_cross_entropy, reduction="mean"), True),
        ("softmax", partial(losses.categorical_cross_entropy, from_logits=False), False),
        ("softmax", "mean_squared_error", False),
    ],
)
def test_when_a_loss_takes_the_logits(last: str, loss: Any, expected: bool) -> None:
    m = input("x", shape=(None, 5)).dense(3, activation=last)
    found = training.logits_of(m, training.find_loss(loss))
    assert (found is m.parents[0]) if expected else found is None


@pytest.mark.parametrize("end", ["dense_0", "log_softmax_0"])
@pytest.mark.parametrize(
    ("loss", "last"), [("categorical_cross_entropy", "softmax"), (losses.binary_cross_entropy, "sigmoid")]
)
def test_cross_entropy_of_what_is_no_probability_is_refused(loss: Any, last: str, end: str) -> None:
    m = input("x", shape=(None, 5)).dense(3)
    m = m if end == "dense_0" else m.log_softmax()
    with pytest.raises(ValueError, match=rf"expected a model that ends in {last}, got .* {end} \(.*\); add .{last}"):
        training.step(m, loss, "sgd")
    told = partial(losses.categorical_cross_entropy, from_logits=True, reduction="mean")
    assert training.logits_of(m, told) is None


def test_logits_matter_where_probabilities_underflow() -> None:
    """A prediction that is certain and wrong: log(softmax) is cut off and has no gradient, the logits have both."""
    m = input("x", shape=(None, 2)).nx(lambda x: 300 * x).softmax()
    function = training.objective(m, "categorical_cross_entropy")
    x, y = nx.tensor([[1.0, 0.0]]), nx.tensor([1])
    state = model.init(m, **EVALUATE)
    assert function({}, state, x, y)[0].item() == pytest.approx(300)
    slope = grad(lambda x: function({}, state, x, y)[0])(x)
    np.testing.assert_allclose(slope, [[300, -300]])
    plain = training.objective(m, partial(losses.categorical_cross_entropy, reduction="mean", from_logits=False))
    assert plain({}, state, x, y)[0].item() < 20


def test_masked_logits_train_as_their_classes_do() -> None:
    """One-hot rows and class numbers take the same steps, past a class that is masked out."""
    mask = nx.tensor([True, True, False])
    m = input("x", shape=(None, 5)).dense(3).nx(lambda z: nx.where(mask, z, -np.inf)).softmax()
    classes = np.where(Y == 2, 0, Y)
    ends = []
    for y in (classes, np.eye(3, dtype=np.float32)[classes]):
        init_fn, step_fn = training.step(m, "categorical_cross_entropy", "sgd", **EVALUATE)
        state = init_fn()
        for _ in range(3):
            state, loss = step_fn(state, X, y)
            assert np.isfinite(loss.item())
        ends.append(state.model.parameters["dense_0"]["kernel"].numpy())
    assert np.isfinite(ends[0]).all()
    np.testing.assert_allclose(*ends, rtol=1e-5)


@pytest.mark.parametrize(("axis", "last"), [(0, False), ((0, 1), False), ([-1], True), (1, True), ((1,), True)])
def test_logits_of_softmax_over_the_last_axis_alone(axis: Any, last: bool) -> None:
    m = input("x", shape=(None, 5)).dense(3).softmax(axis=axis)
    found = training.logits_of(m, losses.categorical_cross_entropy)
    assert (found is m.parents[0]) if last else found is None
    unknown = input("x").dense(3).softmax(axis=axis)  # of what rank nobody knows before a template
    assert (training.logits_of(unknown, losses.categorical_cross_entropy) is not None) == (axis == [-1])


def test_a_loss_of_pairs_is_none_by_name() -> None:
    m = input("x", shape=(None, 5)).dense(2)
    with pytest.raises(ValueError, match=r"^loss: expected a loss of one prediction, got 'margin_ranking', .*; write"):
        training.step(m, "margin_ranking", "sgd")
    ranking = lambda y, p: losses.margin_ranking(y, (p[..., 0], p[..., 1]), margin=1.0, reduction="mean")  # noqa: E731
    init_fn, step_fn = training.step(m, ranking, "sgd", **EVALUATE)
    assert step_fn(init_fn(), X, np.ones(len(X), np.float32))[1].item() > 0


def test_batch_norm_and_dropout_state_advances() -> None:
    m = input("x", shape=(None, 5)).batch_norm().dropout(rate=0.2).dense(3, activation="softmax")
    init_fn, step_fn = training.step(m, "categorical_cross_entropy", optimizers.sgd(0.1), **EVALUATE)
    state = init_fn()
    key, mean = (np.array(state.model.state[n][p]) for n, p in (("dropout_0", "key"), ("batch_norm_0", "mean")))
    state, _ = step_fn(state, X, Y)
    assert not np.array_equal(state.model.state["dropout_0"]["key"], key)
    np.testing.assert_allclose(state.model.state["batch_norm_0"]["mean"], 0.9 * mean + 0.1 * X.mean(0), rtol=1e-4)


def test_frozen_parameters_stay() -> None:
    m = mlp()
    state = model.init(m, **EVALUATE).freeze(lambda layer, parameter: layer == "dense_0")
    before = np.array(state["dense_0"]["kernel"])
    optimizer = optimizers.sgd(0.5)
    _, step_fn = training.step(m, "categorical_cross_entropy", optimizer, **EVALUATE)
    after, _ = step_fn(training.TrainState(state, optimizer.init(state.parameters)), X, Y)
    np.testing.assert_array_equal(after.model["dense_0"]["kernel"], before)
    assert "dense_0" not in after.model.parameters


def test_train_prints_and_learns(capsys: pytest.CaptureFixture[str]) -> None:
    functions = training.step(mlp(), "categorical_cross_entropy", optimizers.adam(0.05), **EVALUATE)
    state = training.train(functions, [X[:8], X[8:]], [Y[:8], Y[8:]], epochs=40)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 40 and lines[0].startswith("epoch 1/40  2 batches  loss ")
    assert float(lines[-1].split()[5]) < 0.3 * float(lines[0].split()[5])
    assert isinstance(state, training.TrainState)


def test_train_compiles_the_step_by_the_compiler_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A step that was made for another, or for none, and one that is a plain function."""
    first, evaluated = training.step(mlp(), "categorical_cross_entropy", optimizers.adam(0.05), **EVALUATE)
    step_fn: Any = training.step(mlp(), "categorical_cross_entropy", optimizers.adam(0.05), compiler="none")[1]
    ways: list[tuple[Any, str | None]] = [(evaluated, None), (step_fn, "evaluate"), (step_fn.function, "evaluate")]
    ends = [training.train((first, s), [X, X], [Y, Y], epochs=2, compiler=compiler) for s, compiler in ways]
    assert len(set(re.findall(r"loss (\S+)", capsys.readouterr().out))) == 2
    for x, *others in zip(*map(tree.leaves, ends), strict=True):
        for other in others:
            np.testing.assert_array_equal(x, other)
    with pytest.raises(ValueError, match=r"^compiler: expected one of .*evaluate, got 'none'"):
        training.train((first, step_fn), [X], [Y])
    with pytest.raises(ValueError, match=r"^compiler: expected one of .*evaluate, got 'exla'"):
        training.train((first, step_fn), [X], [Y], compiler="exla")


@pytest.mark.parametrize(
    ("inputs", "targets", "epochs", "text"),
    [
        (iter([X]), iter([Y]), 2, "expected batches in epoch 2, got none; pass lists"),
        ([X, X], [Y], 1, "expected as many inputs as targets, got only 1 targets; pair them"),
        ([], [Y], 1, "expected as many inputs as targets, got only 0 inputs; pair them"),
        ([X], [Y], 0, "expected at least 1 epoch, got 0"),
    ],
)
def test_what_train_refuses(inputs: Any, targets: Any, epochs: int, text: str) -> None:
    functions = training.step(mlp(), "categorical_cross_entropy", "adam", **EVALUATE)
    with pytest.raises(ValueError, match=f"^train: {text}"):
        training.train(functions, inputs, targets, epochs=epochs)


def test_train_gives_the_first_inputs_as_template() -> None:
    m = input("x", shape=(None, None)).dense(3, activation="softmax")
    functions = training.step(m, "categorical_cross_entropy", "sgd", **EVALUATE)
    assert training.train(functions, [X], [Y], epochs=1).model["dense_0"]["kernel"].shape == (5, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((mlp(), "mean_squared_error"), TypeError, "step: .* got a model without an optimizer"),
        ((mlp(), "mse", "sgd"), ValueError, "loss: expected one of .*, got 'mse'"),
        ((mlp(), None, "sgd"), ValueError, "loss: expected one of .* or a function, got None"),
        ((mlp(), losses.mean_squared_error, "lion"), ValueError, "optimizer: expected one of ada.* yogi, got 'lion"),
        ((mlp(), losses.mean_squared_error, optimizers.adam), TypeError, "optimizer: .* got adam; .* to be called"),
        ((mlp(), "mean_squared_error", [updates.clip(), optimizers.sgd()]), TypeError, r"optimizer: .* joined by \|$"),
        (((nx.zeros, nx.sum), (nx.zeros,)), TypeError, r"optimizer: .* got \(<function"),
        ((nx.sum, "sgd"), TypeError, r"step: expected a model or functions \(init, objective\), got function"),
    ],
)
def test_what_step_refuses(arguments: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{text}"):
        training.step(*arguments)


@pytest.mark.parametrize(
    ("loss", "error", "text"),
    [
        (losses.categorical_cross_entropy, ShapeError, r"got float32\[16\]; reduce it"),
        (lambda y, p: None, DTypeError, "got NoneType; return a tensor"),
        (lambda y, p: (nx.mean(p), p), DTypeError, "got tuple; return a tensor"),
    ],
)
def test_a_loss_is_one_number(loss: Any, error: type[Exception], text: str) -> None:
    init_fn, step_fn = training.step(mlp(), loss, "sgd", **EVALUATE)
    with pytest.raises(error, match=f"^loss: expected one number, {text}"):
        step_fn(init_fn(), X, Y)


def test_a_loss_may_be_a_plain_number() -> None:
    init_fn, step_fn = training.step(mlp(), lambda y, p: 0.5, "sgd", **EVALUATE)
    assert step_fn(init_fn(), X, Y)[1].item() == 0.5


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda state: state.model, "step: expected a TrainState, got ModelState; pass what init_fn"),
        (lambda state: None, "step: expected a TrainState, got NoneType"),
        (lambda state: state._replace(model=state.model.parameters), "step: expected a ModelState, got dict"),
    ],
)
def test_a_step_takes_a_train_state(wrong: Any, text: str) -> None:
    init_fn, step_fn = training.step(mlp(), "categorical_cross_entropy", "sgd", **EVALUATE)
    with pytest.raises(TypeError, match=f"^{text}"):
        step_fn(wrong(init_fn()), X, Y)


def two_outputs() -> Model:
    hidden = input("x", shape=(None, 5)).dense(8, activation="tanh")
    return container({"value": hidden.dense(1), "label": hidden.dense(3, activation="softmax")})


VALUE = X.sum(1, keepdims=True)
MSE, CCE = (partial(f, reduction="mean") for f in (losses.mean_squared_error, losses.categorical_cross_entropy))
BY_HAND: Any = lambda y, p: MSE(y["value"], p["value"]) + 0.5 * CCE(y["label"], p["label"])  # noqa: E731


@pytest.mark.parametrize(
    "loss",
    [
        BY_HAND,
        {"value": "mean_squared_error", "label": ("categorical_cross_entropy", 0.5)},
        {"label": (CCE, 0.5), "value": MSE},
        [("mean_squared_error", 1), ("categorical_cross_entropy", 0.5)],
    ],
)
def test_losses_of_several_outputs_are_summed(loss: Any) -> None:
    m, y = two_outputs(), {"value": VALUE, "label": Y}
    if isinstance(loss, list):
        m, y = container(tuple(m[key] for key in ("value", "label"))), (VALUE, Y)  # type: ignore[assignment]
    init_fn, step_fn = training.step(m, loss, optimizers.adam(0.05), **EVALUATE)
    state = init_fn()
    p = model.predict(m, state.model, X, **EVALUATE)
    value, label = (p["value"], p["label"]) if isinstance(p, dict) else p
    expected = np.mean((value.numpy() - VALUE) ** 2) - 0.5 * np.mean(np.log(label.numpy()[np.arange(16), Y]))
    state, first = step_fn(state, X, y)
    np.testing.assert_allclose(first, expected, rtol=1e-5)
    for _ in range(30):
        state, last = step_fn(state, X, y)
    assert last.item() < 0.5 * first.item()


def test_losses_stand_in_containers_of_any_depth() -> None:
    both = two_outputs()
    m = container({"here": (both["value"], both["label"]), "there": both["value"]})
    loss: Any = {"here": (["huber", ("categorical_cross_entropy", 0.5)], 2.0), "there": "mean_squared_error"}
    init_fn, step_fn = training.step(m, loss, "sgd", **EVALUATE)
    state = init_fn()
    (value, label), _ = model.predict(m, state.model, X, **EVALUATE).values()
    terms = losses.huber(VALUE, value, reduction="mean"), CCE(nx.tensor(Y), label), MSE(VALUE, value)
    expected = sum(weight * term.item() for weight, term in zip((2.0, 1.0, 1.0), terms))
    got = step_fn(state, X, {"here": (VALUE, Y), "there": VALUE})[1]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_a_loss_of_several_outputs_works_from_logits() -> None:
    logits = input("x", shape=(None, 2)).nx(lambda x: 300 * x)
    m = container((logits.softmax(), logits.dense(1)))
    assert training.logits_of(m, training.find_loss(["categorical_cross_entropy", "huber"])) == {0: logits, 1: None}
    init_fn, step_fn = training.step(m, [("categorical_cross_entropy", 2.0), ("huber", 0.0)], "sgd", **EVALUATE)
    y = (np.array([1]), np.zeros((1, 1), np.float32))
    assert step_fn(init_fn(), np.array([[1.0, 0.0]], np.float32), y)[1].item() == 600


@pytest.mark.parametrize(
    ("loss", "y", "text"),
    [
        ("mean_squared_error", None, "mean_squared_error: expected one output, got value, label; give"),
        ({"value": "mse"}, None, "loss: expected one of .* got 'mse'"),
        ({"value": "huber", "labels": "huber"}, None, "loss labels: layer .*: expected one of value, label"),
        (["huber", "huber"], None, "loss 0: layer container_0 .*: expected one of value, label"),
        ({"label": "hinge", "value": "categorical_cross_entropy"}, None, "categorical_.*: expected a model that"),
        ({}, None, "loss: expected a loss for each output, got none"),
        ({"value": "huber"}, VALUE, "loss: expected targets value, one for each loss, got Tensor"),
        ({"value": "huber"}, {"label": Y}, "loss: expected targets value, one for each loss, got label"),
        ({"value": "huber"}, (VALUE,), "loss: expected targets value, one for each loss, got 0"),
    ],
)  # fmt: skip
def test_losses_that_do_not_fit_several_outputs(loss: Any, y: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        init_fn, step_fn = training.step(two_outputs(), loss, "sgd", **EVALUATE)
        step_fn(init_fn(), X, {"value": VALUE, "label": Y} if y is None else y)


def test_losses_by_number_are_as_many_as_outputs() -> None:
    both = two_outputs()
    m = container((both["value"], both["label"]))
    init_fn, step_fn = training.step(m, ["huber"], "sgd", **EVALUATE)
    with pytest.raises(ValueError, match="loss: expected outputs 0, one for each loss, got 0, 1"):
        step_fn(init_fn(), X, (VALUE,))
    init_fn, step_fn = training.step(two_outputs(), {"value": "huber"}, "sgd", **EVALUATE)
    assert step_fn(init_fn(), X, {"value": VALUE, "label": Y})[1].item() > 0, "by name some may be left out"


@pytest.mark.parametrize(
    ("loss", "error", "text"),
    [
        ([("huber", float("nan")), "huber"], ValueError, "loss 0: expected a finite weight of at least 0, got nan"),
        ([("huber", -1), "huber"], ValueError, "loss 0: expected a finite weight of at least 0, got -1"),
        ({"a": ("huber", True)}, TypeError, "loss a: expected .loss, weight., the weight a number, got True"),
        (("huber", 0.5), TypeError, "loss: expected a loss for each output, got 0.5 for output 1"),
        (["huber", None], TypeError, "loss: expected a loss for each output, got None for output 1"),
    ],
)
def test_weights_of_losses(loss: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        training.find_loss(loss)


def test_a_weight_of_any_library() -> None:
    y, p = (nx.ones(2), nx.ones(2)), (nx.zeros(2), nx.zeros(2))
    weighed = training.find_loss([("mean_squared_error", np.float32(2)), ("mean_squared_error", nx.tensor(0.5))])
    assert weighed(y, p).item() == 2.5
