"""Train steps: against hand-written JAX, from pairs, from logits, and what stays of what they are given."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from axon import losses, model, nx, optimizers, training, tree, updates
from axon.defn import grad
from axon.errors import DonationError, ShapeError
from axon.model import Model, input

EVALUATE = {"compiler": "evaluate"}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 5)).astype(np.float32)
Y = RNG.integers(0, 3, 16).astype(np.int32)


def mlp() -> Model:
    return input("x", shape=(None, 5)).dense(8, activation="tanh").dense(3, activation="softmax")


def test_ten_steps_are_those_of_jax_and_optax() -> None:
    init_fn, step_fn = training.step(mlp(), "categorical_cross_entropy", optimizers.adamw(0.05, decay=0.1), **EVALUATE)
    state = init_fn()
    params = tree.map(lambda t: jnp.asarray(t.numpy()), state.parameters.parameters)

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
        np.testing.assert_allclose(state.parameters[path[0]][path[1]], leaf, rtol=1e-3, atol=1e-5)
    assert step_fn.traces == 1  # type: ignore[attr-defined]


def test_two_pairs_need_no_model() -> None:
    def objective(w: nx.Tensor, x: nx.Tensor, y: nx.Tensor) -> nx.Tensor:
        return nx.mean((x @ w - y) ** 2)

    true = np.array([1.0, -2.0, 0.5, 3.0, 0.0], np.float32)
    init_fn, step_fn = training.step((lambda: nx.zeros(5), objective), optimizers.sgd(0.1), **EVALUATE)
    state = init_fn()
    for _ in range(300):
        state, loss = step_fn(state, X, X @ true)
    np.testing.assert_allclose(state.parameters, true, atol=1e-3)
    assert loss.item() < 1e-6


def test_an_optimizer_is_any_pair() -> None:
    pair = (lambda params: (), lambda gradients, state, params: (tree.map(lambda g: -0.1 * g, gradients), state))
    for optimizer in (pair, updates.scale(-0.1)):
        init_fn, step_fn = training.step((lambda: nx.tensor(2.0), lambda w, x, y: w * w), optimizer, **EVALUATE)
        assert step_fn(init_fn(), 0.0, 0.0)[0].parameters.item() == pytest.approx(1.6)


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
        ("sigmoid", "categorical_cross_entropy", False),
        ("relu", "categorical_cross_entropy", False),
    ],
)
def test_when_a_loss_takes_the_logits(last: str, loss: Any, expected: bool) -> None:
    m = input("x", shape=(None, 5)).dense(3, activation=last)
    found = training.logits_of(m, training.find_loss(loss))
    assert (found is m.parents[0]) if expected else found is None


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


def test_softmax_over_another_axis_keeps_its_probabilities() -> None:
    m = input("x", shape=(None, 5)).dense(3).softmax(axis=0)
    assert training.logits_of(m, losses.categorical_cross_entropy) is None


def test_batch_norm_and_dropout_state_advances() -> None:
    m = input("x", shape=(None, 5)).batch_norm().dropout(rate=0.2).dense(3, activation="softmax")
    init_fn, step_fn = training.step(m, "categorical_cross_entropy", optimizers.sgd(0.1), **EVALUATE)
    state = init_fn()
    key, mean = (np.array(state.parameters.state[n][p]) for n, p in (("dropout_0", "key"), ("batch_norm_0", "mean")))
    state, _ = step_fn(state, X, Y)
    assert not np.array_equal(state.parameters.state["dropout_0"]["key"], key)
    np.testing.assert_allclose(state.parameters.state["batch_norm_0"]["mean"], 0.9 * mean + 0.1 * X.mean(0), rtol=1e-4)


def test_frozen_parameters_stay() -> None:
    m = mlp()
    state = model.init(m, **EVALUATE).freeze(lambda layer, parameter: layer == "dense_0")
    before = np.array(state["dense_0"]["kernel"])
    _, step_fn = training.step(m, "categorical_cross_entropy", optimizers.sgd(0.5), **EVALUATE)
    after, _ = step_fn(training.TrainState(state, ()), X, Y)
    np.testing.assert_array_equal(after.parameters["dense_0"]["kernel"], before)
    assert "dense_0" not in after.parameters.parameters


def test_train_prints_and_learns(capsys: pytest.CaptureFixture[str]) -> None:
    functions = training.step(mlp(), "categorical_cross_entropy", optimizers.adam(0.05), **EVALUATE)
    state = training.train(functions, [X[:8], X[8:]], [Y[:8], Y[8:]], epochs=40)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 40 and lines[0].startswith("epoch 1/40  2 batches  loss ")
    assert float(lines[-1].split()[5]) < 0.3 * float(lines[0].split()[5])
    assert isinstance(state, training.TrainState)


def test_what_train_and_step_refuse() -> None:
    functions = training.step(mlp(), "categorical_cross_entropy", "adam", **EVALUATE)
    with pytest.raises(ValueError, match="expected batches in epoch 2, got none; pass lists"):
        training.train(functions, iter([X]), iter([Y]), epochs=2)
    with pytest.raises(TypeError, match="got a model without an optimizer"):
        training.step(mlp(), "mean_squared_error")
    with pytest.raises(ValueError, match=r"loss: expected one of .*, got 'mse'"):
        training.step(mlp(), "mse", "sgd")
    with pytest.raises(ValueError, match="optimizer: expected one of adam, adamw, sgd, got 'lion'"):
        training.step(mlp(), "mean_squared_error", "lion")
    init_fn, step_fn = training.step(mlp(), losses.categorical_cross_entropy, "sgd", **EVALUATE)
    with pytest.raises(ShapeError, match=r"loss: expected one number, got float32\[16\]; reduce it"):
        step_fn(init_fn(), X, Y)
