"""Choices: cond and switch, and the row of the node they make. Each branch is traced once, so it must be pure; outside
a trace the chosen one is evaluated at once. Tensors that branches capture are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .. import tree
from ..dtypes import bool_, int32
from ..errors import DTypeError
from ..graph.expr import INPUT, Graph, Node
from ..graph.reach import derivative_flow
from ..graph.regions import (
    Agreement,
    Backward,
    Batched,
    Evaluation,
    Forward,
    Marks,
    Region,
    Through,
    types_of_first,
)
from ..graph.trace import trace
from ..nx.core.backend import tracing
from ..nx.core.tensor import Tensor, TensorType
from ..nx.core.types import can_cast
from ..nx.creation import asarray
from ..nx.filled import zeros
from ..nx.rows.conversion import astype, clip, where
from ..nx.rows.logic import equal
from ..nx.rows.movement import stop_grad
from ..nx.rows.reductions import any as any_
from .backward import pulled
from .batching import asked, choose, refuse_effects, region
from .common import placed
from .evaluate import inlined
from .region import again, call, callables, close, same_structure, same_types, tensors
from .tangents import push, solid


def cond(pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], *operands: Any) -> Any:
    """true_fn(*operands) where the rank-0 bool `pred` holds, else false_fn(*operands); only that branch runs.

    Both must return the same structure of the same types; TraceError names the leaf where they do not.

    >>> cond(nx.tensor(2.0) > 1, lambda x: x + 1, lambda x: x - 1, nx.tensor(5.0)).item()
    6.0
    """
    callables("cond", true_fn=true_fn, false_fn=false_fn)
    pred = asarray(pred)
    if pred.dtype is not bool_ or pred.ndim:
        raise DTypeError(
            f"cond: expected a bool predicate of rank 0, got {pred.type}; compare it, or use nx.any or nx.all"
        )
    names = ("false_fn's result", "true_fn's result")
    return _branches("cond", astype(pred, int32), (false_fn, true_fn), names, operands)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """branches[index](*operands), with the rank-0 integer `index` clamped to the branches there are.

    All must return the same structure of the same types; TraceError names the leaf where they do not.

    >>> switch(nx.tensor(1), [lambda x: x, lambda x: 2 * x, lambda x: 3 * x], nx.tensor(5.0)).item()
    10.0
    """
    index = asarray(index)
    if not branches:
        raise ValueError("switch: expected at least one branch, got none")
    callables("switch", **{f"branch {i}": f for i, f in enumerate(branches)})
    if not index.dtype.is_integer or index.ndim:
        raise DTypeError(f"switch: expected an integer index of rank 0, got {index.type}; cast it with astype")
    if not can_cast(index, int32):  # what int32 does not hold would wrap
        index = clip(index, 0, len(branches) - 1)
    names = tuple(f"branch {i}'s result" for i in range(len(branches)))
    return _branches("switch", astype(index, int32), branches, names, operands)


def _branches(
    name: str, index: Tensor, branches: Sequence[Callable[..., Any]], names: Sequence[str], operands: tuple[Any, ...]
) -> Any:
    leaves, structure = tensors(operands)
    types = tuple(t.type for t in leaves)
    first, *others = traced = [trace(_over(structure, f), types) for f in branches]
    for label, other in zip(names[1:], others, strict=True):
        same_structure(name, (names[0], first.structure), (label, other.structure))
        outputs = (names[0], first.graph.output_types), (label, other.graph.output_types)
        same_types(name, *outputs, first.structure)
    graphs, captured = close(traced)
    return tree.unflatten(first.structure, call(COND, graphs, [index, *leaves, *captured]))


def _over(structure: tree.Structure, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a tree as one of its leaves."""
    return lambda *leaves: function(*tree.unflatten(structure, leaves))


def _agreements(node: Node) -> Iterator[Agreement]:
    index, *operands = [v.type for v in node.inputs]
    yield "an index", [TensorType(int32, ())], [index]
    for k, branch in enumerate(node.attrs["regions"]):
        yield f"inputs of branch {k}", operands, branch.input_types
        yield f"results of branch {k}", node.types, branch.output_types


