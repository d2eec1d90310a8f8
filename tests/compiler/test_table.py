"""The table swept through the compiler: each row, dtype and shape, by value and by gradient. Compiled kernels give the
interpreter's bits, and the evaluator's numbers within the row's tolerance. All cases of a row are one compilation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from axon import nx
from axon.defn import vjp
from axon.dtypes import DType, dtype
from axon.nx.core.op import Op, results_of
from axon.nx.core.tensor import Tensor

from tests import cases

from .oracle import Array, run_all

ROWS = cases.rows()


class Question(NamedTuple):
    """A case as the sweep asks it: with a cotangent, the gradients of the float operands are asked for."""

    op: Op
    dtype: DType
    case: cases.Case
    cotangent: Array | None = None

    def __str__(self) -> str:
        return f"{'value' if self.cotangent is None else 'gradient'} of {self.op.name} {self.case}"

    @property
    def arrays(self) -> tuple[Array, ...]:
        return self.case.args if self.cotangent is None else (*self.case.args, self.cotangent)

    def function(self, *tensors: Tensor) -> Any:
        if self.cotangent is None:
            return call(self.op, tensors, self.case.attrs)
        *args, cotangent = tensors
        moving = [k for k, a in enumerate(args) if a.dtype.is_float]

        def of_floats(*xs: Tensor) -> Tensor:
            given = dict(zip(moving, xs))
            return results_of(call(self.op, [given.get(k, a) for k, a in enumerate(args)], self.case.attrs))[0]

        return vjp(of_floats, *[args[k] for k in moving])[1](cotangent)


def call(op: Op, tensors: Sequence[Tensor], attrs: dict[str, Any]) -> Any:
    assert op.function is not None
    return op.function(list(tensors), **attrs) if op.name == "concat" else op.function(*tensors, **attrs)


def questions(op: Op) -> list[Question]:
    """Every case of a row, and where it has a gradient that too."""
    found = [Question(op, d, c) for d in cases.accepted(op) for c in cases.cases(op, d)]
    if op.vjp is None:
        return found
    for d in cases.accepted(op):
        if d.is_float:
            for case in cases.cases(op, d, special=False):
                y = results_of(call(op, [nx.asarray(a) for a in case.args], case.attrs))[0]
                if y.dtype.is_float and any(dtype(a.dtype).is_float for a in case.args):
                    rng = np.random.default_rng(y.size)
                    found.append(Question(op, d, case, cases.sample(rng, y.dtype, y.shape, special=False)))
    return found


def assert_near(got: Array, want: Array, limit: Array | float, question: Question) -> None:
    """Within a limit, or the same special value; the smallest numbers of a dtype count as zero."""
    if not dtype(got.dtype).is_float:
        np.testing.assert_array_equal(got, want, str(question))
        return
    a, b = got.astype(np.float64), want.astype(np.float64)
    tiny = 6e-5 if got.dtype == np.float16 else 1e-38
    with np.errstate(invalid="ignore"):
        near = (a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= limit + tiny)
    bad = ~near
    assert near.all(), (
        f"{question}: {a[bad][:3]}, expected {b[bad][:3]} up to {np.broadcast_to(limit, a.shape)[bad][:3]}"
    )


def limit_of(q: Question, want: Array) -> Array | float:
    """How far a result may be from the evaluator's. Where sums are formed, what was summed counts, not its sum, and
    rounding errors grow with the root of their number."""
    if not want.size or not dtype(want.dtype).is_float:
        return 0.0
    error, wide = cases.tolerance(q.op, q.dtype), np.abs(want.astype(np.float64))
    if q.cotangent is not None:
        return 32 * error * float(np.max(wide, initial=0.0, where=np.isfinite(wide)))
    if q.op.kind.pointwise or q.op.kind.free:
        return error * np.where(np.isfinite(wide), wide, 0.0)
    terms = max(a.size for a in q.case.args) / want.size
    magnitudes = [np.abs(a) if dtype(a.dtype).is_float else a for a in q.case.args]
    magnitude = results_of(call(q.op, [nx.asarray(a) for a in magnitudes], q.case.attrs))[0].numpy().astype(np.float64)
    return error * max(1.0, terms**0.5) * np.where(np.isfinite(magnitude), magnitude, 0.0)


@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.name)
def test_row(op: Op) -> None:
    asked = questions(op)
    starts = np.cumsum([0, *(len(q.arrays) for q in asked)])
    owners: list[Question] = []

    def every(*tensors: Tensor) -> list[Tensor]:
        made = []
        for q, a, b in zip(asked, starts, starts[1:]):
            results = q.function(*tensors[a:b])
            results = [results] if isinstance(results, Tensor) else results
            owners.extend([q] * len(results))
            made.extend(results)
        return made

    found = run_all(every, *(a for q in asked for a in q.arrays))
    found.assert_same_bits(lambda k: str(owners[k]))
    for q, got, want in zip(owners, found.native, found.evaluated, strict=True):
        assert_near(got, want, limit_of(q, want), q)
