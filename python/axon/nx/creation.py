"""Tensors of Python values, other libraries' arrays, and nothing. literal and iota are rows, the rest is composed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec

from .. import config
from ..dtypes import DType, DTypeLike, bool_, float32, int32, result_type
from ..dtypes import dtype as to_dtype
from ..errors import DTypeError, ShapeError
from .backend import Backend, tracing
from .elementwise import astype, multiply, where
from .logic import greater_equal, less
from .op import Inference, composed, row, scalar_of, scalar_type
from .rules import axis_of, integer, names_of, shape_of
from .tensor import Tensor, TensorType

P = ParamSpec("P")


# Rows


def _literal_infer(operands: Any, attrs: dict[str, Any]) -> Inference:
    dtype = to_dtype(attrs["dtype"])
    value = scalar_of("literal", attrs["value"], dtype)
    return Inference((), (TensorType(dtype, ()),), {"value": value, "dtype": dtype})


@row(
    "creation",
    _literal_infer,
    nondifferentiable="zero",
    eager=lambda xp, value, dtype: xp.asarray(value, dtype=dtype.numpy),
)
def literal(*, value: bool | int | float, dtype: DTypeLike) -> Tensor:
    """A rank-0 tensor of a value known to the compiler.

    >>> nx.literal(value=1, dtype="uint8")
    uint8[] 1
    """
    ...


def _iota_infer(operands: Any, attrs: dict[str, Any]) -> Inference:
    shape = shape_of("iota", attrs["shape"])
    dtype = to_dtype(attrs["dtype"])
    if dtype is bool_:
        raise DTypeError("iota: expected a numeric dtype, got bool; compare the result instead")
    type_ = TensorType(dtype, shape)
    return Inference((), (type_,), {"shape": shape, "axis": axis_of("iota", type_, attrs["axis"]), "dtype": dtype})


def _iota(xp: Any, shape: tuple[int, ...], axis: int, dtype: DType) -> Any:
    count = xp.arange(shape[axis]).astype(dtype.numpy)
    return xp.broadcast_to(count.reshape([-1 if i == axis else 1 for i in range(len(shape))]), shape)


@row("creation", _iota_infer, nondifferentiable="zero", eager=_iota)
def iota(shape: int | Sequence[int], axis: int = -1, dtype: DTypeLike = int32) -> Tensor:
    """Each element's index along an axis.

    >>> nx.iota((2, 3), axis=0)
    int32[2,3]
    [[0, 0, 0],
     [1, 1, 1]]
    """
    ...


# From data


def tensor(
    data: Any, dtype: DTypeLike | None = None, names: Sequence[str | None] | None = None, *, backend: str = ""
) -> Tensor:
    """A tensor holding a copy of `data`: a number, nested lists, an array of any library, or a tensor.

    Python ints become int32 and floats float32; arrays keep their dtype. DTypeError where a value does not fit.

    >>> nx.tensor([[1, 2], [3, 4]], names=["row", "column"])
    int32[row=2,column=2]
    [[1, 2],
     [3, 4]]
    """
    import numpy as np

    if isinstance(data, Tensor):
        data = data if dtype is None else astype(data, dtype)
        names = data.names if names is None else names
        if tracing.get() is not None:
            return _renamed(data, names)
        backend, data = backend or data.backend.name, data.numpy()
    array = np.array(_array(_imported(data), dtype), copy=True, order="C")
    where_to = config.lookup("backend", backend or config.default_backend)
    return _from_array(array, names, where_to)


def asarray(data: Any, dtype: DTypeLike | None = None, *, copy: bool | None = None) -> Tensor:
    """`data` as a tensor: a tensor is itself, an array's memory is shared where it can be (copy=False: must be).

    Writing to the array afterwards would change the tensor: use `tensor` unless you own it.

    >>> nx.asarray([1.5, 2.5])
    float32[2] [1.5, 2.5]
    """
    import numpy as np

    if copy:
        return tensor(data, dtype)
    if isinstance(data, Tensor):
        changed = dtype is not None and to_dtype(dtype) is not data.dtype
        if changed and copy is False:
            raise DTypeError(f"asarray: expected {to_dtype(dtype)} without a copy, got {data.type}; allow the copy")
        return astype(data, dtype) if changed else data  # type: ignore[arg-type]
    if (weak := scalar_type(data)) is not None and tracing.get() is not None:
        return literal(value=data, dtype=to_dtype(weak) if dtype is None else dtype)
    data = _imported(data)
    array = _array(data, dtype)
    if copy is False and not (isinstance(data, np.ndarray) and np.shares_memory(array, data)):
        raise ValueError(f"asarray: expected memory that can be shared, got {type(data).__name__}; leave copy out")
    return _from_array(array, None, config.lookup("backend", config.default_backend))


def from_dlpack(source: Any, /, *, copy: bool | None = None) -> Tensor:
    """A tensor over the memory of another library's array (torch, jax, cupy, numpy), without a copy unless asked.

    >>> import numpy
    >>> nx.from_dlpack(numpy.arange(3, dtype="int32"))
    int32[3] [0, 1, 2]
    """
    return asarray(source if isinstance(source, Tensor) else _shared(source), copy=copy)


def _shared(source: Any) -> Any:
    """A NumPy array over the memory of an object with __dlpack__."""
    import numpy as np

    from .. import _exchange

    memory, name, shape, strides = _exchange.from_dlpack(source)
    dtype = to_dtype(name).numpy
    if 0 in shape:
        return np.empty(shape, dtype)
    flat = np.frombuffer(memoryview(memory), dtype)
    if strides is None:
        return flat.reshape(shape)
    return np.lib.stride_tricks.as_strided(flat, shape, [s * dtype.itemsize for s in strides])


def template(
    shape: int | Sequence[int], dtype: DTypeLike = float32, names: Sequence[str | None] | None = None
) -> TensorType:
    """A type without values, for shape inference and tracing.

    >>> print(nx.template((2, 3), names=["batch", None]))
    float32[batch=2,3]
    """
    found = shape_of("template", shape)
    return TensorType(to_dtype(dtype), found, names_of("template", names, found))


@composed
def backend_transfer(x: Tensor, /, backend: str) -> Tensor:
    """The tensor copied to another backend, by name ("numpy", "cupy").

    >>> nx.backend_transfer(nx.tensor([1, 2]), "numpy").device
    'numpy'
    """
    where_to = config.lookup("backend", backend)
    if x.backend is where_to:
        return x
    return Tensor(x.type, where_to, where_to.from_numpy(x.numpy()))


def _imported(data: Any) -> Any:
    """Another library's array as NumPy's, over the same memory; other data as it is."""
    import numpy as np

    return _shared(data) if hasattr(data, "__dlpack__") and not isinstance(data, np.ndarray) else data


def _array(data: Any, dtype: DTypeLike | None) -> Any:
    """The data as a NumPy array of a dtype of ours, sharing memory where possible."""
    import numpy as np

    typed = hasattr(data, "dtype")
    if isinstance(data, (list, tuple)) and (odd := _odd(data)):
        raise DTypeError(f"tensor: expected numbers, got {odd}; use stack to join tensors")
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ShapeError(
            f"tensor: expected lists of equal lengths at each level, got {data!r:.60}; pad them"
        ) from error
    if dtype is None and not typed:
        wanted = {"i": int32, "u": int32, "f": float32, "b": bool_}.get(array.dtype.kind)
        target = wanted if wanted is not None else to_dtype(array.dtype)
    else:
        target = to_dtype(array.dtype if dtype is None else dtype)
    if target.is_integer and array.dtype.kind in "iu" and array.size and not typed:
        low, high = array.min(), array.max()
        if low < target.lowest or high > target.highest:
            raise DTypeError(
                f"tensor: expected {target} values, got {low if low < target.lowest else high}; give a wider dtype"
            )
    if array.dtype == target.numpy and array.dtype.isnative:
        return array
    with np.errstate(all="ignore"):
        from .elementwise import _astype

        return np.asarray(_astype(np, array.astype(array.dtype.newbyteorder("=")), target))


def _odd(data: Any) -> str | None:
    """The type of the first leaf that NumPy would take apart (a tensor) or hold as an object."""
    for item in data:
        if isinstance(item, (list, tuple)):
            if found := _odd(item):
                return found
        elif item is None or isinstance(item, Tensor):
            return type(item).__name__
    return None


def _from_array(array: Any, names: Any, backend: Backend) -> Tensor:
    type_ = TensorType(to_dtype(array.dtype), array.shape, names_of("tensor", names, array.shape))
    return Tensor(type_, backend, backend.from_numpy(array))


def _renamed(x: Tensor, names: Any) -> Tensor:
    from .movement import rename

    return x if names == x.names else rename(x, names)


# Filled


def full(shape: int | Sequence[int], value: Any, dtype: DTypeLike | None = None) -> Tensor:
    """A tensor with every element the same value.

    >>> nx.full((2,), 1.5)
    float32[2] [1.5, 1.5]
    """
    from .movement import broadcast_to

    weak = scalar_type(value)
    if weak is None:
        filled = asarray(value, dtype)
    else:
        filled = literal(value=value, dtype=weak if dtype is None else dtype)
    return broadcast_to(filled, shape_of("full", shape))


def zeros(shape: int | Sequence[int], dtype: DTypeLike = float32) -> Tensor:
    """A tensor of zeros.

    >>> nx.zeros(2)
    float32[2] [0., 0.]
    """
    return full(shape, 0, dtype)


def ones(shape: int | Sequence[int], dtype: DTypeLike = float32) -> Tensor:
    """A tensor of ones.

    >>> nx.ones(2)
    float32[2] [1., 1.]
    """
    return full(shape, 1, dtype)


def empty(shape: int | Sequence[int], dtype: DTypeLike = float32) -> Tensor:
    """A tensor whose values do not matter: zeros.

    >>> nx.empty(2).shape
    (2,)
    """
    return zeros(shape, dtype)


def _like(make: Callable[Concatenate[Any, P], Tensor]) -> Callable[..., Tensor]:
    """The variant of a creation function that takes shape and dtype from a tensor."""

    def like(x: Any, /, *args: Any, dtype: DTypeLike | None = None) -> Tensor:
        x = asarray(x)
        return make(x.shape, *args, dtype=x.dtype if dtype is None else dtype)  # type: ignore[call-arg]

    like.__name__ = like.__qualname__ = f"{make.__name__}_like"  # type: ignore[attr-defined]
    like.__doc__ = f"`{make.__name__}` with the shape, and unless given the dtype, of a tensor."  # type: ignore[attr-defined]
    return like


full_like = _like(full)
zeros_like = _like(zeros)
ones_like = _like(ones)
empty_like = _like(empty)


def eye(rows: int, columns: int | None = None, /, *, k: int = 0, dtype: DTypeLike = float32) -> Tensor:
    """A matrix with ones on the k-th diagonal and zeros elsewhere.

    >>> nx.eye(2)
    float32[2,2]
    [[1., 0.],
     [0., 1.]]
    """
    shape = shape_of("eye", (rows, rows if columns is None else columns))
    return astype(iota(shape, 0) + integer("eye", "k", k) == iota(shape, 1), dtype)


def arange(
    start: int | float, /, stop: int | float | None = None, step: int | float = 1, *, dtype: DTypeLike | None = None
) -> Tensor:
    """start, start + step, ... up to but without stop; arange(n) counts from 0. int32 if all are ints, else float32.

    >>> nx.arange(1, 7, 2)
    int32[3] [1, 3, 5]
    """
    if stop is None:
        start, stop = 0, start
    if step == 0:
        raise ValueError("arange: expected a step other than 0, got 0; use full for equal values")
    given = result_type(*(scalar_type(v) or float for v in (start, stop, step)))
    target = to_dtype(given if dtype is None else dtype)
    count = iota(max(0, math.ceil((stop - start) / step)), 0, target)
    return start + multiply(count, step) if step != 1 else start + count if start != 0 else count


def linspace(
    start: float | Tensor, stop: float | Tensor, /, num: int, *, endpoint: bool = True, dtype: DTypeLike = float32
) -> Tensor:
    """`num` evenly spaced values from start to stop, which is the last one if endpoint, else the next.

    >>> nx.linspace(0, 1, 5)
    float32[5] [0.  , 0.25, 0.5 , 0.75, 1.  ]
    """
    num = integer("linspace", "num", num)
    t = iota(num, 0, dtype) / max(1, num - 1 if endpoint else num)
    return astype(start * (1 - t) + stop * t, dtype)


@composed
def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The last two axes with zeros above the k-th diagonal.

    >>> nx.tril(nx.ones((2, 2)))
    float32[2,2]
    [[1., 0.],
     [1., 1.]]
    """
    return where(greater_equal(iota(x.shape[-2:], 0) + k, iota(x.shape[-2:], 1)), x, 0)


@composed
def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The last two axes with zeros below the k-th diagonal.

    >>> nx.triu(nx.ones((2, 2)))
    float32[2,2]
    [[1., 1.],
     [0., 1.]]
    """
    return where(less(iota(x.shape[-2:], 1), iota(x.shape[-2:], 0) + k), 0, x)
