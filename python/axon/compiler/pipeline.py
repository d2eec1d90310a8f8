"""The compiler's passes, in order, each a function between nouns: graph -> graph -> clusters -> schedule -> plan. With
the texts of the kernels, and what a target makes of those, a plan becomes a program."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import ParamSpec, TypeVar

from .. import config
from ..errors import MissingCompiler, note
from ..graph import compilers
from ..graph.expr import Graph
from ..runtime import default_floating_point
from .decompose import decompose
from .fusion.clusters import Cluster
from .fusion.fuse import Fusion
from .hoist import hoist
from .kernels.kernel import Kernel
from .planning.memory import Plan
from .planning.schedule import Schedule
from .program import Executable, described, encode_all
from .simplify import simplify
from .targets.cache import SYMBOL
from .targets.target import TARGETS, Target

P = ParamSpec("P")
R = TypeVar("R")


class Phases:
    """Runs the passes, and has the milliseconds that each took."""

    def __init__(self, **milliseconds: float) -> None:
        self.milliseconds = milliseconds

    def __call__(self, name: str, function: Callable[P, R], /, *args: P.args, **options: P.kwargs) -> R:
        start = time.perf_counter()
        made = function(*args, **options)
        self.milliseconds[name] = (time.perf_counter() - start) * 1e3
        return made


def compile(graph: Graph, target: Target, do: Phases, donate: Sequence[bool] = (), label: str = "") -> Executable:
    """A traced graph as a program of a target."""
    plan: Plan = lower(graph, target, do, donate)
    texts: dict[Kernel, str] = do("codegen", emitted, plan.schedule.kernels(), target)
    handles, statistics = do("compile", target.load, list(texts.values()))
    steps = do("encode", encode_all, plan, dict(zip(texts, handles)))
    program = do("program", described, plan, steps, label)
    donated = tuple([k for k, given in enumerate(donate) if given])
    return Executable(plan, texts, statistics, steps, program, donated, label, do.milliseconds)


def lower(graph: Graph, target: Target, do: Phases, donate: Sequence[bool] = ()) -> Plan:
    """A traced graph through all passes up to the plan."""
    schedule: Schedule = scheduled(graph, target, do)
    return do("memory", planned, schedule, donate)  # offsets, in place, donated inputs


def scheduled(graph: Graph, target: Target, do: Phases) -> Schedule:
    """The passes up to the steps: of a program, or of a region, whose memory is planned with its parent's."""
    small: Graph = do("decompose", decompose, graph)  # few forms: what later passes need not know of is gone
    core: Graph = do("simplify", simplify, small)  # exact identities, while literals and movement are still visible
    core = do("hoist", hoist, core, hoisted)  # what a loop need not do at every step
    clusters: list[Cluster] = do("fuse", fused, core, target)  # kernels to be, as sets of values
    region = partial(scheduled, target=target, do=Phases())  # whose time is part of this one's
    return do("lower", Schedule, core, clusters, target, region)  # loops, library calls


def hoisted(body: Graph) -> Graph:
    """The graph of a loop's body, in the form that loops around it are looked at in."""
    return hoist(simplify(decompose(body)), hoisted)


def fused(graph: Graph, target: Target) -> list[Cluster]:
    return Fusion(graph, target.tuning, target.library).run()


def planned(schedule: Schedule, donate: Sequence[bool]) -> Plan:
    return Plan(schedule.own_outputs(), donate)


def emitted(kernels: Sequence[Kernel], target: Target) -> dict[Kernel, str]:
    return {k: text_of(k, target) for k in kernels}


@lru_cache(maxsize=4096)
def text_of(kernel: Kernel, target: Target) -> str:
    """A kernel's text, its name left open. Other shapes have the same kernels, and emit none again."""
    return target.emit(kernel, SYMBOL)


class Compiler(compilers.Compiler):
    """A compiler that `jit` knows by name: the passes, for the target that it has for each device. Where kernels cannot
    be compiled on this machine it says so once and evaluates op by op."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.targets = {t.device: t for t in TARGETS if t.compiler == name}
        self._said = False

    def compile(
        self,
        graph: Graph,
        *,
        device: str | None = None,
        donate: Sequence[bool] = (),
        label: str = "",
        trace_seconds: float = 0.0,
    ) -> compilers.Executable:
        """The executable of a traced graph, for one of the compiler's targets."""
        device = device or (config.default_device if len(self.targets) > 1 else next(iter(self.targets)))
        if device not in self.targets:
            raise ValueError(f"device: expected one of {', '.join(self.targets)} for {self.name}, got {device!r}")
        try:
            with default_floating_point():  # literals are folded and rounded as kernels round
                return compile(graph, self.targets[device], Phases(trace=trace_seconds * 1e3), donate, label)
        except MissingCompiler as error:
            if not self._said:
                self._said = True
                note(f"axon: {error}; until then functions are evaluated op by op")
            return config.lookup("compiler", "evaluate").compile(graph, donate=donate, label=label)
