"""What the attributes of rows mean, so that one rule gives them for tensors with a new leading axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .op import Op


@dataclass(frozen=True, eq=False, slots=True)
class Meaning:
    """What an attribute in normal form says of axes."""

    name: str
    shifted: Callable[[Any, int], Any]  # what it is where all tensors have one more axis in front, of that size

    def __repr__(self) -> str:
        return f"<attribute {self.name}>"


def _next(value: Any) -> Any:
    """Numbers of axes where one more is in front."""
    return tuple(map(_next, value)) if isinstance(value, tuple) else value + 1


SIZE = "size"  # the size of the axis


def each(fill: Any) -> Meaning:
    """One value an axis; `fill` is that of an axis along which the row does nothing. Or None, for all axes."""
    return Meaning(
        f"each({fill})", lambda value, size: None if value is None else (size if fill is SIZE else fill, *value)
    )


axes = Meaning("axes", lambda value, size: _next(value))  # numbers of axes
order = Meaning("order", lambda value, size: (0, *_next(value)))  # the number of every axis, in an order
sizes = Meaning("sizes", lambda value, size: (size, *value))  # of all axes of the result
opaque = Meaning("opaque", lambda value, size: value)  # anything that says nothing of axes

Meanings = Mapping[str, Meaning]


def shifted(op: Op, attrs: Mapping[str, Any], size: int) -> dict[str, Any]:
    """A row's attributes in normal form where operands and results have one more axis in front, of that size."""
    return {name: op.attributes[name].shifted(value, size) for name, value in attrs.items()}
