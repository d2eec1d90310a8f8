"""Kernels written by hand, one for each thing the IR can say, with what NumPy makes of the same data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from axon.compiler.kernels.kernel import For, Instr, Kernel, Operand, Reduce, Stmt, Tree
from axon.dtypes import ALL, DType, bfloat16, bool_, float16, float32, float64, int32, int64
from axon.nx.core.combine import COMBINES

from .kernel_tools import Case, normal

F = float32
Array = np.ndarray


class Example(NamedTuple):
    case: Case
    expected: tuple[Array, ...]  # of the outputs
    exact: bool = True


def ins(dtype: DType, *access: str) -> tuple[Operand, ...]:
    return tuple(Operand("in", dtype, a) for a in access)


def out(dtype: DType, access: str) -> Operand:
    return Operand("out", dtype, access)


def load(id_: int, operand: int, *predicates: int, dtype: DType = F) -> Instr:
    return Instr(id_, "load", dtype, predicates, operand)


def store(operand: int, value: int, dtype: DType = F) -> Instr:
    return Instr(-1, "store", dtype, (value,), operand)


def op(id_: int, name: str, *args: int, dtype: DType = F) -> Instr:
    return Instr(id_, name, dtype, args)


def example(
    kernel: Kernel,
    sizes: Sequence[int],
    arrays: Sequence[Array],
    expected: Sequence[Array],
    literals: Sequence[object] = (),
    exact: bool = True,
    **given: int,
) -> Example:
    """Parameters that are not given: offsets 0, outputs after the inputs, dense strides of the arrays' own shapes."""
    parameters = {f"n{a}": n for a, n in enumerate(sizes)} | {"block": min(max(sizes[-1], 1), 24)} | given
    every = [*arrays, *(np.full_like(e, 3) for e in expected)]
    for k, a in zip(kernel.pointers, every):
        moves = [axis for axis, c in enumerate(kernel.operands[k].access) if c != "0"]
        for axis, step in zip(reversed(moves), reversed([s // a.itemsize for s in a.strides])):
            parameters.setdefault(f"s{k}_{axis}", step)
    parameters = {name: parameters.get(name, 0) for name in kernel.parameters}
    flat = tuple(np.ascontiguousarray(a).reshape(-1) for a in every)
    return Example(Case(kernel, parameters, tuple(literals), flat), tuple(expected), exact)


# maps


def chain() -> Example:
    """Values that depend on the row only are computed outside the loop; a literal; a broadcast operand."""
    x, y, row = normal(5, 37), normal(37, seed=1), normal(5, seed=2)
    body = (
        Instr(0, "literal", F, (), 0),
        load(1, 2),
        op(2, "multiply", 1, 0),
        For(1, (load(3, 0), load(4, 1), op(5, "add", 3, 4), op(6, "maximum", 5, 2), store(3, 6))),
    )
    kernel = Kernel("map", 1, (*ins(F, "s1", "01", "s0"), out(F, "s1")), (F,), (), body)
    return example(kernel, (5, 37), (x, y, row), (np.maximum(x + y, (row * np.float32(0.5))[:, None]),), (0.5,))


def scalar() -> Example:
    """Rank 0: one element, which no operand moves along."""
    kernel = Kernel(
        "map",
        0,
        (*ins(F, "0", "0"), out(F, "0")),
        (),
        (),
        (For(0, (load(0, 0), load(1, 1), op(2, "add", 0, 1), store(2, 2))),),
    )
    x, y = normal(1), normal(1, seed=1)
    return example(kernel, (1,), (x, y), (x + y,))


def empty() -> Example:
    kernel = Kernel("map", 1, (*ins(F, "s1"), out(F, "s1")), (), (), (For(1, (load(0, 0), store(1, 0))),))
    return example(kernel, (3, 0), (normal(3, 0),), (normal(3, 0),), block=1)


def strided() -> Example:
    """Every third element backwards into every second place."""
    x = normal(4, 60)
    kernel = Kernel("map", 1, (*ins(F, "ss"), out(F, "ss")), (), (), (For(1, (load(0, 0), store(1, 0))),))
    made = np.full((4, 40), 3, np.float32)
    made[:, ::2] = x[::-1, ::-3]
    return example(kernel, (4, 20), (x,), (made,), o0=3 * 60 + 59, s0_0=-60, s0_1=-3, s1_0=40, s1_1=2)


def pad() -> Example:
    """A border and a gap of one between rows: the guard's row is read only where it is inside."""
    x = normal(4, 11)
    body = (Instr(0, "guard", bool_, (), 0), For(1, (load(1, 0, 0), store(1, 1))))
    kernel = Kernel("map", 1, (Operand("in", F, "g1", (0,)), out(F, "s1")), (), (0,), body)
    made = np.zeros((10, 11), np.float32)
    made[2:9:2] = x
    return example(kernel, (10, 11), (x,), (made,), lo0=2, div0=2, len0=4, s1_0=11)


def concat() -> Example:
    """Two operands beside each other along an outer axis."""
    x, y = normal(3, 9), normal(5, 9, seed=1)
    body = (
        Instr(0, "guard", bool_, (), 0),
        Instr(1, "guard", bool_, (), 1),
        For(1, (load(2, 0, 0), load(3, 1, 1), op(4, "where", 0, 2, 3), store(2, 4))),
    )
    operands = (Operand("in", F, "g1", (0,)), Operand("in", F, "g1", (1,)), out(F, "s1"))
    kernel = Kernel("map", 1, operands, (), (0, 0), body)
    given = {"lo0": 0, "div0": 1, "len0": 3, "lo1": 3, "div1": 1, "len1": 5}
    return example(kernel, (8, 9), (x, y), (np.concatenate([x, y]),), **given)


def two_guards() -> Example:
    """A border on two axes, under one predicate."""
    x = normal(2, 3, 7)
    body = (
        Instr(0, "guard", bool_, (), 0),
        Instr(1, "guard", bool_, (), 1),
        op(2, "logical_and", 0, 1, dtype=bool_),
        For(2, (load(3, 0, 2), store(1, 3))),
    )
    kernel = Kernel("map", 2, (Operand("in", F, "gg1", (0, 1)), out(F, "ss1")), (), (0, 1), body)
    given = {"lo0": 1, "div0": 1, "len0": 2, "lo1": 2, "div1": 1, "len1": 3, "s1_0": 42, "s1_1": 7}
    return example(kernel, (4, 6, 7), (x,), (np.pad(x, ((1, 1), (2, 1), (0, 0))),), **given)


def iota() -> Example:
    """The index along each axis, without memory."""
    iotas = tuple(Operand("iota", int64, a) for a in ("s1", "0s"))
    body = (For(1, (Instr(0, "offset", int64, (), 0), Instr(1, "offset", int64, (), 1), op(2, "cast", 0, dtype=int32),
                    store(2, 2, int32), store(3, 1, int64))),)  # fmt: skip
    kernel = Kernel("map", 1, (*iotas, out(int32, "s1"), out(int64, "s1")), (), (), body)
    i, j = np.mgrid[:3, :21]
    made = ((1000 * i + j + 5).astype(np.int32), (7 - 2 * j).astype(np.int64))
    return example(kernel, (3, 21), (), made, s0_0=1000, o0=5, o1=7, s1_1=-2)


def take_rows() -> Example:
    """Rows of a table: the offset is the same for a whole row."""
    table, index = normal(9, 13), np.array([3, 8, 0, 3], np.int32)
    body = (
        load(0, 1, dtype=int32),
        op(1, "cast", 0, dtype=int64),
        Instr(2, "literal", int64, (), 0),
        op(3, "multiply", 1, 2, dtype=int64),
        For(1, (Instr(4, "gather", F, (3,), 0), store(2, 4))),
    )
    kernel = Kernel("map", 1, (*ins(F, "01"), *ins(int32, "s0"), out(F, "s1")), (int64,), (), body)
    return example(kernel, (4, 13), (table, index), (table[index],), (13,))


def take_along() -> Example:
    """Elements picked along inner, a different one in each place; and the same ones added to their own place."""
    table, index = normal(6, 40), np.random.default_rng(1).integers(0, 40, (6, 19))
    loop = (
        load(0, 2, dtype=int64),
        Instr(1, "gather", F, (0,), 0),
        Instr(2, "gather", F, (0,), 1),
        store(3, 1),
        store(4, 2),
    )
    operands = (*ins(F, "s0", "01"), *ins(int64, "s1"), out(F, "s1"), out(F, "s1"))
    kernel = Kernel("map", 1, operands, (), (), (For(1, loop),))
    wide = normal(60, seed=3)
    made = (np.take_along_axis(table, index, 1), wide[index + np.arange(19)])
    return example(kernel, (6, 19), (table, wide, index), made, s0_0=40)


def copies(dtype: DType) -> Callable[[], Example]:
    """Load, cast and store of every dtype, with odd tails."""

    def make() -> Example:
        x = normal(3, 41) * 50
        x = (np.abs(x) if dtype.kind == "u" else x).astype(dtype.numpy)
        others = [d for d in ALL if d is not dtype]
        loop: list[Stmt] = [load(0, 0, dtype=dtype), store(1, 0, dtype)]
        for k, d in enumerate(others):
            loop += [op(k + 1, "cast", 0, dtype=d), store(k + 2, k + 1, d)]
        kernel = Kernel(
            "map",
            1,
            (*ins(dtype, "s1"), out(dtype, "s1"), *(out(d, "s1") for d in others)),
            (),
            (),
            (For(1, tuple(loop)),),
        )
        return example(kernel, (3, 41), (x,), (x, *(saturated(x, d) for d in others)))

    return make


def saturated(x: Array, to: DType) -> Array:
    """NumPy's cast where it is defined; out of range floats saturate."""
    if to is bool_ or to.is_float:
        return x.astype(to.numpy)
    if x.dtype.kind in "biu":
        return x.astype(to.numpy)
    return np.clip(x.astype(np.float64), float(to.lowest), float(to.highest)).astype(to.numpy)


# rows


def softmax(columns: int) -> Callable[[], Example]:
    """Three loops, a scratch row between them, two reductions."""

    def make() -> Example:
        x = normal(6, columns)
        body = (
            For(1, (load(0, 0),), (Reduce((1,), (0,), "maximum", (F,)),)),
            For(
                1,
                (load(2, 0), op(3, "subtract", 2, 1), op(4, "exp", 3), store(2, 4)),
                (Reduce((5,), (4,), "add", (F,)),),
            ),
            op(6, "reciprocal", 5),
            For(1, (load(7, 2), op(8, "multiply", 7, 6), store(1, 8))),
        )
        kernel = Kernel("row", 1, (*ins(F, "s1"), out(F, "s1"), Operand("scratch", F, "01")), (), (), body)
        e = np.exp(x.astype(np.float64) - (x.max(1, keepdims=True) if columns else 0))
        return example(kernel, (6, columns), (x,), ((e / e.sum(1, keepdims=True)).astype(np.float32),), exact=False)

    return make


def moments() -> Example:
    """Two reductions of one loop, of different dtypes, stored once a row."""
    x = normal(7, 130)
    loop = (load(0, 0), op(1, "multiply", 0, 0), op(2, "cast", 0, dtype=float64))
    folds = (Reduce((3,), (1,), "add", (F,)), Reduce((4,), (2,), "minimum", (float64,)))
    kernel = Kernel(
        "row",
        1,
        (*ins(F, "s1"), out(F, "s0"), out(float64, "s0")),
        (),
        (),
        (For(1, loop, folds), store(1, 3), store(2, 4, float64)),
    )
    return example(kernel, (7, 130), (x,), ((x * x).sum(1), x.astype(np.float64).min(1)), exact=False)


def every_fold(columns: int) -> Callable[[], Example]:
    """Each combining op over integers, whose order is free, and bools."""

    def make() -> Example:
        x = np.random.default_rng(columns).integers(-9, 9, (4, columns)).astype(np.int32)
        mask = x > 0
        folds = [("add", np.add), ("multiply", np.multiply), ("maximum", np.maximum), ("minimum", np.minimum)]
        logic = [("logical_or", np.logical_or), ("logical_and", np.logical_and)]
        reduces = [Reduce((10 + k,), (0,), name, (int32,)) for k, (name, _) in enumerate(folds)]
        reduces += [Reduce((20 + k,), (1,), name, (bool_,)) for k, (name, _) in enumerate(logic)]
        stores = [store(k + 2, r.results[0], r.dtypes[0]) for k, r in enumerate(reduces)]
        body = (For(1, (load(0, 0, dtype=int32), load(1, 1, dtype=bool_)), tuple(reduces)), *stores)
        operands = (*ins(int32, "s1"), *ins(bool_, "s1"), *(out(r.dtypes[0], "s0") for r in reduces))
        made = [f.reduce(x, 1, dtype=np.int32, initial=COMBINES[name].identity(int32)) for name, f in folds]
        made += [f.reduce(mask, 1) for _, f in logic]
        return example(Kernel("row", 1, operands, (), (), body), (4, columns), (x, mask), made)

    return make


def arg(combine: str, columns: int) -> Callable[[], Example]:
    """Value and index, with ties and NaNs: the first NaN wins, then the first of equals."""

    def make() -> Example:
        x = np.round(normal(8, columns) * 2)
        if columns > 3:
            x[2, columns // 2 :] = np.nan
            x[3, 1] = x[3, columns - 1] = np.inf if combine == "argmax" else -np.inf
            x[4] = -np.inf if combine == "argmax" else np.inf
        loop = (load(0, 0), Instr(1, "offset", int64, (), 1), op(2, "cast", 1, dtype=int32))
        folds = (Reduce((3, 4), (0, 2), combine, (F, int32)),)
        operands = (*ins(F, "s1"), Operand("iota", int64, "01"), out(F, "s0"), out(int32, "s0"))
        kernel = Kernel("row", 1, operands, (), (), (For(1, loop, folds), store(2, 3), store(3, 4, int32)))
        at = getattr(np, combine)(x, 1)
        return example(kernel, (8, columns), (x,), (np.take_along_axis(x, at[:, None], 1)[:, 0], at.astype(np.int32)))

    return make


def long_sum() -> Example:
    """More than one span a row; what overflows in float16 does not in float32."""
    x = (normal(3, 9001) * 100).astype(np.float16)
    loop = (load(0, 0, dtype=float16), op(1, "cast", 0), op(2, "multiply", 1, 1))
    body = (
        For(1, loop, (Reduce((3,), (2,), "add", (F,)),)),
        op(4, "cast", 3, dtype=bfloat16),
        store(1, 3),
        store(2, 4, bfloat16),
    )
    kernel = Kernel("row", 1, (*ins(float16, "s1"), out(F, "s0"), out(bfloat16, "s0")), (), (), body)
    made = np.square(x.astype(np.float64)).sum(1)
    return example(kernel, (3, 9001), (x,), (made.astype(np.float32), made.astype(bfloat16.numpy)), exact=False)


def row_spans() -> Example:
    """Accumulators of spans stored as partial results."""
    x = normal(2, 8200)
    kernel = Kernel(
        "row",
        1,
        (*ins(F, "s1"), out(F, "s0")),
        (),
        (),
        (For(1, (load(0, 0),), (Reduce((1,), (0,), "maximum", (F,), (1,)),)),),
        True,
    )
    padded = np.pad(x, ((0, 0), (0, 3 * 4096 - 8200)), constant_values=-np.inf)
    return example(kernel, (2, 8200), (x,), (padded.reshape(2, 3, 64, 64).max(2),), spans=3, s1_0=3 * 64)


def row_tree(spans: int) -> Callable[[], Example]:
    """Partial results of a row combined, then used by an instruction."""

    def make() -> Example:
        x = np.random.default_rng(0).integers(0, 99, (5, spans, 64)).astype(np.int32)
        body = (Tree((0,), (0,), "add", (int32,), True), op(1, "cast", 0), store(1, 1))
        kernel = Kernel("row", 1, (*ins(int32, "s0"), out(F, "s0")), (), (), body)
        return example(kernel, (5, 1), (x,), (x.sum((1, 2)).astype(np.float32),), spans=spans, s0_0=spans * 64)

    return make


# columns


def column_sum(rows: int, columns: int) -> Callable[[], Example]:
    """A sum over rows, which also stores what it reads, doubled."""

    def make() -> Example:
        x = np.random.default_rng(rows).integers(-50, 50, (2, rows, columns)).astype(np.int32)
        loop = (load(0, 0, dtype=int32), op(1, "add", 0, 0, dtype=int32), store(1, 1, int32))
        body = (
            For(1, (For(2, loop),), (Reduce((2,), (1,), "add", (int32,)),)),
            For(2, (op(3, "negative", 2, dtype=int32), store(2, 3, int32))),
        )
        kernel = Kernel("column", 1, (*ins(int32, "ss1"), out(int32, "ss1"), out(int32, "s01")), (), (), body)
        return example(kernel, (2, rows, columns), (x,), (2 * x, (-2 * x.sum(1)).astype(np.int32)))

    return make


def column_arg() -> Example:
    """The row of each column's minimum; a value that depends on the row only, outside the loop over inner."""
    x, scale = np.round(normal(300, 21) * 3), np.where(np.arange(300) % 2, 1, -1).astype(np.float32)
    x[17, 4] = np.nan
    middle = (load(0, 1), Instr(1, "offset", int64, (), 2), op(2, "cast", 1, dtype=int32))
    body = (
        For(
            0, (*middle, For(1, (load(3, 0), op(4, "multiply", 3, 0)))), (Reduce((5, 6), (4, 2), "argmin", (F, int32)),)
        ),
        For(1, (store(3, 5), store(4, 6, int32))),
    )
    operands = (*ins(F, "s1", "s0"), Operand("iota", int64, "s0"), out(F, "01"), out(int32, "01"))
    kernel = Kernel("column", 0, operands, (), (), body)
    y = x * scale[:, None]
    at = y.argmin(0)
    return example(kernel, (300, 21), (x, scale), (y[at, np.arange(21)], at.astype(np.int32)), s2_0=1)


def column_folds() -> Example:
    """Equal and different folds in one loop over several spans."""
    x = np.random.default_rng(0).integers(-50, 50, (700, 21)).astype(np.int32)
    loop = (load(0, 0, dtype=int32), op(1, "negative", 0, dtype=int32), op(2, "add", 0, 0, dtype=int32))
    sums = [("add", 0, x.sum(0)), ("add", 1, -x.sum(0)), ("maximum", 2, 2 * x.max(0)), ("add", 2, 2 * x.sum(0))]
    folds = tuple(Reduce((3 + k,), (value,), name, (int32,)) for k, (name, value, _) in enumerate(sums))
    body = (For(0, (For(1, loop),), folds), For(1, tuple(store(1 + k, 3 + k, int32) for k in range(4))))
    kernel = Kernel("column", 0, (*ins(int32, "s1"), *[out(int32, "01")] * 4), (), (), body)
    return example(kernel, (700, 21), (x,), [made.astype(np.int32) for *_, made in sums])


def column_pad() -> Example:
    """A guard on the reduced axis."""
    x = np.random.default_rng(0).integers(-50, 50, (5, 30)).astype(np.float32)
    middle = (Instr(0, "guard", bool_, (), 0), For(1, (load(1, 0, 0),)))
    body = (For(0, middle, (Reduce((2,), (1,), "add", (F,)),)), For(1, (store(1, 2),)))
    kernel = Kernel("column", 0, (Operand("in", F, "g1", (0,)), out(F, "01")), (), (0,), body)
    return example(kernel, (16, 30), (x,), (x.sum(0),), lo0=4, div0=2, len0=5)


def column_spans() -> Example:
    x = np.random.default_rng(0).integers(-50, 50, (2, 600, 40)).astype(np.int64)
    body = (For(1, (For(2, (load(0, 0, dtype=int64),)),), (Reduce((1,), (0,), "add", (int64,), (1,)),)),)
    kernel = Kernel("column", 1, (*ins(int64, "ss1"), out(int64, "s01")), (), (), body, True)
    padded = np.pad(x, ((0, 0), (0, 3 * 256 - 600), (0, 0)))
    return example(kernel, (2, 600, 40), (x,), (padded.reshape(2, 3, 256, 40).sum(2),), spans=3, s1_0=120)


def column_tree() -> Example:
    x = np.random.default_rng(0).integers(-50, 50, (2, 7, 40)).astype(np.int64)
    body = (Tree((0,), (0,), "add", (int64,), False), For(1, (op(1, "negative", 0, dtype=int64), store(1, 1, int64))))
    kernel = Kernel("map", 1, (*ins(int64, "s1"), out(int64, "s1")), (), (), body)
    return example(kernel, (2, 40), (x,), (-x.sum(1),), spans=7, s0_0=7 * 40)


EXAMPLES: dict[str, Callable[[], Example]] = {
    "chain": chain, "scalar": scalar, "empty": empty, "strided": strided, "pad": pad, "concat": concat,
    "two guards": two_guards, "iota": iota, "take rows": take_rows, "take along": take_along, "moments": moments,
    "long sum": long_sum, "row spans": row_spans, "column arg": column_arg, "column pad": column_pad,
    "column folds": column_folds, "column spans": column_spans, "column tree": column_tree,
} | {f"copies of {d}": copies(d) for d in ALL} | {f"softmax {n}": softmax(n) for n in (0, 1, 5, 64, 100, 4100)} | {
    f"folds of {n}": every_fold(n) for n in (0, 1, 7, 64, 200)
} | {f"{c} of {n}": arg(c, n) for c in ("argmax", "argmin") for n in (1, 9, 200, 8300)} | {
    f"column sum {r}x{c}": column_sum(r, c) for r, c in ((0, 5), (1, 1), (256, 8), (700, 30))
} | {f"row tree {n}": row_tree(n) for n in (0, 1, 5, 8)}  # fmt: skip
