"""Read this first: the whole of axon in a few lines a test, from a tensor to a trained model."""

from __future__ import annotations

import axon
import numpy as np
import pytest
from axon import nx
from axon.defn import grad, jit
from axon.loop import Loop


def test_a_tensor_is_an_immutable_array() -> None:
    x = nx.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert (x.shape, x.dtype) == ((2, 2), nx.float32)
    assert (x + 1).sum().item() == 14.0
    assert x.at[0, 0].set(9.0).tolist() == [[9.0, 2.0], [3.0, 4.0]] and x.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_errors_say_what_was_expected_what_was_got_and_what_to_do() -> None:
    with pytest.raises(axon.errors.ShapeError, match=r"float32\[3,4\] and float32\[5,6\]; "):
        nx.zeros((3, 4)) @ nx.zeros((5, 6))


def test_a_function_is_differentiated_and_compiled() -> None:
    slope = jit(grad(lambda x: nx.sum(nx.tanh(x) ** 2)))
    x = np.linspace(-1, 1, 5, dtype=np.float32)
    np.testing.assert_allclose(slope(x).numpy(), 2 * np.tanh(x) / np.cosh(x) ** 2, rtol=1e-5, atol=1e-6)
    assert slope.traces == 1


def test_a_compiled_function_can_be_looked_at() -> None:
    lowered = jit(lambda x: nx.exp(x) / nx.sum(nx.exp(x), axis=-1, keepdims=True)).lower(nx.zeros((4, 8)))
    assert "exp(" in lowered.graph()
    assert lowered.kernels().startswith("kernel row")  # one kernel: the whole softmax, row by row
    assert "axon::exp" in lowered.source()
    assert len(lowered.report().steps) == 1


def test_randomness_is_a_function_of_a_key() -> None:
    key = nx.random.key(7)
    a, b = nx.random.split(key)
    draw = lambda key: nx.random.normal(key, (3,)).tolist()  # noqa: E731
    assert draw(a) == draw(a) != draw(b)


def test_a_model_learns() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((256, 2)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int32)  # exclusive or: no line separates it
    model = axon.input("point", shape=(None, 2)).dense(16, activation="tanh").dense(2, activation="softmax")
    batches = [(x[i : i + 32], y[i : i + 32]) for i in range(0, 256, 32)]
    loop = Loop.trainer(model, "categorical_cross_entropy", axon.optimizers.adam(0.02)).metric("accuracy")
    result = loop.run(batches, epochs=30)
    assert result.history[-1]["accuracy"] > 0.95
