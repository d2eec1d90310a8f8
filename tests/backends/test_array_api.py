"""The NumPy backend: what it takes as data, what it gives, and that nothing leaks out of it."""

import warnings

import numpy as np
import pytest
from axon import config, nx
from axon.backends.array_api import ArrayBackend
from axon.errors import AxonError
from axon.nx.op import TABLE
from axon.nx.tensor import Tensor

NUMPY = config.lookup("backend", "numpy")


@pytest.mark.parametrize("dtype", [nx.float32, nx.bfloat16, nx.bool, nx.int64], ids=str)
@pytest.mark.parametrize("shape", [(2, 3), (), (0, 3)])
def test_data_with_the_buffer_protocol_is_viewed(dtype, shape):
    array = np.ones(shape, dtype.numpy)
    memory = bytearray(array.tobytes())
    x = Tensor(nx.template(shape, dtype), NUMPY, memory)
    np.testing.assert_array_equal(x.numpy(), array)
    assert (x == 1).numpy().all() and nx.reshape(x, (-1,) if array.size else (0,)).size == array.size


def test_no_warning_leaks():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zero = nx.zeros(1)
        for f in (
            nx.log,
            nx.reciprocal,
            nx.rsqrt,
            lambda x: x / x,
            lambda x: nx.exp(x + 1000),
            lambda x: x.astype("int8") // 0,
        ):
            f(zero)
        (nx.full((1,), 1e30) * 1e30).astype("float16").astype("int32")


def test_half_floats_are_rounded_once_an_op():
    x = nx.tensor([1.0, 2049.0], "float16")
    assert (x + 0.0004).tolist() == [1.0, 2048.0]
    assert nx.sum(nx.full((3000,), 1.0, "bfloat16")).item() == 3008.0  # 3000 is summed exactly, then rounded


def test_tensors_of_several_backends_do_not_mix():
    other = ArrayBackend("other", np)
    x = Tensor(nx.template(2), other, np.ones(2, np.float32))
    with pytest.raises(AxonError, match="backend_transfer"):
        nx.ones(2) + x
    assert (x + 1).backend is other


def test_every_result_has_the_promised_type():
    y = TABLE["argmax"].function(nx.ones((2, 3)), axis=1)
    assert y.data.dtype == np.int32 and isinstance(nx.sum(nx.ones(2)).data, np.ndarray)


def test_constant():
    assert NUMPY.constant(True, nx.template(2, "float32")).tolist() == [1.0, 1.0]


@pytest.mark.gpu
def test_cupy_gives_the_same():
    pytest.importorskip("cupy")
    x = nx.backend_transfer(nx.arange(6).reshape((2, 3)), "cupy")
    assert nx.backend_transfer(nx.sum(x * 2, axis=0), "numpy").tolist() == [6, 10, 14]
