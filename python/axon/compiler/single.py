"""Programs of one step: what eager calls of a row run where its library step, or native code of its own, says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..dtypes import DType
from ..graph.expr import Builder, Value
from ..nx.core.op import Op
from ..nx.core.tensor import TensorType
from .library.table import library_steps
from .targets import custom
from .targets.target import TARGETS

TARGET = TARGETS[0]  # what runs programs beside the eager backend
DEVICES = sorted({t.device for t in TARGETS} - {TARGET.device})  # for which a user's code has texts of their own


def native_step(op: Op, operands: Sequence[DType], results: Sequence[DType]) -> Callable[..., Any] | None:
    """What makes the programs of a row over these dtypes: (operands' types, results' types, attributes) -> a program.
    None where eager calls run no native step."""
    if op.kind.native:
        return lambda types, out, attrs: _custom_program(op, types, out)
    row = TARGET.library.get(op.extern or "")
    if row is None or not row.eager or not row.takes(*operands, *results):
        return None
    return lambda types, out, attrs: _library_program(op, types, out, attrs)


def _custom_program(op: Op, types: Sequence[TensorType], out: Sequence[TensorType]) -> Any:
    """The program of a row that is code of the user's, over operands and results of these types."""
    return _of_steps(
        op, types, out, [custom.encoded(op.function, TARGET, range(len(types) + len(out)), types, out, op.name)]
    )


def _library_program(op: Op, types: Sequence[TensorType], out: Sequence[TensorType], attrs: Mapping[str, Any]) -> Any:
    builder = Builder()
    inputs = tuple([builder.input(t) for t in types])
    node = builder.node(op, inputs, dict(attrs), tuple(out))
    results = [Value(node, k) for k in range(len(out))]
    place = {v: k for k, v in enumerate((*inputs, *results))}
    steps = library_steps(node, inputs, results, TARGET.library)
    encoded = [("library", s.symbol, [place[m] for m in s.memory], s.ints, (), s.label) for s in steps]
    return _of_steps(op, types, out, encoded)


def _of_steps(op: Op, types: Sequence[TensorType], out: Sequence[TensorType], steps: Sequence[tuple[Any, ...]]) -> Any:
    """The program of steps whose memory is operands, then results."""
    slots = [("input", k, 0, t.nbytes) for k, t in enumerate(types)]
    slots += [("output", k, -1, t.nbytes) for k, t in enumerate(out)]
    return TARGET.program(slots, steps, 0, len(types), len(out), op.name)
