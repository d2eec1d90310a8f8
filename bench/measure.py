"""One process, one measurement: `python -m bench.measure FRAMEWORK WORKLOAD MODE` prints a JSON line.

The first call is timed by itself (trace, compilation and run, waited for; import and making inputs are outside it).
Then blocks of calls, each long enough for the clock; a result is the time of a step in each block.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import time
from typing import Any

from .data import FULL, WORKLOADS, Case
from .machine import Others

MODULES = {"axon": "bench.workloads", "torch": "bench.peers.torch", "jax": "bench.peers.jax"}
DISTRIBUTIONS = {"axon": "axon-nx"}  # where the name differs


def peak_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def measure(case: Case, independent: bool, block_seconds: float, blocks: int) -> dict[str, Any]:
    """Seconds of the first call and, block by block, of a step; peak memory; what others used of the machine."""

    def run(calls: int) -> float:
        start, result = time.perf_counter(), None
        for _ in range(calls):
            result = case.call()
            if independent:
                case.wait(result)
        case.wait(result)
        return time.perf_counter() - start

    before, first, calls = peak_mb(), run(1), 1
    if not case.whole:
        run(1)
        while (spent := run(calls)) < block_seconds / 2:
            calls = min(max(2 * calls, int(calls * block_seconds / max(spent, 1e-7))), 16 * calls)
    others = Others()
    times = [run(calls) / calls / case.steps for _ in range(blocks)]
    return {
        "first": round(first, 5),
        "times": [float(f"{t:.4g}") for t in times],
        "busy_percent": others.percent(),
        "peak_mb": peak_mb(),
        "peak_before_mb": before,
    }


def version(framework: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(DISTRIBUTIONS.get(framework, framework))
    except metadata.PackageNotFoundError:
        return "from source"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.measure")
    parser.add_argument("framework", choices=MODULES)
    parser.add_argument("workload", nargs="?", help="without one: what the framework has")
    parser.add_argument("mode", nargs="?")
    parser.add_argument("--block", type=float, default=0.2, help="seconds that a block lasts")
    parser.add_argument("--blocks", type=int, default=5)
    given = parser.parse_args()
    table = importlib.import_module(MODULES[given.framework]).TABLE
    if given.workload is None:
        modes = {name: list(builders) for name, builders in table.items()}
        found: Any = {"modes": modes, "version": version(given.framework)}
    else:
        case = table[given.workload][given.mode](FULL)
        found = measure(case, WORKLOADS[given.workload].independent, given.block, given.blocks)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
