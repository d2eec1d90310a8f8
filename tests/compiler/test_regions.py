"""cond, while and scan inside the runtime, nested and with what they capture: the evaluator's numbers and the
interpreter's bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axon import nx
from axon.compiler.planning import regions
from axon.defn import cond, fori_loop, grad, scan, switch, while_loop
from axon.errors import CompileError
from axon.nx.core.tensor import Tensor

from .kernel_tools import normal
from .oracle import Array, compiled, graph_of, run_all


def i32(value: int) -> Array:
    return np.array(value, np.int32)


def branch(i: Tensor, x: Tensor, y: Tensor) -> Any:
    """A branch that computes, one that only passes on, one that swaps; y * 2 is captured."""
    z = y * 2
    made = switch(i, [lambda: (x @ z, z), lambda: (x, y), lambda: (y, x)])
    return made[0] + z, made[1]


def branch_in_branch(i: Tensor, j: Tensor, x: Tensor) -> Any:
    z = nx.exp(x)
    outer = cond(
        i > 0,
        lambda: cond(j > 0, lambda: nx.sum(z, axis=1), lambda: nx.sum(z + x, axis=0)),
        lambda: nx.max(x, axis=0) + nx.sum(z),
    )
    return outer * 2, z


def gradient_of_branch(i: Tensor, x: Tensor) -> Tensor:
    return grad(lambda x: nx.sum(cond(i > 0, lambda: nx.tanh(x) * x, lambda: x * x)))(x)


def fibonacci(n: Tensor) -> Any:
    """Two places of the carry swap; the third is an output twice."""
    a, b, k = while_loop(lambda c: c[2] < n, lambda c: (c[1], c[0] + c[1], c[2] + 1), (0, 1, 0))
    return a, b, k, k


def power_iteration(m: Tensor, x: Tensor) -> Any:
    """The body reads a captured matrix, and a value that was computed before; one place of the carry never changes."""
    scale = 1 / nx.sqrt(nx.sum(m * m))

    def body(c: Any) -> Any:
        x, n, kept = c
        y = (m * scale) @ x + kept
        return y / nx.max(nx.abs(y)), n + 1, kept

    return while_loop(lambda c: c[1] < 5, body, (x, 0, x * 0.1))


def never(x: Tensor) -> Any:
    return while_loop(lambda c: nx.sum(c) < nx.sum(c) - 1, lambda c: c * 2, nx.exp(x)), x


def nothing_to_carry(x: Tensor) -> Any:
    """A carry with an empty tensor, and a loop whose result is an input of the program."""
    empty, n = while_loop(lambda c: c[1] < 3, lambda c: (c[0] * 2, c[1] + 1), (x[:0], 0))
    return empty, n, fori_loop(0, 3, lambda i, c: c, x)


def cumulative(xs: Tensor, scale: Tensor) -> Any:
    carry, ys = scan(lambda c, x: (c + x * scale, (c, nx.sum(x))), xs[0] * 0, xs)
    again, back = scan(lambda c, x: (c * 0.5 + x, c), carry, xs, reverse=True)
    return carry, ys, again, back


def recurrent(w: Tensor, xs: Tensor) -> Any:
    """A recurrent network: a product, a reduction and a softmax in every iteration."""

    def step(h: Tensor, x: Tensor) -> Any:
        h = nx.tanh(h @ w + x)
        e = nx.exp(h - nx.max(h, axis=-1, keepdims=True))
        return h, e / nx.sum(e, axis=-1, keepdims=True)

    return scan(step, xs[0] * 0, xs)


def scan_in_scan(xs: Tensor, ys: Tensor) -> Any:
    """The inner loop runs over what the outer captured, and captures the outer's row and carry."""

    def outer(c: Tensor, x: Tensor) -> Any:
        total, parts = scan(lambda d, y: (d + nx.sum(y * x) + c, d * y), nx.sum(x), ys)
        return total * 0.1, (parts, x + total)

    return scan(outer, nx.sum(xs) * 0.01, xs)


def rows_as_they_are(xs: Tensor, ys: Tensor) -> Any:
    """Rows go straight from the x's to the y's, and to the carry."""
    return scan(lambda c, x: (x[0], (x[1], c, x[0])), xs[0], (xs, ys))


