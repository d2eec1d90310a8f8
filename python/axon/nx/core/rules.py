"""Dtype rules and shape rules: what a row takes and what it gives. All errors are raised here, before any backend.

A dtype rule is (op name, operand dtypes) -> (dtypes operands are cast to, result dtype, or a tuple of them); bool, int
or float stand for Python scalars. A shape rule is (op name, operand types, **attrs) -> (shape, names, attrs in normal
form): axes non-negative, shapes resolved, everything hashable.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ...dtypes import ALL, CATEGORIES, KINDS, DType, bool_, float32, int32, int64, promote, result_type, uint32, uint64
from ...errors import DTypeError, ShapeError
from .attributes import axes, each, opaque
from .declare import declaring
from .kinds import CONTRACTION, ELEMENTWISE, INDEXING, LIBRARY, MOVEMENT, REDUCTION, SEQUENCING, WINDOW
from .op import describe, sized
from .tensor import Names, Shape, TensorType

Settled = tuple[Shape, Names, Mapping[str, Any]]
OneDType = Callable[[str, Sequence[DType | type]], tuple[tuple[DType, ...], DType]]  # a dtype rule of one result


# Dtypes


def promoting(*categories: str, out: DType | None = None, instead: str = "") -> OneDType:
    """A rule: operands are cast to their common dtype, which must be of one of these categories; the result is of dtype
    `out`, or of theirs."""
    kinds = "".join(CATEGORIES[c] for c in categories)
    named = [KINDS[k] for k in dict.fromkeys(d.kind for d in ALL) if k in kinds]

    def rule(name: str, operands: Sequence[DType | type]) -> tuple[tuple[DType, ...], DType]:
        common = common_dtype(name, operands)
        if common.kind not in kinds:
            allowed = ", ".join(named)
            raise DTypeError(f"{name}: expected dtypes of kind {allowed}, got {_listed(operands)}; {instead}")
        return (common,) * len(operands), out or common

    takes = "any dtype" if all(d.kind in kinds for d in ALL) else " or ".join(named) + " dtypes"
    rule.__doc__ = f"Takes {takes}; the result is {out or 'of the common dtype'}."
    return rule


def common_dtype(name: str, operands: Sequence[DType | type]) -> DType:
    """The dtype that promotion leads to; DTypeError with the op's name where there is none."""
    try:
        return result_type(*operands)
    except DTypeError as error:
        raise DTypeError(f"{name}: {error}") from None


def _listed(operands: Sequence[DType | type]) -> str:
    return " and ".join(str(o) if isinstance(o, DType) else o.__name__ for o in operands)


_CAST = "cast with astype first"
anything = promoting("bool", "numeric")
numeric = promoting("numeric", instead="use the logical functions for bool, or cast with astype first")
integral = promoting("integral", instead=_CAST)
bitwise = promoting("bool", "integral", instead="use the logical functions, or cast with astype first")
floats = promoting("real floating", instead=_CAST)
signs = promoting("real floating", out=bool_, instead="compare integers with 0 instead")
equality = promoting("bool", "numeric", out=bool_)
ordering = promoting("integral", "real floating", out=bool_, instead=_CAST)
position = promoting("integral", "real floating", out=int32, instead=_CAST)


def floating(name: str, operands: Sequence[DType | type]) -> tuple[tuple[DType, ...], DType]:
    """Takes any dtype; integers and bool become float32; the result is of the common floating dtype."""
    common = common_dtype(name, operands)
    common = common if common.is_float else float32
    return (common,) * len(operands), common


def full_floats(name: str, operands: Sequence[DType | type]) -> tuple[tuple[DType, ...], DType]:
    """Takes float32 and float64; the result is of the common dtype."""
    dtypes, common = floats(name, operands)
    if common.is_half:
        raise DTypeError(f"{name}: expected float32 or float64, got {common}; cast with astype first")
    return dtypes, common


def classifying(name: str, operands: Sequence[DType | type]) -> tuple[tuple[DType, ...], DType]:
    """Takes any dtype; the result is bool."""
    return floating(name, operands)[0], bool_


def logical(name: str, operands: Sequence[DType | type]) -> tuple[tuple[DType, ...], DType]:
    """Takes any dtype, and any number but zero as true; the result is bool."""
    return (bool_,) * len(operands), bool_


def choice(name: str, operands: Sequence[DType | type]) -> tuple[tuple[DType, ...], DType]:
    """The first operand is taken as bool, the others as their common dtype, which is the result's."""
    common = common_dtype(name, operands[1:])
    return (bool_, *(common,) * (len(operands) - 1)), common


