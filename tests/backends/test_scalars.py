"""Eager elementwise rows on the scalars of compiled kernels: the same bits, whatever operands look like."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from axon import _core, nx
from axon.backends.array_api import ArrayBackend
from axon.defn import jit
from axon.dtypes import DType, bfloat16, float16, float32
from axon.nx.core.op import TABLE, Op
from axon.nx.core.tensor import Tensor

from tests import cases

FLOAT32, FLOAT16, BOOL = float32.code, float16.code, 0
ROWS = [op for op in cases.rows("elementwise") if op.name != "astype"]  # the sweep casts on its own
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 1.0, -1.0, 0.5, 3.4e38, 88.8, -104.0, 1e6, 1e-6]


def operands(dtype: DType) -> list[np.ndarray]:
    """Three arrays in which special values of each meet those of the others, and ordinary ones."""
    rng = np.random.default_rng(0)
    pairs = np.array(np.meshgrid(SPECIAL, SPECIAL, [0.0, 1.5, np.nan])).reshape(3, -1)
    usual = rng.standard_normal((3, 3001)) * 10.0 ** rng.integers(-5, 5, (3, 3001))
    with np.errstate(over="ignore"):
        return [np.concatenate(rows).astype(dtype.numpy) for rows in zip(pairs, usual)]


def applied(op: Op, tensors: list[Any]) -> Any:
    assert op.function is not None
    count = len(next(cases.cases(op, cases.accepted(op)[0])).args)
    return op.function(*tensors[:count])


def words(array: np.ndarray) -> np.ndarray:
    """The bits, where all NaNs are one."""
    if array.dtype.kind == "b":
        return array
    bits = array.view(f"u{array.itemsize}").copy()
    bits[np.isnan(array.astype("f8"))] = 1
    return bits


@pytest.mark.parametrize("dtype", [float32, float16, bfloat16], ids=str)
def test_eager_results_are_the_bits_of_compiled_ones(dtype: DType) -> None:
    rows = [op for op in ROWS if dtype in cases.accepted(op)]
    arrays = operands(dtype)
    compiled = jit(lambda *xs: [applied(op, list(xs)) for op in rows])(*arrays)
    assert len(rows) > 50
    for op, found in zip(rows, compiled):
        eager = applied(op, [nx.tensor(a) for a in arrays]).numpy()
        np.testing.assert_array_equal(words(eager), words(found.numpy()), err_msg=op.name)


@pytest.mark.parametrize("source", [float32, float16, bfloat16], ids=str)
def test_eager_casts_are_the_bits_of_compiled_ones(source: DType) -> None:
    array = operands(source)[0]
    casts = lambda x: [nx.astype(x, d) for d in cases.accepted(TABLE["astype"])]  # noqa: E731
    for eager, found in zip(casts(nx.tensor(array)), jit(casts)(array)):
        np.testing.assert_array_equal(words(eager.numpy()), words(found.numpy()), err_msg=str(eager.dtype))


def layouts(x: np.ndarray) -> dict[str, np.ndarray]:
    """Views of a [6, 4, 10] array that have its shape, or broadcast to it."""
    raw = bytearray(x.nbytes + 1)
    unaligned = np.frombuffer(raw, x.dtype, offset=1, count=x.size).reshape(x.shape)
    unaligned[...] = x
    return {
        "dense": x,
        "fortran": np.asfortranarray(x),
        "reversed": x[::-1, :, ::-1],
        "every other": np.repeat(x, 2, axis=-1)[..., ::2],
        "unaligned": unaligned,
        "transposed": x.transpose(2, 1, 0).copy().transpose(2, 1, 0),
        "row": x[0, 0],
        "column": x[:, :, :1],
        "middle": x[:, :1],
        "one": x[0, 0, 0],
        "ones": x[:1, :1, :1],
        "broadcast": np.broadcast_to(x[:1], x.shape),
    }


@pytest.mark.parametrize("dtype", ["float32", "float16", "bool", "int64"])
def test_operands_of_any_layout(dtype: str) -> None:
    x = (np.arange(240).reshape(6, 4, 10) % 7).astype(dtype)
    code = nx.tensor(x).dtype.code
    loop = _core.elementwise("equal", [code, code], BOOL)
    assert loop is not None
    for first, a in layouts(x).items():
        for second, b in layouts(x[::-1].copy()).items():
            shape = np.broadcast_shapes(a.shape, b.shape)
            made = np.empty(shape, bool)
            loop(a, b, made)
            np.testing.assert_array_equal(made, a == b, err_msg=f"{first} and {second}")


def test_many_elements_are_the_threads_business() -> None:
    """More than a thread's share, broadcast along each axis, on one thread and on several."""
    x = np.random.default_rng(0).standard_normal((301, 400), "f4")
    before = _core.threads()
    found = []
    for count in (1, 3):
        _core.set_threads(count)
        try:
            tensors = [nx.asarray(a) for a in (x, x[:, :1], x[0])]
            found.append([nx.exp(tensors[0]).numpy()] + [(tensors[0] * t).numpy() for t in tensors])
        finally:
            _core.set_threads(before)
    for one, several in zip(*found):
        np.testing.assert_array_equal(one, several)
    for got, other in zip(found[0][1:], (x, x[:, :1], x[0])):
        np.testing.assert_array_equal(got, x * other)


