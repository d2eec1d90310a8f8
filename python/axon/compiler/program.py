"""Programs: a planned schedule as the runtime's flat data, and the executable that jit calls."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from .. import _core, config
from ..dtypes import DType
from ..errors import CompileError, note
from ..graph.expr import Graph, Value
from ..nx.core.tensor import Tensor
from .kernels.kernel import Kernel
from .library.copies import whole_copy
from .library.step import LibraryStep, label
from .pipeline import Lowered, run_passes, uncollected
from .planning.memory import Plan, size_of
from .planning.parts import in_blocks, runs
from .planning.regions import Encoded, RegionStep, Steps
from .planning.report import Memory, Report, memory, report
from .planning.schedule import HostStep, KernelStep, Step
from .targets import cache
from .targets.emit_cpp import emit_cpp, scratch_bytes


def literal_bits(value: Any, dtype: DType) -> int:
    """A literal as the bits of its dtype, in the low bytes of 8."""
    import numpy as np

    if dtype.is_float:
        with np.errstate(over="ignore"):  # rounds to infinity
            return int.from_bytes(np.array(value, dtype.numpy).tobytes(), "little")
    return int(value) & ((1 << 8 * dtype.itemsize) - 1)


@lru_cache(maxsize=4096)
def text_of(kernel: Kernel) -> str:
    """A kernel's C++, its name left open. Other shapes have the same kernels, and emit none again."""
    return emit_cpp(kernel, cache.SYMBOL)


class Executable:
    """A compiled graph: called with the data of its inputs, gives the data of its outputs."""

    def __init__(self, lowered: Lowered, donate: Sequence[bool], label: str, trace_seconds: float) -> None:
        self.lowered, self.label = lowered, label
        self.donated = tuple(i for i, flag in enumerate(donate) if flag)
        start = time.perf_counter()
        self.texts = self.emit(lowered.schedule.kernels())
        emitted = time.perf_counter()
        self.steps, self.statistics = self.load(lowered.plan)
        loaded = time.perf_counter()
        plan = lowered.plan
        self.program = _core.Program(
            plan.slots, self.steps, plan.arena_bytes, len(lowered.graph.inputs), len(lowered.graph.outputs), label
        )
        self.milliseconds = {
            "trace": trace_seconds * 1e3,
            **lowered.milliseconds,
            "codegen": (emitted - start) * 1e3,
            "compile": (loaded - emitted) * 1e3,
            "program": (time.perf_counter() - loaded) * 1e3,
        }
        self.backend = config.lookup("backend", "numpy")

    def emit(self, kernels: Sequence[Kernel]) -> dict[Kernel, str]:
        """The text of each kernel."""
        return {k: text_of(k) for k in kernels}

    def load(self, plan: Plan) -> tuple[list[tuple[Any, ...]], cache.Statistics]:
        """The steps, with kernels that can be run, and what it took to get those."""
        texts = self.texts
        handles, statistics = cache.load(list(texts.values())) if texts else ([], cache.Statistics())
        return encode_all(plan, dict(zip(texts, handles))), statistics

    def __call__(self, data: tuple[Any, ...]) -> tuple[Any, ...]:
        return self.program(data, self.donated)

    def kernels(self) -> str:
        """The Kernel IR of all kernels, as stable text."""
        return "\n\n".join(str(k) for k in self.texts)

    def source(self) -> str:
        """The C++ that was compiled."""
        return "\n".join(self.texts.values())

    def memory(self) -> Memory:
        """What a run takes, known before the first."""
        return memory(self.lowered.plan, self.program.context_bytes())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program with its kernels to a file that `axon-bench` runs; its steps must need no Python."""
        hosted = [s.node.op.name for s in self.lowered.schedule.steps if isinstance(s, HostStep)]
        if hosted:
            raise CompileError(f"save: expected native steps only, got {', '.join(hosted)} run by the eager backend")
        _core.save_program(os.fspath(path), self.program)

    def report(self, data: tuple[Any, ...] | None = None) -> Report:
        """The program's steps and costs; measured, the median of five runs, where the data of its inputs is given."""
        runs = [self.program.profile(data)[1] for _ in range(5)] if data is not None else []
        seconds = [sorted(times)[2] for times in zip(*runs)] if runs else None
        return report(self.label, self.lowered.plan, self.memory().peak, self.milliseconds, self.statistics, seconds)


