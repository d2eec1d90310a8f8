"""Arrangement: puts a nest's instructions into loops, each into the outermost one it can live in.

A row kernel has phases: what needs a reduction's result runs in a later loop over the row. A value needed in several
loops is computed again if that is cheap, and kept in scratch memory if not.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

from ...dtypes import int32
from .assembly import Numbering
from .kernel import For, Instr, Reduce, Stmt

Stores = Sequence[tuple[int, int]]  # (operand number, instruction)


class Writer:
    """Numbers instructions as they are written; one scope a loop, inner scopes see outer ones."""

    def __init__(self, numbering: Numbering) -> None:
        self.numbering, self.code = numbering, numbering.nest.code
        self.count = 0

    def new(self) -> int:
        self.count += 1
        return self.count - 1

    def write(self, wanted: Iterable[int], scope: dict[int, int], body: list[Stmt]) -> None:
        """Append the instructions that make the wanted values (all in this scope), operands first."""
        for k in sorted(closure(self.code, wanted, scope)):
            instr = self.code[k]
            args = tuple(scope[a] for a in instr.args)
            if instr.op == "reduce" or instr.op == "second":
                raise AssertionError("a reduction's result is defined by its loop")
            scope[k] = self.new()
            body.append(Instr(scope[k], instr.op, instr.dtype, args, self.numbering.attr(instr)))

    def store(self, operand: int, value: int, body: list[Stmt]) -> None:
        body.append(Instr(-1, "store", self.numbering.assembly.operands[operand].dtype, (value,), operand))

    def reduces(
        self,
        which: Sequence[int],
        inside: Mapping[int, int],
        scope: dict[int, int],
        partials: Mapping[int, tuple[int, ...]],
    ) -> tuple[Reduce, ...]:
        """The reductions of a loop; their results enter the scope around it."""
        made = []
        for k in which:
            instr = self.code[k]
            dtypes = (instr.dtype, int32)[: len(instr.args)]
            results = tuple(self.new() for _ in dtypes)
            scope[k] = results[0]
            for j, other in enumerate(self.code):
                if other.op == "second" and other.args == (k,):
                    scope[j] = results[1]
            made.append(Reduce(results, tuple(inside[a] for a in instr.args), instr.attr, dtypes, partials.get(k, ())))
        return tuple(made)


def closure(code: Sequence, wanted: Iterable[int], known: Container[int]) -> set[int]:
    """The instructions needed for the wanted ones that are not known yet."""
    found: set[int] = set()
    stack = [k for k in wanted if k not in known]
    while stack:
        k = stack.pop()
        if k not in found:
            found.add(k)
            stack.extend(a for a in code[k].args if a not in known)
    return found


def map_body(numbering: Numbering, stores: Stores) -> list[Stmt]:
    """What does not depend on the inner axis, then one loop over it."""
    writer, depends = Writer(numbering), numbering.depends()
    inner = numbering.inner
    needed = closure(writer.code, [v for _, v in stores], {})
    body: list[Stmt] = []
    scope: dict[int, int] = {}
    writer.write([k for k in needed if inner not in depends[k]], scope, body)
    inside: list[Stmt] = []
    local = dict(scope)
    for operand, value in stores:
        writer.write([value], local, inside)
        writer.store(operand, local[value], inside)
    return [*body, For(inner, tuple(inside))]


def column_body(numbering: Numbering, stores: Stores, partials: Mapping[int, tuple[int, ...]]) -> list[Stmt]:
    """The loop over the reduced axis around the loop over inner; reductions are stored afterwards."""
    writer, depends, code = Writer(numbering), numbering.depends(), numbering.nest.code
    reduced, inner = numbering.axes.outer, numbering.inner
    reductions = [k for k, i in enumerate(code) if i.op == "reduce"]
    sources = [a for k in reductions for a in code[k].args]
    early = [(o, v) for o, v in stores if not after(code, v)]
    late = [(o, v) for o, v in stores if after(code, v)]
    needed = closure(code, [*sources, *(v for _, v in early)], {})
    body: list[Stmt] = []
    scope: dict[int, int] = {}
    plain = [k for k in needed if k not in sources]
    writer.write([k for k in plain if not depends[k] & {reduced, inner}], scope, body)
    middle: list[Stmt] = []
    at_row = dict(scope)
    writer.write([k for k in plain if inner not in depends[k]], at_row, middle)
    inside: list[Stmt] = []
    local = dict(at_row)
    writer.write([*sources, *(v for _, v in early)], local, inside)
    for operand, value in early:
        writer.store(operand, local[value], inside)
    made = writer.reduces(reductions, local, scope, partials)
    body.append(For(reduced, (*middle, For(inner, tuple(inside))), made))
    tail: list[Stmt] = []
    for operand, value in late:
        writer.write([value], scope, tail)
        writer.store(operand, scope[value], tail)
    return [*body, For(inner, tuple(tail))] if tail else body


def after(code: Sequence, value: int) -> bool:
    """Whether a value needs a reduction's result."""
    return any(code[k].op == "reduce" for k in closure(code, [value], {}))