def accumulating(name: str, operands: Sequence[DType | type]) -> tuple[tuple[DType, ...], DType]:
    """Takes any dtype; bool and small integers are widened to int32 (uint32 if unsigned) before they are combined."""
    common = common_dtype(name, operands)
    if not common.is_float:
        common = promote(common, uint32 if common.kind == "u" else int32)
    return (common,) * len(operands), common


def with_positions(name: str, operands: Sequence[DType | type]) -> tuple[tuple[DType, ...], tuple[DType, ...]]:
    """Takes any dtype; the results are of the common dtype, and int32."""
    common = common_dtype(name, operands)
    return (common,) * len(operands), (common, int32)


def indexed(name: str, operands: Sequence[DType | type]) -> tuple[tuple[DType, ...], DType]:
    """The second operand holds integers; the others take their common dtype, which is the result's."""
    index = index_dtype(result_type(operands[1]), name)
    common = common_dtype(name, (operands[0], *operands[2:]))
    return (common, index, *(common,) * (len(operands) - 2)), common


def indexed_numbers(name: str, operands: Sequence[DType | type]) -> tuple[tuple[DType, ...], DType]:
    """As `indexed`, but for bool, which cannot be added."""
    numeric(name, (operands[0], *operands[2:]))
    return indexed(name, operands)


def first(name: str, operands: Sequence[DType | type]) -> tuple[tuple[DType, ...], DType]:
    """Takes any dtypes; the result is of the first operand's."""
    dtypes = tuple([result_type(o) for o in operands])
    return dtypes, dtypes[0]


def index_dtype(dtype: DType, name: str = "indexing") -> DType:
    """The signed dtype that indices of a dtype are read in; DTypeError for uint64, which would wrap."""
    if not dtype.is_integer or dtype is uint64:
        raise DTypeError(f"{name}: expected integer indices that int64 holds, got {dtype}; cast them with astype first")
    return int64 if dtype.digits > int32.digits else int32


# Axes and attributes


def integer(name: str, what: str, value: Any, advice: str = "shapes and axes are static") -> int:
    """A Python int out of anything that is an integer; TypeError otherwise, which ends with the advice."""
    if isinstance(value, bool):
        raise TypeError(f"{name}: expected an integer for {what}, got {value}; write 0 or 1")
    try:
        return operator.index(value)
    except TypeError as error:
        raise TypeError(f"{name}: expected an integer for {what}, got {value!r}; {advice}") from error


def integers(name: str, what: str, values: Any, count: int | None = None) -> tuple[int, ...]:
    """A tuple of Python ints; one integer is repeated `count` times where that is given."""
    if _several(values):
        found = tuple(integer(name, what, v) for v in values)
    else:
        found = (integer(name, what, values),) * (1 if count is None else count)
    if count is not None and len(found) != count:
        raise ShapeError(f"{name}: expected {count} values for {what}, got {found}; give one an axis, or one for all")
    return found


def _several(values: Any) -> bool:
    """Whether values can be walked: an array of rank 0 looks it, and cannot."""
    return isinstance(values, Iterable) and getattr(values, "ndim", 1) > 0


def shape_of(name: str, shape: Any) -> Shape:
    """A shape that a tensor can have out of an int or a sequence: non-negative sizes, `sized`."""
    found = integers(name, "shape", shape)
    if any(s < 0 for s in found):
        raise ShapeError(f"{name}: expected a shape of non-negative sizes, got {found}; count each axis's elements")
    return sized(name, found)


def axis_of(name: str, type: TensorType, axis: Any) -> int:
    """The number of an axis given by number (negative counts from the end) or by name."""
    if isinstance(axis, str):
        if type.names is None or axis not in type.names:
            raise ShapeError(f"{name}: expected an axis named {axis!r}, got {type}; name its axes with rename")
        return type.names.index(axis)
    i = integer(name, "axis", axis)
    if not -type.ndim <= i < type.ndim:
        raise ShapeError(f"{name}: expected an axis in [{-type.ndim}, {type.ndim}), got {i} for {type}; check the rank")
    return i % type.ndim


def axes_of(name: str, type: TensorType, axes: Any) -> tuple[int, ...]:
    """The numbers of distinct axes, in the order given; None means all."""
    if axes is None:
        return tuple(range(type.ndim))
    given = tuple(axes) if _several(axes) and not isinstance(axes, str) else (axes,)
    found = tuple(axis_of(name, type, a) for a in given)
    if len(set(found)) != len(found):
        raise ShapeError(f"{name}: expected distinct axes, got {given} for {type}; name each axis once")
    return found


