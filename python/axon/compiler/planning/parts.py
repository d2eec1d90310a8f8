"""Parts: which kernels that follow each other may run part by part along a leading axis (a batch), each thread taking a
part through all of them while it is in the thread's own cache. Looked for when memory is planned: what matters is which
addresses a part touches. The values are the same, for every unit computes the same."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import NamedTuple

from .memory import Plan, gathered
from .schedule import KernelStep, Step

MOST = 2 << 20  # bytes that a part of all of it may have: a second-level cache
FEWEST = 4  # parts
LEAST = 4 << 20  # bytes that two of the kernels have in common: with less, it is in a cache anyway


class Access(NamedTuple):
    """Memory that a kernel touches: what it lies in, its first byte and the number of them; whether it is written; and
    whether the kernel's outermost axis cuts it into equal parts, one after the other."""

    home: tuple[str, int]
    first: int
    nbytes: int
    written: bool
    cut: bool

    def overlaps(self, other: Access) -> bool:
        apart = self.first + self.nbytes <= other.first or other.first + other.nbytes <= self.first
        return self.home == other.home and not apart

    def fits(self, other: Access) -> bool:
        """Whether a part of one needs nothing that another part of the other has."""
        if not self.overlaps(other) or not (self.written or other.written):
            return True
        return self.cut and other.cut and self[1:3] == other[1:3]


def runs(plan: Plan) -> dict[int, tuple[int, int]]:
    """By its first step, each run of kernels that is worth it: into how many parts, and how many steps go along."""
    steps, found, k = plan.schedule.steps, {}, 0
    while k < len(steps):
        parts, accesses, end = 0, list[Access](), k
        while end < len(steps):
            cut = cut_of(plan, steps[end])
            if cut is None or not all(a.fits(b) for a in cut[1] for b in accesses):
                break
            if parts and gcd(parts, cut[0]) < FEWEST:
                break
            parts, accesses, end = gcd(parts, cut[0]), accesses + cut[1], end + 1
        if end - k > 1 and worth(parts, accesses):
            found[k] = (parts, end - k - 1)
            k = end
        else:
            k += 1
    return found


def cut_of(plan: Plan, step: object) -> tuple[int, list[Access]] | None:
    """The size of a kernel's outermost axis, and what it touches; None for a step that has none. The one axis of a map
    is cut by smaller blocks."""
    if not isinstance(step, KernelStep) or len(step.calls) != 1:
        return None
    kernel, call = step.kernel, step.calls[0]
    p, tables, found = call.parameters, gathered(kernel.body), []
    if p["n0"] < FEWEST or (kernel.form != "map" if kernel.outer < 1 else call.units % p["n0"]):
        return None
    for k, memory in zip(kernel.pointers, call.memory):
        kind, a, donor, nbytes = plan.slots[plan.of(memory)]
        if kind == "slice":
            return None
        operand = kernel.operands[k]
        step_0 = {"s": p.get(f"s{k}_0"), "1": 1}.get(operand.access[0])
        whole = step_0 is not None and step_0 * p["n0"] * operand.dtype.itemsize == nbytes and p[f"o{k}"] == 0
        cut = whole and not operand.guards and k not in tables
        home = ("arena", 0) if kind == "arena" else ("input", donor) if donor >= 0 else (kind, a)
        found.append(Access(home, a if kind == "arena" else 0, nbytes, operand.space == "out", cut))
    return p["n0"], found


def worth(parts: int, accesses: Sequence[Access]) -> bool:
    """Whether something large is touched twice, and a part of all of it is small."""
    places = [(a.home, a.first) for a in accesses]
    sizes = {place: a.nbytes for place, a in zip(places, accesses)}
    again = sum(size for place, size in sizes.items() if places.count(place) > 1)
    return again >= LEAST and sum(sizes.values()) <= parts * MOST


def in_blocks(step: Step, parts: int) -> Step:
    """A kernel's step with as many units as parts, where its one axis is to be cut."""
    if not isinstance(step, KernelStep) or step.kernel.outer:
        return step
    (call,) = step.calls
    parameters = {**call.parameters, "block": call.parameters["n0"] // parts}
    return KernelStep(step.kernel, [call._replace(parameters=parameters)])
