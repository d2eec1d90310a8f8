"""Making call nodes out of traced functions: regions that read nothing but their inputs, checked to agree in types."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, NamedTuple

from .. import tree
from ..errors import ShapeError, TraceError
from ..graph.expr import CALL, Builder, Graph, Node
from ..graph.regions import Region
from ..graph.trace import Traced, capture_key
from ..nx.core.backend import select
from ..nx.core.tensor import Tensor, TensorType
from ..nx.creation import asarray
from .evaluate import apply


class Regions(NamedTuple):
    """Graphs over (arguments, captured), with one list of captured tensors for all."""

    graphs: tuple[Graph, ...]
    captured: tuple[Tensor, ...]


def close(traced: Sequence[Traced]) -> Regions:
    """Regions out of traced functions: what one captures, all take."""
    captured = {capture_key(t): t for made in traced for t in made.captured}
    graphs = []
    for graph, own, _ in traced:
        arguments = len(graph.inputs) - len(own)
        read = {capture_key(t): v for t, v in zip(own, graph.inputs[arguments:], strict=True)}
        inputs = [read[key] if key in read else Builder().input(t.type) for key, t in captured.items()]
        graphs.append(Graph([*graph.inputs[:arguments], *inputs], graph.outputs, graph.effects))
    return Regions(tuple(graphs), tuple(captured.values()))


def call(kind: Region, regions: Sequence[Graph], operands: Sequence[Tensor], **attrs: Any) -> list[Tensor]:
    """A call node over tensors: recorded in the open trace, else evaluated at once."""
    out, settled = CALL.infer([t.type for t in operands], {"kind": kind, "regions": tuple(regions), **attrs})[1:]
    backend = select(operands)
    args = [t if t.backend is backend else backend.adopt(t) for t in operands]
    return apply(backend, CALL, out, args, settled)


def again(node: Node, regions: Sequence[Graph], operands: Sequence[Tensor], **attrs: Any) -> list[Tensor]:
    """A call node's kind over other regions and operands, with its other attributes but for those given."""
    return call(**{**node.attrs, "regions": regions, "operands": operands, **attrs})


def same_structure(name: str, expected: tuple[str, tree.Structure], got: tuple[str, tree.Structure]) -> None:
    """Refuse results that differ in their containers."""
    if expected[1] != got[1]:
        paths, others = ([tree.show(p) for p in structure.paths()] for structure in (expected[1], got[1]))
        reordered = paths != others and sorted(paths) == sorted(others)
        advice = "give the keys in one order" if reordered else "return the same containers"
        raise TraceError(
            f"{name}: expected {got[0]} to have the structure of {expected[0]}, {expected[1]!r}, got {got[1]!r}; "
            f"{advice}"
        )


def same_types(
    name: str,
    expected: tuple[str, Sequence[TensorType]],
    got: tuple[str, Sequence[TensorType]],
    structure: tree.Structure,
) -> None:
    """Refuse results that differ in a leaf's type."""
    for path, a, b in zip(structure.paths(), expected[1], got[1], strict=True):
        if a != b:
            where = f" at {tree.show(path)}" if path else ""
            raise TraceError(
                f"{name}{where}: expected {got[0]} to have the type of {expected[0]}, {a}, got {b}; {_advice(a, b)}"
            )


def same_carry(
    name: str,
    function: str,
    init: Sequence[TensorType],
    structure: tree.Structure,
    made: tree.Structure,
    types: Sequence[TensorType],
) -> None:
    """Refuse a step that gives a carry of another structure, or of other types."""
    labels = ("the initial carry", f"the carry that {function} returns")
    same_structure(name, (labels[0], structure), (labels[1], made))
    same_types(name, (labels[0], init), (labels[1], types), structure)


def _advice(a: TensorType, b: TensorType) -> str:
    if a.shape != b.shape:
        return "broadcast or reshape one"
    return f"cast with astype({a.dtype})" if a.dtype is not b.dtype else "name the axes alike"


def callables(name: str, **functions: Any) -> None:
    """Refuse anything but a function, by its label."""
    for label, function in functions.items():
        if not callable(function):
            raise TraceError(
                f"{name}: expected {label} to be a function, got a {type(function).__name__}; "
                f"pass the function itself, not what it gives"
            )


def tensors(value: Any) -> tuple[list[Tensor], tree.Structure]:
    """The leaves of a tree as tensors, and its containers."""
    leaves, structure = tree.flatten(value)
    return [asarray(leaf) for leaf in leaves], structure


def whole_number(name: str, option: str, value: Any, least: int = 0) -> int:
    """An option that counts. ShapeError for what is no integer of at least that."""
    if type(value) is bool or not hasattr(value, "__index__") or index(value) < least:
        raise ShapeError(f"{name}: expected {option} to be an integer of at least {least}, got {value!r}; say how many")
    return index(value)
