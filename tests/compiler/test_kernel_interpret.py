"""The interpreter against NumPy, and its order of reductions against one written element by element."""

from __future__ import annotations

import numpy as np
import pytest
from axon.compiler.kernels.kernel import For, Kernel, Reduce
from axon.compiler.kernels.verify import verify
from hypothesis import given, settings
from hypothesis import strategies as st

from .kernel_cases import EXAMPLES, F, ins, load, op, out, store
from .kernel_tools import Case, interpreted, same_bits


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name: str) -> None:
    """What each statement means is what NumPy computes."""
    example = EXAMPLES[name]()
    verify(example.case.kernel)
    got = interpreted(example.case)[-len(example.expected) :]
    for x, y in zip(got, example.expected):
        if example.exact:
            assert same_bits(x, np.ascontiguousarray(y).reshape(-1))
        else:
            np.testing.assert_allclose(
                x.astype(float), y.reshape(-1).astype(float), rtol=2e-2 if x.itemsize == 2 else 1e-5
            )


Number = np.float32


def tree(blocks: list[dict[int, Number]]) -> dict[int, Number]:
    """Neighbours combined level by level; a place that one of the two lacks is the other's."""
    while len(blocks) > 1:
        made = []
        for k in range(0, len(blocks), 2):
            if k + 1 == len(blocks):
                made.append(blocks[k])
                continue
            a, b = blocks[k], blocks[k + 1]
            made.append({**a, **b, **{i: a[i] + b[i] for i in a.keys() & b.keys()}})
        blocks = made
    return blocks[0]


def row_sum(x: np.ndarray) -> Number:
    """docs/design/reductions.md for a row, with no identity and no arrays."""
    spans = []
    for start in range(0, len(x), 4096):
        lanes: dict[int, Number] = {}
        for i, v in enumerate(x[start : start + 4096]):
            lanes[i % 64] = lanes[i % 64] + v if i % 64 in lanes else v
        spans.append(lanes)
    lanes = tree(spans)
    half = 32
    while half:
        for i in range(half):
            if i + half in lanes:
                lanes[i] = lanes[i] + lanes[i + half]
        half //= 2
    return lanes[0]


def column_sum(x: np.ndarray) -> Number:
    """docs/design/reductions.md for one column."""
    spans = []
    for start in range(0, len(x), 256):
        total = x[start]
        for v in x[start + 1 : start + 256]:
            total = total + v
        spans.append({0: total})
    return tree(spans)[0]


SUM = (Reduce((1,), (0,), "add", (F,)),)
ROW = Kernel("row", 1, (*ins(F, "s1"), out(F, "s0")), (), (), (For(1, (load(0, 0),), SUM), store(1, 1)))
COLUMN_BODY = (For(0, (For(1, (load(0, 0),)),), SUM), For(1, (store(1, 1),)))
COLUMN = Kernel("column", 0, (*ins(F, "s1"), out(F, "01")), (), (), COLUMN_BODY)


def spread(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Numbers of very different size, so that another order gives other bits."""
    r = np.random.default_rng(seed)
    return (r.standard_normal(shape) * 10.0 ** r.integers(-3, 4, shape)).astype(np.float32)


@settings(max_examples=12, deadline=None)
@given(st.sampled_from([1, 2, 33, 63, 64, 65, 127, 4095, 4096, 4097, 8192, 12289, 20481]), st.integers(0, 99))
def test_row_order(n: int, seed: int) -> None:
    x = spread((2, n), seed)
    case = Case(
        ROW, {"n0": 2, "n1": n, "o0": 0, "s0_0": n, "o1": 0, "s1_0": 1}, (), (x.reshape(-1), np.zeros(2, np.float32))
    )
    assert list(interpreted(case)[1]) == [row_sum(row) for row in x]


@settings(max_examples=12, deadline=None)
@given(st.sampled_from([1, 2, 255, 256, 257, 512, 769, 1281, 2000]), st.integers(0, 99))
def test_column_order(n: int, seed: int) -> None:
    x = spread((n, 3), seed)
    case = Case(
        COLUMN,
        {"n0": n, "n1": 3, "block": 3, "o0": 0, "s0_0": 3, "o1": 0},
        (),
        (x.reshape(-1), np.zeros(3, np.float32)),
    )
    assert list(interpreted(case)[1]) == [column_sum(column) for column in x.T]


def test_order_matters() -> None:
    """The numbers of `spread` do tell one order from another."""
    x = spread((1, 5000), 0)[0]
    assert len({row_sum(x), column_sum(x), np.sum(x), np.add.accumulate(x)[-1]}) > 2


def test_memory_outside_an_operand_is_an_error() -> None:
    kernel = Kernel(
        "map", 0, (*ins(F, "1"), out(F, "1")), (), (), (For(0, (load(0, 0), op(1, "negative", 0), store(1, 1))),)
    )
    case = Case(kernel, {"n0": 4, "block": 4, "o0": 1, "o1": 0}, (), (np.zeros(4, np.float32), np.zeros(4, np.float32)))
    with pytest.raises(IndexError, match=r"offsets in \[0, 4\), got 1 to 4"):
        interpreted(case)
