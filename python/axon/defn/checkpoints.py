"""checkpoint: a function whose gradient computes again what it would have kept, and the row of the node it makes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from .. import tree
from ..graph.expr import Node
from ..graph.regions import Agreement, Backward, Region, run_first, types_of_first
from ..graph.trace import trace
from ..nx.core.convert import is_array
from ..nx.core.tensor import Tensor
from ..nx.creation import asarray
from ..nx.rows.sequencing import after
from .backward import pulled
from .region import call, callables, close


def checkpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the same results whose gradient keeps its arguments only, and computes what lies between again.

    Arguments are trees of tensors and arrays (of any shapes and dtypes), and of anything else, such as numbers and
    texts, which the function gets as it is. The gradient has the same bits; a program takes less memory and more time.
    TraceError where `function` is none, or returns what is no tensor.

    >>> block = checkpoint(lambda x, w: nx.tanh(nx.tanh(x @ w) @ w))
    >>> grad(lambda x: block(x, nx.ones((2, 2))).sum())(nx.zeros((1, 2))).tolist()
    [[4.0, 4.0]]
    """
    callables("checkpoint", function=function)

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten((args, kwargs))
        operands = {i: asarray(x) for i, x in enumerate(leaves) if is_array(x)}

        def body(*given: Tensor) -> Any:
            placed = dict(zip(operands, given))
            positional, options = tree.unflatten(structure, [placed.get(i, x) for i, x in enumerate(leaves)])
            return function(*positional, **options)

        traced = trace(body, tuple([t.type for t in operands.values()]))
        graphs, captured = close([traced])
        return tree.unflatten(traced.structure, call(CHECKPOINT, graphs, [*operands.values(), *captured]))

    return wrapped


def _agreements(node: Node) -> Iterator[Agreement]:
    (body,) = node.attrs["regions"]
    yield "inputs of the body", [v.type for v in node.inputs], body.input_types


def _pull(given: Backward) -> list[Tensor | None]:
    """The gradients of the region, run again once those of its results are there: nothing of the first run is used."""
    again = [functools.reduce(after, given.gs, x) for x in given.operands]
    return pulled(given.node.attrs["regions"][0], again, given.gs, given.wanted)


# inputs: operands; body: operands -> results
CHECKPOINT = Region("checkpoint", types_of_first, _agreements, run_first, _pull, inline=True)
