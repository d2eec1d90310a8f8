"""`python -m bench`: measures axon beside the frameworks that are installed, prints the table, keeps the results.

python -m bench                                the usual workloads, about 20 minutes
python -m bench --quick --workloads W1,W6b     a glance: one round of short blocks, nothing is written
python -m bench --workloads all                every workload
python -m bench --python torch=/path/python    a framework from another environment
python -m bench --table                        the table of the results there are
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import datetime
from typing import Any

from .data import WORKLOADS
from .machine import describe, slug
from .measure import MODULES
from .run import Plan, candidates, run_imports, run_workload
from .table import markdown

STANDARD = ["W1", "W1b", "W2", "W6", "W6b", "W6c", "W7_one10M", "W7_100x100k", "W9_dispatch", "import"]
RESULTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workloads", default=",".join(STANDARD), help=f"all, or of {', '.join(WORKLOADS)}, import")
    parser.add_argument("--frameworks", default=",".join(MODULES))
    parser.add_argument(
        "--modes", default="", help="only these: native, evaluate, native_loop, eager, compile, jit, ..."
    )
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH", help="a framework's interpreter")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--patience", type=float, default=20, help="seconds to wait for a quiet machine, each time")
    parser.add_argument("--quick", action="store_true", help="one round of short blocks; nothing is written")
    parser.add_argument("--out", default=os.path.join(RESULTS, f"{slug()}.json"))
    parser.add_argument("--table", action="store_true", help="measure nothing")
    return parser.parse_args()


def stored(path: str) -> dict[str, Any]:
    if not os.path.exists(path):
        return {"machine": {}, "versions": {}, "rows": []}
    with open(path) as file:
        return json.load(file)


def merged(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Old rows where there is no new one for the same thing; in the order of the workloads."""
    rows = {(r["workload"], r["framework"], r["mode"]): r for r in (*old, *new)}
    order = [*WORKLOADS, "import"]
    return sorted(rows.values(), key=lambda r: order.index(r["workload"]))


def main() -> None:
    given = options()
    workloads = [*WORKLOADS, "import"] if given.workloads == "all" else given.workloads.split(",")
    if unknown := set(workloads) - {*WORKLOADS, "import"}:
        sys.exit(f"bench: expected workloads among {', '.join(WORKLOADS)}, import, got {', '.join(sorted(unknown))}")
    results = stored(given.out)
    if given.table:
        print(markdown(results["rows"], workloads))
        return
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count() or 1))
    pythons = dict(pair.split("=", 1) for pair in given.python)
    plan = Plan(rounds=given.rounds, patience=given.patience, pythons=pythons)
    if given.quick:
        plan = Plan(rounds=1, blocks=3, block_seconds=0.05, patience=0, pythons=pythons)
    found = list(candidates(plan, given.frameworks.split(",")))
    rows: list[dict[str, Any]] = []
    started = datetime.now().isoformat(timespec="minutes")
    for workload in workloads:
        if workload == "import":
            made = run_imports(plan, [c.name for c in found])
        else:
            pairs = [(c.name, m) for c in found for m in c.modes.get(workload, ())]
            wanted = [pair for pair in pairs if not given.modes or pair[1] in given.modes.split(",")]
            made = run_workload(plan, workload, wanted)
        for row in made:
            row["run"] = started
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
        if not given.quick:
            results = {
                "machine": describe(),
                "versions": results["versions"] | {c.name: c.version for c in found},
                "rows": merged(results["rows"], rows),
            }
            os.makedirs(os.path.dirname(given.out), exist_ok=True)
            with open(given.out, "w") as file:
                json.dump(results, file, indent=1)
                file.write("\n")
    print(markdown(rows, workloads))


main()
