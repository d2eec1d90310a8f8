"""Training steps of an MLP and a CNN, and Adam alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from ... import data, models
from ...data import Case, Sizes, Table
from .arrays import conv
from .trainer import Trainer, block, cross_entropy, modes, training


def mlp_loss(p: Any, extra: Any, x: Any, y: Any) -> Any:
    return cross_entropy(y, jax.nn.relu(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]), extra


def mlp(s: Sizes, loop: int) -> Case:
    return training(s, "W1", mlp_loss, optax.adam(1e-3), models.mlp(s), loop=loop)


def epoch(s: Sizes) -> Case:
    return data.epoch(s, Trainer(mlp_loss, optax.adam(1e-3), models.mlp(s)), block)


def window_pool(x: Any) -> Any:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def reshape_pool(x: Any) -> Any:
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))


def cnn(s: Sizes, pool: Callable[[Any], Any], rate: float = 0.5) -> Case:
    def loss(p: Any, key: Any, x: Any, y: Any) -> Any:
        key, use = jax.random.split(key)
        for i in (1, 3):
            for j in (i, i + 1):
                x = jax.nn.relu(conv(x, p[f"w{j}"]) + p[f"b{j}"])
            x = pool(x)
        hidden = jax.nn.relu(x.reshape(x.shape[0], -1) @ p["w5"] + p["b5"])
        hidden = jnp.where(jax.random.bernoulli(use, 1 - rate, hidden.shape), hidden / (1 - rate), 0)
        return cross_entropy(y, hidden @ p["w6"] + p["b6"]), key

    return training(s, "W2", loss, optax.adam(1e-3), models.cnn(s), jax.random.key(1), loop=0)


def adam(s: Sizes, many: bool) -> Case:
    optimizer = optax.adam(1e-3)
    params, gradients = jax.tree.map(jnp.asarray, models.vectors(s, many))
    state = params, optimizer.init(params)

    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, gradients: Any) -> Any:
        params, memory = state
        updates, memory = optimizer.update(gradients, memory, params)
        return optax.apply_updates(params, updates), memory

    def call() -> Any:
        nonlocal state
        state = step(state, gradients)
        return state[0][0]

    return Case(call, block)


TABLE: Table = {
    "W1": modes("W1", mlp),
    "W1b": {"jit": epoch},
    "W2": {"jit": partial(cnn, pool=window_pool), "reshaping_pool": partial(cnn, pool=reshape_pool)},
    "W7_one10M": {"jit": partial(adam, many=False)},
    "W7_100x100k": {"jit": partial(adam, many=True)},
}
