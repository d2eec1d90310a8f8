"""Each row of the table of library steps agrees with the C++ side: its ints make the step compute what its node means,
it takes the dtypes that the step takes, and counts the work that it does; other dtypes are the eager backend's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from axon import _core, config, nx
from axon.compiler.library.step import LibraryStep
from axon.compiler.library.table import LIBRARY, bias_length, library_steps, row_of
from axon.compiler.planning.schedule import HostStep
from axon.defn import jit
from axon.dtypes import ALL, DType, bool_, float16, float32, float64, int8, int32, int64, uint8, uint16
from axon.graph.expr import Builder, Graph, Node, Value
from axon.nx.core.op import TABLE, Inference
from axon.nx.core.tensor import Tensor, TensorType

from . import oracle, programs
from .programs import f32, typed


class Case(NamedTuple):
    """A function of which the first node with a row is that row's, the dtypes of its arguments, the multiplications and
    additions and the moved bytes (None: those of its operands), and what reports call its steps."""

    function: Callable[..., Any]
    types: Sequence[TensorType]
    work: float
    moved: int | None
    text: str


CASES = {
    "gemm": [
        Case(lambda a, b: a @ b, [f32(3, 4), f32(4, 5)], 2 * 3 * 4 * 5, None, "gemm 3x4 . 4x5"),
        Case(lambda a, b: a.T @ b.T, [f32(4, 3), f32(5, 4)], 2 * 3 * 4 * 5, None, "gemm 3x4 . 4x5"),
        Case(nx.matmul, [f32(2, 3, 4), f32(2, 4, 5)], 2 * 2 * 3 * 4 * 5, None, "gemm 3x4 . 4x5, 2 of them"),
        Case(nx.matmul, [f32(4), f32(4)], 2 * 4, None, "gemm 1x4 . 4x1"),
    ],
    "conv": [
        Case(nx.conv, [f32(2, 6, 3), f32(3, 3, 5)], 2 * 2 * 4 * 5 * 3 * 3, None, "conv 2x6x3 to 5, 3"),
        Case(
            lambda x, k: nx.conv(x, k, strides=2, padding=[(1, 0), (0, 2)], kernel_dilation=(1, 2), groups=2),
            [f32(1, 6, 5, 4), f32(3, 2, 2, 6)], 2 * (3 * 3) * 6 * (4 // 2) * (3 * 2), None, "conv 1x6x5x4 to 6, 3x2",
        ),
        Case(
            lambda g, k: nx.conv_input_gradient(g, k, input_shape=(2, 6, 3), strides=2),
            [f32(2, 2, 5), f32(3, 3, 5)], 2 * 2 * 2 * 5 * 3 * 3, None, "conv input gradient 2x6x3 to 5, 3",
        ),
        Case(
            lambda x, g: nx.conv_kernel_gradient(x, g, kernel_shape=(3, 3, 5), input_dilation=2),
            [f32(2, 6, 3), f32(2, 9, 5)], 2 * 2 * 9 * 5 * 3 * 3, None, "conv kernel gradient 2x6x3 to 5, 3",
        ),
    ],
    "scatter_add": [
        Case(
            lambda x, i, u: nx.scatter_add(x, i, u, axis=1),
            [f32(2, 5, 3), typed(int32, 4), f32(2, 4, 3)], 0, None, "scatter_add",
        ),
        Case(
            lambda x, i, u: nx.scatter_add(x, i, u, axis=0),
            [typed(int8, 5), typed(int64, 4), typed(int8, 4)], 0, None, "scatter_add",
        ),
    ],
    "cumulative": [
        Case(lambda x: nx.cumulative_sum(x, axis=1), [f32(3, 40)], 0, None, "cumulative"),
        Case(lambda x: nx.cumulative_min(x, axis=0, reverse=True), [f32(5, 3)], 0, None, "cumulative"),
        Case(lambda x: nx.cumulative_prod(x[:, :, 0], axis=-1), [typed(int64, 2, 7, 1)], 0, 2 * 8 * 14, "cumulative"),
    ],
    "copy": [
        Case(lambda *xs: nx.concat(xs), [f32(6)] * 9, 0, 2 * 4 * 6, "copy"),
        Case(lambda *xs: nx.concat(xs, axis=1), [typed(float64, 2, 3)] * 9, 0, 2 * 8 * 6, "copy"),
        Case(lambda x: x.T.reshape(-1), [typed(uint16, 3, 4)], 0, 2 * 2 * 12, "copy"),
    ],
}  # fmt: skip
EACH = [
    pytest.param(symbol, case, id=f"{symbol}{k}") for symbol, found in CASES.items() for k, case in enumerate(found)
]


def node_of(symbol: str, case: Case) -> Node:
    """The node of a case, as the passes leave it to its step."""
    steps = programs.compiled(case.function, *case.types).schedule.steps
    step = next(s for s in steps if getattr(s, "symbol", "") == symbol)
    return step.memory[-1].node  # type: ignore[union-attr]


def given(types: Sequence[TensorType]) -> list[np.ndarray]:
    """Small whole numbers, so that sums are exact in any order."""
    rng = np.random.default_rng(0)
    return [rng.integers(-2, 3, t.shape).astype(t.dtype.numpy) for t in types]


def evaluated(node: Node, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """What the eager backend makes of a node."""
    backend = config.lookup("backend", "numpy")
    operands = [Tensor(v.type, backend, backend.from_numpy(a)) for v, a in zip(node.inputs, arrays)]
    (made,) = backend.apply(node.op, node.types, operands, node.attrs)
    return backend.to_numpy(made, node.types[0])


def retyped(node: Node, dtype: DType) -> Node:
    """A node with another dtype in place of float32, made without its row's inference, which refuses some."""
    builder = Builder()
    kept = {
        t: TensorType(dtype, t.shape) if t.dtype is float32 else t
        for t in (*node.types, *[v.type for v in node.inputs])
    }
    inputs = tuple(builder.input(kept[v.type]) for v in node.inputs)
    return builder.node(node.op, inputs, node.attrs, tuple(kept[t] for t in node.types))


