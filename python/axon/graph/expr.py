"""The Graph IR: tensor expressions. A node has a tuple of results; a value is (node, index). Nodes are interned in a
Builder, so inside one graph equal expressions are one node and identity is equality."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..exact import exact
from ..nx.core import kinds
from ..nx.core.op import TABLE, Inference, Op
from ..nx.core.tensor import TensorType


class Node:
    """One application of an op. Immutable. `source` is the user's line, and no part of identity; `exact` are the
    attributes as a key."""

    __slots__ = ("attrs", "exact", "inputs", "op", "source", "types")

    def __init__(
        self,
        op: Op,
        inputs: tuple[Value, ...],
        attrs: Mapping[str, Any],
        types: tuple[TensorType, ...],
        source: str,
        exact: tuple[Any, ...] = (),
    ) -> None:
        self.op, self.inputs, self.attrs, self.types, self.source = op, inputs, attrs, types, source
        self.exact = exact

    @property
    def acts(self) -> bool:
        """Whether it does something when it runs, itself or in a region: then it is neither merged nor left out."""
        return self.op.kind.effect or any(region.effects for region in self.attrs.get("regions", ()))

    def __repr__(self) -> str:
        return f"<{self.op.name} {', '.join(map(str, self.types))}>"


class Value(NamedTuple):
    """One result of a node."""

    node: Node
    index: int  # pyright: ignore[reportIncompatibleMethodOverride]

    @property
    def type(self) -> TensorType:
        return self.node.types[self.index]


def values_of(node: Node) -> list[Value]:
    """The values of a node."""
    return [Value(node, i) for i in range(len(node.types))]


class Graph:
    """Inputs (nodes of op `input`, in order), outputs, and effects: nodes that run whether anyone needs what they give
    or not, in this order. All that is read from outside is an input.

    `nodes` are all nodes that outputs and effects need, inputs included, operands before users.
    """

    __slots__ = ("effects", "inputs", "nodes", "outputs")

    def __init__(self, inputs: Sequence[Value], outputs: Sequence[Value], effects: Sequence[Node] = ()) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.effects = tuple(effects)
        self.nodes = sort((*(v.node for v in self.inputs), *self.effects, *(v.node for v in self.outputs)))

    def users(self) -> dict[Value, list[Node]]:
        """The nodes that read each value, in order."""
        found: dict[Value, list[Node]] = {}
        for node in self.nodes:
            for value in node.inputs:
                found.setdefault(value, []).append(node)
        return found

    @property
    def input_types(self) -> tuple[TensorType, ...]:
        return tuple(v.type for v in self.inputs)

    @property
    def output_types(self) -> tuple[TensorType, ...]:
        return tuple(v.type for v in self.outputs)


def sort(roots: Iterable[Node]) -> tuple[Node, ...]:
    """The nodes reachable from the roots, operands before users, without recursion."""
    done: dict[Node, None] = {}
    for root in roots:
        stack = [] if root in done else [root]
        while stack:
            node = stack[-1]
            pending = [v[0] for v in node.inputs if v[0] not in done]
            if pending:
                stack += pending[::-1]
            else:
                done[node] = None
                while stack and stack[-1] in done:
                    stack.pop()
    return tuple(done)


def _input_infer(operands: Sequence[Any], attrs: dict[str, Any]) -> Inference:
    return Inference((), (attrs["type"],), attrs)


INPUT = Op(name="input", kind=kinds.INPUT, infer=_input_infer)  # attrs: number (unique in its builder), type


def _call_infer(operands: Sequence[Any], attrs: dict[str, Any]) -> Inference:
    return Inference(tuple(t.dtype for t in operands), tuple(attrs["kind"].types(attrs)), attrs)


# The one node with regions; what each kind's inputs, regions and attributes are says docs/design/regions.md.
# attrs: kind (a row, see regions.py), regions (a tuple of Graphs), and the kind's own
CALL = Op(name="call", kind=kinds.REGION, infer=_call_infer)


class Builder:
    """Makes nodes, each expression once, and remembers those that act. The table belongs to the builder: no global
    state."""

    def __init__(self) -> None:
        self.effects: list[Node] = []
        self._interned: dict[Any, Node] = {}
        self._count = 0

    def input(self, type: TensorType) -> Value:
        """A new input, different from all others."""
        self._count += 1
        return Value(Node(INPUT, (), {"number": self._count - 1, "type": type}, (type,), ""), 0)

    def node(
        self,
        op: Op,
        inputs: tuple[Value, ...],
        attrs: Mapping[str, Any],
        types: tuple[TensorType, ...],
        source: str = "",
    ) -> Node:
        """The node of this expression; the source line of its first occurrence wins. Effects are never merged."""
        if op.kind.opaque and (made := Node(op, inputs, attrs, types, source)).acts:
            self.effects.append(made)
            return made
        key_attrs = tuple([(k, exact(v)) for k, v in attrs.items()])
        key = (op, inputs, key_attrs, types)
        found = self._interned.get(key)
        if found is None:
            found = self._interned[key] = Node(op, inputs, attrs, types, source, key_attrs)
        return found

    def keep(self, node: Node, inputs: tuple[Value, ...]) -> Node:
        """A node of another builder over new inputs: that node itself, where they are its own."""
        if node.op.kind.opaque and node.acts:
            return self.node(node.op, inputs, node.attrs, node.types, node.source)
        key = (node.op, inputs, node.exact, node.types)
        found = self._interned.get(key)
        if found is None:
            same = inputs == node.inputs
            found = node if same else Node(node.op, inputs, node.attrs, node.types, node.source, node.exact)
            self._interned[key] = found
        return found

    def results(self, name: str, *inputs: Value, **attrs: Any) -> tuple[Value, ...]:
        """A node by op name, types inferred by its row: how passes write expressions. Operands must have the dtypes
        and (elementwise) the shape that the row gives."""
        op = TABLE[name]
        settled = op.infer([v.type for v in inputs], attrs)
        node = self.node(op, inputs, settled.attrs, settled.out)
        return tuple([Value(node, i) for i in range(len(settled.out))])

    def apply(self, name: str, *inputs: Value, **attrs: Any) -> Value:
        """The value of a row of one result, as `results`."""
        (value,) = self.results(name, *inputs, **attrs)
        return value


def rewrite(
    graph: Graph,
    rule: Callable[[Builder, Node, tuple[Value, ...]], Sequence[Value] | None],
    builder: Builder | None = None,
    inputs: Sequence[Value] | None = None,
) -> Graph:
    """One sweep over the graph, operands first: rule(builder, node, new inputs) gives the values replacing the node's
    results, or None to keep it over its new inputs. `inputs` take the place of the graph's (to inline it)."""
    builder = builder or Builder()
    given = graph.inputs if inputs is None else inputs
    new: dict[Value, Value] = dict(zip(graph.inputs, given, strict=True))
    for node in graph.nodes:
        if node.op is INPUT:
            continue
        operands = tuple([new[v] for v in node.inputs])
        made = rule(builder, node, operands)
        if made is None:
            kept = builder.keep(node, operands)
            for i in range(len(node.types)):
                value = Value(node, i)
                new[value] = value if kept is node else Value(kept, i)
            continue
        for i, value in enumerate(made):
            new[Value(node, i)] = value
    return Graph(given, [new[v] for v in graph.outputs], builder.effects)


def cut(graph: Graph, inputs: Sequence[Value], values: Sequence[Value]) -> Graph:
    """The outputs of a graph by some of its inputs, and by values of it that depend on none of these."""
    builder = Builder()
    new = {v: v for v in inputs} | {v: builder.input(v.type) for v in values}
    for node in graph.nodes:
        results = values_of(node)
        if node.op is not INPUT and all(v in new for v in node.inputs) and not all(v in new for v in results):
            kept = builder.keep(node, tuple([new[v] for v in node.inputs]))
            for v in results:
                new.setdefault(v, Value(kept, v.index))
    return Graph([new[v] for v in (*inputs, *values)], [new[v] for v in graph.outputs])
