"""Data where it comes in: arrays of any library and lists of numbers are made NumPy arrays once, so that rows are
counted by position from there on; data without numbers is refused with what to write."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from numbers import Number
from typing import Any, Literal

import numpy as np

from . import nx, tree
from .dtypes import dtype as to_dtype
from .errors import DTypeError, ShapeError
from .nx import Tensor, TensorType

Role = Literal["x", "y", "batches"]

_SECONDS = 'np.timedelta64(1, "s")'
# What an array holds that is no number, by the kind of NumPy's dtype; what to write, at last for targets.
_STRINGS = ("strings", "encode them as numbers", "write classes, y = np.unique(labels, return_inverse=True)")
_ADVICE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys("SUT", _STRINGS),
    "M": ("dates", f"write (t - t.min()) / {_SECONDS}"),
    "m": ("durations", f"write t / {_SECONDS}"),
    "c": ("complex numbers", "stack their .real and .imag"),
    "f": ("floats of more than 64 bits", 'write .astype("float64")'),
    "V": ("records", "stack their fields along a last axis"),
    "O": ("objects", 'write .astype("float32")'),
}
_MISSING = ("missing values", "fill them, or drop their rows")
_MARKS = {"year": "M", "total_seconds": "m"}  # an attribute of objects that NumPy keeps as they are
_NESTED = ("arrays inside an array", "np.stack joins those of one shape; pad others")


def arrays(name: str, data: Any, role: Role = "x") -> Any:
    """The data of a function called `name`, as one array, or a tree of arrays where there are several.

    A list is one array, unless arrays or dicts are inside it; a tuple of numbers is one, any other tuple and a dict are
    several. Arrays of other libraries are shared where they can be; tensors, types and numbers stay what they are.
    Numbers of lists become int32 or float32. DTypeError for what holds no numbers, ShapeError for rows of several
    lengths, TypeError for other data, such as a generator, a sparse matrix or a masked array.

    >>> arrays("run", {"a": [1, 2], "b": np.ones(2)})
    {'a': array([1, 2], dtype=int32), 'b': array([1., 1.])}
    """
    if type(data) is np.ndarray:
        return _numeric(name, data, role)
    if data is None or isinstance(data, (Tensor, TensorType)) or _is_number(data):
        return data
    if isinstance(data, Mapping):
        return {key: arrays(name, value, role) for key, value in data.items()}
    if isinstance(data, (list, tuple)) and not _is_one(data):
        parts = [arrays(name, value, role) for value in data]
        return type(data)(*parts) if hasattr(data, "_fields") else type(data)(parts)
    if isinstance(data, (list, tuple)) or tree.is_leaf(data):
        return _numeric(name, _imported(name, data), role, data)
    return tree.map(lambda leaf: arrays(name, leaf, role), data)


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) or (isinstance(value, np.generic) and isinstance(value, Number))


def _is_one(data: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a list or tuple is one array, rather than several."""
    if isinstance(data, tuple):
        return bool(data) and not hasattr(data, "_fields") and not any(map(_is_several, data))
    return not any(map(_holds_arrays, data))


def _is_several(item: Any) -> bool:
    return item is None or isinstance(item, (list, tuple)) or _holds_arrays(item)


def _holds_arrays(item: Any) -> bool:
    if isinstance(item, (list, tuple)):
        return any(map(_holds_arrays, item))
    return isinstance(item, Mapping) or bool(getattr(item, "shape", ()))


def _imported(name: str, data: Any) -> Any:
    """What is neither array nor tensor yet as one of them."""
    got = type(data).__name__
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError(f"{name}: expected an array, got a masked one; write .filled(value), or drop what is masked")
    if hasattr(data, "toarray") or hasattr(data, "todense"):
        raise TypeError(f"{name}: expected an array, got a sparse {got}; write .toarray()")
    try:
        array = np.asarray(data)
    except ValueError as error:
        if not isinstance(data, (list, tuple)):
            raise ValueError(f"{name}: expected an array, got a {got} that gives none ({error})") from error
        raise ShapeError(f"{name}: expected rows of one length, got {data!r:.60}; pad them") from None
    except Exception as error:
        if hasattr(data, "__dlpack__"):  # memory that is not the CPU's, or a dtype that NumPy does not have
            return nx.asarray(data)
        raise TypeError(f"{name}: expected an array, got a {got} that gives none ({error})") from error
    if array.dtype == object and array.ndim == 0:
        raise TypeError(f"{name}: expected arrays, got a {got}; go through it, and pass the arrays it gives")
    if isinstance(data, (list, tuple)) and array.dtype in (np.float64, np.int64):
        small = array.astype(np.float32 if array.dtype == np.float64 else np.int32)
        array = small if array.dtype == np.float64 or (small == array).all() else array
    return array


def _numeric(name: str, array: Any, role: Role, given: Any = None) -> Any:
    """The array, if it holds numbers. `given`: what it was made of."""
    if _is_ours(array.dtype):
        return array
    what, *advice = _ADVICE.get(array.dtype.kind, _ADVICE["O"])
    place = ""
    if array.dtype.kind == "O":
        (what, *advice), place = _odd(array, given)
    elif array.dtype.kind in "SUT" and array.size:
        place = f" such as {str(array.flat[0])!r:.20}"
    raise DTypeError(f"{name}: expected numbers as {role}, got {what}{place}; {advice[-1 if role == 'y' else 0]}")


@cache
def _is_ours(dtype: Any) -> bool:
    try:
        return bool(to_dtype(dtype))
    except DTypeError:
        return False


def _odd(array: np.ndarray, given: Any) -> tuple[tuple[str, ...], str]:
    """What an array of objects holds that is no number, and where: (its row of advice, the place)."""
    for index, value in np.ndenumerate(array):
        if _is_number(value) and value == value:
            continue
        column = list(getattr(given, "columns", range(array.shape[-1])))[index[-1]] if array.ndim == 2 else None
        place = "" if column is None else f" in column {column!r}"
        if isinstance(value, str):
            return _STRINGS, f" such as {value!r:.20}{place}"
        if np.ndim(value):
            return _NESTED, place
        kind = next((kind for mark, kind in _MARKS.items() if hasattr(value, mark)), "O")
        missing = value is None or type(value).__name__ in ("NAType", "NaTType", "float")
        return _MISSING if missing else _ADVICE[kind], place
    return _ADVICE["O"], ""
