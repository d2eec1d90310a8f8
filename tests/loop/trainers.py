"""A small model, data it can learn, and a loop that trains it."""

from typing import Any

import numpy as np
from axon import optimizers
from axon.datasets import Batches, batches
from axon.loop import Loop
from axon.model import Model, input

EVALUATE = {"compiler": "evaluate"}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 4)).astype(np.float32)
Y = (X @ RNG.normal(size=(4, 3))).argmax(-1).astype(np.int32)


def mlp() -> Model:
    return input("x", shape=(None, 4)).dense(16, activation="tanh").dense(3, activation="softmax")


def trainer(m: Model | None = None, rate: float = 0.02, **options: Any) -> Loop:
    return Loop.trainer(m or mlp(), "categorical_cross_entropy", optimizers.adam(rate), **options).metric("accuracy")


def data(seed: int | None = 0) -> Batches:
    return batches(X, Y, 16, seed=seed)  # 70 = 4 * 16 + 6: the last batch is ragged
