"""What the users of a value add to its gradient: whole tensors, and parts from its slices."""

from __future__ import annotations

from ..nx.core.tensor import Tensor
from ..nx.layout import concat
from ..nx.rows.elementwise import add
from ..nx.rows.movement import Part, pad

Config = tuple[tuple[int, int, int], ...]


class Contributions:
    """Tensors are added as they come, so that no more than their sum is held. Parts wait: those at one place are added;
    what is left is put side by side if it lies along one axis, or else padded and added, in the order of arrival."""

    def __init__(self) -> None:
        self.whole: Tensor | None = None
        self.parts: dict[Config, Tensor] = {}

    def add(self, g: Tensor | Part) -> None:
        if isinstance(g, Part):
            have = self.parts.get(g.config)
            self.parts[g.config] = g.block if have is None else add(have, g.block)
        else:
            self.whole = g if self.whole is None else add(self.whole, g)

    def total(self) -> Tensor:
        whole, parts = self.whole, [Part(g, config) for config, g in self.parts.items()]
        joined = side_by_side(parts)
        for part in parts if joined is None else [joined]:
            whole = part.whole() if whole is None else add(whole, part.whole())
        assert whole is not None
        return whole


def side_by_side(parts: list[Part]) -> Part | None:
    """Parts that are disjoint along one axis, and alike along the others, as one; None where they are not."""
    axes = [a for a, at in enumerate(zip(*(p.config for p in parts))) if len(set(at)) > 1]
    if len(axes) != 1 or any(p.config[axes[0]][2] for p in parts):
        return None
    (axis,) = axes
    parts = sorted(parts, key=lambda p: p.config[axis][0])
    starts = [p.config[axis][0] for p in parts]
    gaps = [after - start - p.block.shape[axis] for p, start, after in zip(parts, starts, starts[1:])]
    if any(gap < 0 for gap in gaps):
        return None
    blocks = [p.block for p in parts]
    for k, gap in enumerate(gaps):
        if gap:
            blocks[k] = pad(blocks[k], [(0, gap if a == axis else 0) for a in range(len(parts[0].config))])
    ends = (starts[0], parts[-1].config[axis][1], 0)
    return Part(concat(blocks, axis=axis), (*parts[0].config[:axis], ends, *parts[0].config[axis + 1 :]))
