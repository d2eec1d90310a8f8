"""What a call of a jitted function costs in Python: `python -m bench.calls`, of inputs so small that a run is nothing.

--beside DIR also measures another checkout (extension modules built), in processes that take turns, with the ratio.
Times are microseconds of processor time, the least of all blocks: what others do on the machine changes them little.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Call = Callable[[], Any]
CALLS, BLOCKS = 500, 20
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def cases() -> dict[str, tuple[int, Call]]:
    """Each kind of call by name: how many calls it is, and a function that makes them."""
    from axon import nx, tree
    from axon.defn import jit

    short, long, array, rate = nx.ones(4), nx.ones(5), np.ones(4, "float32"), nx.tensor(0.5)
    weights = {f"layer_{i}": {"kernel": nx.ones(2), "bias": nx.ones(2)} for i in range(7)}
    arrays = tree.map(lambda t: t.numpy().copy(), weights)

    def plus(x: Any) -> Any:
        return x + 1

    def sum_of(x: Any, y: Any) -> Any:
        return x + y

    def chosen(x: Any, mode: str) -> Any:
        return x + 1 if mode == "up" else x - 1

    def ends(w: Any) -> Any:
        return w["layer_0"]["kernel"] + w["layer_6"]["bias"]

    def each(w: Any, x: Any) -> Any:
        return tree.map(lambda t: t + x, w)

    def made(function: Any, *calls: Any, **options: Any) -> tuple[int, Call]:
        """Calls of one jitted function, each given as (positional, by keyword)."""
        compiled = jit(function, **options)
        if len(calls) == 1:
            ((args, named),) = calls
            return 1, lambda: compiled(*args, **named)

        def run() -> None:
            for args, named in calls:
                compiled(*args, **named)

        return len(calls), run

    return {
        "a tensor": made(plus, ((short,), {})),
        "arrays": made(sum_of, ((array, array), {})),
        "a number": made(sum_of, ((short, 0.5), {})),
        "keywords": made(sum_of, ((), {"x": short, "y": short})),
        "two signatures": made(plus, ((short,), {}), ((long,), {})),
        "static": made(chosen, ((short, "up"), {}), static="mode"),
        "static by keyword": made(chosen, ((short,), {"mode": "up"}), static="mode"),
        "two static values": made(chosen, ((short, "up"), {}), ((short, "down"), {}), static="mode"),
        "a tree of 14": made(ends, ((weights,), {})),
        "a tree of 14 in and out": made(each, ((weights, rate), {})),
        "the same, a number": made(each, ((weights, 0.5), {})),
        "the same, keywords": made(each, ((), {"w": weights, "x": rate})),
        "the same, arrays": made(each, ((arrays, rate), {})),
    }


def measure() -> dict[str, float]:
    """Microseconds a call, by case."""
    found = {}
    for name, (calls, run) in cases().items():
        run()
        times = []
        for _ in range(BLOCKS):
            start = time.process_time()
            for _ in range(CALLS):
                run()
            times.append(time.process_time() - start)
        found[name] = min(times) / CALLS / calls * 1e6
    return found


def in_process(checkout: str) -> dict[str, float]:
    """`measure` of a checkout, in a process of its own."""
    paths = os.pathsep.join([os.path.join(checkout, "python"), ROOT])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    code = "import json; from bench.calls import measure; print(json.dumps(measure()))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.calls", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--beside", metavar="DIR", help="another checkout to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    checkouts = [ROOT, *([given.beside] if given.beside else [])]
    runs = [[in_process(c) for c in checkouts] for _ in range(given.rounds)]
    for name in runs[0][0]:
        ours, *other = [min(run[i][name] for run in runs) for i in range(len(checkouts))]
        beside = f"{other[0]:8.2f}{ours / other[0]:8.2f}" if other else ""
        print(f"{name:24}{ours:8.2f}{beside}")


if __name__ == "__main__":
    main()
