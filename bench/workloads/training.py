"""Training steps of an MLP and a CNN, and Adam alone."""

from __future__ import annotations

from functools import partial
from typing import Any

from axon import layers, losses, nx, optimizers
from axon.activations import relu
from axon.updates import apply_updates

from .. import data
from ..data import CLASSES, CNN_LOOP, LOOP, Case, Sizes, Table
from .trainer import Trainer, over_rows, repeated, train_step


def cross_entropy(labels: Any, logits: Any) -> Any:
    return losses.categorical_cross_entropy(labels, logits, from_logits=True, reduction="mean")


def mlp_loss(p: Any, extra: Any, x: Any, y: Any) -> Any:
    hidden = relu(layers.dense(x, p["w1"], p["b1"]))
    return cross_entropy(y, layers.dense(hidden, p["w2"], p["b2"])), extra


def mlp(s: Sizes, compiler: str, loop: int = 0) -> Case:
    optimizer = optimizers.adam(1e-3)
    step = train_step(mlp_loss, optimizer)
    trainer = Trainer(repeated(step, loop) if loop else step, optimizer, data.mlp(s), compiler=compiler)
    x, y = nx.tensor(data.normal(s.batch, s.pixels)), nx.tensor(data.integers(CLASSES, s.batch))
    return Case(lambda: trainer(x, y), steps=loop or 1)


def epoch(s: Sizes, compiler: str) -> Case:
    """Batches are slices of NumPy arrays."""
    optimizer = optimizers.adam(1e-3)
    trainer = Trainer(train_step(mlp_loss, optimizer), optimizer, data.mlp(s), compiler=compiler)
    x, y = data.normal(s.samples, s.pixels), data.integers(CLASSES, s.samples)

    def call() -> Any:
        loss = None
        for i in range(0, s.samples, s.batch):
            loss = trainer(x[i : i + s.batch], y[i : i + s.batch])
        return loss

    return Case(call, whole=True)


def epoch_in_one_call(s: Sizes, compiler: str) -> Case:
    optimizer = optimizers.adam(1e-3)
    step = over_rows(train_step(mlp_loss, optimizer))
    trainer = Trainer(step, optimizer, data.mlp(s), compiler=compiler)
    x = data.normal(s.samples, s.pixels).reshape(-1, s.batch, s.pixels)
    y = data.integers(CLASSES, s.samples).reshape(-1, s.batch)
    return Case(lambda: trainer(x, y), whole=True)


def cnn_loss(p: Any, key: Any, x: Any, y: Any, rate: float) -> Any:
    for i in (1, 3):
        for j in (i, i + 1):
            x = relu(layers.conv(x, p[f"w{j}"], p[f"b{j}"], padding="same"))
        x = layers.max_pool(x, kernel_size=2)
    hidden = relu(layers.dense(layers.flatten(x), p["w5"], p["b5"]))
    hidden, state = layers.dropout(hidden, key, rate=rate, mode="train")
    return cross_entropy(y, layers.dense(hidden, p["w6"], p["b6"])), state["key"]


def cnn(s: Sizes, compiler: str, loop: int = 0, rate: float = 0.5) -> Case:
    optimizer = optimizers.adam(1e-3)
    step = train_step(partial(cnn_loss, rate=rate), optimizer)
    key = nx.random.key(1)
    trainer = Trainer(repeated(step, loop) if loop else step, optimizer, data.cnn(s), key, compiler=compiler)
    x, y = nx.tensor(data.normal(s.images, s.side, s.side, 3)), nx.tensor(data.integers(CLASSES, s.images))
    return Case(lambda: trainer(x, y), steps=loop or 1)


def adam(s: Sizes, compiler: str, many: bool) -> Case:
    """Given gradients: the update and the parameters it makes. The result is the first tensor."""
    optimizer = optimizers.adam(1e-3)
    values, given = data.adam(s, many)
    gradients = [nx.tensor(g) for g in given]

    def step(state: Any, gradients: Any) -> Any:
        params, memory, extra = state
        updates, memory = optimizer.update(gradients, memory, params)
        return (apply_updates(params, updates), memory, extra), None

    trainer = Trainer(step, optimizer, values, compiler=compiler)

    def call() -> Any:
        trainer(gradients)
        return trainer.state[0][0]

    return Case(call)


TABLE: Table = {
    "W1": {
        "native": lambda s: mlp(s, "native"),
        "native_loop": lambda s: mlp(s, "native", LOOP),
        "evaluate": lambda s: mlp(s, "evaluate"),
    },
    "W1b": {"native": lambda s: epoch(s, "native"), "native_loop": lambda s: epoch_in_one_call(s, "native")},
    "W2": {
        "native": lambda s: cnn(s, "native"),
        "native_loop": lambda s: cnn(s, "native", CNN_LOOP),
        "evaluate": lambda s: cnn(s, "evaluate"),
    },
    **{
        name: {mode: partial(adam, compiler=mode, many=many) for mode in ("native", "evaluate")}
        for name, many in (("W7_one10M", False), ("W7_100x100k", True))
    },
}
