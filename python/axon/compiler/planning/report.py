"""What a compiled program does and costs: a row a step with its work, bytes and measured time, and where the
compilation time went. Everything here is read from the schedule and the plan; nothing is guessed at run time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import nan, prod
from typing import Any, NamedTuple

from ..kernels.assembly import Temporary
from ..kernels.kernel import For, Instr
from ..library.step import LibraryStep
from ..library.table import LIBRARY
from ..targets.cache import Statistics
from ..targets.limits import Limits, limits
from .memory import Lifetime, Plan, name_of
from .order import size_of
from .regions import RegionStep
from .schedule import CustomStep, HostStep, KernelStep, Step, reads, writes


@dataclass(frozen=True)
class StepReport:
    """One step: what it is, floating-point or scalar operations, bytes it must move, seconds (nan if not measured), and
    those that it would take at the machine's limit (nan if that is not known).

    A loop's calls are its iterations, one for a while, which does not know them; a cond's operations are those of the
    branch that has most.
    """

    what: str
    calls: int
    operations: float
    nbytes: int
    seconds: float
    limit: float
    source: str

    def with_equal(self, other: StepReport) -> StepReport:
        """Both as one: they do the same for the same line."""
        fields = ("calls", "operations", "nbytes", "seconds", "limit")
        return replace(self, **{f: getattr(self, f) + getattr(other, f) for f in fields})


@dataclass(frozen=True)
class Report:
    """A program's steps, the milliseconds its compilation took by phase, its memory, and what the machine can do where
    the steps were measured. Prints as a table, with one row for equal steps of a line; above 100 % of the limit, what a
    step reads or writes stays in cache."""

    label: str
    steps: tuple[StepReport, ...]
    milliseconds: dict[str, float]
    compiled: int
    from_disk: int
    from_memory: int
    peak_bytes: int
    limits: Limits | None = None

    @property
    def phases(self) -> str:
        """One line: trace, plan, codegen and compile milliseconds, and where the kernels came from."""
        plan = sum(ms for name, ms in self.milliseconds.items() if name not in ("trace", "codegen", "compile"))
        parts = [f"trace {self.milliseconds.get('trace', 0):.1f}", f"plan {plan:.1f}"]
        parts += [f"{name} {self.milliseconds[name]:.1f}" for name in ("codegen", "compile")]
        origin = [f"{n} {what}" for n, what in self.origins if n]
        return f"{', '.join(parts)} ms; kernels: {', '.join(origin) or 'none'}"

    @property
    def origins(self) -> tuple[tuple[int, str], ...]:
        return (self.compiled, "compiled"), (self.from_disk, "from disk"), (self.from_memory, "already loaded")

    def __str__(self) -> str:
        merged: dict[tuple[str, str], StepReport] = {}
        for s in self.steps:
            key = s.what, s.source
            merged[key] = merged[key].with_equal(s) if key in merged else s
        rows = [("step", "calls", "us", "Mop", "MB", "Gop/s", "GB/s", "limit %", "from")]
        for s in merged.values():
            timed = s.seconds > 0
            rows.append(
                (
                    s.what,
                    str(s.calls),
                    f"{s.seconds * 1e6:.1f}" if timed else "-",
                    f"{s.operations / 1e6:.2f}",
                    f"{s.nbytes / 1e6:.2f}",
                    f"{s.operations / s.seconds / 1e9:.1f}" if timed else "-",
                    f"{s.nbytes / s.seconds / 1e9:.1f}" if timed else "-",
                    f"{s.limit / s.seconds:.0%}"[:-1] if timed and s.limit == s.limit else "-",
                    s.source.rpartition("/")[2],
                )
            )
        tail = [f"peak {self.peak_bytes / 1e6:.2f} MB"]
        if self.limits is not None:
            tail.append(f"{sum(s.seconds for s in self.steps) * 1e3:.3g} ms; the machine: {self.limits}")
        return "\n".join([f"{self.label or 'program'}: {self.phases}", *table(rows, left=(0, 8)), "; ".join(tail)])


class Memory(NamedTuple):
    """What a run takes before its first step, in bytes: the arena, with the lifetimes of what lies there; what threads
    need as scratch and library steps work in; and outputs, but those that take over donated inputs. Arguments that are
    not dense are copied besides. Prints as a table."""

    arena: int
    held: int
    outputs: int
    lifetimes: tuple[Lifetime, ...]

    @property
    def peak(self) -> int:
        return self.arena + self.held + self.outputs

    def __str__(self) -> str:
        rows = [("offset", "bytes", "steps", "value")]
        rows += [(str(v.offset), str(v.nbytes), f"{v.first}-{v.last}", v.what) for v in self.lifetimes]
        parts = {"arena": self.arena, "scratch and library steps": self.held, "outputs": self.outputs}
        head = f"peak {self.peak / 1e6:.2f} MB: " + ", ".join(f"{name} {n / 1e6:.2f}" for name, n in parts.items())
        return "\n".join([head, *table(rows, left=(3,))])


def memory(plan: Plan, context: int) -> Memory:
    """The memory of a plan, of which its program takes `context` bytes besides its outputs."""
    outputs = sum(nbytes for kind, _, donor, nbytes in plan.slots if kind == "output" and donor < 0)
    lifetimes = tuple([v._replace(what=name_of(v.what)) for v in plan.lifetimes])
    return Memory(plan.arena_bytes, context - plan.arena_bytes, outputs, lifetimes)


def table(rows: Sequence[Sequence[str]], left: Sequence[int]) -> list[str]:
    """Lines of columns, of which those in `left` begin at the left."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [
        "  ".join(t.ljust(w) if c in left else t.rjust(w) for c, (t, w) in enumerate(zip(r, widths))) for r in rows
    ]
    return [line.rstrip() for line in lines]


