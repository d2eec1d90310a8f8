"""axon.debug(): definitions run op by op, and the first op that makes a NaN or infinity is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..errors import NonFiniteError
from ..graph.expr import Graph
from ..graph.trace import Derived, line
from ..nx.core.backend import home, watching
from ..nx.core.op import Op
from ..nx.core.tensor import Tensor
from ..nx.rows.logic import isinf, isnan
from ..nx.rows.reductions import sum as nx_sum
from .evaluate import Tape, examined


@contextmanager
def debug(*, nan: bool = True, inf: bool = True) -> Iterator[None]:
    """While the block runs, definitions run op by op, and the first op whose result holds a NaN (or an infinity) raises
    NonFiniteError with the user's line; so does an op of eager code. IndexError, as in eager code, where an index of
    take, gather, scatter and the like is outside its axis. inf=False: allow infinities, as masks have them.

    >>> with debug():
    ...     jit(lambda x: nx.log(x) * 0)(nx.tensor([1.0, -1.0]))
    Traceback (most recent call last):
    axon.errors.NonFiniteError: log ...
    """

    def look(op: Op, results: Sequence[Tensor], source: str | None) -> None:
        # Literals and what moves elements, as `full` does, make no value: the op that computes with it is named.
        if op.kind.free or source == "":
            return
        for t in results:
            if t.dtype.is_float:
                nans, infs = (int(nx_sum(f(t)).item()) for f in (isnan, isinf))
                if (nan and nans) or (inf and infs):
                    at = source or line()
                    of = f", in the gradient of {at.of}," if isinstance(at, Derived) else ""
                    raise NonFiniteError(
                        f"{op.name}{of} at {at}: expected finite values, got {nans} NaN and {infs} infinite ones in "
                        f"{t.type}; look at this op's operands"
                    )

    token = watching.set(look)
    try:
        yield
    finally:
        watching.reset(token)


def run(graph: Graph, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The graph's outputs, op by op under the open block's check."""
    return Tape(graph).run(home(inputs), inputs, examined)
