"""Tracing: the backend that records. `trace(function, args)` runs a Python function over recording tensors and gives
its Graph, with every tensor captured from outside made an explicit input."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

from .. import tree
from ..dtypes import dtype
from ..errors import AxonError, TraceError
from ..nx.core.backend import home, recording, tracing
from ..nx.core.op import Op
from ..nx.core.tensor import Tensor, TensorType
from ..nx.creation import asarray
from .expr import Builder, Graph, Node, Value


class Traced(NamedTuple):
    """A function's graph. Its inputs are the arguments' leaves, then the captured tensors."""

    graph: Graph
    captured: tuple[Tensor, ...]
    structure: tree.Structure  # of the result


class Trace:
    """A backend whose data are values of one graph under construction. `parent` is the trace it was opened in."""

    name = "trace"
    compiler: str | None = None

    def __init__(self, builder: Builder | None = None) -> None:
        outer = tracing.get()
        self.parent: Trace | None = outer if isinstance(outer, Trace) else None
        self.builder = builder or Builder()
        self.captured: dict[Any, tuple[Tensor, Value]] = {}
        self._known: dict[Any, Value] = {}  # literals and broadcasts made so far
        self.closed = False
        self.source = self.parent.source if self.parent else ""  # overrides the user's line, see `located`

    def apply(
        self, op: Op, out: tuple[TensorType, ...], args: Sequence[Tensor], attrs: Mapping[str, Any]
    ) -> tuple[Value, ...]:
        if self.closed:
            raise TraceError(f"{op.name}: {_ended(args)}")
        values = []
        for a in args:
            value = a.data
            if op.kind.pointwise and a.type.shape != out[0].shape:
                value = self._broadcast(value, out[0].shape)
            values.append(value)
        node = self.builder.node(op, tuple(values), attrs, out, self.source or user_line())
        return tuple([Value(node, i) for i in range(len(out))])

    def constant(self, value: bool | int | float, type: TensorType) -> Value:
        python = {"b": bool, "f": float}.get(type.dtype.kind, int)  # one spelling a value, so that equal literals meet
        number = python(value)
        key = (type.dtype, repr(number))
        made = self._known.get(key)
        if made is None:
            made = self._known[key] = self.builder.apply("literal", value=number, dtype=type.dtype)
        made = self._broadcast(made, type.shape) if type.shape else made
        return self.builder.apply("rename", made, names=type.names) if type.names else made

    def _broadcast(self, value: Value, shape: tuple[int, ...]) -> Value:
        key = (value, shape)
        made = self._known.get(key)
        if made is None:
            made = self._known[key] = self.builder.apply("broadcast_to", value, shape=shape)
        return made

    def from_numpy(self, array: Any) -> Value:
        backend = home()
        type_ = TensorType(dtype(array.dtype), tuple(array.shape))
        return self.adopt(Tensor(type_, backend, backend.from_numpy(array))).data

    def to_numpy(self, data: Value, type: TensorType) -> Any:
        if self.closed:
            raise TraceError(_ended([Tensor(type, self, data)]))
        raise TraceError(
            f"{_made(type, data)}: expected a concrete tensor, got a traced one; use nx.where or axon.cond to choose "
            f"by it, or return it from the traced function"
        )

    def imported(self, source: Any, copy: bool | None = None) -> Tensor:
        return self.adopt(home().imported(source, copy))

    def exported(self, data: Value, type: TensorType, copy: bool | None = None) -> Any:
        return self.to_numpy(data, type)  # raises

    def adopt(self, tensor: Tensor) -> Tensor:
        """The tensor as an input of this graph, one input however often it is used."""
        if tensor.backend is self:
            return tensor
        traced = isinstance(tensor.backend, Trace)
        if traced and not self._is_inside(tensor.backend):
            raise TraceError(_ended([tensor]))
        key = capture_key(tensor)
        found = self.captured.get(key)
        if found is None:
            found = self.captured[key] = (tensor, self.builder.input(tensor.type))
        return Tensor(tensor.type, self, found[1])

    def keep(self, node: Node, operands: Sequence[Tensor]) -> list[Tensor]:
        """Record a node of another graph over tensors as it is: its types are settled, the operands have them."""
        kept = self.builder.keep(node, tuple([t.data for t in operands]))
        return [Tensor(type_, self, Value(kept, i)) for i, type_ in enumerate(node.types)]

    def _is_inside(self, other: Any) -> bool:
        outer = self.parent
        while outer is not None and outer is not other:
            outer = outer.parent
        return outer is other and not other.closed


def capture_key(tensor: Tensor) -> Any:
    """What tells captured tensors apart: the value of a traced one, type and data of a concrete one (an array is a new
    tensor wherever it is used)."""
    return tensor.data if isinstance(tensor.backend, Trace) else (tensor.type, id(tensor.data))


def _made(type: TensorType, data: Value) -> str:
    return f"value of {type}" + (f" (made at {data.node.source})" if data.node.source else "")


def _ended(args: Sequence[Tensor]) -> str:
    which = next((_made(a.type, a.data) for a in args if isinstance(a.backend, Trace)), "its operand")
    return (
        f"{which}: expected a value of the function being traced, got one that was kept from another trace; "
        f"return it from the traced function, or pass it as an argument"
    )


def effects_so_far() -> int:
    """How many effects the open trace has recorded."""
    current = tracing.get()
    assert isinstance(current, Trace)
    return len(current.builder.effects)


class Derived(str):
    """The line of a node, as the source of what its gradient is made of; `of` is the node's op by name."""

    of: str

    def __new__(cls, source: str, of: str) -> Derived:
        made = super().__new__(cls, source)
        made.of = of
        return made


_line: ContextVar[str] = ContextVar("axon_line", default="")  # what `located` says outside a trace


class located:
    """While the block runs, what is recorded, or carried out at once, bears this source line: it was derived from a
    node of that line."""

    __slots__ = ("before", "source", "trace")

    def __init__(self, source: str) -> None:
        self.source = source

    def __enter__(self) -> None:
        current = tracing.get()
        self.trace = current if isinstance(current, Trace) else None
        self.before = _line.get() if self.trace is None else self.trace.source
        if self.source:
            self._set(self.source)

    def __exit__(self, *_: object) -> None:
        self._set(self.before)

    def _set(self, source: str) -> None:
        if self.trace is None:
            _line.set(source)
        else:
            self.trace.source = source


def line() -> str:
    """The source line of an op that is carried out now."""
    return _line.get() or user_line()


def user_line() -> str:
    """`file:line` of the innermost frame outside this package."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith("axon."):
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

    try:
        with recording(record):
            placed_args, placed_kwargs = tree.map(placeholder, (args, dict(kwargs or {})))
            leaves, structure = tree.flatten(function(*placed_args, **placed_kwargs))
            outputs = [_result(record, leaf, structure, i) for i, leaf in enumerate(leaves)]
    finally:
        record.closed = True
    captured = list(record.captured.values())
    graph = Graph([*inputs, *(v for _, v in captured)], outputs, record.builder.effects)
    return Traced(graph, tuple(t for t, _ in captured), structure)


def _result(record: Trace, leaf: Any, structure: tree.Structure, i: int) -> Value:
    try:
        tensor = asarray(leaf)
    except (AxonError, TypeError, ValueError) as error:
        path = tree.show(structure.paths()[i])
        raise TraceError(
            f"result{f' at {path}' if path else ''}: expected tensors, arrays or numbers, got a {type(leaf).__name__} "
            f"({error}); return it outside the traced function"
        ) from error
    return record.adopt(tensor).data
