"""checkpoint: the bits of the plain function, values and gradients, and less memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from axon import nx, tree
from axon.defn import (
    checkpoint,
    checkpoint_policies,
    cond,
    custom_grad,
    grad,
    jit,
    name,
    scan,
    value_and_grad,
    while_loop,
)
from axon.defn.checkpoint_policies import dots, either, everything, names, nothing
from axon.errors import TraceError
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
    with pytest.raises(TraceError, match="checkpoint: expected function to be a function, got a int"):
        checkpoint(3)  # type: ignore[arg-type]


POLICIES = {
    "nothing": nothing,
    "everything": everything,
    "dots": dots,
    "names": names("inner"),
    "either": either(names("inner"), dots),
    "own": lambda made: made.op == "tanh" and made.type.shape[-1] > 16,
}


def named_layer(x: Tensor, w: dict[str, Tensor], *, slope: float = 1.0) -> Tensor:
    return nx.tanh(name(nx.tanh(x @ w["in"]), "inner") @ w["out"]) * slope + nx.sin(x)


@pytest.mark.parametrize("compiler", [None, "evaluate", "native"])
@pytest.mark.parametrize("policy", POLICIES)
def test_the_bits_are_the_same_whatever_is_kept(policy: str, compiler: str | None) -> None:
    ws, x = weights(3, 16), nx.tensor(RNG.normal(size=(8, 16)).astype("f4"))
    block = checkpoint(named_layer, policy=POLICIES[policy])
    plain = value_and_grad(lambda ws, x: loss(ws, x, named_layer))
    again = value_and_grad(lambda ws, x: loss(ws, x, block))
    if compiler:
        plain, again = jit(plain, compiler=compiler), jit(again, compiler=compiler)
    same(again(ws, x), plain(ws, x))


@pytest.mark.parametrize(
    ("policy", "tanhs", "products"),
    [("nothing", 4, 2 + 2 + 4), ("everything", 2, 2 + 4), ("dots", 4, 2 + 4), ("names", 3, 2 + 1 + 4)],
)
def test_a_policy_says_what_is_computed_again(policy: str, tanhs: int, products: int) -> None:
    """Forward two of each; back four products, and of those computed again what gradients read."""
    (w,), x = weights(1, 16), nx.tensor(RNG.normal(size=(8, 16)).astype("f4"))
    block = checkpoint(named_layer, policy=POLICIES[policy])
    text = jit(value_and_grad(lambda w, x: nx.sum(block(x, w) ** 2), (0, 1))).lower(w, x).graph()
    assert (text.count("= tanh("), text.count("= dot_general(")) == (tanhs, products)


def test_more_kept_is_more_memory() -> None:
    ws, x = weights(8, 32), nx.tensor(RNG.normal(size=(256, 32)).astype("f4"))
    blocks = [checkpoint(named_layer, policy=POLICIES[p]) for p in ("nothing", "names", "everything")]
    peaks = [jit(grad(lambda ws, b=b: loss(ws, x, b))).lower(ws).memory().peak for b in blocks]
    assert peaks == sorted(peaks) and peaks[0] < peaks[1] < peaks[2]


@pytest.mark.parametrize("compiler", [None, "evaluate", "native"])
def test_policies_in_loops_and_branches_and_twice(compiler: str | None) -> None:
    w, c = nx.tensor(RNG.normal(size=(3, 3)).astype("f8")), nx.tensor(RNG.normal(size=3).astype("f8"))

    def step(h: Tensor, _: Any) -> Any:
        return nx.tanh(name(h @ w, "inner")), None

    def found(block: Any) -> Any:
        looped = lambda c: nx.sum(scan(block(step), c, length=4)[0])  # noqa: E731
        chosen = lambda c: nx.sum(cond(c[0] > 0, block(lambda c: nx.exp(nx.sin(c @ w))), lambda c: c, c))  # noqa: E731
        twice = lambda c: nx.sum(grad(lambda c: nx.sum(block(lambda c: nx.sin(c @ w) * c)(c)))(c) ** 2)  # noqa: E731
        functions = [grad(f) for f in (looped, chosen, twice)]
        return [(jit(f, compiler=compiler) if compiler else f)(c) for f in functions]

    expected = found(lambda f: f)
    for policy in POLICIES.values():
        if policy is not POLICIES["own"]:
            for a, b in zip(found(checkpoint(policy=policy)), expected, strict=True):
                np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)


def test_a_result_that_nothing_depends_on_costs_nothing() -> None:
    def f(x: Tensor) -> tuple[Tensor, Tensor]:
        return nx.tanh(x), nx.exp(x)

    text = jit(grad(lambda x: nx.sum(checkpoint(f)(x)[0] ** 2))).lower(nx.ones(5)).graph()
    assert text.count("= exp(") == 1 and text.count("= after(") == 1  # in the region alone; behind one gradient


def test_policies_and_labels_that_are_none_are_refused() -> None:
    with pytest.raises(TraceError, match=r"checkpoint: expected a policy that is a function, got 'dots'; take one of"):
        checkpoint(lambda x: x, policy="dots")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="names: expected labels that are texts, got 3"):
        names(3)  # type: ignore[arg-type]
    for label in (3, ""):
        with pytest.raises(TypeError, match=f"^name: expected a label that is a text, got {label!r}"):
            name(nx.ones(2), label)  # type: ignore[arg-type]


def test_the_policy_is_asked_once_of_each_value() -> None:
    asked: list[checkpoint_policies.Candidate] = []
    block = checkpoint(named_layer, policy=lambda made: bool(asked.append(made)))
    (w,) = weights(1, 4)
    grad(lambda x: nx.sum(block(x, w)))(nx.ones((2, 4)))
    assert [c.op for c in asked if c.contracts] == ["dot_general"] * 2
    (label,) = [c.attrs["label"] for c in asked if c.op == "named"]
    assert label == "inner" and asked[0].operands[0].shape == (2, 4)


def walked(x: Tensor) -> Tensor:
    return scan(lambda c, _: (nx.sin(c) * x, None), x, length=3)[0]


INNER = {
    "checkpoint": lambda x: checkpoint(lambda x: nx.sin(x * x), policy=dots)(x),
    "scan": walked,
    "while": lambda x: while_loop(lambda c: nx.sum(c) < 9, lambda c: c * 2 + x, x, max_steps=3),
}


@pytest.mark.parametrize("inner", INNER.values(), ids=INNER)
def test_a_kept_call_still_has_what_its_gradient_needs(inner: Any) -> None:
    x = nx.tensor([0.5, 0.75])
    f = lambda block: grad(lambda x: nx.sum(block(lambda x: inner(x) * x)(x)))(x).tolist()  # noqa: E731
    assert f(lambda g: checkpoint(g, policy=everything)) == pytest.approx(f(lambda g: g))
