"""All library steps by symbol, and the step of a node, of those that a target has (`library`). Another family is a file
beside these and its rows here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...graph.expr import Node, Value
from .convolutions import CONV
from .copies import COPY
from .cumulative import CUMULATIVE
from .products import GEMM
from .scatter import SCATTER_ADD
from .step import Library, LibraryStep, label

LIBRARY: dict[str, Library] = {row.symbol: row for row in (GEMM, CONV, SCATTER_ADD, CUMULATIVE, COPY)}


def row_of(node: Node, library: Mapping[str, Library]) -> Library | None:
    """The row whose step can carry out a node, or None where there is none for its op or its dtypes."""
    row = library.get(COPY.symbol if node.op.kind.moves else node.op.extern or "")
    types = (*(v.type for v in node.inputs), *node.types)
    return row if row is not None and row.takes(*(t.dtype for t in types)) else None


def bias_length(node: Node, library: Mapping[str, Library]) -> int | None:
    """The length of the vector that the native step of a node can add to each row of its result, or None: it cannot."""
    row = row_of(node, library)
    return row.bias(node) if row is not None else None


def library_steps(
    node: Node, inputs: Sequence[Value], results: Sequence[Value], library: Mapping[str, Library]
) -> list[LibraryStep]:
    """The native steps of a node, none where it has no row. One more input than it has is a bias."""
    row = row_of(node, library)
    if row is None:
        return []
    ints = row.ints(node)
    if row.each:
        made = [LibraryStep(row.symbol, (v, *results), i, label(node)) for v, i in zip(inputs, ints)]
        return made[::-1]
    ints = (*ints[:-1], 1) if len(inputs) > len(node.inputs) else tuple(ints)
    return [LibraryStep(row.symbol, (*inputs, *results), ints, label(node), len(results))]
