"""Matrix products against NumPy: every dtype, stride, edge and engine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import partial

import numpy as np
import pytest
from axon import _core
from hypothesis import given, settings
from hypothesis import strategies as st

from .steps import CODES, Step, close, dtype, numbers, run

FLOATS = ["float16", "bfloat16", "float32", "float64"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
SIZES = [(1, 1, 1), (6, 16, 8), (7, 17, 9), (5, 3, 385), (37, 50, 70), (130, 33, 400), (32, 10, 128), (13, 150, 40)]


def strides(array, rows, columns):
    return [s // array.itemsize for s in (array.strides[0], array.strides[rows], array.strides[columns])]


def gemm(a, b, name, bias=None, symbol="gemm"):
    """out = a @ b (+ bias) for a [batch, m, k] and b [batch, k, n], whose strides may be anything over their memory."""
    (batch, m, k), n = a.shape, b.shape[2]
    ints = [CODES[name], batch, m, n, k, *strides(a, 1, 2), *strides(b, 1, 2), bias is not None]
    memory = [whole(a), whole(b)] + ([bias] if bias is not None else [])
    return run(symbol, ints, memory, (batch, m, n), name)


def whole(array):
    """The memory that a view was taken from."""
    return array if array.base is None else whole(array.base)


def layout(array, kind):
    """The same values over other memory: rows, columns or batches contiguous, or gaps everywhere."""
    if kind == "rows":
        return array.copy()
    if kind == "columns":
        return array.transpose(0, 2, 1).copy().transpose(0, 2, 1)
    if kind == "batch":
        return array.transpose(1, 2, 0).copy().transpose(2, 0, 1)
    gaps = np.zeros((array.shape[0] * 2, array.shape[1] * 3, array.shape[2] * 2), array.dtype)
    view = gaps[::2, ::3, ::2]
    view[...] = array
    return view


def exact(a, b, bias=None):
    product = a.astype(np.float64) @ b.astype(np.float64)
    return product if bias is None else product + bias.astype(np.float64)


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("m, n, k", SIZES)
def test_float_products(name, m, n, k):
    rng = np.random.default_rng(0)
    for batch, left, right in [
        (1, "rows", "rows"),
        (3, "columns", "rows"),
        (2, "rows", "columns"),
        (1, "gaps", "batch"),
    ]:
        a, b = numbers(rng, (batch, m, k), name), numbers(rng, (batch, k, n), name)
        bias = numbers(rng, (n,), name)
        for added in (None, bias):
            got = gemm(layout(a, left), layout(b, right), name, added)
            close(got, exact(a, b, added), name, k)


@pytest.mark.parametrize("name", INTEGERS)
def test_integer_products_wrap(name):
    rng = np.random.default_rng(1)
    for m, n, k in SIZES:
        a, b, bias = numbers(rng, (2, m, k), name), numbers(rng, (2, k, n), name), numbers(rng, (n,), name)
        with np.errstate(over="ignore"):
            expected = np.matmul(a, b) + bias
        np.testing.assert_array_equal(gemm(layout(a, "columns"), b, name, bias), expected)


AMX = {"amx-tile", "amx-bf16", "avx512bf16"} <= _core.cpu_features()
needs_amx = pytest.mark.skipif(not AMX, reason="needs a CPU with AMX")


@pytest.mark.parametrize(
    "symbol, name",
    [
        ("gemm.packed", "float32"),
        ("gemm.onednn", "float32"),
        ("gemm.packed", "bfloat16"),
        pytest.param("gemm.amx", "bfloat16", marks=needs_amx),
    ],
)
@pytest.mark.parametrize(
    "left, right",
    [("rows", "rows"), ("columns", "rows"), ("rows", "columns"), ("columns", "columns"), ("gaps", "gaps")],
)
def test_engines(symbol, name, left, right):
    rng = np.random.default_rng(2)
    for batch, m, n, k in [
        (1, 64, 48, 100), (4, 33, 65, 17), (2, 5, 700, 3), (1, 19, 3, 517), (1, 33, 300, 1024), (2, 100, 333, 600),
        (1, 500, 90, 512), (1, 32, 32, 32), (1, 257, 300, 64), (3, 1, 1, 1),
    ]:  # fmt: skip
        if symbol == "gemm.onednn" and "gaps" in (left, right):
            continue  # it wants one contiguous axis
        a, b, bias = numbers(rng, (batch, m, k), name), numbers(rng, (batch, k, n), name), numbers(rng, (n,), name)
        for added in (None, bias):
            got = gemm(layout(a, left), layout(b, right), name, added, symbol)
            close(got, exact(a, b, added), name, k)


@needs_amx
def test_amx_keeps_infinities_and_nan_where_they_are():
    a, b = numbers(np.random.default_rng(6), (1, 40, 50), "bfloat16"), np.ones((1, 50, 45), dtype("bfloat16"))
    a[0, 3, 7], a[0, 33, 49] = np.inf, np.nan
    got = gemm(a, b, "bfloat16", symbol="gemm.amx").astype("float32")[0]
    assert np.isposinf(got[3]).all() and np.isnan(got[33]).all()
    assert np.isfinite(np.delete(got, [3, 33], axis=0)).all()


def test_amx_refuses_what_it_does_not_do():
    a = np.ones((1, 20, 20), "float32")
    with pytest.raises(ValueError, match="only bfloat16, on a CPU with AMX"):
        gemm(a, a, "float32", symbol="gemm.amx")


DIGEST = """
import hashlib
import numpy as np
from tests.cpu.test_gemm import gemm, numbers
rng, found = np.random.default_rng(7), hashlib.sha256()
for m, n, k in [(5, 7, 3), (33, 100, 900), (64, 48, 384), (130, 150, 385), (200, 96, 1000)]:
    for name in ("float32", "float64", "float16"):
        a, b, bias = numbers(rng, (2, m, k), name), numbers(rng, (2, k, n), name), numbers(rng, (n,), name)
        found.update(gemm(a, b, name, bias, "gemm.packed").tobytes())
