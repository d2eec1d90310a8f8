"""The benchmarks measure what they say: at a small size every workload agrees with NumPy, JAX or PyTorch."""

from __future__ import annotations

import functools
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

from bench import calls, data  # noqa: E402
from bench.data import LOOPS, SMALL, Case  # noqa: E402
from bench.measure import measure  # noqa: E402
from bench.run import KEEP, caches, summary  # noqa: E402
from bench.table import markdown  # noqa: E402
from bench.workloads import TABLE, training  # noqa: E402


def peer(name: str) -> Any:
    pytest.importorskip(name.partition(".")[0])
    return importlib.import_module(f"bench.peers.{name}")


def result(case: Case, calls: int = 1) -> np.ndarray[Any, Any]:
    """What the last of some calls gives, as float64."""
    made = [case.call() for _ in range(calls)][-1]
    if made.__class__.__module__ == "torch":
        return made.double().numpy()
    return np.asarray(made.astype("float32")).astype(np.float64)


@functools.cache
def peer_result(name: str, workload: str, calls: int) -> np.ndarray[Any, Any]:
    """What the first mode of a peer gives."""
    return result(next(iter(peer(name).TABLE[workload].values()))(SMALL), calls)


def modes(*workloads: str) -> list[Any]:
    return [pytest.param(w, m, id=f"{w}-{m}") for w in workloads for m in TABLE[w]]


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def convolution(x: Any, kernel: Any) -> Any:
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.einsum("nhwcij,ijck->nhwk", views, kernel)


def normalized(x: Any, gamma: Any, beta: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * gamma + beta


REFERENCES: dict[str, Callable[..., Any]] = {
    "W6": lambda x: np.tanh(x * 1.7 + 0.3) / (1 + np.exp(-x)) + np.exp(-x * x),
    "W6b": softmax,
    "W6c": normalized,
    "W6d": lambda x: (x * x).sum(),
    "W6e": lambda x: x.sum(0),
    "W6f": lambda x, z: z + x.T,
    **dict.fromkeys(data.PRODUCTS, np.matmul),
    "W8_conv": convolution,
    "W9_dispatch": lambda x: x + 1,
}


@pytest.mark.parametrize(("workload", "mode"), modes(*REFERENCES))
def test_functions_of_arrays(workload: str, mode: str) -> None:
    operands = [x.astype(np.float64) for x in data.operands(workload, SMALL)]
    tolerance = 0.03 if workload.endswith("bf16") else 2e-5
    expected = REFERENCES[workload](*operands)
    np.testing.assert_allclose(result(TABLE[workload][mode](SMALL)), expected, tolerance, tolerance * 10)


@pytest.mark.parametrize(("workload", "mode"), modes(*(w for w in TABLE if w not in REFERENCES)))
def test_models(workload: str, mode: str) -> None:
    """The loss after some steps (for Adam alone a parameter, else logits); the dropout masks are the same ones."""
    steps = LOOPS.get(workload, 3)
    ours = result(TABLE[workload][mode](SMALL), 1 if mode == "native_loop" and workload in LOOPS else steps)
    np.testing.assert_allclose(ours, peer_result("jax", workload, steps), 2e-3, 1e-4)


@pytest.mark.parametrize("workload", [w for w in TABLE if w != "W2"])
def test_torch_measures_the_same(workload: str) -> None:
    found = peer_result("torch", workload, 2)
    expected = result(TABLE[workload]["evaluate"](SMALL), 2)
    if workload == "W8_conv":
        found = found.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, expected, 0.03 if workload.endswith("bf16") else 1e-3, 2e-4)


def test_torch_trains_the_same_cnn() -> None:
    theirs = result(peer("torch.training").cnn(SMALL, channels_last=True, rate=0.0), 3)
    np.testing.assert_allclose(theirs, result(training.cnn(SMALL, "evaluate", 0, rate=0.0), 3), 1e-3)


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_peers_have_what_they_are_compared_with(name: str) -> None:
    assert peer(name).TABLE.keys() == TABLE.keys() == data.WORKLOADS.keys()


# The harness


def test_measure_counts_a_step_of_a_call() -> None:
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1
        sum(range(1000))

    found = measure(Case(call, steps=10), False, 0.01, 3)
    assert len(found["times"]) == 3 and calls > 30
    assert 0 < max(found["times"]) < 1e-3 < found["peak_mb"]


