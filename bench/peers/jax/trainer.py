"""A compiled step over donated state, and its modes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from ...data import BATCHES, LOOPS, Builder, Case, Sizes

block: Callable[[Any], Any] = jax.block_until_ready


class Trainer:
    """Calls a step again and again; `loop`: so many steps in a call."""

    def __init__(self, loss: Callable[..., Any], optimizer: Any, params: Any, extra: Any = None, loop: int = 0) -> None:
        params, extra = jax.tree.map(jnp.asarray, (params, extra))
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


def training(
    s: Sizes, workload: str, loss: Callable[..., Any], optimizer: Any, params: Any, extra: Any = None, *, loop: int
) -> Case:
    """A step a call, or `loop` of them, over the workload's batch."""
    trainer = Trainer(loss, optimizer, params, extra, loop)
    batch = [jnp.asarray(array) for array in BATCHES[workload](s)]
    return Case(lambda: trainer(*batch), block, steps=loop or 1)


def modes(workload: str, build: Callable[..., Case]) -> dict[str, Builder]:
    """Of a workload that is trained: `build` takes sizes, and the steps in a call (0: one, no loop)."""
    return {"jit": partial(build, loop=0), "scan": partial(build, loop=LOOPS[workload])}


def cross_entropy(labels: Any, logits: Any) -> Any:
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1))
