"""Creation rows: a literal, and indices along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...dtypes import DType, DTypeLike, bool_, int32
from ...dtypes import dtype as to_dtype
from ...errors import DTypeError
from ..core.attributes import axes, opaque, sizes
from ..core.declare import row
from ..core.kinds import CREATION
from ..core.number import scalar_of
from ..core.op import Inference
from ..core.rounding import cast
from ..core.rules import axis_of, shape_of
from ..core.tensor import Tensor, TensorType


def _literal_infer(operands: Any, attrs: dict[str, Any]) -> Inference:
    dtype = to_dtype(attrs["dtype"])
    value = scalar_of("literal", attrs["value"], dtype)
    return Inference((), (TensorType(dtype, ()),), {"value": value, "dtype": dtype})


@row(
    CREATION,
    _literal_infer,
    attributes={"value": opaque, "dtype": opaque},
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


@row(
    CREATION,
    _iota_infer,
    attributes={"shape": sizes, "axis": axes, "dtype": opaque},
    nondifferentiable="zero",
    eager=_iota,
)
def iota_(shape: int | Sequence[int], axis: int, dtype: DTypeLike = int32) -> Tensor:
    """The row under `iota`: along one axis."""
    ...
