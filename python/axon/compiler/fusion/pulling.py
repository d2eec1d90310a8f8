"""Pulling: where a kernel reads the operands of what it computes, and which values fit into its loops."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ...graph.expr import Node, Value
from ...nx.core.op import RESHAPE, keep
from .clusters import Group
from .index import Map, address, compose, guards_of, reshape, strides

PIECES = 8  # of a concat, at most, for an index map: each element asks of every piece whether it is in it


def reduced_run(node: Node) -> tuple[int, int]:
    """First reduced axis and their number: neighbours after `decompose`."""
    axes = node.attrs["axis"]
    return axes[0], len(axes)


def is_row(node: Node) -> bool:
    """Whether a reduction is of the row form: nothing longer than 1 follows the reduced axes."""
    first, count = reduced_run(node)
    return all(n == 1 for n in node.inputs[0].type.shape[first + count :])


_maps: dict[Any, list[Map] | None] = {}  # of movements met before: most are met again, in the next layer or trace


def operand_maps(node: Node, at: Map, loops: tuple[int, ...], run: tuple[int, int]) -> list[Map] | None:
    """The maps of a movement's operands where its result is read at `at`; None where that cannot be pulled."""
    key = (node.op, node.exact, node.types, tuple([v.type for v in node.inputs]), at, loops, run)
    try:
        return _maps[key]  # in one step, as another thread may empty the table
    except KeyError:
        return keep(_maps, key, moved_maps(node, at, loops, run))


def moved_maps(node: Node, at: Map, loops: tuple[int, ...], run: tuple[int, int]) -> list[Map] | None:
    """`operand_maps`, worked out."""
    out = node.types[0]
    types = [v.type for v in node.inputs]
    if len(types) > PIECES:
        return None
    assert node.op.index_map is not None
    steps = node.op.index_map(types, out, **node.attrs)
    found: list[Map] = []
    for k, type_ in enumerate(types):
        if steps == RESHAPE:
            made = reshape(at, out.shape, type_.shape, loops)
        else:
            made = compose(at, steps[k], out.shape, type_.shape, loops)
        if made is None or not run_merges(made, type_.shape, loops, run):
            return None
        found.append(made)
    return None if gathers(node) and guards_of(found[0]) else found


def gathers(node: Node) -> bool:
    """Whether a node reads its first operand, which is stored, at the values of its second (rule 7)."""
    return node.op.kind.indexes and node.op.index_map is not None


def fits(value: Value, at: Map, loops: tuple[int, ...], run: tuple[int, int]) -> bool:
    """Whether a value read at `at` can be computed in a kernel with these loops and reduced axes (rule 6)."""
    node, shape = value.node, value.type.shape
    if node.op.kind.moves or gathers(node):
        return operand_maps(node, at, loops, run) is not None
    if node.op.kind.creates and "axis" in node.attrs:  # the index along an axis is an address, too
        axis = node.attrs["axis"]
        at, shape = (at[axis],), (shape[axis],)
    return run_merges(at, shape, loops, run)


def holds(group: Group, loops: tuple[int, ...], run: tuple[int, int]) -> bool:
    """Whether all that a group computes fits if its loops and reduced axes become these."""
    return all(
        run_merges(at, v.type.shape, loops, run) and fits(v, at, loops, run)
        for v, maps in group.pulled.items()
        for at in maps
    )


def run_merges(at: Map, shape: Sequence[int], loops: Sequence[int], run: tuple[int, int]) -> bool:
    """Whether the reduced axes act as one axis on an operand read at `at` (rule 6)."""
    if run[1] < 2:
        return True
    axes = [a for a in range(run[0], run[0] + run[1]) if loops[a] > 1]
    if len(axes) < 2:
        return True
    if any(g.axis in axes for g in guards_of(at)):
        return False
    _, step = address(at, strides(shape), len(loops))
    return all(step[a] == step[b] * loops[b] for a, b in pairwise(axes))
