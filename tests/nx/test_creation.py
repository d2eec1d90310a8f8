"""Tensors out of values and nothing, and the way back: numpy, DLPack, Python."""

import array
import copy
import pickle
import sys
from decimal import Decimal
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from axon import dtypes, nx
from axon.defn import jit, scan
from axon.errors import DTypeError, ShapeError, TraceError


def test_defaults_of_python_values():
    assert nx.tensor(1).dtype is nx.int32 and nx.tensor(1.0).dtype is nx.float32 and nx.tensor(True).dtype is nx.bool
    assert nx.tensor([[1, 2.5]]).dtype is nx.float32
    assert nx.tensor([]).type == nx.template((0,))
    assert nx.tensor(np.ones(2)).dtype is nx.float64
    assert nx.tensor([1, 2], "uint8").dtype is nx.uint8


def test_tensor_copies_and_asarray_shares():
    array = np.zeros(3, np.float32)
    copied, shared = nx.tensor(array), nx.asarray(array)
    array[0] = 1
    assert copied.tolist() == [0, 0, 0] and shared.tolist() == [1, 0, 0]
    assert nx.asarray(array, copy=True).tolist() == [1, 0, 0]
    with pytest.raises(ValueError, match="shared"):
        nx.asarray([1.0], copy=False)
    with pytest.raises(DTypeError, match="copy"):
        nx.asarray(nx.ones(2), "int32", copy=False)
    with pytest.raises(ValueError, match="read-only"):
        shared.numpy()[0] = 5


def test_arrays_of_any_layout():
    x = np.arange(12.0).reshape(3, 4)
    for view in (x.T, x[::-1, ::2], x.astype(">f8"), np.asfortranarray(x), np.broadcast_to(x[0], (2, 4))):
        np.testing.assert_array_equal(nx.tensor(view).numpy(), view)
        np.testing.assert_array_equal((nx.asarray(view) + 1).numpy(), view + 1)


@pytest.mark.parametrize("dtype", [nx.float32, nx.bfloat16, nx.bool, nx.int64], ids=str)
@pytest.mark.parametrize("shape", [(2, 3), (), (0, 3)])
def test_dlpack(dtype, shape):
    torch = pytest.importorskip("torch")
    source = torch.ones(shape, dtype=getattr(torch, dtype.name))
    for ours in (nx.from_dlpack(source), nx.asarray(source), nx.tensor(source)):
        assert ours.type == nx.template(shape, dtype) and ours.tolist() == source.tolist()
    back = torch.from_dlpack(nx.from_dlpack(source))
    assert back.dtype == source.dtype and back.tolist() == source.tolist()
    if source.numel():
        assert back.data_ptr() == source.data_ptr()
    if dtype is not nx.bfloat16:
        assert np.from_dlpack(nx.asarray(source)).tolist() == source.tolist()


def test_dlpack_shares_and_views():
    torch = pytest.importorskip("torch")
    source = torch.arange(6.0).reshape(2, 3)
    shared, copied, turned = nx.from_dlpack(source), nx.from_dlpack(source, copy=True), nx.from_dlpack(source.T)
    source[0, 0] = 9
    assert shared.tolist() == source.tolist() and turned.tolist() == source.T.tolist() and copied.tolist()[0][0] == 0
    assert torch.from_dlpack(shared.T).tolist() == source.T.tolist()
    assert not np.from_dlpack(nx.tensor([1, 2])).flags.writeable
    assert nx.asarray(source, copy=False).tolist() == source.tolist()
    with pytest.raises(TypeError, match="DLPack"):
        nx.from_dlpack(3)


def test_python_and_numpy_protocols():
    x = nx.tensor([[1, 2], [3, 4]])
    assert len(x) == 2 and [r.tolist() for r in x] == [[1, 2], [3, 4]]
    assert int(nx.tensor(3)) == 3 and float(nx.tensor(2.5)) == 2.5 and [5, 6, 7][nx.tensor(1)] == 6
    assert bool(nx.tensor([True])) and not nx.tensor(0)
    assert np.asarray(x, dtype=float).dtype == float
    assert x.__array_namespace__() is nx
    assert (np.ones((2, 2)) * x).tolist() == [[1, 2], [3, 4]] and isinstance(np.ones((2, 2)) * x, nx.Tensor)
    assert {x: 1}[x] == 1
    assert (nx.tensor(1) == None) is False  # noqa: E711
    back = pickle.loads(pickle.dumps(nx.rename(x, ["a", None])))
    assert back.tolist() == x.tolist() and back.names == ("a", None)