def encode_all(plan: Plan, kernels: dict[Kernel, Any]) -> Steps:
    """The steps of a plan's schedule. Kernels end in the number of their parts and of the steps that go along."""
    together, steps = runs(plan), list(plan.schedule.steps)
    for first, (parts, along) in together.items():
        steps[first : first + along + 1] = [in_blocks(s, parts) for s in steps[first : first + along + 1]]
    made = [encode(s, kernels, plan) for s in steps]
    return Steps((*s, *together.get(k, (1, 0))) if s[0] == "kernel" else s for k, s in enumerate(made))


def replaced(steps: Sequence[tuple[Any, ...]], kernel: Callable[..., list[tuple[Any, ...]]]) -> Steps:
    """Encoded steps with what a function makes of each kernel's (kernel, calls, grain, scratch, label, parts, along),
    in regions, too."""

    def inner(part: Any) -> Any:
        if isinstance(part, Steps):
            return replaced(part, kernel)
        return [inner(p) for p in part] if isinstance(part, list) else part

    made = Steps()
    for step in steps:
        made += kernel(*step[1:]) if step[0] == "kernel" else [tuple(map(inner, step))]
    return made


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
    return step.kind.encode(Encoded(step, [encode_all(p, kernels) for p in plans], moves, results, plan.place, copy))


def encode(step: Step, kernels: dict[Kernel, Any], plan: Plan) -> tuple[Any, ...]:
    """A step as the runtime reads it."""
    match step:
        case KernelStep(kernel=kernel, calls=calls):
            encoded = [
                (
                    [plan.of(m) for m in c.memory],
                    [c.parameters[name] for name in kernel.parameters],
                    [literal_bits(v, d) for v, d in zip(c.literals, kernel.literals)],
                    c.units,
                )
                for c in calls
            ]
            scratch = max(scratch_bytes(kernel, c.parameters) for c in calls)
            return ("kernel", kernels[kernel], encoded, step.grain, scratch, calls[0].origin or str(kernel.form))
        case LibraryStep():
            return ("library", step.symbol, [plan.of(m) for m in step.memory], step.ints, (), step.label)
        case HostStep(node=node):
            memory = [*node.inputs, *(Value(node, i) for i in range(len(node.types)))]
            return ("host", host_function(node), [plan.of(m) for m in memory], step.label)
        case RegionStep():
            return encode_region(step, kernels, plan)


def host_function(node: Any) -> Callable[..., None]:
    """The eager backend's version of a node, over views of the program's memory."""
    import numpy as np

    backend = config.lookup("backend", "numpy")
    types = [v.type for v in node.inputs]

    def run(*views: Any) -> None:
        given = [np.frombuffer(v, t.dtype.numpy).reshape(t.shape) for v, t in zip(views, types)]
        made = backend.apply(node.op, node.types, [Tensor(t, backend, a) for t, a in zip(types, given)], node.attrs)
        for view, type_, data in zip(views[len(types) :], node.types, made):
            np.frombuffer(view, type_.dtype.numpy).reshape(type_.shape)[...] = backend.to_numpy(data, type_)

    return run


class Native:
    """The compiler "native": fused C++ kernels and library steps. Without a C++ compiler on the machine it says so once
    and evaluates op by op."""

    name = "native"

    def __init__(self) -> None:
        self._said = False

    def compile(self, graph: Graph, *, donate: Sequence[bool] = (), label: str = "", trace_seconds: float = 0.0) -> Any:
        """The executable of a traced graph."""
        try:
            with uncollected(), _core.DefaultFloatingPoint():  # literals are folded and rounded as kernels round
                return Executable(run_passes(graph, donate), donate, label, trace_seconds)
        except CompileError as error:
            from .targets.target import compiler

            if compiler() is not None:
                raise
            if not self._said:
                self._said = True
                note(f"axon: {error}; until then functions are evaluated op by op")
            return config.lookup("compiler", "evaluate").compile(graph, donate=donate, label=label)
