"""Derivatives of every row to second order, forward and reverse over each other, against finite differences, and the
places where gradients are a matter of convention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axon import nx, testing
from axon.defn import grad
from axon.graph.trace import trace
from axon.nx.core.op import Op, results_of
from axon.nx.core.tensor import TensorType

from tests import cases

SMOOTH = [op for op in cases.rows() if op.vjp is not None]


def row(op: Op, case: cases.Case) -> tuple[Callable[..., Any], list[np.ndarray]]:
    """The row over its float operands alone, and their values."""

    def f(*given: Any) -> Any:
        rest = iter(given)
        tensors = [next(rest) if a.dtype == np.float64 else nx.asarray(a) for a in case.args]
        function: Any = op.function
        made = function(tensors, **case.attrs) if op.name == "concat" else function(*tensors, **case.attrs)
        return results_of(made)[0]

    return f, [a for a in case.args if a.dtype == np.float64]


@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.name)
def test_derivatives_to_second_order(op: Op) -> None:
    checked = 0
    for case in cases.cases(op, nx.float64, special=False):
        if not all(a.size for a in case.args) or max((a.size for a in case.args), default=0) > 3000:
            continue
        if op.name == "pow":
            case = cases.Case(tuple(np.abs(a) + 0.1 for a in case.args), case.attrs)
        f, args = row(op, case)
        if f(*map(nx.asarray, args)).dtype is nx.float64:
            testing.check_grads(f, *args)
            checked += 1
    assert checked


@pytest.mark.parametrize("n", [0, 1, 2, 3, -1, -2])
def test_integer_powers_of_negative_numbers(n: int) -> None:
    f = lambda x: x**n  # noqa: E731
    testing.check_grads(f, np.array([-1.5, 2.0, -0.3]))


@pytest.mark.parametrize("index", [1, (slice(None, None, -1), slice(3, 0, -2)), (..., None, 0), ([2, 0, 2],)], ids=str)
def test_subscripts(index: Any) -> None:
    testing.check_grads(lambda x: x[index] * x[index], np.arange(12.0).reshape(3, 4))


SLICES = {
    "side by side": (lambda x: [x[:, 2:], x[:, :2]], ["concat"]),
    "with gaps": (lambda x: [x[3:4], x[0], x[1:2]], ["concat", "pad"]),  # the gap is the first part's padding
    "within": (lambda x: [x[1], x[2]], ["concat", "pad"]),
    "twice": (lambda x: [x[:2], x[2:], x[:2]], ["concat"]),
    "overlapping": (lambda x: [x[:3], x[2:]], ["pad", "pad"]),
    "along two axes": (lambda x: [x[:2, :2], x[2:, 2:]], ["pad", "pad"]),
    "with steps": (lambda x: [x[::2], x[1::2]], ["pad", "pad"]),
    "and the whole": (lambda x: [x[:2], x, x[2:]], ["concat"]),
    "alone": (lambda x: [x[1:3]], ["pad"]),
    "of none": (lambda x: [x[:0], x], ["pad"]),
}


@pytest.mark.parametrize("name", SLICES)
def test_gradients_of_slices_are_put_side_by_side(name: str) -> None:
    parts, moved = SLICES[name]
    f = lambda x: sum((nx.sum(p * p * (k + 2.0)) for k, p in enumerate(parts(x))), nx.tensor(0.0))  # noqa: E731
    testing.check_grads(f, np.arange(12.0).reshape(4, 3))
    nodes = trace(grad(f), (TensorType(nx.float64, (4, 3)),)).graph.nodes
    assert sorted(n.op.name for n in nodes if n.op.name in ("concat_", "concat", "pad_", "pad")) == moved


@pytest.mark.parametrize("x", [[[2.0, 0.0, 3.0], [1.0, 2.0, 4.0]], [[2.0, 0.0, 0.0], [0.0, 1.0, 5.0]]])
def test_products_with_zeros(x: Any) -> None:
    testing.check_grads(lambda x: nx.prod(x, axis=1), np.array(x))


@pytest.mark.parametrize("f", [nx.sum, nx.prod, lambda x: nx.sum(nx.exp(x @ nx.ones((2, 3))))])
def test_empty_operands(f: Any) -> None:
    assert grad(f)(nx.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("f", [nx.max, nx.min])
def test_equal_extremes_share_the_gradient(f: Any) -> None:
    assert grad(f)(nx.tensor([2.0, 2.0])).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("f", [nx.maximum, nx.minimum])
def test_equal_operands_share_the_gradient(f: Any) -> None:
    both = grad(lambda x, y: nx.sum(f(x, y)), (0, 1))(nx.tensor([2.0]), nx.tensor([2.0]))
    assert [g.tolist() for g in both] == [[0.5], [0.5]]


@pytest.mark.parametrize(
    ("f", "at", "expected"), [(nx.abs, 0.0, 0.0), (nx.sign, 0.5, 0.0), (lambda x: nx.clip(x, -1.0, 1.0), 0.5, 1.0)]
)
def test_kinks(f: Any, at: float, expected: float) -> None:
    assert grad(f)(nx.tensor(at)).item() == expected
