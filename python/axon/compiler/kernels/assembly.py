"""Assembly: a kernel in the making. Axes that always move together are merged, what it reads and writes gets numbers,
and what depends on shapes and values becomes a parameter of the call."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

from ...dtypes import DType
from ...graph.expr import Value
from ..fusion.clusters import Group
from ..fusion.index import Guard
from ..tuning import Tuning
from .kernel import Kernel, Operand, Stmt
from .nest import ADDRESSED, Abstract, Access, Nest


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

    def __init__(self, sizes: Sequence[int], tuning: Tuning) -> None:
        self.sizes, self.tuning = tuple(sizes), tuning
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
        self.parameters["block"] = self.tuning.block(form, self.sizes[-1], spans)
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


class Numbering:
    """A nest's axes, operands and literals by the numbers that they have in its kernel, which is in the making."""

    def __init__(self, nest: Nest, tuning: Tuning) -> None:
        self.nest, self.group = nest, nest.group
        accesses = [i.attr for i in nest.code if i.op in ADDRESSED] + [a for a, _ in nest.stores]
        guards = [i.attr for i in nest.code if i.op == "guard"] + [g for a in accesses for g in a.guards]
        guards = list(dict.fromkeys(guards))
        self.axes = merge_axes(self.group, accesses, guards)
        self.axis_of = {a: k for k, part in enumerate(self.axes.parts) for a in part}
        self.inner = len(self.axes.sizes) - 1
        self.reduced = self.axes.outer if self.group.form == "column" else self.inner
        self.assembly = Assembly(self.axes.sizes, tuning)
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
