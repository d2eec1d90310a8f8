"""Fusion: cuts a graph into clusters, each one kernel or one library step.

One sweep, users before producers. A value is *pulled* into the groups that use it (computed there, never stored) or
*stored* by one cluster. The rules, by number in docs/design/fusion.md, are in `can_pull`, `place` and `merge`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from ...dtypes import bool_
from ...graph.expr import INPUT, Graph, Node, Value
from ...nx.core.op import RESHAPE
from ..library.step import Library
from ..library.table import bias_length
from ..tuning import Tuning
from .clusters import Cluster, Clusters, Group, Single, find
from .index import Idx, Map, address, axes_of, guards_of, identity, innermost, strides
from .pulling import fits, gathers, holds, is_row, operand_maps, reduced_run

DEAR = 100  # what a division or transcendental counts beside a cheap operation


class Fusion:
    """The sweep's state. `library` are the rows of the steps there are, by symbol."""

    def __init__(self, graph: Graph, tuning: Tuning, library: Mapping[str, Library]) -> None:
        self.graph, self.tuning, self.library = graph, tuning, library
        self.outputs = set(graph.outputs)
        self.count = Counter([*graph.outputs, *(v for node in graph.nodes for v in node.inputs)])
        self.uses: dict[Value, list[tuple[Group, Map]]] = {}  # where a value may be pulled
        self.looked: dict[Any, tuple[int, list[Group]]] = {}  # how many of these were looked at, and at which again
        self.clusters = Clusters()
        self.absorbed: set[Node] = set()  # contractions that are part of the cluster of their sum with a bias
        self.chain = chains(graph)
        self.next: Cluster | None = None  # of those that act

    def run(self) -> list[Cluster]:
        for node in reversed(self.graph.nodes):
            if node.op is INPUT:
                for group, _ in self.uses.get(Value(node, 0), ()):
                    self.clusters.read(find(group), Value(node, 0))
            elif node.op.kind.fused or gathers(node):
                self.place(Value(node, 0))
            elif node not in self.absorbed:
                cluster = self.single(Single(node))
                if node.acts:
                    self.order(node, cluster)
        return self.clusters.ordered(self.graph)

    def single(self, cluster: Single) -> Cluster:
        self.clusters.add(cluster)
        for value in cluster.stores:
            for group, _ in self.uses.get(value, ()):
                self.clusters.read(find(group), value)
            self.clusters.store(cluster, value)
        for value in cluster.inputs:
            self.clusters.read(cluster, value)
        return cluster

    def order(self, node: Node, cluster: Cluster) -> None:
        """A node that acts comes before those that act after it, as if they read what it stores."""
        token = Value(node, -1)
        if self.next is not None:
            self.clusters.read(self.next, token)
        self.clusters.store(cluster, token)
        self.next = cluster

    def place(self, value: Value) -> None:
        """Decide where a value is computed: rules 2, 3, 5 and 8."""
        node = value.node
        wants: dict[Group, list[Map]] = {}
        for group, at in self.uses.get(value, ()):
            maps = wants.setdefault(find(group), [])
            if at not in maps:
                maps.append(at)
        able = {g: maps for g, maps in wants.items() if self.can_pull(value, g, maps)}
        stored = value in self.outputs or bool(self.clusters.readers.get(value)) or len(able) < len(wants)
        if not stored:
            if len(able) == 1 or free(node) or (duplicates(node) and self.repeatable(value, able)):
                for group, maps in able.items():
                    self.pull(value, group, maps)
                return
            maps = list(dict.fromkeys(at for maps in able.values() for at in maps))
            merged = self.merge(list(able), value, maps)
            if merged is not None:
                self.pull(value, merged, maps)
                return
        for group in wants:
            if group not in able:
                self.clusters.read(group, value)
        home = self.store(value, able)
        for group in able:
            if group is not home:
                self.clusters.read(group, value)

    def store(self, value: Value, able: dict[Group, list[Map]]) -> Cluster:
        """Give a value that must be in memory to a group that computes it anyway, or to a new cluster."""
        node, shape = value.node, value.type.shape
        users = [*self.clusters.readers.get(value, ()), *able]
        for group, maps in able.items():
            if group in self.clusters.readers.get(value, ()):  # a table that it looks up
                continue
            rows = node.op.kind.reduces  # which it can compute: each row once, then
            able_to = len(maps) == 1 and (rows or covers(maps[0], shape, group))
            if able_to and not self.clusters.reaches((u for u in users if u is not group), group):
                self.pull(value, group, maps)
                group.roots[value] = maps[0]
                self.clusters.store(group, value)
                return group
        if (sum_ := biased(value, self.count, self.library)) is not None:
            self.absorbed.add(sum_.node)
            return self.single(sum_)
        if node.op.kind.moves or gathers(node):
            assert node.op.index_map is not None
            alias = node.op.index_map([v.type for v in node.inputs], value.type, **node.attrs) == RESHAPE
            if alias or operand_maps(node, identity(len(shape)), shape, (0, 0)) is None:
                return self.single(Single(node))
        limit = self.tuning.row
        if node.op.kind.reduces:
            loops = node.inputs[0].type.shape
            first, count = reduced_run(node)
            rest = len(loops) - first - count
            if is_row(node):
                group = Group(limit, loops, "row", (first, count + rest))
                at = (*identity(first), *[Idx(())] * rest)
            else:
                group = Group(limit, loops, "column", (first, count))
                at = (*identity(first), *identity(rest, first + count))
            group = self.sibling(value, group, users) or group
        else:
            group, at = Group(limit, shape), identity(len(shape))
            if value.type.size == 1:  # rule 8: one kernel for all the work on single elements
                group = next((u for u in self.clusters.of_kind(group.kind) if self.takes(u, users)), group)
        if group not in self.clusters.all:
            self.clusters.add(group)
        group.roots[value] = at
        self.clusters.store(group, value)
        self.pull(value, group, [at])
        return group

    def takes(self, group: Group, users: Sequence[Cluster]) -> bool:
        """Whether a group can store one more value for these users: it is not full, and no cycle results."""
        return group.size < self.tuning.kernel and group not in users and not self.clusters.reaches(users, group)

    def sibling(self, value: Value, made: Group, users: Sequence[Cluster]) -> Group | None:
        """The first group of a new one's kind that reads some of the values a reduction reads: one pass for both."""
        near: set[Value] = set()
        stack = [value.node.inputs[0]]
        size = stack[0].type.size
        while stack and len(near) < 64:
            v = stack.pop()
            if v in near or v.type.size != size:
                continue
            near.add(v)
            if v.node.op.kind.pointwise or v.node.op.kind.moves:
                stack.extend(v.node.inputs)
        found = {g for v in near for g in self.readers(v, made.kind) if self.takes(g, users)}
        return min(found, key=lambda g: g.place, default=None)

    def readers(self, value: Value, kind: tuple[Any, ...]) -> list[Group]:
        """The groups of a kind that want a value and may store one more sum. Others are not looked at again, but for
        maps, which may become rows."""
        uses = self.uses.get(value, [])
        seen, known = self.looked.get((value, kind), (0, []))
        groups = dict.fromkeys(map(find, [*known, *[g for g, _ in uses[seen:]]]))
        open_, most = ("map", "row") if kind[0] == "row" else (kind[0],), self.tuning.sums
        known = [g for g in groups if g.form in open_ and len(g.roots) < most and (g.form == "map" or g.kind == kind)]
        self.looked[value, kind] = len(uses), known
        return [g for g in known if g.kind == kind]

    def can_pull(self, value: Value, group: Group, maps: list[Map]) -> bool:
        """Whether a group may compute a value under these maps."""
        node = value.node
        if not node.op.kind.creates and group.size + len(maps) > self.tuning.kernel:
            return False
        if node.op.kind.pointwise and spreads(node, group, maps):
            return False
        if node.op.kind.pointwise and value.type.shape == group.shape and maps == [identity(len(group.shape))]:
            return True  # each element once, where the group is
        if node.op.kind.reduces:
            return len(maps) == 1 and joins_rows(node, maps[0], group)
        if not all(fits(value, at, group.shape, group.run) for at in maps):
            return False
        if free(node) or gathers(node):
            return True
        return self.repeatable(value, {group: maps}) and not any(repeats(at, group) for at in maps)

    def repeatable(self, value: Value, able: Mapping[Group, Sequence[Map]]) -> bool:
        """Rule 2: whether computing a value wherever it is read costs less than storing it."""
        size = value.type.size
        visits = 0
        for group, maps in able.items():
            for at in maps:
                n = prod(group.shape[a] for a in axes_of(at))
                visits += min(n, size) if guards_of(at) else n
        return (visits - size) * self.chain[value.node] <= self.tuning.repeated * size

    def pull(self, value: Value, group: Group, maps: list[Map]) -> None:
        """Compute a value inside a group, and offer its operands to the group."""
        node = value.node
        group.pull(value, maps)
        for at in maps:
            if node.op.kind.moves or gathers(node):
                operands = operand_maps(node, at, group.shape, group.run)
                assert operands is not None
            elif node.op.kind.reduces:
                operands = [self.enter_rows(node, at, group)]
            else:
                operands = [at] * len(node.inputs)
            inputs = node.inputs
            if gathers(node):
                self.clusters.read(group, inputs[0])
                inputs, operands = inputs[1:], operands[1:]
            for operand, where in zip(inputs, operands):
                self.uses.setdefault(operand, []).append((group, where))

    def enter_rows(self, node: Node, at: Map, group: Group) -> Map:
        """The map of a reduction's operand; a map group becomes a row group of the operand's shape (rule 4)."""
        first, count = reduced_run(node)
        shape = node.inputs[0].type.shape
        if group.form == "map":
            group.form, (group.shape, group.run) = "row", row_form(node, at, group)
            self.clusters.classify(group)
        rest = identity(len(shape) - first, group.run[0]) if group.form == "row" else identity(count, group.run[0])
        return (*at[:first], *rest, *(at[first:] if group.form == "column" else ()))

    def merge(self, groups: list[Group], value: Value, maps: Sequence[Map]) -> Group | None:
        """Make one group of several with the same iteration shape, which then can compute a value once; or None where
        their forms, their size or a cycle forbid it."""
        keep = next((g for g in groups if g.form != "map"), groups[0])
        if any(
            g.shape != keep.shape or g.long or (g.form != "map" and (g.form, g.run) != (keep.form, keep.run))
            for g in groups
        ):
            return None
        if sum(g.size for g in groups) + len(maps) > self.tuning.kernel or not self.repeatable(value, {keep: maps}):
            return None
        if keep.form != "map" and not all(holds(g, keep.shape, keep.run) for g in groups if g is not keep):
            return None
        if not all(fits(value, at, keep.shape, keep.run) for at in maps):
            return None
        if any(self.clusters.reaches([a], b) for a in groups for b in groups if a is not b):
            return None
        for group in groups:
            if group is not keep:
                self.clusters.merge(group, keep)
        return keep


