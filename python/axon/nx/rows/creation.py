"""Tensors of Python values and other libraries' arrays. literal and iota are rows, the rest is composed.

device: the backend a tensor is made on, by name; unless given, that of the tensors at hand, or the default one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ... import config
from ...dtypes import DType, DTypeLike, bool_, float32, float64, int32
from ...dtypes import dtype as to_dtype
from ...errors import DTypeError, ShapeError
from ...runtime import in_our_memory
from ..core.backend import home, on, tracing
from ..core.kinds import CREATION
from ..core.number import SCALARS, Number, scalar_of, scalar_type
from ..core.op import Inference, composed, naming, row
from ..core.rounding import nearest
from ..core.rules import axis_of, names_of, shape_of
from ..core.tensor import Tensor, TensorType
from .conversion import astype, cast

# Rows


def _literal_infer(operands: Any, attrs: dict[str, Any]) -> Inference:
    dtype = to_dtype(attrs["dtype"])
    value = scalar_of("literal", attrs["value"], dtype)
    return Inference((), (TensorType(dtype, ()),), {"value": value, "dtype": dtype})


@row(
    CREATION,
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
    dtype = to_dtype(attrs["dtype"])
    shape = shape_of("iota", attrs["shape"])
    if dtype is bool_:
        raise DTypeError("iota: expected a numeric dtype, got bool; compare the result instead")
    type_ = TensorType(dtype, shape)
    return Inference((), (type_,), {"shape": shape, "axis": axis_of("iota", type_, attrs["axis"]), "dtype": dtype})


def _iota(xp: Any, shape: tuple[int, ...], axis: int, dtype: DType) -> Any:
    count = cast(xp, xp.arange(shape[axis]), dtype)
    return xp.broadcast_to(count.reshape([-1 if i == axis else 1 for i in range(len(shape))]), shape)


@row(CREATION, _iota_infer, nondifferentiable="zero", eager=_iota)
def iota_(shape: int | Sequence[int], axis: int, dtype: DTypeLike = int32) -> Tensor:
    """The row under `iota`: along one axis."""
    ...


@naming
def iota(shape: int | Sequence[int], axis: int | None = None, dtype: DTypeLike = int32) -> Tensor:
    """Each element's index along an axis; without one, its place in the whole tensor in row-major order.

    >>> nx.iota((2, 3))
    int32[2,3]
    [[0, 1, 2],
     [3, 4, 5]]
    >>> nx.iota((2, 3), axis=0)
    int32[2,3]
    [[0, 0, 0],
     [1, 1, 1]]
    """
    from .movement import reshape

    if axis is not None:
        return iota_(shape, axis, dtype)
    shape = shape_of("iota", shape)
    return reshape(iota_(math.prod(shape), 0, dtype), shape)


# From data


@in_our_memory
def tensor(
    data: Any,
    dtype: DTypeLike | None = None,
    names: Sequence[str | None] | None = None,
    *,
    device: str | None = None,
) -> Tensor:
    """A tensor holding a copy of `data`: a number, nested lists, an array of any library, or a tensor.

    Python ints become int32 and floats float32; arrays keep their dtype. device: the backend it is on, by name; a
    tensor's own, or the default one. DTypeError where a value does not fit.

    >>> nx.tensor([[1, 2], [3, 4]], names=["row", "column"])
    int32[row=2,column=2]
    [[1, 2],
     [3, 4]]
    """
    import numpy as np

    backend = home()
    if isinstance(data, (Tensor, Number)) or _unknown(data):
        data = asarray(data, dtype)
        names = data.names if names is None else names
        if tracing.get() is not None and device is None:
            return _renamed(data, names)
        backend, data = data.backend, data.numpy()
    array = np.array(_array("tensor", _imported(data), dtype), copy=True, order="C")
    backend = backend if device is None else config.lookup("backend", device)
    type_ = TensorType(to_dtype(array.dtype), array.shape, names_of("tensor", names, array.shape))
    return Tensor(type_, backend, backend.from_numpy(array))


def asarray(
    data: Any, dtype: DTypeLike | None = None, *, device: str | None = None, copy: bool | None = None
) -> Tensor:
    """`data` as a tensor: a tensor is itself, an array's memory is shared where it can be (copy=False: must be).

    Writing to the array afterwards would change the tensor: use `tensor` unless you own it. device: as of `tensor`.

    >>> nx.asarray([1.5, 2.5])
    float32[2] [1.5, 2.5]
    """
    if copy:
        return tensor(data, dtype, device=device)
    if not isinstance(data, Tensor):
        with on(device):
            return convert("asarray", data, dtype, copy)
    changed = dtype is not None and to_dtype(dtype) is not data.dtype
    if copy is False and (changed or device not in (None, data.device)):
        wanted = f"{data.dtype if dtype is None else to_dtype(dtype)} on {device or data.device!r}"
        raise DTypeError(
            f"asarray: expected {wanted} without a copy, got {data.type} on {data.device!r}; allow the copy"
        )
    found = astype(data, dtype) if changed else data  # type: ignore[arg-type]
    return found if device is None else backend_transfer(found, device)


def convert(name: str, data: Any, dtype: DTypeLike | None = None, copy: bool | None = None) -> Tensor:
    """`asarray` of what is no tensor, for the function `name`, which errors speak of."""
    import numpy as np

    if type(data) is Number:
        return data.cast(name, to_dtype(data.python if dtype is None else dtype))
    if _unknown(data):
        return _stacked(name, data, dtype)
    weak = None if hasattr(data, "dtype") else scalar_type(data)
    if weak is not None and copy is None:  # a trace knows its value
        target = to_dtype(weak if dtype is None else dtype)
        return literal(value=scalar_of(name, data, target), dtype=target)
    data = _imported(data)
    array = _array(name, data, dtype)
    backend = home()
    made = backend.from_numpy(array)
    if copy is False:
        own = np.asarray(data)
        if made is not array or own.dtype != array.dtype or (array.size and not np.may_share_memory(array, own)):
            raise ValueError(
                f"{name}: expected memory that can be shared, got {type(data).__name__} of {own.dtype} for "
                f"{to_dtype(array.dtype)} on {backend.name!r}; leave copy out"
            )
    return Tensor(TensorType(to_dtype(array.dtype), array.shape), backend, made)


def from_dlpack(source: Any, /, *, device: str | None = None, copy: bool | None = None) -> Tensor:
    """A tensor over the memory of another library's array (torch, jax, cupy, numpy), without a copy unless asked.

    copy: True makes one, False raises ValueError where there must be one (another device). TypeError for what a library
    does not export: a tensor that requires a gradient, a conjugated or negated view.

    >>> import numpy
    >>> nx.from_dlpack(numpy.arange(3, dtype="int32"))
    int32[3] [0, 1, 2]
    """
    return asarray(source if isinstance(source, Tensor) else _shared(source), device=device, copy=copy)


def _shared(source: Any) -> Any:
    """A NumPy array over the memory of an object with __dlpack__."""
    import numpy as np

    from ... import _exchange

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
def to_device(x: Tensor, device: str, /, *, stream: None = None) -> Tensor:
    """`backend_transfer` as the array-API standard calls it; there are no streams.

    >>> nx.tensor([1, 2]).to_device("numpy").device
    'numpy'
    """
    return backend_transfer(x, device)


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


def _array(name: str, data: Any, dtype: DTypeLike | None) -> Any:
    """The data as a NumPy array of a dtype of ours, sharing memory where possible."""
    import numpy as np

    python = isinstance(data, (list, tuple, range, *SCALARS)) and not hasattr(data, "dtype")  # numbers without a dtype
    if isinstance(data, (list, tuple)) and (odd := _odd(data)):
        raise DTypeError(f"{name}: expected numbers, got {odd}; use stack to join tensors")
    if isinstance(data, np.ma.MaskedArray) and np.ma.is_masked(data):
        raise ValueError(
            f"{name}: expected an array with no element masked, got {np.ma.count_masked(data)} masked ones; give its "
            f"filled(value), or its data to ignore the mask"
        )
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ShapeError(
            f"{name}: expected lists of equal lengths at each level, got {data!r:.60}; pad them"
        ) from error
    given: Any = array.dtype
    if python and (array.dtype.kind == "O" or (array.dtype.kind == "f" and (abs(array) >= 2.0**63).any())):
        exact = np.asarray(data, object)  # NumPy has no integer dtype for both -1 and 2**63
        if all(isinstance(v, int) for v in exact.flat):
            array, given = exact, int
        elif all(isinstance(v, SCALARS) for v in exact.flat):
            floats = [scalar_of(name, v, float64) for v in exact.flat]
            array, given = np.array(floats, "float64").reshape(exact.shape), float
    try:
        own = to_dtype(given)
    except DTypeError:
        raise DTypeError(f"{name}: expected numbers, got {data!r:.60}; give bools, integers or floats") from None
    if python:
        own = {"b": bool_, "f": float32}.get(own.kind, int32)
    target = own if dtype is None else to_dtype(dtype)
    if python and (target.is_integer or array.dtype.kind == "O") and array.dtype.kind in "iuO" and array.size:
        for extreme in (array.min(), array.max()):
            scalar_of(name, extreme, target)
    if array.dtype == target.numpy and array.dtype.isnative:
        return array
    if array.dtype.kind == "O" and target.is_float:
        array = np.array([nearest(v, target) for v in array.flat]).reshape(array.shape)
    with np.errstate(all="ignore"):
        return np.asarray(cast(np, array.astype(array.dtype.newbyteorder("=")), target))


def _odd(data: Any) -> str | None:
    """The type of the first leaf that NumPy would take apart (a tensor) or hold as an object."""
    for item in data:
        if isinstance(item, (list, tuple)):
            if found := _odd(item):
                return found
        elif item is None or isinstance(item, Tensor):
            return type(item).__name__
    return None


def restored(bits: Any, dtype: str, names: Sequence[str | None] | None, device: str) -> Tensor:
    """A tensor that was pickled, over the memory of its bits."""
    return _renamed(asarray(bits.view(to_dtype(dtype).numpy), device=device), names)


def _unknown(data: Any) -> bool:
    """Whether lists hold a number given to the definition that is being traced."""
    return type(data) is Number or (
        isinstance(data, (list, tuple)) and tracing.get() is not None and any(map(_unknown, data))
    )


def _stacked(name: str, data: Any, dtype: DTypeLike | None) -> Tensor:
    """What `_array` makes of nested lists of numbers, where some are not known yet."""
    from ..layout import stack

    if not isinstance(data, (list, tuple)):
        return convert(name, data, dtype)
    if dtype is None:
        kinds = [scalar_type(x) for x in _flat(data)]
        if None in kinds:
            raise DTypeError(f"{name}: expected numbers, got {data!r:.60}; use stack to join tensors")
        dtype = max(kinds, key=SCALARS.index)  # type: ignore[arg-type]
    return stack([_stacked(name, item, dtype) for item in data])


def _flat(data: Any) -> list[Any]:
    return [x for item in data for x in _flat(item)] if isinstance(data, (list, tuple)) else [data]


def _renamed(x: Tensor, names: Any) -> Tensor:
    from .movement import rename

    return x if names == x.names else rename(x, names)
