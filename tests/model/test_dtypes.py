"""Models of every layer in every floating dtype: inputs and parameters are of it, and so are outputs and gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import axon
import numpy as np
import pytest
from axon import layers, nx, tree
from axon.defn import value_and_grad
from axon.model import Model, build

from .one_layer import EVALUATE, built, least_of

TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1, "float16": 1e-2}  # against float64, from the same numbers


def slope(model: Model, dtype: str, rounded: str) -> tuple[nx.Tensor, nx.Tensor, Any]:
    """The output of inference; in training, a weighted sum of it and the gradients of parameters and inputs. All that
    goes in are numbers of `rounded`."""
    state = axon.init(model, **EVALUATE)
    parameters = tree.map(lambda p: p.astype(rounded).astype(dtype), state.parameters)
    rng = np.random.default_rng(1)
    sizes = [(3, *node.options["shape"][1:]) for node in model.inputs.values()]
    inputs = tuple(nx.tensor(rng.uniform(0.1, 1, size), rounded).astype(dtype) for size in sizes)
    predict = build(model, **EVALUATE).predict
    train = build(model, mode="train", **EVALUATE).predict

    def loss(of: Any) -> Any:
        made, given = of
        output = train(replace(state, parameters=made), given).output
        weights = np.random.default_rng(2).uniform(-1, 1, output.shape)
        return nx.sum(output * nx.tensor(weights, rounded).astype(dtype))

    value, gradients = axon.jit(value_and_grad(loss), **EVALUATE)((parameters, inputs))
    return predict(replace(state, parameters=parameters), inputs), value, gradients


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", layers.TABLE)
def test_a_layer_in_a_dtype(name: str, dtype: str) -> None:
    shape, least = least_of(name)
    wide, narrow = (built(name, shape, least, d) for d in ("float64", dtype))
    assert wide is not None and narrow is not None
    want, total, wanted = slope(wide, "float64", dtype)
    got, value, gradients = slope(narrow, dtype, dtype)
    assert str(got.dtype) == str(value.dtype) == dtype and str(want.dtype) == str(total.dtype) == "float64"
    limit = TOLERANCE[dtype]
    np.testing.assert_allclose(got.numpy().astype("f8"), want.numpy(), rtol=limit, atol=limit)
    for found, exact in zip(tree.leaves(gradients), tree.leaves(wanted), strict=True):
        assert str(found.dtype) == dtype and str(exact.dtype) == "float64"
        scale = max(1.0, float(np.abs(exact.numpy()).max(initial=0)))
        np.testing.assert_allclose(found.numpy().astype("f8"), exact.numpy(), rtol=limit, atol=limit * scale)