def chains(graph: Graph) -> dict[Node, int]:
    """What it costs to compute an element of each value from values that are stored, or broadcast (rule 3)."""
    cost: dict[Node, int] = {}
    for node in graph.nodes:
        total = 0
        if node.inputs and (node.op.kind.pointwise or node.op.kind.moves):
            out = node.types[0]
            total = DEAR if node.op.cost > 1 else node.op.cost if out.dtype is not bool_ else 0  # masks are free
            size = out.size
            for v in node.inputs:
                if v.type.size * 2 > size:
                    total += cost[v.node]
        cost[node] = min(total, 1 << 20)
    return cost


def free(node: Node) -> bool:
    """Costs nothing to repeat: creation, movement, casts."""
    return node.op.kind.free or node.op.cost == 0


def spreads(node: Node, group: Group, maps: list[Map]) -> bool:
    """Whether several operands are broadcasts that a group cannot compute, along some of its reduced axes only: to
    store them all is more than to store what is made of them."""
    if group.run[1] < 2:
        return False
    wide = [v for v in dict.fromkeys(node.inputs) if broadcast(v)]
    return sum(not all(fits(v, at, group.shape, group.run) for at in maps) for v in wide) > 1


def broadcast(value: Value) -> bool:
    """Whether a movement gives each element of its operand several times."""
    node = value.node
    if not node.op.kind.moves or len(node.inputs) != 1 or node.inputs[0].type.size * 2 > value.type.size:
        return False
    maps = operand_maps(node, identity(len(value.type.shape)), value.type.shape, (0, 0))
    return maps is not None and not guards_of(maps[0])