def no_rows(x: Tensor) -> Any:
    return scan(lambda c, r: (c + r, c * r), nx.exp(x[0]), x[:0])


def collatz(ns: Tensor) -> Any:
    """A cond in a while in a scan."""

    def step(total: Tensor, n: Tensor) -> Any:
        def body(c: Any) -> Any:
            n, k = c
            return cond(n % 2 == 0, lambda: n // 2, lambda: 3 * n + 1), k + 1

        _, k = while_loop(lambda c: c[0] != 1, body, (n, 0))
        return total + k, k

    return scan(step, nx.sum(ns) * 0, ns)


def loop_in_loop(x: Tensor) -> Any:
    """A scan in a while; what the loops leave is used afterwards."""

    def body(c: Any) -> Any:
        x, n = c
        total, rows = scan(lambda t, r: (t + nx.sum(r), r * 0.5 + t), nx.sum(x) * 0, x)
        return rows + total * 0.001, n + 1

    x, n = while_loop(lambda c: c[1] < 3, body, (x, 0))
    return nx.sum(x, axis=0) * n, nx.permute_dims(x, (1, 0))


CASES: dict[str, tuple[Callable[..., Any], tuple[Array, ...]]] = {
    **{f"branch {i}": (branch, (i32(i), normal(6, 6), normal(6, 6, seed=1))) for i in (-1, 0, 1, 2, 7)},
    **{f"branch in branch {i}{j}": (branch_in_branch, (i32(i), i32(j), normal(5, 5))) for i in (0, 1) for j in (0, 1)},
    **{f"gradient of branch {i}": (gradient_of_branch, (i32(i), normal(70))) for i in (0, 1)},
    **{f"fibonacci {n}": (fibonacci, (i32(n),)) for n in (0, 1, 10)},
    "power iteration": (power_iteration, (normal(20, 20), normal(20))),
    "never": (never, (normal(33),)),
    "nothing to carry": (nothing_to_carry, (normal(5, 3),)),
    "cumulative": (cumulative, (normal(9, 70), np.float32(1.5).reshape(()))),
    "recurrent": (recurrent, (normal(16, 16), normal(7, 4, 16))),
    "scan in scan": (scan_in_scan, (normal(5, 8), normal(6, 8, seed=1))),
    "rows as they are": (rows_as_they_are, (normal(4, 9), normal(4, 2, seed=1))),
    "no rows": (no_rows, (normal(3, 5),)),
    "collatz": (collatz, (np.array([27, 1, 6, 97, 8], np.int32),)),
    "loop in loop": (loop_in_loop, (normal(6, 9),)),
}


def moves(function: Callable[..., Any], *arrays: Array) -> int:
    """How many of a loop's results are computed elsewhere and moved at every iteration."""
    (step,) = [s for s in compiled(graph_of(function, *arrays)).steps if s[0] in ("scan", "while")]
    return len(step[4])


def test_a_loop_writes_its_results_where_they_belong() -> None:
    def descend(w: Tensor, xs: Tensor) -> Any:
        return scan(lambda w, x: (w - 0.1 * nx.outer(x, w @ x), nx.sum(x)), w, xs)

    assert moves(descend, normal(8, 8), normal(5, 8)) == 0
    assert moves(lambda n: while_loop(lambda k: k < n, lambda k: k + 1, 0), i32(5)) == 0
    # b goes where a was, which the sum still reads
    assert moves(lambda n: while_loop(lambda c: c[0] < n, lambda c: (c[1], c[0] + c[1]), (0, 1)), i32(50)) > 0


@pytest.mark.parametrize("name", CASES)
def test_regions(name: str) -> None:
    function, arrays = CASES[name]
    run_all(function, *arrays).assert_agree()


def test_a_kind_without_a_lowering_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(regions.LOWERINGS, "scan")
    with pytest.raises(
        CompileError,
        match=r"^scan: expected a region kind of cond, while, or .*, got a call at .*test_reg",
    ):
        compiled(graph_of(lambda x: scan(lambda c, x: (c + x, c), x[0], x), normal(3)))
