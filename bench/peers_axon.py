"""Joins a harness that compares frameworks: a driver runs this file with its own folder on the path, where `common` is
its timing protocol. Our workloads, under their own names and modes, as the harness's Specs."""

import os
import sys
import time

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # `bench`, and not the files in it
start = time.perf_counter()
import axon  # noqa: E402, F401  the import is timed by itself

IMPORT_SECONDS = time.perf_counter() - start

from collections.abc import Callable  # noqa: E402
from functools import partial  # noqa: E402
from typing import Any  # noqa: E402

import common  # type: ignore[import-not-found]  # noqa: E402

from bench.data import EPOCH, FULL, WORKLOADS, Builder  # noqa: E402
from bench.workloads import TABLE as OURS  # noqa: E402


def spec(workload: str, build: Builder) -> Any:
    """A case as the harness wants it: rates from its work, and microseconds a batch where a call holds several."""
    case, what = build(FULL), WORKLOADS[workload]
    batches = EPOCH if case.whole else case.steps
    note = f"step = {batches} batches in a call" if batches > 1 else ""
    return common.Spec(
        case.call,
        flops=what.work if what.rate == "GFLOP/s" else None,
        bytes=what.work if what.rate == "GB/s" else None,
        note=note,
        single=case.whole,
        sync_each=what.independent,
        extra=(lambda median, _: {"us_per_batch": round(median * 1e3 / batches, 2)}) if batches > 1 else None,
    )


TABLE: dict[str, dict[str, Callable[[], Any]]] = {
    workload: {mode: partial(spec, workload, build) for mode, build in modes.items()}
    for workload, modes in OURS.items()
}
if __name__ == "__main__":
    common.main("axon", IMPORT_SECONDS, TABLE)
