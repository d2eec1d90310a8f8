"""What turns Python's values and other libraries' arrays into tensors, below all rows."""

from __future__ import annotations

from typing import Any

from ...dtypes import DType, DTypeLike, bool_, float32, float64, int32
from ...dtypes import dtype as to_dtype
from ...errors import DTypeError, ShapeError
from .backend import Backend, home, running, tracing, unwatched
from .number import SCALARS, Number, as_tensor, scalar_of, scalar_type
from .op import apply, as_dtype
from .rounding import cast, nearest
from .tensor import Tensor, TensorType


def is_array(value: Any) -> bool:
    """Whether a value is a tensor, or another library's array."""
    return isinstance(value, Tensor) or hasattr(value, "__array__") or hasattr(value, "__dlpack__")


def is_foreign(value: Any) -> bool:
    """Whether a value is an array with DLPack, neither a tensor nor NumPy's."""
    import numpy as np

    return hasattr(value, "__dlpack__") and not isinstance(value, (Tensor, np.ndarray))


def convert(name: str, data: Any, dtype: DTypeLike | None = None, copy: bool | None = None) -> Tensor:
    """The data given to a function as a tensor, in its own dtype unless one is given. Errors speak of the function by
    `name`. Memory is shared where it can be; copy=False: it must be."""
    import numpy as np

    if isinstance(data, Tensor):
        return data if dtype is None else as_dtype(data, to_dtype(dtype))
    if type(data) is Number:
        return data.cast(name, to_dtype(data.python if dtype is None else dtype))
    if is_unknown(data):
        return _stacked(name, data, dtype)
    weak = None if hasattr(data, "dtype") else scalar_type(data)
    if weak is not None and copy is None:
        return as_tensor(name, data, to_dtype(weak if dtype is None else dtype))
    backend = home()
    if is_foreign(data):
        found = backend.imported(data, copy)
        if dtype is None or to_dtype(dtype) is found.dtype:
            return found
        if copy is False:
            raise _unshared(name, data, found.dtype, to_dtype(dtype), backend)
        with running(backend), unwatched():
            return as_dtype(found, to_dtype(dtype))
    array = array_of(name, data, dtype)
    made = backend.from_numpy(array)
    if copy is False:
        own = np.asarray(data)
        if made is not array or own.dtype != array.dtype or (array.size and not np.may_share_memory(array, own)):
            raise _unshared(name, data, own.dtype, to_dtype(array.dtype), backend)
    return Tensor(TensorType(to_dtype(array.dtype), array.shape), backend, made)


def _unshared(name: str, data: Any, own: Any, wanted: DType, backend: Backend) -> ValueError:
    return ValueError(
        f"{name}: expected memory that can be shared, got {type(data).__name__} of {own} for {wanted} on "
        f"{backend.name!r}; leave copy out"
    )


def array_of(name: str, data: Any, dtype: DTypeLike | None) -> Any:
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
        raise _ragged(name, data) from error
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


def _ragged(name: str, data: Any) -> ShapeError:
    return ShapeError(f"{name}: expected lists of equal lengths at each level, got {data!r:.60}; pad them")


def _odd(data: Any) -> str | None:
    """The type of the first leaf that NumPy would take apart (a tensor) or hold as an object."""
    for item in data:
        if isinstance(item, (list, tuple)):
            if found := _odd(item):
                return found
        elif item is None or isinstance(item, Tensor):
            return type(item).__name__
    return None


def is_unknown(data: Any) -> bool:
    """Whether lists hold a number given to the definition that is being traced."""
    return type(data) is Number or (
        isinstance(data, (list, tuple)) and tracing.get() is not None and any(map(is_unknown, data))
    )


def _stacked(name: str, data: Any, dtype: DTypeLike | None) -> Tensor:
    """What `array_of` makes of nested lists of numbers, where some are not known yet."""
    if not isinstance(data, (list, tuple)) or not data:
        return convert(name, data, dtype)
    if dtype is None:
        kinds = [scalar_type(x) for x in _flat(data)]
        if None in kinds:
            raise DTypeError(f"{name}: expected numbers, got {data!r:.60}; use stack to join tensors")
        dtype = max(kinds, key=SCALARS.index)  # type: ignore[arg-type]
    rows = [_stacked(name, item, dtype) for item in data]
    if any(x.shape != rows[0].shape for x in rows):
        raise _ragged(name, data)
    return apply("concat", *[apply("expand_dims", x, axis=0) for x in rows], axis=0)


def _flat(data: Any) -> list[Any]:
    return [x for item in data for x in _flat(item)] if isinstance(data, (list, tuple)) else [data]
