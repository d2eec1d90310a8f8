"""The eager backend over an array namespace: NumPy's, and with the same code CuPy's.

An elementwise row runs on its scalar of scalar.h where the backend is given those (docs/design/eager.md). Any other
says how it is carried out (its `eager`), or the namespace has a function of its name. Half floats are computed in
float32 and rounded once an op. Data is the namespace's array, or anything with the buffer protocol that a compiled
program made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..dtypes import ALL, DType, bool_, float32
from ..dtypes import dtype as to_dtype
from ..errors import AxonError
from ..nx.core.backend import running, unwatched
from ..nx.core.op import Op, attribute_key, keep, results_of
from ..nx.core.tensor import Tensor, TensorType
from ..nx.core.types import finfo
from ..runtime import array_maker, computing, in_our_memory
from . import dlpack

RENAMED = {  # array-API names that a namespace may know only by NumPy's older ones
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atan2": "arctan2",
    "atanh": "arctanh", "bitwise_invert": "invert", "bitwise_left_shift": "left_shift",
    "bitwise_right_shift": "right_shift", "concat": "concatenate", "pow": "power",
}  # fmt: skip

PROGRAMS = 256  # of native steps that are kept for a row and its dtypes
HELD = min(finfo(d).max for d in ALL if d.is_float)  # every float is finite up to here


# Name, codes of the inputs' dtypes, of the output's -> (*inputs, output): inputs broadcast to a dense output.
Scalars = Callable[[str, Sequence[int], int], Callable[..., None] | None]
# Row, dtypes of the operands and of the results -> what makes the program of a native step for their types and
# attributes: (types, results' types, attributes) -> (*memory) -> the results' memory. None: eager calls run none.
Natives = Callable[[Op, Sequence[DType], Sequence[DType]], Callable[..., Callable[..., tuple[Any, ...]]] | None]
Carrier = Callable[[Sequence[Tensor], Mapping[str, Any], tuple[TensorType, ...]], tuple[Any, ...]]


class ArrayBackend:
    """A backend whose data are arrays of the namespace `xp`."""

    def __init__(
        self,
        name: str,
        xp: Any,
        scalars: Scalars | None = None,
        compiler: str | None = None,
        natives: Natives | None = None,
    ) -> None:
        self.name, self.xp, self.compiler = name, xp, compiler
        self.arrays = (xp.ndarray, np.ndarray)
        self._scalars, self._natives = scalars, natives
        self._carriers: dict[Any, Carrier] = {}  # by row, dtype of the result and of the operands

    def __repr__(self) -> str:
        return f"<backend {self.name}>"

    def apply(
        self, op: Op, out: tuple[TensorType, ...], args: Sequence[Tensor], attrs: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        key = (op, out and out[0].dtype, *[a.type.dtype for a in args])  # an effect may give nothing
        try:
            carry = self._carriers[key]
        except KeyError:
            carry = self._carriers[key] = self._carrier(*key)
        return carry(args, attrs, out)

    def _carrier(self, op: Op, out: Any, *operands: DType) -> Carrier:
        """What carries out a row of operands of these dtypes."""
        if op.kind.effect:  # Python of the user's, which sees his context
            assert op.eager is not None
            return partial(self._acting, op.eager)
        scalar = None
        if op.kind.pointwise and self._scalars is not None and _better(op, out, operands):
            scalar = self._scalars(op.scalar, [d.code for d in operands], out.code)
        if scalar is not None:
            return self._looping(scalar, out, operands)
        native = self._natives is not None and (op.extern or op.kind.native)
        program = self._natives(op, operands, [out]) if native and self._natives is not None else None
        if program is not None:
            return self._stepping(program)
        if op.eager is None and op.expand is not None:
            return partial(self._expanded, op.expand)
        return self._calling(self._function(op), op.kind.widened and any(d.is_half for d in operands))

    def _looping(self, scalar: Callable[..., None], out: DType, operands: Sequence[DType]) -> Carrier:
        """By a compiled loop: (*inputs, output)."""
        empty, dtype, known = array_maker(), out.numpy, self.arrays
        odd = any(d.numpy.kind == "V" for d in (out, *operands))

        def carry(args: Sequence[Tensor], attrs: Mapping[str, Any], out: tuple[TensorType, ...]) -> tuple[Any, ...]:
            made = empty(out[0].shape, dtype)
            arrays = [x if isinstance(x := a.data, known) else self.array(x, a.type) for a in args]
            if odd:
                scalar(*map(_exported, arrays), _exported(made))
            else:
                scalar(*arrays, made)
            return (made,)

        return carry

    def _stepping(self, program: Callable[..., Callable[..., tuple[Any, ...]]]) -> Carrier:
        """By the program of a native step, one for each shape and attributes met."""
        kept: dict[Any, Callable[..., tuple[Any, ...]]] = {}

        def carry(args: Sequence[Tensor], attrs: Mapping[str, Any], out: tuple[TensorType, ...]) -> tuple[Any, ...]:
            key = (*[a.type.shape for a in args], *map(attribute_key, attrs.values()))
            run = kept.get(key)
            if run is None:
                run = keep(kept, key, program([a.type for a in args], out, attrs), PROGRAMS)
            dense = [self.xp.ascontiguousarray(self.array(a.data, a.type)) for a in args]
            return tuple([self.array(made, t) for made, t in zip(run(tuple(dense)), out, strict=True)])

        return carry

    def _calling(self, function: Callable[..., Any], widens: bool) -> Carrier:
        """By a function of arrays; `widens`: half floats are computed in float32."""
        known, asarray = self.arrays, self.xp.asarray

        def settled(made: Any, type: TensorType) -> Any:
            """A result as an array of the dtype that inference promised."""
            made, wanted = asarray(made), type.dtype.numpy
            return made if made.dtype == wanted else made.astype(wanted)

        def results(arrays: list[Any], attrs: Mapping[str, Any], out: tuple[TensorType, ...]) -> tuple[Any, ...]:
            made = function(*arrays, **attrs)
            if len(out) == 1:
                return (settled(made, out[0]),)
            return tuple([settled(x, t) for x, t in zip(made, out, strict=True)])

        def carry(args: Sequence[Tensor], attrs: Mapping[str, Any], out: tuple[TensorType, ...]) -> tuple[Any, ...]:
            arrays = [x if isinstance(x := a.data, known) else self.array(x, a.type) for a in args]
            if widens:
                arrays = [x.astype(a.type.dtype.computed_in.numpy, copy=False) for x, a in zip(arrays, args)]
            return computing(results, arrays, attrs, out)

        return carry

    def _expanded(
        self, expand: Callable[..., Any], args: Sequence[Tensor], attrs: Mapping[str, Any], out: Any
    ) -> tuple[Any, ...]:
        with running(self), unwatched():
            return tuple([t.data for t in results_of(expand(*args, **attrs))])

    def _acting(
        self, act: Callable[..., Any], args: Sequence[Tensor], attrs: Mapping[str, Any], out: Any
    ) -> tuple[Any, ...]:
        made = act(self, *[self.array(a.data, a.type) for a in args], **attrs)
        return tuple(made) if isinstance(made, (tuple, list)) else (made,)

    def _function(self, op: Op) -> Callable[..., Any]:
        """A row over arrays: (*arrays, **attributes) -> an array, or several."""
        if op.eager is not None:
            return partial(op.eager, self.xp)
        name = op.name if hasattr(self.xp, op.name) else RENAMED[op.name]
        # A method of arrays does what the namespace's function does after looking at what it is given.
        method = getattr(self.xp.ndarray, name, None) if op.kind.reduces or op.kind.moves else None
        return method or getattr(self.xp, name)

    def constant(self, value: bool | int | float, type: TensorType) -> Any:
        if not type.shape and -HELD <= value <= HELD:
            return computing(self.xp.asarray, value, type.dtype.numpy)
        return computing(self.xp.full, type.shape, value, type.dtype.numpy)

    def from_numpy(self, array: np.ndarray) -> Any:
        return self.xp.asarray(array)

    def to_numpy(self, data: Any, type: TensorType) -> np.ndarray:
        array = self.array(data, type)
        if not isinstance(array, np.ndarray):
            array = array.get()
        view = array.view()
        view.flags.writeable = False
        return view

    @in_our_memory
    def imported(self, source: Any, copy: bool | None = None) -> Tensor:
        if isinstance(source, Tensor):
            array = self.array(source.data, source.type)
        elif self.xp is not np and dlpack.device_of(source) != dlpack.CPU:
            array = self.xp.from_dlpack(source)
        else:
            array = dlpack.shared(source)
            if self.xp is not np and copy is False:
                raise ValueError(f"from_dlpack: expected memory of {self.name!r}, got the CPU's; leave copy out")
        array = self.xp.array(array, copy=True, order="C") if copy else self.xp.asarray(array)
        return Tensor(TensorType(to_dtype(array.dtype), array.shape), self, array)

    @in_our_memory
    def exported(self, data: Any, type: TensorType, copy: bool | None = None) -> Any:
        if self.xp is not np:
            array = self.array(data, type)
            return array.copy() if copy else array
        return dlpack.exported(np.array(self.to_numpy(data, type), order="C", copy=copy), type)

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
    return dlpack.bits(array) if array.dtype.kind == "V" else array


def numpy_backend(
    scalars: Scalars | None = None, compiler: str | None = None, natives: Natives | None = None
) -> ArrayBackend:
    """The backend on the CPU; with the compiled loops of scalars, a compiler of composed functions and native steps,
    where given."""
    return ArrayBackend("numpy", np, scalars, compiler, natives)


def cupy_backend() -> ArrayBackend:
    """The backend on an NVIDIA GPU; ImportError where CuPy is not installed."""
    try:
        import cupy  # type: ignore[import-not-found]
    except ImportError as error:
        raise ImportError('backend "cupy": expected CuPy, got none; pip install "axon-nx[cuda]"') from error
    return ArrayBackend("cupy", cupy)
