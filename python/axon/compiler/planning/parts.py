"""Parts: which kernels that follow each other may run part by part along a leading axis (a batch), each thread taking a
part through all of them while it is in the thread's own cache. Looked for when memory is planned: what matters is which
addresses a part touches. The values are the same, for every unit computes the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from math import gcd, prod
from typing import NamedTuple

from ..tuning import Tuning
from .memory import Plan
from .schedule import KernelStep, Step

Cut = tuple[int, "list[Touch]"]
Place = tuple[tuple[str, int], int]


class Touch(NamedTuple):
    """Memory that a kernel touches: what it lies in, its first byte and the number of them; whether it is written;
    whether the kernel's outermost axis cuts it into equal parts, one after the other; how many bytes are touched."""

    home: tuple[str, int]
    first: int
    nbytes: int
    written: bool
    cut: bool
    touched: int

    @property
    def place(self) -> Place:
        return self.home, self.first

    def overlaps(self, other: Touch) -> bool:
        apart = self.first + self.nbytes <= other.first or other.first + other.nbytes <= self.first
        return self.home == other.home and not apart

    def fits(self, other: Touch) -> bool:
        """Whether a part of one needs nothing that another part of the other has."""
        if not self.overlaps(other) or not (self.written or other.written):
            return True
        return self.cut and other.cut and self[1:3] == other[1:3]


def runs(plan: Plan) -> dict[int, tuple[int, int]]:
    """By its first step, each run of kernels that is worth it: into how many parts, and how many steps go along. Of
    runs that have steps in common, those are taken that read the most bytes from a cache."""
    tuning = plan.schedule.target.tuning
    cuts = [cut_of(plan, step, tuning.parts) for step in plan.schedule.steps]
    most = gains(cuts, tuning.run)
    best: list[tuple[int, int, int]] = [(0, 0, 0)] * (len(cuts) + 1)  # from a step on: bytes; parts and end of a run
    for k in reversed(range(len(cuts))):
        best[k] = (best[k + 1][0], 0, 0)
        if most[min(k + tuning.run, len(cuts))] - most[k] >= tuning.again:
            for end, parts, again in runs_from(cuts, k, tuning):
                if again + best[end][0] > best[k][0]:
                    best[k] = (again + best[end][0], parts, end)
    found, k = {}, 0
    while k < len(cuts):
        _, parts, end = best[k]
        if end:
            found[k] = (parts, end - k - 1)
        k = end or k + 1
    return found


def gains(cuts: Sequence[Cut | None], run: int) -> list[int]:
    """How many bytes the steps before each touch that some step shortly before them has touched: a run reads no more
    from a cache."""
    last: dict[Place, int] = {}
    sums = [0]
    for k, cut in enumerate(cuts):
        accesses = cut[1] if cut is not None else ()
        again = sum(a.touched for a in accesses if k - last.get(a.place, -run) < run)
        last.update((a.place, k) for a in accesses)
        sums.append(sums[-1] + again)
    return sums


def runs_from(cuts: Sequence[Cut | None], k: int, tuning: Tuning) -> Iterator[tuple[int, int, int]]:
    """The runs from a step on that are worth it: the end, the parts, and the bytes that are touched again."""
    parts, again, accesses, sizes = 0, 0, list[Touch](), dict[Place, int]()
    for end, cut in enumerate(islice(cuts, k, k + tuning.run), k + 1):
        if cut is None or not all(a.fits(b) for a in cut[1] for b in accesses):
            return
        parts = gcd(parts, cut[0])
        if parts < tuning.parts:
            return
        again += sum(a.touched for a in cut[1] if a.place in sizes)
        accesses += cut[1]
        sizes.update((a.place, a.nbytes) for a in cut[1])
        if again >= tuning.again and sum(sizes.values()) <= parts * tuning.part:
            yield end, parts, again


def cut_of(plan: Plan, step: object, fewest: int) -> Cut | None:
    """The size of a kernel's outermost axis, and what it touches; None for a step that has none. The one axis of a map
    is cut by smaller blocks."""
    if not isinstance(step, KernelStep) or len(step.calls) != 1:
        return None
    kernel, call = step.kernel, step.calls[0]
    p, tables, found = call.parameters, kernel.gathered, []
    if p["n0"] < fewest or (kernel.form != "map" if kernel.outer < 1 else call.units % p["n0"]):
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
        first = a if kind == "arena" else 0
        touched = prod(p[f"n{axis}"] for axis, way in enumerate(operand.access) if way != "0") * operand.dtype.itemsize
        found.append(Touch(home, first, nbytes, operand.space == "out", cut, min(touched, nbytes)))
    return p["n0"], found


def in_blocks(step: Step, parts: int) -> Step:
    """A kernel's step with as many units as parts, where its one axis is to be cut."""
    if not isinstance(step, KernelStep) or step.kernel.outer:
        return step
    (call,) = step.calls
    parameters = {**call.parameters, "block": call.parameters["n0"] // parts}
    return KernelStep(step.kernel, [call._replace(parameters=parameters)])
