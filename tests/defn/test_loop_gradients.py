"""Gradients of scan and fori_loop, beside those of the same steps written out: eager, traced and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axon import nx, tree
from axon.defn import cond, custom_grad, fori_loop, grad, jit, jvp, scan, stop_grad, while_loop
from axon.errors import DTypeError, GradientError, ShapeError
from axon.graph.expr import CALL
from axon.graph.trace import trace
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
    "a weight transposed, cut and joined": lambda scan, w, c, xs: scan(
        lambda h, x: (nx.tanh(h @ w.T + x[:2] @ w[:2] + nx.concat([x, h]) @ nx.concat([w, w * 1.0])), None), c, xs
    )[0],
    "a bias": lambda scan, w, c, xs: scan(lambda h, x: (nx.tanh(x[:, None] * h @ w + c).sum(axis=0), h), c, xs),
    "products of several": lambda scan, w, c, xs: scan(
        lambda h, x: (nx.sin((nx.stack([h @ w, x])[:, None] @ nx.stack([w, w.T])).sum(axis=(0, 1))), x), c, xs
    ),
    "a product of what stays": lambda scan, w, c, xs: scan(lambda h, x: (nx.tanh((W @ w) @ h + x), None), c, xs)[0],
    "a scaled weight": lambda scan, w, c, xs: scan(lambda h, x: (nx.tanh((h[0] * w) @ h + x), None), c, xs)[0],
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


@pytest.mark.parametrize("how", ["eager", "evaluate", "native"])
def test_a_captured_tensor_on_which_nothing_depends(how: str) -> None:
    f = lambda v, w: scan(lambda c, _: (v + stop_grad(w), None), nx.tensor(0.0), length=2)[0]  # noqa: E731
    assert [g.item() for g in run(how, grad(f, (0, 1)), nx.tensor(2.0), nx.tensor(3.0))] == [1.0, 0.0]


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


def test_halves_sum_over_the_steps_in_float32() -> None:
    w, x = nx.ones((), "bfloat16"), nx.ones((300,), "bfloat16")
    f = lambda w: nx.sum(scan(lambda c, x: (c, w * x), nx.tensor(0.0), x)[1])  # noqa: E731
    assert grad(f)(w).item() == 300  # by bfloat16 additions it would stay at 256


def dots(loop: Loop, *args: Any) -> tuple[int, int]:
    """How many products are inside the loops of a gradient, and outside."""
    lines = jit(grad(lambda *a: total(loop(*a)), (0, 1, 2))).lower(*args).graph().splitlines()
    inside = [line for line in lines if "dot_general" in line and line.startswith("    ")]
    return len(inside), sum("dot_general" in line for line in lines) - len(inside)


def test_the_gradient_of_a_weight_is_one_product_after_the_loop() -> None:
    cell = lambda scan, w, c, xs: scan(lambda h, x: (nx.tanh(h @ w + x), None), c, xs)[0]  # noqa: E731
    assert dots(lambda w, c, xs: cell(scan, w, c, xs), W, C, rows(5)) == (2, 1)


def test_what_is_dear_is_kept_and_what_is_cheap_is_computed_again() -> None:
    f = grad(lambda w, c, xs: total(scan(lambda h, x: (nx.sin(nx.cos(nx.exp(h @ w) * x)), None), c, xs)[0]))
    calls = [n for n in trace(f, (W.type, C.type, rows(5).type)).graph.nodes if n.op is CALL]
    forward, backward = (node.attrs["regions"][0] for node in calls)
    assert len(calls[0].types) == 3  # the carry; its start for the weight's product; the product
    assert sum(n.op.name == "exp" for n in backward.nodes) == sum(n.op.name == "exp" for n in forward.nodes) == 1


def test_what_only_the_results_need_is_not_kept() -> None:
    f = grad(lambda w, c, xs: nx.sum(scan(lambda h, x: (nx.sin(h), h @ w), c, xs)[0]), 1)
    calls = [n for n in trace(f, (W.type, C.type, rows(5).type)).graph.nodes if n.op is CALL]
    assert len(calls[0].types) == 3  # the carry, the product, and the carry that each step began with


@pytest.mark.parametrize("how", ["eager", "evaluate", "native"])
@pytest.mark.parametrize("unroll", [1, 2, 3, 9])
@pytest.mark.parametrize("reverse", [False, True])
def test_steps_written_out(how: str, unroll: int, reverse: bool) -> None:
    def f(loop: Loop, **options: Any) -> Callable[..., Any]:
        return lambda w, c, xs: total(
            loop(lambda h, x: (nx.tanh(h @ w + x), {"y": h * x, "none": None}), c, xs, reverse=reverse, **options)
        )

    for n in (0, 1, 5):
        expected = grad(f(scan), (0, 1, 2))(W, C, rows(n))
        found = run(how, grad(f(scan, unroll=unroll), (0, 1, 2)), W, C, rows(n))
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("how", ["eager", "evaluate", "native"])
def test_a_while_loop_of_at_most_so_many_steps(how: str) -> None:
    def f(limit: int | None) -> Callable[..., Any]:
        return lambda w, c: while_loop(
            lambda c: (c[0] < 7) & (c[1].sum() < 100), lambda c: (c[0] + 1, nx.tanh(c[1] @ w) + c[1]), (0, c),
            max_steps=limit,
        )  # fmt: skip

    def steps(n: int) -> Callable[..., Any]:
        return lambda w, c: fori_loop(0, n, lambda _, c: nx.tanh(c @ w) + c, c)

    for limit, taken in ((9, 7), (7, 7), (3, 3), (0, 0)):
        count, _ = run(how, f(limit), W, C)
        assert count.item() == taken
        expected = grad(lambda w, c, n=taken: total(steps(n)(w, c)), (0, 1))(W, C)
        found = run(how, grad(lambda w, c, n=limit: total(f(n)(w, c)[1]), (0, 1)), W, C)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10, atol=1e-12)


def test_fori_loop_counts_in_what_its_bounds_need() -> None:
    top, wide = 2**31 - 2, nx.int64
    step = lambda i, c: (c[0] + 1, i.astype(wide))  # noqa: E731
    count = lambda *bounds: fori_loop(*bounds, step, (0, nx.tensor(0, wide)))  # noqa: E731
    for low, high in (
        (top, top + 4),
        (nx.tensor(top, wide), nx.tensor(top + 4, wide)),
        (nx.tensor(top, wide), top + 4),
    ):
        steps, last = count(low, high)
        assert (steps.item(), last.item()) == (4, top + 3)
    steps, last = count(nx.tensor(2**32 - 3, nx.uint32), nx.tensor(2**32 - 1, nx.uint32))
    assert (steps.item(), last.item()) == (2, 2**32 - 2)
    assert count(nx.tensor(0, nx.int8), nx.tensor(3, nx.int8))[0].item() == 3
    with pytest.raises(DTypeError, match="uint64"):
        count(nx.tensor(0, nx.uint64), nx.tensor(3, nx.int64))


@pytest.mark.parametrize("how", ["eager", "evaluate", "native"])
def test_fori_loop_of_at_most_so_many_steps(how: str) -> None:
    f = grad(lambda x, n: fori_loop(0, n, lambda i, c: c * x, 1.0, max_steps=4))
    assert run(how, f, nx.tensor(2.0), nx.tensor(3)).item() == 12
    assert grad(lambda x: fori_loop(0, np.int64(3), lambda i, c: c * x, 1.0))(2.0).item() == 12
    assert fori_loop(0, 9, lambda i, c: c + 1, 0, max_steps=4).item() == 4


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: while_loop(lambda c: c < 9, lambda c: c, 1.0, max_steps=-1), "max_steps .* at least 0, got -1"),
        (lambda: while_loop(lambda c: c < 9, lambda c: c, 1.0, max_steps=True), "max_steps .* got True"),
        (lambda: scan(lambda c, x: (c, x), 0, nx.ones(3), unroll=0), "unroll .* at least 1, got 0"),
    ],
)
def test_counts_that_are_none_are_refused(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        call()


@pytest.mark.parametrize("how", ["eager", "evaluate", "native"])
def test_what_only_decides_how_often_a_loop_runs_has_no_gradient(how: str) -> None:
    def f(x: Tensor) -> Tensor:
        return x * while_loop(lambda c: c < x, lambda c: c + 1.0, nx.tensor(0.0))

    assert run(how, grad(f), nx.tensor(2.5)).item() == 3.0
    assert run(how, lambda x: jvp(f, (x,), (1.0,))[1], nx.tensor(2.5)).item() == 3.0


def test_a_while_loop_says_what_to_write_instead() -> None:
    with pytest.raises(GradientError, match=r"while_loop .*give it max_steps=, use scan, or fori_loop with Python"):
        grad(lambda x: while_loop(lambda c: c < 9, lambda c: c * 2, x))(nx.tensor(1.0))
