"""The batch rule of rows that are Python or native code of the user's, which know nothing of lanes."""

from __future__ import annotations

from typing import Any

from ..nx.core.call import call
from ..nx.core.lanes import Lanes
from ..nx.core.op import Op, results_of
from ..nx.core.tensor import Tensor
from .scans import scan


def by_lane(op: Op, lanes: Lanes, operands: tuple[Tensor, ...], attrs: dict[str, Any]) -> tuple[Tensor, ...]:
    """The row over one lane after the other, in order; the results, with lanes as axis 0."""

    def step(carry: tuple[()], rows: list[Tensor]) -> Any:
        rest = iter(rows)
        given = [next(rest) if mapped else x for x, mapped in zip(operands, lanes.mapped)]
        return carry, results_of(call(op, given, attrs))

    return scan(step, (), [x for x, mapped in zip(operands, lanes.mapped) if mapped])[1]
