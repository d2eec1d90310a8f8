"""The NumPy backend: what it takes as data, what it gives, and that nothing leaks out of it."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import warnings
from importlib.util import find_spec

import numpy as np
import pytest
from axon import config, nx
from axon.backends.array_api import ArrayBackend
from axon.defn import grad, jit, vjp
from axon.errors import AxonError, TraceError
from axon.nx.core.call import call
from axon.nx.core.op import TABLE
from axon.nx.core.tensor import Tensor

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
        nx.tensor([1.0], "float16") * 1e10


def test_half_floats_are_rounded_once_an_op():
    x = nx.tensor([1.0, 2049.0], "float16")
    assert (x + 0.0004).tolist() == [1.0, 2048.0]
    assert nx.sum(nx.full((3000,), 1.0, "bfloat16")).item() == 3008.0  # 3000 is summed exactly, then rounded


@pytest.mark.parametrize(
    ("op", "operands", "wide"),
    [("flip", "x", False), ("take", "xi", False), ("scatter", "xix", False), ("sum", "x", True)],
)
def test_a_table_of_halves_is_widened_for_arithmetic_alone(op, operands, wide):
    """What only moves elements converts none: a table that is read at some rows has far more."""
    seen = []
    row = dataclasses.replace(TABLE[op], eager=lambda xp, x, *others, **attrs: seen.append(x.dtype) or x)
    given = {"x": nx.ones(3, dtype="bfloat16"), "i": nx.tensor([2, 0, 1])}
    call(row, [given[o] for o in operands], {"axis": 0, **({"keepdims": True} if row.kind.reduces else {})})
    assert seen == [(nx.float32 if wide else nx.bfloat16).numpy]


def test_tensors_of_several_backends_do_not_mix():
    other = ArrayBackend("other", np)
    x = Tensor(nx.template(2), other, np.ones(2, np.float32))
    with pytest.raises(AxonError, match="backend_transfer"):
        nx.ones(2) + x
    assert (x + 1).backend is other


OTHER = ArrayBackend("other", np)
INDICES = [[0, 1], [1, 0], [0, 0]]
ELSEWHERE = {  # functions of a float32[3,2] and int32[3,2] that make tensors on their way
    "tril": lambda x, i: nx.tril(x),
    "zeros_like": lambda x, i: nx.zeros_like(x),
    "subscript": lambda x, i: x[[0, 1]],
    "set": lambda x, i: x.at[0].set(np.ones(2)),
    "add": lambda x, i: x.at[[0, 0]].add(1.0),
    "take_along_axis": lambda x, i: nx.take_along_axis(x, i),
    "put_along_axis": lambda x, i: nx.put_along_axis(x, i, 1.0),
    "window_mean": lambda x, i: nx.window_mean(x, window=(2, 2), padding="same", count_include_pad=False),
    "window_norm": lambda x, i: nx.window_norm(x, window=(2, 2), padding="same"),
    "array": lambda x, i: np.ones(2) + x,
    "stack": lambda x, i: nx.stack([np.ones((3, 2), "float32"), x]),
    "meshgrid": lambda x, i: nx.meshgrid([1, 2], x[0])[0],
    "rows_of_arrays": lambda x, i: nx.where(np.ones(2, bool), x, np.ones(2)),
    "grad_take": lambda x, i: grad(lambda x: nx.sum(nx.take(x, i[:, 0], axis=0)))(x),
    "grad_pad": lambda x, i: grad(lambda x: nx.sum(nx.pad(x, 1, 1.0)))(x),
    "grad_scatter": lambda x, i: grad(lambda x: nx.sum(nx.put_along_axis(x, i, x, add=True) * np.ones(2)))(x),
    "vjp": lambda x, i: vjp(nx.sum, x)[1](1.0)[0],
    "gradients_of_numbers": lambda x, i: grad(lambda x, y: nx.sum(x * y), (0, 1))(x, 2.0)[1],
    "pickle": lambda x, i: pickle.loads(pickle.dumps(x)),
    "deepcopy": lambda x, i: copy.deepcopy(x),
    "tensor": lambda x, i: nx.tensor(x),
    "to_device": lambda x, i: nx.zeros(2).to_device(x.device),
}
PLACED = {
    "zeros": lambda device: nx.zeros(2, device=device),
    "full": lambda device: nx.full((2,), 1.5, device=device),
    "ones_like": lambda device: nx.ones_like(nx.zeros(2), device=device),
    "eye": lambda device: nx.eye(2, device=device),
    "arange": lambda device: nx.arange(3, device=device),
    "linspace": lambda device: nx.linspace(0, 1, 3, device=device),
    "asarray": lambda device: nx.asarray([1, 2], device=device),
    "asarray of a tensor": lambda device: nx.asarray(nx.ones(2), device=device),
    "tensor": lambda device: nx.tensor(nx.ones(2), device=device),
    "from_dlpack": lambda device: nx.from_dlpack(np.ones(2), device=device),
}


@pytest.fixture
def other(monkeypatch):
    monkeypatch.setitem(config._loaders, ("backend", "other"), lambda: OTHER)
    monkeypatch.setitem(config._loaded, ("backend", "other"), OTHER)
    return OTHER


@pytest.mark.parametrize("function", ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_is_made_on_the_way_is_where_the_operands_are(other, function):
    here = nx.arange(6, dtype="float32").reshape((3, 2)), nx.tensor(INDICES)
    there = [nx.backend_transfer(t, "other") for t in here]
    found = function(*there)
    assert found.backend is other
    np.testing.assert_array_equal(found.numpy(), function(*here).numpy())


def test_random_numbers_are_where_the_key_is(other):
    for draw in (nx.random.split, nx.random.normal, lambda k: nx.random.randint(k, 3, 0, 9), nx.random.bernoulli):
        key = nx.random.key(0)
        found = draw(nx.backend_transfer(nx.random.fold_in(key, 1), "other"))
        assert found.backend is other
        np.testing.assert_allclose(found.numpy(), draw(nx.random.fold_in(key, 1)).numpy(), rtol=1e-6)


@pytest.mark.parametrize("make", PLACED.values(), ids=PLACED)
def test_device_says_where(other, make):
    assert make("other").backend is other and make(None).backend is NUMPY
    assert make("other").tolist() == make(None).tolist()


def test_evaluate_runs_on_the_default_backend(other, monkeypatch):
    monkeypatch.setattr(config, "default_backend", "other")
    assert jit(lambda x: nx.tril(x) + np.ones(2), compiler="evaluate")(nx.ones((2, 2))).backend is other


class Far:
    """An array of a device whose memory NumPy does not see: CuPy's, as far as DLPack goes."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.dtype, self.shape = values, values.dtype, values.shape

    def __dlpack__(self, **options: object) -> str:
        return f"capsule of {self.values.tolist()}, {options}"

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 7

    def copy(self) -> Far:
        return Far(self.values.copy())

    def __array__(self, *_: object, **__: object) -> None:
        raise TypeError("it would go through the memory of the CPU")


