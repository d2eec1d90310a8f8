"""What the text of a kernel is made of on every target: names, scalar instructions, addresses, guards, folds.

An emitter adds the function around it, the loops, and how folds are combined across lanes. In the text a value is
v<id>, an operand's address p<k> (r<k> inside a column's loop over the reduced axis), an index i<axis>, a parameter its
name.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager

from ...dtypes import DType, bool_, float32
from ...nx.core.combine import COMBINES
from ...nx.core.op import TABLE
from ..kernels.kernel import For, Instr, Kernel, Reduce, Stmt, Tree


def constant(value: bool | int | float, dtype: DType) -> str:
    """C++ text of an identity."""
    if dtype is bool_:
        return str(bool(value)).lower()
    if dtype.is_integer:
        return f"lowest<{dtype.ctype}>" if value == dtype.lowest else f"{dtype.ctype}({value}u)"
    suffix = "f" if dtype is float32 else ""
    if math.isinf(value):
        return ("-" if value < 0 else "") + "INFINITE"
    return f"{float(value)!r}{suffix}"


def cheap(body: Sequence[object]) -> bool:
    """Whether a loop body is a few instructions without a division or transcendental: worth unrolling."""
    return len(body) <= 8 and all(isinstance(s, Instr) and (s.op not in TABLE or TABLE[s.op].cost <= 1) for s in body)


def reductions(kernel: Kernel) -> list[Reduce | Tree]:
    """Everything in a kernel that folds."""
    made: list[Reduce | Tree] = []
    for s in kernel.body:
        made += s.reduces if isinstance(s, For) else (s,) if isinstance(s, Tree) else ()
    return made


Side = tuple[int, int]  # a choice's id, and which of its operands (1 or 2)


def choices(body: Sequence[Instr], truths: Container[int], kept: Container[int]) -> dict[int, Side]:
    """For instructions that only one operand of a choice by guards needs: the choice's id, and which operand (1 or 2).
    Choices that would save less than a few instructions are left alone."""
    users: dict[int, set[int]] = {}
    for s in body:
        for a in s.args:
            users.setdefault(a, set()).add(s.id)
    found: dict[int, Side] = {}
    for place in range(len(body) - 1, -1, -1):
        w = body[place]
        if w.op != "where" or w.args[0] not in truths:
            continue
        for k in (1, 2):
            side: set[int] = set()
            for s in reversed(body[:place]):
                by = users.get(s.id, set())
                mine = s.id == w.args[k] and s.id != w.args[3 - k] and by == {w.id}
                if s.op != "store" and s.id not in kept and by and (mine or by <= side):
                    side.add(s.id)
            if len(side) > 3:
                found.update(dict.fromkeys(side, (w.id, k)))
    return found


class Emitter:
    """Writes the statements every target has in common; `line` and `block` collect the text."""

    extent = ", m"  # which lanes of a vector exist, as loads and stores take it
    one_store = ""  # condition under which a row-level store is executed
    along = ("at", "blocks")  # what a unit of a map or column has of inner, and of how many

    def __init__(self, kernel: Kernel, symbol: str) -> None:
        self.kernel, self.symbol = kernel, symbol
        self.lines: list[str] = []
        self.depth = 0
        self.names: dict[int, str] = {}  # value -> its text
        self.truths: dict[int, str] = {}  # bool value that is the same in every lane -> a plain bool
        self.varying: set[int] = set()  # values that differ from lane to lane
        self.addresses: dict[int, str] = {}  # operand -> its address at the current level

    # text

    def line(self, text: str) -> None:
        self.lines.append("  " * self.depth + text if text else "")

    @contextmanager
    def block(self, head: str, end: str = "}") -> Iterator[None]:
        """An indented block: `head {` ... `}`."""
        self.line(f"{head} {{" if head else "{")
        self.depth += 1
        yield
        self.depth -= 1
        self.line(end)

    def arguments(self, pointer: str, literal: str) -> None:
        """Base addresses and literals as locals; the formats say where a pointer and a literal's slot are."""
        for slot, k in enumerate(self.kernel.pointers):
            operand = self.kernel.operands[k]
            type_ = ("const " if operand.space == "in" else "") + operand.dtype.ctype
            self.line(f"{type_}* const b{k} = reinterpret_cast<{type_}*>({pointer.format(slot=slot, k=k)}) + o{k};")
        for k, dtype in enumerate(self.kernel.literals):
            self.line(f"const auto c{k} = literal<{dtype.ctype}>({literal.format(k=k)});")

    def opening(self) -> None:
        """The text before the function: the header, and a fold type F<first result> for every reduction. Equal ones are
        one type, so that what they call is compiled once."""
        folds = reductions(self.kernel)
        known: dict[str, int] = {}
        self.line(f'#include "{"reduce" if folds else "loop"}.h"')
        self.line(f"namespace {self.symbol}_ {{")
        self.line("using namespace axon;")
        for r in folds:
            how, type_ = COMBINES[r.combine], r.dtypes[0].ctype
            start = constant(how.identity(r.dtypes[0]), r.dtypes[0])
            head, given = (r.combine.upper(), start) if how.index else ("FOLD", f"{r.combine}, {start}")
            name, same = r.results[0], known.setdefault(f"{head} {type_} {given}", r.results[0])
            self.line(f"AXON_{head}(F{name}, {type_}, {given})" if same == name else f"using F{name} = F{same};")

    def digits(self) -> list[tuple[str, str]]:
        """What a unit's number is made of, fastest first: name and size."""
        kernel = self.kernel
        made: list[tuple[str, str]] = [] if kernel.form == "row" else [self.along]
        if kernel.spans:
            made.append(("span", "spans"))
        return made + [(f"i{a}", f"n{a}") for a in reversed(range(kernel.outer))]

    def decode(self, number: str, digits: Sequence[tuple[str, str]], const: str = "") -> None:
        """The digits of a number in mixed radix, fastest first: each a name and its size."""
        if digits:
            self.line(f"int64 rest = {number};")
        for k, (name, size) in enumerate(digits):
            last = k == len(digits) - 1
            self.line(
                f"{const}int64 {name} = rest;" if last else f"{const}int64 {name} = rest % {size}; rest /= {size};"
            )

    # addresses

    def guards(self, axis: int) -> None:
        """The guards of an axis, at the start of its level."""
        for g, a in enumerate(self.kernel.guards):
            if a == axis:
                self.line(f"const guard g{g} = guard_of(i{a}, lo{g}, div{g}, len{g});")

    def term(self, k: int, axis: int) -> str:
        """What an axis adds to an operand's address, or nothing."""
        operand = self.kernel.operands[k]
        char = operand.access[axis]
        if char == "s":
            return f" + i{axis} * s{k}_{axis}"
        if char == "g":
            g = operand.guards[operand.access[:axis].count("g")]
            return f" + g{g}.quotient * s{k}_{axis}"
        return ""

    def bases(self) -> None:
        """Addresses at the outer indices."""
        for axis in range(self.kernel.outer):
            self.guards(axis)
        for k, operand in enumerate(self.kernel.operands):
            if operand.space == "scratch":
                self.addresses[k] = f"p{k}"
                continue
            sum_ = "".join(self.term(k, a) for a in range(self.kernel.outer))
            base = f"o{k}" if operand.space == "iota" else f"b{k}"
            self.addresses[k] = f"p{k}" if sum_ else base
            if sum_:
                self.line(f"const auto p{k} = {base}{sum_};")

    def enter_reduced(self) -> dict[int, str]:
        """Addresses inside a column's loop over the reduced axis; returns those to put back after it."""
        axis, saved = self.kernel.reduced, dict(self.addresses)
        self.guards(axis)
        for k in range(len(self.kernel.operands)):
            if term := self.term(k, axis):
                self.line(f"const auto r{k} = {self.addresses[k]}{term};")
                self.addresses[k] = f"r{k}"
        return saved

    # instructions

    def body(self, body: Sequence[Stmt], reduces: Sequence[Reduce] = ()) -> None:
        """The statements of a loop over inner. What only one side of a choice by guards needs is computed on that side
        only: guards hold for a whole vector."""
        instrs = [s for s in body if isinstance(s, Instr)]
        self.choose(instrs, choices(instrs, self.truths, {v for r in reduces for v in r.values}), None)

    def choose(self, instrs: Sequence[Instr], sides: Mapping[int, Side], side: Side | None) -> None:
        """The instructions of one side (None: of neither) of a choice."""
        chosen = {w for w, _ in sides.values()}
        for s in instrs:
            if sides.get(s.id) != side or (s.op == "store" and side is not None):
                continue
            if s.id not in chosen:
                self.instr(s, True)
                continue
            self.line(f"lanes<{s.dtype.ctype}> v{s.id};")
            for k, head in ((1, f"if ({self.truths[s.args[0]]})"), (2, "else")):
                with self.block(head):
                    self.choose(instrs, sides, (s.id, k))
                    self.line(f"v{s.id} = {self.names[s.args[k]]};")
            self.names[s.id] = f"v{s.id}"
            if any(a in self.varying for a in s.args):
                self.varying.add(s.id)

    def instr(self, s: Instr, inner: bool) -> None:
        """One instruction, inside the loop over inner or at a level where it has the same value in every lane."""
        match s.op:
            case "literal":
                self.names[s.id] = f"c{s.attr}"
                return
            case "store":
                self.store(s, inner)
                return
            case "guard":
                self.truths[s.id] = f"g{s.attr}.inside"
                text = f"broadcast<bool>(g{s.attr}.inside)"
            case "load":
                text = self.load(s, inner)
            case "gather":
                text = self.gather(s, inner)
            case "offset":
                text = self.offset(s, inner)
            case "cast":
                text = f"axon::cast<{s.dtype.ctype}>({self.names[s.args[0]]})"
            case _:
                if s.op == "logical_and" and all(a in self.truths for a in s.args):
                    self.truths[s.id] = " && ".join(self.truths[a] for a in s.args)
                text = f"axon::{s.op}({', '.join(self.names[a] for a in s.args)})"
        if inner and any(a in self.varying for a in s.args):
            self.varying.add(s.id)
        self.names[s.id] = f"v{s.id}"
        self.line(f"const auto v{s.id} = {text};")

    def moving(self, s: Instr, inner: bool) -> str:
        """How the instruction's operand moves with inner: "0", "1" or "s"."""
        char = self.kernel.operands[s.attr].access[self.kernel.inner] if inner else "0"
        if char != "0":
            self.varying.add(s.id)
        return char

    def stride(self, k: int) -> str:
        return f"s{k}_{self.kernel.inner}"

    def load(self, s: Instr, inner: bool) -> str:
        text = self.read(self.addresses[s.attr], self.moving(s, inner), self.stride(s.attr))
        conditions = [self.truths.get(a, f"front({self.names[a]})") for a in s.args]
        return f"{' && '.join(conditions)} ? {text} : lanes<{s.dtype.ctype}>{{}}" if conditions else text

    def read(self, at: str, char: str, step: str) -> str:
        """A vector from an address that moves with inner as `char` says."""
        match char:
            case "0":
                return f"load_one({at})"
            case "1":
                return f"load({at} + i{self.extent})"
            case _:
                return f"load_strided({at} + i * {step}, {step}{self.extent})"

    def gather(self, s: Instr, inner: bool) -> str:
        at, step, index = self.addresses[s.attr], self.stride(s.attr), self.names[s.args[0]]
        char = self.moving(s, inner)
        if s.args[0] not in self.varying:  # the same offset for every lane
            return self.read(f"{at} + front({index})", char, step)
        if char == "1":
            index = f"axon::add({index}, iota<int64>(i))"
        elif char == "s":
            index = f"axon::add({index}, steps(i * {step}, {step}))"
        return f"gather({at}, {index}{self.extent})"

    def offset(self, s: Instr, inner: bool) -> str:
        at, step = self.addresses[s.attr], self.stride(s.attr)
        match self.moving(s, inner):
            case "0":
                return f"broadcast<int64>({at})"
            case "1":
                return f"iota<int64>({at} + i)"
            case _:
                return f"steps({at} + i * {step}, {step})"

    def store(self, s: Instr, inner: bool) -> None:
        at, step, value = self.addresses[s.attr], self.stride(s.attr), self.names[s.args[0]]
        match self.moving(s, inner):
            case "0":
                self.line(f"{self.one_store}store_one({at}, {value});")
            case "1":
                self.line(f"store({at} + i, {value}{self.extent});")
            case _:
                self.line(f"store_strided({at} + i * {step}, {step}, {value}{self.extent});")

    # reductions

    def fold_of(self, r: Reduce) -> str:
        """The fold that holds a reduction's values at one element."""
        return f"F{r.results[0]}{{{', '.join(self.names[v] for v in r.values)}}}"

    def results(self, r: Reduce | Tree, fold: str, varying: bool = False) -> None:
        """The results of a reduction are the members of its fold."""
        for result, member in zip(r.results, ("value", "index")):
            self.names[result] = f"{fold}.{member}"
            if varying:
                self.varying.add(result)
