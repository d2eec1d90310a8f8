"""The Graph verifier: each rule refuses a graph that breaks it, and its text says how; what tracing makes passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from axon import nx
from axon.compiler import pipeline
from axon.defn import checkpoint, cond, custom_grad, grad, jit, scan, while_loop
from axon.defn.branches import COND
from axon.defn.checkpoints import CHECKPOINT
from axon.defn.custom import CUSTOM_GRAD
from axon.defn.loops import WHILE
from axon.defn.scans import SCAN
from axon.dtypes import bool_, float32, float64, int32
from axon.errors import CompileError
from axon.graph.expr import CALL, INPUT, Builder, Graph, Node, Value
from axon.graph.regions import Region
from axon.graph.trace import trace
from axon.graph.verify import verify
from axon.nx.core.op import TABLE
from axon.nx.core.tensor import TensorType

F = TensorType(float32, (3,))
MATRIX = TensorType(float32, (2, 3))
INDEX = TensorType(int32, ())
BOOL = TensorType(bool_, ())


def node(name: str, inputs: Sequence[Value], *types: TensorType, **attrs: Any) -> Value:
    """The first result of a node that nothing has checked."""
    return Value(Builder().node(TABLE[name], tuple(inputs), attrs, types), 0)


def inputs(*types: TensorType) -> list[Value]:
    builder = Builder()
    return [builder.input(t) for t in types]


def region(given: Sequence[TensorType], made: Sequence[TensorType]) -> Graph:
    """A graph of these types: inputs, where they fit, or zeros."""
    builder = Builder()
    own = [builder.input(t) for t in given]
    zeros = [
        builder.apply("broadcast_to", builder.apply("literal", value=0, dtype=t.dtype), shape=t.shape) for t in made
    ]
    return Graph(own, zeros)


def call(kind: Region, given: Sequence[TensorType], regions: Sequence[Graph], **attrs: Any) -> Graph:
    """A graph of one region node, whose results are what inference makes of its regions."""
    own = inputs(*given)
    attrs = {"kind": kind, "regions": tuple(regions), **attrs}
    types = CALL.infer(given, attrs).out
    made = Builder().node(CALL, tuple(own), attrs, types)
    return Graph(own, [Value(made, i) for i in range(len(types))])


def reordered(graph: Graph) -> Graph:
    graph.nodes = graph.nodes[::-1]
    return graph


def shortened(graph: Graph) -> Graph:
    graph.nodes = graph.nodes[:-1]
    return graph


def doubled(graph: Graph) -> Graph:
    graph.nodes = (*graph.nodes, graph.nodes[-1])
    return graph


(X,) = inputs(F)
(Y,) = inputs(F)
(M,) = inputs(MATRIX)
TANH = node("tanh", [X], F)
LITERAL = node("literal", [], TensorType(float32, ()), value=1.0, dtype=float32)

WRONG: dict[str, tuple[Callable[[], Graph], str]] = {
    "an input that is computed": (lambda: Graph([TANH], []), "graph: expected an input node as input 0, got result 0"),
    "an input twice": (lambda: Graph([X, X], [X]), "graph: expected inputs that differ, got one twice"),
    "an input of no graph": (lambda: Graph([Y], [TANH]), r"node 1 \(input\): expected an input of the graph"),
    "users before operands": (
        lambda: reordered(Graph([X], [TANH])),
        r"graph, node 0 \(tanh\): expected operands that earlier nodes define, got result 0 of <input float32\[3\]>",
    ),
    "a result that a node lacks": (
        lambda: Graph([X], [node("tanh", [Value(TANH.node, 1)], F)]),
        "expected operands that earlier nodes define, got result 1 of <tanh",
    ),
    "an output that a node lacks": (
        lambda: Graph([X], [TANH, Value(TANH.node, 1)]), "graph: expected output 1 to be the value of a node",
    ),
    "an output of no node": (lambda: shortened(Graph([X], [TANH])), "expected output 0 to be the value of a node"),
    "a node twice": (lambda: doubled(Graph([X], [TANH])), r"node 2 \(tanh\): expected each expression once"),
    "an expression twice": (
        lambda: Graph([X], [TANH, node("tanh", [X], F)]), r"node 2 \(tanh\): expected each expression once",
    ),
    "another dtype than the row's": (
        lambda: Graph([X], [node("tanh", [X], TensorType(float64, (3,)))]),
        r"expected results of types float32\[3\], got float64\[3\]",
    ),
    "another shape than the row's": (
        lambda: Graph([X], [node("tanh", [X], TensorType(float32, (4,)))]),
        r"expected results of types float32\[3\], got float32\[4\]",
    ),
    "a result too many": (
        lambda: Graph([X], [node("tanh", [X], F, F)]),
        r"expected results of types float32\[3\], got float32\[3\], float32\[3\]",
    ),
    "a result too few": (
        lambda: Graph([X], [node("sort", [X], F, axis=0, descending=False)]),
        r"expected results of types float32\[3\], int32\[3\], got float32\[3\]",
    ),
    "results in another order": (
        lambda: Graph([X], [node("sort", [X], TensorType(int32, (3,)), F, axis=0, descending=False)]),
        r"expected results of types float32\[3\], int32\[3\], got int32\[3\], float32\[3\]",
    ),
    "operands of two dtypes": (
        lambda: Graph(own := inputs(F, TensorType(float64, (3,))), [node("add", own, TensorType(float64, (3,)))]),
        r"expected operands of types float64\[3\], float64\[3\], got float32\[3\], float64\[3\]",
    ),
    "operands that broadcast": (
        lambda: Graph([M, X], [node("add", [M, X], MATRIX)]),
        r"expected operands of types float32\[2,3\], float32\[2,3\], got float32\[2,3\], float32\[3\]",
    ),
    "operands that the row refuses": (
        lambda: Graph([M, X], [node("dot_general", [M, X], F, contract=((0,), (0,)), batch=((), ()))]),
        r"expected operands and attributes that the row takes, got float32\[2,3\], float32\[3\] \(dot_general: exp",
    ),
    "an attribute too many": (
        lambda: Graph([X], [node("tanh", [X], F, axis=0)]), "expected operands and attributes that the row takes, got",
    ),
    "attributes not in normal form": (
        lambda: Graph([M], [node("sum", [M], TensorType(float32, (2,)), axis=(-1,), keepdims=False)]),
        r"expected attributes \{'axis': \(1,\), 'keepdims': False\}, got",
    ),
    "a cond without an index": (
        lambda: call(COND, [F], [region([], [F])]), r"expected an index of types int32\[\], got float32\[3\]",
    ),
    "a branch of other inputs": (
        lambda: call(COND, [INDEX, F], [region([F], [F]), region([MATRIX], [F])]),
        r"expected inputs of branch 1 of types float32\[3\], got float32\[2,3\]",
    ),
    "a branch of other results": (
        lambda: call(COND, [INDEX, F], [region([F], [F]), region([F], [INDEX])]),
        r"expected results of branch 1 of types float32\[3\], got int32\[\]",
    ),
    "a condition that is no bool": (
        lambda: call(WHILE, [F], [region([F], [INDEX]), region([F], [F])], carry=1),
        r"expected the result of the condition of types bool\[\], got int32\[\]",
    ),
    "a condition of other inputs": (
        lambda: call(WHILE, [F], [region([], [BOOL]), region([F], [F])], carry=1),
        r"expected inputs of the condition of types float32\[3\], got none",
    ),
    "a body of other inputs": (
        lambda: call(WHILE, [F], [region([F], [BOOL]), region([INDEX], [F])], carry=1),
        r"expected inputs of the body of types float32\[3\], got int32\[\]",
    ),
    "a carry that changes": (
        lambda: call(WHILE, [F], [region([F], [BOOL]), region([F], [MATRIX])], carry=1),
        r"expected a carry of types float32\[3\], got float32\[2,3\]",
    ),
    "a scan's carry that changes": (
        lambda: call(SCAN, [F], [region([F], [INDEX])], carry=1, xs=0, length=2, reverse=False),
        r"expected a carry of types float32\[3\], got int32\[\]",
    ),
    "rows of another number": (
        lambda: call(SCAN, [F, MATRIX], [region([F, F], [F])], carry=1, xs=1, length=4, reverse=False),
        r"expected operands of types float32\[3\], float32\[4,3\], got float32\[3\], float32\[2,3\]",
    ),
    "a backward region without cotangents": (
        lambda: call(CUSTOM_GRAD, [F], [region([F], [F]), region([F], [F])], arguments=1),
        r"expected inputs of the backward region of types float32\[3\], float32\[3\], got float32\[3\]",
    ),
    "a forward region of other inputs": (
        lambda: call(CUSTOM_GRAD, [F], [region([], [F]), region([F, F], [F])], arguments=1),
        r"expected inputs of the forward region of types float32\[3\], got none",
    ),
    "a gradient of another type": (
        lambda: call(CUSTOM_GRAD, [F], [region([F], [F]), region([F, F], [MATRIX])], arguments=1),
        r"expected gradients of types float32\[3\], got float32\[2,3\]",
    ),
    "a block of other inputs": (
        lambda: call(CHECKPOINT, [F], [region([INDEX], [F])]),
        r"expected inputs of the body of types float32\[3\], got int32\[\]",
    ),
    "a region node with regions missing": (
        lambda: call(CUSTOM_GRAD, [F], [region([F], [F])], arguments=1),
        "expected operands and attributes that the row takes, got",
    ),
    "a wrong graph in a region": (
        lambda: call(CHECKPOINT, [F], [Graph([X], [node("tanh", [X], MATRIX)])]),
        r"graph, node 1 \(call\), region 0, node 1 \(tanh\): expected results of types",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_graph_is_refused(what: str) -> None:
    make, text = WRONG[what]
    with pytest.raises(CompileError, match=text + ".*; the pass before wrote a wrong graph"):
        verify(make())


def test_equal_inputs_effects_and_signed_zeros_are_several_nodes() -> None:
    first, second = (Value(Node(INPUT, (), {"number": 0, "type": F}, (F,), ""), 0) for _ in range(2))
    zeros = trace(lambda: (nx.tensor(0.0) * 1, nx.tensor(-0.0) * 1), ()).graph
    verify(Graph([first, second], [first, second]))
    verify(zeros)


@custom_grad
def cubed(x: Any) -> Any:
    return x**3, lambda g: g * 3 * x * x


TRACED: dict[str, tuple[Callable[..., Any], Sequence[TensorType]]] = {
    "names": (lambda x: nx.sum(x * 2, axis="a") + 1, [TensorType(float32, (2, 3), ("a", "b"))]),
    "cond": (lambda x: cond(nx.sum(x) > 0, lambda v: v + x, lambda v: v * 2, x), [F]),
    "while": (lambda x: while_loop(lambda v: nx.sum(v) < 9, lambda v: v + x + 1, x), [F]),
    "scan": (lambda x, m: scan(lambda c, row: (c + row * x, nx.sum(c)), x, m), [F, MATRIX]),
    "checkpoint": (lambda x: grad(lambda v: nx.sum(checkpoint(nx.tanh)(v)))(x), [F]),
    "custom_grad": (lambda x: grad(lambda v: nx.sum(cubed(v)))(x) + cubed(x), [F]),
}


@pytest.mark.parametrize("what", TRACED)
def test_what_is_traced_is_a_graph(what: str) -> None:
    function, types = TRACED[what]
    verify(trace(function, tuple(types)).graph)


def test_graphs_are_verified_between_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "simplify", lambda graph: Graph(graph.inputs, [node("tanh", graph.inputs, MATRIX)]))
    with pytest.raises(CompileError, match=r"graph, node 1 \(tanh\): expected results of types float32\[3\], got"):
        jit(nx.exp).lower(F).kernels()
