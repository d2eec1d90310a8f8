"""Evenly spaced numbers: arange and linspace, in every dtype and at its ends."""

import numpy as np
import pytest
from axon import nx
from axon.defn import jit


@pytest.mark.parametrize("args", [(5,), (1, 7, 2), (0, 1, 0.1), (5, 0, -1), (3, 3), (0.5, 3.0), (5, 1)])
def test_arange(args):
    want = np.arange(*args)
    got = nx.arange(*args)
    assert got.dtype is (nx.int32 if want.dtype.kind == "i" else nx.float32)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-6)


def test_linspace():
    for start, stop, n, endpoint in [(0, 1, 5, True), (-3, 7, 8, False), (2, 2, 1, True), (0.1, 0.3, 100, True)]:
        got = nx.linspace(start, stop, n, endpoint=endpoint).numpy()
        np.testing.assert_allclose(got, np.linspace(start, stop, n, endpoint=endpoint), rtol=1e-6, atol=1e-6)
    assert nx.linspace(0.1, 0.3, 100).numpy()[-1] == np.float32(0.3)


@pytest.mark.parametrize(
    "made, want",
    [
        (lambda: nx.arange(0.5, 3, dtype="int32"), np.array([0, 1, 2], np.int32)),
        (lambda: nx.arange(0, 2, 0.5, dtype="int32"), np.array([0, 0, 1, 1], np.int32)),
        (lambda: nx.arange(np.int64(3)), np.arange(3, dtype=np.int32)),
        (lambda: nx.arange(5, 0, -1, dtype="uint8"), np.arange(5, 0, -1).astype(np.uint8)),
        (lambda: nx.arange(2**63, 2**64, 2**62, dtype="uint64"), np.array([2**63, 3 * 2**62], np.uint64)),
        (lambda: nx.arange(0.0, 2**25, 2.0**24 - 1, dtype="int64"), np.array([0, 2**24 - 1, 2**25 - 2])),
        (lambda: nx.arange(2.0**53, 2.0**53 + 4, 1.0, dtype="int64"), np.arange(2**53, 2**53 + 4)),
        (lambda: nx.arange(2**24 + 1, 2**24 + 4, dtype="float32"), np.float32([2**24, 2**24 + 2, 2**24 + 4])),
        (lambda: nx.arange(2**53 + 1, 2**53 + 4, dtype="float64"), np.float64([2**53, 2**53 + 2, 2**53 + 4])),
        (lambda: nx.arange(2**70, 2**70 + 2**63, 2**62, dtype="float32"), np.float32([2**70, 2**70 + 2**62])),
        (lambda: nx.arange(0, 140000, 70000, dtype="float16"), np.array([0, np.inf], np.float16)),
        (lambda: nx.linspace(0, 1, 70000, dtype="float16")[-2:], np.ones(2, np.float16)),
        (lambda: nx.linspace(0.1, 0.1, 7), np.full(7, 0.1, np.float32)),
        (lambda: nx.linspace(-3e38, 3e38, 3), np.float32([-3e38, 0, 3e38])),
        (lambda: nx.linspace(0, 2**53 + 1, 2, dtype="int64"), np.array([0, 2**53 + 1])),
        (lambda: nx.linspace(0, 100000001, 2, dtype="int32"), np.array([0, 100000001], np.int32)),
        (lambda: nx.linspace(-3, 0, 3, dtype="int32"), np.array([-3, -2, 0], np.int32)),
        (lambda: nx.linspace(0, -3, 3, dtype="int32"), np.array([0, -2, -3], np.int32)),
        (lambda: nx.linspace(0.5, -2.5, 3, dtype="int8"), np.array([0, -1, -3], np.int8)),
        (lambda: nx.linspace(nx.tensor(-3), 0, 3, dtype="int32"), np.array([-3, -2, 0], np.int32)),
        (lambda: nx.linspace(-(2**63), 2**63 - 1, 3, dtype="int64"), np.array([-(2**63), -1, 2**63 - 1])),
        (lambda: nx.linspace(2**63 - 1, -(2**63), 3, dtype="int64"), np.array([2**63 - 1, -1, -(2**63)])),
        (lambda: nx.linspace(0, 2**64 - 1, 4, dtype="uint64"), np.arange(4, dtype=np.uint64) * (2**64 // 3)),
        (lambda: nx.linspace(0, 256, 4, endpoint=False, dtype="uint8"), np.arange(4, dtype=np.uint8) * 64),
        (lambda: nx.linspace(np.int64(2**53 + 1), np.int64(2**53 + 3), 2, dtype="int64"), np.int64([1, 3]) + 2**53),
        (lambda: nx.linspace(*nx.tensor([-3e38, 3e38]), 3), np.float32([-3e38, 0, 3e38])),
        (lambda: nx.linspace(*nx.tensor([2048, 1], "float16"), 3), np.float32([2048, 1024.5, 1])),
        (lambda: nx.linspace(5, 9, 1, dtype="int32"), np.array([5], np.int32)),
        (lambda: nx.linspace(5, 9, 0, dtype="int32"), np.array([], np.int32)),
    ],
)
def test_values_and_dtypes(made, want):
    for ours in (made(), jit(made)()):
        assert ours.dtype is nx.dtype(want.dtype)
        np.testing.assert_array_equal(ours.numpy(), want)


def test_linspace_between_numbers_given_to_a_definition():
    for a, b, dtype, want in ((0, 1, None, [0, 0.5, 1]), (-3, 2**53 - 2, "int64", [-3, 2**52 - 3, 2**53 - 2])):
        made = jit(lambda a, b, dtype=dtype: nx.linspace(a, b, 3, dtype=dtype))(a, b)
        assert made.tolist() == want and made.dtype is (nx.int64 if dtype else nx.float32)
