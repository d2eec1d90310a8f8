"""Lowering: a fused group becomes one kernel, or two where its reduction is cut into spans.

The group's values are written as a Nest; axes that always move together are merged; `arrange` puts every instruction
into the outermost loop it can live in; `assembly` numbers operands, literals and guards and keeps the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any, NamedTuple

from ...dtypes import int32
from ...exact import exact
from ...graph.expr import Value
from ...nx.core.op import keep
from ..fusion.clusters import Group
from ..fusion.index import strides
from ..tuning import Tuning
from .arrange import column_body, map_body, row_body
from .assembly import Assembly, Call, Numbering, Temporary
from .kernel import COLUMN_SPAN, LANES, ROW_SPAN, For, Instr, Kernel, Stmt, Tree
from .nest import ADDRESSED, Abstract, Access, Nest, Place


class Form(NamedTuple):
    """A call without its memory: pointers are numbers, of values that the group reads or stores, or `Held`."""

    kernel: Kernel
    memory: tuple[int | Held, ...]
    literals: tuple[Any, ...]
    parameters: dict[str, int]


class Held(NamedTuple):
    """A temporary of some calls, by number."""

    number: int
    nbytes: int


# What was lowered before, here or in another program: groups that are alike in all but their memory, and nests that are
# alike in all but their memory and their offsets in it.
KEPT = 2048
_groups: dict[Any, list[Form]] = {}
_nests: dict[Any, Form] = {}


def lower(
    group: Group, order: Sequence[Value], tuning: Tuning, places: Mapping[Value, Place] = MappingProxyType({})
) -> list[Call]:
    """The calls that compute a group's roots. `order` lists its pulled values, operands first; `places` are of what is
    not stored in memory of its own."""
    roots = [v for v in order if v in group.roots]
    origin = next((v.node.source for v in reversed(roots) if v.node.source), "")
    numbers: dict[Value, int] = {}
    parts = []
    for value in order:
        node = value.node
        read = tuple([numbers.setdefault(v, len(numbers)) for v in node.inputs])
        own = numbers.setdefault(value, len(numbers))
        parts.append((node.op, node.exact, read, own, tuple(group.pulled[value]), group.roots.get(value)))
    elsewhere = [
        (numbers[v], numbers.setdefault(p.memory, len(numbers)), p.offset, p.strides)
        for v in roots
        if (p := places.get(v)) is not None
    ]
    types = tuple([v.type for v in numbers])
    key = (tuning, group.form, group.shape, group.run, tuple(parts), tuple(elsewhere), types)
    forms = _groups.get(key)
    if forms is None:
        made = calls(written(group, order, places), origin, tuning)
        temporaries = dict.fromkeys(m for call in made for m in call.memory if isinstance(m, Temporary))
        names: dict[Any, int | Held] = {**numbers, **{m: Held(k, m.nbytes) for k, m in enumerate(temporaries)}}
        numbered = [tuple([names[m] for m in call.memory]) for call in made]
        keep(_groups, key, [Form(c.kernel, m, c.literals, c.parameters) for c, m in zip(made, numbered)], KEPT)
        return made
    memory: dict[Any, Any] = dict(enumerate(numbers))
    for form in forms:
        for m in form.memory:
            if isinstance(m, Held) and m not in memory:
                memory[m] = Temporary(m.nbytes)
    return [Call(f.kernel, tuple([memory[m] for m in f.memory]), f.literals, f.parameters, origin) for f in forms]


def calls(nest: Nest, origin: str, tuning: Tuning) -> list[Call]:
    """The calls of a nest. Where it is one kernel's, operands are numbered as accesses are met."""
    numbers: dict[Access, int] = {}
    code = [
        (i.op, i.dtype, i.args, numbers.setdefault(i.attr, len(numbers)) if i.op in ADDRESSED else exact(i.attr))
        for i in nest.code
    ]
    stores = [(numbers.setdefault(a, len(numbers)), made) for a, made in nest.stores]
    apart = [(a.space, a.dtype, a.strides, a.guards) for a in numbers]
    key = (tuning, *nest.group.kind, tuple(code), tuple(stores), tuple(apart))
    found = _nests.get(key)
    if found is None:
        made = calls_of(Numbering(nest, tuning), origin)
        if len(made) == 1:
            (call,) = made
            keep(_nests, key, Form(call.kernel, tuple(call.kernel.pointers), call.literals, call.parameters), KEPT)
        return made
    accesses = list(numbers)
    memory = tuple([accesses[k].memory for k in found.memory if isinstance(k, int)])  # one kernel has no temporaries
    offsets = {f"o{k}": a.offset for k, a in enumerate(accesses)}
    return [Call(found.kernel, memory, found.literals, {**found.parameters, **offsets}, origin)]