class FarNamespace:
    ndarray = Far

    @staticmethod
    def asarray(x: object) -> Far:
        return x if isinstance(x, Far) else Far(np.asarray(x))

    @staticmethod
    def from_dlpack(x: Far) -> Far:
        return Far(x.values)

    @staticmethod
    def array(x: object, copy: bool, order: str) -> Far:
        return FarNamespace.asarray(x).copy()


@pytest.fixture
def far(monkeypatch):
    backend = ArrayBackend("far", FarNamespace)
    monkeypatch.setitem(config._loaded, ("backend", "far"), backend)
    monkeypatch.setitem(config._loaders, ("backend", "far"), lambda: backend)
    return backend


@pytest.mark.parametrize("make", [nx.from_dlpack, nx.asarray, nx.tensor])
def test_memory_of_another_device_stays_there(far, make):
    """It is taken and given by the array library of that device, and never goes through the CPU's."""
    source = Far(np.array([1, 2], "f4"))
    x = make(source, device="far")
    assert x.backend is far and x.type == nx.template(2) and x.data.values.tolist() == [1, 2]
    assert np.shares_memory(x.data.values, source.values) == (make is not nx.tensor)
    assert x.__dlpack_device__() == (2, 7) and x.__dlpack__(stream=1) == "capsule of [1.0, 2.0], {'stream': 1}"
    again = nx.tensor(x)
    assert again.backend is far and not np.shares_memory(again.data.values, x.data.values)


def test_memory_of_the_cpu_is_copied_to_another_device(far):
    x = nx.from_dlpack(np.array([1, 2], "f4"), device="far")
    assert x.backend is far and x.data.values.tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"^from_dlpack: expected memory of 'far', got the CPU's; leave copy out"):
        nx.from_dlpack(np.ones(2), device="far", copy=False)


def test_a_traced_tensor_is_not_exported():
    for leave in (lambda x: x.__dlpack__(), lambda x: x.__dlpack_device__()):
        with pytest.raises(TraceError, match="expected a concrete tensor"):
            jit(leave)(nx.ones(2))


@pytest.mark.skipif(find_spec("cupy") is not None, reason="CuPy is installed")
def test_without_cupy():
    with pytest.raises(ImportError, match=r"axon-nx\[cuda\]"):
        nx.backend_transfer(nx.ones(2), "cupy")


def test_every_result_has_the_promised_type():
    y = TABLE["argmax"].function(nx.ones((2, 3)), axis=1)
    assert y.data.dtype == np.int32 and isinstance(nx.sum(nx.ones(2)).data, np.ndarray)


def test_constant():
    assert NUMPY.constant(True, nx.template(2, "float32")).tolist() == [1.0, 1.0]


@pytest.mark.gpu
def test_cupy_gives_the_same():
    x = nx.backend_transfer(nx.arange(6).reshape((2, 3)), "cupy")
    assert nx.backend_transfer(nx.sum(x * 2, axis=0), "numpy").tolist() == [6, 10, 14]
