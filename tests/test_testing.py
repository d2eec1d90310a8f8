"""check_grads finds a wrong derivative in every mode and order, and says where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axon import nx
from axon.defn import custom_grad, custom_jvp, stop_grad
from axon.nx import Tensor
from axon.testing import check_grads

X = np.array([0.5, 2.0])


@custom_grad
def in_reverse(x: Tensor) -> Any:
    """Square, whose gradient is right, and the gradient's own is not."""
    return x * x, lambda g: 2 * g * stop_grad(x)


@custom_jvp
def forward(x: Tensor) -> Any:
    return x * x, lambda t: 2 * t * stop_grad(x)


WRONG: dict[str, tuple[Callable[..., Any], dict[str, Any], str]] = {
    "forward": (lambda x: x * stop_grad(x), {}, r"argument 0, forward, order 1: expected .* got"),
    "reverse": (lambda x: x * stop_grad(x), {"modes": ("reverse",)}, r"argument 0, reverse, order 1"),
    "second argument": (lambda x, y: x * nx.floor(y) * y, {}, r"argument 1, forward, order 1"),
    "over reverse": (in_reverse, {"modes": ("reverse",)}, r"argument 0, reverse over reverse, order 2"),
    "over forward": (forward, {}, r"argument 0, forward over forward, order 2"),
    "third": (
        lambda x: in_reverse(x) * x,
        {"order": 3, "modes": ("reverse",)},
        r"argument 0, reverse over reverse, order 2",
    ),
    "one of several results": (lambda x: (x, x * stop_grad(x)), {}, r"argument 0, forward, order 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_derivatives_are_found(name: str) -> None:
    function, options, text = WRONG[name]
    count = function.__code__.co_argcount if hasattr(function, "__code__") else 1
    with pytest.raises(AssertionError, match=rf"(?s)^check_grads: {text}"):
        check_grads(function, *[X] * max(count, 1), **options)


@pytest.mark.parametrize("function", [in_reverse, forward])
def test_an_order_that_is_right(function: Any) -> None:
    check_grads(function, X, order=1)


def test_trees_and_constants() -> None:
    def f(p: Any, i: Tensor, flag: Tensor) -> Any:
        return {"y": nx.take(p["w"], i) * p["b"], "n": i, "z": nx.where(flag, p["b"], 0)}

    p = {"w": X, "b": 3.0}
    check_grads(f, p, np.array([1, 0, 1]), True, order=3)
    with pytest.raises(AssertionError, match=r"^check_grads: argument 0\.w, forward, order 1"):
        check_grads(lambda p: stop_grad(p["w"]) * p["w"] + p["b"], p)


@pytest.mark.parametrize(
    ("function", "args", "options", "error", "text"),
    [
        (nx.sin, (X,), {"order": 0}, ValueError, "expected an order of 1 or more"),
        (nx.sin, (X,), {"modes": ("backward",)}, ValueError, "expected an order of 1 or more and modes"),
        (lambda n: n, (1,), {}, TypeError, "expected a float argument, got none"),
        (lambda x: x.astype(nx.float32), (X,), {}, TypeError, r"expected float64 results, got float32\[2\]"),
        (lambda x: nx.argmax(x), (X,), {}, TypeError, "expected float64 results, got none"),
    ],
)
def test_what_cannot_be_checked(function: Any, args: Any, options: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=f"^check_grads: {text}"):
        check_grads(function, *args, **options)
