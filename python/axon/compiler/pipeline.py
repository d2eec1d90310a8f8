"""The compiler's passes, in order. Each is a function between the nouns: Graph -> Graph -> units -> steps -> plan."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..defn.expr import Graph
from .decompose import decompose
from .fuse import Fusion
from .memory import Plan
from .schedule import Schedule
from .simplify import simplify

GRAPH_PASSES = (
    ("decompose", decompose),  # few forms: what later passes need not know of is gone
    ("simplify", simplify),  # exact identities, while literals and movement are still visible
)


class Lowered(NamedTuple):
    """What every stage made of a graph, and the milliseconds it took."""

    graph: Graph
    core: Graph
    schedule: Schedule
    plan: Plan
    milliseconds: dict[str, float]


def region(graph: Graph) -> Schedule:
    """The passes over a region of a graph; its memory is planned with its parent's."""
    for _, function in GRAPH_PASSES:
        graph = function(graph)
    return Schedule(graph, Fusion(graph).run(), region)


def run_passes(graph: Graph, donate: Sequence[bool] = ()) -> Lowered:
    """All passes over a traced graph."""
    spent: dict[str, float] = {}

    def timed(name: str, function: Any, *args: Any) -> Any:
        start = time.perf_counter()
        made = function(*args)
        spent[name] = (time.perf_counter() - start) * 1e3
        return made

    core = graph
    for name, function in GRAPH_PASSES:
        core = timed(name, function, core)
    units = timed("fuse", lambda: Fusion(core).run())  # kernels to be, as sets of values
    schedule = timed("lower", Schedule, core, units, region)  # loops over scalars, library calls; equal kernels joined
    plan = timed("memory", Plan, schedule.own_outputs(), donate)  # offsets, in-place results, donated inputs
    return Lowered(graph, core, schedule, plan, spent)
