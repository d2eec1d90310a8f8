"""`python -m bench.optimizers`: a step of each optimizer over many tensors, beside optax's.

python -m bench.optimizers                          all of them, 100 tensors of 100,000 float32
python -m bench.optimizers lamb fromage             only these
python -m bench.optimizers --tensors 10 --size 50   smaller

A step is one jitted call, of ours and of JAX, from gradients to parameters; parameters and state are donated. Both run
in this process, in blocks that take turns: a figure is the median of the blocks, the ratio that of the pairs of blocks.
`kernels` is how many our program is made of; `others` what other processes used of the machine: it should be quiet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .eager import table
from .turns import beside, parser

# By name: options of ours, and of optax's where they are others.
OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "adabelief": ({}, {}),
    "adagrad": ({}, {}),
    "adam": ({}, {}),
    "adamw": ({"decay": 0.01}, {"weight_decay": 0.01}),
    "fromage": ({}, {}),
    "lamb": ({"decay": 0.01}, {"weight_decay": 0.01}),
    "noisy_sgd": ({"key": 0}, {"key": 0}),
    "radam": ({}, {}),
    "rmsprop": ({"centered": True, "momentum": 0.9}, {"centered": True, "momentum": 0.9}),
    "sgd": ({"momentum": 0.9}, {"momentum": 0.9}),
    "yogi": ({}, {}),
}
RATE = 0.001


def arrays(tensors: int, size: int) -> list[dict[str, np.ndarray]]:
    """Parameters and gradients."""
    rng = np.random.default_rng(0)
    return [{f"w{i:04}": rng.normal(size=size).astype("float32") for i in range(tensors)} for _ in range(2)]


def ours(name: str, tensors: int, size: int) -> tuple[Callable[[], dict[str, Any]], int]:
    """A call that makes a step and gives the parameters after it, and the number of our kernels."""
    from axon import jit, nx, optimizers, tree
    from axon.updates import apply_updates

    params, gradients = (tree.map(nx.tensor, t) for t in arrays(tensors, size))
    optimizer = getattr(optimizers, name)(RATE, **OPTIONS[name][0])

    def advance(params: Any, state: Any, gradients: Any) -> Any:
        updates, state = optimizer.update(gradients, state, params)
        return apply_updates(params, updates), state

    step = jit(advance, donate=(0, 1))
    held = params, optimizer.init(params)
    kernels = step.lower(*held, gradients).kernels()

    def call() -> dict[str, Any]:
        nonlocal held
        held = step(*held, gradients)
        return held[0]

    return call, sum(line.startswith("kernel ") for line in kernels.splitlines())


def theirs(name: str, tensors: int, size: int) -> Callable[[], dict[str, Any]]:
    """The same of optax, jitted."""
    import jax
    import optax

    params, gradients = (jax.tree.map(jax.numpy.asarray, t) for t in arrays(tensors, size))
    optimizer: Any = getattr(optax, name)(RATE, **OPTIONS[name][1])

    def advance(params: Any, state: Any, gradients: Any) -> Any:
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    step = jax.jit(advance, donate_argnums=(0, 1))
    held = params, optimizer.init(params)

    def call() -> dict[str, Any]:
        nonlocal held
        held = jax.block_until_ready(step(*held, gradients))
        return held[0]

    return call


def main() -> None:
    options = parser("optimizers", __doc__)
    options.add_argument("--tensors", type=int, default=100)
    options.add_argument("--size", type=int, default=100_000, help="elements of each")
    given = options.parse_args()

    def row(name: str) -> tuple[str, ...]:
        mine, kernels = ours(name, given.tensors, given.size)
        times = beside(mine, theirs(name, given.tensors, given.size), given.seconds, given.blocks)
        return name, str(kernels), *times

    head = ("optimizer", "kernels", "ms", "optax", "ratio", "others")
    print(table(head, [row(name) for name in given.names or OPTIONS]))


if __name__ == "__main__":
    main()