def program(node: Node, steps: Sequence[LibraryStep]) -> Any:
    """The program of a node's steps alone: from its inputs to its result."""
    place: dict[Value, int] = {}
    slots: list[Any] = []
    for v in dict.fromkeys(node.inputs):
        place[v] = len(slots)
        slots.append(("input", len(slots), 0, v.type.nbytes))
    place[Value(node, 0)] = len(slots)
    count = len(slots)
    slots.append(("output", 0, -1, node.types[0].nbytes))
    encoded = [("library", s.symbol, [place[m] for m in s.memory], s.ints, (), s.label) for s in steps]
    return _core.Program(slots, encoded, 0, count, 1)


def test_each_row_has_its_cases_and_each_symbol_its_row() -> None:
    assert set(CASES) == set(LIBRARY)
    assert {op.extern for op in TABLE.values() if op.extern} == set(LIBRARY) - {"copy"}


@pytest.mark.parametrize(("symbol", "case"), EACH)
def test_a_step_computes_what_its_node_means(symbol: str, case: Case) -> None:
    node = node_of(symbol, case)
    assert row_of(node, LIBRARY) is LIBRARY[symbol]
    steps = library_steps(node, node.inputs, [Value(node, 0)], LIBRARY)
    types = {v: v.type for v in node.inputs}
    arrays = dict(zip(types, given(list(types.values()))))
    (out,) = program(node, steps)(tuple(a.reshape(-1).view(np.uint8) for a in arrays.values()))
    got = np.frombuffer(out, node.types[0].dtype.numpy).reshape(node.types[0].shape)
    np.testing.assert_array_equal(got, evaluated(node, [arrays[v] for v in node.inputs]))


@pytest.mark.parametrize(("symbol", "case"), EACH)
def test_a_report_tells_a_steps_work(symbol: str, case: Case) -> None:
    report = jit(case.function).lower(*case.types).report()
    first = next(s for s in report.steps if s.what.startswith(symbol))
    operands = sum(t.nbytes for t in case.types) + node_of(symbol, case).types[0].nbytes
    moved = operands if case.moved is None else case.moved
    assert (first.what, first.operations, first.nbytes) == (case.text, case.work, moved)


def accepted(node: Node, ints: Sequence[int]) -> bool:
    """Whether the C++ side makes a node's step with other ints, over operands with room for every dtype."""
    builder = Builder()
    inputs = tuple(builder.input(TensorType(float64, v.type.shape)) for v in node.inputs)
    wide = builder.node(node.op, inputs, node.attrs, (TensorType(float64, node.types[0].shape),))
    step = LibraryStep(node.op.extern or "", (*inputs, Value(wide, 0)), ints, "")
    try:
        program(wide, [step])(tuple(np.zeros(v.type.nbytes, np.uint8) for v in inputs))
    except ValueError as error:
        assert "dtype" in str(error) or "indices" in str(error)
        return False
    return True


