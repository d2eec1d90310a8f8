"""The loop of the tour is the graph that the tour shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from axon import nx
from axon.defn import grad, jit, scan

TOUR = Path(__file__).parents[2] / "docs" / "tour.md"


def test_the_gradient_of_a_loop_is_as_shown() -> None:
    text = TOUR.read_text()
    stop = text[text.index("## 7. A loop") :]
    source, shown = re.findall(r"^```(?:python)?\n(.*?)^```$", stop, re.M | re.S)[:2]
    session: dict[str, Any] = {"nx": nx, "grad": grad, "jit": jit, "scan": scan}
    definition, expression = source.split("\n\n")
    exec(definition, session)
    graph = eval(expression, session).lower(nx.template((64, 64)), nx.template((10, 64))).graph().splitlines()
    places = [graph.index(line) for line in shown.splitlines() if line.strip() != "..."]
    assert places == sorted(places) and len(places) > 8
