"""associative_scan against one slice after the other: functions that do not commute, trees, any length, gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axon import nx
from axon.defn import associative_scan, grad, jit
from axon.errors import ShapeError, TraceError

RUNS = {"eager": lambda f: f, "native": jit, "evaluate": lambda f: jit(f, compiler="evaluate")}


def affine(a: Any, b: Any) -> Any:
    """One after the other, x -> scale x + shift."""
    return {"scale": b["scale"] * a["scale"], "shift": b["scale"] * a["shift"] + b["shift"]}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 7, 8, 33])
def test_a_recurrence(n: int, reverse: bool, run: str) -> None:
    rng = np.random.default_rng(n)
    xs = {"scale": rng.uniform(0.5, 1.5, (2, n)), "shift": rng.standard_normal((2, n))}
    made = RUNS[run](lambda t: associative_scan(affine, t, axis=1, reverse=reverse))(
        {k: nx.tensor(v) for k, v in xs.items()}
    )
    total = {"scale": np.ones(2), "shift": np.zeros(2)}
    for i in range(n)[::-1] if reverse else range(n):
        total = affine(total, {k: v[:, i] for k, v in xs.items()})
        for k in xs:
            np.testing.assert_allclose(made[k].numpy()[:, i], total[k], rtol=1e-12)
    assert made["scale"].shape == (2, n)


@pytest.mark.parametrize("n", [1, 5, 12])
def test_products_of_matrices(n: int) -> None:
    x = np.random.default_rng(0).standard_normal((n, 3, 3))
    made, want = associative_scan(nx.matmul, nx.tensor(x)).numpy(), np.eye(3)
    for got, m in zip(made, x):
        want = want @ m
        np.testing.assert_allclose(got, want, rtol=1e-10)


def test_the_depth_is_logarithmic() -> None:
    calls = []

    def f(a: Any, b: Any) -> Any:
        calls.append(a.shape[0])
        return a + b

    assert associative_scan(f, nx.arange(1000)).tolist() == np.cumsum(np.arange(1000)).tolist()
    assert len(calls) <= 2 * 10 and sum(calls) < 2000


def test_gradients_are_those_of_the_composition() -> None:
    x, w = nx.tensor([1.5, -2.0, 0.0, 3.0, 0.5]), nx.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    made = jit(grad(lambda x: nx.sum(w * associative_scan(lambda a, b: a * b, x))))(x)
    want = grad(lambda x: nx.sum(w * nx.cumulative_prod(x)))(x)
    np.testing.assert_allclose(made.numpy(), want.numpy(), rtol=1e-6)


def test_axes_by_name_and_from_the_end() -> None:
    x = nx.tensor(np.arange(6.0).reshape(2, 3), names=["a", "b"])
    for axis in ("b", -1, 1):
        made = associative_scan(lambda a, b: a + b, x, axis=axis)
        assert made.names == ("a", "b") and made.tolist() == np.cumsum(x.numpy(), 1).tolist()
    assert associative_scan(lambda a, b: a, {}) == {}
    assert associative_scan(lambda a, b: a | b, nx.tensor([False, True, False])).tolist() == [False, True, True]


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no function": (lambda: associative_scan(1, nx.ones(3)), TraceError, "expected f to be a function"),  # type: ignore[arg-type]
    "rank 0": (lambda: associative_scan(max, nx.tensor(1.0)), ShapeError, r"associative_scan: xs: expected an axis"),
    "sizes": (
        lambda: associative_scan(max, {"a": nx.ones(3), "b": nx.ones(4)}), ShapeError, r"xs at b: expected 3 slices",
    ),
    "containers": (lambda: associative_scan(lambda a, b: (a, b), nx.ones(3)), TraceError, "what f returns"),
    "dtype": (lambda: associative_scan(lambda a, b: a > b, nx.ones(3)), TraceError, r"float32\[1\], got bool\[1\]"),
    "shape": (lambda: associative_scan(lambda a, b: nx.sum(a), nx.ones(3)), TraceError, "broadcast or reshape"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str) -> None:
    call, error, text = REFUSED[case]
    with pytest.raises(error, match=text):
        call()
