"""Inner programs: what a composed function runs on when it is called eagerly (nx/core/op.py has `programmed`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import config, tree
from ..graph.trace import trace
from ..nx.core.backend import Backend
from ..nx.core.tensor import Tensor


def program(
    function: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any], backend: Backend
) -> Callable[[Sequence[Tensor]], Any]:
    """The function of these arguments as a program over tensors of the same types, in order of position, then of name.

    CompileError where the backend's compiler has no program for it.
    """
    given = [*args, *options.values()]
    tensors = [x for x in given if isinstance(x, Tensor)]

    def over(*leaves: Tensor) -> Any:
        found = iter(leaves)
        filled = [next(found) if isinstance(x, Tensor) else x for x in given]
        return function(*filled[: len(args)], **dict(zip(options, filled[len(args) :])))

    traced = trace(over, tuple([t.type for t in tensors]))
    inputs = (*tensors, *traced.captured)
    compiler = config.lookup("compiler", backend.compiler or "")
    run = compiler.compile(traced.graph, donate=(False,) * len(inputs), label=getattr(function, "__name__", "program"))
    captured, types = tuple([t.data for t in traced.captured]), traced.graph.output_types
    build = tree.builder(traced.structure)
    one = traced.structure == tree.structure(0)

    def call(tensors: Sequence[Tensor]) -> Any:
        results = run((*[t.data for t in tensors], *captured))
        made = [Tensor(t, backend, d) for t, d in zip(types, results)]
        return made[0] if one else build(made)

    return call