def test_summary_prefers_quiet_rounds() -> None:
    base = {"peak_mb": 10.0, "peak_before_mb": 9.0}
    rounds = [
        {"first": 3.0, "times": [9.0], "busy_percent": 50.0, **base},
        {"first": 1.0, "times": [1.0, 2.0], "busy_percent": 1.0, **base},
    ]
    row = summary(rounds)
    assert (row["median"], row["first"], row["first_from_cache"], row["busy_percent"]) == (1.5, 3.0, 1.0, 1.0)
    assert summary([*rounds, {"error": "no"}]) == {"error": "no"}


def test_table_compares_with_the_best_peer() -> None:
    def row(framework: str, mode: str, median: float, busy: float = 0) -> dict[str, Any]:
        return {"workload": "W6b", "framework": framework, "mode": mode, "median": median, "busy_percent": busy}

    rows = [
        row("axon", "native", 0.006), row("axon", "evaluate", 0.001), row("torch", "eager", 0.020, 50),
        row("torch", f"eager{KEEP}", 0.012), row("jax", "jit", 0.015),
    ]  # fmt: skip
    text = markdown(rows, ["W6b"])
    assert f"| ms | 6 | 15 | 12 (eager{KEEP}) | 0.50 |" in text
    assert "~" not in text
    # another run, of axon alone: nothing to compare with
    text = markdown([*rows, {**row("axon", "native", 0.002), "run": "later"}], ["W6b"])
    assert "| unit | axon | axon / best peer |" in text and "| ms | 2 | - |" in text


def test_first_steps_are_compared_among_compilers() -> None:
    def row(framework: str, mode: str, median: float, first: float) -> dict[str, Any]:
        return {"workload": "W1", "framework": framework, "mode": mode, "median": median, "first": first}

    rows = [
        row("axon", "native", 1e-4, 0.3), row("axon", "evaluate", 1e-3, 0.01), row("torch", "fused", 2e-4, 0.004),
        row("torch", "compile", 3e-4, 14.0), row("torch", "one_graph", 2.5e-4, 12.0), row("jax", "jit", 1e-4, 0.6),
    ]  # fmt: skip
    assert "| s | 0.3 | 0.6 | 12 (one_graph) | 0.50 |" in markdown(rows, ["W1"])


def test_measures_keeps_and_prints(tmp_path: Any) -> None:
    """The command line, with the cheapest workload and blocks as short as they get."""
    out = tmp_path / "results.json"
    command = [
        sys.executable,
        "-m",
        "bench",
        "--workloads",
        "W9_dispatch",
        "--frameworks",
        "axon",
        "--modes",
        "evaluate",
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for options in (["--rounds", "1", "--patience", "0"], ["--table"]):
        done = subprocess.run(
            [*command, "--out", str(out), *options],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "scalar x + 1" in done.stdout
    results = json.loads(out.read_text())
    assert {"machine", "versions", "rows"} == results.keys()
    assert [(r["workload"], r["framework"], r["mode"]) for r in results["rows"]] == [
        ("W9_dispatch", "axon", "evaluate")
    ]


def test_joins_a_harness(tmp_path: Any) -> None:
    (tmp_path / "common.py").write_text(
        "class Spec:\n"
        "    def __init__(self, step, **options): self.step, self.options = step, options\n"
        "def main(name, seconds, table):\n"
        "    spec = table['W9_dispatch']['evaluate']()\n"
        "    print(name, seconds > 0, sorted(spec.options), spec.step() is not None, *table)\n"
    )
    environment = os.environ | caches(str(tmp_path)) | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    file = os.path.join(ROOT, "bench", "peers_axon.py")
    out = subprocess.run(
        [sys.executable, file], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    options = ["bytes", "extra", "flops", "note", "single", "sync_each"]
    assert out.stdout.split() == f"axon True {options} True {' '.join(TABLE)}".split()


def test_every_kind_of_call_runs_and_traces_no_more_than_once_a_signature(capsys: Any) -> None:
    kinds = calls.cases()
    for _, run in kinds.values():
        run()
    said = capsys.readouterr().err
    for _, run in kinds.values():
        run()
    assert said.count("trace 2") == 2 and not capsys.readouterr().err  # where two signatures take turns
