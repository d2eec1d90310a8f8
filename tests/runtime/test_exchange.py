"""DLPack in and out: memory shared, lifetimes kept, what does not fit refused."""

import ctypes
import gc
import subprocess
import sys
import weakref
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from axon import _core, _exchange, dtypes, nx
from axon.errors import DTypeError

DTYPES = [d.name for d in dtypes.ALL if hasattr(np, d.name)]  # NumPy exports what it defines


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_goes_in_and_out_without_a_copy(dtype: str) -> None:
    array = np.ones((2, 3), dtype)
    buffer, name, shape, strides = _exchange.from_dlpack(array)
    assert (name, shape, strides) == (dtype, (2, 3), None)
    assert buffer.address == array.ctypes.data and buffer.nbytes == array.nbytes
    back = np.from_dlpack(_exchange.to_dlpack(buffer, dtype, (2, 3)))
    assert back.ctypes.data == array.ctypes.data and back.dtype == array.dtype
    array[1, 2] = 0
    assert back[1, 2] == 0


def test_the_array_lives_as_long_as_the_buffer() -> None:
    class Watched(np.ndarray):
        pass

    array = np.arange(4, dtype="float32").view(Watched)
    gone = weakref.ref(array)
    buffer = _exchange.from_dlpack(array)[0]
    del array
    gc.collect()
    assert np.frombuffer(buffer, "float32").tolist() == [0, 1, 2, 3]
    del buffer
    gc.collect()
    assert gone() is None


def test_an_exported_buffer_lives_and_is_counted() -> None:
    buffer = _core.Buffer(16)
    np.frombuffer(buffer, "float32")[:] = 1
    array = np.from_dlpack(_exchange.to_dlpack(buffer, "float32", (4,)))
    gc.collect()
    assert buffer.exports == 1 and not buffer.donatable
    kept = buffer.address
    del buffer
    assert array.ctypes.data == kept and array.sum() == 4
    buffer = _core.Buffer(16)
    _exchange.to_dlpack(buffer, "float32", (2, 2))
    assert buffer.exports == 0


def test_read_only_arrays_come_in_read_only() -> None:
    array = np.arange(3)
    array.flags.writeable = False
    buffer = _exchange.from_dlpack(array)[0]
    assert buffer.readonly and buffer.address == array.ctypes.data
    assert not np.from_dlpack(_exchange.to_dlpack(buffer, "int64", (3,))).flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        np.frombuffer(buffer, "int64")[0] = 1


def test_bfloat16_travels_as_its_bits() -> None:
    array = np.array([1.5, -2], ml_dtypes.bfloat16)
    buffer, name, shape, strides = _exchange.from_dlpack(array)
    assert (name, shape, strides) == ("bfloat16", (2,), None) and buffer.address == array.ctypes.data


def test_strides_are_told_where_an_array_is_not_dense() -> None:
    array = np.arange(12, dtype="int32").reshape(3, 4)
    buffer, _, shape, strides = _exchange.from_dlpack(array.T)
    assert (shape, strides, buffer.nbytes) == ((4, 3), (1, 4), 48)
    buffer, _, shape, strides = _exchange.from_dlpack(array[:, ::2])
    assert (shape, strides, buffer.nbytes) == ((3, 2), (4, 2), 44)
    with pytest.raises(ValueError, match="negative strides"):
        _exchange.from_dlpack(array[::-1])
    assert _exchange.from_dlpack(np.zeros((3, 0, 2)))[2:] == ((3, 0, 2), None)
    assert _exchange.from_dlpack(np.float32(2) * np.ones(()))[2:] == ((), None)


def test_what_cannot_be_exchanged_is_refused() -> None:
    with pytest.raises(TypeError, match="DLPack"):
        _exchange.from_dlpack([1, 2])
    with pytest.raises(TypeError):
        _exchange.from_dlpack(np.array(["text"]))
    buffer = _core.Buffer(16)
    for dtype, shape in [("float32", (5,)), ("float32", (-4,)), ("text", (4,)), ("float64", (2**62, 8))]:
        with pytest.raises(ValueError, match="to_dlpack"):
            _exchange.to_dlpack(buffer, dtype, shape)
    buffer.donate("a call")
    with pytest.raises(RuntimeError, match="donated to a call"):
        _exchange.to_dlpack(buffer, "float32", (4,))


