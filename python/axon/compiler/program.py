"""Programs: a planned schedule as the runtime's flat data, and the executable that jit calls."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import copysign
from typing import TYPE_CHECKING, Any

from .. import config
from ..dtypes import DType
from ..errors import CompileError
from ..exact import exact
from ..graph.expr import values_of
from ..nx.core.op import keep
from ..nx.core.tensor import Tensor
from .kernels.kernel import Kernel
from .library.copies import whole_copy
from .library.step import LibraryStep, label
from .planning.memory import Plan, size_of
from .planning.parts import in_blocks, runs
from .planning.regions import EncodedRegion, RegionStep
from .planning.schedule import CustomStep, HostStep, KernelStep, Step
from .targets import custom
from .targets.cache import Statistics

if TYPE_CHECKING:
    from .planning.report import Memory, Report

Encoded = tuple[Any, ...]  # a step as the runtime reads it


_bits: dict[Any, int] = {}  # of literals met before


def literal_bits(value: Any, dtype: DType) -> int:
    """A literal as the bits of its dtype, in the low bytes of 8."""
    import numpy as np

    if not dtype.is_float:
        return int(value) & ((1 << 8 * dtype.itemsize) - 1)
    key = (exact(value), copysign(1.0, value), dtype)  # a NaN has a sign, too
    found = _bits.get(key)
    if found is None:
        with np.errstate(over="ignore"):  # rounds to infinity
            found = keep(_bits, key, int.from_bytes(np.array(value, dtype.numpy).tobytes(), "little"))
    return found


@dataclass(eq=False)
class Executable:
    """A compiled graph: called with the data of its inputs, gives the data of its outputs."""

    plan: Plan
    texts: dict[Kernel, str]
    statistics: Statistics
    steps: Sequence[Encoded]
    program: Any
    donated: tuple[int, ...]  # numbers of inputs
    label: str
    milliseconds: dict[str, float]

    def __post_init__(self) -> None:
        self.target = self.plan.schedule.target
        self.backend = config.lookup("backend", self.target.backend)

    def __call__(self, data: tuple[Any, ...]) -> tuple[Any, ...]:
        return self.program(data, self.donated)

    def kernels(self) -> str:
        """The Kernel IR of all kernels, as stable text."""
        return "\n\n".join(str(k) for k in self.texts)

    def source(self) -> str:
        """The text that was compiled."""
        return "\n".join(self.texts.values())

    def memory(self) -> Memory:
        """What a run takes, known before the first."""
        from .planning.report import memory  # a run does without

        return memory(self.plan, self.program.context_bytes())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program with its kernels to a file that `axon-bench` runs; its steps must need no Python."""
        hosted = [step.label for step in self.plan.schedule.hosted()]
        if hosted:
            raise CompileError(
                f"save: expected native steps only, got {', '.join(hosted)} run in Python, which a file cannot hold; "
                f"leave them out of the saved function"
            )
        self.target.save(os.fspath(path), self.program)

    def report(self, data: tuple[Any, ...] | None = None) -> Report:
        """The program's steps and costs; measured, the median of five runs, where the data of its inputs is given."""
        from .planning.report import report

        runs = [self.program.profile(data)[1] for _ in range(5)] if data is not None else []
        seconds = [sorted(times)[2] for times in zip(*runs)] if runs else None
        return report(self.label, self.plan, self.memory().peak, self.milliseconds, self.statistics, seconds)


def described(plan: Plan, steps: Sequence[Encoded], label: str) -> Any:
    """The program of a plan and its encoded steps."""
    graph, target = plan.schedule.graph, plan.schedule.target
    return target.program(plan.slots, steps, plan.arena_bytes, len(graph.inputs), len(graph.outputs), label)


def encode_all(plan: Plan, kernels: dict[Kernel, Any]) -> list[tuple[Any, ...]]:
    """The steps of a plan's schedule. Kernels end in the number of their parts and of the steps that go along."""
    together, steps = runs(plan), list(plan.schedule.steps)
    for first, (parts, along) in together.items():
        steps[first : first + along + 1] = [in_blocks(s, parts) for s in steps[first : first + along + 1]]
    made = [encode(s, kernels, plan) for s in steps]
    return [(*s, *together.get(k, (1, 0))) if s[0] == "kernel" else s for k, s in enumerate(made)]


def encode_region(step: RegionStep, kernels: dict[Kernel, Any], plan: Plan) -> tuple[Any, ...]:
    """A region step, whose bodies have plans of their own."""
    plans = plan.regions[step]

    def copy(move: tuple[int, int, int]) -> tuple[Any, ...]:
        made = whole_copy(None, None, move[2], label(step.node))
        return "library", made.symbol, [move[1], move[0]], made.ints, (), made.label

    moves = [
        [(to, at, size_of(m)) for m, t in zip(p.schedule.results, targets) if (to := plan.place(t)) != (at := p.of(m))]
        for p, targets in zip(plans, step.targets)
    ]
    results = [[p.of(m) for m in p.schedule.results] for p in plans]
    bodies = [encode_all(p, kernels) for p in plans]
    return step.kind.encode(EncodedRegion(step, bodies, moves, results, plan.place, copy))


def encode(step: Step, kernels: dict[Kernel, Any], plan: Plan) -> tuple[Any, ...]:
    """A step as the runtime reads it."""
    target = plan.schedule.target
    match step:
        case KernelStep(kernel=kernel, calls=calls):
            encoded = [
                (
                    [plan.of(m) for m in c.memory],
                    target.ints(kernel, c.parameters),
                    [literal_bits(v, d) for v, d in zip(c.literals, kernel.literals)],
                    c.units,
                )
                for c in calls
            ]
            scratch, grain = max(target.scratch(kernel, c.parameters) for c in calls), step.grain(target.tuning.work)
            return ("kernel", kernels[kernel], encoded, grain, scratch, calls[0].origin or str(kernel.form))
        case LibraryStep():
            return ("library", step.symbol, [plan.of(m) for m in step.memory], step.ints, (), step.label)
        case CustomStep(node=node):
            memory = [*node.inputs, *values_of(node)]
            types, slots = [v.type for v in node.inputs], [plan.of(m) for m in memory]
            return custom.encoded(node.op.function, target, slots, types, node.types, step.label)
        case HostStep(node=node):
            memory = [*node.inputs, *values_of(node)]
            return ("host", host_function(node, target.backend), [plan.of(m) for m in memory], step.label)
        case RegionStep():
            return encode_region(step, kernels, plan)


def host_function(node: Any, name: str) -> Callable[..., None]:
    """An eager backend's version of a node, over views of the program's memory."""
    import numpy as np

    backend = config.lookup("backend", name)
    types = [v.type for v in node.inputs]

    def run(*views: Any) -> None:
        given = [np.frombuffer(v, t.dtype.numpy).reshape(t.shape) for v, t in zip(views, types)]
        made = backend.apply(node.op, node.types, [Tensor(t, backend, a) for t, a in zip(types, given)], node.attrs)
        for view, type_, data in zip(views[len(types) :], node.types, made):
            np.frombuffer(view, type_.dtype.numpy).reshape(type_.shape)[...] = backend.to_numpy(data, type_)

    return run
