"""`python -m bench.lanes`: functions of one example over many (vmap), beside JAX's.

python -m bench.lanes                 all of them
python -m bench.lanes norms newton    only these

Both are jitted and run in this process, in blocks that take turns: a figure is the median of the blocks, the ratio that
of the pairs of blocks. `others` is what other processes used of the machine: it should be quiet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .eager import table
from .turns import beside, parser


class Size(NamedTuple):
    """How many examples, and how large each is."""

    examples: int = 256
    pixels: int = 784
    hidden: int = 128
    classes: int = 10
    side: int = 16
    channels: int = 8


FULL, SMALL = Size(), Size(5, 12, 7, 3, 4, 2)
Arrays = dict[str, Any]


def arrays(size: Size) -> Arrays:
    """What all programs read, by name; `shared` is the same for every example."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: (rng.standard_normal(shape) * 0.1).astype("float32")  # noqa: E731
    n = size.examples
    shared = {
        "w1": draw(size.pixels, size.hidden), "b1": draw(size.hidden),
        "w2": draw(size.hidden, size.classes), "b2": draw(size.classes),
        "k": draw(3, 3, size.channels, 2 * size.channels),
    }  # fmt: skip
    return {
        "shared": shared,
        "x": draw(n, size.pixels),
        "y": rng.integers(0, size.classes, n).astype("int32"),
        "image": draw(n, size.side, size.side, size.channels),
        "root": np.abs(draw(n)) + 0.01,
    }


class Framework(NamedTuple):
    """What the two have under other names."""

    jit: Any
    vmap: Any
    grad: Any
    np: Any
    log_softmax: Any
    conv: Any
    cond: Any
    while_loop: Any


def programs(of: Framework) -> dict[str, Callable[[Arrays], Any]]:
    """The measured functions of `arrays`, by name."""

    def loss(p: Arrays, x: Any, y: Any) -> Any:
        hidden = of.np.maximum(x @ p["w1"] + p["b1"], 0.0)
        return -of.log_softmax(hidden @ p["w2"] + p["b2"])[y]

    def gradients(p: Arrays, x: Any, y: Any) -> Arrays:
        return of.grad(loss)({k: v for k, v in p.items() if k != "k"}, x, y)

    def norm(g: Arrays) -> Any:
        return of.np.sqrt(sum((v * v).sum() for v in g.values()))

    def clipped(p: Arrays, x: Any, y: Any) -> Arrays:
        g = gradients(p, x, y)
        scale = of.np.minimum(1.0, 0.1 / norm(g))
        return {k: v * scale for k, v in g.items()}

    def kernel(k: Any, image: Any) -> Any:
        return of.grad(lambda k: (of.conv(image[None], k) ** 2).sum())(k)

    def newton(a: Any) -> Any:
        far = lambda x: of.np.abs(x * x - a) > 1e-4 * a  # noqa: E731
        return of.while_loop(far, lambda x: 0.5 * (x + a / x), a)

    def choice(p: Arrays, x: Any, y: Any) -> Any:
        return of.cond(y > 0, lambda: of.np.tanh(x @ p["w1"]), lambda: of.np.tanh(x @ p["w1"] + p["b1"]))

    each = lambda f, a: of.vmap(f, (None, 0, 0))(a["shared"], a["x"], a["y"])  # noqa: E731
    return {
        "gradients": lambda a: each(gradients, a),
        "norms": lambda a: each(lambda p, x, y: norm(gradients(p, x, y)), a),
        "clipped": lambda a: {k: v.sum(axis=0) for k, v in each(clipped, a).items()},
        "kernels": lambda a: of.vmap(kernel, (None, 0))(a["shared"]["k"], a["image"]),
        "choice": lambda a: each(choice, a),
        "newton": lambda a: of.vmap(newton)(a["root"]),
    }


def ours(name: str, size: Size) -> Callable[[], Any]:
    import axon
    from axon import nx

    conv = lambda x, k: nx.conv(x, k, padding="same")  # noqa: E731
    of = Framework(
        axon.jit, axon.vmap, axon.grad, nx, axon.activations.log_softmax, conv, axon.cond, axon.while_loop
    )  # fmt: skip
    function, given = axon.jit(programs(of)[name]), axon.tree.map(nx.tensor, arrays(size))
    return lambda: function(given)


def theirs(name: str, size: Size) -> Callable[[], Any]:
    import jax

    def conv(x: Any, k: Any) -> Any:
        return jax.lax.conv_general_dilated(x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    of = Framework(
        jax.jit, jax.vmap, jax.grad, jax.numpy, jax.nn.log_softmax, conv, jax.lax.cond, jax.lax.while_loop
    )  # fmt: skip
    function, given = jax.jit(programs(of)[name]), jax.tree.map(jax.numpy.asarray, arrays(size))
    return lambda: jax.block_until_ready(function(given))


NAMES = ("gradients", "norms", "clipped", "kernels", "choice", "newton")


def main() -> None:
    given = parser("lanes", __doc__).parse_args()
    head = ("program", "ms", "jax", "ratio", "others")
    shown = lambda name: beside(ours(name, FULL), theirs(name, FULL), given.seconds, given.blocks)  # noqa: E731
    print(table(head, [(name, *shown(name)) for name in given.names or NAMES]))


if __name__ == "__main__":
    main()