def report(
    label: str,
    plan: Plan,
    peak: int,
    milliseconds: dict[str, float],
    statistics: Statistics,
    seconds: Sequence[float] | None,
) -> Report:
    """The report of a planned program; seconds of each step where it was profiled."""
    steps = plan.schedule.steps
    times = seconds if seconds is not None else [nan] * len(steps)
    best = limits(plan.schedule.target) if seconds is not None else None
    made = tuple(describe(s, plan, t, best) for s, t in zip(steps, times))
    return Report(label, made, milliseconds, statistics.compiled, statistics.disk, statistics.memory, peak, best)


def describe(step: Step, plan: Plan, seconds: float, best: Limits | None) -> StepReport:
    """One step's row."""
    nbytes = moved(step, plan.schedule.memory)
    limit = nbytes / best.memory if best is not None else nan
    match step:
        case KernelStep(kernel=kernel, calls=calls):
            what = f"{kernel.form} kernel: {', '.join(dict.fromkeys(names(kernel.body))) or 'move'}"
            work = sum(
                operations(kernel.body, [c.parameters[f"n{a}"] for a in range(kernel.inner + 1)], kernel.outer)
                for c in calls
            )
            return StepReport(shorten(what), len(calls), work, nbytes, seconds, limit, calls[-1].origin)
        case LibraryStep():
            row = LIBRARY[step.symbol]
            work = row.work(step.ints)
            what = row.text(step.ints) if row.text is not None else row.symbol
            limit = max(limit, work / best.products) if best is not None else nan
            return StepReport(what, 1, work, nbytes, seconds, limit, step.label.partition(" at ")[2])
        case HostStep():
            return StepReport(f"host: {step.node.op.name}", 1, 0.0, nbytes, seconds, limit, step.node.source)
        case CustomStep():
            return StepReport(f"custom: {step.node.op.name}", 1, 0.0, nbytes, seconds, limit, step.node.source)
        case RegionStep():
            bodies = [
                sum(describe(s, body, nan, None).operations for s in body.schedule.steps) for body in plan.regions[step]
            ]
            name, runs = step.node.attrs["kind"].name, step.kind.runs(step.node.attrs)
            return StepReport(name, runs, step.kind.work(bodies) * runs, nbytes, seconds, nan, step.node.source)


def moved(step: Step, memory: Callable[[Any], Any]) -> int:
    """Bytes that a step must move: of each memory what its accesses reach, once."""
    if isinstance(step, LibraryStep) and (counted := LIBRARY[step.symbol].moved) is not None:
        return counted(step.ints)
    if not isinstance(step, KernelStep):
        return sum(size_of(m) for m in {memory(m) for m in (*reads(step), *writes(step))})
    found: Counter[Any] = Counter()
    tables = step.kernel.gathered
    for call in step.calls:
        for k, m in zip(step.kernel.pointers, call.memory):
            operand = step.kernel.operands[k]
            reached = [call.parameters[f"n{a}"] for a, c in enumerate(operand.access) if c != "0" or k in tables]
            partial = isinstance(m, Temporary)  # which the spans share out
            found[memory(m)] += size_of(m) if partial else prod(reached) * operand.dtype.itemsize
    return sum(min(n, size_of(m)) for m, n in found.items())


def names(body: Sequence[Any]) -> list[str]:
    """The scalar ops of a body, in order."""
    found: list[str] = []
    for s in body:
        if isinstance(s, For):
            found += names(s.body) + [f"reduce {r.combine}" for r in s.reduces]
        elif isinstance(s, Instr):
            if s.op not in ("load", "store", "literal", "guard", "offset"):
                found.append(s.op)
        else:
            found.append(f"combine {s.combine}")
    return found


def operations(body: Sequence[Any], sizes: Sequence[int], outer: int, inside: float | None = None) -> float:
    """Scalar instructions executed, loads and stores not counted."""
    around = float(prod(sizes[:outer])) if inside is None else inside
    total = 0.0
    for s in body:
        if isinstance(s, For):
            total += operations(s.body, sizes, outer, around * sizes[s.axis]) + len(s.reduces) * around * sizes[s.axis]
        elif isinstance(s, Instr) and s.op not in ("load", "store", "literal", "guard", "offset"):
            total += around
    return total


def shorten(text: str, width: int = 72) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