def written(group: Group, order: Sequence[Value], places: Mapping[Value, Place]) -> Nest:
    """What computes a group's roots, from its pulled values in order."""
    nest = Nest(group)
    for value in order:
        for at in group.pulled[value]:
            nest.compute(value, at)
    for value in order:
        if (at := group.roots.get(value)) is not None:
            nest.store(value, at, places.get(value))
    nest.ordered()
    return nest


def calls_of(numbering: Numbering, origin: str) -> list[Call]:
    """The kernel's call, and the call that combines its partial results where the reduction is cut."""
    group, nest, axes, assembly = numbering.group, numbering.nest, numbering.axes, numbering.assembly
    for instr in nest.code:  # inputs are numbered before outputs
        if instr.op in ADDRESSED:
            numbering.operand(instr.attr)
    length = axes.sizes[numbering.reduced]
    spans = group.long or (group.form == "column" and length > assembly.tuning.column)
    if not spans:
        stores = [(numbering.operand(a), v) for a, v in nest.stores]
        return [assembly.call(group.form, axes.outer, body_of(numbering, stores, {}), origin)]
    count = -(-length // (ROW_SPAN if group.form == "row" else COLUMN_SPAN))
    assembly.parameters["spans"] = count
    stores = [(a, v, reduction_of(nest.code, v)) for a, v in nest.stores]
    partials, finish = cut(numbering, [(a, v, r) for a, v, r in stores if r is not None], count)
    body = body_of(numbering, [(numbering.operand(a), v) for a, v, r in stores if r is None], partials)
    return [assembly.call(group.form, axes.outer, body, origin, True), finish._replace(origin=origin)]


def body_of(numbering: Numbering, stores: list[tuple[int, int]], partials: dict[int, tuple[int, ...]]) -> list[Stmt]:
    if numbering.group.form == "map":
        return map_body(numbering, stores)
    return (row_body if numbering.group.form == "row" else column_body)(numbering, stores, partials)


def cut(
    numbering: Numbering, results: Sequence[tuple[Access, int, int]], spans: int
) -> tuple[dict[int, tuple[int, ...]], Call]:
    """Partial results for each stored reduction, and the second kernel that combines and stores them. `results` are
    what is stored, where, and of which reduction."""
    row, outer = numbering.group.form == "row", numbering.axes.outer
    lead, width = numbering.axes.sizes[:outer], LANES if row else numbering.axes.sizes[-1]
    step = [s * spans * width for s in strides(lead)]
    second = Assembly((*lead, 1 if row else width), numbering.assembly.tuning)
    second.parameters["spans"] = spans
    partials: dict[int, tuple[int, ...]] = {}
    trees: dict[int, Tree] = {}
    count = 0
    for source in dict.fromkeys(r for _, _, r in results):
        instr = numbering.nest.code[source]
        dtypes = (instr.dtype, int32)[: len(instr.args)]
        mine, theirs = [], []
        for dtype in dtypes:
            held = Temporary(prod(lead) * spans * width * dtype.itemsize)
            mine.append(numbering.assembly.operand("out", dtype, [*step, 0] if row else [*step, 0, 1], held))
            theirs.append(second.operand("in", dtype, [*step, 0] if row else [*step, 1], held))
        partials[source] = tuple(mine)
        trees[source] = Tree(tuple(range(count, count + len(dtypes))), tuple(theirs), instr.attr, dtypes, row)
        count += len(dtypes)
    tail: list[Stmt] = []
    for access, made, source in results:
        value = trees[source].results[0 if made == source else 1]
        if numbering.nest.code[made].op == "cast":
            tail.append(Instr(count, "cast", access.dtype, (value,)))
            value, count = count, count + 1
        kept = [s for a, s in enumerate(numbering.steps(access)) if row or a != outer]
        number = second.operand("out", access.dtype, kept, access.memory, access.offset)
        tail.append(Instr(-1, "store", access.dtype, (value,), number))
    body = [*trees.values(), *tail] if row else [*trees.values(), For(outer, tuple(tail))]
    return partials, second.call("row" if row else "map", outer, body, "")


def reduction_of(code: Sequence[Abstract], made: int) -> int | None:
    """The reduction that a value is the result of: directly, or as the index of an argmax."""
    while code[made].op in ("second", "cast"):
        made = code[made].args[0]
    return made if code[made].op == "reduce" else None
