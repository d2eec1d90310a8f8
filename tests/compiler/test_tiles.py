"""The compiler "tiled": kernels run as data by the runtime, against the interpreter in Python, bit for bit; and its
programs against those with compiled kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import axon.compiler.targets.emit_tiles as tiles
import numpy as np
import pytest
from axon import _core, config, nx
from axon.compiler.kernels.kernel import For, Instr
from axon.errors import CompileError
from hypothesis import given, note, settings
from hypothesis import strategies as st

from .kernel_cases import EXAMPLES
from .kernel_random import random_cases
from .kernel_tools import Case, interpreted, report, run_compiled, same_bits
from .oracle import assert_same_bits, graph_of, results
from .oracle import compiled as natively
from .test_kernel_cpp import every_scalar

FUNCTION = ctypes.CDLL(str(Path(_core.__file__).with_name("libaxon.so"))).axon_run_tiles


def check(cases: Sequence[Case], seed: int = 0) -> int:
    """Compare every run of a map kernel with the interpreter; the number of these."""
    random, count = np.random.default_rng(seed), 0
    for n, case in enumerate(c for c in cases if c.kernel.form == "map"):
        try:
            given = tiles.ints(case.kernel, case.parameters), tiles.scratch_bytes(case.kernel, case.parameters)
        except CompileError:
            assert case.kernel.spans or not all(isinstance(s, Instr | For) for s in case.kernel.body)
            continue
        expected, units = interpreted(case), case.kernel.units(case.parameters)
        for threads, shift in ((1, 0), (3, 1)):
            cuts = [int(c) for c in random.integers(0, units + 1, threads - 1)]
            for k, (x, y) in enumerate(zip(run_compiled(FUNCTION, case, cuts, shift, given), expected)):
                assert same_bits(x, y), report(case, n, k, x, y)
        count += 1
    return count


def test_examples() -> None:
    assert check([make().case for make in EXAMPLES.values()]) > 20


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 20))
def test_random_kernels(seed: int) -> None:
    note(f"seed {seed}")
    check(random_cases(seed), seed)


def test_every_scalar() -> None:
    assert check(list(every_scalar())) > 3


def test_chunks_of_a_long_axis() -> None:
    """More elements than a chunk, and not a multiple: what is repeated over a chunk, and every tail."""
    from axon.compiler.kernels.kernel import Kernel, Operand
    from axon.dtypes import float32

    body = For(
        0,
        (
            Instr(1, "load", float32, (), 0),
            Instr(2, "multiply", float32, (1, 0)),
            Instr(3, "load", float32, (), 2),
            Instr(4, "add", float32, (2, 3)),
            Instr(-1, "store", float32, (4,), 3),
        ),
    )
    operands = [Operand("in", float32, "1"), Operand("in", float32, "0"), Operand("in", float32, "s")]
    kernel = Kernel(
        "map", 0, (*operands, Operand("out", float32, "1")), (), (), (Instr(0, "load", float32, (), 1), body)
    )
    x = np.random.default_rng(0).standard_normal(3000).astype("f4")
    for count in (1, 511, 512, 513, 1300):
        sizes = {"n0": count, "block": 1100, "o0": 0, "o1": 3, "o2": 1, "s2_0": 2, "o3": 0}
        case = Case(kernel, sizes, (), (x[:count], x[:9], x[: 2 * count], np.zeros(count, "f4")))
        assert check([case]) == 1


PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "pad_concat": (
        lambda x, y: nx.pad(nx.concat([x * 2, nx.flip(y, axis=0)], axis=0), [(1, 2), (0, 1)], 3.0),
        (np.ones((3, 700), "f4"), np.arange(1400, dtype="f4").reshape(2, 700)),
    ),
    "take": (
        lambda x, i: nx.exp(nx.take(x, i, axis=0)) + i.reshape((-1, 1)),
        (np.eye(5, 600, dtype="f4"), np.array([3, 9, -1])),
    ),
    "transpose": (lambda x: nx.permute_dims(x, (1, 0)) + x[0, 0], (np.arange(60, dtype="f4").reshape(6, 10),)),
    "halves": (
        lambda x: (nx.where(x > 0, nx.sqrt(nx.abs(x)), x * x), x.astype("bfloat16"), x[::2].astype("float64")),
        (np.linspace(-3, 3, 1111).astype("f2"),),
    ),
    "integers": (lambda x: (x // 3, nx.bitwise_left_shift(x, 2), x.astype("uint8"), x > 7), (np.arange(-20, 2000),)),
    "constants": (lambda: (nx.iota((3, 5), 0) * 2, nx.full((2,), 1.5)), ()),
    "empty": (lambda x: x + 1, (np.ones((0, 3), "f4"),)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_give_the_bits_of_compiled_ones(name: str) -> None:
    function, arrays = PROGRAMS[name]
    graph = graph_of(function, *arrays)
    run = config.lookup("compiler", "tiled").compile(graph, donate=(False,) * len(arrays), label=name)
    assert_same_bits(results(run, graph, arrays), results(natively(graph), graph, arrays))


def test_what_reduces_is_refused() -> None:
    graph = graph_of(lambda x: nx.sum(x * 2), np.ones(3, "f4"))
    with pytest.raises(CompileError, match="tiled: expected a map kernel, got one of form row"):
        config.lookup("compiler", "tiled").compile(graph, donate=(False,), label="sum")
