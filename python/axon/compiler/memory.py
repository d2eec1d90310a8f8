"""The memory plan: a slot for every value, offsets in one arena from lifetimes, results in place where that is safe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..defn.expr import Value
from .kernel import For, Instr
from .lower import Call
from .schedule import KernelStep, RegionStep, Row, Schedule, Step, reads, writes

ALIGN = 64


class Lifetime(NamedTuple):
    """What `fn.lower().memory()` shows of one value: bytes, offset (None outside the arena), first and last step."""

    what: str
    nbytes: int
    offset: int | None
    first: int
    last: int


class Plan:
    """Slots as the runtime takes them, and which slot a piece of memory is.

    A region has a plan of its own: its inputs are `bound` to slots that exist, its results belong into the slots
    `targets`, its arena is one block of its parent's, its slots stand in the same list.
    """

    def __init__(
        self,
        schedule: Schedule,
        donate: Sequence[bool] = (),
        parent: Plan | None = None,
        bound: Sequence[int] = (),
        targets: Sequence[int] = (),
    ) -> None:
        self.schedule = schedule
        self.slots: list[tuple[str, int, int, int]] = parent.slots if parent is not None else []
        self.slot: dict[Any, int] = {}
        self.arena_bytes = 0
        self.lifetimes: list[Lifetime] = []
        self.regions: dict[RegionStep, list[Plan]] = {}
        steps, memory = schedule.steps, schedule.memory
        self.first: dict[Any, int] = {}
        self.last: dict[Any, int] = {}
        for k, step in enumerate(steps):
            for m in (*reads(step), *writes(step)):
                self.first.setdefault(memory(m), k)
                self.last[memory(m)] = k
        if parent is None:
            for k, value in enumerate(schedule.graph.inputs):
                self.add(value, ("input", k, -1, value.type.nbytes))
            self.outputs(donate)
        else:
            self.slot.update(zip(schedule.graph.inputs, bound))
            self.last.update(dict.fromkeys(schedule.results, len(steps)))  # moved out after the last step
            self.direct(targets)
        self.arena()

    def add(self, key: Any, slot: tuple[str, int, int, int]) -> None:
        self.slot[key] = len(self.slots)
        self.slots.append(slot)

    def of(self, key: Any) -> int:
        """The slot of a value, through its aliases."""
        return self.slot[self.schedule.memory(key)]

    def outputs(self, donate: Sequence[bool]) -> None:
        """Outputs take over donated inputs of their size that are read no more when they are written."""
        inputs = self.schedule.graph.inputs
        free = {k: v for k, v in enumerate(inputs) if k < len(donate) and donate[k] and v not in self.schedule.alias}
        for k, result in enumerate(self.schedule.results):
            nbytes = size_of(result)
            donor = next((i for i, v in free.items() if v.type.nbytes == nbytes and self.may_take(result, v)), -1)
            free.pop(donor, None)
            self.add(result, ("output", k, donor, nbytes))

    def direct(self, targets: Sequence[int]) -> None:
        """Results are written where they belong, if nothing that is read later lies there; others are moved."""
        inputs = self.schedule.graph.inputs
        for result, target in zip(self.schedule.results, targets):
            there = [v for v in inputs if self.slot[v] == target]
            if result not in self.slot and result in self.first and all(self.may_take(result, v) for v in there):
                self.slot[result] = target

    def may_take(self, result: Any, source: Any) -> bool:
        """Whether a value may be written over another: that one is dead, or read in place by the same step."""
        written, read = self.first.get(result), self.last.get(source)
        if written is None or read is None or read < written:
            return written is not None
        return read == written and in_place(self.schedule.steps[written], source, result, self.schedule.memory)

    def arena(self) -> None:
        """Offsets for all other values, step by step, the smallest free block that fits."""
        steps, memory = self.schedule.steps, self.schedule.memory
        blocks = Blocks()
        where: dict[Any, tuple[int, int]] = {}
        for m in dict.fromkeys((*self.first, *map(memory, self.schedule.graph.outputs))):
            if m not in self.slot and size_of(m) == 0:  # read or returned, but computed by no step
                self.add(m, ("arena", 0, -1, 0))
        for k, step in enumerate(steps):
            for m in writes(step):
                key = memory(m)
                if key in self.slot or key in where:
                    continue
                size = -(-size_of(key) // ALIGN) * ALIGN
                taken = next((s for s in map(memory, reads(step)) if s in where and self.may_end(s, key, k)), None)
                where[key] = where.pop(taken) if taken is not None else (blocks.take(size), size)
                self.lifetimes.append(Lifetime(name_of(key), size_of(key), where[key][0], k, self.last[key]))
                self.add(key, ("arena", where[key][0], -1, size_of(key)))
            if isinstance(step, RegionStep):
                self.region(step, blocks)
            for key in [key for key in where if self.last[key] == k]:
                blocks.give(*where.pop(key))
        self.arena_bytes = blocks.peak

    def may_end(self, source: Any, result: Any, k: int) -> bool:
        """Whether a value in the arena ends at step k and the step's result of the same size may be written over it."""
        if self.last[source] != k or size_of(source) != size_of(result):
            return False
        return in_place(self.schedule.steps[k], source, result, self.schedule.memory)

    def region(self, step: RegionStep, blocks: Blocks) -> None:
        """Plan a step's regions: each has a block of this arena while the step runs."""
        self.regions[step] = []
        for body, bound, targets in zip(step.bodies, step.bound, step.targets):
            slots = [self.place(m) for m in bound]
            to = [self.place(m) for m in targets]
            start = len(self.slots)
            plan = Plan(body, parent=self, bound=slots, targets=to)
            self.regions[step].append(plan)
            offset = blocks.take(plan.arena_bytes)
            for n in range(start, len(self.slots)):
                kind, a, b, nbytes = self.slots[n]
                if kind == "arena":
                    self.slots[n] = (kind, a + offset, b, nbytes)
            self.lifetimes += [life._replace(offset=(life.offset or 0) + offset) for life in plan.lifetimes]
            blocks.give(offset, plan.arena_bytes)

    def place(self, memory: Any) -> int:
        """The slot of a value, or the slice slot of a scan's row."""
        if not isinstance(memory, Row):
            return self.of(memory)
        if memory not in self.slot:
            self.add(memory, ("slice", self.of(memory.whole), memory.nbytes, memory.nbytes))
        return self.slot[memory]


