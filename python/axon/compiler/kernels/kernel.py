"""The Kernel IR: loops over scalars. A kernel's structure holds no size, stride or value: these are its parameters, so
one text serves every shape of the same structure.

A kernel walks `outer` axes (cut into units over threads), then the axes its body loops over:

    map       outer..., inner            each unit is a block of the inner axis at one outer index
    row       outer..., inner            each unit is one outer index; loops over inner may reduce
    column    outer..., reduced, inner   each unit is a block of inner; the loop over reduced combines

Axes are numbered in that order; inner is the last and the one that is vectorised. With `spans`, a unit is one span of
the reduction (4096 elements of a row, 256 of a column) and its accumulators are stored as partial results; a second
kernel reads them with Tree. Both orders are the ones of docs/design/reductions.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ...dtypes import DType

LANES, ROW_SPAN, COLUMN_SPAN = 64, 4096, 256


class Operand(NamedTuple):
    """Memory of one dtype, and how its address moves with each axis.

    access: one character an axis: "0" does not move, "1" by one element (inner axis only), "s" by a stride parameter,
    "g" by a stride times the quotient of the guard named in `guards` for that axis (0 where the guard is not inside).
    space: "in", "out", "scratch" (of a row kernel: private to the unit, [inner] elements, access "1" on inner only), or
    "iota" (no memory: only its offset is read). Outputs have no guards, move with every outer axis and are stored once.
    """

    space: str
    dtype: DType
    access: str
    guards: tuple[int, ...] = ()  # guard numbers of the "g" accesses, in axis order


class Instr(NamedTuple):
    """One scalar instruction: defines value `id` of `dtype` (bool for comparisons) from earlier values.

    op is a scalar of scalar.h (dtype of its operands is theirs), `cast`, or one of
      load      attr operand      args () or the predicates under which memory may be touched; 0 elsewhere. They are
                                  guards, or logical_and of guards, and imply the operand's own
      gather    attr operand      args (index: int64 element offset added to the operand's address,)
      offset    attr operand      the element offset of an iota operand, int64
      literal   attr number
      guard     attr number       bool: index of the guard's axis is inside
      store     attr operand      args (value,); defines nothing
    """

    id: int
    op: str
    dtype: DType
    args: tuple[int, ...] = ()
    attr: int = -1


class Reduce(NamedTuple):
    """Values combined over a loop's axis in the fixed order, by a row of nx/core/combine.py. One with an index
    takes and gives (value, int32 index)."""

    results: tuple[int, ...]
    values: tuple[int, ...]
    combine: str  # the row's name
    dtypes: tuple[DType, ...]
    partials: tuple[int, ...] = ()  # with spans: the output operands that receive the accumulators instead


class For(NamedTuple):
    """A loop over one axis. Its reductions are defined after it. In a column kernel the loop over `reduced` holds the
    loop over `inner`; values inside and reductions then are vectors over inner, read in later loops over inner."""

    axis: int
    body: tuple[Stmt, ...]
    reduces: tuple[Reduce, ...] = ()


class Tree(NamedTuple):
    """Combines partial results of a spans kernel: operands [outer..., spans, 64] (row) or [outer..., spans, inner]."""

    results: tuple[int, ...]
    operands: tuple[int, ...]
    combine: str
    dtypes: tuple[DType, ...]
    row: bool


Stmt = Instr | For | Tree


@dataclass(frozen=True)
class Kernel:
    """One loop nest. `operands` are inputs and iotas, then outputs, then scratch."""

    form: str  # map row column
    outer: int
    operands: tuple[Operand, ...]
    literals: tuple[DType, ...]
    guards: tuple[int, ...]  # the axis of each guard; never inner
    body: tuple[Stmt, ...]
    spans: bool = False

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:  # of everything in it: kernels are keys again and again
        return hash((self.form, self.outer, self.operands, self.literals, self.guards, self.body, self.spans))

    @property
    def inner(self) -> int:
        return self.outer + (self.form == "column")

    @property
    def reduced(self) -> int:
        """The axis that reductions run over."""
        return self.outer if self.form == "column" else self.inner

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of the int parameters, in the order of the call's `ints`.

        n<axis> sizes; block (elements of inner a unit; map and column); spans (number of spans, where the kernel has or
        reads partials); o<operand> offset; s<operand>_<axis> strides; lo/div/len<guard>.
        """
        names = [f"n{a}" for a in range(self.inner + 1)]
        if self.form != "row":
            names.append("block")
        if self.spans or any(isinstance(s, Tree) for s in self.body):
            names.append("spans")
        for k, operand in enumerate(self.operands):
            if operand.space == "scratch":
                continue
            names.append(f"o{k}")
            names += [f"s{k}_{a}" for a, c in enumerate(operand.access) if c in "sg"]
        for g in range(len(self.guards)):
            names += [f"lo{g}", f"div{g}", f"len{g}"]
        return tuple(names)

    @cached_property
    def pointers(self) -> tuple[int, ...]:
        """The operands that are passed as pointers, in the call's order."""
        return tuple(k for k, o in enumerate(self.operands) if o.space in ("in", "out"))

    def places(self, space: str) -> tuple[int, ...]:
        """Which of a call's pointers are of a space."""
        return self._places[space]

    @cached_property
    def _places(self) -> dict[str, tuple[int, ...]]:
        spaces = [self.operands[k].space for k in self.pointers]
        return {space: tuple([k for k, s in enumerate(spaces) if s == space]) for space in ("in", "out")}

    @cached_property
    def weight(self) -> int:
        """Scalar instructions for each innermost element."""
        return _weight(self.body)

    @cached_property
    def gathered(self) -> frozenset[int]:
        """The operands that are read at computed offsets."""
        return frozenset(_gathered(self.body))

    def units(self, sizes: dict[str, int]) -> int:
        """Units of work for these parameters; a unit number is (outer index, span, block), block fastest."""
        n = 1
        for a in range(self.outer):
            n *= sizes[f"n{a}"]
        if self.spans:
            n *= sizes["spans"]
        return n if self.form == "row" else n * -(-sizes[f"n{self.inner}"] // max(sizes["block"], 1))

    def __str__(self) -> str:
        """The stable text form that golden tests pin."""
        head = f"kernel {self.form}{' spans' if self.spans else ''} outer={self.outer}"
        lines = [head] + [
            f"  {o.space} p{k}: {o.dtype} [{o.access}]" + (f" guards {list(o.guards)}" if o.guards else "")
            for k, o in enumerate(self.operands)
        ]
        lines += [f"  literal c{k}: {d}" for k, d in enumerate(self.literals)]
        lines += [f"  guard g{k}: axis {a}" for k, a in enumerate(self.guards)]
        return "\n".join(lines + _text(self.body, 1))


def _weight(body: tuple[Stmt, ...]) -> int:
    return sum(_weight(s.body) if isinstance(s, For) else isinstance(s, Instr) for s in body) or 1


def _gathered(body: tuple[Stmt, ...]) -> Iterator[int]:
    for s in body:
        if isinstance(s, For):
            yield from _gathered(s.body)
        elif isinstance(s, Instr) and s.op == "gather":
            yield s.attr


_SIGIL = {"load": "p", "gather": "p", "offset": "p", "store": "p", "literal": "c", "guard": "g"}


def _text(body: tuple[Stmt, ...], depth: int) -> list[str]:
    pad, lines = "  " * depth, []
    for s in body:
        match s:
            case Instr(id, op, dtype, args, attr):
                named = [f"{_SIGIL[op]}{attr}"] if attr >= 0 else []
                call = f"{op}({', '.join(named + [f'%{a}' for a in args])})"
                lines.append(f"{pad}{call}" if op == "store" else f"{pad}%{id} = {call}: {dtype}")
            case For(axis, inner, reduces):
                lines += [f"{pad}for i{axis}:", *_text(inner, depth + 1)]
                for r in reduces:
                    to = f" into {', '.join(f'p{p}' for p in r.partials)}" if r.partials else ""
                    lines.append(f"{pad}%{list(r.results)} = reduce {r.combine} %{list(r.values)}{to}")
            case Tree(results, operands, combine, _, row):
                lines.append(f"{pad}%{list(results)} = tree {combine} p{list(operands)} {'row' if row else 'column'}")
    return lines
