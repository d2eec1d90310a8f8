"""Transformations beside JAX's, where it is installed: lanes in and out, derivatives in both modes, loops, branches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import axon
import numpy as np
import pytest
from axon import nx
from axon.nx import Tensor

jax: Any = pytest.importorskip("jax")
jnp: Any = jax.numpy
RNG = np.random.default_rng(5)


def given(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    return [RNG.uniform(-1, 1, shape).astype("float32") for shape in shapes]


def ours(value: Any) -> Any:
    return axon.tree.map(nx.tensor, value)


def same(got: Any, want: Any) -> None:
    got, want = axon.tree.leaves(got), jax.tree.leaves(want)
    assert len(got) == len(want)
    for a, b in zip(got, want):
        a, b = a.numpy() if isinstance(a, Tensor) else np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, 2e-4, 2e-5)


Pair = tuple[Callable[..., Any], Callable[..., Any]]


def both(write: Callable[..., Any]) -> Pair:
    """A function of either library, written once over what they spell alike."""
    return (
        write(nx, axon.scan, lambda p, a, b, *x: axon.cond(p, a, b, *x), axon),
        write(jnp, jax.lax.scan, jax.lax.cond, jax.lax),
    )


def composed(xp: Any, *_: Any) -> Any:
    return lambda x, w: xp.tanh(xp.sin(x) @ w) * xp.exp(-xp.sum(x * x))


def softmax(xp: Any, *_: Any) -> Any:
    def f(x: Any, w: Any) -> Any:
        z = x @ w
        e = xp.exp(z - xp.max(z))
        return xp.log(e / xp.sum(e))

    return f


def scanned(xp: Any, scan: Any, cond: Any, lax: Any) -> Any:
    def f(x: Any, w: Any) -> Any:
        def step(c: Any, row: Any) -> Any:
            n, h = c
            h = xp.tanh(h * row + x)
            return (n + 1, h), h * xp.sum(row)

        (_, h), ys = scan(step, (0, x), w.T, reverse=True)
        return xp.concat([h, ys[0]])

    return f


def branched(xp: Any, scan: Any, cond: Any, lax: Any) -> Any:
    def f(x: Any, w: Any) -> Any:
        g = lambda s: cond(s > 0, lambda a: xp.sin(a) * s, lambda a: xp.sqrt(a * a + 1), x @ w)  # noqa: E731
        return g(xp.sum(x)) + g(-xp.sum(x))

    return f


def switched(xp: Any, scan: Any, cond: Any, lax: Any) -> Any:
    def f(x: Any, w: Any) -> Any:
        def step(c: Any, i: Any) -> Any:
            return lax.switch(i, [xp.sin, xp.cos, lambda v: v * xp.sum(x)], c), xp.sum(c)

        return scan(step, x @ w, xp.asarray(np.array([2, 0, 5, -1], "int32")))

    return f


def counted(xp: Any, scan: Any, cond: Any, lax: Any) -> Any:
    """As often as the values say: a while loop, which here is bounded."""

    def f(x: Any, w: Any) -> Any:
        go = lambda c: xp.sum(c * c) < 30.0  # noqa: E731
        loop = lambda body, c: scan(lambda c, _: (cond(go(c), body, lambda c: c, c), None), c, None, length=9)[0]  # noqa: E731
        if xp is nx:
            loop = lambda body, c: axon.while_loop(go, body, c, max_steps=9)  # noqa: E731
        return loop(lambda c: c * 1.5 + x @ w, x @ w)

    return f


FUNCTIONS = {f.__name__: both(f) for f in (composed, softmax, scanned, branched, switched, counted)}
functions = pytest.mark.parametrize("pair", FUNCTIONS.values(), ids=FUNCTIONS)


def total(f: Callable[..., Any], xp: Any) -> Callable[..., Any]:
    def of(x: Any, w: Any) -> Any:
        made = f(x, w)
        return sum(xp.sum(xp.sin(y)) for y in (made if isinstance(made, tuple) else (made,)))

    return of


@functions
def test_values_and_derivatives(pair: Pair) -> None:
    f, g = pair
    args, along = given((3,), (3, 3)), given((3,), (3, 3))
    t, u = total(f, nx), total(g, jnp)

    def results(f: Any, t: Any, lib: Any) -> Any:
        def of(args: Any, along: Any) -> Any:
            y, back = lib.vjp(f, *args)
            pushed = lib.linearize(f, *args)[1](*along)
            found = [y, back(y), pushed, *lib.jvp(f, args, along), lib.value_and_grad(t, (0, 1))(*args)]
            return found, lib.jacfwd(f)(*args), lib.jacrev(f)(*args), lib.hessian(t)(*args)

        return of

    wanted = jax.jit(results(g, u, jax))(tuple(args), tuple(along))
    same(axon.jit(results(f, t, axon), compiler="evaluate")(tuple(ours(args)), tuple(ours(along))), wanted)


AXES = [((0, 0), 0), ((1, None), 0), ((-1, -2), -1), ((None, 2), 1), (0, -2)]


@pytest.mark.parametrize(("name", "axes"), [*zip(FUNCTIONS, [*AXES, AXES[0]]), ("composed", AXES[1])], ids=str)
def test_lanes(name: str, axes: Any) -> None:
    (f, g), (ins, out) = FUNCTIONS[name], axes
    each = ins if isinstance(ins, tuple) else (ins, ins)
    args = []
    for shape, axis in zip(((3,), (3, 3)), each):
        sizes = list(shape)
        if axis is not None:
            sizes.insert(axis if axis >= 0 else len(shape) + 1 + axis, 4)
        args += given(tuple(sizes))
    if name == "switched":  # one of its results is a number a step
        out = (out, 0)

    def results(f: Any, lib: Any, xp: Any) -> Any:
        def whole(*xs: Any) -> Any:
            made = lib.vmap(f, ins)(*xs)
            return sum(xp.sum(xp.cos(y)) for y in (made if isinstance(made, tuple) else (made,)))

        alone = lib.vmap(lib.grad(total(f, xp), (0, 1)), ins)
        return lambda *xs: (lib.vmap(f, ins, out)(*xs), alone(*xs), lib.grad(whole, (0, 1))(*xs))

    wanted = jax.jit(results(g, jax, jnp))(*args)
    same(axon.jit(results(f, axon, nx), compiler="evaluate")(*ours(args)), wanted)


def test_lanes_of_trees() -> None:
    def write(xp: Any) -> Any:
        return lambda tree, w, *, scale: {
            "a": tree["x"][0] @ w * scale,
            "b": [xp.sum(w), xp.outer(tree["x"][1], tree["x"][0])],
        }

    x, y, w, scale = given((3, 4), (2,), (4, 3, 2), (4,))
    ins, out = ({"x": (1, None)}, 0), {"a": 1, "b": [0, -1]}
    tree = {"x": (x, y)}
    got = axon.vmap(write(nx), ins, out)(ours(tree), ours(w), scale=ours(scale))
    same(got, jax.vmap(write(jnp), ins, out)(tree, w, scale=scale))
    got = axon.vmap(lambda a, b: (a * 2, b + 1), (0, None), (0, None))(ours(x), ours(y))
    same(got, jax.vmap(lambda a, b: (a * 2, b + 1), (0, None), (0, None))(x, y))


def test_lanes_of_a_loop_that_ends_for_each_on_its_own() -> None:
    def write(xp: Any, loop: Any) -> Any:
        def f(x: Any, most: Any) -> Any:
            return loop(lambda c: (c[0] < 50.0) & (c[1] < most), lambda c: (c[0] * 1.5 + x, c[1] + 1), (x, 0))

        return f

    x, most = np.array([0.5, 3.0, 60.0, 0.1], "float32"), np.array([5, 20, 3, 0], "int32")
    same(axon.vmap(write(nx, axon.while_loop))(*ours([x, most])), jax.vmap(write(jnp, jax.lax.while_loop))(x, most))
    pushed = lambda lib, loop, xp: lambda x, most: lib.jvp(lambda x: write(xp, loop)(x, most)[0], (x,), (x * 2,))  # noqa: E731
    want = jax.vmap(pushed(jax, jax.lax.while_loop, jnp))(x, most)
    same(axon.vmap(pushed(axon, axon.while_loop, nx))(*ours([x, most])), want)


CUMULATIVE = {
    "sum": lambda x: jnp.cumsum(x, -1),
    "prod": lambda x: jnp.cumprod(x, -1),
    "max": lambda x: jax.lax.cummax(x, 1),
    "min": lambda x: jax.lax.cummin(x, 1),
    "logsumexp": lambda x: jax.lax.cumlogsumexp(x, 1),
}


@pytest.mark.parametrize("name", CUMULATIVE)
def test_cumulative(name: str) -> None:
    x, t = given((2, 3), (2, 3))

    def results(f: Any, lib: Any, xp: Any) -> Any:
        hessian = lib.hessian(lambda x: xp.sum(xp.sin(f(x))))
        return lambda x, t: (*lib.jvp(f, (x,), (t,)), lib.vjp(f, x)[1](t), hessian(x))

    f = getattr(nx, "cumulative_" + name)
    got = axon.jit(results(lambda x: f(x, axis=-1), axon, nx), compiler="evaluate")(*ours([x, t]))
    same(got, jax.jit(results(CUMULATIVE[name], jax, jnp))(x, t))
