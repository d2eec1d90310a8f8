"""Epochs: a train step run over batches, again and again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import Any

from .. import nx
from ..defn import Definition, jit
from ..nx import Tensor
from .steps import TrainState


def train(
    functions: tuple[Callable[..., TrainState], Callable[..., tuple[TrainState, Tensor]]],
    inputs: Iterable[Any],
    targets: Iterable[Any],
    *,
    epochs: int = 5,
    compiler: str | None = None,
) -> TrainState:
    """Run a step's two functions, init_fn(x) and step_fn(state, x, y), over batches and give the final state.

    Prints one line an epoch. The inputs and targets, of the shapes that the step takes, are gone through once an epoch
    (lists, not generators). compiler: step_fn, which may be a plain function, is compiled by it and not by the one that
    it was made for; init_fn is called as it is. ValueError when there are no batches, not as many of both, no epochs,
    or no compiler of that name.

    >>> from axon import optimizers, training
    >>> pairs = (lambda: nx.tensor(0.0), lambda w, x, y: (w * x - y) ** 2), optimizers.sgd(0.25)
    >>> training.train(training.step(*pairs), [1.0, 2.0], [3.0, 6.0], epochs=1).model  # doctest: +ELLIPSIS
    epoch 1/1  2 batches  loss 9.00000  ... s
    float32[] 4.5
    """
    from ..arrays import arrays  # at first use: NumPy comes with it, and is most of what an import takes

    if epochs < 1:
        raise ValueError(f"train: expected at least 1 epoch, got {epochs}")
    init_fn, step_fn = functions
    if compiler is not None:
        step_fn = step_fn.compiled_by(compiler) if isinstance(step_fn, Definition) else jit(step_fn, compiler=compiler)
    state: Any = None
    missing = object()
    for epoch in range(1, epochs + 1):
        start, total, count = time.perf_counter(), nx.zeros((), dtype=nx.float64), 0
        for x, y in zip_longest(inputs, targets, fillvalue=missing):
            if x is missing or y is missing:
                few = "inputs" if x is missing else "targets"
                raise ValueError(f"train: expected as many inputs as targets, got only {count} {few}; pair them")
            x, y = arrays("train", x), arrays("train", y, "y")
            if state is None:
                state = init_fn(x)
            state, loss = step_fn(state, x, y)
            total, count = total + loss, count + 1
        if count == 0:
            raise ValueError(f"train: expected batches in epoch {epoch}, got none; pass lists, not used-up generators")
        mean, seconds = float(total) / count, time.perf_counter() - start
        sys.stdout.write(f"epoch {epoch}/{epochs}  {count} batches  loss {mean:#.6g}  {seconds:.2f} s\n")
    return state
