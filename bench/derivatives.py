"""`python -m bench.derivatives`: whole Jacobians and Hessians of a small MLP (64-16-1, 32 examples), beside JAX's.

python -m bench.derivatives               all of them
python -m bench.derivatives hessian hvp   only these

Both are jitted and run in this process, in blocks that take turns: a figure is the median of the blocks, the ratio that
of the pairs of blocks. `others` is what other processes used of the machine: it should be quiet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .eager import table
from .turns import beside, parser

Arrays = dict[str, Any]
FULL, SMALL = (64, 16, 32), (3, 2, 4)  # inputs, units, examples
NAMES = ("jvp", "hvp", "jacfwd", "jacrev", "hessian")


def arrays(size: tuple[int, int, int]) -> tuple[Arrays, Any, Any]:
    """Parameters, inputs and targets."""
    rng, (n, units, examples) = np.random.default_rng(0), size
    draw = lambda *shape: (rng.standard_normal(shape) / 4).astype("float32")  # noqa: E731
    p = {"w1": draw(n, units), "b1": draw(units), "w2": draw(units, 1), "b2": draw(1)}
    return p, draw(examples, n), draw(examples, 1)


def program(name: str, of: Any, np_: Any) -> Callable[[Arrays, Any, Any], Any]:
    """The measured function, in terms of a framework's transformations and its array functions."""

    def outputs(p: Arrays, x: Any) -> Any:
        return np_.tanh(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]

    def loss(p: Arrays, x: Any, y: Any) -> Any:
        return np_.mean((outputs(p, x) - y) ** 2)

    along = lambda f, p: of.jvp(f, (p,), (p,))[1]  # noqa: E731
    programs: dict[str, Callable[[Arrays, Any, Any], Any]] = {
        "jvp": lambda p, x, y: along(lambda p: outputs(p, x), p),
        "hvp": lambda p, x, y: along(of.grad(lambda p: loss(p, x, y)), p),
        "jacfwd": lambda p, x, y: of.jacfwd(outputs)(p, x),
        "jacrev": lambda p, x, y: of.jacrev(outputs)(p, x),
        "hessian": lambda p, x, y: of.hessian(loss)(p, x, y),
    }
    return programs[name]


def ours(name: str, size: tuple[int, int, int]) -> Callable[[], Any]:
    import axon

    function, given = axon.jit(program(name, axon, axon.nx)), axon.tree.map(axon.nx.tensor, arrays(size))
    return lambda: function(*given)


def theirs(name: str, size: tuple[int, int, int]) -> Callable[[], Any]:
    import jax

    function, given = jax.jit(program(name, jax, jax.numpy)), jax.tree.map(jax.numpy.asarray, arrays(size))
    return lambda: jax.block_until_ready(function(*given))


def main() -> None:
    given = parser("derivatives", __doc__).parse_args()
    head = ("program", "ms", "jax", "ratio", "others")
    shown = lambda name: beside(ours(name, FULL), theirs(name, FULL), given.seconds, given.blocks)  # noqa: E731
    print(table(head, [(name, *shown(name)) for name in given.names or NAMES]))


if __name__ == "__main__":
    main()