def _evaluate(given: Evaluation) -> list[Tensor]:
    index, *operands = given.operands
    return given.run[min(max(int(index.item()), 0), len(given.run) - 1)](operands)


def _pull(given: Backward) -> list[Tensor | None]:
    """The same choice among the branches' gradients."""
    index, *operands = given.operands
    n, wanted = len(operands), given.wanted[1:]

    def gradients(region: Any) -> Callable[..., list[Tensor]]:
        return lambda *xs: [g for g in pulled(region, xs[:n], xs[n:], wanted) if g is not None]

    branches = [gradients(region) for region in given.node.attrs["regions"]]
    return [None, *placed(switch(index, branches, *operands, *given.gs), wanted)]


def _batch(given: Batched) -> list[tuple[Tensor, bool]]:
    """The same choice where all lanes make it alike; else each branch that some lane asks for, and for each lane the
    results of its own."""
    (index, *operands), (chosen, *mapped), size = given.operands, given.mapped, given.size
    regions = given.node.attrs["regions"]
    if not chosen:
        made = [region(g, mapped, size) for g in regions]
        every = [any(column) for column in zip(*(found for _, found in made))]
        graphs = [of if found == every else region(g, mapped, size, every)[0] for g, (of, found) in zip(regions, made)]
        return list(zip(again(given.node, graphs, given.operands), every))
    refuse_effects(given, regions)
    index, found = clip(index, 0, len(regions) - 1), list[Tensor]()
    for k, graph in enumerate(regions):
        asks = equal(index, k)
        branch, _ = region(graph, mapped, size, (True,) * len(given.node.types))
        made = _if_asked(asks, branch, asked(asks, operands, mapped), mapped)
        found = [choose(asks, mine, others) for mine, others in zip(made, found)] if found else made
    return [(t, True) for t in found]


def _if_asked(asks: Tensor, branch: Graph, operands: list[Tensor], mapped: Sequence[bool]) -> list[Tensor]:
    """The results of a branch, if some lane asks for it. One of fused operations alone, in which nothing but a gradient
    can go wrong, is computed where nobody asks, too: its gradients then end at the operands."""
    some = any_(asks)
    if tracing.get() is None or not all(map(_harmless, branch.nodes)):
        nothing = trace(lambda *xs: [zeros(t.shape, t.dtype) for t in branch.output_types], branch.input_types).graph
        return call(COND, [nothing, branch], [astype(some, int32), *operands])
    return inlined(branch, [x if m else where(some, x, stop_grad(x)) for x, m in zip(operands, mapped)])


def _harmless(node: Node) -> bool:
    return node.op is INPUT or (node.op.kind.fused and node.op.outside is None)


def _push(given: Forward) -> tuple[list[Tensor], list[Tensor | None]]:
    """The same choice among the branches with their tangents."""
    (index, *operands), (_, *tangents) = given.operands, given.tangents
    n, marks = len(operands), [t is not None for t in tangents]
    moving = [any(made) for made in zip(*(derivative_flow(r, marks) for r in given.regions))]

    def both(region: Any) -> Callable[..., Any]:
        def branch(*xs: Tensor) -> Any:
            made, found = push(region, xs[:n], placed(xs[n:], marks))
            return made, solid(found, made, moving)

        return branch

    branches = [both(region) for region in given.regions]
    results, found = switch(index, branches, *operands, *[t for t in tangents if t is not None])
    return results, placed(found, moving)


def _flow(node: Node, marks: Marks, through: Through) -> Marks:
    index, *operands = marks
    return [index or any(made) for made in zip(*(through(r, operands) for r in node.attrs["regions"]))]


# inputs: the index (int32, rank 0), operands; a region a branch: operands -> results
COND = Region(
    "cond",
    types=types_of_first,
    agreements=_agreements,
    evaluate=_evaluate,
    pull=_pull,
    batch=_batch,
    push=_push,
    flow=_flow,
)
