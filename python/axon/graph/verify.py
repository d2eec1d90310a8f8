"""The Graph verifier: every rule of the Graph IR, one clear error each. Passes are checked with it in tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from ..errors import AxonError, CompileError
from ..exact import exact
from ..nx.core.tensor import TensorType
from .expr import CALL, INPUT, Graph, Node, Value, values_of


def verify(graph: Graph, typed: set[Node] | None = None) -> None:
    """Raise CompileError if a graph or one of its regions breaks a rule of the IR.

    typed: nodes whose own types are known to be right, which others then join: passes keep most nodes.
    """
    Verifier(graph, "graph", set() if typed is None else typed).run()


class Verifier:
    """Walks a graph with the values that are defined."""

    def __init__(self, graph: Graph, where: str, typed: set[Node]) -> None:
        self.graph, self.where, self.typed = graph, where, typed
        self.known: set[Value] = set()
        self.expressions: set[Any] = set()

    def fail(self, expected: str, got: object) -> NoReturn:
        raise CompileError(f"{self.where}: expected {expected}, got {got}; the pass before wrote a wrong graph")

    def check(self, holds: object, expected: str, got: object) -> None:
        if not holds:
            self.fail(expected, got)

    def run(self) -> None:
        graph, outer = self.graph, self.where
        for k, value in enumerate(graph.inputs):
            self.check(value.node.op is INPUT and value.index == 0, f"an input node as input {k}", shown(value))
        given = set(graph.inputs)
        self.check(len(given) == len(graph.inputs), "inputs that differ", "one twice")
        for k, node in enumerate(graph.nodes):
            self.where = f"{outer}, node {k} ({node.op.name}{f' at {node.source}' if node.source else ''})"
            for value in node.inputs:
                if value not in self.known:
                    self.fail("operands that earlier nodes define", shown(value))
            if node.op is INPUT:
                self.check(Value(node, 0) in given, "an input of the graph", "another one")
            self.once(node)
            if node not in self.typed:
                self.check_types(node)
                self.typed.add(node)
            for r, region in enumerate(node.attrs["regions"] if node.op is CALL else ()):
                Verifier(region, f"{self.where}, region {r}", self.typed).run()
            self.known.update(values_of(node))
        self.where = outer
        acting = [node for node in graph.nodes if node.acts]
        self.check(acting == list(graph.effects), "the effects to be the nodes that act, in order", graph.effects)
        for k, value in enumerate((*graph.inputs, *graph.outputs)):
            what = "input" if k < len(graph.inputs) else f"output {k - len(graph.inputs)}"
            self.check(value in self.known, f"{what} to be the value of a node", shown(value))

    def once(self, node: Node) -> None:
        """Equal expressions are one node, which stands once. Inputs and effects are never merged."""
        apart = node.op is INPUT or node.acts
        key = node if apart else (node.op, node.inputs, attributes(node.attrs), node.types)
        self.check(key not in self.expressions, "each expression once", "it again")
        self.expressions.add(key)

    def check_types(self, node: Node) -> None:
        """Operands, attributes and results are what the row's inference settles, but for names, which passes drop."""
        types = [v.type for v in node.inputs]
        try:
            settled = node.op.infer(types, dict(node.attrs))
            agreements = list(node.attrs["kind"].agreements(node)) if node.op is CALL else []
        except (AxonError, LookupError, TypeError, ValueError) as error:
            self.fail("operands and attributes that the row takes", f"{listed(types)} ({error})")
        if attributes(settled.attrs) != attributes(node.attrs):
            self.fail(f"attributes {settled.attrs}", node.attrs)
        agreements += [
            ("operands", [TensorType(d, t.shape) for d, t in zip(settled.operands, types)], types),
            ("results", settled.out, node.types),
        ]
        if node.op.kind.pointwise:
            agreements.append(("operands", [TensorType(t.dtype, settled.out[0].shape) for t in types], types))
        for what, wanted, got in agreements:
            if unnamed(wanted) != unnamed(got):
                self.fail(f"{what} of types {listed(wanted)}", listed(got))


def attributes(attrs: Mapping[str, Any]) -> frozenset[Any]:
    """Attributes as a value that tells apart what programs do (signed zeros, kinds of numbers)."""
    return frozenset((name, exact(value)) for name, value in attrs.items())


def unnamed(types: Iterable[TensorType]) -> list[Any]:
    return [(t.dtype, t.shape) for t in types]


def listed(types: Iterable[TensorType]) -> str:
    return ", ".join(map(str, types)) or "none"


def shown(value: Value) -> str:
    return f"result {value.index} of {value.node!r}"
