"""Results as a table: a line a workload, a column a framework, and how axon compares with the best of its peers."""

from __future__ import annotations

from typing import Any, NamedTuple

from .data import WORKLOADS
from .run import KEEP, QUIET

Row = dict[str, Any]
LOOPS = ("native_loop", "scan")  # modes that take many steps in a call
COMPILED = ("native", "native_loop", "jit", "scan", "reshaping_pool", "compile", "one_graph")
USUAL = ("native", "native_loop", "jit", "scan", "eager", "import")  # modes that a cell does not name
SCALE = {"s": 1.0, "ms": 1e3, "us": 1e6, "MB": 1.0}


class Line(NamedTuple):
    """What a line shows: a field of the rows of one workload."""

    title: str
    workload: str
    unit: str
    field: str = "median"
    loops: bool = False


def lines(workloads: list[str]) -> list[Line]:
    """Those of the chosen workloads, in order; not all have modes that take many steps in a call."""
    made = []
    for name in workloads:
        if name == "import":
            made.append(Line("import", name, "ms"))
            continue
        title, unit = WORKLOADS[name].title, WORKLOADS[name].unit
        made += [Line(title, name, unit), Line(f"{title}, many in a call", name, unit, loops=True)]
    for title, field, unit in (
        ("first step, nothing cached", "first", "s"), ("first step, from the disk cache", "first_from_cache", "s"),
        ("peak memory", "peak_mb", "MB"),
    ):  # fmt: skip
        made += [Line(f"{name}: {title}", name, unit, field) for name in ("W1", "W2", "W5") if name in workloads]
    return made


def best(rows: list[Row], line: Line, framework: str) -> Row | None:
    """The framework's best mode by what the line shows: of the compiled ones where that is a first step; axon's
    evaluator only where nothing else was measured."""
    fit = [
        r for r in rows
        if r["workload"] == line.workload and r["framework"] == framework and line.field in r
        and (r["mode"] in LOOPS) == line.loops and (r["mode"] in COMPILED or not line.field.startswith("first"))
    ]  # fmt: skip
    return min(fit, key=lambda r: (r["mode"] == "evaluate", r[line.field]), default=None)


def latest(rows: list[Row]) -> list[Row]:
    """Of each workload only the rows of its last run: times of different runs are not compared."""
    last: dict[str, str] = {}
    for r in rows:
        last[r["workload"]] = max(last.get(r["workload"], ""), r.get("run", ""))
    return [r for r in rows if r.get("run", "") == last[r["workload"]]]


def cell(row: Row | None, line: Line) -> str:
    """A value, its mode where there is a choice, and ~ where others kept the machine busy."""
    if row is None:
        return "-"
    value = row[line.field] * SCALE[line.unit]
    shown = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    noisy = "~" if row.get("busy_percent", 0) > QUIET else ""
    mode = "" if row["mode"] in USUAL else f" ({row['mode']})"
    return f"{noisy}{shown}{mode}"


def markdown(rows: list[Row], workloads: list[str]) -> str:
    """The table; the last column is axon's time divided by the best peer's, which is below 1 where axon is faster."""
    rows = latest(rows)
    frameworks = sorted({r["framework"] for r in rows}, key=lambda name: (name != "axon", name))
    out = [f"| | unit | {' | '.join(frameworks)} | axon / best peer |", f"|---|---|{'---|' * (len(frameworks) + 1)}"]
    for line in lines(workloads):
        found = {name: best(rows, line, name) for name in frameworks}
        if not any(found.values()):
            continue
        ours = found.get("axon")
        peers = [r[line.field] for name, r in found.items() if r is not None and name != "axon"]
        ratio = f"{ours[line.field] / min(peers):.2f}" if ours is not None and peers else "-"
        cells = " | ".join(cell(found[name], line) for name in frameworks)
        out.append(f"| {line.title} | {line.unit} | {cells} | {ratio} |")
    meanings = {
        "~": f"others used more than {QUIET:.0f} % of the machine meanwhile",
        KEEP: "glibc told to keep freed memory",
    }
    notes = [f"{mark}: {meaning}." for mark, meaning in meanings.items() if any(mark in text for text in out)]
    notes += [f"{r['workload']} {r['framework']} {r['mode']}: {r['error']}" for r in rows if "error" in r]
    return "\n".join([*out, "", *notes])
