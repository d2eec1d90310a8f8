"""The memory plan: a slot for every value, offsets in one arena from lifetimes, results in place where that is safe."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Container, Iterator, Sequence
from functools import lru_cache
from heapq import heappop, heappush
from typing import Any, NamedTuple

from ...graph.expr import Value
from ..kernels.assembly import Call
from ..kernels.kernel import For, Instr, Kernel
from .order import size_of
from .regions import RegionStep, Row
from .schedule import KernelStep, Schedule, reads, writes

ALIGN = 64


class Lifetime(NamedTuple):
    """What `fn.lower().memory()` shows of one value (and a plan has of it): its name, bytes, offset, first and last
    step."""

    what: Any
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
        memory = schedule.memory
        self.first: dict[Any, int] = {}
        self.last: dict[Any, int] = {}
        self.uses: dict[tuple[int, Any], list[Use]] = {}  # the calls of a kernel step that have a piece of memory
        for k, step in enumerate(schedule.steps):
            for m in map(memory, (*reads(step), *writes(step))):
                self.first.setdefault(m, k)
                self.last[m] = k
            if isinstance(step, KernelStep) and can_overwrite(step.kernel):
                for use in [Use(call, memory) for call in step.calls]:
                    for m in use.held:
                        self.uses.setdefault((k, m), []).append(use)
        if parent is None:
            for k, value in enumerate(schedule.graph.inputs):
                self.add(value, ("input", k, -1, value.type.nbytes))
            self.outputs(donate)
        else:
            self.slot.update(zip(schedule.graph.inputs, bound))
            self.last.update(dict.fromkeys(schedule.results, len(schedule.steps)))  # moved out after the last step
            self.direct(targets)
        self.arena()

    def add(self, key: Any, slot: tuple[str, int, int, int]) -> None:
        self.slot[key] = len(self.slots)
        self.slots.append(slot)

    def of(self, key: Any) -> int:
        """The slot of a value, through its aliases."""
        return self.slot[self.schedule.memory(key)]

    def outputs(self, donate: Sequence[bool]) -> None:
        """Outputs take over donated inputs of their size that are read no more when they are written: one that is read
        in place, or else the first that is dead by then."""
        inputs, results = self.schedule.graph.inputs, self.schedule.results
        free = {v: k for k, v in enumerate(inputs) if k < len(donate) and donate[k]}
        ending = sorted(free, key=lambda v: self.last.get(v, -1), reverse=True)
        dead: dict[int, list[int]] = {}  # the numbers of inputs, by size
        donors: dict[Any, int] = {}
        for result in sorted((r for r in results if r in self.first), key=self.first.__getitem__):
            while ending and self.last.get(ending[-1], -1) < self.first[result]:
                if (number := free.get(ending.pop())) is not None:
                    heappush(dead.setdefault(inputs[number].type.nbytes, []), number)
            source = min(self.overwritten(result, free), key=free.__getitem__, default=None)
            if source is not None:
                donors[result] = free.pop(source)
            elif waiting := dead.get(size_of(result)):
                donors[result] = heappop(waiting)
        for k, result in enumerate(results):
            self.add(result, ("output", k, donors.get(result, -1), size_of(result)))

    def direct(self, targets: Sequence[int]) -> None:
        """Results are written where they belong, if nothing that is read later lies there; others are moved."""
        there: dict[int, list[Value]] = {}
        for v in self.schedule.graph.inputs:
            there.setdefault(self.slot[v], []).append(v)
        for result, target in zip(self.schedule.results, targets):
            if result in self.slot or result not in self.first:
                continue
            written = self.first[result]
            if all(self.last.get(v, -1) < written or self.in_place(v, result) for v in there.get(target, ())):
                self.slot[result] = target

    def overwritten(self, result: Any, among: Container[Any]) -> Iterator[Any]:
        """Which memory of some a result may be written over: what the call that writes it is the last to read."""
        having = self.uses.get((self.first[result], result), ())
        return (m for use in having for m in use.held if m in among and self.in_place(m, result) and use.reads(m))

    def in_place(self, source: Any, result: Any) -> bool:
        """Whether a value ends at the step that writes a result of its size, which may be written over it: the one call
        that has both reads each element before it writes it, at the same address."""
        step = self.first[result]
        if self.last.get(source) != step or size_of(source) != size_of(result):
            return False
        having = {*self.uses.get((step, source), ()), *self.uses.get((step, result), ())}
        return len(having) == 1 and having.pop().reads_first(source, result)

    def arena(self) -> None:
        """Offsets for all other values, step by step, the smallest free block that fits."""
        memory, tuning = self.schedule.memory, self.schedule.target.tuning
        blocks = Blocks()
        where: dict[Any, tuple[int, int]] = {}
        ending: dict[int, list[Any]] = {}
        for m, k in self.last.items():
            ending.setdefault(k + tuning.linger if size_of(m) <= tuning.small else k, []).append(m)
        for m in dict.fromkeys((*self.first, *map(memory, self.schedule.graph.outputs))):
            if m not in self.slot and size_of(m) == 0:  # read or returned, but computed by no step
                self.add(m, ("arena", 0, -1, 0))
        for k, step in enumerate(self.schedule.steps):
            for key in map(memory, writes(step)):
                if key in self.slot:
                    continue
                nbytes = size_of(key)
                size = -(-nbytes // ALIGN) * ALIGN
                source = next(self.overwritten(key, where), None)
                where[key] = where.pop(source) if source is not None else (blocks.take(size), size)
                self.lifetimes.append(Lifetime(key, nbytes, where[key][0], k, self.last[key]))
                self.add(key, ("arena", where[key][0], -1, nbytes))
            if isinstance(step, RegionStep):
                self.region(step, blocks)
            for key in ending.get(k, ()):
                if key in where:
                    blocks.give(*where.pop(key))
        self.arena_bytes = blocks.peak

    def region(self, step: RegionStep, blocks: Blocks) -> None:
        """Plan a step's regions: each has a block of this arena while the step runs."""
        self.regions[step] = []
        for body, targets in zip(step.bodies, step.targets):
            slots = [self.place(m) for m in step.bound]
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
        self.places: list[tuple[int, int]] = []  # (offset, size), sorted
        self.sizes: list[tuple[int, int]] = []  # (size, offset), sorted
        self.peak = 0

    def take(self, size: int) -> int:
        """The offset of a block: the smallest that is free and fits, or one at the end."""
        if not size:
            return 0
        k = bisect_left(self.sizes, (size, 0))
        if k < len(self.sizes):
            have, offset = self.sizes[k]
            self._remove(offset, have)
            if have > size:
                self._insert(offset + size, have - size)
            return offset
        offset = self.peak
        if self.places and sum(self.places[-1]) == self.peak:
            offset, have = self.places[-1]
            self._remove(offset, have)
        self.peak = offset + size
        return offset

    def give(self, offset: int, size: int) -> None:
        """Free a block; what lies beside it and is free becomes one with it."""
        if not size:
            return
        k = bisect_left(self.places, (offset, size))
        for o, s in self.places[max(k - 1, 0) : k + 1]:
            if o + s == offset or o == offset + size:
                self._remove(o, s)
                offset, size = min(o, offset), size + s
        self._insert(offset, size)

    def _insert(self, offset: int, size: int) -> None:
        insort(self.places, (offset, size))
        insort(self.sizes, (size, offset))

    def _remove(self, offset: int, size: int) -> None:
        del self.places[bisect_left(self.places, (offset, size))]
        del self.sizes[bisect_left(self.sizes, (size, offset))]