@pytest.mark.parametrize("dtype", ALL, ids=str)
@pytest.mark.parametrize("symbol", ["gemm", "conv", "scatter_add", "cumulative"])
def test_a_row_takes_the_dtypes_that_its_step_takes(symbol: str, dtype: DType) -> None:
    node = node_of(symbol, CASES[symbol][0])
    steps = library_steps(node, node.inputs, [Value(node, 0)], LIBRARY)
    other = retyped(node, dtype)
    taken = accepted(node, (dtype.code, *steps[0].ints[1:]))
    assert (row_of(other, LIBRARY) is not None) == taken == (dtype is not bool_)
    mixed = Builder().node(node.op, (other.inputs[0], *node.inputs[1:]), node.attrs, node.types)
    assert (row_of(mixed, LIBRARY) is not None) == (dtype is float32)


@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_scatters_take_the_indices_that_their_step_takes(dtype: DType) -> None:
    node = node_of("scatter_add", CASES["scatter_add"][0])
    first, _, *rest = library_steps(node, node.inputs, [Value(node, 0)], LIBRARY)[0].ints
    x, _, u = node.inputs
    other = Builder().node(node.op, (x, Builder().input(TensorType(dtype, (4,))), u), node.attrs, node.types)
    taken = accepted(node, (first, dtype.code, *rest))
    assert (row_of(other, LIBRARY) is not None) == taken == (dtype in (int32, int64))


@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_a_copy_takes_every_dtype(dtype: DType) -> None:
    case = Case(lambda *xs: nx.concat(xs), [typed(dtype, 6)] * 9, 0, None, "copy")
    assert row_of(node_of("copy", case), LIBRARY) is LIBRARY["copy"]


@pytest.mark.parametrize("symbol", LIBRARY)
@pytest.mark.parametrize("dtype", [DType("small", "f8", "f", 1), DType("wide", "f128", "f", 16)], ids=str)
def test_a_dtype_that_no_step_knows_is_left_to_the_eager_backend(symbol: str, dtype: DType) -> None:
    node = node_of(symbol, CASES[symbol][0])
    other = retyped(node, dtype)
    moves = symbol == "copy" and dtype.itemsize == 1  # which needs no more than the size
    assert bool(library_steps(other, other.inputs, [Value(other, 0)], LIBRARY)) == moves
    assert bias_length(other, LIBRARY) is None


def lenient(name: str, inputs: Sequence[Value], out: TensorType, attrs: dict[str, Any]) -> Value:
    """A node of a row like that of this name that takes all dtypes."""
    infer = lambda types, attrs: Inference(tuple(t.dtype for t in types), (out,), attrs)  # noqa: E731
    return Value(Builder().node(replace(TABLE[name], infer=infer), tuple(inputs), attrs, (out,)), 0)


DOT = {"contract": ((1,), (0,)), "batch": ((), ())}
HOSTED = {
    "a product of bools": ("dot_general", [typed(bool_, 3, 4), typed(bool_, 4, 5)], typed(bool_, 3, 5), DOT),
    "a product of two dtypes": ("dot_general", [f32(3, 4), typed(float64, 4, 5)], typed(float64, 3, 5), DOT),
    "narrow indices": ("scatter_add", [f32(5), typed(uint8, 4), f32(4)], f32(5), {"axis": 0}),
    "updates of another dtype": ("scatter_add", [f32(5), typed(int32, 4), typed(float16, 4)], f32(5), {"axis": 0}),
}


@pytest.mark.parametrize("case", HOSTED)
def test_what_has_no_native_step_is_a_host_step(case: str) -> None:
    name, types, out, attrs = HOSTED[case]
    inputs = [Builder().input(t) for t in types]
    made = lenient(name, inputs, out, attrs)
    arrays = [np.abs(a) for a in given(types)]
    executable = oracle.compiled(Graph(inputs, [made]))
    assert [type(s) for s in executable.plan.schedule.steps] == [HostStep]
    (got,) = executable(tuple(a.reshape(-1).view(np.uint8) for a in arrays))
    want = evaluated(made.node, arrays)
    np.testing.assert_array_equal(np.frombuffer(got, out.dtype.numpy).reshape(out.shape), want)


def test_a_host_step_takes_no_bias() -> None:
    builder = Builder()
    a, b, c = inputs = [builder.input(t) for t in (f32(3, 4), typed(float64, 4, 5), typed(float64, 5))]
    product = lenient("dot_general", (a, b), typed(float64, 3, 5), DOT)
    total = builder.apply("add", product, builder.apply("broadcast_to", c, shape=(3, 5)))
    executable = oracle.compiled(Graph(inputs, [total]))
    x, y, z = arrays = given([v.type for v in inputs])
    (got,) = executable(tuple(v.reshape(-1).view(np.uint8) for v in arrays))
    np.testing.assert_array_equal(np.frombuffer(got, np.float64).reshape(3, 5), x @ y + z)
