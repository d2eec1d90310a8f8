"""Sorting by value against Python's own, eagerly and compiled; and what a row of two results is to all that see it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import axon
import numpy as np
import pytest
from axon import nx
from axon.compiler.decompose import decompose
from axon.defn import grad, jit
from axon.errors import ShapeError
from axon.graph.expr import Builder, Graph
from axon.graph.trace import trace
from axon.graph.verify import verify
from axon.nx.core.call import call
from axon.nx.core.kinds import WINDOW
from axon.nx.core.op import Inference, Op
from axon.nx.core.tensor import Tensor

DTYPES = ["bool", "int8", "uint64", "float16", "bfloat16", "float32", "float64"]


def values(dtype: str) -> np.ndarray:
    rng = np.random.default_rng(3)
    x = rng.integers(0, 5, (4, 3, 37))  # many equal ones
    if "float" not in dtype:
        return nx.tensor(x, dtype).numpy()
    odd = rng.choice([0.0, -0.0, np.nan, np.inf, -np.inf], x.shape)
    return nx.tensor(np.where(rng.random(x.shape) < 0.3, odd, x / 2), dtype).numpy()


def sorted_indices(line: list[Any], descending: bool) -> list[int]:
    """Python's sort is stable; NaN is the largest."""
    sign = -1 if descending else 1
    keys = [(sign * math.isnan(v), 0 if math.isnan(v) else sign * v) for v in map(float, line)]
    return sorted(range(len(line)), key=keys.__getitem__)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("run", [lambda f: f, jit], ids=["eager", "jit"])
def test_values_and_indices(dtype: str, descending: bool, run: Callable[..., Any]) -> None:
    x = values(dtype)
    for axis in (0, -1):
        order = np.apply_along_axis(lambda line: sorted_indices(line.tolist(), descending), axis, x.astype("float64"))
        both = lambda t, a=axis: (nx.sort(t, a, descending=descending), t.argsort(a, descending=descending))  # noqa: E731
        found = run(both)(nx.tensor(x))
        assert [t.dtype for t in found] == [nx.tensor(x).dtype, nx.int32]
        np.testing.assert_array_equal(found[1].numpy(), order)
        wanted = np.take_along_axis(x, order, axis)
        assert found[0].numpy().tobytes() == wanted.tobytes()  # signs of zeros, too


def test_names_stay() -> None:
    x = nx.tensor([[2, 1]], names=["row", None])
    assert nx.sort(x).names == nx.argsort(x, "row").names == ("row", None)


def test_a_number_has_no_axis_to_sort() -> None:
    with pytest.raises(ShapeError, match=r"sort: expected an axis in \[0, 0\), got -1 for float32\[\]"):
        nx.sort(1.0)


@pytest.mark.parametrize("compiler", ["native", "evaluate"])
def test_elements_have_the_gradients_of_their_places(compiler: str) -> None:
    x, g = nx.tensor([[3.0, 1.0, 2.0], [0.0, 0.0, -1.0]]), nx.tensor([10.0, 20.0, 30.0])
    f = jit(grad(lambda t: (nx.sort(t, descending=True) * g).sum()), compiler=compiler)
    assert f(x).tolist() == [[10.0, 30.0, 20.0], [10.0, 20.0, 30.0]]


def test_both_results_are_of_one_node() -> None:
    made = trace(lambda x: (nx.sort(x), nx.argsort(x), nx.sort(x, descending=True)), (nx.template(5),)).graph
    verify(made)
    assert [len(n.types) for n in made.nodes if n.op.name == "sort"] == [2, 2]
    with axon.debug():
        assert jit(lambda x: nx.argsort(x))(nx.tensor([2.0, 1.0])).tolist() == [1, 0]


def test_a_builder_gives_every_result() -> None:
    builder = Builder()
    x = builder.input(nx.template((2, 3)))
    placed = builder.results("sort", x, axis=-1, descending=False)
    assert [str(v.type) for v in placed] == ["float32[2,3]", "int32[2,3]"]
    verify(Graph((x,), placed))
    with pytest.raises(ValueError, match="too many values"):
        builder.apply("sort", x, axis=-1, descending=False)


def test_an_expansion_gives_what_its_row_gives() -> None:
    """In eager code, and where a graph is decomposed."""

    def infer(types: Any, attrs: Any) -> Inference:
        return Inference((types[0].dtype,), (types[0], types[0]._replace(dtype=nx.bool)), {})

    def expand(x: Tensor) -> tuple[Tensor, Tensor]:
        return x * 2, x > 1

    op = Op(name="halves", kind=WINDOW, infer=infer, expand=expand)
    doubled, larger = call(op, (nx.tensor([1, 2]),), {})
    assert (doubled.tolist(), larger.tolist()) == ([2, 4], [False, True])
    graph = decompose(trace(lambda x: call(op, (x,), {}), (nx.template(2),)).graph)
    verify(graph)
    assert [v.node.op.name for v in graph.outputs] == ["multiply", "greater"]
