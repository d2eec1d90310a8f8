"""Fusion: cuts a graph into units, each one kernel or one library step.

One sweep, users before producers. A value is *pulled* into the groups that use it (computed there, never stored) or
*stored* by one unit. The rules, by number in docs/design/fusion.md, are in `can_pull`, `place` and `merge`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import prod

from ..defn.expr import INPUT, Graph, Node, Value
from ..nx.op import RESHAPE
from .index import Idx, Map, axes_of, compose, guards_of, identity, innermost, reshape, strides

ROW_LIMIT = 64 * 1024
FUSED = {"elementwise", "movement", "creation", "reduction"}


class Unit:
    """A step to be: what it reads is stored by earlier units."""

    def __init__(self) -> None:
        self.reads: set[Value] = set()


class Single(Unit):
    """One node on its own: a library step, a copy, an alias (reshape of a stored value), a region."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node
        self.reads = set(node.inputs)

    @property
    def stores(self) -> list[Value]:
        return [Value(self.node, i) for i in range(len(self.node.types))]


class Group(Unit):
    """One kernel: an iteration shape, at most one reduced run of axes [first, first + count), and the values it stores.

    form is map, row (the run is the last axes) or column. `pulled` are the maps under which each value is computed.
    """

    def __init__(self, shape: tuple[int, ...], form: str = "map", run: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self.shape, self.form, self.run = shape, form, run
        self.roots: dict[Value, Map] = {}
        self.pulled: dict[Value, list[Map]] = {}
        self.into: Group | None = None  # the group it was merged into

    @property
    def stores(self) -> list[Value]:
        return list(self.roots)

    @property
    def long(self) -> bool:
        """Whether the rows are too long for one kernel to reduce and use them."""
        return self.form == "row" and prod(self.shape[self.run[0] :]) > ROW_LIMIT


def reduced_run(node: Node) -> tuple[int, int]:
    """First reduced axis and their number: neighbours after `decompose`."""
    axes = node.attrs["axis"]
    return axes[0], len(axes)


def is_row(node: Node) -> bool:
    """Whether a reduction is of the row form: nothing longer than 1 follows the reduced axes."""
    first, count = reduced_run(node)
    return all(n == 1 for n in node.inputs[0].type.shape[first + count :])


def operand_maps(node: Node, at: Map, loops: Sequence[int], run: tuple[int, int]) -> list[Map] | None:
    """The maps of a movement's operands where its result is read at `at`; None where that cannot be pulled."""
    out = node.types[0]
    types = [v.type for v in node.inputs]
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
    return node.op.kind == "indexing" and node.op.index_map is not None


def run_merges(at: Map, shape: Sequence[int], loops: Sequence[int], run: tuple[int, int]) -> bool:
    """Whether the reduced axes act as one axis on an operand read at `at` (rule 6)."""
    axes = [a for a in range(run[0], run[0] + run[1]) if loops[a] > 1]
    if len(axes) < 2:
        return True
    step = dict.fromkeys(range(len(loops)), 0)
    for i, stride in zip(at, strides(shape)):
        if i.guard is not None and i.guard.axis in axes:
            return False
        for a, m in i.terms:
            step[a] += m * stride
    return all(step[a] == step[b] * loops[b] for a, b in pairwise(axes))


class Fusion:
    """The sweep's state."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.outputs = set(graph.outputs)
        self.uses: dict[Value, list[tuple[Group, Map]]] = {}  # where a value may be pulled
        self.readers: dict[Value, list[Unit]] = {}  # units that read it stored
        self.home: dict[Value, Unit] = {}
        self.units: list[Unit] = []
        self.scalars: list[Group] = []

    def run(self) -> list[Unit]:
        for node in reversed(self.graph.nodes):
            if node.op is INPUT:
                for group, _ in self.uses.get(Value(node, 0), ()):
                    self.read(find(group), Value(node, 0))
            elif node.op.kind in FUSED or gathers(node):
                self.place(Value(node, 0))
            else:
                self.single(node)
        return self.ordered()

    def read(self, unit: Unit, value: Value) -> None:
        """Note that a unit reads a value from memory."""
        unit.reads.add(value)
        readers = self.readers.setdefault(value, [])
        if unit not in readers:
            readers.append(unit)

    def single(self, node: Node) -> None:
        unit = Single(node)
        self.units.append(unit)
        for value in unit.stores:
            self.home[value] = unit
            for group, _ in self.uses.get(value, ()):
                self.read(find(group), value)
        for value in node.inputs:
            self.read(unit, value)

    def place(self, value: Value) -> None:
        """Decide where a value is computed: rules 2, 3, 5 and 8."""
        node = value.node
        wants: dict[Group, list[Map]] = {}
        for group, at in self.uses.get(value, ()):
            maps = wants.setdefault(find(group), [])
            if at not in maps:
                maps.append(at)
        able = {g: maps for g, maps in wants.items() if self.can_pull(value, g, maps)}
        stored = value in self.outputs or bool(self.readers.get(value)) or len(able) < len(wants)
        if not stored:
            if len(able) == 1 or free(node) or duplicates(node):
                for group, maps in able.items():
                    self.pull(value, group, maps)
                return
            merged = self.merge(list(able))
            if merged is not None:
                self.pull(value, merged, [at for maps in able.values() for at in maps])
                return
        for group in wants:
            if group not in able:
                self.read(group, value)
        home = self.store(value, able)
        for group in able:
            if group is not home:
                self.read(group, value)

    def store(self, value: Value, able: dict[Group, list[Map]]) -> Unit:
        """Give a value that must be in memory to a group that computes it anyway, or to a new unit."""
        node, shape = value.node, value.type.shape
        users = [*self.readers.get(value, ()), *able]
        for group, maps in able.items():
            others = [u for u in users if u is not group]
            if len(maps) == 1 and covers(maps[0], shape, group) and not self.reaches(others, group):
                self.pull(value, group, maps)
                group.roots[value] = maps[0]
                self.home[value] = group
                return group
        if node.op.kind == "movement" or gathers(node):
            assert node.op.index_map is not None
            alias = node.op.index_map([v.type for v in node.inputs], value.type, **node.attrs) == RESHAPE
            if alias or operand_maps(node, identity(len(shape)), shape, (0, 0)) is None:
                self.single(node)
                return self.home[value]
        if node.op.kind == "reduction":
            loops = node.inputs[0].type.shape
            first, count = reduced_run(node)
            rest = len(loops) - first - count
            if is_row(node):
                group, at = Group(loops, "row", (first, count + rest)), (*identity(first), *[Idx(())] * rest)
            else:
                group, at = Group(loops, "column", (first, count)), (*identity(first), *identity(rest, first + count))
            group = self.sibling(value, group, users) or group
        elif value.type.size == 1 and (joined := self.scalar_group(value, users)) is not None:
            group, at = joined, identity(len(shape))
        else:
            group, at = Group(shape), identity(len(shape))
        if group not in self.units:
            self.units.append(group)
        if value.type.size == 1 and group.form == "map" and group not in self.scalars:
            self.scalars.append(group)
        group.roots[value] = at
        self.home[value] = group
        self.pull(value, group, [at])
        return group

    def sibling(self, value: Value, made: Group, users: list[Unit]) -> Group | None:
        """A group that reduces the same axes of the same shape and reads some of the same values: one pass for both."""
        found = [
            u
            for u in self.units
            if isinstance(u, Group) and (u.form, u.run, u.shape) == (made.form, made.run, made.shape)
        ]
        if not found:
            return None
        near: set[Value] = set()
        stack = [value.node.inputs[0]]
        while stack and len(near) < 64:
            v = stack.pop()
            if v in near or v.type.size != value.node.inputs[0].type.size:
                continue
            near.add(v)
            if v.node.op.kind in ("elementwise", "movement"):
                stack.extend(v.node.inputs)
        for group in found:
            shares = any(find(g) is group for v in near for g, _ in self.uses.get(v, ()))
            if shares and group not in users and not self.reaches(users, group):
                return group
        return None

    def scalar_group(self, value: Value, users: list[Unit]) -> Group | None:
        """Rule 8: one kernel for all the work on single elements, as far as no cycle results."""
        for group in map(find, self.scalars):
            if group.form == "map" and group.shape == value.type.shape:
                if group not in users and not self.reaches(users, group):
                    return group
        return None

    def can_pull(self, value: Value, group: Group, maps: list[Map]) -> bool:
        """Whether a group may compute a value under these maps."""
        node = value.node
        if node.op.kind == "reduction":
            return len(maps) == 1 and joins_rows(node, maps[0], group)
        if node.op.kind == "movement" or gathers(node):
            return all(operand_maps(node, at, group.shape, group.run) is not None for at in maps)
        if free(node):
            return True
        if len(maps) > 1 and node.op.cost > 1:
            return False
        return not any(repeats(at, group) for at in maps)

    def pull(self, value: Value, group: Group, maps: list[Map]) -> None:
        """Compute a value inside a group, and offer its operands to the group."""
        node = value.node
        group.pulled.setdefault(value, []).extend(maps)
        for at in maps:
            if node.op.kind == "movement" or gathers(node):
                operands = operand_maps(node, at, group.shape, group.run)
                assert operands is not None
            elif node.op.kind == "reduction":
                operands = [self.enter_rows(node, at, group)]
            else:
                operands = [at] * len(node.inputs)
            wanted = list(zip(node.inputs, operands))
            if gathers(node):
                self.read(group, wanted.pop(0)[0])
            for operand, where in wanted:
                self.uses.setdefault(operand, []).append((group, where))

    def enter_rows(self, node: Node, at: Map, group: Group) -> Map:
        """The map of a reduction's operand; a map group becomes a row group of the operand's shape (rule 4)."""
        first, count = reduced_run(node)
        shape = node.inputs[0].type.shape
        if group.form == "map":
            if group.shape[len(group.shape) - count :] != shape[first:] or not leads(at, group, count):
                group.shape = (*group.shape, *shape[first:])
            group.form, group.run = "row", (len(group.shape) - len(shape[first:]), len(shape[first:]))
        rest = identity(len(shape) - first, group.run[0]) if group.form == "row" else identity(count, group.run[0])
        return (*at[:first], *rest, *(at[first:] if group.form == "column" else ()))

    def merge(self, groups: list[Group]) -> Group | None:
        """Make one group of several with the same iteration shape, or None where their forms or a cycle forbid it."""
        keep = next((g for g in groups if g.form != "map"), groups[0])
        if any(
            g.shape != keep.shape or g.long or (g.form != "map" and (g.form, g.run) != (keep.form, keep.run))
            for g in groups
        ):
            return None
        if keep.form == "column" and any(not self.column_may_hold(g, keep) for g in groups if g is not keep):
            return None
        if any(self.reaches([a], b) for a in groups for b in groups if a is not b):
            return None
        for group in groups:
            if group is keep:
                continue
            group.into = keep
            self.units.remove(group)
            keep.roots.update(group.roots)
            keep.reads |= group.reads
            for value, maps in group.pulled.items():
                keep.pulled.setdefault(value, []).extend(m for m in maps if m not in keep.pulled.get(value, []))
            for value in group.roots:
                self.home[value] = keep
            for value in group.reads:
                readers = self.readers[value]
                readers.remove(group)
                if keep not in readers:
                    readers.append(keep)
        return keep

    def column_may_hold(self, group: Group, column: Group) -> bool:
        """A column kernel computes its producers at every element, so what a map group stores must be whole."""
        return all(
            run_merges(at, v.type.shape, column.shape, column.run) for v, ms in group.pulled.items() for at in ms
        )

    def reaches(self, starts: Iterable[Unit], goal: Unit) -> bool:
        """Whether the goal reads, over any number of units, what one of the starts stores (or is one of them)."""
        seen: set[int] = set()
        stack = list(starts)
        while stack:
            unit = stack.pop()
            if id(unit) in seen:
                continue
            seen.add(id(unit))
            for value in unit.stores:  # type: ignore[attr-defined]
                for reader in self.readers.get(value, ()):
                    if reader is goal:
                        return True
                    stack.append(reader)
        return False

    def ordered(self) -> list[Unit]:
        """Units with what they read before them, otherwise in the graph's order."""
        position = {node: k for k, node in enumerate(self.graph.nodes)}
        done: dict[Unit, None] = {}
        order: list[Unit] = []
        for start in reversed(self.units):
            stack, entered = [start], set()
            while stack:
                unit = stack[-1]
                if unit in done:
                    stack.pop()
                    continue
                wanted = sorted(unit.reads, key=lambda v: -position[v.node])
                pending = [u for v in wanted if (u := self.home.get(v)) is not None and u not in done]
                if not pending:
                    done[unit] = None
                    order.append(stack.pop())
                elif unit in entered:
                    raise AssertionError("fusion made a cycle of units")
                else:
                    entered.add(unit)
                    stack.extend(pending)
        return order


def find(group: Group) -> Group:
    """The group this one has become."""
    while group.into is not None:
        group = group.into
    return group


def free(node: Node) -> bool:
    """Costs nothing to repeat: creation, movement, casts."""
    return node.op.kind in ("creation", "movement") or node.op.cost == 0


def duplicates(node: Node) -> bool:
    """Rule 2: cheap, and reading its operands costs no more than reading it."""
    if node.op.kind != "elementwise" or node.op.cost > 1:
        return False
    whole = [v for v in set(node.inputs) if not small(v, node.types[0].size)]
    return len(whole) <= 1


def small(value: Value, size: int) -> bool:
    """Whether a value is read from far fewer elements than it has: it is broadcast, or nothing."""
    node = value.node
    while node.op.kind == "movement" or node.op.name == "astype":
        if node.inputs[0].type.size * 2 <= size:
            return True
        node = node.inputs[0].node
    return node.op.kind == "creation"


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
    """Whether a group visits each element of a value read at `at` exactly once, so that it can store it."""
    loops, used = group.shape, set()
    for i, n in zip(at, shape):
        if i.guard is not None or (n > 1 and (len(i.terms) != 1 or i.start != 0)):
            return False
        if n > 1:
            axis, mul = i.terms[0]
            if mul != 1 or loops[axis] != n or axis in used:
                return False
            used.add(axis)
    needed = (
        range(group.run[0])
        if group.form == "row" and not used & set(range(group.run[0], len(loops)))
        else range(len(loops))
    )
    return all(loops[a] == 1 or a in used for a in needed)


def leads(at: Map, group: Group, count: int) -> bool:
    """Whether a map depends on none of the group's last `count` axes."""
    return not axes_of(at) & set(range(len(group.shape) - count, len(group.shape)))


def joins_rows(node: Node, at: Map, group: Group) -> bool:
    """Rule 4: whether a reduction over the last axis can be computed by a group that uses it row by row."""
    first, _ = reduced_run(node)
    shape = node.inputs[0].type.shape
    suffix = shape[first:]
    if not is_row(node) or prod(suffix) > ROW_LIMIT or group.form == "column" or group.long:
        return False
    if node.types[0].shape[first:] and any(n != 1 for n in node.types[0].shape[first:]):
        return False
    count = len(suffix)
    if group.form == "row":
        rows = group.shape[: group.run[0]]
        return group.shape[group.run[0] :] == suffix and row_aligned(at, node.types[0].shape, rows)
    if group.shape[len(group.shape) - count :] == suffix and leads(at, group, count):
        return row_aligned(at, node.types[0].shape, group.shape[: len(group.shape) - count])
    return row_aligned(at, node.types[0].shape, group.shape)


def row_aligned(at: Map, shape: Sequence[int], rows: Sequence[int]) -> bool:
    """Whether each row is read exactly once."""
    used = set()
    for i, n in zip(at, shape):
        if i.guard is not None or (n > 1 and (len(i.terms) != 1 or i.start != 0 or i.terms[0][1] != 1)):
            return False
        if n > 1:
            axis = i.terms[0][0]
            if axis >= len(rows) or rows[axis] != n or axis in used:
                return False
            used.add(axis)
    return all(n == 1 or a in used for a, n in enumerate(rows))
