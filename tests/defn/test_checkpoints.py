"""checkpoint: the bits of the plain function, values and gradients, and less memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from axon import nx, tree
from axon.defn import checkpoint, custom_grad, grad, jit, scan, value_and_grad
from axon.nx import Tensor

RNG = np.random.default_rng(1)


def layer(x: Tensor, w: dict[str, Tensor], *, slope: float = 1.0) -> Tensor:
    return nx.tanh(nx.tanh(x @ w["in"]) @ w["out"]) * slope + x


def weights(depth: int, width: int) -> list[dict[str, Tensor]]:
    draw = lambda *shape: nx.tensor((RNG.normal(size=shape) / np.sqrt(width)).astype("f4"))  # noqa: E731
    return [{"in": draw(width, 4 * width), "out": draw(4 * width, width)} for _ in range(depth)]


def loss(ws: Any, x: Tensor, block: Any) -> Tensor:
    for w in ws:
        x = block(x, w, slope=0.5)
    return nx.mean(x * x)


def same(a: Any, b: Any) -> None:
    for x, y in zip(tree.flatten(a)[0], tree.flatten(b)[0], strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy())


@pytest.mark.parametrize("compiler", [None, "evaluate", "native"])
def test_the_bits_are_the_same(compiler: str | None) -> None:
    ws, x = weights(3, 16), nx.tensor(RNG.normal(size=(8, 16)).astype("f4"))
    plain = value_and_grad(lambda ws, x: loss(ws, x, layer))
    again = value_and_grad(lambda ws, x: loss(ws, x, checkpoint(layer)))
    if compiler:
        plain, again = jit(plain, compiler=compiler), jit(again, compiler=compiler)
    same(again(ws, x), plain(ws, x))


def test_a_program_keeps_what_goes_into_blocks_only() -> None:
    ws, x = weights(12, 32), nx.tensor(RNG.normal(size=(256, 32)).astype("f4"))
    peaks = [
        jit(grad(lambda x, block=block: loss(ws, x, block))).lower(x).memory().peak
        for block in (layer, checkpoint(layer))
    ]
    assert peaks[1] < peaks[0] / 2


def test_what_is_computed_again_is_no_part_of_the_first_run() -> None:
    x = nx.tensor(RNG.normal(size=5).astype("f4"))
    count = lambda f: jit(grad(lambda x: nx.sum(f(x)))).lower(x).graph().count("= tanh(")  # noqa: E731
    f = lambda x: nx.sin(nx.tanh(x))  # noqa: E731
    assert count(f) == 1
    assert jit(value_and_grad(lambda x: nx.sum(checkpoint(f)(x)))).lower(x).graph().count("after(") >= 1


def test_captured_tensors_arguments_in_trees_and_gradients_of_gradients() -> None:
    w = nx.tensor(RNG.normal(size=5).astype("f8"))

    def f(tree: Any, scale: Tensor, block: Any) -> Tensor:
        return nx.sum(block(lambda t, s: nx.tanh(t["a"] * w) * s + t["b"][0])(tree, scale))

    given = {"a": w * 2, "b": [w * 3]}
    for compiler in ("evaluate", "native"):
        found, expected = (
            jit(grad(lambda t, s, b=b: nx.sum(grad(f, 0)(t, s, b)["a"] ** 2), (0, 1)), compiler=compiler)(given, w)
            for b in (checkpoint, lambda f: f)
        )
        for x, y in zip(tree.flatten(found)[0], tree.flatten(expected)[0], strict=True):
            np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-12)


def test_in_a_scan_and_around_one() -> None:
    w, c = nx.tensor(RNG.normal(size=(3, 3)).astype("f8")), nx.tensor(RNG.normal(size=3).astype("f8"))

    def step(h: Tensor, _: Any) -> Any:
        return nx.tanh(h @ w), None

    expected = grad(lambda c: nx.sum(scan(step, c, length=4)[0]))(c)
    inside = jit(grad(lambda c: nx.sum(scan(checkpoint(step), c, length=4)[0])))(c)
    around = jit(grad(lambda c: nx.sum(checkpoint(lambda c: scan(step, c, length=4)[0])(c))))(c)
    for found in (inside, around):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12)


def test_a_gradient_of_its_own_inside() -> None:
    @custom_grad
    def doubled(x: Tensor) -> Any:
        return x * x, lambda g: g * 10

    assert jit(grad(lambda x: checkpoint(doubled)(x)))(nx.tensor(3.0)).item() == 10


def test_what_is_no_tensor_is_given_as_it_is() -> None:
    def f(x: Tensor, shape: tuple[int, ...], how: str, by: float = 1.0) -> Tensor:
        return nx.reshape(nx.tanh(x) if how == "tanh" else x, shape) * by

    x = nx.ones((2, 3), dtype="bfloat16")
    for compiler in ("evaluate", "native"):
        value = jit(lambda x: checkpoint(f)(x, (3, 2), "tanh", by=2.0), compiler=compiler)(x)
        assert value.shape == (3, 2) and value.dtype is nx.bfloat16
    assert grad(lambda x: nx.sum(checkpoint(f)(x, (6,), "plain", by=3.0)))(x).tolist() == [[3.0] * 3] * 2
    assert checkpoint(lambda: nx.ones(2))().tolist() == [1, 1]


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(Exception, match="checkpoint: expected function to be a function, got a int"):
        checkpoint(3)  # type: ignore[arg-type]