@pytest.mark.parametrize("dtype", [d.name for d in dtypes.ALL])
def test_pickles_share_memory_out_of_band(dtype):
    """One buffer a tensor, of its size, and none of its values within the pickle."""
    x = nx.rename(nx.arange(6000).reshape((2, 3000)).astype(dtype), [None, "n"])
    sent: list[pickle.PickleBuffer] = []
    text = pickle.dumps(x, protocol=5, buffer_callback=sent.append)
    assert [b.raw().nbytes for b in sent] == [x.nbytes] and len(text) < 500
    memory = [np.frombuffer(b.raw(), "u1").copy() for b in sent]
    back = pickle.loads(text, buffers=memory)
    assert back.type == x.type and back.tolist() == x.tolist()
    assert np.shares_memory(back.numpy(), memory[0])
    for protocol in range(2, 6):
        back = pickle.loads(pickle.dumps(x, protocol))
        assert back.type == x.type and back.tolist() == x.tolist()
    assert copy.deepcopy(x).tolist() == x.tolist() and not np.shares_memory(copy.deepcopy(x).numpy(), x.numpy())


def test_pickles_of_odd_tensors():
    for x in (
        nx.tensor(1.5, "bfloat16"),
        nx.zeros((0, 3), "float16"),
        nx.arange(6).reshape((2, 3)).mT,
        nx.ones((2, 2)),
    ):
        sent: list[pickle.PickleBuffer] = []
        back = pickle.loads(pickle.dumps(x, 5, buffer_callback=sent.append), buffers=sent)
        assert back.type == x.type and back.tolist() == x.tolist() and len(sent) == 1


def test_python_protocol_errors():
    with pytest.raises(ShapeError, match="one element"):
        bool(nx.ones(2))
    with pytest.raises(ShapeError, match="one element"):
        nx.ones(2).item()
    with pytest.raises(TypeError, match="with axes"):
        len(nx.tensor(1))
    with pytest.raises(TypeError, match="integer of rank 0"):
        [1][nx.tensor(0.0)]
    with pytest.raises(TypeError):
        nx.ones(2) + "a"


def test_traced_tensors_have_no_values():
    for use in (bool, float, int, np.asarray, lambda x: x.item(), lambda x: [0][x.astype("int32")]):
        with pytest.raises(TraceError, match="traced"):
            jit(lambda x, use=use: use(x), compiler="evaluate")(nx.tensor(1.0))


def test_bad_data():
    with pytest.raises(ShapeError, match="equal lengths"):
        nx.tensor([[1], [2, 3]])
    with pytest.raises(DTypeError, match="stack"):
        nx.tensor([nx.ones(2), None])
    with pytest.raises(DTypeError, match="expected numbers, got 1j"):
        nx.tensor(1j)
    with pytest.raises(DTypeError):
        nx.tensor(["a"])


def test_filled():
    assert nx.zeros((2, 0)).shape == (2, 0) and nx.ones(3, "int8").dtype is nx.int8
    assert nx.full((2,), 7).type == nx.template(2, "int32") and nx.full((2,), nx.tensor(1.5)).tolist() == [1.5, 1.5]
    assert nx.zeros_like(nx.ones(2, "uint8")).type == nx.template(2, "uint8")
    assert nx.full_like(nx.ones(2), 3).tolist() == [3.0, 3.0] and nx.ones_like([1, 2], dtype="bool").tolist() == [
        True,
        True,
    ]
    assert nx.full((), True, "float32").item() == 1.0
    with pytest.raises(ShapeError, match="non-negative"):
        nx.zeros(-1)
    with pytest.raises(TypeError, match="integer"):
        nx.zeros((2.0,))


class Wrapped:
    """Another library's array, by __array__ alone."""

    def __array__(self, dtype=None, copy=None):
        return np.ones(2)


@pytest.mark.parametrize(
    "data, dtype",
    [
        (memoryview(np.ones(2)), nx.float64),
        (array.array("d", [1, 1]), nx.float64),
        (array.array("q", [2**40]), nx.int64),
        (bytearray(b"ab"), nx.uint8),
        (Wrapped(), nx.float64),
        (np.float64(0.1), nx.float64),
        (range(3), nx.int32),
        ([np.float64(0.1)], nx.float32),
    ],
)
def test_what_has_a_dtype_keeps_it(data, dtype):
    for ours in (nx.tensor(data), nx.asarray(data), jit(lambda: nx.asarray(data))(), nx.flatten(data)):
        assert ours.dtype is dtype
    np.testing.assert_array_equal(nx.tensor(data).numpy(), np.asarray(data).astype(dtype.numpy))


