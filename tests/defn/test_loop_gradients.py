"""Gradients of scan and fori_loop, beside those of the same steps written out: eager, traced and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axon import nx, tree
from axon.defn import cond, custom_grad, fori_loop, grad, jit, scan, while_loop
from axon.errors import GradientError
from axon.nx import Tensor

RNG = np.random.default_rng(0)
W = nx.tensor(RNG.normal(size=(3, 3)).astype("f8") / 2)
C = nx.tensor(RNG.normal(size=3).astype("f8"))


def rows(n: int) -> Tensor:
    return nx.tensor(np.random.default_rng(n).normal(size=(n, 3)).astype("f8"))


def unrolled(f: Any, init: Any, xs: Any = None, *, length: int | None = None, reverse: bool = False) -> Any:
    """What scan means."""
    n = tree.flatten(xs)[0][0].shape[0] if length is None else length
    carry, ys = init, []
    for i in reversed(range(n)) if reverse else range(n):
        carry, y = f(carry, tree.map(lambda x: x[i], xs))  # noqa: B023
        ys.append(y)
    ys = ys[::-1] if reverse else ys
    return carry, tree.map(lambda *y: nx.stack(list(y), axis=0), *ys) if ys and ys[0] is not None else None


def total(value: Any) -> Tensor:
    return sum((nx.sum(nx.sin(x)) for x in tree.flatten(value)[0] if x.dtype.is_float), start=nx.tensor(0.0))


def cell(c: Tensor, x: Tensor) -> Any:
    return nx.tanh(c @ W + x), nx.exp(-c) * x


@custom_grad
def clipped(x: Tensor) -> Any:
    return x * 2, lambda g: nx.clip(g, -0.5, 0.5)


def counted(carry: Any, x: Tensor) -> Any:
    count, c, kept = carry
    return (count + 1, nx.sin(c * x) + count, {"last": x}), {"c": c * kept["last"], "count": count}


Loop = Callable[..., Any]
CASES: dict[str, Callable[[Loop, Tensor, Tensor, Tensor], Any]] = {
    "carry and rows": lambda scan, w, c, xs: scan(cell, c, xs),
    "reverse": lambda scan, w, c, xs: scan(cell, c, xs, reverse=True),
    "captured": lambda scan, w, c, xs: scan(lambda h, x: (nx.tanh(h @ w + x), None), c, xs)[0],
    "captured twice": lambda scan, w, c, xs: scan(lambda h, x: (nx.tanh(h @ w) @ w + x * c, h @ w), c, xs),
    "no rows": lambda scan, w, c, xs: scan(lambda h, _: (nx.sin(h * 2), h), c, length=4),
    "integers beside floats": lambda scan, w, c, xs: scan(counted, (nx.tensor(0), c, {"last": c}), xs),
    "rows alone": lambda scan, w, c, xs: scan(lambda _, x: (None, nx.cos(x @ w)), None, xs)[1],
    "several sequences": lambda scan, w, c, xs: scan(lambda h, x: (h * x[0] + x[1], x[1]), c, (xs, nx.flip(xs))),
    "a choice": lambda scan, w, c, xs: scan(
        lambda h, x: (cond(nx.sum(x) > 0, lambda h: h @ w, lambda h: h * x, h), None), c, xs
    ),
    "its own gradient": lambda scan, w, c, xs: scan(lambda h, x: (clipped(h) * 0.7 + x, None), c, xs),
    "a loop in a loop": lambda outer, w, c, xs: outer(
        lambda h, x: outer(lambda k, _: (nx.tanh(k @ w + x), k * x), h, length=3), c, xs
    ),
    "the carry unchanged": lambda scan, w, c, xs: scan(lambda h, x: (h, h * x), c, xs),
    "a part unused": lambda scan, w, c, xs: scan(lambda h, x: (nx.sin(h), x * w[0]), c, xs)[0],
}


def run(how: str, function: Callable[..., Any], *args: Any) -> Any:
    return jit(function, compiler=how)(*args) if how != "eager" else function(*args)


@pytest.mark.parametrize("how", ["eager", "evaluate", "native"])
@pytest.mark.parametrize("case", CASES)
def test_a_scan_has_the_gradients_of_its_steps(case: str, how: str) -> None:
    f = CASES[case]
    for n in (1, 5):
        expected = grad(lambda w, c, xs: total(f(unrolled, w, c, xs)), (0, 1, 2))(W, C, rows(n))
        found = run(how, grad(lambda w, c, xs: total(f(scan, w, c, xs)), (0, 1, 2)), W, C, rows(n))
        for a, b in zip(found, expected, strict=True):
            assert a.type == b.type
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("how", ["eager", "evaluate", "native"])
def test_a_scan_of_no_rows_passes_the_gradient_on(how: str) -> None:
    f = grad(lambda w, c, xs: total(scan(lambda h, x: (nx.tanh(h @ w + x), h), c, xs)), (0, 1, 2))
    of_w, of_c, of_xs = run(how, f, W, C, rows(0))
    np.testing.assert_array_equal(of_w.numpy(), np.zeros((3, 3)))
    np.testing.assert_allclose(of_c.numpy(), np.cos(C.numpy()), rtol=1e-12)
    assert of_xs.shape == (0, 3)


@pytest.mark.parametrize("how", ["evaluate", "native"])
def test_gradients_of_gradients(how: str) -> None:
    def twice(loop: Loop) -> Callable[..., Any]:
        inner = grad(lambda w, c, xs: total(loop(lambda h, x: (nx.tanh(h @ w + x), h * x), c, xs)))
        return grad(lambda w, c, xs: nx.sum(inner(w, c, xs) ** 2), (0, 1, 2))

    expected = twice(unrolled)(W, C, rows(4))
    for a, b in zip(run(how, twice(scan), W, C, rows(4)), expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-12)


def test_a_program_does_not_grow_with_the_length() -> None:
    f = grad(lambda w, c, xs: total(scan(lambda h, x: (nx.tanh(h @ w + x), None), c, xs)))
    sizes = {len(jit(f).lower(W, C, rows(n)).graph().splitlines()) for n in (4, 40)}
    assert len(sizes) == 1


@pytest.mark.parametrize("how", ["eager", "evaluate", "native"])
def test_fori_loop_with_python_bounds(how: str) -> None:
    f = grad(lambda x: fori_loop(0, 3, lambda i, c: c * x + i, x))  # ((x * x) * x + 1) * x + 2
    assert run(how, f, nx.tensor(2.0)).item() == pytest.approx(4 * 2.0**3 + 1, rel=1e-6)


def test_halves_and_names_keep_their_types() -> None:
    c = nx.tensor(RNG.normal(size=(2, 3)), dtype="bfloat16").rename(["batch", None])
    gradients = [
        jit(grad(lambda c, loop=loop: nx.sum(loop(lambda h, _: (nx.sin(h), None), c, length=3)[0])))(c)
        for loop in (scan, unrolled)
    ]
    assert gradients[0].dtype is gradients[1].dtype is nx.bfloat16
    np.testing.assert_array_equal(gradients[0].numpy(), gradients[1].numpy())


def test_a_while_loop_says_what_to_write_instead() -> None:
    with pytest.raises(GradientError, match=r"while_loop .*use scan, or fori_loop with Python integers"):
        grad(lambda x: while_loop(lambda c: c < 9, lambda c: c * 2, x))(nx.tensor(1.0))
