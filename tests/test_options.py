"""Options given as NumPy scalars, or as arrays or tensors of rank 0, are Python numbers: they change no dtype."""

from __future__ import annotations

from typing import Any

import axon
import ml_dtypes
import numpy as np
import pytest
from axon import activations, initializers, layers, losses, metrics, nx, optimizers, schedules, tree, updates
from axon.defn import jit
from axon.model.making import function_of
from axon.options import plain, plain_options

KINDS: dict[str, Any] = {
    "float32": np.float32, "float64": np.float64, "array": np.array, "array32": lambda v: np.array(v, "f4"),
    "tensor": nx.tensor, "bfloat16": ml_dtypes.bfloat16,
}  # fmt: skip
# Each constructor, with the options that are numbers: exact in every float dtype.
UPDATES: list[tuple[Any, dict[str, float]]] = [
    (optimizers.sgd, {"learning_rate": 0.25, "momentum": 0.5}),
    (optimizers.adam, {"learning_rate": 0.25, "b1": 0.5, "b2": 0.75, "eps": 0.125, "eps_root": 0.25}),
    (optimizers.adamw, {"learning_rate": 0.25, "decay": 0.5, "b1": 0.5, "b2": 0.75, "eps": 0.125, "eps_root": 0.25}),
    (optimizers.adabelief, {"learning_rate": 0.25, "b1": 0.5, "b2": 0.75, "eps": 0.125, "eps_root": 0.25}),
    (optimizers.adagrad, {"learning_rate": 0.25, "initial_accumulator_value": 0.5, "eps": 0.125}),
    (optimizers.fromage, {"learning_rate": 0.75, "min_norm": 0.5}),
    (optimizers.lamb, {"learning_rate": 0.25, "decay": 0.5, "min_norm": 0.5, "b1": 0.5, "b2": 0.75, "eps": 0.125}),
    (optimizers.noisy_sgd, {"learning_rate": 0.25, "eta": 0.25, "gamma": 0.5}),
    (optimizers.radam, {"learning_rate": 0.25, "b1": 0.5, "b2": 0.75, "eps": 0.125, "threshold": 6.0}),
    (optimizers.rmsprop, {"learning_rate": 0.25, "momentum": 0.5, "initial_scale": 0.5, "decay": 0.5, "eps": 0.125}),
    (optimizers.yogi, {"learning_rate": 0.25, "initial_accumulator_value": 0.5, "b1": 0.5, "b2": 0.75, "eps": 0.125}),
    (updates.scale, {"step_size": 0.25}),
    (updates.scale_by_learning_rate, {"learning_rate": 0.25}),
    (updates.trace, {"decay": 0.5}),
    (updates.add_decayed_weights, {"decay": 0.5}),
    (updates.clip, {"delta": 0.5}),
    (updates.clip_by_global_norm, {"max_norm": 0.5}),
    (updates.scale_by_adam, {"b1": 0.5, "b2": 0.75, "eps": 0.125, "eps_root": 0.25}),
    (updates.scale_by_stddev, {"decay": 0.5, "eps": 0.125, "initial_scale": 0.5}),
    (updates.scale_by_trust_ratio, {"min_norm": 0.5, "trust_coefficient": 0.25, "eps": 0.125}),
]
SCHEDULES: list[tuple[Any, dict[str, float]]] = [
    (schedules.constant, {"init_value": 0.5}),
    (schedules.exponential_decay, {"init_value": 0.5, "decay_rate": 0.5, "transition_steps": 2, "transition_begin": 1}),
    (schedules.cosine_decay, {"init_value": 0.5, "decay_steps": 2, "alpha": 0.5}),
    (schedules.polynomial_decay, {"init_value": 0.5, "end_value": 0.25, "power": 2, "transition_steps": 2,
                                  "transition_begin": 1}),
]  # fmt: skip
INITIALIZERS: list[tuple[Any, dict[str, float]]] = [
    (initializers.full, {"value": 0.5}),
    (initializers.normal, {"mean": 0.5, "scale": 0.25}),
    *((getattr(initializers, name), {"scale": 0.5}) for name in (
        "uniform", "variance_scaling", "lecun_uniform", "lecun_normal", "glorot_uniform", "glorot_normal", "he_uniform",
        "he_normal")),
]  # fmt: skip
one, zero = nx.ones(1, "float16"), nx.zeros(1, "float16")
FUNCTIONS: list[tuple[Any, dict[str, float]]] = [
    (lambda **o: activations.leaky_relu(-one, **o), {"alpha": 0.5}),
    (lambda **o: activations.elu(-one, **o), {"alpha": 0.5}),
    (lambda **o: activations.celu(-one, **o), {"alpha": 0.5}),
    (lambda **o: activations.selu(-one, **o), {"alpha": 0.5, "gamma": 0.5}),
    (lambda **o: metrics.precision(nx.tensor([True]), one, **o), {"threshold": 0.5}),
    (lambda **o: metrics.recall(nx.tensor([True]), one, **o), {"threshold": 0.5}),
    (lambda **o: layers.dropout(one, nx.random.key(0), mode="train", **o), {"rate": 0.5}),
    (lambda **o: layers.batch_norm(one, one, zero, zero, one, mode="train", **o), {"epsilon": 0.25, "momentum": 0.5}),
    (lambda **o: predicted(axon.input("x", shape=(None, 1)).leaky_relu(**o)), {"alpha": 0.5}),
    (
        lambda **o: predicted(function_of(layers.describe(scaled))(axon.input("x", shape=(None, 1)), **o)),
        {"by": 0.5},
    ),
]


