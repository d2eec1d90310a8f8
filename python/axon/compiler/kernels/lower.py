"""Lowering: a fused group becomes one kernel, or two where its reduction is cut into spans.

The group's values are written as a Nest; axes that always move together are merged; `arrange` puts every instruction
into the outermost loop it can live in; an Assembly numbers operands, literals and guards and keeps the parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

from ...dtypes import DType, int32
from ...exact import exact
from ...graph.expr import Value
from ..fusion.index import Guard, strides
from ..fusion.units import Group
from .arrange import column_body, map_body, row_body
from .kernel import COLUMN_SPAN, LANES, ROW_SPAN, For, Instr, Kernel, Operand, Stmt, Tree
from .nest import ADDRESSED, Abstract, Access, Nest

MAP_BLOCK, COLUMN_BLOCK, SPANS_BLOCK = 4096, 512, 4096
# Longer columns are cut by spans over threads. Few batches are longer, so a last, smaller one needs no other kernel.
SPANS = 8 * COLUMN_SPAN


class Temporary:
    """Memory that only steps know of: the partial results of a reduction cut into spans."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes


class Call(NamedTuple):
    """A kernel with everything it is called with. `memory` are the pointers, in the order of `kernel.pointers`."""

    kernel: Kernel
    memory: tuple[Value | Temporary, ...]
    literals: tuple[Any, ...]
    parameters: dict[str, int]
    origin: str  # the user's line, for labels and reports

    @property
    def units(self) -> int:
        return self.kernel.units(self.parameters)


class Assembly:
    """A kernel in the making: operands, literals and guards by number, and the parameters of its one call."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = tuple(sizes)
        self.operands: list[Operand] = []
        self.memory: list[Any] = []
        self.literals: list[tuple[DType, Any]] = []
        self.guards: list[tuple[int, Guard]] = []  # the axis, and the numbers
        self.parameters: dict[str, int] = {f"n{k}": n for k, n in enumerate(sizes)}
        self._numbers: dict[Any, int] = {}

    def operand(self, space: str, dtype: DType, step: Sequence[int], memory: Any = None, offset: int = 0,
                guards: Sequence[Guard] = ()) -> int:  # fmt: skip
        """A new operand that moves by step[a] elements along axis a; the last axis is the vectorised one."""
        number = len(self.operands)
        by_axis = {a: k for k, (a, g) in enumerate(self.guards) if g in guards and step[a]}
        inner = len(step) - 1
        access = "".join(
            "g" if a in by_axis else "0" if s == 0 else "1" if s == 1 and a == inner else "s"
            for a, s in enumerate(step)
        )
        self.operands.append(Operand(space, dtype, access, tuple(by_axis[a] for a in sorted(by_axis))))
        self.memory.append(memory)
        if space != "scratch":
            self.parameters[f"o{number}"] = offset
            self.parameters |= {f"s{number}_{a}": step[a] for a, c in enumerate(access) if c in "sg"}
        return number

    def literal(self, dtype: DType, value: Any) -> int:
        """The number of a literal; equal ones share it."""
        key = (dtype, type(value), repr(value))
        if key not in self._numbers:
            self._numbers[key] = len(self.literals)
            self.literals.append((dtype, value))
        return self._numbers[key]

    def call(self, form: str, outer: int, body: Sequence[Stmt], origin: str, spans: bool = False) -> Call:
        """The finished kernel and its call."""
        for k, (_, g) in enumerate(self.guards):
            self.parameters |= {f"lo{k}": g.lo, f"div{k}": g.div, f"len{k}": g.size}
        self.parameters["block"] = block_of(form, self.sizes, spans)
        kernel = Kernel(
            form,
            outer,
            tuple(self.operands),
            tuple(d for d, _ in self.literals),
            tuple(a for a, _ in self.guards),
            tuple(body),
            spans,
        )
        given = {name: self.parameters[name] for name in kernel.parameters}
        return Call(
            kernel, tuple(self.memory[k] for k in kernel.pointers), tuple(v for _, v in self.literals), given, origin
        )


def block_of(form: str, sizes: Sequence[int], spans: bool) -> int:
    """Elements of the inner axis a unit: the whole axis unless it is long."""
    limit = MAP_BLOCK if form != "column" else SPANS_BLOCK if spans else COLUMN_BLOCK
    return max(sizes[-1], 1) if sizes[-1] <= limit * 2 else limit


class Axes(NamedTuple):
    """The loop axes after merging: sizes, and for each the group's axes it is made of (innermost last)."""

    sizes: tuple[int, ...]
    parts: tuple[tuple[int, ...], ...]
    outer: int


