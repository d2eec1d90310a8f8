"""Training steps of an MLP and a CNN, and Adam alone."""

from __future__ import annotations

from functools import partial
from typing import Any

from axon import layers, losses, nx, optimizers
from axon.activations import relu
from axon.updates import apply_updates

from .. import data, models
from ..data import BATCHES, Case, Sizes, Table
from .trainer import Trainer, modes, over_rows, repeated, train_step, training


def cross_entropy(labels: Any, logits: Any) -> Any:
    return losses.categorical_cross_entropy(labels, logits, from_logits=True, reduction="mean")


def mlp_loss(p: Any, extra: Any, x: Any, y: Any) -> Any:
    hidden = relu(layers.dense(x, p["w1"], p["b1"]))
    return cross_entropy(y, layers.dense(hidden, p["w2"], p["b2"])), extra


def mlp(s: Sizes, compiler: str, loop: int) -> Case:
    return training(s, "W1", mlp_loss, optimizers.adam(1e-3), models.mlp(s), compiler=compiler, loop=loop)


def epoch(s: Sizes, compiler: str) -> Case:
    optimizer = optimizers.adam(1e-3)
    return data.epoch(s, Trainer(train_step(mlp_loss, optimizer), optimizer, models.mlp(s), compiler=compiler))


def epoch_in_one_call(s: Sizes, compiler: str) -> Case:
    optimizer = optimizers.adam(1e-3)
    trainer = Trainer(over_rows(train_step(mlp_loss, optimizer)), optimizer, models.mlp(s), compiler=compiler)
    x, y = (array.reshape(-1, s.batch, *array.shape[1:]) for array in BATCHES["W1b"](s))
    return Case(lambda: trainer(x, y), whole=True)


def cnn_loss(p: Any, key: Any, x: Any, y: Any, rate: float) -> Any:
    for i in (1, 3):
        for j in (i, i + 1):
            x = relu(layers.conv(x, p[f"w{j}"], p[f"b{j}"], padding="same"))
        x = layers.max_pool(x, kernel_size=2)
    hidden = relu(layers.dense(layers.flatten(x), p["w5"], p["b5"]))
    hidden, state = layers.dropout(hidden, key, rate=rate, mode="train")
    return cross_entropy(y, layers.dense(hidden, p["w6"], p["b6"])), state["key"]


def cnn(s: Sizes, compiler: str, loop: int, rate: float = 0.5) -> Case:
    loss, key = partial(cnn_loss, rate=rate), nx.random.key(1)
    return training(s, "W2", loss, optimizers.adam(1e-3), models.cnn(s), key, compiler=compiler, loop=loop)


def adam(s: Sizes, compiler: str, loop: int, many: bool) -> Case:
    """Given gradients: the update and the parameters it makes. The result is the first tensor."""
    optimizer = optimizers.adam(1e-3)
    values, given = models.vectors(s, many)
    gradients = [nx.tensor(g) for g in given]

    def step(state: Any, gradients: Any) -> Any:
        params, memory, extra = state
        updates, memory = optimizer.update(gradients, memory, params)
        return (apply_updates(params, updates), memory, extra), None

    trainer = Trainer(repeated(step, loop) if loop else step, optimizer, values, compiler=compiler)

    def call() -> Any:
        trainer(gradients)
        return trainer.state[0][0]

    return Case(call, steps=loop or 1)


TABLE: Table = {
    "W1": modes("W1", mlp),
    "W1b": {
        "native": partial(epoch, compiler="native"),
        "native_loop": partial(epoch_in_one_call, compiler="native"),
        "evaluate": partial(epoch, compiler="evaluate"),
    },
    "W2": modes("W2", cnn),
    "W7_one10M": modes("W7_one10M", partial(adam, many=False)),
    "W7_100x100k": modes("W7_100x100k", partial(adam, many=True)),
}