def names_of(name: str, names: Any, shape: Shape) -> Names:
    """Axis names in normal form: None, or one str or None an axis, none twice."""
    if names is None:
        return None
    found = tuple(names)
    if isinstance(names, str) or len(found) != len(shape) or not all(n is None or isinstance(n, str) for n in found):
        raise ShapeError(
            f"{name}: expected {len(shape)} axis names for shape {shape}, got {names!r}; None leaves one out"
        )
    given = [n for n in found if n is not None]
    if len(set(given)) != len(given):
        raise ShapeError(f"{name}: expected distinct axis names, got {found}; rename one")
    return found if given else None


def picked(names: Names, axes: Iterable[int | None]) -> Names:
    """The names of these axes in this order; None stands for an axis without a name."""
    if names is None:
        return None
    found = tuple(None if a is None else names[a] for a in axes)
    return found if any(found) else None


def merged(name: str, types: Sequence[TensorType]) -> Names:
    """The names of the broadcast result: axes are aligned at the end, None meets any name."""
    found: dict[int, str] = {}
    for t in types:
        for i, n in enumerate(t.names or ()):
            if n is not None and found.setdefault(i - t.ndim, n) != n:
                raise ShapeError(
                    f"{name}: expected axis names that agree, got {describe(types)}; rename or transpose one"
                )
    ndim = max((t.ndim for t in types), default=0)
    return names_of(name, [found.get(i) for i in range(-ndim, 0)], (0,) * ndim) if found else None


# Shapes


def broadcast_shapes(name: str, types: Sequence[TensorType]) -> Shape:
    """The shape all operands broadcast to: aligned at the end, sizes equal or 1."""
    shape: list[int] = []
    for t in types:
        shape = [1] * (t.ndim - len(shape)) + shape
        for i, s in enumerate(t.shape, len(shape) - t.ndim):
            if shape[i] == 1:
                shape[i] = s
            elif s not in (1, shape[i]):
                raise ShapeError(
                    f"{name}: expected shapes that broadcast, got {describe(types)}; sizes must be equal or 1, counted "
                    f"from the last axis: reshape or expand_dims one"
                )
    return tuple(shape)


def of_first(name: str, types: Sequence[TensorType]) -> Settled:
    """The first operand's."""
    return types[0].shape, types[0].names, {}


def broadcasting(name: str, types: Sequence[TensorType]) -> Settled:
    """Of elementwise rows: operands broadcast."""
    if len(types) == 1:
        return types[0].shape, types[0].names, {}
    return broadcast_shapes(name, types), merged(name, types), {}


def reducing(name: str, types: Sequence[TensorType], *, axis: Any, keepdims: bool) -> Settled:
    """Of reductions: `axis` (an axis, several, or None for all) disappears, or stays with size 1."""
    (x,) = types
    axes = tuple(sorted(axes_of(name, x, axis)))
    kept: list[int | None] = [i for i in range(x.ndim) if i not in axes]
    normal = {"axis": axes, "keepdims": bool(keepdims)}
    if keepdims:
        shape = tuple(1 if i in axes else s for i, s in enumerate(x.shape))
        return shape, picked(x.names, [None if i in axes else i for i in range(x.ndim)]), normal
    return tuple(s for i, s in enumerate(x.shape) if i not in axes), picked(x.names, kept), normal


def choosing(name: str, types: Sequence[TensorType], *, axis: Any, keepdims: bool) -> Settled:
    """Of reductions without a result over nothing: like `reducing`, and no reduced axis may be empty."""
    settled = reducing(name, types, axis=axis, keepdims=keepdims)
    if any(types[0].shape[a] == 0 for a in settled[2]["axis"]):
        raise ShapeError(
            f"{name}: expected at least one element to reduce, got {types[0]}; check for empty input first"
        )
    return settled


def locating(name: str, types: Sequence[TensorType], *, axis: Any, keepdims: bool) -> Settled:
    """Of reductions to a position: like `choosing`, over one axis."""
    settled = choosing(name, types, axis=axis, keepdims=keepdims)
    if len(settled[2]["axis"]) != 1:
        raise ShapeError(f"{name}: expected one axis, got {axis} for {types[0]}; reshape the axes to one first")
    return settled


# The decorators of kinds, which their rows are declared by.

elementwise = declaring(ELEMENTWISE, shape=broadcasting)
reduction = declaring(REDUCTION, shape=reducing, attributes={"axis": axes, "keepdims": opaque})
movement = declaring(MOVEMENT, dtype=anything)
indexing = declaring(INDEXING, dtype=indexed)
contraction = declaring(CONTRACTION, dtype=numeric)
library = declaring(LIBRARY)
window = declaring(
    WINDOW,
    dtype=numeric,
    attributes={"window": each(1), "strides": each(1), "padding": each((0, 0)), "dilation": each(1)},
)
sequencing = declaring(SEQUENCING, shape=of_first, dtype=first)