@pytest.mark.parametrize("data", [memoryview(np.ones(2, np.float32)), np.ones(0), np.ones((2, 2)).T])
def test_memory_that_is_shared(data):
    assert nx.asarray(data, copy=False).tolist() == np.asarray(data).tolist()


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        ([1.0], None), (1.0, None), (np.ones(2, ">f4"), None), (np.ones(2, "f4"), "float64"),
        (np.ones(0, "f4"), "float64"), (np.ones((), "f4"), "float16"), (range(3), None),
    ],
)  # fmt: skip
def test_memory_that_cannot_be_shared_is_refused(data, dtype):
    with pytest.raises((ValueError, DTypeError), match="leave copy out"):
        nx.asarray(data, dtype, copy=False)
    assert nx.asarray(data, dtype).shape == np.shape(data)


def test_memory_that_is_given():
    x = nx.tensor([1.0, 2.0])
    assert x.__buffer__(0).tolist() == [1, 2] and x.__buffer__(0).readonly
    if sys.version_info >= (3, 12):
        assert memoryview(x).tolist() == [1, 2]
    made = np.from_dlpack(x, copy=True)
    assert made.tolist() == [1, 2] and not np.shares_memory(made, x.numpy())


def test_numpy_functions_take_the_values():
    x = nx.tensor([[1.0, 2.0], [3.0, 4.0]])
    for function in (np.sum, np.mean, np.std, np.max, np.prod, np.argmax, np.cumsum, np.median, np.linalg.norm):
        np.testing.assert_array_equal(function(x), function(x.numpy()))
    np.testing.assert_array_equal(np.sum(x, axis=0, keepdims=True), [[4, 6]])
    np.testing.assert_array_equal(np.concatenate([x, x], axis=1), np.concatenate([x.numpy()] * 2, axis=1))
    seen = []
    jit(lambda x: seen.append((np.shape(x), np.ndim(x), np.size(x))) or x)(x)
    assert seen == [((2, 2), 2, 4)]
    with pytest.raises(TraceError, match="traced"):
        jit(lambda x: np.sum(x))(x)


def test_integers_that_no_numpy_dtype_holds_together():
    assert nx.tensor([1, 2**63 + 1], "uint64").tolist() == [1, 2**63 + 1]
    assert nx.tensor([[2**70], [0]], "float32").tolist() == [[2.0**70], [0]]
    assert nx.tensor([2**70, 0.5]).tolist() == [2.0**70, 0.5]
    for odd in (Decimal("1.5"), Fraction(3, 2)):
        with pytest.raises(DTypeError, match="tensor: expected numbers, got"):
            nx.tensor([odd])
    for beyond in ([-1, 2**63], [2**70], 2**40):
        with pytest.raises(DTypeError, match="int32 holds"):
            nx.tensor(beyond)


@pytest.mark.parametrize(
    "made, want",
    [
        (lambda: nx.iota((2, 3)), np.arange(6, dtype=np.int32).reshape(2, 3)),
        (lambda: nx.iota((2, 3), -1, "int8"), np.array([[0, 1, 2]] * 2, np.int8)),
        (lambda: nx.iota((2, 0)), np.zeros((2, 0), np.int32)),
        (lambda: nx.iota(()), np.int32(0)),
        (lambda: nx.tril(nx.ones((2, 2), "bool")), np.tril(np.ones((2, 2), bool))),
        (lambda: nx.triu(nx.ones((2, 2), "bool")), np.triu(np.ones((2, 2), bool))),
        (lambda: nx.full(2, fill_value=3), np.full(2, 3, np.int32)),
        (lambda: nx.full_like(nx.ones(2), fill_value=3), np.full(2, 3, np.float32)),
        (lambda: nx.zeros(2, dtype=None), np.zeros(2, np.float32)),
    ],
)
def test_values_and_dtypes_of_what_is_made(made, want):
    for ours in (made(), jit(made)()):
        assert ours.dtype is nx.dtype(want.dtype)
        np.testing.assert_array_equal(ours.numpy(), want)


