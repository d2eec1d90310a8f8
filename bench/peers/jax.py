"""JAX: pure functions, optax, donated state. `jit` is a step a call, `scan` many steps in a call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from .. import data
from ..data import CLASSES, CNN_LOOP, LOOP, OPERANDS, PRODUCTS, Case, Sizes, Table

block: Callable[[Any], Any] = jax.block_until_ready


class Trainer:
    """A compiled step over donated state; `loop`: so many steps in a call."""

    def __init__(self, loss: Callable[..., Any], params: Any, extra: Any = None, loop: int = 0) -> None:
        optimizer = optax.adam(1e-3)
        params = jax.tree.map(jnp.asarray, params)
        self.state = params, optimizer.init(params), extra

        def step(state: Any, *batch: Any) -> Any:
            params, memory, extra = state
            (value, extra), gradients = jax.value_and_grad(loss, has_aux=True)(params, extra, *batch)
            updates, memory = optimizer.update(gradients, memory, params)
            return (optax.apply_updates(params, updates), memory, extra), value

        def steps(state: Any, *batch: Any) -> Any:
            state, losses = lax.scan(lambda state, _: step(state, *batch), state, None, loop)
            return state, losses[-1]

        self.step = jax.jit(steps if loop else step, donate_argnums=0)

    def __call__(self, *batch: Any) -> Any:
        self.state, value = self.step(self.state, *batch)
        return value


def cross_entropy(labels: Any, logits: Any) -> Any:
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], -1))


def mlp_loss(p: Any, extra: Any, x: Any, y: Any) -> Any:
    return cross_entropy(y, jax.nn.relu(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]), extra


def mlp(s: Sizes, loop: int = 0) -> Case:
    trainer = Trainer(mlp_loss, data.mlp(s), loop=loop)
    x, y = jnp.asarray(data.normal(s.batch, s.pixels)), jnp.asarray(data.integers(CLASSES, s.batch))
    return Case(lambda: trainer(x, y), block, steps=loop or 1)


def epoch(s: Sizes) -> Case:
    trainer = Trainer(mlp_loss, data.mlp(s))
    x, y = data.normal(s.samples, s.pixels), data.integers(CLASSES, s.samples)

    def call() -> Any:
        loss = None
        for i in range(0, s.samples, s.batch):
            loss = trainer(x[i : i + s.batch], y[i : i + s.batch])
        return loss

    return Case(call, block, whole=True)


def conv(x: Any, kernel: Any) -> Any:
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def window_pool(x: Any) -> Any:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def reshape_pool(x: Any) -> Any:
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))


def cnn(s: Sizes, pool: Callable[[Any], Any], loop: int = 0, rate: float = 0.5) -> Case:
    def loss(p: Any, key: Any, x: Any, y: Any) -> Any:
        key, use = jax.random.split(key)
        for i in (1, 3):
            for j in (i, i + 1):
                x = jax.nn.relu(conv(x, p[f"w{j}"]) + p[f"b{j}"])
            x = pool(x)
        hidden = jax.nn.relu(x.reshape(x.shape[0], -1) @ p["w5"] + p["b5"])
        hidden = jnp.where(jax.random.bernoulli(use, 1 - rate, hidden.shape), hidden / (1 - rate), 0)
        return cross_entropy(y, hidden @ p["w6"] + p["b6"]), key

    trainer = Trainer(loss, data.cnn(s), jax.random.key(1), loop)
    x, y = jnp.asarray(data.normal(s.images, s.side, s.side, 3)), jnp.asarray(data.integers(CLASSES, s.images))
    return Case(lambda: trainer(x, y), block, steps=loop or 1)


def adam(s: Sizes, many: bool) -> Case:
    optimizer = optax.adam(1e-3)
    params, gradients = jax.tree.map(jnp.asarray, data.adam(s, many))
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


def layer_norm(x: Any, gamma: Any, beta: Any) -> Any:
    centered = x - x.mean(-1, keepdims=True)
    return centered * lax.rsqrt((centered * centered).mean(-1, keepdims=True) + 1e-5) * gamma + beta


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "W6": lambda x: jnp.tanh(x * 1.7 + 0.3) * jax.nn.sigmoid(x) + jnp.exp(-x * x),
    "W6b": jax.nn.softmax,
    "W6c": layer_norm,
    "W6d": lambda x: (x * x).sum(),
    "W6e": lambda x: x.sum(0),
    "W6f": lambda x, z: z + x.T,
    **dict.fromkeys(PRODUCTS, jnp.matmul),
    "W8_conv": conv,
    "W9_dispatch": lambda x: x + 1,
}


def build(s: Sizes, name: str) -> Case:
    function = jax.jit(FUNCTIONS[name])
    dtype = jnp.bfloat16 if name.endswith("bf16") else jnp.float32
    arguments = [jnp.asarray(x, dtype) for x in data.operands(name, s)]
    return Case(lambda: function(*arguments), block)


TABLE: Table = {
    "W1": {"jit": mlp, "scan": partial(mlp, loop=LOOP)},
    "W1b": {"jit": epoch},
    "W2": {
        "jit": partial(cnn, pool=window_pool),
        "reshaping_pool": partial(cnn, pool=reshape_pool),
        "scan": partial(cnn, pool=reshape_pool, loop=CNN_LOOP),
    },
    "W7_one10M": {"jit": partial(adam, many=False)},
    "W7_100x100k": {"jit": partial(adam, many=True)},
    **{name: {"jit": partial(build, name=name)} for name in OPERANDS},
}
