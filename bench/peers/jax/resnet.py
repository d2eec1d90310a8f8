"""ResNet-18."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.nn import relu

from ... import models
from ...data import BATCHES, CLASSES, IMAGE_CLASSES, Case, Sizes, Table
from ...models import BLOCKS, STEMS, Unit
from .arrays import conv
from .trainer import block, cross_entropy, training


def forward(p: Any, running: Any, x: Any, stem: str, train: bool) -> Any:
    """Logits, and the running statistics afterwards."""
    after = dict(running)

    def unit(u: Unit, x: Any) -> Any:
        around = u.size // 2
        x = conv(x, p[u.name], u.stride, ((around, around),) * 2)
        mean, var = running[u.name]
        if train:
            old, mean, var, n = (mean, var), x.mean((0, 1, 2)), x.var((0, 1, 2)), x.size // u.given
            after[u.name] = 0.9 * old[0] + 0.1 * mean, 0.9 * old[1] + 0.1 * var * n / (n - 1)
        return (x - mean) * lax.rsqrt(var + 1e-5) * p[f"g{u.name}"] + p[f"b{u.name}"]

    x = relu(unit(STEMS[stem], x))
    if stem == "large":
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), ((0, 0), (1, 1), (1, 1), (0, 0)))
    for first, second, projection in BLOCKS:
        shortcut = x if projection is None else unit(projection, x)
        x = relu(unit(second, relu(unit(first, x))) + shortcut)
    return x.mean((1, 2)) @ p["wlast"] + p["blast"], after


def loss(p: Any, running: Any, x: Any, y: Any) -> Any:
    logits, running = forward(p, running, x, "small", True)
    return cross_entropy(y, logits), running


def train(s: Sizes) -> Case:
    optimizer = optax.sgd(0.01, momentum=0.9)
    return training(s, "W3_train", loss, optimizer, *models.resnet("small", CLASSES), loop=0)


def infer(s: Sizes, workload: str) -> Case:
    state = jax.tree.map(jnp.asarray, models.resnet("large", IMAGE_CLASSES))
    function = jax.jit(lambda p, running, x: forward(p, running, x, "large", False)[0])
    x = jnp.asarray(BATCHES[workload](s)[0])
    return Case(lambda: function(*state, x), block)


TABLE: Table = {
    **{name: {"jit": partial(infer, workload=name)} for name in ("W3_inf_b1", "W3_inf_b8")},
    "W3_train": {"jit": train},
}