def name_of(key: Any) -> str:
    return f"{key.node.op.name}: {key.type}" if isinstance(key, Value) else type(key).__name__.lower()


def can_overwrite(kernel: Kernel) -> bool:
    """Whether calls of a kernel may write over what they read, where addresses allow it."""
    return not kernel.spans and kernel.form != "column"


class Use:
    """A kernel's call, by memory: which of its operands lie there."""

    def __init__(self, call: Call, memory: Callable[[Any], Any]) -> None:
        self.call = call
        self.held: dict[Any, list[int]] = {}
        for k, m in zip(call.kernel.pointers, call.memory):
            self.held.setdefault(memory(m), []).append(k)

    def reads(self, memory: Any) -> bool:
        """Whether an operand that lies there is read."""
        operands = self.call.kernel.operands
        return any(operands[k].space == "in" for k in self.held[memory])

    def reads_first(self, source: Any, result: Any) -> bool:
        """Whether the call reads `source` as it writes `result`, and its last loop, which writes, reads before that."""
        having, kernel = [*self.held[source], *self.held[result]], self.call.kernel
        loads, stores = turns(kernel)
        written = [stores[k] for k in having if k in stores]
        if not written or any(loads.get(k, -1) > min(written) for k in having):
            return False
        if kernel.gathered & set(self.held[source]):
            return False
        return None not in (ways := {self.way(k) for k in having}) and len(ways) == 1

    def way(self, k: int) -> tuple[Any, ...] | None:
        """How an operand's address moves; None where it does so under a guard."""
        operand, p = self.call.kernel.operands[k], self.call.parameters
        if operand.guards:
            return None
        return (
            operand.dtype.itemsize,
            operand.access,
            p[f"o{k}"],
            *[p[f"s{k}_{a}"] for a, c in enumerate(operand.access) if c == "s"],
        )


@lru_cache(maxsize=4096)
def turns(kernel: Kernel) -> tuple[dict[int, int], dict[int, int]]:
    """Where a kernel's last loop loads each operand for the last time, and stores it."""
    loops = [s.body for s in kernel.body if isinstance(s, For)]
    last = [(k, i) for k, i in enumerate(loops[-1]) if isinstance(i, Instr)] if loops else []
    loads = {i.attr: k for k, i in last if i.op == "load"}
    return loads, {i.attr: k for k, i in last if i.op == "store"}