def duplicates(node: Node) -> bool:
    """Rule 2: cheap, and reading its operands costs no more than reading it."""
    if not node.op.kind.pointwise or node.op.cost > 1:
        return False
    whole = [v for v in set(node.inputs) if not small(v, node.types[0].size)]
    return len(whole) <= 1


def small(value: Value, size: int) -> bool:
    """Whether a value is read from far fewer elements than it has: it is broadcast, or nothing."""
    node = value.node
    while node.inputs and free(node):
        if node.inputs[0].type.size * 2 <= size:
            return True
        node = node.inputs[0].node
    return node.op.kind.creates


def repeats(at: Map, group: Group) -> bool:
    """Rule 3: whether a value read at `at` would be computed again and again: an axis that it does not depend on,
    other than the innermost (what depends on the row only is computed once a row)."""
    used = axes_of(at)
    inner = innermost(group.shape)
    if not used:
        return any(n > 1 for n in group.shape)
    if group.form == "row":
        return any(n > 1 and a not in used for a, n in enumerate(group.shape[: group.run[0]]))
    return any(n > 1 and a not in used for a, n in enumerate(group.shape) if a != inner or group.form == "column")


def covers(at: Map, shape: Sequence[int], group: Group) -> bool:
    """Whether a group can store a value read at `at`: for each element it has, or once a row. (Of a long row, every
    span would store it.)"""
    rows = group.shape[: group.run[0]]
    return visits_once(at, shape, group.shape) or (
        group.form == "row" and not group.long and visits_once(at, shape, rows)
    )


