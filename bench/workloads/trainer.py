"""A training step as a compiled definition, the state it takes and gives back, and its modes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from axon import nx, tree
from axon.defn import jit, scan, value_and_grad
from axon.updates import Update, apply_updates

from ..data import BATCHES, LOOPS, Builder, Case, Sizes

# (parameters, extra, *batch) -> (loss, extra), where extra is what a step changes but does not train
Loss = Callable[..., Any]


def train_step(loss: Loss, optimizer: Update) -> Callable[..., Any]:
    """(state, *batch) -> (state, loss), with state (parameters, optimizer's, extra)."""

    def step(state: Any, *batch: Any) -> Any:
        params, memory, extra = state
        (value, extra), gradients = value_and_grad(loss, has_aux=True)(params, extra, *batch)
        updates, memory = optimizer.update(gradients, memory, params)
        return (apply_updates(params, updates), memory, extra), value

    return step


def repeated(step: Callable[..., Any], times: int) -> Callable[..., Any]:
    """`times` steps over one batch, in one call; the last loss."""

    def steps(state: Any, *batch: Any) -> Any:
        state, losses = scan(lambda state, _: step(state, *batch), state, length=times)
        return state, tree.map(lambda each: each[-1], losses)  # Adam alone has none

    return steps


def over_rows(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step a row of the data, in one call; the last loss."""

    def steps(state: Any, *rows: Any) -> Any:
        state, losses = scan(lambda state, batch: step(state, *batch), state, rows)
        return state, losses[-1]

    return steps


class Trainer:
    """Calls a step again and again: its state is donated to each call, and becomes what the call gives back."""

    def __init__(
        self, step: Callable[..., Any], optimizer: Update, params: Any, extra: Any = None, *, compiler: str
    ) -> None:
        params, extra = tree.map(nx.tensor, (params, extra))
        self.state = params, optimizer.init(params), extra
        self.step = jit(step, compiler=compiler, donate=0)

    def __call__(self, *batch: Any) -> Any:
        self.state, value = self.step(self.state, *batch)
        return value


def training(
    s: Sizes, workload: str, loss: Loss, optimizer: Update, params: Any, extra: Any = None, *, compiler: str, loop: int
) -> Case:
    """A step a call, or `loop` of them, over the workload's batch."""
    step = train_step(loss, optimizer)
    trainer = Trainer(repeated(step, loop) if loop else step, optimizer, params, extra, compiler=compiler)
    batch = [nx.tensor(array) for array in BATCHES[workload](s)]
    return Case(lambda: trainer(*batch), steps=loop or 1)


def modes(workload: str, build: Callable[..., Case]) -> dict[str, Builder]:
    """Of a workload that is trained: `build` takes sizes, a compiler, and the steps in a call (0: one, no loop)."""
    return {
        "native": partial(build, compiler="native", loop=0),
        "native_loop": partial(build, compiler="native", loop=LOOPS[workload]),
        "evaluate": partial(build, compiler="evaluate", loop=0),
    }
