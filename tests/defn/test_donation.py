"""Donated tensors: a call takes their memory, and nobody uses them afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from axon import jit, nx, tree
from axon.defn import defn
from axon.errors import DonationError


def train_step(x: nx.Tensor) -> nx.Tensor:
    return x + 1


@pytest.mark.parametrize("shape, kind", [((4,), "float32[4]"), ((), "float32[]")])
def test_a_donated_tensor_says_where_it_went(shape: tuple[int, ...], kind: str) -> None:
    x = nx.ones(shape)
    jit(train_step, donate="x")(x)
    assert repr(x) == str(x) == f"{x}" == f"{kind} donated to train_step"
    assert f"{[x]}" == f"[{kind} donated to train_step]"
    with pytest.raises(DonationError, match="train_step: expected a live tensor"):
        x + 1


def test_a_format_asks_for_the_value() -> None:
    x = nx.ones(())
    jit(train_step, donate="x")(x)
    with pytest.raises(DonationError, match="train_step: expected a live tensor"):
        f"{x:.2f}"


def test_donated_tensors_are_gone(compiler: str) -> None:
    @defn(donate="params", compiler=compiler)
    def train_step(params: Any, x: nx.Tensor) -> Any:
        return tree.map(lambda p: p + x, params)

    params = {"w": nx.tensor([1.0, 2.0]), "b": nx.tensor(0.5)}
    x = nx.tensor(1.0)
    new = train_step(params, x)
    assert new["w"].tolist() == [2, 3]
    assert x.item() == 1
    for use in (
        lambda: params["w"] + 1,
        lambda: x + params["w"],
        lambda: params["b"].item(),
        lambda: train_step(params, x),
        lambda: jit(lambda p: p, compiler=compiler)(params["w"]),
        lambda: jit(lambda x: x + params["w"], compiler=compiler)(x),
    ):
        with pytest.raises(
            DonationError, match=r"train_step: .* donated to a call of train_step; use that call's results"
        ):
            use()
    new = train_step(new, x)
    assert new["w"].tolist() == [3, 4]
    assert str(params["w"].type) == "float32[2]"


def test_donated_arrays_are_not_touched(compiler: str) -> None:
    f = jit(lambda x: x + 1, donate=0, compiler=compiler)
    x = np.ones(3, "float32")
    assert f(x).tolist() == f(x).tolist() == [2, 2, 2]
    assert x.tolist() == [1, 1, 1]


def test_a_donated_tensor_may_not_be_given_twice(compiler: str) -> None:
    def step(params: Any, other: nx.Tensor) -> Any:
        return params["w"] + other

    f = jit(step, donate=0, compiler=compiler)
    w = nx.tensor([1.0, 2.0])
    with pytest.raises(DonationError, match=r"step: expected argument 'params.w' once, as it is donated, got the same"):
        f({"w": w}, w)
    assert f({"w": w}, nx.tensor([1.0, 1.0])).tolist() == [2, 3]
    v = nx.tensor([1.0, 2.0])
    with pytest.raises(DonationError, match="got the same tensor twice"):
        jit(lambda x: x + v, donate=0, compiler=compiler)(v)


def test_nothing_is_donated_by_a_call_that_fails(compiler: str) -> None:
    x = nx.tensor([1.0, 2.0])

    def fails(x: nx.Tensor) -> nx.Tensor:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        jit(fails, donate=0, compiler=compiler)(x)
    assert x.tolist() == [1, 2]


def test_a_captured_tensor_that_was_donated(compiler: str) -> None:
    w = nx.tensor([1.0, 2.0])
    f = jit(lambda x: x * w, compiler=compiler)
    f(nx.tensor(2.0))
    jit(lambda w: w + 1, donate=0, compiler=compiler)(w)
    with pytest.raises(DonationError):
        f(nx.tensor(2.0))