def merge_axes(group: Group, accesses: Sequence[Access], guards: Sequence[Guard]) -> Axes:
    """Merge neighbouring axes that every operand crosses as one, and order them outer..., (reduced,) inner."""
    first, count = group.run if group.form != "map" else (len(group.shape), 0)
    fixed = {g.axis for g in guards}

    def role(axis: int) -> int:
        return 0 if axis < first else 1 if axis < first + count else 2

    merged: list[list[int]] = []
    for axis, n in enumerate(group.shape):
        if n == 1:
            continue
        last = merged[-1] if merged else None
        if last is not None and role(last[-1]) == role(axis) and last[-1] not in fixed and axis not in fixed:
            if all(a.strides[last[-1]] == a.strides[axis] * n for a in accesses):
                last.append(axis)
                continue
        merged.append([axis])
    parts = [tuple(m) for m in merged]
    run = [p for p in parts if role(p[0]) == 1]
    if len(run) > 1:
        raise AssertionError("the reduced axes of a group must merge into one")
    kept = [p for p in parts if role(p[0]) != 1]
    reduced = run or [()]
    if group.form == "map":
        order = kept or [()]
    elif group.form == "row":
        order = [*kept, *reduced]
    else:
        order = [*kept[:-1], *reduced, kept[-1]]
    outer = len(order) - (2 if group.form == "column" else 1)
    return Axes(tuple(prod(group.shape[a] for a in p) for p in order), tuple(order), outer)


class Lowerer:
    """Lowers the groups of a schedule; of those that are alike in all but their memory, the first, and of nests that
    are alike in all but their memory and their offsets in it."""

    def __init__(self) -> None:
        self._known: dict[Any, tuple[list[Value], list[Call]]] = {}
        self._alike: dict[Any, Call] = {}

    def lower(self, group: Group, order: Sequence[Value]) -> list[Call]:
        """The calls that compute a group's roots. `order` lists its pulled values, operands first."""
        roots = [v for v in order if v in group.roots]
        origin = next((v.node.source for v in reversed(roots) if v.node.source), "")
        numbers: dict[Value, int] = {}
        parts = []
        for value in order:
            node = value.node
            read = tuple([numbers.setdefault(v, len(numbers)) for v in node.inputs])
            own = numbers.setdefault(value, len(numbers))
            parts.append((node.op, node.exact, read, own, tuple(group.pulled[value]), group.roots.get(value)))
        key = (group.form, group.shape, group.run, tuple(parts), tuple([v.type for v in numbers]))
        found = self._known.get(key)
        if found is None:
            calls = self.calls(written(group, order), origin)
            self._known[key] = list(numbers), calls
            return calls
        memory: dict[Any, Any] = dict(zip(found[0], numbers))
        made = []
        for kernel, pointers, literals, parameters, _ in found[1]:
            for m in pointers:
                if isinstance(m, Temporary) and m not in memory:
                    memory[m] = Temporary(m.nbytes)
            made.append(Call(kernel, tuple([memory[m] for m in pointers]), literals, parameters, origin))
        return made

    def calls(self, nest: Nest, origin: str) -> list[Call]:
        """The calls of a nest. Where it is one kernel's, operands are numbered as accesses are met."""
        numbers: dict[Access, int] = {}
        code = [
            (i.op, i.dtype, i.args, numbers.setdefault(i.attr, len(numbers)) if i.op in ADDRESSED else exact(i.attr))
            for i in nest.code
        ]
        stores = [(numbers.setdefault(a, len(numbers)), made) for a, made in nest.stores]
        apart = [(a.space, a.dtype, a.strides, a.guards) for a in numbers]
        key = (*nest.group.kind, tuple(code), tuple(stores), tuple(apart))
        found = self._alike.get(key)
        if found is None:
            calls = Lowering(nest).calls(origin)
            if len(calls) == 1:
                self._alike[key] = calls[0]
            return calls
        accesses = list(numbers)
        memory = tuple([accesses[k].memory for k in found.kernel.pointers])
        offsets = {f"o{k}": a.offset for k, a in enumerate(accesses)}
        return [Call(found.kernel, memory, found.literals, {**found.parameters, **offsets}, origin)]


def written(group: Group, order: Sequence[Value]) -> Nest:
    """What computes a group's roots, from its pulled values in order."""
    nest = Nest(group)
    for value in order:
        for at in group.pulled[value]:
            nest.compute(value, at)
    for value in order:
        if (at := group.roots.get(value)) is not None:
            access = nest.access("out", value, value.type.dtype, value.type.shape, at)
            nest.stores.append((access, nest.value(value, at)))
    nest.ordered()
    return nest


