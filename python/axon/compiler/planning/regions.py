"""What the compiler does with a call node that is not inlined: a row a kind (axon.graph.regions has the other half)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import CompileError
from ...graph.expr import Node, Value, values_of

if TYPE_CHECKING:
    from .schedule import Schedule


class Row(NamedTuple):
    """The part of a value that one iteration of a scan reads or writes: a row of its first axis."""

    whole: Value

    @property
    def nbytes(self) -> int:
        return self.whole.type.nbytes // max(self.whole.type.shape[0], 1)


class RegionStep:
    """A call node: its regions are schedules of their own over the same memory.

    `bound` says which memory the inputs of every region are, `targets` for each where its results belong. The carry of
    a loop lives in the node's results.
    """

    def __init__(self, node: Node, bodies: list[Schedule]) -> None:
        self.node, self.bodies, self.kind = node, bodies, lowering(node)
        results = values_of(node)
        self.bound: list[Any] = self.kind.bound(node, results)
        self.targets: list[list[Any]] = self.kind.targets(node, results)


class EncodedRegion(NamedTuple):
    """A region step whose bodies are encoded. `moves` says for each body which results do not lie where they belong:
    (slot to, slot at, bytes); `results` are the slots of each body's; `slot` gives any memory's."""

    step: RegionStep
    bodies: list[list[tuple[Any, ...]]]
    moves: list[list[tuple[int, int, int]]]
    results: list[list[int]]
    slot: Callable[[Any], int]
    copy: Callable[[tuple[int, int, int]], tuple[Any, ...]]


class Lowering(NamedTuple):
    """What the compiler does with a kind of call node: how many results are a carry, which lives there; how often the
    bodies run, as far as is known; `work` adds up what its bodies do in a run; `captured`, of a loop, is the first
    input that is the same in all steps."""

    bound: Callable[[Node, Sequence[Value]], list[Any]]
    targets: Callable[[Node, Sequence[Value]], list[list[Any]]]
    encode: Callable[[EncodedRegion], tuple[Any, ...]]
    work: Callable[[Sequence[float]], float]
    carry: Callable[[Mapping[str, Any]], int] = lambda attrs: 0
    runs: Callable[[Mapping[str, Any]], int] = lambda attrs: 1
    captured: Callable[[Mapping[str, Any]], int] | None = None


def _branches(step: EncodedRegion) -> tuple[Any, ...]:
    """Each branch copies out what does not lie in place."""
    for body, left in zip(step.bodies, step.moves):
        body += [step.copy(move) for move in left if move[2]]
    return "cond", step.slot(step.step.node.inputs[0]), step.bodies


def _while(step: EncodedRegion) -> tuple[Any, ...]:
    condition, body = step.bodies
    return "while", condition, step.results[0][0], body, [move[:2] for move in step.moves[-1]]


def _scan(step: EncodedRegion) -> tuple[Any, ...]:
    attrs, (body,) = step.step.node.attrs, step.bodies
    rows = (m for m in (*step.step.bound, *step.step.targets[0]) if isinstance(m, Row))
    slices = list(dict.fromkeys(map(step.slot, rows)))  # one value may be taken twice
    return "scan", attrs["length"], attrs["reverse"], body, [move[:2] for move in step.moves[0]], slices


def _scanned(node: Node, results: Sequence[Value]) -> list[Any]:
    n, end = node.attrs["carry"], node.attrs["carry"] + node.attrs["xs"]
    return [*results[:n], *map(Row, node.inputs[n:end]), *node.inputs[end:]]


def lowering(node: Node) -> Lowering:
    """The row of a call node's kind; CompileError where its kind has none and it was not inlined."""
    name = node.attrs["kind"].name
    if name not in LOWERINGS:
        raise CompileError(
            f"{name}: expected a region kind of {', '.join(LOWERINGS)}, or one that is inlined, got a call at "
            f'{node.source}; give it a row in LOWERINGS, or run it with compiler="evaluate"'
        )
    return LOWERINGS[name]


LOWERINGS = {
    "cond": Lowering(
        bound=lambda node, results: list(node.inputs[1:]),
        targets=lambda node, results: [list(results) for _ in node.attrs["regions"]],
        encode=_branches,
        work=max,
    ),
    "while": Lowering(
        bound=lambda node, results: [*results, *node.inputs[len(results) :]],
        targets=lambda node, results: [[], list(results)],  # the condition's lies nowhere
        encode=_while,
        work=sum,
        carry=lambda attrs: attrs["carry"],
        captured=lambda attrs: attrs["carry"],
    ),
    "scan": Lowering(
        bound=_scanned,
        targets=lambda node, results: [[*results[: node.attrs["carry"]], *map(Row, results[node.attrs["carry"] :])]],
        encode=_scan,
        work=sum,
        carry=lambda attrs: attrs["carry"],
        runs=lambda attrs: attrs["length"],
        captured=lambda attrs: attrs["carry"] + attrs["xs"],
    ),
}
