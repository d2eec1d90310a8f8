"""What gradients, tangents and lanes share: tensors filled, named and put in their places, and how errors name values
and nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from ..graph.expr import CALL, Node
from ..nx.core.backend import select
from ..nx.core.tensor import Tensor, TensorType
from ..nx.rows.movement import rename

T = TypeVar("T")


def filled(value: int, type_: TensorType, like: Tensor) -> Tensor:
    """A tensor of one value, on the backend that holds `like`."""
    backend = select([like])
    return Tensor(type_, backend, backend.constant(float(value) if type_.dtype.is_float else value, type_))


def with_zeros(given: Sequence[Tensor], like: Sequence[Tensor]) -> list[Tensor]:
    """Tensors of the types of `like`: of floats those given, of others 0."""
    rest = iter(given)
    return [next(rest) if x.dtype.is_float else filled(0, x.type, x) for x in like]


def named(t: Tensor, type_: TensorType) -> Tensor:
    """A gradient, a tangent or a result with the axis names of the type it must have."""
    assert (t.dtype, t.shape) == (type_.dtype, type_.shape), (t.type, type_)
    return t if t.type.names == type_.names else rename(t, type_.names)


def placed(found: Iterable[T], wanted: Sequence[bool]) -> list[T | None]:
    """What is there, at the places where it is wanted."""
    rest = iter(found)
    return [next(rest) if needed else None for needed in wanted]


def describe(value: Any) -> str:
    """A value for an error: a tensor's type, or what it is."""
    return str(value.type) if isinstance(value, Tensor) else f"a {type(value).__name__}"


def name_of(node: Node) -> str:
    """The name of its op, or of its kind of call."""
    return node.attrs["kind"].name if node.op is CALL else node.op.name


def at(node: Node) -> str:
    """Where a node was written, for an error."""
    return f" (at {node.source})" if node.source else ""
