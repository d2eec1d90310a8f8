"""The evaluator: values die after their last use, results own their memory, dead results of several are dropped."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from axon import config, nx
from axon.defn.evaluate import Evaluate, Tape
from axon.graph.trace import trace

N = 1 << 18
MIB = N * 4


def test_values_die_after_their_last_use() -> None:
    def f(x: nx.Tensor) -> nx.Tensor:
        for _ in range(12):
            x = nx.exp(x) - x
        return x

    graph = trace(f, (nx.template(N),)).graph
    plan, x = Tape(graph), nx.zeros(N)
    tracemalloc.start()
    try:
        plan.run(x.backend, [x])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(graph.nodes) == 25
    assert peak < 4.5 * MIB  # x, exp(x), the difference; and what NumPy needs to settle a dtype


@pytest.mark.parametrize(
    "f", [lambda x: x, lambda x: nx.reshape(x, (2, 2)), lambda x: x[1:], lambda x: nx.stop_grad(x)], ids=range(4)
)
def test_results_own_their_memory(f: object) -> None:
    graph = trace(f, (nx.template(4),)).graph  # type: ignore[arg-type]
    borrowed = np.zeros(4, "float32")
    (made,) = Evaluate().compile(graph, donate=(False,), label="f")((borrowed,))
    assert not np.shares_memory(made, borrowed)


def test_one_value_may_be_several_results_and_an_input() -> None:
    graph = trace(lambda x: (x, x, x + 1, x), (nx.template(()),)).graph
    backend = config.lookup("backend", "numpy")
    made = Tape(graph).run(backend, [nx.tensor(1.0)])
    assert [t.item() for t in made] == [1, 1, 2, 1]


def test_graphs_without_inputs() -> None:
    graph = trace(lambda: (nx.ones(2), 3), ()).graph
    made = Evaluate().compile(graph, donate=(), label="f")(())
    assert [m.tolist() for m in made] == [[1, 1], 3]


def test_checks_see_each_node_once_and_in_order() -> None:
    seen: list[str] = []
    graph = trace(lambda x: nx.tanh(nx.exp(x) * 2), (nx.template(()),)).graph
    x = nx.tensor(0.5)
    Tape(graph).run(x.backend, [x], lambda node, args, results: seen.append(node.op.name))
    assert seen == ["exp", "literal", "multiply", "tanh"]