class Lowering:
    """One nest on its way to kernels."""

    def __init__(self, nest: Nest) -> None:
        self.nest, self.group = nest, nest.group
        accesses = [i.attr for i in nest.code if i.op in ADDRESSED] + [a for a, _ in nest.stores]
        guards = [i.attr for i in nest.code if i.op == "guard"] + [g for a in accesses for g in a.guards]
        guards = list(dict.fromkeys(guards))
        self.axes = merge_axes(self.group, accesses, guards)
        self.axis_of = {a: k for k, part in enumerate(self.axes.parts) for a in part}
        self.inner = len(self.axes.sizes) - 1
        self.reduced = self.axes.outer if self.group.form == "column" else self.inner
        self.assembly = Assembly(self.axes.sizes)
        self.assembly.guards = [(self.axis_of[g.axis], g) for g in guards]
        self._operands: dict[Access, int] = {}

    def steps(self, access: Access) -> list[int]:
        """An access's stride along each merged axis."""
        return [access.strides[part[-1]] if part else 0 for part in self.axes.parts]

    def operand(self, access: Access) -> int:
        """The number of an operand; equal accesses share one."""
        if access not in self._operands:
            self._operands[access] = self.assembly.operand(
                access.space, access.dtype, self.steps(access), access.memory, access.offset, access.guards
            )
        return self._operands[access]

    def attr(self, instr: Abstract) -> int:
        """The number an instruction's attribute has in the kernel."""
        match instr.op:
            case "load" | "offset" | "gather":
                return self.operand(instr.attr)
            case "guard":
                return next(k for k, (_, g) in enumerate(self.assembly.guards) if g == instr.attr)
            case "literal":
                return self.assembly.literal(instr.dtype, instr.attr)
        return -1

    def depends(self) -> list[frozenset[int]]:
        """The merged axes each instruction depends on (a reduction's result not on the reduced one)."""
        found: list[frozenset[int]] = []
        for instr in self.nest.code:
            axes = frozenset().union(*(found[a] for a in instr.args))
            if instr.op in ADDRESSED:
                axes |= {a for a, s in enumerate(self.steps(instr.attr)) if s}
            elif instr.op == "guard":
                axes |= {self.axis_of[instr.attr.axis]}
            elif instr.op == "reduce":
                axes -= {self.reduced}
            found.append(axes)
        return found

    def calls(self, origin: str) -> list[Call]:
        """The kernel's call, and the call that combines its partial results where the reduction is cut."""
        group = self.group
        for instr in self.nest.code:  # inputs are numbered before outputs
            if instr.op in ADDRESSED:
                self.operand(instr.attr)
        length = self.axes.sizes[self.reduced]
        spans = group.long or (group.form == "column" and length > SPANS)
        if not spans:
            stores = [(self.operand(a), v) for a, v in self.nest.stores]
            return [self.assembly.call(group.form, self.axes.outer, self.body(stores, {}), origin)]
        count = -(-length // (ROW_SPAN if group.form == "row" else COLUMN_SPAN))
        self.assembly.parameters["spans"] = count
        stores = [(a, v, reduction_of(self.nest.code, v)) for a, v in self.nest.stores]
        partials, finish = self.cut([(a, v, r) for a, v, r in stores if r is not None], count)
        body = self.body([(self.operand(a), v) for a, v, r in stores if r is None], partials)
        return [self.assembly.call(group.form, self.axes.outer, body, origin, True), finish._replace(origin=origin)]

    def body(self, stores: list[tuple[int, int]], partials: dict[int, tuple[int, ...]]) -> list[Stmt]:
        if self.group.form == "map":
            return map_body(self, stores)
        return (row_body if self.group.form == "row" else column_body)(self, stores, partials)

    def cut(self, results: Sequence[tuple[Access, int, int]], spans: int) -> tuple[dict[int, tuple[int, ...]], Call]:
        """Partial results for each stored reduction, and the second kernel that combines and stores them. `results` are
        what is stored, where, and of which reduction."""
        row, outer = self.group.form == "row", self.axes.outer
        lead, width = self.axes.sizes[:outer], LANES if row else self.axes.sizes[-1]
        step = [s * spans * width for s in strides(lead)]
        second = Assembly((*lead, 1 if row else width))
        second.parameters["spans"] = spans
        partials: dict[int, tuple[int, ...]] = {}
        trees: dict[int, Tree] = {}
        count = 0
        for source in dict.fromkeys(r for _, _, r in results):
            instr = self.nest.code[source]
            dtypes = (instr.dtype, int32)[: len(instr.args)]
            mine, theirs = [], []
            for dtype in dtypes:
                held = Temporary(prod(lead) * spans * width * dtype.itemsize)
                mine.append(self.assembly.operand("out", dtype, [*step, 0] if row else [*step, 0, 1], held))
                theirs.append(second.operand("in", dtype, [*step, 0] if row else [*step, 1], held))
            partials[source] = tuple(mine)
            trees[source] = Tree(tuple(range(count, count + len(dtypes))), tuple(theirs), instr.attr, dtypes, row)
            count += len(dtypes)
        tail: list[Stmt] = []
        for access, made, source in results:
            value = trees[source].results[0 if made == source else 1]
            if self.nest.code[made].op == "cast":
                tail.append(Instr(count, "cast", access.dtype, (value,)))
                value, count = count, count + 1
            kept = [s for a, s in enumerate(self.steps(access)) if row or a != outer]
            number = second.operand("out", access.dtype, kept, access.memory, access.offset)
            tail.append(Instr(-1, "store", access.dtype, (value,), number))
        body = [*trees.values(), *tail] if row else [*trees.values(), For(outer, tuple(tail))]
        return partials, second.call("row" if row else "map", outer, body, "")


def reduction_of(code: Sequence[Abstract], made: int) -> int | None:
    """The reduction that a value is the result of: directly, or as the index of an argmax."""
    while code[made].op in ("second", "cast"):
        made = code[made].args[0]
    return made if code[made].op == "reduce" else None