class Blocks:
    """Free blocks of an arena that grows at its end."""

    def __init__(self) -> None:
        self.free: list[tuple[int, int]] = []  # (offset, size), by offset
        self.peak = 0

    def take(self, size: int) -> int:
        fits = [(s, o) for o, s in self.free if s >= size]
        if fits:
            have, offset = min(fits)
            self.free.remove((offset, have))
            if have > size:
                self.free.append((offset + size, have - size))
                self.free.sort()
            return offset
        offset = self.peak
        if self.free and sum(self.free[-1]) == self.peak:
            offset, _ = self.free.pop()
        self.peak = offset + size
        return offset

    def give(self, offset: int, size: int) -> None:
        self.free.append((offset, size))
        self.free.sort()
        merged: list[tuple[int, int]] = []
        for o, s in self.free:
            if merged and sum(merged[-1]) == o:
                merged[-1] = (merged[-1][0], merged[-1][1] + s)
            else:
                merged.append((o, s))
        self.free = merged


def size_of(key: Any) -> int:
    return key.type.nbytes if isinstance(key, Value) else key.nbytes


def name_of(key: Any) -> str:
    return f"{key.node.op.name}: {key.type}" if isinstance(key, Value) else type(key).__name__.lower()


def in_place(step: Step, source: Any, result: Any, memory: Any) -> bool:
    """Whether a step may write `result` over `source`, which it reads: the one call that has both reads each element
    before it writes it, at the same address."""
    if not isinstance(step, KernelStep) or step.kernel.spans or step.kernel.form == "column":
        return False
    having = [c for c in step.calls if any(memory(m) in (source, result) for m in c.memory)]
    return len(having) == 1 and elementwise_alias(having[0], source, result, memory)


def elementwise_alias(call: Call, source: Any, result: Any, memory: Any) -> bool:
    """Whether a call reads `source` as it writes `result`, and its last loop, which writes, reads before it writes."""
    kernel, p = call.kernel, call.parameters
    held = {k: memory(m) for k, m in zip(kernel.pointers, call.memory)}
    seen = set()
    for k, m in held.items():
        if m in (source, result):
            operand = kernel.operands[k]
            if operand.guards:
                return False
            seen.add(
                (
                    operand.dtype.itemsize,
                    operand.access,
                    p[f"o{k}"],
                    *(p[f"s{k}_{a}"] for a, c in enumerate(operand.access) if c == "s"),
                )
            )
    if len(seen) != 1 or gathered(kernel.body) & {k for k, m in held.items() if m == source}:
        return False
    loops = [s.body for s in kernel.body if isinstance(s, For)]
    last = [i for i in loops[-1] if isinstance(i, Instr) and i.op in ("load", "store")] if loops else []
    touched = [i.op for i in last if held.get(i.attr) in (source, result)]
    return "store" in touched and "load" not in touched[touched.index("store") :]


def gathered(body: Sequence[Any]) -> set[int]:
    """The operands that are read at computed offsets."""
    inside = [gathered(s.body) for s in body if isinstance(s, For)]
    return {s.attr for s in body if isinstance(s, Instr) and s.op == "gather"}.union(*inside)
