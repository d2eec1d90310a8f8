"""Choice and conversion: of values, and of the dtype that holds them."""

from __future__ import annotations

from typing import Any

from ...dtypes import DType, DTypeLike
from ...dtypes import dtype as to_dtype
from ..core.attributes import opaque
from ..core.declare import method, row
from ..core.functions import function
from ..core.kinds import ELEMENTWISE
from ..core.op import Inference
from ..core.rounding import cast
from ..core.rules import choice, elementwise
from ..core.tensor import Tensor, TensorType
from .logic import Operand, greater, less


def _where(xp: Any, c: Any, x: Any, y: Any) -> Any:
    return xp.where(c, x, y)  # ten times the time of a scalar's loop where the condition is mixed


@elementwise(dtype=choice, vjp=lambda g, z, c, x, y: (None, c.where(g, 0), c.where(0, g)), eager=_where)
def where(condition: Operand, x: Operand, y: Operand, /) -> Tensor:
    """x where the condition is true, else y.

    >>> nx.where(True, 1, 2)
    int32[] 1
    """
    ...


@function(method=True)
def clip(x: Tensor, /, min: Operand | None = None, max: Operand | None = None) -> Tensor:
    """x limited to [min, max] (max wins where they cross), in x's dtype where the bounds are of its kind. A Python int
    below all that an integer dtype holds is no lower bound, one above no upper bound. The gradient is 1 inside and at
    the bounds.

    >>> nx.clip(3.5, 0, 1)
    float32[] 1.
    """
    y, whole = x, x.dtype.is_integer
    if min is not None and not (whole and isinstance(min, int) and min < x.dtype.lowest):
        y = where(less(y, min), min, y)
    if max is not None and not (whole and isinstance(max, int) and max > x.dtype.highest):
        y = where(greater(y, max), max, y)
    return astype(y, x.dtype) if y.dtype.kind == x.dtype.kind else y


def _astype_infer(operands: Any, attrs: dict[str, Any]) -> Inference:
    (x,) = operands
    dtype = to_dtype(attrs["dtype"])
    given = x if isinstance(x, TensorType) else TensorType(to_dtype(x), ())
    return Inference((given.dtype,), (TensorType(dtype, given.shape, given.names),), {"dtype": dtype})


def _astype_vjp(g: Tensor, y: Tensor, x: Tensor, *, dtype: DType) -> tuple[Tensor | None]:
    return (g.astype(x.dtype) if dtype.is_float and x.dtype.is_float else None,)


@row(ELEMENTWISE, _astype_infer, attributes={"dtype": opaque}, cost=0, scalar="cast", eager=cast, vjp=_astype_vjp)
def astype_(x: Operand, /, dtype: DTypeLike) -> Tensor:
    """The row under `astype`."""
    ...


@method
def astype(x: Operand, /, dtype: DTypeLike, *, copy: bool = True) -> Tensor:
    """x converted to a dtype. Floats to integers: rounded towards 0, limited to the range, NaN gives 0. Integers wrap.
    What becomes a float is rounded once, to the nearest one. What is not zero is true. `copy` is the standard's, and
    changes nothing: tensors are immutable.

    >>> nx.astype(300.7, nx.uint8)
    uint8[] 255
    """
    return x if isinstance(x, Tensor) and x.dtype is to_dtype(dtype) else astype_(x, dtype)
