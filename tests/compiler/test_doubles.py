"""One value in two places: as operands, rows, carries, captures or results of a node, as outputs, as donated inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axon import jit, nx
from axon.defn import cond, fori_loop, grad, scan, while_loop
from axon.nx.core.tensor import Tensor

from .kernel_tools import normal
from .oracle import Array, run_all


def multiply_rows(x: Tensor, y: Tensor, **options: Any) -> Any:
    """A scan over two tensors, with a carry and results that need every row of both."""
    return scan(lambda c, v: (c * 0.5 + v[0] * v[1], (v[0] - c, v[1] + v[0])), x[0] * 0, (x, y), **options)


# What makes of x, of shape (3, 4), the second tensor that is scanned beside it.
SECOND: dict[str, Callable[[Tensor], Tensor]] = {
    "itself": lambda x: x,
    "times one": lambda x: x * 1,
    "reshaped": lambda x: x.reshape((3, 4)),
    "reshaped twice": lambda x: x.reshape((12,)).reshape((3, 4)),
    "sliced": lambda x: x[:3],
    "permuted twice": lambda x: nx.permute_dims(nx.permute_dims(x, (1, 0)), (1, 0)),
    "flipped": lambda x: nx.flip(x, axis=0),
}


def rows_of_rows(x: Tensor) -> Any:
    """The inner scan takes a row of the outer one twice."""
    return scan(lambda c, r: (c + multiply_rows(r, r)[0], multiply_rows(r, r)[1]), nx.tensor(0.0), x)


def twice_around(x: Tensor) -> Any:
    """The outer scan takes x twice, the inner one each of them and x."""

    def outer(c: Tensor, v: Any) -> Any:
        made, rows = scan(lambda d, w: (d + w[0] * w[1] * w[2], w[0]), c, (v[0], v[1], v[0]))
        return made, (rows, v[1])

    return scan(outer, nx.tensor(0.0), (x, x))


def inside_itself(x: Tensor) -> Any:
    """The inner scan captures what the outer one scans."""
    return scan(lambda c, r: (c + nx.sum(multiply_rows(x, x)[0] * r), c), nx.tensor(0.0), x)


def both_ways(x: Tensor) -> Any:
    """Two scans over one tensor, the second from the end."""
    first, ys = scan(lambda c, r: (c + r, c), x[0] * 0, x)
    return first, ys, scan(lambda c, r: (c * 0.5 + r, c), x[0] * 0, x, reverse=True)


def carried_and_scanned(x: Tensor) -> Any:
    """Carry, rows and capture are one value."""
    return scan(lambda c, r: (c * 0.5 + r + x, nx.sum(c)), x, x)


def swapped(c: Any) -> Any:
    return c[1] + 1, c[0] * 2, c[2] + 1


def branches(x: Tensor) -> Any:
    y = nx.exp(x)
    return cond(nx.sum(x) > 0, lambda a, b: (a * b, b, b), lambda a, b: (a, a, b + y), y, y)


def both_branches_alike(x: Tensor) -> Any:
    made = cond(nx.sum(x) > 0, lambda a: (a, a), lambda a: (a, a), x)
    return made, made, cond(nx.sum(x) > 0, lambda: (x, x * 2), lambda: (x * 2, x))


X = normal(3, 4)
CAPTURED = nx.tensor(X)
ROWS: dict[str, tuple[Callable[..., Any], tuple[Array, ...]]] = {
    f"rows {name}{', reverse' * reverse}": (lambda x, f=f, r=reverse: multiply_rows(x, f(x), reverse=r), (X,))
    for name, f in SECOND.items()
    for reverse in (False, True)
}
CASES: dict[str, tuple[Callable[..., Any], tuple[Array, ...]]] = {
    **ROWS,
    "computed rows": (lambda x: multiply_rows(nx.exp(x), nx.exp(x)), (X,)),
    "rows in a dict": (lambda x: scan(lambda c, v: (c + v["a"] * v["b"], v), x[0], {"a": x, "b": x}), (X,)),
    "made rows": (lambda x: multiply_rows(nx.arange(3.0), nx.arange(3.0)), (X,)),
    "zeros": (lambda x: multiply_rows(nx.zeros((3, 4)) + x[0], nx.zeros((3, 4)) + x[0]), (X,)),
    "captured rows": (lambda x: scan(lambda c, v: (c + v[0] * v[1] * x[0], c), x[0], (CAPTURED, CAPTURED)), (X,)),
    "rows of rows": (rows_of_rows, (normal(3, 5),)),
    "twice around": (twice_around, (normal(3, 5),)),
    "inside itself": (inside_itself, (X,)),
    "both ways": (both_ways, (X,)),
    "carried and scanned": (carried_and_scanned, (normal(4, 4),)),
    "one row": (lambda x: multiply_rows(x[:1], x[:1], length=1), (X,)),
    "two carries": (lambda x: scan(lambda c, _: ((c[1] + 1, c[0] * 2), c), (x, x), length=3), (X,)),
    "carries that become one": (lambda x: scan(lambda c, _: ((c[0] + c[1],) * 2, c), (x, x * 2), length=3), (X,)),
    "two results": (lambda x: scan(lambda c, r: (c + r, (r, r, c, c)), x[0], x), (X,)),
    "two computed results": (lambda x: scan(lambda c, r: ((y := nx.tanh(c + r)), (y, y)), x[0], x), (X,)),
    "carries of a while": (lambda x: while_loop(lambda c: c[2] < 3, swapped, (x, x, nx.tensor(0))), (X,)),
    "one carry to two": (lambda x: while_loop(lambda c: nx.max(c[0]) < 9, lambda c: (c[0] + 1,) * 2, (x, x)), (X,)),
    "carries of a fori": (lambda x: fori_loop(0, 4, lambda i, c: (c[1], c[0] + c[1]), (x, x)), (X,)),
    "branches": (branches, (X,)),
    "branches, the other": (branches, (-np.abs(X),)),
    "both branches alike": (both_branches_alike, (X,)),
    "a product with itself": (lambda x: (x @ x, x @ x, nx.permute_dims(x, (1, 0)) @ x), (normal(4, 4),)),
    "a product plus its operand": (lambda x, b: x @ x + b + b, (normal(4, 4), normal(4, seed=1))),
    "a convolution with itself": (lambda x: nx.conv(x, x.reshape((3, 3, 1, 1))), (normal(1, 3, 3, 1),)),
    "a scatter of itself": (lambda x: x.at[nx.tensor([0, 0, 2])].add(x), (X,)),
    "a gather by itself": (lambda i: nx.take(i, i, axis=0), (np.array([2, 0, 1], np.int32),)),
    "a product of integers with itself": (lambda x: (x @ x, x @ x), (np.arange(9, dtype=np.int32).reshape(3, 3),)),
    "a concat of itself": (lambda x: (nx.concat([x, x], axis=0), nx.concat([x] * 9, axis=1), nx.stack([x, x])), (X,)),
    "a choice of itself": (lambda x: (nx.where(x > 0, x, x), nx.maximum(x, x), x - x), (X,)),
    "an input, returned": (lambda x: x, (X,)),
    "an input, returned twice": (lambda x: (x, x, x.reshape((12,))), (X,)),
    "an input, returned and updated": (lambda x: (x, x + 1, x), (X,)),
    "a result, returned twice": (lambda x: ((y := nx.exp(x)), y, y.reshape((12,)), y + x), (X,)),
    "an alias, returned twice": (lambda x: ((y := nx.exp(x).reshape((12,))), y, y.reshape((2, 6))), (X,)),
    "a product, returned twice": (lambda x: ((y := x @ x), y, y * 2), (normal(4, 4),)),
    "a constant, returned twice": (lambda x: (nx.ones((2,)), nx.ones((2,)), nx.zeros((0,)), nx.zeros((0,))), (X,)),
    "a loop's result, returned twice": (lambda x: ((y := fori_loop(0, 3, lambda i, c: c * 2, x)), y, x), (X,)),
    "two inputs that swap": (lambda x, y: (y, x, x, y), (X, normal(3, 4, seed=1))),
    "two inputs that swap, computed": (lambda x, y: (y * 2, x * 2, x * 2), (X, normal(3, 4, seed=1))),
    "a gradient by itself": (lambda x: grad(lambda v: nx.sum(v * v.reshape((3, 4)) + v))(x), (X,)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_doubles(name: str) -> None:
    function, arrays = CASES[name]
    run_all(function, *arrays).assert_agree()


@pytest.mark.parametrize("compiler", ["native", "evaluate"])
def test_one_tensor_for_two_parameters(compiler: str) -> None:
    x = nx.tensor(X)
    function = jit(lambda x, y: (multiply_rows(x, y)[0], x, y), compiler=compiler)
    for made, want in zip(function(x, x), (multiply_rows(x, x)[0], x, x), strict=True):
        np.testing.assert_allclose(made.numpy(), want.numpy(), rtol=1e-6)


def test_a_donated_input_that_is_returned_twice() -> None:
    x = nx.tensor(X)
    made = jit(lambda x: (x, x, x + 1), donate=0)(x)
    for got, want in zip(made, (X, X, X + 1), strict=True):
        np.testing.assert_array_equal(got.numpy(), want)
    assert len({t.data.address for t in made}) == 3