def test_halves_are_rounded_once() -> None:
    x = nx.tensor([1.0009765625], "float16")
    assert nx.fma(x, x, nx.tensor([2.0**-12], "float16")).item() == np.float16(1.0009765625**2 + 2.0**-12)
    assert (
        nx.exp(nx.tensor([11.09], "float16")).item() == np.inf and nx.exp(nx.tensor([11.0], "float16")).item() == 59872
    )


def test_what_has_no_scalar_is_none() -> None:
    assert _core.elementwise("nothing", [FLOAT32], FLOAT32) is None
    assert _core.elementwise("add", [FLOAT32, FLOAT16], FLOAT32) is not None  # widened
    assert _core.elementwise("add", [FLOAT32, 200], FLOAT32) is None
    assert _core.elementwise("add", [FLOAT32] * 9, FLOAT32) is None
    assert _core.elementwise("add", [], FLOAT32) is None


def test_what_does_not_fit_is_refused() -> None:
    add = _core.elementwise("add", [FLOAT32, FLOAT32], FLOAT32)
    assert add is not None and repr(add) == "<Elementwise add>"
    a, made = np.ones((2, 3), "f4"), np.ones((2, 3), "f4")
    with pytest.raises(TypeError, match="2 inputs and an output"):
        add(a, made)
    with pytest.raises(TypeError, match="2 inputs and an output"):
        add(a, a, made, made)
    for wrong in (np.ones(4, "f4"), np.ones((2, 2, 3), "f4"), np.ones((3, 3), "f4"), np.ones((2, 3), "f8")):
        with pytest.raises(ValueError, match="add: expected"):
            add(a, wrong, made)
    with pytest.raises(ValueError, match="output"):
        add(a, a, np.ones((2, 3), "f8"))
    with pytest.raises((ValueError, BufferError)):
        add(a, a, np.ones((2, 6), "f4")[:, ::2])
    made.flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        add(a, a, made)
    with pytest.raises(TypeError):
        type(add)()
    with pytest.raises(TypeError):
        add(a, 1, np.ones((2, 3), "f4"))


@pytest.mark.parametrize("op", cases.rows("elementwise"), ids=lambda op: op.name)
def test_formulas_over_arrays_agree_with_scalars(op: Op) -> None:
    """What other array namespaces run: NumPy's functions and the rows' own formulas."""
    plain = ArrayBackend("plain", np)
    for dtype in cases.accepted(op):
        for case in cases.cases(op, dtype):
            assert op.function is not None
            given = [nx.tensor(a) for a in case.args]
            there = [Tensor(t.type, plain, t.numpy()) for t in given]
            want, got = op.function(*given, **case.attrs), op.function(*there, **case.attrs)
            assert got.type == want.type and got.backend is plain
            found, wanted, rtol = got.numpy(), want.numpy(), 4 * cases.tolerance(op, want.dtype)
            np.testing.assert_allclose(found.astype("f8"), wanted.astype("f8"), rtol=rtol, atol=1e-37)
