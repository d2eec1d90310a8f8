"""ResNet-18 (He et al. 2015): inference on 224x224 images with running statistics, a training step on 32x32."""

from __future__ import annotations

from functools import partial
from typing import Any

from axon import layers, nx, optimizers, tree
from axon.activations import relu
from axon.defn import jit

from .. import models
from ..data import BATCHES, CLASSES, IMAGE_CLASSES, Case, Sizes, Table
from ..models import BLOCKS, STEMS, Unit
from .trainer import modes, training
from .training import cross_entropy


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


def loss(p: Any, running: Any, x: Any, y: Any) -> Any:
    logits, running = forward(p, running, x, "small", "train")
    return cross_entropy(y, logits), running


def train(s: Sizes, compiler: str, loop: int) -> Case:
    optimizer = optimizers.sgd(0.01, momentum=0.9)
    return training(s, "W3_train", loss, optimizer, *models.resnet("small", CLASSES), compiler=compiler, loop=loop)


def infer(s: Sizes, workload: str, compiler: str) -> Case:
    def predict(p: Any, running: Any, x: Any) -> Any:
        return forward(p, running, x, "large", "inference")[0]

    function, state = jit(predict, compiler=compiler), tree.map(nx.tensor, models.resnet("large", IMAGE_CLASSES))
    x = nx.tensor(BATCHES[workload](s)[0])
    return Case(lambda: function(*state, x))


TABLE: Table = {
    **{
        name: {mode: partial(infer, workload=name, compiler=mode) for mode in ("native", "evaluate")}
        for name in ("W3_inf_b1", "W3_inf_b8")
    },
    "W3_train": modes("W3_train", train),
}
