"""Memory of the CPU in and out by DLPack, as NumPy's arrays, whose own exchange knows fewer dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import dtype
from ..nx.core.tensor import TensorType

CPU = 1  # kDLCPU of dlpack.h


def device_of(source: Any) -> int:
    """The kind of device that an array is on, by its number in dlpack.h."""
    asked = getattr(source, "__dlpack_device__", None)
    return CPU if asked is None else int(asked()[0])


def shared(source: Any) -> np.ndarray:
    """An array over the memory of another library's."""
    from .. import _exchange  # not where the runtime does not run

    memory, name, shape, strides = _exchange.from_dlpack(source)
    own = dtype(name).numpy
    if 0 in shape:
        return np.empty(shape, own)
    flat = np.frombuffer(memoryview(memory), own)
    if strides is None:
        return flat.reshape(shape)
    return np.lib.stride_tricks.as_strided(flat, shape, [s * own.itemsize for s in strides])


def exported(array: np.ndarray, type: TensorType) -> Any:
    """An object with `__dlpack__` over the memory of a dense array."""
    from .. import _exchange

    return _exchange.to_dlpack(bits(array), type.dtype.name, type.shape)  # pyright: ignore[reportArgumentType]


def bits(array: np.ndarray) -> np.ndarray:
    """The array as integers of its bits: NumPy exports no memory of a dtype that it does not know."""
    return array.view(f"u{array.itemsize}")
