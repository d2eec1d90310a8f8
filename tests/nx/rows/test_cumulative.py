"""Cumulative functions: what they are called with, values beside NumPy's in float64, gradients beside differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axon import nx
from axon.defn import grad, jit
from axon.errors import AxonError, DTypeError, ShapeError
from axon.nx.core.op import TABLE

FUNCTIONS: dict[str, tuple[Callable[..., Any], Any]] = {
    "sum": (nx.cumulative_sum, np.add),
    "prod": (nx.cumulative_prod, np.multiply),
    "max": (nx.cumulative_max, np.maximum),
    "min": (nx.cumulative_min, np.minimum),
    "logsumexp": (nx.cumulative_logsumexp, np.logaddexp),
}


def oracle(name: str, x: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
    x = np.flip(x, axis) if reverse else x
    made = FUNCTIONS[name][1].accumulate(x.astype(np.float64), axis=axis)
    return np.flip(made, axis) if reverse else made


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_in_every_tier(name: str, reverse: bool) -> None:
    rng, f = np.random.default_rng(0), FUNCTIONS[name][0]
    for shape, axis in [((1,), 0), ((1500,), -1), ((3, 40), 0), ((3, 40), 1), ((2, 5, 7), 1), ((0, 3), 0), ((4, 1), 1)]:
        x = rng.uniform(0.5, 1.5, shape).astype("float32")
        made = [
            run(lambda x, axis=axis: f(x, axis, reverse=reverse))(nx.tensor(x)).numpy()
            for run in (lambda g: g, jit, lambda g: jit(g, compiler="evaluate"))
        ]
        np.testing.assert_allclose(made[0], oracle(name, x, axis, reverse), rtol=2e-5, atol=1e-5)
        for other in made[1:]:
            np.testing.assert_array_equal(made[0], other)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_halves_are_combined_in_float32(name: str, dtype: str) -> None:
    f, x = FUNCTIONS[name][0], nx.tensor(np.random.default_rng(0).uniform(0.97, 1.03, (2, 3000)), dtype=dtype)
    wide = f(x.astype("float32"), axis=1).astype(dtype)
    np.testing.assert_array_equal(f(x, axis=1).numpy(), wide.numpy())
    np.testing.assert_array_equal(jit(lambda x: f(x, axis=1))(x).numpy(), wide.numpy())


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min"])
def test_the_formula_of_other_namespaces_has_the_same_bits(name: str) -> None:
    f, op = FUNCTIONS[name][0], TABLE[f"cumulative_{name}"]
    for shape, axis in [((5,), 0), ((2, 2100), 1), ((40, 3), 0), ((3000, 1), 0), ((0, 2), 1), ((2, 0), 1)]:
        x = np.random.default_rng(0).uniform(0.97, 1.03, shape).astype("float32")
        for reverse in (False, True):
            want = f(nx.tensor(x), axis, reverse=reverse).numpy()
            assert op.eager is not None
            np.testing.assert_array_equal(op.eager(np, x, axis=axis, reverse=reverse), want)


def test_operands_of_any_layout() -> None:
    x = nx.tensor(np.arange(60.0).reshape(3, 4, 5))
    np.testing.assert_array_equal(
        nx.cumulative_sum(nx.permute_dims(x, (2, 1, 0))[::2, ::-1], axis=2).numpy(),
        np.cumsum(x.numpy().T[::2, ::-1], 2),
    )
    assert nx.cumulative_sum(nx.tensor(np.ones((2, 3)), names=["a", "b"]), "a").names == ("a", "b")
    assert x.cumulative_max(axis=0).shape == (3, 4, 5)


@pytest.mark.parametrize(
    ("given", "sums", "largest"),
    [("bool", "int32", None), ("int8", "int32", "int8"), ("uint8", "uint32", "uint8"), ("int64", "int64", "int64"),
     ("float16", "float16", "float16")],
)  # fmt: skip
def test_dtypes(given: str, sums: str, largest: str | None) -> None:
    x = nx.ones((200,), dtype=given)
    made = nx.cumulative_sum(x)
    assert (made.dtype.name, made[-1].item()) == (sums, 200) and nx.cumulative_prod(x).dtype.name == sums
    if largest is None:
        with pytest.raises(DTypeError, match="cumulative_max: expected dtypes"):
            nx.cumulative_max(x)
    else:
        assert nx.cumulative_max(x).dtype.name == largest
    assert nx.cumulative_logsumexp(x).dtype.name == (given if given == "float16" else "float32")


def test_a_dtype_that_is_asked_for() -> None:
    x = nx.tensor([200, 100], dtype="uint8")
    assert nx.cumulative_sum(x, dtype="uint8").tolist() == [200, 44]
    assert nx.cumulative_prod(x, dtype="float64").tolist() == [200.0, 20000.0]


def test_what_is_there_at_the_start() -> None:
    x = nx.tensor([[1, 2], [3, 4]])
    assert nx.cumulative_sum(x, axis=1, include_initial=True).tolist() == [[0, 1, 3], [0, 3, 7]]
    assert nx.cumulative_sum(x, axis=0, include_initial=True, reverse=True).tolist() == [[4, 6], [3, 4], [0, 0]]
    assert nx.cumulative_prod(x, axis=-1, include_initial=True).tolist() == [[1, 1, 2], [1, 3, 12]]
    assert nx.cumulative_sum(nx.zeros((0,)), include_initial=True).tolist() == [0.0]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_refusals(name: str) -> None:
    f = FUNCTIONS[name][0]
    for x, axis in ((nx.tensor(1.0), None), (nx.tensor(1.0), 0), (nx.ones((2, 3)), None), (nx.ones((2,)), 1)):
        with pytest.raises(ShapeError, match=f"cumulative_{name}: expected an axis"):
            f(x, axis)
    with pytest.raises(AxonError, match=f"cumulative_{name}: expected an axis named 'c'"):
        f(nx.ones((2, 3)), "c")


def jacobian(f: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    step = 1e-6
    return np.stack([(f(x + d) - f(x - d)) / (2 * step) for d in step * np.eye(len(x))], axis=-1)


POINTS = {
    "sum": [1.0, -2.0, 0.5], "prod": [2.0, 0.0, -1.5, 3.0, 0.0, 0.7], "max": [1.0, 3.0, 2.0, 5.0, 4.0],
    "min": [3.0, 4.0, 1.0, 2.0, -1.0], "logsumexp": [0.3, -40.0, 30.0, 31.0, -2.0],
}  # fmt: skip


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_first_and_second_derivatives(name: str, reverse: bool) -> None:
    f, x = FUNCTIONS[name][0], np.array(POINTS[name])
    weights = np.arange(1.0, len(x) + 1)

    def slope(x: Any) -> Any:
        return grad(lambda x: nx.sum(f(x, reverse=reverse) ** 2 * nx.tensor(weights)))(x)

    def value(x: np.ndarray) -> np.ndarray:
        return np.atleast_1d(np.sum(oracle(name, x, 0, reverse) ** 2 * weights))

    np.testing.assert_allclose(slope(nx.tensor(x)).numpy(), jacobian(value, x)[0], rtol=1e-5, atol=1e-5)
    want = jacobian(lambda x: slope(nx.tensor(x)).numpy(), x)
    for k, row in enumerate(want):
        made = jit(grad(lambda x, k=k: slope(x)[k]))(nx.tensor(x)).numpy()
        np.testing.assert_allclose(made, row, rtol=1e-4, atol=1e-4)


def test_of_equal_elements_the_first_has_the_gradient() -> None:
    x = nx.tensor([1.0, 1.0, 0.0, 2.0, 2.0])
    assert grad(lambda x: nx.sum(nx.cumulative_max(x)))(x).tolist() == [3.0, 0.0, 0.0, 2.0, 0.0]
    assert grad(lambda x: nx.sum(nx.cumulative_max(x, reverse=True)))(x).tolist() == [0.0, 0.0, 0.0, 0.0, 5.0]
    assert grad(lambda x: nx.sum(nx.cumulative_min(x)))(x).tolist() == [2.0, 0.0, 3.0, 0.0, 0.0]
    low = nx.full((3,), -float("inf"))
    assert grad(lambda x: nx.sum(nx.cumulative_max(x)))(low).tolist() == [3.0, 0.0, 0.0]


def test_gradients_of_infinite_logarithms_are_finite() -> None:
    x = nx.tensor([-float("inf"), -float("inf"), 0.0, 1.0])
    made = grad(lambda x: nx.sum(nx.cumulative_logsumexp(x)[2:]))(x).numpy()
    np.testing.assert_allclose(made, [0, 0, 1 + 1 / (1 + np.e), np.e / (1 + np.e)], rtol=1e-6)


def test_gradients_of_halves_accumulate_in_float32() -> None:
    x = nx.ones((3000,), dtype="float16")
    made = grad(lambda x: nx.sum(nx.cumulative_prod(x), dtype="float32"))(x)
    np.testing.assert_array_equal(made.numpy(), np.arange(3000, 0, -1).astype("float16"))