def test_namespace():
    info = nx.__array_namespace_info__()
    assert info.default_device() == nx.ones(1).device in info.devices() and nx.__array_api_version__ >= "2024.12"
    assert info.dtypes(kind="bool") == {"bool": nx.bool} and info.dtypes()["int8"] is nx.int8
    assert info.default_dtypes()["integral"] is nx.arange(2).dtype and not info.capabilities()["boolean indexing"]


@pytest.mark.parametrize(
    "call, error, said",
    [
        (lambda: nx.add("a", 1), DTypeError, "add: expected numbers, got 'a'"),
        (lambda: nx.sum({}), DTypeError, "sum: expected numbers, got {}"),
        (lambda: nx.mean(None), DTypeError, "mean: expected numbers, got None"),
        (lambda: nx.add(nx.ones(2), [1, [2]]), ShapeError, "add: expected lists of equal lengths"),
        (lambda: nx.zeros_like("a"), DTypeError, "zeros_like: expected numbers, got 'a'"),
        (lambda: nx.meshgrid([1], "a"), DTypeError, "meshgrid: expected numbers, got 'a'"),
        (lambda: nx.tril(nx.ones(2)), ShapeError, "tril: expected a matrix"),
        (lambda: nx.triu(nx.ones((2, 2)), k=0.5), TypeError, "triu: expected an integer for k"),
        (lambda: nx.can_cast("int8", "nothing"), DTypeError, "got 'nothing'"),
        (lambda: nx.arange(300, dtype="uint8"), DTypeError, "arange: .*uint8 holds"),
        (lambda: nx.linspace(0, 300, 3, dtype="uint8"), DTypeError, "linspace: .*uint8 holds"),
        (lambda: nx.tensor([1, 2]) == [1, 2], TypeError, "equal: .*got a list"),
        (lambda: () - nx.tensor([]), TypeError, "subtract: .*got a tuple"),
        (lambda: round(nx.ones(2), 0.5), TypeError, "round: expected an integer for digits"),
        (lambda: nx.zeros(2, device="nowhere"), ValueError, "backend: expected one of numpy"),
    ],
)
def test_errors_name_the_function(call, error, said):
    with pytest.raises(error, match=said):
        call()


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: nx.repeat(nx.ones(2), -1), "repeat: broadcast_to: expected a shape of non-negative sizes"),
        (lambda: nx.full(2, [1, 2, 3]), "full: broadcast_to: expected shapes that broadcast"),
        (lambda: nx.linspace(0, 1, -1), "linspace: iota: expected"),
        (lambda: nx.stack([nx.ones(2)], axis=5), "stack: expand_dims: expected"),
        (lambda: nx.ones(2).std(axis=1), "std: var: expected"),
        (lambda: nx.ones(3).at[0:2].set(nx.ones(3)), "at: broadcast_to: expected"),
        (lambda: nx.ones(3)["a"], "index: asarray: expected numbers, got 'a'"),
    ],
)
def test_errors_of_a_row_inside_name_the_function_first(call, said):
    with pytest.raises((ShapeError, DTypeError), match=f"^{said}"):
        call()


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda: nx.zeros((10**9, 10**10)), "full"),
        (lambda: nx.zeros((0, 10**30)), "full"),
        (lambda: nx.iota((10**9, 10**10)), "iota"),
        (lambda: nx.template((10**9, 10**10)), "template"),
        (lambda: nx.pad(nx.ones(3), 10**20), "pad"),
        (lambda: nx.tile(nx.ones((0, 1)), 10**20), "tile: broadcast_to"),
        (lambda: nx.reshape(nx.ones((0, 3)), (10**20, 0)), "reshape"),
        (lambda: nx.random.uniform(nx.random.key(0), (10**9, 10**10)), "uniform"),
        (lambda: jit(nx.matmul).lower(nx.template((2**31, 1)), nx.template((1, 2**31))), "matmul: dot_general"),
        (lambda: jit(lambda x: scan(lambda c, _: (c, c), x, length=2**42)).lower(nx.template(3)), "scan"),
    ],
)
def test_a_shape_that_no_memory_holds_is_refused_where_it_is_settled(call, name):
    with pytest.raises(ShapeError, match=rf"^{name}: expected a shape of at most 2\*\*43 elements, got \("):
        call()


