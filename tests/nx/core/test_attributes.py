"""What attributes mean: by their meanings alone a row does to every tensor of a batch what it does to one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from axon import nx
from axon.errors import AxonError
from axon.nx.core.attributes import SIZE, axes, each, opaque, order, shifted, sizes
from axon.nx.core.call import call
from axon.nx.core.declare import row
from axon.nx.core.kinds import MOVEMENT
from axon.nx.core.op import TABLE, Inference, Op
from axon.nx.core.tensor import Tensor

from tests import cases

BATCH = 3

# Rows whose meanings do not suffice, and what else a batch needs.
OWN = {
    "broadcast_to": "axes are aligned at the end: the batch's is in front only where the operand has all axes",
    "pad": "the value has rank 0, so a batch of values is none",
    "take": "every tensor of a batch is read at indices of its own",
    "scatter": "every tensor of a batch is written at indices of its own",
    "scatter_add": "every tensor of a batch is written at indices of its own",
    "dot_general": "the new axes are one more pair of batch axes",
    "conv": "kernels have no axis for a batch",
    "conv_input_gradient": "kernels have no axis for a batch",
    "conv_kernel_gradient": "kernels have no axis for a batch",
}


@pytest.mark.parametrize(
    ("meaning", "value", "wanted"),
    [
        (axes, 1, 2),
        (axes, (0, 2), (1, 3)),
        (axes, ((0,), (1, 2)), ((1,), (2, 3))),
        (axes, (), ()),
        (order, (1, 0), (0, 2, 1)),
        (each(1), (3, 2), (1, 3, 2)),
        (each((0, 0)), ((1, 2),), ((0, 0), (1, 2))),
        (each(SIZE), (3, 2), (BATCH, 3, 2)),
        (each(None), None, None),
        (sizes, (3, 2), (BATCH, 3, 2)),
        (opaque, (3, 2), (3, 2)),
    ],
)
def test_meanings(meaning: Any, value: Any, wanted: Any) -> None:
    assert meaning.shifted(value, BATCH) == wanted


def test_a_row_says_what_each_attribute_means() -> None:
    def bad(x: Tensor, /, *, axis: int, other: int) -> Tensor: ...

    with pytest.raises(ValueError, match=r"bad has attributes \['axis', 'other'\], and meanings of \['axis'\]"):
        row(MOVEMENT, lambda types, attrs: Inference((), (), {}), attributes={"axis": axes})(bad)
    assert "bad" not in TABLE


def batches(op: Op) -> Iterator[tuple[list[list[Tensor]], dict[str, Any]]]:
    """Operands of several calls of a row, and the attributes of all of them in normal form."""
    first = ("int32", "float32")  # integers are summed exactly in any order
    dtype = min(cases.accepted(op), key=lambda d: first.index(d.name) if d.name in first else len(first))
    for case in cases.cases(op, dtype, special=False):
        calls = [[nx.tensor(np.roll(a, k).copy()) for a in case.args] for k in range(BATCH)]
        settled = op.infer([x.type for x in calls[0]], {**cases.options(op), **case.attrs})
        if op.kind.pointwise:  # as in a graph
            calls = [[nx.broadcast_to(x, settled.out[0].shape) for x in xs] for xs in calls]
        yield calls, dict(settled.attrs)


def results(made: Any) -> Sequence[Tensor]:
    return made if isinstance(made, tuple) else (made,)


def difference(op: Op, calls: list[list[Tensor]], attrs: dict[str, Any]) -> str:
    """How the row over a batch differs from the batch of its results; empty where it does not."""
    batched = shifted(op, attrs, BATCH)
    stacked = [nx.stack(parts) for parts in zip(*calls)]
    wanted = [nx.stack(parts) for parts in zip(*[results(call(op, xs, attrs)) for xs in calls])]
    try:
        settled = op.infer([x.type for x in stacked], batched)
        got = results(call(op, stacked, batched))
    except (AxonError, IndexError, ValueError) as error:
        return str(error)
    if dict(settled.attrs) != batched:
        return f"{batched} is not in normal form: {settled.attrs}"
    for g, w in zip(got, wanted, strict=True):
        if g.type != w.type or not np.allclose(g.numpy(), w.numpy(), 1e-5, 1e-6, equal_nan=True):
            return f"{g} is not {w}"
    return ""


ROWS = [op for op in cases.rows() if not op.kind.creates]


@pytest.mark.parametrize("op", [op for op in ROWS if op.name not in OWN], ids=lambda op: op.name)
def test_a_batch_follows_from_the_meanings(op: Op) -> None:
    for calls, attrs in batches(op):
        assert difference(op, calls, attrs) == "", attrs


def test_these_rows_have_a_rule_of_their_own() -> None:
    assert {op.name for op in TABLE.values() if op.batch is not None} == OWN.keys()


@pytest.mark.parametrize("name", OWN)
def test_what_has_a_rule_of_its_own_needs_it(name: str) -> None:
    op = TABLE[name]
    assert any(difference(op, calls, attrs) for calls, attrs in batches(op))


def test_indices_along_an_axis_have_a_batch_too() -> None:
    attrs = shifted(TABLE["iota"], {"shape": (2, 3), "axis": 1, "dtype": nx.int32}, BATCH)
    assert call(TABLE["iota"], (), attrs).tolist() == [[[0, 1, 2]] * 2] * BATCH
