"""Compiled programs as a whole: what another batch size costs, memory as planned, donation, threads, aliasing."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from axon import _core, nx, tree
from axon.compiler import pipeline
from axon.compiler.planning.memory import Plan
from axon.compiler.planning.report import memory
from axon.compiler.planning.schedule import KernelStep, LibraryStep
from axon.compiler.program import Executable, literal_bits
from axon.compiler.targets import cache, compile_cpp
from axon.compiler.targets.emit_cpp import CppEmitter
from axon.defn import cond, jit, scan, value_and_grad, while_loop
from axon.dtypes import float32, int32
from axon.graph.trace import trace
from axon.nx.core.tensor import Tensor

from .oracle import Array, compiled, graph_of, results, run_all
from .programs import (
    adam,
    adam_step,
    chain,
    cnn_loss,
    cnn_params,
    f32,
    layer_norm,
    mlp_loss,
    mlp_params,
    sgd_step,
    softmax,
    typed,
)


def filled(types: Any, seed: int = 0) -> Any:
    """Small random tensors of these types."""
    rng = np.random.default_rng(seed)
    return tree.map(lambda t: nx.tensor(rng.standard_normal(t.shape, np.float32) * 0.1), types)


def batch(n: int, inputs: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    return nx.tensor(rng.standard_normal((n, inputs), np.float32)), nx.tensor(rng.integers(0, 10, n, np.int32))


# Whole train steps


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_train_steps_agree(name: str) -> None:
    loss, types, width = {
        "mlp": (mlp_loss, mlp_params(30, 20, 10), (30,)),
        "cnn": (cnn_loss, cnn_params(9, 225, 10), (11, 10, 1)),
    }[name]
    rng = np.random.default_rng(0)
    p, m = ([rng.standard_normal(t.shape, np.float32) * 0.1 for t in types.values()] for _ in range(2))
    v = [np.square(a) for a in m]

    def step(t: Tensor, x: Tensor, y: Tensor, *state: Tensor) -> Any:
        trees = [dict(zip(types, state[k * len(types) :])) for k in range(3)]
        return adam_step(loss)(*trees, t, x, y)

    x, y = rng.standard_normal((13, *width), np.float32), rng.integers(0, 10, 13, np.int32)
    run_all(step, np.array(3, np.float32), x, y, *p, *m, *v).assert_agree(rtol=1e-3, atol=1e-5)


# Another batch size


@pytest.mark.parametrize(("rows", "last"), [(32, 17), (512, 100), (300, 200)])
def test_a_ragged_last_batch_emits_no_source_and_starts_no_compiler(
    rows: int, last: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = jit(sgd_step(mlp_loss))
    params = filled(mlp_params(784, 128, 10))
    step(params, *batch(rows, 784))
    called: list[str] = []
    for module, name in ((CppEmitter, "text"), (cache, "build"), (compile_cpp, "run")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, name=name, real=real, **k: (called.append(name), real(*a, **k))[1])
    start = time.process_time()
    _, loss = step(params, *batch(last, 784))
    print(f"traced, planned and run in {(time.process_time() - start) * 1e3:.1f} ms of processor time")  # 9 ms, of 30
    assert not called and step.traces == 2
    assert np.isfinite(loss.item())
    pipeline.text_of.cache_clear()  # the counters do count where nothing is known
    monkeypatch.setattr(cache, "_loaded", {})
    monkeypatch.setattr(cache, "folder", lambda: None)
    jit(chain)(loss)
    assert called == ["text", "build", "run"]


# Memory

PROGRAMS: dict[str, tuple[Any, tuple[tuple[int, ...], ...]]] = {
    "chain": (chain, ((1000, 1000),)),
    "long rows": (softmax, ((7, 70_000),)),
    "statistics": (lambda x: [nx.var(x, axis=0), nx.sum(nx.exp(x - nx.mean(x))), nx.argmax(x)], ((1300, 70),)),
    "layer norm, twice": (lambda x, g, b: layer_norm(layer_norm(x, g, b).T, g, b), ((500, 500), (500,), (500,))),
    "many temporaries": (
        lambda x: [nx.sum(nx.permute_dims(nx.exp(x * k), (1, 0)), axis=0) for k in range(1, 6)],
        ((300, 400),),
    ),
    "products": (lambda x, w, b: nx.tanh(x @ w + b) @ w, ((300, 300), (300, 300), (300,))),
    "a convolution and its gradients": (
        value_and_grad(lambda k, x: nx.sum(nx.conv(nx.conv(x, k, padding=1), k, padding=1) ** 2)),
        ((3, 3, 32, 32), (8, 14, 14, 32)),
    ),
}


def prepare(name: str) -> tuple[Executable, list[Array]]:
    function, shapes = PROGRAMS[name]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s, np.float32) for s in shapes]
    return compiled(graph_of(function, *arrays)), arrays


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_run_takes_the_memory_that_was_planned(name: str) -> None:
    executable, arrays = prepare(name)
    gc.collect()
    before = _core.memory()["live"]
    planned = executable.memory()
    _core.reset_peak()
    made = executable(tuple(arrays))
    assert _core.memory()["peak"] - before == planned.peak
    assert planned.outputs == sum(t.nbytes for t in executable.plan.schedule.graph.output_types)
    del made
    assert _core.memory()["live"] == before


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_the_arena_is_little_more_than_what_is_needed_at_once(name: str) -> None:
    plan = plan_of(name)
    needed = [
        sum(-(-v.nbytes // 64) * 64 for v in plan.lifetimes if v.first <= k <= v.last)
        for k in range(len(plan.schedule.steps))
    ]
    assert plan.arena_bytes <= 1.1 * max(needed)


def plan_of(name: str) -> Plan:
    step, types, width = {
        "mlp": (adam_step(mlp_loss), mlp_params(784, 128, 10), (784,)),
        "cnn": (adam_step(cnn_loss), cnn_params(16, 1024, 10), (16, 16, 1)),
    }[name]
    graph = trace(step, (types, types, types, f32(), f32(32, *width), typed(int32, 32))).graph
    return compiled(graph, [True] * (3 * len(types) + 1)).plan


def test_memory_prints_as_a_table() -> None:
    graph = trace(lambda x: nx.exp(x) @ x, (f32(300, 300),)).graph
    assert str(memory(compiled(graph).plan, 500_000)) == (
        "peak 0.86 MB: arena 0.36, scratch and library steps 0.14, outputs 0.36\n"
        "offset   bytes  steps  value\n"
        "     0  360000    0-1  exp: float32[300,300]"
    )


@pytest.mark.parametrize(
    ("function", "calls", "expected"),
    [
        (lambda x: scan(lambda c, _: (c @ x, None), x, length=100)[0], 100, 100),
        (lambda x: scan(lambda c, _: (scan(lambda c, _: (c @ x, None), c, length=5)[0], None), x, length=7)[0], 7, 35),
        (lambda x: while_loop(lambda c: nx.sum(c) > 0, lambda c: c @ x, x), 1, 1),
        (lambda x: cond(nx.sum(x) > 0, lambda: x, lambda: x @ x @ x), 1, 2),
    ],
    ids=["scan", "nested", "while", "cond"],
)
def test_a_report_counts_what_regions_do(function: Callable[..., Any], calls: int, expected: int) -> None:
    report = jit(function).lower(f32(50, 50)).report()
    (row,) = [s for s in report.steps if s.what in ("scan", "while", "cond")]
    assert row.calls == calls
    assert row.operations == pytest.approx(expected * 2 * 50**3, rel=0.05)


def test_a_report_counts_the_bytes_that_are_read() -> None:
    def moved(f: Callable[..., Any], *types: Any) -> list[int]:
        return [s.nbytes for s in jit(f).lower(*types).report().steps]

    assert moved(lambda x: nx.exp(x[10:20]), f32(100, 50)) == [2 * 10 * 50 * 4]  # a slice
    assert moved(lambda x, b: x + b, f32(30, 50), f32(50)) == [(2 * 30 * 50 + 50) * 4]  # a vector, again and again
    assert moved(lambda x: x[:-1] * x[1:], f32(100)) == [(100 + 99) * 4]  # the same numbers twice
    assert moved(lambda t, i: nx.exp(nx.take(t, i, axis=0)), f32(1000, 8), typed(int32, 5)) == [5 * 8 * 4 * 2 + 5 * 4]
    partial = 4 * 64 * 74  # a span of 4,096 leaves 64 numbers
    assert moved(nx.sum, f32(300_000)) == [4 * 300_000 + partial, partial + 4]
    assert moved(lambda *xs: nx.concat(xs), *[f32(6)] * 9) == [2 * 6 * 4] * 9  # a copy a piece


def test_a_measured_report_compares_each_step_with_the_machine() -> None:
    w = nx.ones((300, 300))
    report = jit(lambda x: [nx.exp(x @ w) for w in (x, w, x.T)]).lower(w).report()
    assert report.limits is not None and report.limits.memory > 1e8 and report.limits.products > 1e8
    for s in report.steps:
        work = s.operations / report.limits.products if s.what.startswith("gemm") else 0
        assert s.seconds > 0 and s.limit == max(work, s.nbytes / report.limits.memory)
    lines = str(report).splitlines()
    products = [line for line in lines if line.startswith("gemm 300x300 . 300x300")]
    assert len(products) == 1 and products[0].split()[4] == "3"  # equal steps of a line are one row
    assert "GB/s of memory" in lines[-1]


def test_a_report_names_library_steps_by_their_sizes() -> None:
    def f(x: Tensor, k: Tensor) -> Tensor:
        return nx.sum(nx.tanh(nx.conv(x, k, padding="same")))

    report = jit(value_and_grad(f, (0, 1))).lower(f32(2, 8, 6, 3), f32(3, 1, 3, 5)).report()
    convs = {s.what: s.operations for s in report.steps if s.what.startswith("conv")}
    work = 2 * 2 * 8 * 6 * 3 * 5 * 3 * 1
    assert convs == {f"conv{d} 2x8x6x3 to 5, 3x1": work for d in ("", " input gradient", " kernel gradient")}


# Donation


def test_a_donated_state_is_updated_in_place_for_ever() -> None:
    step = jit(adam_step(mlp_loss), donate=(0, 1, 2, 3))
    params = filled(mlp_params(200, 64, 10))
    state = (params, tree.map(nx.zeros_like, params), tree.map(nx.zeros_like, params), nx.tensor(1.0))
    data = batch(32, 200)
    *state, first = step(*state, *data)
    *state, loss = step(*state, *data)  # the first arguments were NumPy's
    places = sorted(t.data.address for t in tree.flatten(state)[0])
    planned = step.lower(*state, *data).memory()
    gc.collect()
    before = _core.memory()["live"]
    _core.reset_peak()
    for _ in range(100):
        *state, loss = step(*state, *data)
    assert sorted(t.data.address for t in tree.flatten(state)[0]) == places
    assert _core.memory()["live"] == before
    assert planned.outputs <= 64  # the loss
    assert _core.memory()["peak"] - before <= planned.peak
    assert loss.item() < 0.5 * first.item()


def test_what_is_not_donated_stays() -> None:
    step = jit(adam)
    given = [nx.tensor(np.full(100, k, np.float32)) for k in range(1, 5)]
    new = step(*given, nx.tensor(1.0))
    again = step(*given, nx.tensor(1.0))
    assert [t.tolist() for t in new] == [t.tolist() for t in again]
    assert [t.tolist()[0] for t in given] == [1, 2, 3, 4]


# Threads, aliasing


def test_threads_call_one_program_at_once() -> None:
    params = filled(mlp_params(784, 128, 10))
    graph = graph_of(lambda *xs: sgd_step(mlp_loss)(dict(zip(params, xs)), *xs[4:]),
                     *(t.numpy() for t in (*params.values(), *batch(32, 784))))  # fmt: skip
    executable = compiled(graph)
    arguments = [[t.numpy() for t in (*params.values(), *batch(32, 784, seed=k))] for k in range(6)]
    alone = [results(executable, graph, a) for a in arguments]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(10):
            together = list(pool.map(lambda a: results(executable, graph, a), arguments))
            for got, want in zip(together, alone):
                for a, b in zip(got, want, strict=True):
                    np.testing.assert_array_equal(a, b)


def test_outputs_never_alias() -> None:
    """Not an input, not each other, not the next run's; whether they are an input, a view of one, or the same value."""

    def function(x: Tensor, y: Tensor) -> list[Tensor]:
        z = x + y
        return [x, nx.reshape(x, (-1,)), x, y * 1, z, z, nx.reshape(z, (6, 2)), nx.expand_dims(y, axis=0), nx.exp(z)]

    x, y = (nx.tensor(np.arange(12, dtype=np.float32).reshape(3, 4)) for _ in range(2))
    step = jit(function)
    x, y = step(x, y)[:2]  # now they are buffers
    y = nx.asarray(step(x, nx.reshape(y, (3, 4)))[3])
    made = [*step(x, y), *step(x, y)]
    places = [t.data.address for t in (*made, x, y)]
    assert len(set(places)) == len(places)
    np.testing.assert_array_equal(made[0].numpy(), x.numpy())
    assert all(isinstance(s, (KernelStep, LibraryStep)) for s in step.lower(x, y)._executable.plan.schedule.steps)


def test_the_sign_of_a_literal_is_its_own() -> None:
    """Of a NaN, too, whichever was met before."""
    for value in (-float("nan"), float("nan"), -float("nan"), 0.0, -0.0):
        assert literal_bits(value, float32) >> 31 == np.signbit(value), value