def test_shapes_and_axes_may_be_tensors_of_rank_0():
    two = nx.tensor(2)
    assert nx.zeros(two).shape == nx.zeros(np.array(2)).shape == (2,)
    assert nx.sum(nx.ones((1, 2, 3)), axis=two).shape == nx.sum(nx.ones((1, 2, 3)), axis=np.array(2)).shape == (1, 2)
    assert nx.arange(nx.tensor(2.5)).tolist() == [0, 1, 2]
    with pytest.raises(TypeError, match=r"shape.*int32.* traced; shapes and axes are static"):
        jit(lambda n: nx.zeros(n))(3)


def test_eye_and_triangles():
    for n, m, k in [(3, None, 0), (2, 4, 1), (4, 2, -1)]:
        np.testing.assert_array_equal(nx.eye(n, m, k=k).numpy(), np.eye(n, m, k))
    x = np.arange(24.0).reshape(2, 3, 4)
    for k in (-1, 0, 2):
        np.testing.assert_array_equal(nx.tril(x, k=k).numpy(), np.tril(x, k))
        np.testing.assert_array_equal(nx.triu(x, k=k).numpy(), np.triu(x, k))


def test_names():
    x = nx.tensor(np.ones((2, 3)), names=["batch", None])
    assert (x + nx.ones(3)).names == ("batch", None)
    assert nx.sum(x, axis="batch").names is None and nx.sum(x, axis=1).names == ("batch",)
    assert nx.rename(x, {"batch": "row"}).names == ("row", None)
    assert str(x.type) == "float64[batch=2,3]"
    with pytest.raises(ShapeError, match="names that agree"):
        x + nx.tensor(np.ones((2, 3)), names=["time", None])
    with pytest.raises(ShapeError, match="distinct axis names"):
        nx.rename(x, ["a", "a"])
    with pytest.raises(ShapeError, match="axis named"):
        nx.sum(x, axis="time")


def test_bfloat16():
    x = nx.tensor(np.array([1.0, 3.0], ml_dtypes.bfloat16))
    assert x.dtype is nx.bfloat16 and (x / 3).numpy().dtype == ml_dtypes.bfloat16
    assert (x / 3).tolist() == [float(ml_dtypes.bfloat16(1 / 3)), 1.0]


MASKED = np.ma.array([1.0, 2.0], mask=[True, False])
HUGE = 10**5000  # more digits than Python prints


@pytest.mark.parametrize(
    "call, error, said",
    [
        (lambda: nx.tensor(1.0) + HUGE, DTypeError, "add: expected a number that float32 holds, .* of 16610 bits"),
        (lambda: nx.tensor(1) + HUGE, DTypeError, "add: expected an integer that int32 holds, .* an integer of 16610"),
        (lambda: nx.full(2, HUGE, "float64"), DTypeError, "full: expected a number that float64 holds"),
        (lambda: nx.tensor([HUGE, 1.5]), DTypeError, "tensor: expected a number"),
        (lambda: nx.tensor([HUGE], "float32"), DTypeError, "tensor: expected a number that float32 holds"),
        (lambda: nx.zeros(2).at[0].set(HUGE), DTypeError, "at: expected a number"),
        (lambda: nx.zeros(2)[HUGE], IndexError, "got an integer of 16610 bits"),
        (lambda: nx.arange(0.5, HUGE), DTypeError, "arange: expected a number"),
        (lambda: nx.arange(0, nx.inf), ValueError, "arange: expected finite numbers, got start 0, stop inf, step 1"),
        (lambda: nx.arange(0, 9, nx.nan), ValueError, "arange: expected finite numbers, .* step nan"),
        (lambda: nx.asarray(MASKED), ValueError, "asarray: expected an array with no element masked, got 1"),
        (lambda: nx.tensor(MASKED), ValueError, "tensor: expected an array with no element masked"),
        (lambda: nx.ones(2) + MASKED, ValueError, "add: expected an array with no element masked"),
        (lambda: nx.tensor([2, 4]) ** -1, DTypeError, r"pow: .* at least 0 for int32\[2\], got -1"),
        (lambda: nx.pow(2, -1), DTypeError, "pow: expected an exponent of at least 0"),
        (lambda: round(nx.tensor([2, 4]), -1), DTypeError, "round: expected at least 0 digits"),
    ],
)
def test_numbers_that_are_refused(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_numbers_that_are_not():
    assert nx.asarray(np.ma.array([1.0, 2.0])).tolist() == [1, 2]
    assert nx.pow(nx.tensor([2, 1]), nx.tensor(-1)).tolist() == [0, 1] and (nx.tensor([2.0]) ** -1).tolist() == [0.5]
