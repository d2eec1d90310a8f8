"""The bits of a result depend on the graph alone: not on the number of threads, nor on the width of vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from axon import _core, nx
from axon.compiler.kernels.kernel import Kernel
from axon.compiler.planning.schedule import KernelStep
from axon.compiler.program import Executable
from axon.compiler.targets.compile_cpp import WIDE, Instructions
from axon.compiler.targets.emit_cpp import emit_cpp
from axon.compiler.targets.target import CPU
from axon.graph.expr import Graph
from axon.nx.core.tensor import Tensor

from .kernel_tools import AVX2, AVX512, SCALAR, WIDE_ON_AVX2, compile_texts
from .oracle import Array, assert_same_bits, compiled, graph_of, interpreted, results, with_kernels
from .programs import adam, chain, layer_norm, softmax


def statistics(x: Tensor) -> list[Tensor]:
    return [
        nx.sum(x),
        nx.mean(x, axis=0),
        nx.var(x, axis=1),
        nx.max(x, axis=0),
        nx.argmax(x, axis=1),
        nx.prod(x, axis=1),
    ]


def pooled(x: Tensor) -> Tensor:
    return nx.window_max(nx.pad(nx.maximum(x, 0.0), [(0, 0, 0), (1, 1, 0), (1, 1, 0), (0, 0, 0)]), window=(1, 3, 3, 1))


def moved(x: Tensor) -> list[Tensor]:
    t = nx.permute_dims(nx.exp(x), (1, 0))
    return [t + 1, nx.concat([t[::2], t[1::2] * 2], axis=0), nx.flip(x, axis=1)]


def looked_up(table: Tensor, indices: Tensor) -> list[Tensor]:
    rows = nx.take(table, indices, axis=0)
    return [rows * 2, nx.scatter_add(table, indices, rows * 0.1, axis=0)]


def integers(x: Tensor) -> list[Tensor]:
    return [x // 7 + x % 5, nx.sum(x * x, axis=0), nx.max(x, axis=1)]


class Example(NamedTuple):
    function: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    dtype: str = "float32"


# Each is large enough for several threads, and has tails in every axis.
EXAMPLES = {
    "chain": Example(chain, ((300_007,),)),
    "chain in bfloat16": Example(chain, ((100_003,),), "bfloat16"),
    "softmax": Example(softmax, ((601, 1003),)),
    "softmax of float64": Example(softmax, ((301, 203),), "float64"),
    "softmax of long rows": Example(softmax, ((3, 70_001),)),
    "layer norm": Example(layer_norm, ((700, 333), (333,), (333,))),
    "statistics": Example(statistics, ((1201, 517),)),
    "statistics of float16": Example(statistics, ((601, 133),), "float16"),
    "adam": Example(adam, ((70_001,), (70_001,), (70_001,), (70_001,), ())),
    "pool": Example(pooled, ((5, 33, 34, 35),)),
    "movement": Example(moved, ((509, 403),)),
    "lookups": Example(looked_up, ((900, 65), (3001,))),
    "integers": Example(integers, ((403, 777),), "int32"),
}


def arrays_of(example: Example) -> list[Array]:
    """Numbers of very different size, so that another order gives other bits."""
    rng = np.random.default_rng(0)
    if example.dtype == "int32":
        return [rng.integers(-1000, 1000, s, np.int32) for s in example.shapes]
    made = [rng.standard_normal(s) * 10.0 ** rng.integers(-2, 2, s) for s in example.shapes]
    if example.function is looked_up:
        return [made[0].astype(np.float32), rng.integers(-900, 900, example.shapes[1], np.int32)]
    if example.function is adam:
        made = [np.abs(a) for a in made]
    return [a.astype(nx.dtype(example.dtype).numpy) for a in made]


class Prepared(NamedTuple):
    graph: Graph
    executable: Executable
    arrays: list[Array]
    expected: list[Array]  # the interpreter's


_prepared: dict[str, Prepared] = {}


def prepared(name: str) -> Prepared:
    if name not in _prepared:
        arrays = arrays_of(EXAMPLES[name])
        graph = graph_of(EXAMPLES[name].function, *arrays)
        executable = compiled(graph)
        _prepared[name] = Prepared(graph, executable, arrays, results(interpreted(executable.plan), graph, arrays))
    return _prepared[name]


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = _core.threads()
    yield _core.set_threads
    _core.set_threads(before)


@pytest.mark.parametrize("name", EXAMPLES)
def test_threads(name: str, threads: Callable[[int], None]) -> None:
    graph, executable, arrays, expected = prepared(name)
    shared = [
        s for s in executable.plan.schedule.steps
        if isinstance(s, KernelStep) and sum(c.units for c in s.calls) >= 2 * s.grain(CPU.tuning.work)
    ]  # fmt: skip
    assert shared, "no kernel is cut over threads"
    for count in (1, 2, 16):
        threads(count)
        for _ in range(3):
            assert_same_bits(results(executable, graph, arrays), expected)


def kernels_for(target: Instructions) -> dict[Kernel, Any]:
    """All kernels of the examples compiled for a target, in one library."""
    kernels = list(dict.fromkeys(k for name in EXAMPLES for k in prepared(name).executable.texts))
    names = [f"k{n}" for n in range(len(kernels))]
    library = compile_texts([emit_cpp(k, n) for k, n in zip(kernels, names)], target)
    return dict(zip(kernels, _core.load_library(library.read_bytes(), names)))


@pytest.mark.parametrize("target", [AVX2, WIDE_ON_AVX2, SCALAR, AVX512], ids=lambda t: t.name)
def test_widths(target: Instructions) -> None:
    kernels = kernels_for(target)
    if target is AVX512 and not set(WIDE) <= _core.cpu_features():
        return  # it compiles; here it cannot run
    for name in EXAMPLES:
        graph, executable, arrays, expected = prepared(name)
        assert_same_bits(
            results(with_kernels(executable.plan, kernels), graph, arrays), expected, lambda k, n=name: f"{n} {k}"
        )
