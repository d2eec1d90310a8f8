"""Calling a row: types are settled, operands converted, and everything is handed to one backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...dtypes import DType
from .backend import Backend, beside, home, tracing, watching
from .convert import convert
from .number import Number, compared, scalar_of, scalar_type
from .op import Op, as_dtype, examine, infer
from .tensor import Tensor, TensorType


def call(op: Op, operands: Sequence[Any], attrs: dict[str, Any]) -> Any:
    """Run a row: settle types, convert operands, dispatch. Returns a Tensor, or a tuple where the row has several."""
    types: list[Any] = [o.type if type(o) is Tensor else None for o in operands]
    if None in types:
        operands = _given(op.name, operands)
        types = [o.type if type(o) is Tensor else scalar_type(o) for o in operands]
    settled, as_given = infer(op, types, attrs)
    if op.by_value and not as_given:
        met = [compared(o, dtype) for o, dtype in zip(operands, settled.operands, strict=True)]
        if any(m is not o for m, o in zip(met, operands)) and any(type(o) is Tensor for o in operands):
            return call(op, met, attrs)
    backend = tracing.get() or _first(operands)
    args = operands
    if not as_given or _elsewhere(operands, backend):
        args = [
            o
            if type(o) is Tensor and o.backend is backend and o.type.dtype is dtype
            else _settled(op, o, dtype, backend)
            for o, dtype in zip(operands, settled.operands, strict=True)
        ]
    results = backend.apply(op, settled.out, args, settled.attrs)
    made = tuple([Tensor(t, backend, d) for t, d in zip(settled.out, results, strict=True)])
    if op.outside is not None or watching.get() is not None:
        examine(op, args, settled.attrs, made)
    return made[0] if len(made) == 1 else made


def _elsewhere(operands: Sequence[Tensor], backend: Backend) -> bool:
    """Whether some tensor is of another backend."""
    for o in operands:
        if o.backend is not backend:
            return True
    return False


def _first(operands: Sequence[Any]) -> Backend:
    """The backend of the first tensor."""
    for o in operands:
        if type(o) is Tensor:
            return o.backend
    return home()


def _settled(op: Op, operand: Any, dtype: DType, backend: Backend) -> Tensor:
    """An operand as a tensor of that dtype on that backend."""
    if type(operand) is Number:
        operand = operand.cast(op.name, dtype)
    if type(operand) is not Tensor:
        type_ = TensorType(dtype, ())
        return Tensor(type_, backend, backend.constant(scalar_of(op.name, operand, dtype), type_))
    if operand.backend is not backend:
        operand = backend.adopt(operand)
    return as_dtype(operand, dtype)


def _given(name: str, operands: Sequence[Any]) -> list[Any]:
    """Operands as tensors and Python scalars."""
    given = list(operands)
    for i, o in enumerate(given):
        if type(o) is not Tensor and scalar_type(o) is None:
            with beside([t for t in operands if isinstance(t, Tensor)]):
                given[i] = convert(name, o)
    return given
