"""Kinds of call node: what one does with its regions. The rows stand beside the functions that make such nodes, in
axon.defn; whoever walks a graph asks the row, never for its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple

from ..nx.core.tensor import Tensor, TensorType
from .expr import Graph, Node

Types = Sequence[TensorType]
Agreement = tuple[str, Types, Types]  # what, its types as they must be, and as they are
Run = Callable[[list[Tensor]], list[Tensor]]  # one region


class Evaluation(NamedTuple):
    """A call node that is carried out: its regions as functions, its operands, attributes and the types of its results.
    `empty` gives results of zeros."""

    run: Sequence[Run]
    operands: list[Tensor]
    attrs: Mapping[str, Any]
    empty: Callable[[], list[Tensor]]


class Backward(NamedTuple):
    """A call node whose results have the gradients `gs`: its operands, what `record` kept, and which operands want a
    gradient; `reached` says which of `gs` are more than zeros made for results that nothing depends on."""

    node: Node
    gs: list[Tensor]
    operands: list[Tensor]
    residuals: Any
    wanted: list[bool]
    reached: list[bool]


class Batched(NamedTuple):
    """A call node for every lane at once: which operands differ among lanes, that is, have them as axis 0, and how many
    lanes there are."""

    node: Node
    operands: list[Tensor]
    mapped: list[bool]
    size: int


class Forward(NamedTuple):
    """A call node some of whose operands have tangents (None: 0): its regions, without their effects where these have
    taken place, and its operands."""

    node: Node
    regions: Sequence[Graph]
    operands: list[Tensor]
    tangents: list[Tensor | None]
    asked: list[bool]  # results whose tangents matter


Marks = list[bool]  # of operands, inputs or results, in order
Through = Callable[[Graph, Marks], Marks]  # which outputs of a region the marked inputs reach


@dataclass(frozen=True, eq=False)
class Region:
    """A kind of call node.

    types: of the results, from the node's attributes. agreements: what operands, regions and results must agree in
    beyond that. evaluate: the results. pull: a gradient, or None, for each operand. record: where the gradient wants
    more than the operands, the results and what is kept for `pull`, given which operands want one, and which results
    may have one. inline: the node means its first region, but to gradients. batch: each result of all lanes, and
    whether it differs among them. push: the results, and a tangent, or None, for each. flow: which results the marked
    operands reach; None: all, if any is marked.
    """

    name: str
    _: KW_ONLY
    types: Callable[[Mapping[str, Any]], Types]
    agreements: Callable[[Node], Iterable[Agreement]]
    evaluate: Callable[[Evaluation], list[Tensor]]
    pull: Callable[[Backward], Sequence[Any]]
    record: Callable[[Node, list[Tensor], list[bool], list[bool]], tuple[list[Tensor], Any]] | None = None
    inline: bool = False
    batch: Callable[[Batched], list[tuple[Tensor, bool]]] | None = None
    push: Callable[[Forward], tuple[list[Tensor], Sequence[Tensor | None]]] | None = None
    flow: Callable[[Node, Marks, Through], Marks] | None = None

    def __repr__(self) -> str:
        return repr(self.name)


def types_of_first(attrs: Mapping[str, Any]) -> Types:
    """The results of the first region."""
    return attrs["regions"][0].output_types


def run_first(given: Evaluation) -> list[Tensor]:
    """The first region over the operands."""
    return given.run[0](given.operands)
