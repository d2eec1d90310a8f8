"""What is the same in all steps of a loop is computed before it, and gives the same values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from axon import nx
from axon.compiler.pipeline import hoisted
from axon.defn import cond, fori_loop, jit, scan, while_loop
from axon.graph.expr import CALL, Graph
from axon.graph.trace import trace

RNG = np.random.default_rng(0)
W, V, X = (nx.tensor(RNG.standard_normal(shape).astype("float32")) for shape in ((5, 7), (7, 5), (4, 5)))


def loop(body: Callable[[Any], Any]) -> Callable[[Any, Any, Any], Any]:
    return lambda w, v, x: scan(lambda c, _: (body((w, v, c)), None), x, length=3)[0]


# a loop over w [5, 7], v [7, 5] and a carry x [4, 5], and the ops that its body is left with
LOOPS: dict[str, tuple[Callable[..., Any], list[str]]] = {
    "elementwise": (loop(lambda t: t[2] @ nx.sin(t[0] @ t[1])), ["dot_general"]),
    "free in a kernel": (
        loop(lambda t: t[2] * t[0].T[0, :5]),
        ["broadcast_to", "multiply", "permute_dims", "slice", "squeeze"],
    ),
    "larger than its operands": (
        loop(lambda t: t[2] * (nx.sin(t[0][:4, :1]) * nx.cos(t[1][:1, :5]))),
        ["broadcast_to", "broadcast_to", "multiply", "multiply"],
    ),
    "transposed": (loop(lambda t: (t[2] @ t[1].T) @ t[0].T), ["dot_general", "dot_general"]),
    "upright": (loop(lambda t: (t[2] @ t[0]) @ t[1]), ["dot_general", "dot_general"]),
    "literals": (loop(lambda t: t[2] + 1.5), ["add", "broadcast_to", "literal"]),
    "a result of its own": (lambda w, v, x: scan(lambda c, _: (nx.cos(x), c), x, length=3), []),
    "a condition": (
        lambda w, v, x: while_loop(lambda c: c.sum() < nx.exp(w).sum(), lambda c: c + nx.exp(v).sum(), x),
        ["add", "broadcast_to", "less", "sum"],
    ),
    "in a branch": (
        loop(lambda t: cond(t[2].sum() > 0, lambda: nx.sin(t[2]), lambda: nx.sin(t[0][:4, :5]))),
        ["astype", "call", "greater", "literal", "sum"],
    ),
    "a loop in a loop": (
        loop(lambda t: fori_loop(0, 2, lambda i, c: c @ nx.sin(t[0] @ t[1]), t[2])),
        ["call", "literal"],
    ),
}


def traced(function: Callable[..., Any]) -> Graph:
    return hoisted(trace(function, (W.type, V.type, X.type)).graph)


def ops(graph: Graph) -> Iterator[str]:
    """The ops of the bodies of a graph's loop."""
    (node,) = [node for node in graph.nodes if node.op is CALL]
    for region in node.attrs["regions"]:
        yield from (n.op.name for n in region.nodes if n.op.name != "input")


@pytest.mark.parametrize("name", LOOPS)
def test_a_body_is_left_with_what_changes(name: str) -> None:
    function, left = LOOPS[name]
    assert sorted(ops(traced(function))) == left


def test_a_product_reads_upright_copies() -> None:
    (node,) = [node for node in traced(LOOPS["transposed"][0]).nodes if node.op is CALL]
    dots = [n for n in node.attrs["regions"][0].nodes if n.op.name == "dot_general"]
    assert [n.attrs["contract"] for n in dots] == [((1,), (0,))] * 2


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_values_are_the_evaluators(name: str, dtype: str) -> None:
    args = [t.astype(dtype) for t in (W, V, X)]
    native, evaluated = (jit(LOOPS[name][0], compiler=c)(*args) for c in ("native", "evaluate"))
    for a, b in zip(*([*t] if isinstance(t, tuple) else [t] for t in (native, evaluated)), strict=True):
        np.testing.assert_allclose(
            a.astype("float64").numpy(), b.astype("float64").numpy(), rtol=0.02 if dtype == "bfloat16" else 1e-5
        )


def test_a_loop_without_steps_computes_nothing_wrong() -> None:
    f = lambda w, x: scan(lambda c, _: (c @ nx.log(w @ w.T), None), x, length=0)[0]  # noqa: E731
    assert (jit(f)(W, X) == X).all()
