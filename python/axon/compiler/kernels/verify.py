"""The Kernel verifier: every rule of the IR, one clear error each. Passes are checked with it in tests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

from ...dtypes import ALL, DType, bool_, int32, int64
from ...errors import AxonError, CompileError
from ...nx.core.combine import COMBINES
from ...nx.core.op import TABLE
from ...nx.core.tensor import TensorType
from .kernel import For, Instr, Kernel, Operand, Reduce, Stmt, Tree

HEADERS = Path(__file__).parents[2] / "_kernels"
CLASSES = {
    "floating": lambda d: d.is_float,
    "integer": lambda d: d.is_integer,
    "number": lambda d: d is not bool_,
    "boolean": lambda d: d is bool_,
    "bits": lambda d: not d.is_float,
    "any": lambda d: True,
    "masked": lambda d: True,
    "words": lambda d: d.kind == "u" and d.itemsize >= 4,
    "counter": lambda d: d.kind == "u" and d.itemsize == 8,
}


def verify(kernel: Kernel) -> None:
    """Raise CompileError if a kernel breaks a rule of the IR."""
    Verifier(kernel).run()


@cache
def scalars() -> dict[str, tuple[int, str]]:
    """Arity and class of dtypes of every scalar op, from the lines at the ends of the headers of scalar.h."""
    text = "".join(path.read_text() for path in HEADERS.glob("*.h"))
    found = re.findall(r"^AXON_OP\((\w+), (\d), (\w+)\)", text, re.M)
    return {name: (int(arity), group) for name, arity, group in found}


class Verifier:
    """Walks a kernel with the values in scope."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.dtypes: dict[int, DType] = {}  # values in scope
        self.vectors: set[int] = set()  # those that only loops over inner may read
        self.guarded: dict[int, frozenset[int]] = {}  # bool value -> guards that hold where it is true
        self.loops: list[int] = []  # axes of the loops around
        self.defined: set[int] = set()
        self.stored: set[int] = set()
        self.where = ""

    def fail(self, expected: str, got: object) -> NoReturn:
        raise CompileError(f"kernel{self.where}: expected {expected}, got {got}; the pass before wrote a wrong kernel")

    def check(self, holds: object, expected: str, got: object) -> None:
        if not holds:
            self.fail(expected, got)

    def run(self) -> None:
        kernel = self.kernel
        self.check(kernel.form in ("map", "row", "column"), "form map, row or column", kernel.form)
        self.check(kernel.outer >= 0, "outer >= 0", kernel.outer)
        self.check(not (kernel.spans and kernel.form == "map"), "spans in a row or column kernel only", "a map")
        for g, axis in enumerate(kernel.guards):
            self.check(0 <= axis < kernel.inner, "a guard on an axis before inner", f"g{g} on axis {axis}")
        spaces = [o.space for o in kernel.operands]
        ranks = {"in": 0, "iota": 0, "out": 1, "scratch": 2}
        self.check(all(s in ranks for s in spaces), "spaces in, iota, out, scratch", spaces)
        self.check(
            sorted(spaces, key=ranks.__getitem__) == spaces, "inputs and iotas, outputs, scratch in order", spaces
        )
        for k, operand in enumerate(kernel.operands):
            self.where = f" operand p{k}"
            self.operand(operand)
        self.where = ""
        if kernel.spans:
            kinds = [type(s) for s in kernel.body]
            ends = kinds.count(Instr) == len(kinds) - 1 and isinstance(last := kernel.body[-1], For) and last.reduces
            self.check(ends, "a spans kernel to end with its only loop, which reduces", [k.__name__ for k in kinds])
        self.body(kernel.body)
        self.where = ""
        missing = [k for k, o in enumerate(kernel.operands) if o.space == "out" and k not in self.stored]
        self.check(not missing, "every output stored", f"none to {[f'p{k}' for k in missing]}")

    def operand(self, o: Operand) -> None:
        kernel = self.kernel
        self.check(len(o.access) == kernel.inner + 1, f"access along {kernel.inner + 1} axes", repr(o.access))
        self.check(set(o.access) <= set("01sg"), "access of 0, 1, s, g", repr(o.access))
        self.check("1" not in o.access[:-1], "access 1 on inner only", repr(o.access))
        axes = [a for a, c in enumerate(o.access) if c == "g"]
        self.check(len(o.guards) == len(axes), f"{len(axes)} guards for access {o.access!r}", list(o.guards))
        for g, a in zip(o.guards, axes):
            fits = 0 <= g < len(kernel.guards) and kernel.guards[g] == a
            self.check(fits, f"a guard of axis {a}", f"g{g}")
        if o.space == "scratch":
            self.check(kernel.form == "row", "scratch in row kernels only", kernel.form)
            self.check(o.access == "0" * kernel.inner + "1", "scratch to move with inner only", repr(o.access))
        if o.space == "iota":
            self.check(o.dtype is int64, "an int64 iota", o.dtype)
        if o.space == "out":
            self.check("g" not in o.access, "outputs without guards", repr(o.access))
            self.check("0" not in o.access[: kernel.outer], "outputs that move with every outer axis", repr(o.access))

    # statements

    def body(self, body: Sequence[Stmt]) -> dict[int, DType]:
        """Check statements in order; returns the values of the loops among them, which only reductions still read."""
        within: dict[int, DType] = {}
        for s in body:
            if isinstance(s, Instr):
                self.where = f" %{s.id} = {s.op}" if s.op != "store" else f" store p{s.attr}"
                self.instr(s)
            elif isinstance(s, For):
                within |= self.loop(s)
            else:
                self.where = f" tree %{list(s.results)}"
                self.tree(s)
        return within

    def loop(self, s: For) -> dict[int, DType]:
        kernel = self.kernel
        self.where = f" for i{s.axis}"
        allowed = (kernel.reduced, kernel.inner) if not self.loops else (kernel.inner,)
        inside_inner = kernel.inner in self.loops
        self.check(
            s.axis in allowed and not inside_inner, f"a loop over axis {' or '.join(map(str, allowed))} here", s.axis
        )
        reducing = s.axis == kernel.reduced and kernel.form != "map"
        self.check(reducing or not s.reduces, "reductions of the loop over the reduced axis only", f"in for i{s.axis}")
        if kernel.form == "column" and s.axis == kernel.reduced:
            nested = [b for b in s.body if isinstance(b, For)]
            self.check(
                len(nested) == 1 and s.body[-1] is nested[0], "one loop over inner, at the end", f"{len(nested)} loops"
            )
            self.check(s.reduces, "a reduction in the loop over the reduced axis", "none")
        outside = dict(self.dtypes)
        self.loops.append(s.axis)
        within = self.body(s.body)
        self.loops.pop()
        within |= self.dtypes
        self.dtypes = outside
        for r in s.reduces:
            self.where = f" reduce %{list(r.results)}"
            self.reduce(r, within)
        return within

    def reduce(self, r: Reduce, inside: dict[int, DType]) -> None:
        missing = [v for v in r.values if v not in inside]
        self.check(not missing, "values of the loop", f"%{missing}")
        self.check(
            [inside[v] for v in r.values] == list(r.dtypes),
            f"values of {list(r.dtypes)}",
            [inside[v] for v in r.values],
        )
        self.combine(r)
        if self.kernel.spans:
            self.check(len(r.partials) == len(r.values), f"{len(r.values)} partial outputs", list(r.partials))
            for k, dtype in zip(r.partials, r.dtypes):
                self.partial(k, "out", dtype, "0" if self.kernel.form == "row" else "01")
                self.store_once(k)
            self.defined.update(r.results)
            return
        self.check(not r.partials, "partial outputs in a spans kernel only", list(r.partials))
        self.define(r.results, r.dtypes)
        if self.kernel.form == "column":
            self.vectors.update(r.results)

    def partial(self, k: int, space: str, dtype: DType, access: str) -> None:
        """Check an operand that holds partial results of spans."""
        self.check(0 <= k < len(self.kernel.operands), "an operand of the kernel", f"p{k}")
        wanted = Operand(space, dtype, "s" * self.kernel.outer + access)
        got = self.kernel.operands[k]
        self.check(got == wanted, f"partial results {space} {dtype} [{wanted.access}]", got)

    def combine(self, r: Reduce | Tree) -> None:
        if (how := COMBINES.get(r.combine)) is None:
            self.fail("a combining op of a reduction row", r.combine)
        values = 2 if how.index else 1
        self.check(len(r.results) == len(r.dtypes) == values, f"{values} results of {r.combine}", list(r.results))
        self.check(not r.dtypes[0].is_half, "16-bit floats to be reduced in float32", r.dtypes[0])
        if how.index:
            self.check(
                r.dtypes[0] is not bool_ and r.dtypes[1] is int32, "a number and its int32 index", list(r.dtypes)
            )
        else:
            self.scalar(r.combine, r.dtypes * 2, r.dtypes[0])

    def tree(self, s: Tree) -> None:
        kernel = self.kernel
        self.check(not self.loops, "a tree outside loops", "one inside")
        self.check(not kernel.spans, "a tree in a kernel without spans", "one with them")
        form = "row" if s.row else "map"
        self.check(kernel.form == form, f"a {form} kernel for this tree", kernel.form)
        self.check(len(s.operands) == len(s.dtypes), f"{len(s.dtypes)} operands", list(s.operands))
        self.combine(s)
        for k, dtype in zip(s.operands, s.dtypes):
            self.partial(k, "in", dtype, "0" if s.row else "1")
        self.define(s.results, s.dtypes)
        if not s.row:
            self.vectors.update(s.results)

    # instructions

    def instr(self, s: Instr) -> None:
        kernel = self.kernel
        for a in s.args:
            self.check(a in self.dtypes, "arguments defined before, in scope", f"%{a}")
            self.check(
                a not in self.vectors or kernel.inner in self.loops, "vectors over inner read in its loop", f"%{a}"
            )
        self.check(s.dtype in ALL, "a dtype", s.dtype)
        given = [self.dtypes[a] for a in s.args]
        match s.op:
            case "load":
                o = self.operand_of(s, ("in", "scratch"))
                self.check(o.dtype is s.dtype, f"a load of {o.dtype}", s.dtype)
                self.check(all(d is bool_ for d in given), "bool predicates", given)
                varying = [a for a in s.args if a not in self.guarded]
                self.check(not varying, "predicates made of guards", f"%{varying}")
                held = frozenset[int]().union(*(self.guarded[a] for a in s.args))
                self.check(held >= set(o.guards), f"predicates that imply guards {list(o.guards)}", sorted(held))
                if o.space == "scratch":
                    self.check(s.attr in self.stored, "scratch stored before it is loaded", f"p{s.attr}")
            case "gather":
                o = self.operand_of(s, ("in",))
                self.check(o.dtype is s.dtype, f"a gather of {o.dtype}", s.dtype)
                self.check(given == [int64], "one int64 index", given)
                self.check(not o.guards, "a gathered operand without guards", list(o.guards))
            case "offset":
                self.operand_of(s, ("iota",))
                self.check(s.dtype is int64 and not given, "an int64 offset", s.dtype)
            case "store":
                o = self.operand_of(s, ("out", "scratch"))
                self.check(given == [o.dtype] and s.dtype is o.dtype, f"one value of {o.dtype}", given)
                self.place(s, o)
                self.store_once(s.attr)
                return
            case "literal":
                self.check(0 <= s.attr < len(kernel.literals), "a literal of the kernel", f"c{s.attr}")
                self.check(s.dtype is kernel.literals[s.attr] and not given, f"{kernel.literals[s.attr]}", s.dtype)
            case "guard":
                self.check(0 <= s.attr < len(kernel.guards), "a guard of the kernel", f"g{s.attr}")
                axis = kernel.guards[s.attr]
                self.check(axis < kernel.outer or axis in self.loops, f"a guard read inside for i{axis}", f"g{s.attr}")
                self.check(s.dtype is bool_ and not given, "a bool guard", s.dtype)
            case "cast":
                self.check(len(given) == 1, "one value to cast", given)
            case _:
                self.scalar(s.op, tuple(given), s.dtype)
        self.check(s.attr == -1 or s.op in ("load", "gather", "offset", "literal", "guard"), "no attr", s.attr)
        self.define((s.id,), (s.dtype,))
        self.imply(s)

    def operand_of(self, s: Instr, spaces: Iterable[str]) -> Operand:
        """The operand an instruction names; its axes must be those of the loops around."""
        self.check(0 <= s.attr < len(self.kernel.operands), "an operand of the kernel", f"p{s.attr}")
        o = self.kernel.operands[s.attr]
        self.check(o.space in spaces, f"an operand in {' or '.join(spaces)}", o.space)
        for axis in range(self.kernel.outer, self.kernel.inner + 1):
            inside = axis in self.loops or o.access[axis] == "0"
            self.check(inside, f"an operand that moves with axis {axis} to be used inside for i{axis}", f"p{s.attr}")
        return o

    def place(self, s: Instr, o: Operand) -> None:
        """A store is executed once for each element: it moves with every loop around it, and so with a span's."""
        kernel = self.kernel
        if o.space == "scratch":
            return
        if kernel.form == "map":
            self.check(self.loops == [kernel.inner], "stores of a map inside its loop", "one outside")
            return  # that of a single element need not move
        if kernel.form == "column":
            self.check(kernel.inner in self.loops, "stores of a column inside a loop over inner", "one outside")
        if kernel.spans:
            self.check(kernel.reduced in self.loops, "stores of a spans kernel inside its reduction", "one outside")
        for axis in self.loops:
            self.check(o.access[axis] != "0", f"a store inside the loop over i{axis} to move with it", repr(o.access))

    def store_once(self, k: int) -> None:
        self.check(k not in self.stored, "an operand to be stored once", f"p{k} again")
        self.stored.add(k)

    def imply(self, s: Instr) -> None:
        """What is known to hold where a bool is true; only such bools may be predicates."""
        if s.op == "guard":
            self.guarded[s.id] = frozenset((s.attr,))
        elif s.op == "logical_and" and all(a in self.guarded for a in s.args):
            self.guarded[s.id] = self.guarded[s.args[0]] | self.guarded[s.args[1]]

    def scalar(self, op: str, given: tuple[DType, ...], result: DType) -> None:
        """A scalar op's arity and dtypes: by its row of the op table, or by the list of scalars if it has none."""
        known = scalars().get(op)
        if known is None:
            self.fail("a scalar of scalar.h", op)
        arity, group = known
        self.check(len(given) == arity, f"{arity} arguments", len(given))
        self.check(not any(d.is_half for d in (*given, result)), "16-bit floats to be computed in float32", list(given))
        typed = given[1:] if group == "masked" else given
        self.check(len(set(typed)) == 1 and CLASSES[group](typed[0]), f"arguments of one {group} dtype", list(given))
        self.check(group != "masked" or given[0] is bool_, "a bool mask", given[0])
        if op not in TABLE:
            width = result.itemsize == typed[0].itemsize
            kind = {"bits": "u", "from_bits": "f"}.get(op, typed[0].kind)
            self.check(width and result.kind == kind, f"a result of kind {kind} as wide as {typed[0]}", result)
            return
        try:
            settled = TABLE[op].infer([TensorType(d, ()) for d in given], {})
        except AxonError as error:
            raise CompileError(f"kernel{self.where}: {error}") from None
        self.check(settled.operands == given, f"arguments of {list(settled.operands)}", list(given))
        self.check(settled.out[0].dtype is result, f"a result of {settled.out[0].dtype}", result)

    def define(self, ids: Iterable[int], dtypes: Iterable[DType]) -> None:
        for id_, dtype in zip(ids, dtypes):
            self.check(id_ >= 0 and id_ not in self.defined, "a value defined once", f"%{id_}")
            self.defined.add(id_)
            self.dtypes[id_] = dtype
