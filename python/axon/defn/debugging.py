"""axon.debug(): definitions run op by op, and the first op that makes a NaN or infinity is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from .. import config
from ..errors import NonFiniteError
from ..nx.logic import isinf, isnan
from ..nx.reductions import sum as nx_sum
from ..nx.tensor import Tensor
from .evaluate import Check, Plan
from .expr import Graph, Node

check: ContextVar[Check | None] = ContextVar("axon_debug", default=None)


@contextmanager
def debug(*, nan: bool = True, inf: bool = True) -> Iterator[None]:
    """While the block runs, definitions run op by op, and the first op whose result holds a NaN (or an infinity) raises
    NonFiniteError with the user's line. inf=False: allow infinities, as masks have them.

    >>> with debug():
    ...     jit(lambda x: nx.log(x) * 0)(nx.tensor([1.0, -1.0]))
    Traceback (most recent call last):
    axon.errors.NonFiniteError: log ...
    """

    def look(node: Node, results: Sequence[Tensor]) -> None:
        for t in results:
            if t.dtype.is_float and node.source:  # a literal has no line: the op that reads it does
                nans, infs = (int(nx_sum(f(t)).item()) for f in (isnan, isinf))
                if (nan and nans) or (inf and infs):
                    raise NonFiniteError(
                        f"{node.op.name} at {node.source}: expected finite values, got {nans} NaN and {infs} infinite "
                        f"ones in {t.type}; look at this op's operands"
                    )

    token = check.set(look)
    try:
        yield
    finally:
        check.reset(token)


def run(graph: Graph, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The graph's outputs under the open block's check."""
    backend = inputs[0].backend if inputs else config.lookup("backend", config.default_backend)
    return Plan(graph).run(backend, inputs, check.get())
