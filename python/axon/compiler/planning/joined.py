"""Joining without copies: a kernel stores the pieces of a concat where the concat lies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod

from ...graph.expr import Graph, Node, Value
from ..fusion.clusters import Cluster, Group, Single
from ..fusion.index import strides
from ..kernels.nest import Place
from ..library.copies import COPY, part
from ..library.step import Library
from ..library.table import row_of


def joined(graph: Graph, clusters: Sequence[Cluster], library: Mapping[str, Library]) -> dict[Value, Place]:
    """Where pieces are stored: those of one reader, which a kernel without a reduction makes."""
    reads = Counter(v for cluster in clusters for v in cluster.reads)
    reads.update(graph.outputs)
    made = {v for c in clusters if isinstance(c, Group) and c.form == "map" for v in c.roots}
    found: dict[Value, Place] = {}
    for cluster in clusters:
        if isinstance(cluster, Single) and row_of(cluster.node, library) is COPY and len(cluster.node.inputs) > 1:
            found.update((v, at) for v, at in pieces(cluster.node) if v in made and reads[v] == 1)
    return found


def pieces(node: Node) -> Iterator[tuple[Value, Place]]:
    """The operands that lie whole and once in a movement's result, and where; none where operands overlap there."""
    assert node.op.index_map is not None
    types, out = [v.type for v in node.inputs], node.types[0]
    maps = node.op.index_map(types, out, **node.attrs)
    copies = [part(t, m, out, strides(out.shape)) for t, m in zip(types, maps)]
    rank = len(out.shape)
    if sum(prod(ints[2 : 2 + rank]) for ints in copies) != out.size:
        return
    for value, (_, _, *ints) in zip(node.inputs, copies):
        shape, to = value.type.shape, ints[-rank:]
        if ints[: -rank - 1] == [*shape, 0, *strides(shape)] and node.inputs.count(value) == 1:
            yield value, Place(Value(node, 0), ints[-rank - 1], tuple(to))