def test_a_view_that_returns_itself_is_asked_for_once() -> None:
    text = """
from axon import _exchange
class Itself:
    dtype = "bfloat16"
    def view(self, _): return self
try:
    _exchange.from_dlpack(Itself())
except TypeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
    assert "of dtype bfloat16" in done.stdout, done.stderr


@pytest.mark.parametrize("dtype", [ml_dtypes.float8_e5m2, "longdouble", ">f4"])
def test_a_dtype_that_cannot_be_exchanged_is_named(dtype: Any) -> None:
    with pytest.raises(TypeError, match=f"ndarray.* of dtype {np.dtype(dtype)}.*convert"):
        _exchange.from_dlpack(np.ones(3, dtype))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("function", [_exchange.from_dlpack, nx.from_dlpack])
def test_a_dtype_that_we_have_not_is_refused(function: Any, dtype: str) -> None:
    with pytest.raises(DTypeError, match=f"^from_dlpack: expected a dtype of axon .*, got {dtype}; convert"):
        function(np.ones(3, dtype))
    with pytest.raises(ValueError, match=f"unknown dtype {dtype}"):
        _exchange.to_dlpack(_core.Buffer(16), dtype, (1,))


def test_an_exporter_that_misbehaves_is_refused() -> None:
    class Interrupted:
        def __dlpack__(self, **_: object) -> object:
            raise KeyboardInterrupt

    class Attached:
        def __dlpack__(self) -> object:
            raise RuntimeError("it has a gradient")

    with pytest.raises(KeyboardInterrupt):
        _exchange.from_dlpack(Interrupted())
    with pytest.raises(TypeError, match="it has a gradient"):
        _exchange.from_dlpack(Attached())


@pytest.mark.parametrize("value", [None, 3, b"", "text", object()])
def test_what_is_no_array_is_named(value: Any) -> None:
    if isinstance(value, bytes):  # a buffer
        assert _exchange.from_dlpack(value)[1:3] == ("uint8", (0,))
        return
    with pytest.raises(TypeError, match=f"^from_dlpack: expected an array .*{type(value).__name__}"):
        _exchange.from_dlpack(value)


class Managed(ctypes.Structure):
    """A DLManagedTensor of dlpack.h, as libraries from before versions export."""

    _fields_ = [
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p),
    ]  # fmt: skip


def exported(memory: np.ndarray, shape: tuple[int, ...], byte_offset: int, strides: tuple[int, ...] | None) -> Any:
    """float32 of this shape that begins so many bytes into the memory, as a capsule that owns nothing."""
    made = Managed(memory.ctypes.data, 1, 0, len(shape), 2, 32, 1, byte_offset=byte_offset)
    made.shape = (ctypes.c_int64 * len(shape))(*shape)
    if strides is not None:
        made.strides = (ctypes.c_int64 * len(shape))(*strides)
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    capsule = new(ctypes.addressof(made), b"dltensor", None)
    KEPT.append((made, memory))
    return capsule


KEPT: list[Any] = []


@pytest.mark.parametrize(
    ("shape", "offset", "strides", "values"),
    [
        ((3,), 0, None, [0, 1, 2]),
        ((3,), 12, None, [3, 4, 5]),
        ((2, 2), 4, None, [[1, 2], [3, 4]]),
        ((2, 2), 8, (1, 3), [[2, 5], [3, 6]]),
        ((3, 1), 4, (3, 77), [[1], [4], [7]]),
        ((), 8, None, 2),
        ((0, 3), 12, None, []),
    ],
)
def test_memory_that_begins_at_an_offset(shape: Any, offset: int, strides: Any, values: Any) -> None:
    memory = np.arange(10, dtype="f4")
    found = nx.from_dlpack(exported(memory, shape, offset, strides))
    assert found.shape == shape and found.tolist() == values
    if found.size:
        assert found.numpy().ctypes.data == memory.ctypes.data + offset


def test_torch_both_ways() -> None:
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool):
        tensor = torch.ones((2, 3), dtype=dtype)
        buffer, name, shape, strides = _exchange.from_dlpack(tensor)
        assert (f"torch.{name}", shape, strides) == (str(dtype), (2, 3), None) and buffer.address == tensor.data_ptr()
        back = torch.from_dlpack(_exchange.to_dlpack(buffer, name, shape))
        assert back.dtype == dtype and back.data_ptr() == tensor.data_ptr()


def test_what_torch_does_not_export_is_refused() -> None:
    """Its own words reach the user; of the negative bit torch says nothing, and exports the memory without it."""
    torch = pytest.importorskip("torch")
    z = torch.tensor([1 + 2j, 3 - 4j])
    learned = torch.ones(3, requires_grad=True)
    for tensor, said in (
        (z.conj(), "conjugate bit"),
        (z.conj().imag, "resolve_neg"),
        (learned, "detach"),
        (torch.nn.Parameter(torch.ones(3)), "detach"),
        (torch.eye(2).to_sparse(), "strided"),
        (torch.ones(2).to(torch.float8_e5m2), "float8_e5m2"),
    ):
        for take in (nx.from_dlpack, nx.asarray, nx.tensor):
            with pytest.raises(TypeError, match=f"^from_dlpack: expected .*{said}"):
                take(tensor)
    assert nx.from_dlpack(z.conj().imag.resolve_neg()).tolist() == [-2, 4]
    assert nx.from_dlpack(learned.detach(), copy=False).numpy().ctypes.data == learned.data_ptr()


def test_jax_shares_our_memory() -> None:
    """JAX copies what is not aligned to 64 bytes."""
    jnp = pytest.importorskip("jax.numpy")
    for size in (1, 3, 10, 1000):
        for x in (nx.tensor([1.0] * size), nx.ones(size) + 1):
            assert jnp.from_dlpack(x).unsafe_buffer_pointer() == x.numpy().ctypes.data


@pytest.mark.parametrize("shape", [2.0, np.float32(2), 2.5, None, 2j, "2", 2**70])
def test_a_shape_is_made_of_integers(shape: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        _exchange.to_dlpack(_core.Buffer(8), "float32", (shape,))
    assert np.from_dlpack(_exchange.to_dlpack(_core.Buffer(8), "float32", (2,))).shape == (2,)
