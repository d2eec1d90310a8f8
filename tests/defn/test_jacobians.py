"""Jacobians and Hessians: values against closed forms, in both modes, over trees, arguments and compilers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from axon import nx, tree
from axon.defn import custom_grad, grad, hessian, hvp, jacfwd, jacobian, jacrev, while_loop
from axon.errors import GradientError
from axon.nx import Tensor

A = np.arange(6.0).reshape(2, 3) - 2
X = np.array([0.3, -0.7, 1.1])


def close(made: Any, expected: Any) -> None:
    found, structure = tree.flatten(made)
    for a, b in zip(found, tree.flatten_like(structure, expected), strict=True):
        assert a.shape == np.shape(b)
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("mode", [jacfwd, jacrev, jacobian])
def test_jacobians(run: Any, mode: Any) -> None:
    slopes = 1 - np.tanh(A @ X) ** 2
    close(run(mode(lambda x: nx.tanh(nx.tensor(A) @ x)), nx.tensor(X)), slopes[:, None] * A)
    by_matrix = np.einsum("ij,k->ijk", np.diag(slopes), X)
    close(run(mode(lambda a, x: nx.tanh(a @ x)), nx.tensor(A), nx.tensor(X)), by_matrix)


@pytest.mark.parametrize("mode", [jacfwd, jacrev, jacobian])
def test_trees_and_arguments(run: Any, mode: Any) -> None:
    def f(p: Any, x: Any, *, k: Any) -> Any:
        return [p["a"] * x.sum() * k, p["b"][0] + p["a"][:1]], {"n": x.size}

    p, x, k = {"a": nx.tensor(X), "b": (nx.tensor(A),)}, nx.tensor([1.0, 2.0], nx.float64), nx.tensor(2.0, nx.float64)
    made, aux = run(lambda p, x, k: mode(f, (0, "k"), has_aux=True)(p, x, k=k), p, x, k)
    assert aux["n"].item() == 2
    first = ({"a": np.eye(3) * 6, "b": (np.zeros((3, 2, 3)),)}, X * 3)
    ones = np.zeros((2, 3, 3))
    ones[..., 0] = 1
    second = ({"a": ones, "b": (np.einsum("ik,jl->ijkl", np.eye(2), np.eye(3)),)}, np.zeros((2, 3)))
    close(made, [first, second])


def test_jacobian_takes_the_mode_of_fewer_runs() -> None:
    @custom_grad
    def clipped(x: Tensor) -> Any:  # has no forward mode
        return x, lambda g: nx.clip(g, -1.0, 1.0)

    def doubled(x: Tensor) -> Tensor:  # has no reverse mode
        return while_loop(lambda c: c.sum() < 10, lambda c: c * 2, x)

    assert jacobian(lambda x: clipped(x).sum())(nx.ones(3)).tolist() == [1, 1, 1]
    assert jacobian(doubled)(nx.ones(2)).tolist() == [[8, 0], [0, 8]]
    with pytest.raises(GradientError, match="custom_grad"):
        jacfwd(lambda x: clipped(x).sum())(nx.ones(3))


@pytest.mark.parametrize("mode", [jacfwd, jacrev])
def test_empty_and_scalar(mode: Any) -> None:
    assert mode(nx.sin)(nx.zeros((0, 2))).shape == (0, 2, 0, 2)
    assert mode(lambda x: x * x)(3.0).item() == 6


def test_hessians(run: Any) -> None:
    f = lambda x: nx.sum(nx.sin(x) * x[0])  # noqa: E731
    expected = -np.diag(np.sin(X) * X[0])
    expected[0] += np.cos(X)
    expected[:, 0] += np.cos(X)
    close(run(hessian(f), nx.tensor(X)), expected)
    close(run(lambda x, v: hvp(f, x, v), nx.tensor(X), nx.tensor(A[0])), expected @ A[0])
    close(run(jacrev(jacfwd(f)), nx.tensor(X)), expected)


def test_hessians_of_trees(run: Any) -> None:
    f = lambda p, y: (nx.sum(p["w"] * p["w"] * p["b"]) * y, y)  # noqa: E731
    p, y = {"w": nx.tensor(X), "b": nx.tensor(2.0, nx.float64)}, nx.tensor(3.0, nx.float64)
    made, aux = run(lambda p, y: hessian(f, (0, 1), has_aux=True)(p, y), p, y)
    assert aux.item() == 3
    ww, wb, wy = np.eye(3) * 12, 6 * X, 4 * X
    by = (X * X).sum()
    close(made, ({"w": ({"w": ww, "b": wb}, wy), "b": ({"w": wb, "b": 0.0}, by)}, ({"w": wy, "b": by}, 0.0)))


def test_errors() -> None:
    with pytest.raises(GradientError, match=r"^jacfwd of \S+: expected float inputs, got int32\[\] as differentiated"):
        jacfwd(lambda n: n * 1.0)(nx.tensor(1))
    with pytest.raises(GradientError, match=r"^jacrev: expected float results, got int32\[\] at 1; return it through"):
        jacrev(lambda x: (x, nx.tensor(1)))(1.0)
    with pytest.raises(GradientError, match=r"^hessian: expected argnums among the 1 arguments given, got 1; pass it"):
        hessian(lambda x: x, 1)(1.0)
    with pytest.raises(GradientError, match=r"^hessian: expected a float scalar result, got float32\[2\]"):
        hessian(lambda x: x)(nx.ones(2))
    with pytest.raises(
        GradientError, match=r"^hvp: expected a tangent of float32\[2\] for argument 0, got float32\[3\]"
    ):
        hvp(lambda x: x.sum(), nx.ones(2), nx.ones(3))
    assert grad(lambda x: x)(1.0).item() == 1
