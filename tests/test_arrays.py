"""The border: what data becomes where it comes in, and what is refused there."""

import datetime
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from axon import nx, tree
from axon.arrays import arrays
from axon.errors import DTypeError, ShapeError

from .tables import DataFrame, Series


class Pair(NamedTuple):
    a: Any
    b: Any


HALF = nx.ones(2, "bfloat16")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([0, 1], np.int32([0, 1])),
        ([0.5, 1], np.float32([0.5, 1])),
        ([[1, 2], [3, 4]], np.int32([[1, 2], [3, 4]])),
        ([(1, 2), (3, 4)], np.int32([[1, 2], [3, 4]])),
        ((1, 0), np.int32([1, 0])),
        ([True, False], np.array([True, False])),
        ([2**40, 1], np.int64([2**40, 1])),
        ([np.float64(1), np.float64(2)], np.float32([1, 2])),
        (range(2), np.int64([0, 1])),
        (np.float64([1, 2]), np.float64([1, 2])),
        (np.matrix([[1, 2]]), np.int64([[1, 2]])),
        (Series([3, 4], [1, 0]), np.int64([3, 4])),
        (DataFrame([[1.0, 2.0]], [5], ["a", "b"]), np.float64([[1, 2]])),
        (jnp.ones(2), np.float32([1, 1])),
        (memoryview(np.int16([1, 2])), np.int16([1, 2])),
        (HALF.numpy(), HALF.numpy()),
        ([], np.float32([])),
    ],
)
def test_one_array(data: Any, expected: np.ndarray) -> None:
    found = arrays("run", data)
    assert type(found) is np.ndarray and found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "data",
    [
        {"a": [1, 2], "b": np.ones(2)},
        ([1, 2], [3, 4]),
        [np.ones(2), np.ones((2, 3))],
        [np.ones(2), [1, 2]],
        [Series([1, 2], [1, 0]), np.ones(2)],
        Pair([1, 2], (np.ones(1), [2])),
        ({"a": [1]}, [np.ones(1)]),
    ],
)
def test_several_arrays_keep_their_container(data: Any) -> None:
    found = arrays("run", data)
    assert type(found) is type(data)
    assert all(type(leaf) is np.ndarray for leaf in tree.leaves(found))
    assert len(tree.leaves(found)) == {dict: 2, Pair: 3}.get(type(data), 2)


@pytest.mark.parametrize("data", [nx.ones(2), HALF, nx.template((2, 3)), 3, 0.5, True, np.float32(1), None])
def test_what_stays_what_it_is(data: Any) -> None:
    assert arrays("run", data) is data


def test_memory_is_shared() -> None:
    x = np.ones(4)
    assert arrays("run", x) is x and np.shares_memory(arrays("run", memoryview(x)), x)


NA = type("NAType", (), {"__bool__": lambda self: 1 / 0, "__eq__": lambda self, other: self})()
STRINGS = "encode them as numbers"
SECONDS = 'np.timedelta64(1, "s")'


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (["a", "b"], DTypeError, f"expected numbers as x, got strings such as 'a'; {STRINGS}"),
        (np.array(["a"], np.dtypes.StringDType()), DTypeError, f"got strings such as 'a'; {STRINGS}"),
        ([b"a"], DTypeError, f"got strings such as \"b'a'\"; {STRINGS}"),
        ("text", DTypeError, f"got strings such as 'text'; {STRINGS}"),
        (np.array([[1, "m"], [2, "f"]], object), DTypeError, f"got strings such as 'm' in column 1; {STRINGS}"),
        (DataFrame(np.array([[1, "m"]], object), [0], ["age", "sex"]), DTypeError, "such as 'm' in column 'sex'"),
        (np.array([1, 2.5], object), DTypeError, 'got objects; write .astype("float32")'),
        (np.array([1, None], object), DTypeError, "got missing values; fill them, or drop their rows"),
        (np.array([1, np.nan], object), DTypeError, "got missing values"),
        (np.array([[True, NA]], object), DTypeError, "got missing values in column 1"),
        (np.array([np.ones(2), np.ones(3)], object), DTypeError, "got arrays inside an array; np.stack joins "),
        (np.array(["2020-01-01"], "M8[D]"), DTypeError, f"got dates; write (t - t.min()) / {SECONDS}"),
        ([datetime.datetime(2020, 1, 1)], DTypeError, "got dates; write (t"),
        (np.array([1], "m8[s]"), DTypeError, f"got durations; write t / {SECONDS}"),
        ([datetime.timedelta(1)], DTypeError, f"got durations; write t / {SECONDS}"),
        ([1j], DTypeError, "got complex numbers; stack their .real and .imag"),
        (np.ones(2, np.longdouble), DTypeError, 'got floats of more than 64 bits; write .astype("float64")'),
        (np.zeros(2, [("a", "f4")]), DTypeError, "got records; stack their fields along a last axis"),
        ([SimpleNamespace()], DTypeError, "got objects; "),
        ([[1, 2], [3]], ShapeError, "expected rows of one length, got [[1, 2], [3]]; pad them"),
        ((i for i in range(3)), TypeError, "expected arrays, got a generator; go through it, and pass the arr"),
        ({1, 2}, TypeError, "expected arrays, got a set; go through it"),
        (zip([1], [2]), TypeError, "expected arrays, got a zip; go through it"),
        (scipy.sparse.csr_matrix(np.eye(2)), TypeError, "expected an array, got a sparse csr_matrix; write .toarray()"),
        (np.ma.array([1, 2], mask=[0, 1]), TypeError, "expected an array, got a masked one; write .filled(value)"),
    ],
)  # fmt: skip
def test_what_is_refused(data: Any, error: type[Exception], text: str) -> None:
    for given in (data, {"a": data}):
        with pytest.raises(error) as caught:
            arrays("run", given)
        assert str(caught.value).startswith("run: ") and text in str(caught.value)


def test_labels_that_are_strings() -> None:
    for labels in (["a", "b"], np.array(["a", "b"], object), Series(["a", "b"], [0, 1])):
        with pytest.raises(
            DTypeError, match=r"as y, got strings such as 'a'; write classes, y = np.unique\(labels, return"
        ):
            arrays("run", labels, "y")


def test_an_array_that_cannot_be_had_says_why() -> None:
    class Far:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise RuntimeError("it is on another device")

    with pytest.raises(
        TypeError, match=r"^run: expected an array, got a Far that gives none \(it is on another device\)"
    ):
        arrays("run", Far())
