"""Runs measurements: a fresh process for each framework, workload and mode, frameworks taking turns, in several rounds.

The first round starts with empty compile caches; the later ones find what it left, so their first call is the one from
cache. A row's times are those of all rounds in which others kept off the machine, or of all where none was quiet.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .machine import wait_for_quiet

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
QUIET = 8.0  # percent of the machine that others may use
KEEP = "+keep"  # a mode with glibc told to keep freed memory: without page faults on every large result
KEEPING = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 36), "MALLOC_TOP_PAD_": str(1 << 26)}
ALWAYS = {"PYTHONDONTWRITEBYTECODE": ""}  # or every process compiles every module that it imports
LARGE_RESULTS = ("W6", "W6b", "W6c")


@dataclass
class Plan:
    """How thoroughly to measure, and with which interpreters."""

    rounds: int = 3
    blocks: int = 5
    block_seconds: float = 0.2
    patience: float = 20.0  # seconds to wait for a quiet machine before each process
    timeout: float = 300.0
    pythons: dict[str, str] = field(default_factory=dict)

    def python(self, framework: str) -> str:
        return self.pythons.get(framework, sys.executable)


@dataclass
class Candidate:
    """A framework that is installed, and what it has."""

    name: str
    version: str
    modes: dict[str, list[str]]


def child(plan: Plan, framework: str, arguments: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """What one measuring process reports; {"error": its last words} where it fails."""
    command = [plan.python(framework), "-m", "bench.measure", framework, *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | ALWAYS | environment,
            capture_output=True,
            text=True,
            timeout=plan.timeout,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no result in {plan.timeout:.0f} s"}
    if done.returncode or not done.stdout.strip():
        return {"error": (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1][:300]}
    return json.loads(done.stdout.splitlines()[-1])


def candidates(plan: Plan, names: list[str]) -> Iterator[Candidate]:
    """Those of the frameworks that their interpreters can import; a line on stderr says which are missing."""
    for name in names:
        found = child(plan, name, [], {})
        if "error" in found:
            print(f"{name}: left out: {found['error']}", file=sys.stderr)
            continue
        if name != "axon":
            for workload in LARGE_RESULTS:
                found["modes"][workload] += [mode + KEEP for mode in found["modes"].get(workload, ())]
        yield Candidate(name, found["version"], found["modes"])


def caches(folder: str) -> dict[str, str]:
    """Every framework's compile cache in a folder, and their temporary files too."""
    return {
        "AXON_CACHE_DIR": os.path.join(folder, "axon"),
        "TORCHINDUCTOR_CACHE_DIR": os.path.join(folder, "torch"),
        "JAX_COMPILATION_CACHE_DIR": os.path.join(folder, "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "TMPDIR": folder,
    }


def run_workload(plan: Plan, workload: str, pairs: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """The row of each (framework, mode) of a workload."""
    rounds: dict[tuple[str, str], list[dict[str, Any]]] = {pair: [] for pair in pairs}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for _ in range(plan.rounds):
            for pair, found in rounds.items():
                if found and "error" in found[-1]:
                    continue
                framework, mode = pair
                place = os.path.join(folder, f"{framework}-{mode}")
                os.makedirs(place, exist_ok=True)
                environment = caches(place) | (KEEPING if mode.endswith(KEEP) else {})
                wait_for_quiet(QUIET, plan.patience)
                options = ["--blocks", str(plan.blocks), "--block", str(plan.block_seconds)]
                found.append(child(plan, framework, [workload, mode.removesuffix(KEEP), *options], environment))
    for (framework, mode), found in rounds.items():
        yield {"workload": workload, "framework": framework, "mode": mode, **summary(found)}


def summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """One row of what the rounds of a workload found."""
    if "error" in rounds[-1]:
        return rounds[-1]
    quiet = [r for r in rounds if r["busy_percent"] <= QUIET] or rounds
    times = [t for r in quiet for t in r["times"]]
    row = {
        "median": statistics.median(times),
        "fastest": min(times),
        "slowest": max(times),
        "first": rounds[0]["first"],
        "busy_percent": max(r["busy_percent"] for r in quiet),
        "peak_mb": max(r["peak_mb"] for r in quiet),
        "peak_before_mb": max(r["peak_before_mb"] for r in quiet),
        "blocks": len(times),
    }
    if rounds[1:]:
        row["first_from_cache"] = statistics.median(r["first"] for r in rounds[1:])
    return row


def run_imports(plan: Plan, frameworks: list[str]) -> Iterator[dict[str, Any]]:
    """The time that each import adds to a bare interpreter, in turns."""

    def seconds(framework: str, code: str) -> float:
        start = time.perf_counter()
        command, environment = [plan.python(framework), "-c", code], os.environ | ALWAYS
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
        return time.perf_counter() - start

    for name in frameworks:
        seconds(name, f"import {name}")  # from here on its files are in memory
    wait_for_quiet(QUIET, plan.patience)
    added: dict[str, list[float]] = {name: [] for name in frameworks}
    for _ in range(3 * plan.rounds):
        for name, times in added.items():
            times.append(seconds(name, f"import {name}") - seconds(name, "pass"))
    for name, times in added.items():
        yield {
            "workload": "import", "framework": name, "mode": "import", "median": round(statistics.median(times), 4),
            "fastest": round(min(times), 4), "slowest": round(max(times), 4), "blocks": len(times),
        }  # fmt: skip
