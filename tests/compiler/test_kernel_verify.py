"""The verifier accepts valid kernels and names what is wrong with others."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from axon.compiler.kernels.kernel import For, Instr, Kernel, Operand, Reduce, Stmt, Tree
from axon.compiler.kernels.verify import CLASSES, scalars, verify
from axon.dtypes import DType, bool_, float16, float32, float64, int32, int64, uint32
from axon.errors import CompileError
from hypothesis import given, settings
from hypothesis import strategies as st

from .kernel_cases import EXAMPLES
from .kernel_random import random_case
from .kernel_tools import signatures


def kernel(name: str) -> Kernel:
    return EXAMPLES[name]().case.kernel


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30))
def test_random_kernels_are_valid(seed: int) -> None:
    verify(random_case(seed).kernel)


def test_stores_that_move_with_all_loops_are_valid() -> None:
    verify(stored("column", "s1"))
    verify(made_by("bits", float32, uint32))
    verify(made_by("from_bits", uint32, F))


def test_list_of_scalars() -> None:
    """The list read from the header is the table the build has compiled, and every class is known."""
    listed = scalars()
    assert {name for name, _, _ in signatures()} == {*listed, "cast"}
    assert {group for _, group in listed.values()} <= set(CLASSES)
    for name, inputs, _ in signatures():
        if name != "cast":
            arity, group = listed[name]
            assert len(inputs) == arity and CLASSES[group](inputs[-1]), name


def at(body: tuple[Stmt, ...], path: tuple[int, ...], change: Callable[[Any], Stmt | None]) -> tuple[Stmt, ...]:
    """The body with one statement changed, or dropped where `change` gives None."""
    first, *rest = path
    s = body[first]
    if rest:
        assert isinstance(s, For)
        made: Stmt | None = s._replace(body=at(s.body, tuple(rest), change))
    else:
        made = change(s)
    return (*body[:first], *(() if made is None else (made,)), *body[first + 1 :])


def edit(name: str, path: tuple[int, ...], **fields: Any) -> Kernel:
    """An example with fields of one statement replaced."""
    k = kernel(name)
    return replace(k, body=at(k.body, path, lambda s: s._replace(**fields)))


def operand(name: str, number: int, **fields: Any) -> Kernel:
    k = kernel(name)
    changed = k.operands[number]._replace(**fields)
    return replace(k, operands=(*k.operands[:number], changed, *k.operands[number + 1 :]))


def reduce(name: str, **fields: Any) -> Kernel:
    """An example with fields of its first reduction replaced."""
    k = kernel(name)
    place = next(n for n, s in enumerate(k.body) if isinstance(s, For) and s.reduces)
    return replace(k, body=at(k.body, (place,), lambda s: s._replace(reduces=(s.reduces[0]._replace(**fields),))))


F = float32


def stored(form: str, access: str) -> Kernel:
    """A sum that stores what it loads too: a column in its reduction, spans of a row before it."""
    column, axis = form == "column", int(form != "column")
    load, store = Instr(0, "load", F, (), 0), Instr(-1, "store", F, (0,), 1)
    total = Reduce((1,), (0,), "add", (F,), () if column else (2,))
    operands = (Operand("in", F, "s1" if column else "s0"), Operand("out", F, access))
    if column:
        body: tuple[Stmt, ...] = (
            For(0, (For(1, (load, store)),), (total,)), For(1, (Instr(-1, "store", F, (1,), 2),)))  # fmt: skip
        return Kernel("column", 0, (*operands, Operand("out", F, "01")), (), (), body)
    body = (load, store, For(axis, (Instr(2, "load", F, (), 0),), (total._replace(values=(2,)),)))
    return Kernel("row", 1, (*operands, Operand("out", F, "s0")), (), (), body, True)


def made_by(op: str, given: DType, result: DType) -> Kernel:
    """A map of one scalar op."""
    body = (Instr(0, "load", given, (), 0), Instr(1, op, result, (0,)), Instr(-1, "store", result, (1,), 1))
    return Kernel("map", 0, (Operand("in", given, "1"), Operand("out", result, "1")), (), (), (For(0, body),))


WRONG: list[tuple[Callable[[], Kernel], str]] = [
    (lambda: replace(kernel("chain"), form="tile"), "form map, row or column"),
    (lambda: replace(kernel("chain"), spans=True), "spans in a row or column kernel"),
    (lambda: replace(kernel("softmax 5"), spans=True), "end with its only loop"),
    (lambda: replace(kernel("pad"), guards=(1,)), "before inner"),
    (lambda: operand("chain", 0, access="s"), "access along 2 axes"),
    (lambda: operand("chain", 0, access="1s"), "1 on inner only"),
    (lambda: operand("chain", 0, access="sx"), "access of 0, 1, s, g"),
    (lambda: operand("chain", 0, space="scratch"), "in order"),
    (lambda: operand("chain", 0, space="disk"), "spaces in, iota, out, scratch"),
    (lambda: operand("chain", 3, access="01"), "move with every outer axis"),
    (lambda: operand("chain", 3, dtype=float64), "one value of float64"),
    (lambda: operand("pad", 0, guards=()), "1 guards"),
    (lambda: operand("pad", 0, guards=(3,)), "a guard of axis 0"),
    (lambda: operand("iota", 0, dtype=int32), "int64 iota"),
    (lambda: operand("softmax 5", 2, access="s1"), "scratch to move with inner only"),
    (lambda: edit("chain", (2,), args=(1, 9)), "defined before"),
    (lambda: edit("chain", (2,), id=1), "defined once"),
    (lambda: edit("chain", (2,), dtype=float64), "a result of float32"),
    (lambda: edit("chain", (2,), op="tangent"), "a scalar of scalar.h"),
    (lambda: edit("chain", (2,), args=(1,)), "2 arguments"),
    (lambda: edit("chain", (0,), attr=1), "a literal of the kernel"),
    (lambda: edit("chain", (0,), dtype=int32), "float32, got int32"),
    (lambda: edit("chain", (1,), attr=0), "moves with axis 1 to be used inside"),
    (lambda: edit("chain", (3,), axis=0), "a loop over axis 1"),
    (lambda: edit("chain", (3, 0), attr=9), "an operand of the kernel"),
    (lambda: edit("chain", (3, 0), attr=3), "an operand in in or scratch"),
    (lambda: edit("chain", (3, 0), dtype=int32), "a load of float32"),
    (lambda: edit("chain", (3, 0), args=(1,)), "bool predicates"),
    (lambda: edit("chain", (3, 4), attr=0), "an operand in out or scratch"),
    (lambda: edit("chain", (3, 2), attr=2), "no attr"),
    (lambda: replace(kernel("chain"), body=kernel("chain").body[:3]), "every output stored"),
    (lambda: edit("pad", (1, 0), args=()), "imply guards [0]"),
    (lambda: edit("pad", (0,), attr=1), "a guard of the kernel"),
    (lambda: edit("two guards", (3, 0), args=(1,)), "imply guards [0, 1]"),
    (lambda: edit("two guards", (2,), args=(0, 0)), "imply guards [0, 1]"),
    (lambda: edit("two guards", (2,), op="logical_or"), "predicates made of guards"),
    (lambda: edit("concat", (2, 2), args=(2, 2, 3)), "a bool mask"),
    (lambda: edit("take rows", (4, 0), args=(0,)), "one int64 index"),
    (lambda: edit("column pad", (0, 0), op="cast"), "one value to cast"),
    (lambda: edit("scalar", (0, 2), dtype=float16), "computed in float32"),
    (lambda: edit("softmax 5", (0,), axis=0), "a loop over axis 1"),
    (lambda: edit("softmax 5", (1, 1), args=(2, 5)), "defined before"),
    (lambda: edit("softmax 5", (3, 0), attr=1), "an operand in in or scratch"),
    (lambda: edit("softmax 5", (3, 2), attr=2), "stored once"),
    (lambda: reduce("softmax 5", values=(7,)), "values of the loop"),
    (lambda: reduce("softmax 5", dtypes=(float64,)), "values of [float64]"),
    (lambda: reduce("softmax 5", combine="subtract"), "a combining op of a reduction row"),
    (lambda: reduce("softmax 5", combine="logical_or"), "arguments"),
    (lambda: reduce("softmax 5", combine="argmax"), "2 results"),
    (lambda: reduce("softmax 5", partials=(1,)), "in a spans kernel only"),
    (lambda: reduce("row spans", partials=()), "1 partial outputs"),
    (lambda: reduce("row spans", partials=(0,)), "partial results out"),
    (lambda: reduce("row spans", partials=(9,)), "an operand of the kernel"),
    (lambda: operand("row spans", 1, access="s1"), "[s0]"),
    (lambda: edit("row tree 5", (0,), row=False), "a map kernel for this tree"),
    (lambda: edit("row tree 5", (0,), operands=(1,)), "partial results in int32 [s0]"),
    (lambda: operand("column tree", 0, access="s0"), "[s1]"),
    (lambda: edit("column sum 1x1", (0,), reduces=()), "a reduction in the loop"),
    (lambda: edit("column sum 1x1", (1,), axis=1), "one loop over inner"),
    (
        lambda: replace(
            kernel("column sum 1x1"), body=(kernel("column sum 1x1").body[0], Instr(3, "negative", int32, (2,)))
        ),
        "read in its loop",
    ),
    (lambda: edit("iota", (0, 0), dtype=int32), "an int64 offset"),
    (lambda: edit("moments", (0, 0), op="offset", dtype=int64), "an operand in iota"),
    (
        lambda: replace(
            kernel("moments"), body=(*kernel("moments").body, For(1, (), (Reduce((9,), (8,), "add", (F,)),)))
        ),
        "values of the loop",
    ),
    (lambda: stored("column", "01"), "a store inside the loop over i0 to move with it"),
    (lambda: stored("row spans", "s0"), "stores of a spans kernel inside its reduction"),
    (lambda: made_by("bits", F, F), "a result of kind u as wide as float32"),
    (lambda: made_by("bits", F, int32), "a result of kind u as wide as float32"),
    (lambda: made_by("from_bits", uint32, uint32), "a result of kind f as wide as uint32"),
    (lambda: made_by("population_count", int32, F), "a result of kind i as wide as int32"),
]


@pytest.mark.parametrize(("make", "message"), WRONG, ids=[m for _, m in WRONG])
def test_wrong_kernels_are_refused(make: Callable[[], Kernel], message: str) -> None:
    with pytest.raises(CompileError) as error:
        verify(make())
    assert message in str(error.value)


def paths(body: tuple[Stmt, ...], above: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Stmt]]:
    for n, s in enumerate(body):
        yield (*above, n), s
        if isinstance(s, For):
            yield from paths(s.body, (*above, n))


def breaking(kernel: Kernel, r: random.Random) -> Kernel | None:
    """The kernel with one thing broken at random, or None where the draw does not apply."""
    path, s = r.choice(list(paths(kernel.body)))
    match s:
        case Instr() if s.op == "store":
            broken: Any = r.choice(
                [s._replace(args=(10**6,)), s._replace(attr=len(kernel.operands)), s._replace(args=())]
            )
        case Instr():
            other = float64 if s.dtype is not float64 else bool_
            broken = r.choice([s._replace(id=-5), s._replace(dtype=None), s._replace(op="no_such")])
            if s.op not in ("cast", "bits", "from_bits"):
                broken = r.choice([broken, s._replace(dtype=other)])
            if s.args:
                broken = r.choice([broken, s._replace(args=(*s.args, 10**6)), s._replace(args=(s.id,))])
        case For():
            broken = s._replace(axis=-1)
        case Tree():
            broken = s._replace(operands=(*s.operands, 0))
    return replace(kernel, body=at(kernel.body, path, lambda _: broken))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 30))
def test_mutations_are_refused(seed: int) -> None:
    """Whatever single field of a statement is broken in a valid kernel, the verifier says so."""
    made = breaking(random_case(seed).kernel, random.Random(seed))
    if made is not None:
        with pytest.raises(CompileError):
            verify(made)


def test_operands_are_checked_one_by_one() -> None:
    """An operand that no statement uses is still held to the rules."""
    k = kernel("chain")
    with pytest.raises(CompileError, match="operand p0: expected access along 2 axes"):
        verify(replace(k, operands=(Operand("in", F, "1"), *k.operands[1:])))
