"""Emitted C++ against the interpreter, bit for bit: every width, cuts of the units, unaligned memory, odd tails."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axon.compiler.kernels.kernel import For, Instr, Kernel, Operand, Stmt
from axon.compiler.targets.compile_cpp import Instructions
from axon.compiler.targets.emit_cpp import emit_cpp
from axon.dtypes import ALL
from hypothesis import given, note, settings
from hypothesis import strategies as st

from .kernel_cases import EXAMPLES, load, op, out, store
from .kernel_random import HIDDEN, random_cases, values
from .kernel_tools import (
    AVX2,
    AVX512,
    SCALAR,
    WIDE_ON_AVX2,
    Case,
    check,
    compile_texts,
    signatures,
)


def test_examples() -> None:
    check([make().case for make in EXAMPLES.values()], AVX2)


@pytest.mark.parametrize("target", [WIDE_ON_AVX2, SCALAR], ids=lambda t: t.name)
def test_examples_at_other_widths(target: Instructions) -> None:
    """Of the kernels for each dtype only some, since vectors that the machine lacks compile slowly."""
    some = {"copies of bool", "copies of uint8", "copies of float16", "copies of float64"}
    names = [n for n in EXAMPLES if not n.startswith("copies of") or n in some]
    check([EXAMPLES[n]().case for n in names], target)


def test_equal_folds_are_one_type() -> None:
    """So that what they call out of line is compiled once."""
    text = emit_cpp(EXAMPLES["column folds"]().case.kernel, "k")
    assert re.findall(r"AXON_FOLD\((F\d), int32, (\w+)", text) == [("F3", "add"), ("F5", "maximum")]
    assert re.findall(r"using (F\d) = (F\d);", text) == [("F4", "F3"), ("F6", "F3")]


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 1 << 20), st.sampled_from([AVX2, WIDE_ON_AVX2, SCALAR]))
def test_random_kernels(seed: int, target: Instructions) -> None:
    note(f"seed {seed}, {target.name}")
    check(random_cases(seed), target, seed)


def every_scalar() -> Iterator[Case]:
    """All scalars, some to a kernel, on ordinary and special values of 35 elements."""
    able = [s for s in signatures() if s[0] != "cast"]
    for start in range(0, len(able), 90):
        some = able[start : start + 90]
        loaded = {d: k for k, d in enumerate(dict.fromkeys(d for _, inputs, _ in some for d in inputs))}
        operands: list[Operand] = []
        body: list[Stmt] = []
        arrays = []
        for d, k in loaded.items():
            for n in range(3):
                operands.append(Operand("in", d, "1"))
                body.append(load(3 * k + n, 3 * k + n, dtype=d))
                arrays.append(values(d, 35, 3 * k + n))
        count = len(operands)
        for n, (name, inputs, result) in enumerate(some):
            # Which of two NaNs an operation returns is the compiler's choice; only these ops would tell them apart.
            fixed = 0 if name in HIDDEN else 1
            args = [3 * loaded[d] + a * fixed for a, d in enumerate(inputs)]
            body += [op(count + n, name, *args, dtype=result), store(count + n, count + n, result)]
            operands.append(out(result, "1"))
            arrays.append(values(result, 35, n))
        kernel = Kernel("map", 0, tuple(operands), (), (), (For(0, tuple(body)),))
        yield Case(kernel, {"n0": 35, "block": 20} | {f"o{k}": 0 for k in range(len(operands))}, (), tuple(arrays))


@pytest.mark.slow
def test_every_scalar() -> None:
    check(list(every_scalar()), AVX2)


def test_compiles_for_avx512() -> None:
    """What cannot run here still compiles."""
    names = ("chain", "pad", "take along", "softmax 100", "argmax of 9", "long sum", "column arg", "column tree")
    compile_texts([emit_cpp(EXAMPLES[name]().case.kernel, f"k{n}") for n, name in enumerate(names)], AVX512)


def test_text_holds_no_sizes() -> None:
    """The same structure gives the same text, whatever the sizes and values; no number of the data is in it."""
    text = emit_cpp(EXAMPLES["softmax 64"]().case.kernel, "k")
    assert text == emit_cpp(EXAMPLES["softmax 4100"]().case.kernel, "k")
    numbers = {int(n) for n in re.findall(r"(?<![\w.])\d+(?![\w.])", text)}
    assert numbers <= {0, 1, *range(20)}, numbers
    assert re.findall(r"#include (.*)", text) == ['"reduce.h"']


def test_dtypes_are_known_to_the_header() -> None:
    """Every dtype is loaded and stored by some example."""
    seen = {o.dtype for make in EXAMPLES.values() for o in make().case.kernel.operands}
    assert seen == set(ALL)


def test_unrolled_and_plain_loops_agree() -> None:
    """A reduction's loop is unrolled where its body is small; both kinds are among the examples."""
    texts = [emit_cpp(make().case.kernel, "k") for make in EXAMPLES.values()]
    assert any("turn" in t for t in texts) and any(".at[(i &" in t for t in texts)
    assert any("soon(" in t for t in texts)


def statements(body: tuple[Stmt, ...]) -> Iterator[Stmt]:
    for s in body:
        yield s
        if isinstance(s, For):
            yield from statements(s.body)


def test_examples_say_everything() -> None:
    """Each op that the IR itself has, and each access, is in some example."""
    kernels = [make().case.kernel for make in EXAMPLES.values()]
    ops = {s.op for k in kernels for s in statements(k.body) if isinstance(s, Instr)}
    assert {"load", "gather", "offset", "literal", "guard", "store", "cast"} <= ops
    assert {c for k in kernels for o in k.operands for c in o.access} == set("01sg")
    assert {o.space for k in kernels for o in k.operands} == {"in", "out", "scratch", "iota"}
    assert {(k.form, k.spans) for k in kernels} == {
        ("map", False),
        ("row", False),
        ("row", True),
        ("column", False),
        ("column", True),
    }
