"""The eager backend over an array namespace: NumPy's, and with the same code CuPy's.

A row says how it is carried out (its `eager`), or the namespace has a function of its name. Half floats are computed in
float32 and rounded once an op. Data is the namespace's array, or anything with the buffer protocol that a compiled
program made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import AxonError
from ..nx.backend import running
from ..nx.op import Op
from ..nx.tensor import Tensor, TensorType
from ..runtime import in_our_memory

ARITHMETIC = {"elementwise", "reduction", "contraction", "indexing"}  # kinds in which half floats are widened

RENAMED = {  # array-API names that a namespace may know only by NumPy's older ones
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atan2": "arctan2",
    "atanh": "arctanh", "bitwise_invert": "invert", "bitwise_left_shift": "left_shift",
    "bitwise_right_shift": "right_shift", "concat": "concatenate", "pow": "power",
}  # fmt: skip


class ArrayBackend:
    """A backend whose data are arrays of the namespace `xp`."""

    def __init__(self, name: str, xp: Any) -> None:
        self.name, self.xp = name, xp
        self.arrays = (xp.ndarray, np.ndarray)

    def __repr__(self) -> str:
        return f"<backend {self.name}>"

    @in_our_memory
    def apply(
        self, op: Op, out: tuple[TensorType, ...], args: Sequence[Tensor], attrs: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        if op.eager is None and op.expand is not None:
            with running(self):
                return (op.expand(*args, **attrs).data,)
        arrays = [self.array(a.data, a.type) for a in args]
        if op.kind in ARITHMETIC:
            arrays = [x.astype(np.float32) if a.dtype.is_half else x for x, a in zip(arrays, args)]
        with np.errstate(all="ignore"):
            if op.eager is not None:
                made = op.eager(self.xp, *arrays, **attrs)
            else:
                name = op.name if hasattr(self.xp, op.name) else RENAMED[op.name]
                made = getattr(self.xp, name)(*arrays, **attrs)
            results = made if isinstance(made, tuple) else (made,)
            return tuple([self._settled(x, t) for x, t in zip(results, out, strict=True)])

    def _settled(self, x: Any, type: TensorType) -> Any:
        """A result as an array of the dtype that inference promised."""
        x, wanted = self.xp.asarray(x), type.dtype.numpy
        return x if x.dtype == wanted else x.astype(wanted)

    @in_our_memory
    def constant(self, value: bool | int | float, type: TensorType) -> Any:
        with np.errstate(all="ignore"):
            return self.xp.full(type.shape, value, dtype=type.dtype.numpy)

    def from_numpy(self, array: np.ndarray) -> Any:
        return self.xp.asarray(array)

    def to_numpy(self, data: Any, type: TensorType) -> np.ndarray:
        array = self.array(data, type)
        if not isinstance(array, np.ndarray):
            array = array.get()
        view = array.view()
        view.flags.writeable = False
        return view

    def array(self, data: Any, type: TensorType) -> Any:
        """The data as an array; memory that is no array yet is viewed, not copied."""
        if isinstance(data, self.arrays):
            return data
        flat = (
            np.frombuffer(data, dtype=type.dtype.numpy, count=type.size) if type.size else np.empty(0, type.dtype.numpy)
        )
        return self.xp.asarray(flat.reshape(type.shape))

    def adopt(self, tensor: Tensor) -> Tensor:
        if not isinstance(tensor.backend, ArrayBackend):
            tensor.backend.to_numpy(tensor.data, tensor.type)  # raises: it is traced, or was donated
        raise AxonError(
            f"{tensor.type}: expected tensors of backend {self.name!r}, got one of {tensor.backend.name!r}; move it on "
            f"purpose with backend_transfer"
        )


def numpy_backend() -> ArrayBackend:
    """The backend on the CPU."""
    return ArrayBackend("numpy", np)


def cupy_backend() -> ArrayBackend:
    """The backend on an NVIDIA GPU; ImportError where CuPy is not installed."""
    try:
        import cupy  # type: ignore[import-not-found]
    except ImportError as error:
        raise ImportError('backend "cupy": expected CuPy, got none; pip install "axon-nx[cuda]"') from error
    return ArrayBackend("cupy", cupy)
