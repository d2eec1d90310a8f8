"""Tracing: the backend that records. `trace(function, types)` runs a Python function over recording tensors and gives
its Graph, with every tensor captured from outside made an explicit input."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .. import tree
from ..errors import TraceError
from ..nx.backend import recording
from ..nx.creation import asarray
from ..nx.op import TABLE, Op
from ..nx.tensor import Tensor, TensorType
from .expr import Builder, Graph, Value


class Traced(NamedTuple):
    """A function's graph. Its inputs are the arguments' leaves, then the captured tensors."""

    graph: Graph
    captured: tuple[Tensor, ...]
    structure: Any  # of the result


class Trace:
    """A backend whose data are values of one graph under construction."""

    name = "trace"

    def __init__(self) -> None:
        self.builder = Builder()
        self.captured: dict[int, tuple[Tensor, Value]] = {}
        self.closed = False

    def apply(
        self, op: Op, out: tuple[TensorType, ...], args: Sequence[Tensor], attrs: Mapping[str, Any]
    ) -> tuple[Value, ...]:
        if self.closed:
            raise TraceError(f"{op.name}: the trace has ended; return the value from the traced function instead")
        values = []
        for a in args:
            value = a.data
            if op.kind == "elementwise" and a.type.shape != out[0].shape:
                value = self.builder.apply("broadcast_to", value, shape=out[0].shape)
            values.append(value)
        node = self.builder.node(op, tuple(values), attrs, out, user_line())
        return tuple(Value(node, i) for i in range(len(out)))

    def constant(self, value: bool | int | float, type: TensorType) -> Value:
        literal = self.builder.node(TABLE["literal"], (), {"value": value, "dtype": type.dtype}, (TensorType(type.dtype, ()),))
        made = Value(literal, 0)
        return self.builder.apply("broadcast_to", made, shape=type.shape) if type.shape else made

    def from_numpy(self, array: Any) -> Value:
        return self.adopt(asarray(array)).data

    def to_numpy(self, data: Value, type: TensorType) -> Any:
        where = f" (made at {data.node.source})" if data.node.source else ""
        raise TraceError(
            f"value of {type}{where}: expected a concrete tensor, got a traced one; use nx.where or axon.cond to choose "
            f"by it, or return it from the traced function"
        )

    def adopt(self, tensor: Tensor) -> Tensor:
        """The tensor as an input of this graph, one input however often it is used."""
        if tensor.backend is self:
            return tensor
        found = self.captured.get(id(tensor))
        if found is None:
            found = self.captured[id(tensor)] = (tensor, self.builder.input(tensor.type))
        return Tensor(tensor.type, self, found[1])


def user_line() -> str:
    """`file:line` of the innermost frame outside this package."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith("axon.") or name.startswith("axon.examples"):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""


def trace(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None) -> Traced:
    """The graph of function(*args, **kwargs), where each leaf of args and kwargs that is a TensorType is an input.

    Other leaves are passed as they are. Leaves of the result are converted to tensors.
    """
    record = Trace()
    inputs: list[Value] = []

    def placeholder(leaf: Any) -> Any:
        if not isinstance(leaf, TensorType):
            return leaf
        inputs.append(record.builder.input(leaf))
        return Tensor(leaf, record, inputs[-1])

    with recording(record):
        placed_args, placed_kwargs = tree.map(placeholder, (args, dict(kwargs or {})))
        result = function(*placed_args, **placed_kwargs)
        leaves, structure = tree.flatten(result)
        outputs = [record.adopt(asarray(leaf)).data for leaf in leaves]
    record.closed = True
    captured = [v for v in record.captured.values()]
    graph = Graph([*inputs, *(v for _, v in captured)], outputs)
    return Traced(graph, tuple(t for t, _ in captured), structure)


def replay(graph: Graph, tensors: Sequence[Tensor]) -> dict[Value, Tensor]:
    """Run a graph op by op over tensors, on whatever backend they have: the evaluator, and how a graph is inlined into
    an open trace. Gives the tensor of every value."""
    from ..nx.backend import select

    backend = select(tensors)
    env: dict[Value, Tensor] = {v: (t if t.backend is backend else backend.adopt(t)) for v, t in zip(graph.inputs, tensors)}
    for node in graph.nodes:
        if Value(node, 0) in env:
            continue
        results = backend.apply(node.op, node.types, [env[v] for v in node.inputs], node.attrs)
        for i, (type_, data) in enumerate(zip(node.types, results)):
            env[Value(node, i)] = Tensor(type_, backend, data)
    return env