def row_body(numbering: Numbering, stores: Stores, partials: Mapping[int, tuple[int, ...]]) -> list[Stmt]:
    """Row-level instructions and loops over the row, phase by phase."""
    writer, depends, code = Writer(numbering), numbering.depends(), numbering.nest.code
    inner = numbering.inner
    level = {k for k, d in enumerate(depends) if inner not in d}  # what has one value a row
    phase: list[int] = []
    for instr in code:
        here = max((phase[a] for a in instr.args), default=0)
        phase.append(here + 1 if instr.op == "reduce" else here)
    needed = closure(code, [*(v for _, v in stores), *partials], {})
    reductions = sorted(k for k in needed if code[k].op == "reduce")
    last = max([phase[v] for _, v in stores] + [phase[k] - 1 for k in reductions] + [0])
    whole = {operand: numbering.assembly.operands[operand].access[inner] != "0" for operand, _ in stores}

    # Plan from the last loop to the first: what each computes, and what it reads that an earlier one keeps for it: what
    # would take a division or a transcendental to compute again.
    roots: list[list[int]] = [[] for _ in range(last + 1)]
    read: list[set[int]] = [set() for _ in roots]
    for k in reductions:
        roots[phase[k] - 1] += code[k].args
    for operand, value in stores:
        if whole[operand]:
            roots[phase[value]].append(value)
    kept: dict[int, int] = {}
    for p in range(last, -1, -1):
        stack, seen = list(roots[p]), set()
        while stack:
            k = stack.pop()
            if k in seen or k in level:
                continue
            seen.add(k)
            if phase[k] < p and any(code[j].cost > 1 for j in closure(code, [k], level)):
                read[p].add(k)
                if k not in kept:
                    kept[k] = numbering.assembly.operand("scratch", code[k].dtype, [0] * inner + [1])
                    roots[phase[k]].append(k)
                continue
            stack.extend(code[k].args)

    body: list[Stmt] = []
    scope: dict[int, int] = {}
    for p in range(last + 1):
        early = [k for k in needed & level if phase[k] <= p and code[k].op not in ("reduce", "second")]
        writer.write(early, scope, body)
        inside: list[Stmt] = []
        local = dict(scope)
        for k, operand in kept.items():
            if k in read[p]:
                local[k] = writer.new()
                inside.append(Instr(local[k], "load", code[k].dtype, (), operand))
        wanted = [k for k in roots[p] if k not in local]
        writer.write(wanted, local, inside)
        for k, operand in kept.items():
            if phase[k] == p:
                writer.store(operand, local[k], inside)
        for operand, value in stores:
            if whole[operand] and phase[value] == p:
                writer.store(operand, local[value], inside)
        made = writer.reduces([k for k in reductions if phase[k] == p + 1], local, scope, partials)
        if inside or made:
            body.append(For(inner, tuple(inside), made))
    for operand, value in stores:
        if not whole[operand]:
            writer.write([value], scope, body)
            writer.store(operand, scope[value], body)
    return body
