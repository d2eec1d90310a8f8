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

from bench import data  # noqa: E402
from bench.data import CNN_LOOP, LOOP, SMALL, Case  # noqa: E402
from bench.measure import measure  # noqa: E402
from bench.run import KEEP, caches, summary  # noqa: E402
from bench.table import markdown  # noqa: E402
from bench.workloads import TABLE, decoder, resnet, training  # noqa: E402


def peer(name: str) -> Any:
    pytest.importorskip(name)
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


@pytest.mark.parametrize(("workload", "mode"), modes("W1", "W1b", "W2", "W7_one10M", "W7_100x100k"))
def test_training_steps(workload: str, mode: str) -> None:
    """The loss (for Adam alone a parameter) after several steps; the dropout masks are the same ones."""
    steps = {"W1": LOOP, "W2": CNN_LOOP}.get(workload, 3)
    ours = result(TABLE[workload][mode](SMALL), 1 if mode == "native_loop" and workload != "W1b" else steps)
    np.testing.assert_allclose(ours, peer_result("jax", workload, steps), 2e-3, 1e-5)


@pytest.mark.parametrize("workload", ["W1", "W1b", "W7_one10M", "W7_100x100k", *REFERENCES])
def test_torch_measures_the_same(workload: str) -> None:
    found = peer_result("torch", workload, 2)
    expected = result(TABLE[workload]["evaluate" if "evaluate" in TABLE[workload] else "native"](SMALL), 2)
    if workload == "W8_conv":
        found = found.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, expected, 0.03 if workload.endswith("bf16") else 1e-3, 2e-4)


def test_torch_trains_the_same_cnn() -> None:
    theirs = result(peer("torch").cnn(SMALL, channels_last=True, rate=0.0), 3)
    np.testing.assert_allclose(theirs, result(training.cnn(SMALL, "evaluate", rate=0.0), 3), 1e-3)


def test_residual_network() -> None:
    """Inference, and the loss of the first training step, against torch's own layers."""
    torch = pytest.importorskip("torch")
    F = torch.nn.functional

    def forward(stem: str, classes: int, x: Any, train: bool) -> Any:
        p, running = resnet.initial(stem, classes)
        p = {k: torch.from_numpy(v) for k, v in p.items()}

        def unit(u: resnet.Unit, x: Any) -> Any:
            x = F.conv2d(x, p[u.name].permute(3, 2, 0, 1), stride=u.stride, padding=u.size // 2)
            mean, var = (torch.from_numpy(v) for v in running[u.name])
            return F.batch_norm(x, mean, var, p[f"g{u.name}"], p[f"b{u.name}"], training=train)

        x = unit(resnet.STEMS[stem], torch.from_numpy(x).permute(0, 3, 1, 2)).relu()
        x = F.max_pool2d(x, 3, 2, 1) if stem == "large" else x
        for first, second, projection in resnet.BLOCKS:
            shortcut = x if projection is None else unit(projection, x)
            x = (unit(second, unit(first, x).relu()) + shortcut).relu()
        return x.mean((2, 3)) @ p["wlast"] + p["blast"]

    side = SMALL.residual_side
    expected = forward("large", 1000, data.normal(1, side, side, 3), False).double().numpy()
    np.testing.assert_allclose(result(TABLE["W3_inf_b1"]["native"](SMALL)), expected, 1e-3, 1e-3)
    n = SMALL.residual_batch
    logits = forward("small", data.CLASSES, data.normal(n, 32, 32, 3), True)
    loss = F.cross_entropy(logits, torch.from_numpy(data.integers(data.CLASSES, n)).long())
    np.testing.assert_allclose(result(TABLE["W3_train"]["native"](SMALL)), loss.item(), 1e-3)


def test_decoder() -> None:
    """Logits, and the loss of the first training step, against torch's own layers."""
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    p = {k: torch.from_numpy(v) for k, v in decoder.initial(SMALL).items()}

    def forward(tokens: Any) -> Any:
        h = F.embedding(tokens, p["etoken"]) + p["eplace"]
        for i in range(decoder.LAYERS):
            x = F.layer_norm(h, h.shape[-1:], p[f"gattend{i}"], p[f"battend{i}"])
            parts = (x @ p[f"wqkv{i}"] + p[f"bqkv{i}"]).chunk(3, -1)
            q, k, v = (t.unflatten(-1, (decoder.HEADS, -1)).transpose(1, 2) for t in parts)
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
            h = h + mixed @ p[f"wmix{i}"] + p[f"bmix{i}"]
            x = F.layer_norm(h, h.shape[-1:], p[f"gthink{i}"], p[f"bthink{i}"])
            h = h + F.gelu(x @ p[f"wup{i}"] + p[f"bup{i}"], approximate="tanh") @ p[f"wdown{i}"] + p[f"bdown{i}"]
        return F.layer_norm(h, h.shape[-1:], p["glast"], p["blast"]) @ p["whead"]

    tokens = torch.from_numpy(data.integers(decoder.VOCABULARY, SMALL.text_batch, SMALL.context)).long()
    expected = forward(tokens).double().numpy()
    np.testing.assert_allclose(result(TABLE["W5_inf"]["native"](SMALL)), expected, 1e-3, 1e-3)
    text = torch.from_numpy(data.integers(decoder.VOCABULARY, SMALL.text_batch, SMALL.context + 1)).long()
    loss = F.cross_entropy(forward(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())
    np.testing.assert_allclose(result(TABLE["W5"]["native"](SMALL)), loss.item(), 1e-4)


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
