"""The compiler's oracles: the evaluator, and the compiled program itself with its kernels run by the interpreter.

The interpreted program has the plan, the library steps and the regions of the compiled one, so that it differs from it
in nothing but how kernels are executed: their results must be the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from axon import _core, config, dtypes
from axon.compiler import pipeline
from axon.compiler.kernels.interpret import interpret
from axon.compiler.kernels.kernel import Kernel
from axon.compiler.kernels.verify import verify
from axon.compiler.planning.memory import Plan
from axon.compiler.program import Executable, encode_all
from axon.compiler.targets.target import CPU, Target
from axon.graph.expr import Graph
from axon.graph.trace import Traced, trace
from axon.nx.core.tensor import TensorType

from .kernel_tools import same_bits

Array = np.ndarray[Any, Any]
Run = Callable[[tuple[Any, ...]], tuple[Any, ...]]  # data of the inputs -> data of the outputs


def traced(function: Callable[..., Any], *arrays: Array) -> Traced:
    return trace(function, tuple(TensorType(dtypes.dtype(a.dtype), a.shape) for a in arrays))


def graph_of(function: Callable[..., Any], *arrays: Array) -> Graph:
    """The graph of a function that captures nothing."""
    made = traced(function, *arrays)
    assert not made.captured
    return made.graph


def compiled(graph: Graph, donate: Sequence[bool] = (), target: Target = CPU) -> Executable:
    """A graph compiled natively; its kernels and its plan are verified."""
    executable = pipeline.compile(graph, target, pipeline.Phases(), donate, "native")
    for kernel in executable.texts:
        verify(kernel)
    assert_disjoint(executable.plan)
    return executable


def assert_disjoint(plan: Plan) -> None:
    """No two values share memory while both are needed, but where a step writes over what it reads for the last time.
    (A region's values are numbered by the region's own steps.)"""
    lives = sorted((v for v in plan.lifetimes if v.nbytes), key=lambda v: v.first) if not plan.regions else []
    for i, a in enumerate(lives):
        for b in lives[i + 1 :]:
            apart = a.offset + a.nbytes <= b.offset or b.offset + b.nbytes <= a.offset
            in_place = (a.offset, a.nbytes) == (b.offset, b.nbytes) and a.last == b.first
            assert apart or a.last < b.first or in_place, f"{a} and {b}"


def results(run: Run, graph: Graph, arrays: Sequence[Any]) -> list[Array]:
    """What an executable makes of arrays or buffers."""
    backend = config.lookup("backend", "numpy")
    return [backend.to_numpy(d, t) for d, t in zip(run(tuple(arrays)), graph.output_types, strict=True)]


class Outcomes(NamedTuple):
    """What a function gave by each way of running it."""

    native: list[Array]
    donated: list[Array]  # natively, with all inputs donated
    interpreted: list[Array]
    evaluated: list[Array]

    def assert_same_bits(self, names: Callable[[int], str] = str) -> None:
        """Kernels compiled and interpreted, results in memory of their own or over the inputs."""
        assert_same_bits(self.native, self.interpreted, names)
        assert_same_bits(self.donated, self.interpreted, names)

    def assert_agree(self, rtol: float = 2e-5, atol: float = 2e-5) -> None:
        """The same bits, and the evaluator's numbers."""
        self.assert_same_bits()
        for got, want in zip(self.native, self.evaluated, strict=True):
            np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


def run_all(function: Callable[..., Any], *arrays: Array, target: Target = CPU) -> Outcomes:
    """A function of arrays by every way there is."""
    graph, captured, _ = traced(function, *arrays)
    arrays = (*arrays, *(t.numpy() for t in captured))
    executable = compiled(graph, target=target)
    donating = compiled(graph, [True] * len(arrays), target)
    evaluate = config.lookup("compiler", "evaluate").compile(graph, donate=(), label="evaluate")
    return Outcomes(
        results(executable, graph, arrays),
        results(donating, graph, [buffer_of(a) for a in arrays]),
        results(interpreted(executable.plan), graph, arrays),
        results(evaluate, graph, arrays),
    )


def buffer_of(array: Array) -> _core.Buffer:
    """A copy of an array that may be donated."""
    buffer = _core.Buffer(array.nbytes)
    memoryview(buffer)[:] = array.tobytes()
    return buffer


def with_kernels(plan: Plan, kernels: Mapping[Kernel, Any], change: Callable[..., Any] = list) -> Run:
    """A program over other versions of its kernels."""
    graph = plan.schedule.graph
    steps = change(encode_all(plan, dict(kernels)))
    return _core.Program(plan.slots, steps, plan.arena_bytes, len(graph.inputs), len(graph.outputs), "changed")


def interpreted(plan: Plan) -> Run:
    """A program with its kernels interpreted. The plan is the same, down to what is written in place."""
    return with_kernels(plan, {k: k for k in plan.schedule.kernels()}, partial(replaced, kernel=hosted))


def replaced(steps: Sequence[tuple[Any, ...]], kernel: Callable[..., list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
    """Encoded steps with what a function makes of each kernel's (kernel, calls, grain, scratch, label, parts, along),
    in regions, too."""
    made: list[tuple[Any, ...]] = []
    for step in steps:
        match step:
            case ("kernel", *parts):
                made += kernel(*parts)
            case ("cond", index, branches):
                made.append(("cond", index, [replaced(b, kernel) for b in branches]))
            case ("while", condition, predicate, body, moves):
                made.append(("while", replaced(condition, kernel), predicate, replaced(body, kernel), moves))
            case ("scan", length, reverse, body, *rest):
                made.append(("scan", length, reverse, replaced(body, kernel), *rest))
            case _:
                made.append(step)
    return made


def hosted(kernel: Kernel, calls: Sequence[Any], *_: Any) -> list[tuple[Any, ...]]:
    """A Python call in place of every call of a kernel."""
    return [("host", partial(run_kernel, kernel, ints, bits), s, "kernel") for s, ints, bits, _ in calls]


def run_kernel(kernel: Kernel, ints: Sequence[int], bits: Sequence[int], *views: memoryview) -> None:
    """One call of a kernel by the interpreter, over the program's memory."""
    literals = [np.array([b], np.uint64).view(d.numpy)[0] for b, d in zip(bits, kernel.literals, strict=True)]
    arrays = [np.frombuffer(v, kernel.operands[k].dtype.numpy) for v, k in zip(views, kernel.pointers, strict=True)]
    interpret(kernel, dict(zip(kernel.parameters, ints, strict=True)), literals, arrays)


def assert_same_bits(got: Sequence[Array], want: Sequence[Array], names: Callable[[int], str] = str) -> None:
    for k, (a, b) in enumerate(zip(got, want, strict=True)):
        assert a.shape == b.shape and a.dtype == b.dtype
        assert same_bits(np.ascontiguousarray(a), np.ascontiguousarray(b)), f"{names(k)}: {a} is not {b}"