def scaled(x: Any, *, by: float = 1.0) -> Any:
    return x * by


def predicted(model: Any) -> Any:
    return axon.predict(model, axon.init(model), nx.tensor([[-1.0]], "bfloat16"), compiler="evaluate")


def shown(result: Any) -> Any:
    leaves, structure = tree.flatten(result)
    return [(str(nx.asarray(t).dtype), nx.asarray(t).tolist()) for t in leaves], repr(structure)


def given(options: dict[str, float], kind: str) -> dict[str, Any]:
    return {name: KINDS[kind](value) for name, value in options.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("make", "options"), UPDATES, ids=lambda v: getattr(v, "__name__", ""))
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_updates_and_state_keep_their_dtypes(make: Any, options: Any, dtype: str, kind: str) -> None:
    p = {"w": nx.tensor([1.0, 2.0], dtype)}
    plainly, made = make(**options), make(**given(options, kind))
    assert repr(made) == repr(plainly)
    assert shown(made.init(p)) == shown(plainly.init(p))
    assert shown(made.update(p, made.init(p), p)) == shown(plainly.update(p, plainly.init(p), p))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("make", "options"), SCHEDULES, ids=lambda v: getattr(v, "__name__", ""))
def test_schedules(make: Any, options: Any, kind: str) -> None:
    assert shown(make(**given(options, kind))(nx.tensor(2))) == shown(make(**options)(nx.tensor(2)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("make", "options"), INITIALIZERS, ids=lambda v: getattr(v, "__name__", ""))
def test_initializers(make: Any, options: Any, kind: str) -> None:
    args = (4, 2), nx.bfloat16, nx.random.key(0)
    assert shown(make(**given(options, kind))(*args)) == shown(make(**options)(*args))
    assert shown(make(*given(options, kind).values())(*args)) == shown(make(**options)(*args))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("function", "options"), FUNCTIONS)
def test_layers_activations_and_metrics(function: Any, options: Any, kind: str) -> None:
    assert shown(function(**given(options, kind))) == shown(function(**options))


def test_a_loop_with_such_an_optimizer_traces_its_step_once() -> None:
    model = axon.input("x", shape=(None, 2)).dense(1)
    optimizer = optimizers.adam(np.float64(0.1), b1=np.array(0.9), eps=np.float32(1e-8))
    loop = axon.Loop.trainer(model, "mean_squared_error", optimizer, progress=False)
    loop.run([(np.ones((4, 2), "f4"), np.ones((4, 1), "f4"))] * 3, compiler="evaluate")
    assert loop.steps("evaluate").train.traces == 1


def test_what_is_no_scalar_stays() -> None:
    for value in (np.ones(1), nx.ones(1), "relu", None, 0.5, nx.float32, np.float32, np.dtype("f4"), len):
        assert plain(value) is value
    assert [type(plain(v)) for v in (np.int8(3), np.bool_(1), nx.tensor(2.0))] == [int, bool, float]


def test_a_traced_tensor_stays() -> None:
    f = jit(lambda p, rate: updates.scale(rate).update({"w": p}, (), {"w": p})[0]["w"], compiler="evaluate")
    assert f(nx.ones(1), nx.tensor(0.5)).tolist() == [0.5]


