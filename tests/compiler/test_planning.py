"""Planning takes work in proportion to the program: four times the tensors, about four times the work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import axon
import pytest
from axon import nx, optimizers
from axon.compiler import pipeline
from axon.compiler.kernels import lower
from axon.compiler.planning.schedule import KernelStep
from axon.compiler.targets.target import CPU
from axon.defn import scan
from axon.graph.trace import Traced, trace
from axon.nx.core.tensor import Tensor

from .programs import f32


@contextmanager
def counting(count: list[int]) -> Iterator[None]:
    """Counts the instructions of Python that run: the work, whatever the machine."""

    def look(frame: Any, event: str, argument: Any) -> Any:
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        count[0] += event == "opcode"
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        yield
    finally:
        sys.settrace(before)


def work(made: Traced, donate: bool) -> dict[str, int]:
    """The instructions that each pass runs."""
    counts: dict[str, int] = {}

    class Counting(pipeline.Phases):
        def __call__(self, name: str, function: Callable[..., Any], /, *given: Any, **options: Any) -> Any:
            count = [0]
            with counting(count):
                at = function(*given, **options)
            (counts[name],) = count
            return at

    pipeline.lower(made.graph, CPU, Counting(), [donate] * len(made.graph.inputs))
    return counts


def update(n: int) -> Traced:
    """Adam over tensors of several shapes."""
    types = [f32(2 + i % 3, 4) for i in range(n)]
    optimizer = optimizers.adam(1e-3)
    state = optimizer.init([nx.zeros(t.shape) for t in types])
    state_types = axon.tree.map(lambda t: t.type, state)
    return trace(lambda g, s, p: optimizer.update(g, s, p), (types, state_types, types))


def layers(n: int) -> Traced:
    """A deep network, and the sum of every layer's output."""

    def f(x: Tensor, ws: list[Tensor]) -> Any:
        sums = []
        for w in ws:
            x = nx.tanh(x @ w)
            sums.append(nx.sum(x))
        return x, sums

    return trace(f, (f32(4, 4), [f32(4, 4)] * n))


def backward(n: int) -> Traced:
    """Many backward passes over one forward pass, side by side: column sums over the same values."""

    def f(p: Tensor) -> Tensor:
        y, back = axon.vjp(lambda p: nx.tanh(nx.outer(p, p)), p)
        return nx.stack([back(y * float(k))[0] for k in range(n)])

    return trace(f, (f32(3),))


def carried(n: int) -> Traced:
    """A loop with a large state."""
    return trace(lambda c, xs: scan(lambda c, x: ([a * x + 1 for a in c], None), c, xs), ([f32(4)] * n, f32(5, 4)))


def pieces(n: int) -> Traced:
    """Slices at different places, each a kernel's work of its own."""
    return trace(lambda x: [nx.tanh(x[i : i + 3]) * x[i + 1 : i + 4] for i in range(n)], (f32(n + 4),))


def test_kernels_alike_but_for_their_places_are_lowered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    whole = lower.calls_of
    monkeypatch.setattr(lower, "calls_of", lambda *given: made.append(given) or whole(*given))
    (step,) = pipeline.scheduled(pieces(9).graph, CPU, pipeline.Phases()).steps
    assert isinstance(step, KernelStep) and len(made) == 1
    assert [(c.parameters["o0"], c.parameters["o1"]) for c in step.calls] == [(i, i + 1) for i in range(9)]


@pytest.mark.parametrize("build", [update, layers, backward, pieces, carried])
def test_work_grows_with_the_program(build: Callable[[int], Traced]) -> None:
    work(build(3), True)  # fills tables
    one, four = work(build(12), True), work(build(48), True)
    assert len(one) == 6
    for name, count in one.items():
        assert four[name] < 4.5 * count, f"{name}: {count} instructions, then {four[name]}"
