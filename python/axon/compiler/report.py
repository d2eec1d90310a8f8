"""What a compiled program does and costs: a row a step with its work, bytes and measured time, and where the
compilation time went. Everything here is read from the schedule and the plan; nothing is guessed at run time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from .cache import Statistics
from .extern import LibraryStep
from .kernel import For, Instr
from .memory import Plan, size_of
from .schedule import HostStep, KernelStep, RegionStep, Step, reads, writes


@dataclass(frozen=True)
class StepReport:
    """One step: what it is, floating-point or scalar operations, bytes it must move, seconds (nan if not measured)."""

    what: str
    calls: int
    operations: float
    nbytes: int
    seconds: float
    source: str


@dataclass(frozen=True)
class Report:
    """A program's steps, the milliseconds its compilation took by phase, and its memory. Prints as a table."""

    label: str
    steps: tuple[StepReport, ...]
    milliseconds: dict[str, float]
    compiled: int
    from_disk: int
    from_memory: int
    peak_bytes: int

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
        rows = [("step", "calls", "us", "Mop", "MB", "Gop/s", "GB/s", "from")]
        for s in self.steps:
            timed = s.seconds == s.seconds and s.seconds > 0
            rows.append(
                (
                    s.what,
                    str(s.calls),
                    f"{s.seconds * 1e6:.1f}" if timed else "-",
                    f"{s.operations / 1e6:.2f}",
                    f"{s.nbytes / 1e6:.2f}",
                    f"{s.operations / s.seconds / 1e9:.1f}" if timed else "-",
                    f"{s.nbytes / s.seconds / 1e9:.1f}" if timed else "-",
                    s.source.rpartition("/")[2],
                )
            )
        widths = [max(len(r[c]) for r in rows) for c in range(8)]
        lines = [
            "  ".join(t.ljust(w) if c in (0, 7) else t.rjust(w) for c, (t, w) in enumerate(zip(r, widths)))
            for r in rows
        ]
        return "\n".join([f"{self.label or 'program'}: {self.phases}", *(line.rstrip() for line in lines),
                          f"arena {self.peak_bytes / 1e6:.2f} MB"])  # fmt: skip


def report(
    label: str, plan: Plan, milliseconds: dict[str, float], statistics: Statistics, seconds: Sequence[float] | None
) -> Report:
    """The report of a planned program; seconds of each step where it was profiled."""
    steps = plan.schedule.steps
    times = seconds if seconds is not None else [float("nan")] * len(steps)
    made = tuple(describe(s, plan, t) for s, t in zip(steps, times))
    return Report(
        label, made, milliseconds, statistics.compiled, statistics.disk, statistics.memory, plan.arena_bytes
    )  # fmt: skip


def describe(step: Step, plan: Plan, seconds: float) -> StepReport:
    """One step's row."""
    memory = plan.schedule.memory
    nbytes = sum(size_of(memory(m)) for m in dict.fromkeys([*reads(step), *writes(step)]))
    match step:
        case KernelStep(kernel=kernel, calls=calls):
            what = f"{kernel.form} kernel: {', '.join(dict.fromkeys(names(kernel.body)))}"
            work = sum(
                operations(kernel.body, [c.parameters[f"n{a}"] for a in range(kernel.inner + 1)], kernel.outer)
                for c in calls
            )
            return StepReport(shorten(what), len(calls), work, nbytes, seconds, calls[-1].origin)
        case LibraryStep():
            return StepReport(
                step.symbol, 1, float(library_operations(step)), nbytes, seconds, step.label.partition(" at ")[2]
            )
        case HostStep():
            return StepReport(f"host: {step.node.op.name}", 1, 0.0, nbytes, seconds, step.node.source)
        case RegionStep():
            return StepReport(step.kind, 1, 0.0, nbytes, seconds, step.node.source)


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


def library_operations(step: LibraryStep) -> int:
    """Multiplications and additions of a matrix product or convolution, by the ints of docs/design/library-steps.md."""
    if step.symbol == "gemm":
        _, batch, m, n, k = step.ints[:5]
        return 2 * batch * m * n * k
    if step.symbol == "conv":
        _, _, rank, batch, channels, features, groups, *rest = step.ints
        kernel, output = rest[rank : 2 * rank], rest[2 * rank : 3 * rank]
        return 2 * batch * features * channels // groups * prod(kernel) * prod(output)
    return 0


def shorten(text: str, width: int = 72) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