def visits_once(at: Map, shape: Sequence[int], loops: Sequence[int]) -> bool:
    """Whether these loops, and no axis beside them, visit each element of a value read at `at` exactly once."""
    used = set()
    for i, n in zip(at, shape):
        if i.guard is not None:
            return False
        if n > 1:
            axis = i.terms[0][0] if i.terms else len(loops)
            if i != Idx(((axis, 1),)) or axis in used or loops[axis : axis + 1] != (n,):
                return False
            used.add(axis)
    return all(n == 1 or a in used for a, n in enumerate(loops))


def leads(at: Map, group: Group, count: int) -> bool:
    """Whether a map depends on none of the group's last `count` axes."""
    return not axes_of(at) & set(range(len(group.shape) - count, len(group.shape)))


def row_form(node: Node, at: Map, group: Group) -> tuple[tuple[int, ...], tuple[int, int]]:
    """The loops and reduced axes of a map group that becomes a row group by computing a reduction read at `at`: its own
    last axes, or the reduction's behind them."""
    first, count = reduced_run(node)
    suffix = node.inputs[0].type.shape[first:]
    own = group.shape[len(group.shape) - count :] == suffix and leads(at, group, count)
    loops = group.shape if own else (*group.shape, *suffix)
    return loops, (len(loops) - len(suffix), len(suffix))


def joins_rows(node: Node, at: Map, group: Group) -> bool:
    """Rule 4: whether a reduction over the last axis can be computed by a group that uses it row by row."""
    first, _ = reduced_run(node)
    shape = node.inputs[0].type.shape
    suffix = shape[first:]
    if not is_row(node) or prod(suffix) > group.limit or group.form == "column" or group.long:
        return False
    if node.types[0].shape[first:] and any(n != 1 for n in node.types[0].shape[first:]):
        return False
    if group.form == "row":
        rows = group.shape[: group.run[0]]
        return group.shape[group.run[0] :] == suffix and visits_once(at, node.types[0].shape, rows)
    loops, run = row_form(node, at, group)
    return visits_once(at, node.types[0].shape, loops[: run[0]]) and holds(group, loops, run)


def biased(value: Value, count: Counter[Value], library: Mapping[str, Library]) -> Single | None:
    """Rule 9: the cluster of a product that nothing else uses and a bias along its last axes, whose sum is to be
    stored. Not for halves, whose product is rounded before the sum."""
    if value.node.op.name != "add" or value.type.dtype.is_half:
        return None
    for product, other in (value.node.inputs, value.node.inputs[::-1]):
        length = bias_length(product.node, library)
        if length is not None and count[product] == 1:
            bias = repeated(other, value.type.shape, length)
            if bias is not None:
                return Single(product.node, bias, value)
    return None


def repeated(value: Value, shape: tuple[int, ...], length: int) -> Value | None:
    """The vector of this length that a value of `shape` repeats along its last axes, looking through movement."""
    found, at = None, identity(len(shape))
    while not value.node.op.kind.creates:
        if value.type.size == length and along_last(at, value.type.shape, shape, length):
            found = value
        if not value.node.op.kind.moves or len(value.node.inputs) != 1:
            break
        maps = operand_maps(value.node, at, shape, (0, 0))
        if maps is None:
            break
        value, at = value.node.inputs[0], maps[0]
    return found


def along_last(at: Map, own: Sequence[int], shape: Sequence[int], length: int) -> bool:
    """Whether a dense value read at `at` runs once, in order, along the last axes of `shape`, and not along others."""
    offset, step = address(at, strides(own), len(shape))
    wanted = [s if s < length else 0 for s in strides(shape)]
    return not guards_of(at) and offset == 0 and all(n == 1 or a == b for n, a, b in zip(shape, step, wanted))
