"""The eager backend over an array namespace: NumPy's, and with the same code CuPy's.

An elementwise row runs on its scalar of scalar.h where the backend is given those (docs/design/eager.md). Any other
says how it is carried out (its `eager`), or the namespace has a function of its name. Half floats are computed in
float32 and rounded once an op. Data is the namespace's array, or anything with the buffer protocol that a compiled
program made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from ..dtypes import DType, bool_, float32
from ..errors import AxonError
from ..nx.backend import running, unwatched
from ..nx.op import Op
from ..nx.tensor import Tensor, TensorType
from ..runtime import in_our_memory

_QUIET = nullcontext()  # movement computes nothing that NumPy could warn of
ARITHMETIC = {"elementwise", "reduction", "contraction", "indexing"}  # kinds in which half floats are widened

RENAMED = {  # array-API names that a namespace may know only by NumPy's older ones
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atan2": "arctan2",
    "atanh": "arctanh", "bitwise_invert": "invert", "bitwise_left_shift": "left_shift",
    "bitwise_right_shift": "right_shift", "concat": "concatenate", "pow": "power",
}  # fmt: skip


Loop = Callable[..., None]  # (*inputs, output): inputs broadcast to the output, which is dense
Scalars = Callable[[str, Sequence[int], int], Loop | None]  # name, codes of the inputs' dtypes, of the output's


class ArrayBackend:
    """A backend whose data are arrays of the namespace `xp`."""

    def __init__(self, name: str, xp: Any, scalars: Scalars | None = None, compiler: str | None = None) -> None:
        self.name, self.xp, self.compiler = name, xp, compiler
        self.arrays = (xp.ndarray, np.ndarray)
        self._scalars = scalars
        self._loops: dict[Any, Loop | None] = {}  # by row, dtype of the result and of the operands

    def __repr__(self) -> str:
        return f"<backend {self.name}>"

    @in_our_memory
    def apply(
        self, op: Op, out: tuple[TensorType, ...], args: Sequence[Tensor], attrs: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        if op.kind == "elementwise":
            loop = self._loop(op, out[0].dtype, args)
            if loop is not None:
                made = np.empty(out[0].shape, out[0].dtype.numpy)
                loop(*[_exported(self.array(a.data, a.type)) for a in args], _exported(made))
                return (made,)
        if op.eager is None and op.expand is not None:
            with running(self), unwatched():
                return (op.expand(*args, **attrs).data,)
        arrays = [self.array(a.data, a.type) for a in args]
        if op.kind in ARITHMETIC:
            arrays = [x.astype(np.float32) if a.dtype.is_half else x for x, a in zip(arrays, args)]
        with _QUIET if op.kind == "movement" else np.errstate(all="ignore"):
            if op.eager is not None:
                made = op.eager(self.xp, *arrays, **attrs)
            else:
                name = op.name if hasattr(self.xp, op.name) else RENAMED[op.name]
                made = getattr(self.xp, name)(*arrays, **attrs)
            results = made if isinstance(made, tuple) else (made,)
            return tuple([self._settled(x, t) for x, t in zip(results, out, strict=True)])

    def _loop(self, op: Op, out: DType, args: Sequence[Tensor]) -> Loop | None:
        """The compiled loop of an elementwise row, where there is one and it is wanted (`_better`)."""
        key = (op, out, *[a.type.dtype for a in args])
        try:
            return self._loops[key]
        except KeyError:
            found, dtypes = None, [a.type.dtype for a in args]
            if self._scalars is not None and _better(op, out, dtypes):
                name = "cast" if op.name == "astype" else op.name
                found = self._scalars(name, [d.code for d in dtypes], out.code)
            return self._loops.setdefault(key, found)

    def _settled(self, x: Any, type: TensorType) -> Any:
        """A result as an array of the dtype that inference promised."""
        x, wanted = self.xp.asarray(x), type.dtype.numpy
        return x if x.dtype == wanted else x.astype(wanted)

    @in_our_memory
    def constant(self, value: bool | int | float, type: TensorType) -> Any:
        if not type.shape and -65504 <= value <= 65504:  # what every float holds
            return self.xp.asarray(value, dtype=type.dtype.numpy)
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


def _better(op: Op, out: DType, operands: Sequence[DType]) -> bool:
    """Whether a row's scalar is better than NumPy: float32 results are the bits of compiled code, halves are ten times
    as fast, and a formula takes several passes. NumPy's own loops over integers, and to bool, are exact and faster."""
    if out.is_half or any(d.is_half for d in operands):
        return True
    return out is not bool_ and (out is float32 or op.eager is not None)


def _exported(array: np.ndarray) -> np.ndarray:
    """The array, or its bits where NumPy exports no memory of the dtype."""
    return array.view(np.uint16) if array.dtype.kind == "V" else array


def numpy_backend(scalars: Scalars | None = None, compiler: str | None = None) -> ArrayBackend:
    """The backend on the CPU; with the compiled loops of scalars and a compiler of composed functions, where given."""
    return ArrayBackend("numpy", np, scalars, compiler)


def cupy_backend() -> ArrayBackend:
    """The backend on an NVIDIA GPU; ImportError where CuPy is not installed."""
    try:
        import cupy  # type: ignore[import-not-found]
    except ImportError as error:
        raise ImportError('backend "cupy": expected CuPy, got none; pip install "axon-nx[cuda]"') from error
    return ArrayBackend("cupy", cupy)
