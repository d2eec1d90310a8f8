"""Values: copies are the thing itself, pickles work where functions have names, and say which part has none."""

import copy
import functools
import pickle
import subprocess
import sys
from typing import Any

import axon
import numpy as np
import pytest
from axon import Loop, initializers, jit, metrics, nx, optimizers, schedules, updates
from axon.defn import defn, grad
from axon.loop import early_stop

DATA = [(np.ones((4, 3), "f4"), np.ones((4, 2), "f4"))] * 3


def double(x: nx.Tensor) -> nx.Tensor:
    return x * 2


def tenth(shape: Any, dtype: Any, key: Any) -> nx.Tensor:
    return nx.full(shape, 0.1, dtype)


def highest(y_true: nx.Tensor, y_pred: nx.Tensor) -> nx.Tensor:
    return nx.max(y_pred)


def halt(state: Any) -> Any:
    return state.halt()


@defn
def decorated(x: nx.Tensor) -> nx.Tensor:
    return x + 1


def model() -> axon.Model:
    x = axon.input("x", shape=(None, 3))
    left = x.dense(4, activation="relu", kernel_initializer=initializers.normal(scale=0.5), name="left")
    right = x.dense(4, kernel_initializer=tenth).nx(double).dropout(rate=0.1)
    return (left + right).batch_norm().dense(2, activation=double)


def loop(**options: Any) -> Loop:
    made = Loop.trainer(options.get("model", model()), "mean_squared_error", "adam", progress=False)
    made = made.metric("mean_absolute_error").metric("precision")
    made = made.metric(functools.partial(metrics.recall, threshold=0.2), "recall at 0.2")
    made = made.metric(options.get("metric", highest), "highest")
    return made.handle("epoch_completed", early_stop("loss")).handle("completed", options.get("handler", halt))


RATES = [
    0.1, schedules.constant(0.1), schedules.exponential_decay(0.1), schedules.cosine_decay(0.1),
    schedules.polynomial_decay(0.1),
]  # fmt: skip
PIPELINES = [
    *[getattr(optimizers, name)(rate) for name in optimizers.__all__ for rate in RATES],
    optimizers.noisy_sgd(0.1, key=nx.random.key(7)),
    updates.centralize(axis=0) | updates.add_decayed_weights(RATES[3]),
    optimizers.sgd(0.1, momentum=0.9, nesterov=True),
    updates.identity(),
    updates.Update(),
    updates.clip(1.0) | updates.clip_by_global_norm(2.0) | updates.scale_by_adam() | updates.scale(-1.0),
    updates.trace(updates.stateless(axon.tree.map) | updates.scale(1.0), decay=0.5),
]
VALUES = {
    "model": model, "loop": loop, "jit": lambda: jit(double, static=(), max_traces=3), "defn": lambda: decorated,
    "optimizer": lambda: optimizers.adam(0.1), "schedule": lambda: RATES[3], "initializer": initializers.zeros,
    "layer": lambda: axon.layers.TABLE["dense"],
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_copies_are_the_thing_itself(name: str) -> None:
    value = VALUES[name]()
    assert copy.copy(value) is value and copy.deepcopy([value])[0] is value


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_pickled_model_is_the_same_model(protocol: int) -> None:
    m = model()
    back = pickle.loads(pickle.dumps(m, protocol))
    assert str(back) == str(m) and [n.source for n in back.nodes] == [n.source for n in m.nodes]
    a, b = (axon.init(x, compiler="evaluate") for x in (m, back))
    for x, y in zip(axon.tree.leaves(a), axon.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)
    assert [n.op for n in back.nodes] == [n.op for n in m.nodes] and len(back.inputs) == 1


def test_a_deep_model_is_pickled() -> None:
    m = axon.input("x", shape=(None, 2))
    for _ in range(2000):
        m = m.relu()
    assert len(pickle.loads(pickle.dumps(m)).nodes) == 2001


@pytest.mark.parametrize("update", PIPELINES, ids=str)
def test_a_pickled_optimizer_does_the_same(update: updates.Update) -> None:
    back = pickle.loads(pickle.dumps(update))
    assert str(back) == str(update) and len(back.steps) == len(update.steps)
    if "stateless" in str(update):
        return
    params, slopes = {"w": nx.tensor([1.0, 2.0])}, {"w": nx.tensor([0.5, -0.5])}
    made = [u.update(slopes, u.init(params), params)[0]["w"].tolist() for u in (update, back)]
    assert made[0] == made[1]


@pytest.mark.parametrize("name", [n for n in initializers.__all__ if n != "full"])
def test_a_pickled_initializer_does_the_same(name: str) -> None:
    made = getattr(initializers, name)()
    back = pickle.loads(pickle.dumps(made))
    first, second = (f((3, 2), nx.float32, nx.random.key(1)).tolist() for f in (made, back))
    assert first == second


def test_a_pickled_loop_trains() -> None:
    back = pickle.loads(pickle.dumps(loop()))
    result, expected = (made.run(DATA, epochs=2, compiler="evaluate") for made in (back, loop()))
    assert result.status == expected.status and len(result.history) == 2
    assert [h["loss"] for h in result.history] == [h["loss"] for h in expected.history]
    assert list(back.metrics) == ["mean_absolute_error", "precision", "recall at 0.2", "highest"]


def test_pickled_definitions() -> None:
    back = pickle.loads(pickle.dumps(jit(double, compiler="evaluate", max_traces=1)))
    assert back(nx.tensor(2.0)).item() == 4 and back.traces == 1
    with pytest.raises(axon.errors.TraceError, match="at most 1 traces"):
        back(nx.tensor([2.0]))
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    assert pickle.loads(pickle.dumps(jit(functools.partial(double), compiler="evaluate")))(nx.tensor(1.0)).item() == 2


def test_another_process_reads_them() -> None:
    m = axon.input("x", shape=(None, 3)).dense(4, kernel_initializer="he_normal", activation="relu").dense(2)
    made = Loop.trainer(m, "mean_squared_error", optimizers.adam(schedules.cosine_decay(0.1)), progress=False)
    text = f"import pickle; loop = pickle.loads({pickle.dumps(made)!r}); print(loop.optimizer); print(loop.model)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == f"{made.optimizer}\n{made.model}", done.stderr


x = axon.input("x", shape=(None, 3))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (x.nx(lambda x: 2 * x), r"^model: nx_0 \(.*test_values.py:\d+\): expected .*<lambda> of .* as function"),
        (x.dense(2, activation=lambda x: x), r"^model: .* as function; define it with def"),
        (x.dense(2, kernel_initializer=lambda *a: tenth(*a), name="d"), r"^model: d .* as kernel_initializer"),
        (loop(model=x.nx(lambda x: x)), r"^model: nx_0"),
        (loop(metric=lambda y, p: nx.max(p)), "^Loop: .*<lambda> .* as metrics"),
        (loop(handler=lambda state: None), "^Loop: .*<lambda> .* as handlers"),
        (jit(lambda x: x), "^jit: <lambda>: .* as function"),
        (jit(functools.partial(lambda x: x)), "^jit: .* as function"),
        (jit(grad(double)), "^jit: double: .* got a wrapper of double of .* as function"),
        (optimizers.sgd(lambda step: 0.5), r"^update: scale_by_learning_rate\(.* as argument"),
        (updates.stateless(lambda u, p: u), r"^update: stateless\(.* as argument"),
    ],
)  # fmt: skip
def test_what_cannot_be_pickled_is_named(value: Any, said: str) -> None:
    with pytest.raises(pickle.PicklingError, match=said):
        pickle.dumps(value)
    assert copy.deepcopy(value) is value
