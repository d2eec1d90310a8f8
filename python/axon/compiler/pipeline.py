"""The compiler's passes, in order. Each is a function between the nouns: Graph -> Graph -> units -> steps -> plan."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..graph.expr import Graph
from .decompose import decompose
from .fusion.fuse import Fusion
from .planning.memory import Plan
from .planning.schedule import Schedule
from .simplify import simplify


def passes(donate: Sequence[bool] = ()) -> list[tuple[str, Callable[[Any], Any]]]:
    """All passes in order; each takes what the one before made."""
    return [
        ("decompose", decompose),  # few forms: what later passes need not know of is gone
        ("simplify", simplify),  # exact identities, while literals and movement are still visible
        ("fuse", lambda graph: (graph, Fusion(graph).run())),  # kernels to be, as sets of values
        ("lower", lambda fused: Schedule(fused[0], fused[1], region)),  # loops over scalars, library calls
        ("memory", lambda schedule: Plan(schedule.own_outputs(), donate)),  # offsets, in place, donated inputs
    ]


class Lowered(NamedTuple):
    """What every stage made of a graph, and the milliseconds it took."""

    graph: Graph
    core: Graph
    schedule: Schedule
    plan: Plan
    milliseconds: dict[str, float]


def region(graph: Graph) -> Schedule:
    """The passes over a region of a graph; its memory, the last, is planned with its parent's."""
    made: Any = graph
    for _, function in passes()[:-1]:
        made = function(made)
    return made


@contextmanager
def uncollected() -> Iterator[None]:
    """While the block runs, memory is freed by reference counts alone: what passes make lives until they are done, and
    the collector would look through all of it again and again (a fifth of the time that a large program takes)."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def run_passes(graph: Graph, donate: Sequence[bool] = ()) -> Lowered:
    """All passes over a traced graph."""
    made: Any = graph
    stages: dict[str, Any] = {}
    spent: dict[str, float] = {}
    for name, function in passes(donate):
        start = time.perf_counter()
        made = stages[name] = function(made)
        spent[name] = (time.perf_counter() - start) * 1e3
    return Lowered(graph, stages["simplify"], stages["lower"], made, spent)
