"""Tracing: what a graph holds, what it captures, and what a traced value refuses."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest
from axon import nx
from axon.defn import cond, grad, jit, scan
from axon.defn.evaluate import replay
from axon.errors import TraceError
from axon.graph.printing import text
from axon.graph.trace import trace
from axon.nx import Tensor

VECTOR = nx.template(3)


def test_equal_expressions_are_one_node() -> None:
    made = trace(lambda x: nx.exp(x) + nx.exp(x), (VECTOR,))
    assert [n.op.name for n in made.graph.nodes] == ["input", "exp", "add"]


def test_literals_of_one_value_are_one_and_signed_zeros_two() -> None:
    made = trace(lambda x: ((x + 2) * 2.0, (x + 0.0) * -0.0), (VECTOR,))
    assert [n.attrs["value"] for n in made.graph.nodes if n.op.name == "literal"] == [2.0, 0.0, -0.0]


def test_dead_code_is_not_in_the_graph() -> None:
    def f(x: Tensor) -> Tensor:
        nx.exp(x)
        return x + x

    assert [n.op.name for n in trace(f, (VECTOR,)).graph.nodes] == ["input", "add"]


def test_captured_tensors_become_inputs_once_each() -> None:
    w, b = nx.tensor([1.0, 2.0, 3.0]), nx.tensor(1.0)
    made = trace(lambda x: x * w + w + b, (VECTOR,))
    assert made.captured == (w, b)
    assert [str(t) for t in made.graph.input_types] == ["float32[3]", "float32[3]", "float32[]"]


def test_captured_numpy_arrays_become_inputs() -> None:
    made = trace(lambda x: x + np.ones(3, "float32"), (VECTOR,))
    assert made.captured[0].tolist() == [1, 1, 1]


def test_a_captured_array_is_one_input_however_often_it_is_used() -> None:
    array, other = np.ones(3, np.float32), np.ones(3, np.float32)

    def f(x: Tensor) -> Tensor:
        y = cond(nx.sum(x) > 0, lambda: x * array, lambda: x - array)
        return y * array + other

    made = trace(f, (VECTOR,))
    assert [np.shares_memory(t.numpy(), a) for t in made.captured for a in (array, other)] == [True, False, False, True]
    assert f(nx.tensor([1.0, 2.0, 3.0])).tolist() == jit(f)(nx.tensor([1.0, 2.0, 3.0])).tolist() == [2, 3, 4]


def test_structure_of_arguments_and_results() -> None:
    made = trace(lambda p, *, scale: {"y": p["w"] * scale, "n": None}, ({"w": VECTOR},), {"scale": nx.template(())})
    assert repr(made.structure) == "Structure({'y': *, 'n': None})"
    assert [str(t) for t in made.graph.input_types] == ["float32[3]", "float32[]"]


def test_leaves_that_are_no_types_are_passed_as_they_are() -> None:
    made = trace(lambda x, mode: x if mode == "keep" else -x, (VECTOR, "negate"))
    assert [n.op.name for n in made.graph.nodes] == ["input", "negative"]


def test_python_results_become_tensors() -> None:
    made = trace(lambda x: (1, 2.5, True, x), (VECTOR,))
    assert [str(t) for t in made.graph.output_types] == ["int32[]", "float32[]", "bool[]", "float32[3]"]


def test_nodes_know_the_users_line() -> None:
    made = trace(lambda x: nx.exp(x), (VECTOR,))
    assert made.graph.nodes[-1].source.startswith(f"{__file__}:")


def test_replay_into_a_trace_keeps_the_lines() -> None:
    inner = trace(lambda x: nx.exp(x), (VECTOR,))
    outer = trace(lambda x: replay(inner.graph, [x])[inner.graph.outputs[0]] * 2, (VECTOR,))
    assert outer.graph.nodes[1].source == inner.graph.nodes[1].source


def test_replay_over_concrete_tensors() -> None:
    made = trace(lambda x: nx.exp(x) - 1, (VECTOR,))
    x = nx.tensor([0.0, 1.0, 2.0])
    np.testing.assert_allclose(replay(made.graph, [x])[made.graph.outputs[0]].numpy(), np.exp(x.numpy()) - 1, rtol=1e-6)


def test_text_is_stable() -> None:
    made = trace(lambda x, w: nx.sum(nx.tanh(x * 2) + w, axis=0), (nx.template((2, 3)), VECTOR))
    assert text(made.graph) == "\n".join(
        [
            "graph(%0: float32[2,3], %1: float32[3])",
            "  %2 = literal(value=2.0, dtype=float32): float32[]",
            "  %3 = broadcast_to(%2, shape=(2, 3)): float32[2,3]",
            "  %4 = multiply(%0, %3): float32[2,3]",
            "  %5 = tanh(%4): float32[2,3]",
            "  %6 = broadcast_to(%1, shape=(2, 3)): float32[2,3]",
            "  %7 = add(%5, %6): float32[2,3]",
            "  %8 = sum(%7, axis=(0,), keepdims=False): float32[3]",
            "  return %8",
        ]
    )


def test_text_of_regions() -> None:
    made = trace(lambda x, w: scan(lambda c, r: (c + r * w, c), 0.0, x, reverse=True), (VECTOR, nx.template(())))
    assert text(made.graph).splitlines() == [
        "graph(%0: float32[3], %1: float32[])",
        "  %2 = literal(value=0.0, dtype=float32): float32[]",
        "  %3, %4 = call(%2, %0, %1, kind='scan', carry=1, xs=1, length=3, reverse=True): float32[], float32[3]",
        "    region 0(%0: float32[], %1: float32[], %2: float32[])",
        "      %3 = multiply(%1, %2): float32[]",
        "      %4 = add(%0, %3): float32[]",
        "      return %4, %0",
        "  return %3, %4",
    ]


def test_text_with_sources() -> None:
    lines = text(trace(lambda x: nx.exp(x), (VECTOR,)).graph, sources=True).splitlines()
    assert lines[1].startswith("  %1 = exp(%0): float32[3]  # ") and "test_trace.py:" in lines[1]


# What a traced value refuses


def test_if_on_a_traced_value() -> None:
    with pytest.raises(TraceError, match=r"value of bool\[\] \(made at .*test_trace.py:\d+\): .*nx.where or axon.cond"):
        trace(lambda x: x if nx.sum(x) > 0 else -x, (VECTOR,))


@pytest.mark.parametrize("use", [float, int, Tensor.numpy, Tensor.tolist], ids=lambda f: f.__name__)
def test_values_of_traced_tensors(use: Any) -> None:
    with pytest.raises(TraceError, match="expected a concrete tensor, got a traced one"):
        trace(lambda x: use(nx.sum(x)), (VECTOR,))


@pytest.mark.parametrize("use", [np.asarray, np.exp, np.mean], ids=lambda f: f.__name__)
def test_numpy_in_a_trace(use: Any) -> None:
    with pytest.raises(
        TraceError, match=r"^np\..*: expected an array, got a traced float32\[3\]: .* compiled .*; write nx fu"
    ):
        trace(lambda x: use(x), (VECTOR,))


def test_a_traced_value_has_a_repr() -> None:
    trace(lambda x: repr(x) and x, (VECTOR,))


def leak() -> Tensor:
    kept = []
    trace(lambda x: kept.append(x * 2) or x, (VECTOR,))
    return kept[0]


@pytest.mark.parametrize(
    "use",
    [
        lambda t: t + 1,
        lambda t: t + nx.tensor([1.0, 2.0, 3.0]),
        lambda t: nx.tensor([1.0, 2.0, 3.0]) + t,
        lambda t: t.numpy(),
        lambda t: trace(lambda x: x + t, (VECTOR,)),
        lambda t: jit(lambda x: x, compiler="evaluate")(t),
        lambda t: grad(lambda x: nx.sum(x * t))(nx.tensor([1.0, 2.0, 3.0])),
    ],
    ids=["alone", "with a tensor", "after a tensor", "numpy", "another trace", "jit", "grad"],
)
def test_a_value_that_outlives_its_trace(use: Any) -> None:
    with pytest.raises(TraceError, match=r"value of float32\[3\] \(made at .*kept from another trace"):
        use(leak())


def test_a_trace_that_fails_is_closed() -> None:
    kept: list[Tensor] = []

    def fails(x: Tensor) -> Tensor:
        kept.append(x * 2)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        trace(fails, (VECTOR,))
    with pytest.raises(TraceError, match="kept from another trace"):
        kept[0] + 1
    assert (nx.tensor(1.0) + 1).item() == 2


def test_a_value_of_an_outer_trace_is_captured_by_an_inner_one() -> None:
    def outer(x: Tensor) -> Tensor:
        inner = trace(lambda y: y * x + x, (VECTOR,))
        assert len(inner.captured) == 1
        return replay(inner.graph, [x, *inner.captured])[inner.graph.outputs[0]]

    assert [n.op.name for n in trace(outer, (VECTOR,)).graph.nodes] == ["input", "multiply", "add"]


def test_a_value_of_another_threads_trace_is_refused() -> None:
    made: list[Any] = []
    ready, done = threading.Event(), threading.Event()

    def other() -> None:
        trace(lambda x: made.append(x * 2) or ready.set() or (done.wait(10) and x), (VECTOR,))

    thread = threading.Thread(target=other)
    thread.start()
    try:
        assert ready.wait(10)
        with pytest.raises(TraceError, match="kept from another trace"):
            trace(lambda x: x + made[0], (VECTOR,))
    finally:
        done.set()
        thread.join()


def test_traces_leave_nothing_behind() -> None:
    captured = [nx.tensor([1.0, 2.0, 3.0])]
    gone = weakref.ref(captured[0])
    trace(lambda y: y + captured[0], (VECTOR,))
    captured.clear()
    gc.collect()
    assert gone() is None
