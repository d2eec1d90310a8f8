"""Tensors of Python's values and of other libraries' arrays; and indices along axes.

device: the backend a tensor is made on, by name; unless given, that of the tensors at hand, or the default one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import config
from ..dtypes import DTypeLike, float32, int32
from ..dtypes import dtype as to_dtype
from ..errors import DTypeError
from ..runtime import in_our_memory
from .core.backend import home, on, tracing
from .core.convert import array_of, convert, is_foreign, is_unknown
from .core.declare import method
from .core.functions import function
from .core.number import Number
from .core.rules import names_of, shape_of
from .core.tensor import Tensor, TensorType
from .rows.creation import iota_
from .rows.movement import rename, reshape


@function
def iota(shape: int | Sequence[int], axis: int | None = None, dtype: DTypeLike = int32) -> Tensor:
    """Each element's index along an axis; without one, its place in the whole tensor in row-major order. DTypeError for
    bool, ShapeError for a negative size or an axis out of range.

    >>> nx.iota((2, 3))
    int32[2,3]
    [[0, 1, 2],
     [3, 4, 5]]
    >>> nx.iota((2, 3), axis=0)
    int32[2,3]
    [[0, 0, 0],
     [1, 1, 1]]
    """
    if axis is not None:
        return iota_(shape, axis, dtype)
    shape = shape_of("iota", shape)
    return reshape(iota_(math.prod(shape), 0, dtype), shape)


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

    given = isinstance(data, (Tensor, Number)) or is_unknown(data)
    if given:
        data = asarray(data, dtype)
        names = data.names if names is None else names
        if tracing.get() is not None and device is None:
            return _renamed(data, names)
    backend = config.lookup("backend", device) if device else data.backend if given else home()
    if is_foreign(data):
        data = asarray(data, dtype, device=device)
    if isinstance(data, Tensor) and data.backend is backend:
        made = backend.imported(data, copy=True)
    else:
        array = np.array(array_of("tensor", data, dtype), copy=True, order="C")
        made = Tensor(TensorType(to_dtype(array.dtype), array.shape), backend, backend.from_numpy(array))
    return Tensor(made.type._replace(names=names_of("tensor", names, made.shape)), backend, made.data)


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
    found = convert("asarray", data, dtype)
    return found if device is None else backend_transfer(found, device)


def from_dlpack(source: Any, /, *, device: str | None = None, copy: bool | None = None) -> Tensor:
    """A tensor over the memory of another library's array (torch, jax, cupy, numpy), without a copy unless asked.

    device: the backend that takes it, by name, as of `tensor`; memory of the CPU is copied to another device. copy:
    True makes one, False raises ValueError where there must be one. TypeError for what a library does not export: a
    tensor that requires a gradient, a conjugated or negated view.

    >>> import numpy
    >>> nx.from_dlpack(numpy.arange(3, dtype="int32"))
    int32[3] [0, 1, 2]
    """
    if isinstance(source, Tensor):
        return asarray(source, device=device, copy=copy)
    with on(device):
        return home().imported(source, copy)


def template(
    shape: int | Sequence[int], dtype: DTypeLike = float32, names: Sequence[str | None] | None = None
) -> TensorType:
    """A type without values, for shape inference and tracing.

    >>> print(nx.template((2, 3), names=["batch", None]))
    float32[batch=2,3]
    """
    found = shape_of("template", shape)
    return TensorType(to_dtype(dtype), found, names_of("template", names, found))


@function(method=True)
def to_device(x: Tensor, device: str, /, *, stream: None = None) -> Tensor:
    """`backend_transfer` as the array-API standard calls it; there are no streams.

    >>> nx.tensor([1, 2]).to_device("numpy").device
    'numpy'
    """
    return backend_transfer(x, device)


@function(method=True)
def backend_transfer(x: Tensor, /, backend: str) -> Tensor:
    """The tensor copied to another backend, by name ("numpy", "cupy").

    >>> nx.backend_transfer(nx.tensor([1, 2]), "numpy").device
    'numpy'
    """
    where_to = config.lookup("backend", backend)
    if x.backend is where_to:
        return x
    return Tensor(x.type, where_to, where_to.from_numpy(x.numpy()))


def _renamed(x: Tensor, names: Any) -> Tensor:
    return x if names == x.names else rename(x, names)


def _restored(bits: Any, dtype: str, names: Sequence[str | None] | None, device: str) -> Tensor:
    """A tensor that was pickled, over the memory of its bits."""
    return _renamed(asarray(bits.view(to_dtype(dtype).numpy), device=device), names)


@method
def __reduce__(x: Tensor, /) -> Any:
    import numpy as np

    # Bits, because NumPy sends no memory of a dtype that it does not know out of band (protocol 5).
    bits = np.asarray(x.numpy(), order="C").view(f"u{x.dtype.itemsize}")
    return _restored, (bits, x.dtype.name, x.names, x.device)
