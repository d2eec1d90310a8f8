"""Targets: what a row says is all that a program is made with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from axon import config, jit, nx
from axon.compiler.targets.target import CPU, CUDA, TARGETS, Target
from axon.errors import CompileError
from axon.nx.core.tensor import Tensor

from .oracle import compiled, graph_of, results, run_all
from .programs import f32, layer_norm, softmax

X = np.random.default_rng(0).standard_normal((40, 700)).astype("f4")


def statistics(x: Tensor) -> Any:
    """Rows, columns and chains, values used again and again, and a product with a bias."""
    y = nx.tanh(x) * x.T.T + nx.sum(x, axis=0)
    return softmax(y), layer_norm(y, y[0], y[1]), nx.sum(y, axis=0), nx.argmax(y, axis=1), x @ y.T + y[0, :40]


BLOCKS = {"map_block": 64, "column_block": 64, "spans_block": 64}
FINE = {"kernel": 6, "sums": 1, "repeated": 0, "row": 256, "column": 8, "work": 1, **BLOCKS}
TUNINGS = {
    "fine": FINE,
    "coarse": dict.fromkeys(FINE, 1 << 30),
    "in parts": {"parts": 2, "again": 1},
    "never in parts": {"run": 0},
    "memory used again at once": {"linger": 0},
    "memory used again late": {"small": 1 << 40, "linger": 1 << 30},
    "ordered for any byte": {"free": 0},
    "in the given order": {"free": 1 << 60},
}


@pytest.mark.parametrize("name", TUNINGS)
def test_any_tuning_gives_the_same_bits(name: str) -> None:
    made = run_all(statistics, X, target=replace(CPU, tuning=CPU.tuning._replace(**TUNINGS[name])))
    made.assert_same_bits()
    graph = graph_of(statistics, X)
    for a, b in zip(made.native, results(compiled(graph), graph, [X]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_tuning_is_looked_at() -> None:
    graph = graph_of(statistics, X)
    fine = replace(CPU, tuning=CPU.tuning._replace(**FINE))
    assert len(compiled(graph, target=fine).texts) > len(compiled(graph).texts)


def test_without_library_steps_the_eager_backend_runs_them() -> None:
    made = run_all(lambda x: x @ x.T + x[0, :40], X, target=replace(CPU, library={}))
    made.assert_agree(rtol=1e-3, atol=1e-3)


def test_targets_are_told_apart_by_compiler_and_device() -> None:
    assert len({(t.compiler, t.device) for t in TARGETS}) == len({t.name for t in TARGETS}) == len(TARGETS)
    assert {t.compiler for t in TARGETS} < set(config.names("compiler"))
    for target in TARGETS:
        assert config.lookup("compiler", target.compiler).targets[target.device] is target


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_every_target_makes_what_can_be_looked_at(target: Target) -> None:
    made = jit(lambda x: nx.tanh(x) * 2, compiler=target.compiler, device=target.device).lower(f32(3))
    assert "tanh" in made.kernels() and made.kernels() == jit(lambda x: nx.tanh(x) * 2).lower(f32(3)).kernels()
    assert ("__global__" in made.source()) == (target is CUDA)


@pytest.mark.parametrize(
    "use",
    [
        lambda f: f(np.ones(3, "f4")),
        lambda f: f.lower(np.ones(3, "f4")).report(),
        lambda f: f.lower(f32(3)).memory(),
        lambda f: f.lower(f32(3)).save("nowhere"),
    ],
)
def test_what_cannot_run_yet_says_so(use: Callable[[Any], Any]) -> None:
    def double(x: Tensor) -> Tensor:
        return x * 2

    with pytest.raises(CompileError, match=r"^double: expected a target with programs, got cuda, .* leave out device"):
        use(jit(double, device="cuda"))


@pytest.mark.parametrize(
    ("compiler", "words"),
    [("native", "one of cpu, cuda for native"), ("tiled", "one of cpu for tiled"), ("evaluate", "cpu for evaluate")],
)
def test_unknown_devices_are_refused(compiler: str, words: str) -> None:
    with pytest.raises(ValueError, match=rf"^device: expected {words}, got 'moon'"):
        jit(lambda x: x, compiler=compiler, device="moon")(1)
    assert jit(lambda x: x + 1, compiler=compiler, device="cpu")(1).item() == 2