def test_inputs_are_not_options() -> None:
    assert activations.leaky_relu(np.array(-1.0, "f2"), alpha=0.5).dtype is nx.float16
    assert activations.leaky_relu(x=np.array(-1.0, "f2"), alpha=0.5).dtype is nx.float16


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: schedules.cosine_decay(steps=10), "cosine_decay: got an unknown option steps; write decay_steps="),
        (lambda: schedules.constant(value=1), "constant: got an unknown option value; write init_value="),
        (lambda: initializers.normal(std=1), "normal: got an unknown option std; write scale="),
        (lambda: initializers.full(), "full: missing a required argument: 'value'; write full(value)"),
        (lambda: updates.clip(max_norm=1), "clip: got an unknown option max_norm; write clip(delta=2.0)"),
        (lambda: updates.trace(momentum=1), "trace: got an unknown option momentum; write trace(*, decay=0.9, nest"),
        (lambda: updates.scale_by_adam(betas=(0, 0)), "scale_by_adam: got an unknown option betas; write b1= and b2="),
        (lambda: layers.dropout(1.0, None, p=1), "dropout: got an unknown option p; write rate="),
        (lambda: layers.layer_norm(1.0, channel_index=1), "layer_norm: got an unknown option channel_index; write a"),
        (lambda: activations.softmax(1.0, dim=1), "softmax: got an unknown option dim; write axis="),
        (lambda: activations.gelu(1.0, approximate="tanh"), "gelu: got an unknown option approximate; write gelu(x)"),
        (lambda: losses.huber(1.0, 1.0, beta=1), "huber: got an unknown option beta; write delta="),
        (lambda: metrics.recall(1.0, 1.0, average=""), "recall: got an unknown option average; write recall(y_true, "),
        (lambda: losses.hinge(1.0, 1.0, size_average=False), "hinge: got an unknown option size_average; write reduct"),
        (lambda: losses.hinge(1.0, 1.0, "mean"), "hinge: too many positional arguments; write hinge(y_true, y_pred, *"),
        (lambda: activations.leaky_relu(1.0, 0.1), "leaky_relu: too many positional arguments; write leaky_relu(x, *,"),
        (lambda: layers.dropout(1.0), "dropout: missing a required argument: 'key'; write dropout(x, key, *, rate=0.5"),
        (lambda: metrics.accuracy(1.0), "accuracy: missing a required argument: 'y_pred'; write accuracy(y_true, y_pr"),
        (lambda: updates.scale(updates.clip(1.0)), "scale: missing a required argument: 'step_size'; write s"),
    ],
)  # fmt: skip
def test_options_that_functions_do_not_take(make: Any, text: str) -> None:
    with pytest.raises(TypeError) as caught:
        make()
    assert str(caught.value).startswith(text)


SGD = optimizers.sgd()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: initializers.normal((2, 3)), r"normal: expected a number as mean, got \(2, 3\)"),
        (lambda: initializers.orthogonal("uniform"), "orthogonal: expected a number as scale, got 'uniform'"),
        (lambda: schedules.cosine_decay(decay_steps=None), "cosine_decay: expected an integer as decay_s.*, got None"),
        (lambda: updates.apply_if_finite(SGD, max_consecutive_errors=1.5), ".*an integer as .*, got 1.5"),
        (lambda: updates.apply_if_finite(SGD, max_consecutive_errors=True), ".*an integer as .*, got True"),
        (lambda: updates.scale("0.1"), "scale: expected a number as step_size, got '0.1'"),
        (lambda: updates.scale_by_schedule(0.1), "scale_by_schedule: expected a schedule, .*, as schedule, got 0.1"),
        (lambda: updates.stateless(3), "stateless: expected a function as apply, got 3"),
        (lambda: updates.trace(nesterov=0.9), "trace: expected True or False as nesterov, got 0.9"),
        (lambda: optimizers.adam(b1="0.9"), "scale_by_adam: expected a number as b1, got '0.9'"),
        (lambda: losses.huber(nx.ones(1), nx.ones(1), delta=None), "huber: expected a number as delta, got None"),
        (lambda: metrics.accuracy(nx.ones(1), nx.ones(1), from_logits="no"), "accuracy: expected True or False as"),
        (lambda: layers.layer_norm(nx.ones(1), epsilon="1e-5"), "layer_norm: expected a number as epsilon, got '1e-5'"),
        (lambda: activations.celu(nx.ones(1), alpha=None), "celu: expected a number as alpha, got None"),
    ],
)  # fmt: skip
def test_options_that_are_no_numbers(make: Any, text: str) -> None:
    with pytest.raises(TypeError, match=f"^{text}"):
        make()


def test_errors_inside_functions_stay_as_they_are() -> None:
    def mine(x: nx.Tensor, *, rate: float = 1.0) -> float:
        raise TypeError("mine() got an unexpected keyword argument 'rate'")

    with pytest.raises(TypeError, match=r"^mine\(\) got an unexpected"):
        plain_options(mine)(nx.tensor(1.0), rate=2.0)
