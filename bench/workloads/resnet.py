"""ResNet-18 (He et al. 2015): inference on 224x224 images with running statistics, a training step on 32x32."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from axon import layers, nx, optimizers
from axon.activations import relu
from axon.defn import jit

from .. import data
from ..data import CLASSES, Array, Case, Sizes, Table
from .trainer import Trainer, train_step
from .training import cross_entropy


class Unit(NamedTuple):
    """A convolution with its batch norm."""

    name: str
    size: int
    taken: int
    given: int
    stride: int = 1


class Block(NamedTuple):
    """Two units around which the input, or its projection, is added."""

    first: Unit
    second: Unit
    projection: Unit | None


def plan() -> list[Block]:
    blocks, taken = [], 64
    for stage, given in enumerate((64, 128, 256, 512)):
        for place in (0, 1):
            name, stride = f"{stage}{place}", 2 if stage and not place else 1
            shortcut = Unit(f"w{name}p", 1, taken, given, stride) if taken != given else None
            blocks.append(
                Block(Unit(f"w{name}a", 3, taken, given, stride), Unit(f"w{name}b", 3, given, given), shortcut)
            )
            taken = given
    return blocks


BLOCKS = plan()
STEMS = {"large": Unit("w", 7, 3, 64, 2), "small": Unit("w", 3, 3, 64)}


def initial(stem: str, classes: int) -> tuple[dict[str, Array], dict[str, tuple[Array, Array]]]:
    """Parameters, and the running mean and variance of each unit."""
    units = [STEMS[stem], *(unit for block in BLOCKS for unit in block if unit is not None)]
    shapes: dict[str, tuple[int, ...]] = {"wlast": (512, classes), "blast": (classes,)}
    for u in units:
        shapes |= {u.name: (u.size, u.size, u.taken, u.given), f"g{u.name}": (u.given,), f"b{u.name}": (u.given,)}
    running = {u.name: (np.zeros(u.given, np.float32), np.ones(u.given, np.float32)) for u in units}
    return data.parameters(shapes), running


def forward(p: Any, running: Any, x: Any, stem: str, mode: Any) -> Any:
    """Logits, and the running statistics afterwards."""
    after = {}

    def unit(u: Unit, x: Any) -> Any:
        around = u.size // 2
        x = layers.conv(x, p[u.name], strides=u.stride, padding=((around, around),) * 2)
        mean, var = running[u.name]
        made = layers.batch_norm(x, p[f"g{u.name}"], p[f"b{u.name}"], mean, var, mode=mode)
        if mode != "train":
            return made
        x, state = made
        after[u.name] = state["mean"], state["var"]
        return x

    x = relu(unit(STEMS[stem], x))
    if stem == "large":
        x = layers.max_pool(x, kernel_size=3, strides=2, padding=((1, 1), (1, 1)))
    for first, second, projection in BLOCKS:
        shortcut = x if projection is None else unit(projection, x)
        x = relu(unit(second, relu(unit(first, x))) + shortcut)
    logits = layers.dense(layers.global_avg_pool(x), p["wlast"], p["blast"])
    return logits, {name: after[name] for name in running if name in after}  # in one order: a state keeps its structure


def inference(s: Sizes, compiler: str, images: int) -> Case:
    p, running = initial("large", 1000)

    def predict(p: Any, running: Any, x: Any) -> Any:
        return forward(p, running, x, "large", "inference")[0]

    function, given = jit(predict, compiler=compiler), jit(lambda *args: args)(p, running)
    x = nx.tensor(data.normal(images, s.residual_side, s.residual_side, 3))
    return Case(lambda: function(*given, x))


def loss(p: Any, running: Any, x: Any, y: Any) -> Any:
    logits, running = forward(p, running, x, "small", "train")
    return cross_entropy(y, logits), running


def training(s: Sizes, compiler: str) -> Case:
    optimizer = optimizers.sgd(0.01, momentum=0.9)
    trainer = Trainer(train_step(loss, optimizer), optimizer, *initial("small", CLASSES), compiler=compiler)
    x = nx.tensor(data.normal(s.residual_batch, 32, 32, 3))
    y = nx.tensor(data.integers(CLASSES, s.residual_batch))
    return Case(lambda: trainer(x, y))


TABLE: Table = {
    "W3_inf_b1": {"native": partial(inference, compiler="native", images=1)},
    "W3_inf_b8": {"native": partial(inference, compiler="native", images=8)},
    "W3_train": {"native": partial(training, compiler="native")},
}
