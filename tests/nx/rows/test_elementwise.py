"""Python's round and divmod of tensors."""

import numpy as np
import pytest
from axon import nx
from axon.defn import jit


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_round_to_decimals(dtype):
    x = nx.tensor([1.236, -0.125, 1250.0, 3e4, nx.inf, -nx.nan], dtype)
    wide = x.numpy().astype("float64")
    for digits in (2, 0, -2):
        got = round(x, digits)
        assert got.dtype is x.dtype
        want = np.array([round(v, digits) if np.isfinite(v) else v for v in wide.tolist()]).astype(x.dtype.numpy)
        np.testing.assert_array_equal(got.numpy().astype("float64"), want.astype("float64"))
    np.testing.assert_array_equal(round(x, 400).numpy().astype("float64"), wide)  # no overflow
    assert round(nx.tensor(2.5)).item() == 2 and round(nx.tensor([7]), 2).tolist() == [7]
    compiled = jit(lambda x: round(x, 2), compiler="evaluate")(x)
    np.testing.assert_array_equal(compiled.astype("float64"), round(x, 2).astype("float64"))


def test_divmod():
    x = nx.tensor([7.0, -7.0])
    for got, want in ((divmod(x, 4), divmod(x.numpy(), 4)), (divmod(9, x), divmod(9, x.numpy()))):
        np.testing.assert_array_equal(got, want)
