"""Choices: cond and switch, and the row of the node they make. Each branch is traced once, so it must be pure; outside
a trace the chosen one is evaluated at once. Tensors that branches capture are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .. import tree
from ..dtypes import bool_, int32
from ..errors import DTypeError
from ..graph.expr import Node
from ..graph.regions import Agreement, Backward, Evaluation, Region, types_of_first
from ..graph.trace import trace
from ..nx.core.tensor import Tensor, TensorType
from ..nx.core.types import can_cast
from ..nx.creation import asarray
from ..nx.rows.conversion import astype, clip
from .backward import pulled, spread
from .region import call, callables, close, same_structure, same_types, tensors


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
    return [None, *spread(switch(index, branches, *operands, *given.gs), wanted)]


# inputs: the index (int32, rank 0), operands; a region a branch: operands -> results
COND = Region("cond", types_of_first, _agreements, _evaluate, _pull)