print(found.hexdigest())
"""


def test_wider_registers_and_more_threads_give_the_same_bits():
    settings = [{"AXON_MAX_ISA": cap, "OMP_NUM_THREADS": threads} for cap in ("", "avx2") for threads in ("1", "3")]
    found = [
        subprocess.run(
            [sys.executable, "-c", DIGEST], env={**os.environ, **setting}, capture_output=True, text=True, check=True
        ).stdout
        for setting in settings
    ]
    assert len(set(found)) == 1


@pytest.mark.parametrize("name", ["float16", "float32", "float64", "int32", "int8"])
@pytest.mark.parametrize("m, n", [(1, 1), (1, 67), (2, 1030), (3, 129), (4, 33), (300, 1)])
@pytest.mark.parametrize("left, right", [("rows", "rows"), ("columns", "columns"), ("rows", "columns")])
def test_few_rows(name, m, n, left, right):
    rng = np.random.default_rng(3)
    k = 4100 // n + 5
    a, b, bias = numbers(rng, (2, m, k), name), numbers(rng, (2, k, n), name), numbers(rng, (n,), name)
    got = gemm(layout(a, left), layout(b, right), name, bias, "gemm.skinny")
    if name in FLOATS:
        close(got, exact(a, b, bias), name, k)
    else:
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(got, np.matmul(a, b) + bias)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64", "int16"])
def test_empty_products(name):
    bias, zeros = np.arange(3).astype(dtype(name)), partial(np.zeros, dtype=dtype(name))
    for m, n, k in [(0, 3, 4), (2, 0, 4), (0, 0, 0)]:
        assert gemm(zeros((1, m, k)), zeros((1, k, n)), name).size == 0
    a, b = zeros((2, 4, 0)), zeros((2, 0, 3))
    np.testing.assert_array_equal(gemm(a, b, name), np.zeros((2, 4, 3)))
    np.testing.assert_array_equal(gemm(a, b, name, bias), np.broadcast_to(bias, (2, 4, 3)))


def test_one_matrix_for_a_whole_batch():
    rng = np.random.default_rng(4)
    for symbol, name in [("gemm", "float32"), ("gemm.onednn", "float32"), ("gemm", "bfloat16")]:
        a, b = numbers(rng, (5, 20, 30), name), numbers(rng, (1, 30, 40), name)
        ints = [CODES[name], 5, 20, 40, 30, 600, 30, 1, 0, 40, 1, 0]
        close(run(symbol, ints, [a, b], (5, 20, 40), name), exact(a, b), name, 30)


@pytest.mark.parametrize("name", ["float32", "float64", "bfloat16", "int32"])
def test_rows_and_columns_may_overlap(name):
    rng = np.random.default_rng(8)
    m, n, k = 70, 45, 64
    a, b = (rng.integers(-4, 5, size).astype(dtype(name)) for size in (m + k - 1, k + n - 1))
    i, p, j = np.arange(m)[:, None], np.arange(k), np.arange(n)
    for row, column in [(1, 1), (0, 1), (1, 0), (0, 0)]:
        expected = exact(a[row * i + column * p], b[row * p[:, None] + column * j]).astype(dtype(name))
        ints = [CODES[name], 1, m, n, k, 0, row, column, 0, row, column, 0]
        np.testing.assert_array_equal(run("gemm", ints, [a, b], (m, n), name), expected)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3), st.integers(0, 40), st.integers(0, 70), st.integers(0, 420),
    st.sampled_from(["rows", "columns", "batch", "gaps"]), st.sampled_from(["rows", "columns", "batch", "gaps"]),
    st.sampled_from(["float32", "float64", "uint16"]), st.booleans(),
)  # fmt: skip
def test_any_product(batch, m, n, k, left, right, name, biased):
    rng = np.random.default_rng(5)
    a, b = (rng.integers(-9, 9, shape).astype(name) for shape in ((batch, m, k), (batch, k, n)))
    bias = rng.integers(0, 9, n).astype(name) if biased else None
    with np.errstate(over="ignore"):
        expected = np.matmul(a, b) + (bias if biased else np.zeros((), name))
    np.testing.assert_array_equal(gemm(layout(a, left), layout(b, right), name, bias), expected)


def test_a_batch_of_none_on_one_thread():
    before = _core.threads()
    try:
        _core.set_threads(1)
        assert gemm(np.zeros((0, 1, 400), np.float32), np.zeros((0, 400, 3000), np.float32), "float32").shape == (
            0,
            1,
            3000,
        )
    finally:
        _core.set_threads(before)


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_the_same_bits_at_any_number_of_threads(name):
    rng = np.random.default_rng(6)
    before = _core.threads()
    try:
        for m, n, k, right in [
            (200, 300, 500, "rows"), (1, 3000, 400, "rows"), (64, 64, 64, "rows"), (33, 300, 1024, "columns"),
        ]:  # fmt: skip
            a, b = numbers(rng, (1, m, k), name), layout(numbers(rng, (1, k, n), name), right)
            results = []
            for count in (1, 2, 3, 16):
                _core.set_threads(count)
                results += [gemm(a, b, name).tobytes() for _ in range(2)]
            assert len(set(results)) == 1
    finally:
        _core.set_threads(before)


def test_several_threads_run_one_program_at_once():
    rng = np.random.default_rng(7)
    a, b = numbers(rng, (1, 90, 200), "float32"), numbers(rng, (1, 200, 110), "float32")
    ints = [CODES["float32"], 1, 90, 110, 200, *strides(a, 1, 2), *strides(b, 1, 2), 0]
    step = Step("gemm", ints, [a.nbytes, b.nbytes], (1, 90, 110), "float32")
    expected = step(a, b).tobytes()
    wrong = []

    def work():
        wrong.extend(1 for _ in range(20) if step(a, b).tobytes() != expected)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_not_a_number_and_infinity_pass_through():
    a = np.array([[[np.nan, 1], [np.inf, 1], [0, 1]]], np.float32)
    b = np.array([[[1, 0], [1, 1]]], np.float32)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(gemm(a, b, "float32"), a @ b)


GOOD = [11, 1, 2, 3, 4, 8, 4, 1, 12, 3, 1, 0]


@pytest.mark.parametrize(
    "change, message",
    [
        ({0: 0}, "dtype of a number"),
        ({0: 13}, "dtype of a number"),
        ({2: -1}, "expected m in 0"),
        ({4: 1 << 39, 7: 1 << 30}, "too large"),
        ({6: 5}, "expected operand 0 of at least 36 bytes, got 32"),
        ({9: -3}, "before its start"),
        ({3: 4}, "expected operand 1"),
        ({11: 2}, "has_bias in 0..1"),
        ({11: 1}, "expected 4 operands, got 3"),
        ({12: 0}, "expected 12 ints, got 13"),
    ],
)
def test_bad_calls_are_refused_when_the_program_is_made_or_first_run(change, message):
    ints = GOOD + [0] * (12 in change)
    for position, value in change.items():
        ints[position] = value
    with pytest.raises(ValueError, match=message):
        run("gemm", ints, [np.zeros(8, np.float32), np.zeros(12, np.float32)], (1, 2, 3), "float32")
