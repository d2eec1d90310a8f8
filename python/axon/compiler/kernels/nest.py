"""A nest: what a fused group computes, as scalar instructions over the group's own axes. Each expression once; movement
has become addresses, guards and choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...dtypes import DType, bool_, int32, int64
from ...graph.expr import Value
from ..fusion.clusters import Group
from ..fusion.index import Guard, Idx, Map, address, guards_of, strides
from ..fusion.pulling import gathers, operand_maps, reduced_run

ADDRESSED = ("load", "offset", "gather")  # instructions whose attribute is an Access


class Access(NamedTuple):
    """An operand before axes are merged: its memory, stride along each of the group's axes, guards and offset."""

    space: str
    memory: Any
    dtype: DType
    strides: tuple[int, ...]
    offset: int
    guards: tuple[Guard, ...]


class Place(NamedTuple):
    """Where a value lies in another's memory."""

    memory: Value
    offset: int
    strides: tuple[int, ...]


class Abstract(NamedTuple):
    """An instruction over the group's axes. attr is an Access, a Guard or a literal; reduce results are instructions
    of op `reduce` whose attr is the combining op."""

    op: str
    dtype: DType
    args: tuple[int, ...]
    attr: Any
    cost: int


class Nest:
    """A group's scalar instructions, each once."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.code: list[Abstract] = []
        self.stores: list[tuple[Access, int]] = []
        self._known: dict[Any, int] = {}
        self._values: dict[tuple[Value, Map], int] = {}

    def emit(self, op: str, dtype: DType, args: tuple[int, ...] = (), attr: Any = None, cost: int = 0) -> int:
        key = (op, dtype, args, (type(attr), repr(attr)) if isinstance(attr, float) else (type(attr), attr))
        if key not in self._known:
            self._known[key] = len(self.code)
            self.code.append(Abstract(op, dtype, args, attr, cost))
        return self._known[key]

    def access(self, space: str, memory: Any, dtype: DType, shape: Sequence[int], at: Map) -> Access:
        offset, step = address(at, strides(shape), len(self.group.shape))
        return Access(space, memory, dtype, tuple(step), offset, tuple(guards_of(at)))

    def store(self, value: Value, at: Map, place: Place | None) -> None:
        """Store a value that has been computed: in its own memory, or in its place."""
        access = self.access("out", value, value.type.dtype, value.type.shape, at)
        if place is not None:
            offset, step = address(at, place.strides, len(self.group.shape))
            access = access._replace(memory=place.memory, offset=place.offset + offset, strides=tuple(step))
        self.stores.append((access, self.value(value, at)))

    def value(self, value: Value, at: Map) -> int:
        """The instruction holding a value read at `at`: computed here, or loaded."""
        found = self._values.get((value, at))
        if found is None:
            access = self.access("in", value, value.type.dtype, value.type.shape, at)
            predicates = tuple(self.emit("guard", bool_, (), g) for g in access.guards)
            found = self._values[value, at] = self.emit("load", value.type.dtype, predicates, access)
        return found

    def compute(self, value: Value, at: Map) -> None:
        """Write the instructions of a pulled value; its operands have been written or are loaded."""
        node, type_ = value.node, value.type
        op = node.op
        if op.name == "literal":
            made = self.emit("literal", type_.dtype, (), node.attrs["value"])
        elif op.name == "iota":
            made = self.iota(value, at)
        elif op.kind.moves:
            made = self.move(value, at)
        elif gathers(node):
            made = self.gather(value, at)
        elif op.kind.reduces:
            made = self.reduce(value, at)
        else:
            args = tuple(self.value(v, at) for v in node.inputs)
            made = self.emit(op.scalar, type_.dtype, args, None, op.cost)
        self._values[value, at] = made

    def ordered(self) -> None:
        """Renumber instructions by first need, stores in order: groups that compute alike then read alike."""
        order: dict[int, int] = {}
        for _, made in self.stores:
            stack = [made]
            while stack:
                k = stack[-1]
                pending = [a for a in self.code[k].args if a not in order] if k not in order else []
                if pending:
                    stack.extend(reversed(pending))
                else:
                    order.setdefault(stack.pop(), len(order))
        self.code = [self.code[k]._replace(args=tuple(order[a] for a in self.code[k].args)) for k in order]
        self.stores = [(access, order[made]) for access, made in self.stores]

    def iota(self, value: Value, at: Map) -> int:
        """The index along one axis."""
        axis = value.node.attrs["axis"]
        return self.offset(value.type.shape[axis : axis + 1], at[axis : axis + 1], value.type.dtype)

    def offset(self, shape: Sequence[int], at: Map, dtype: DType) -> int:
        """Where an element is in a dense value of `shape`: the offset of an operand without memory."""
        return self.cast(self.emit("offset", int64, (), self.access("iota", None, int64, shape, at)), int64, dtype)

    def cast(self, made: int, have: DType, want: DType) -> int:
        return made if have is want else self.emit("cast", want, (made,))

    def move(self, value: Value, at: Map) -> int:
        """A movement's value: the first operand whose guards hold, else the last."""
        node = value.node
        maps = operand_maps(node, at, self.group.shape, self.group.run)
        assert maps is not None
        made = self.value(node.inputs[-1], maps[-1])
        for operand, where in reversed(list(zip(node.inputs[:-1], maps[:-1]))):
            new = [g for g in guards_of(where) if g not in guards_of(at)]
            inside = self.value(operand, where)
            if not new:
                made = inside
                continue
            holds = self.emit("guard", bool_, (), new[0])
            for guard in new[1:]:
                holds = self.emit("logical_and", bool_, (holds, self.emit("guard", bool_, (), guard)))
            made = self.choose(value.type.dtype, holds, inside, made)
        return made

    def choose(self, dtype: DType, holds: int, inside: int, outside: int) -> int:
        """One of two values; 16-bit floats are chosen as float32, since kernels do nothing with them but move them."""
        wide = dtype.computed_in
        given = (holds, self.cast(inside, dtype, wide), self.cast(outside, dtype, wide))
        return self.cast(self.emit("where", wide, given, None, 1), wide, dtype)

    def gather(self, value: Value, at: Map) -> int:
        """An element of a stored table: the index counts from the end if negative, and stops at the edges."""
        node = value.node
        table, indices = node.inputs
        maps = operand_maps(node, at, self.group.shape, self.group.run)
        assert maps is not None
        axis, shape = node.attrs["axis"], table.type.shape
        number = lambda n: self.emit("literal", int64, (), n)  # noqa: E731
        index = self.cast(self.value(indices, maps[1]), indices.type.dtype, int64)
        wrapped = self.emit("add", int64, (index, number(shape[axis])), None, 1)
        index = self.emit(
            "where", int64, (self.emit("less", bool_, (index, number(0)), None, 1), wrapped, index), None, 1
        )
        index = self.emit("maximum", int64, (index, number(0)), None, 1)
        index = self.emit("minimum", int64, (index, number(shape[axis] - 1)), None, 1)
        offset = self.emit("multiply", int64, (index, number(strides(shape)[axis])), None, 1)
        access = self.access("in", table, table.type.dtype, shape, maps[0])
        return self.emit("gather", value.type.dtype, (offset,), access, 1)

    def reduce(self, value: Value, at: Map) -> int:
        node, group = value.node, self.group
        first, count = reduced_run(node)
        rest = len(node.inputs[0].type.shape) - first
        axes = range(group.run[0], group.run[0] + (rest if group.form == "row" else count))
        run = tuple(Idx(((a, 1),)) for a in axes)
        operand = node.inputs[0]
        source = self.value(operand, (*at[:first], *run, *(at[first:] if group.form == "column" else ())))
        combine = node.op.combine
        assert combine is not None
        if not combine.index:
            return self.emit("reduce", value.type.dtype, (source,), combine.name)
        index = self.offset([group.shape[a] for a in axes], run, int32)
        both = self.emit("reduce", operand.type.dtype, (source, index), combine.name)
        return self.cast(self.emit("second", int32, (both,)), int32, value.type.dtype)
