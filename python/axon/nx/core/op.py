"""Op, the row of the op table, and what is settled of a call before a backend is asked.

A row is a Python function: positional-only parameters are tensor operands, the others are attributes. declare.py makes
rows of functions, call.py runs them over whatever is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from ...dtypes import DType
from ...errors import ShapeError
from ...exact import exact
from .attributes import Meanings
from .backend import select, tracing, watching
from .combine import Combine
from .kinds import Kind
from .tensor import Shape, Tensor, TensorType

R = TypeVar("R")

LIMIT = 1 << 43  # elements of a tensor: at 8 bytes each, the 2**46 that the runtime allows a buffer
Given = TensorType | type  # what inference sees: a type, or bool/int/float for a Python scalar


class Inference(NamedTuple):
    """What is settled before a backend is called: the dtypes operands are cast to, result types, normal attributes."""

    operands: tuple[DType, ...]
    out: tuple[TensorType, ...]
    attrs: Mapping[str, Any]


class Index(NamedTuple):
    """How one axis of a movement's operand is addressed from the result's index o[axis]:

    t = o[axis] - lo must be in [0, size*div) and a multiple of div; the operand's index is (t // div) * mul + start.
    axis None is index `start`. lo 0, div 1 and size None mean that every index of the result is inside.
    """

    axis: int | None
    mul: int = 1
    start: int = 0
    lo: int = 0
    div: int = 1
    size: int | None = None


RESHAPE = "reshape"  # an index map that keeps the row-major order of elements


@dataclass(frozen=True, eq=False, slots=True)
class Op:
    """One row of the table. Fields not given by the row have the default of its kind."""

    name: str
    kind: Kind
    infer: Callable[[Sequence[Given], dict[str, Any]], Inference]
    eager: Callable[..., Any] | None = None  # (xp, *arrays, **attrs); None is expand, or xp.<name>(*arrays, **attrs)
    # (of an effect: the backend instead of xp)
    vjp: Callable[..., Sequence[Any]] | None = None  # (g, y, *operands, **attrs) -> a gradient (or Part) an operand; of
    # several results g and y are tuples
    batch: Callable[..., Any] | None = None  # (lanes, *operands, **attrs) -> the results, with lanes as axis 0; None:
    # by the row itself, its attributes shifted
    jvp: Callable[..., Any] | None = None  # (tangents, y, *operands, **attrs) -> the result's tangent (of several, a
    # tuple), where the kind has no rule for it; None is a tangent of 0
    nondifferentiable: str | None = None  # why there is no vjp and what to use instead; "zero" means gradient 0
    scalar: str = ""  # elementwise: its function in csrc/kernels/scalar.h; the row's name unless given
    combine: Combine | None = None  # reductions, cumulative rows
    index_map: Callable[..., Any] | None = (
        None  # movement, gather: (types, out, **attrs) -> a tuple of Index an operand
    )
    extern: str | None = None  # contraction, library: symbol of the runtime's library step
    expand: Callable[..., Any] | None = None  # window: (*operands, **attrs) in terms of simpler rows, for decompose;
    # it gives what the row gives, a tensor or a tuple of them
    outside: Callable[..., str | None] | None = None  # (*operands, **attrs) -> what their values must not be, as a text
    by_value: bool = False  # comparisons: a Python int that the dtype it meets cannot hold is beyond all that it holds
    cost: int = 1  # to repeat it for an element: 0 free (casts), 1 cheap, 8 a division or transcendental
    domain: tuple[float, float] | None = None  # reals on which the row is tested by value
    tolerance: Mapping[str, float] = field(default_factory=dict)  # dtype name -> relative error allowed in tests
    attributes: Meanings = field(default_factory=dict)  # what each attribute means
    function: Callable[..., Any] | None = None  # its public function; of native code of a user's, what holds that code

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> Any:
        return find, (self.name,)


TABLE: dict[str, Op] = {}  # every row by name, in order of declaration


def find(name: str) -> Op:
    """The row of that name; KeyError where there is none."""
    return TABLE[name]


def describe(operands: Sequence[Given]) -> str:
    """Operand types as error texts show them: `float32[3,4] and float32[5,6]`."""
    return " and ".join(str(o) if isinstance(o, TensorType) else o.__name__ for o in operands)


def results_of(made: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What a row gives, as a tuple."""
    return made if isinstance(made, tuple) else (made,)


def sized(name: str, shape: Shape) -> Shape:
    """The shape, if a tensor can have it."""
    if math.prod([s or 1 for s in shape]) > LIMIT:
        raise ShapeError(f"{name}: expected a shape of at most 2**43 elements, got {shape}; check its sizes")
    return shape


KEPT = 4096  # entries of a table of what was settled before
_inferred: dict[Any, tuple[Inference, bool]] = {}  # by row, operands and attributes


def infer(op: Op, types: Sequence[Given], attrs: Mapping[str, Any]) -> tuple[Inference, bool]:
    """`op.infer`, looked up where a call has the types and attributes of one before; and whether the operands are
    tensors of the dtypes that they are cast to."""
    try:
        key = (op, *types, *attrs, *map(attribute_key, attrs.values())) if attrs else (op, *types)
    except TypeError:
        return op.infer(types, dict(attrs)), False
    found = _inferred.get(key)
    if found is None:
        settled = op.infer(types, dict(attrs))
        as_given = settled.operands == tuple([t.dtype if isinstance(t, TensorType) else None for t in types])
        found = keep(_inferred, key, (settled, as_given))
    return found


def keep(table: dict[Any, R], key: Any, value: R, most: int = KEPT) -> R:
    """Enter a value in a table. One that is full, as where nothing repeats, is emptied before."""
    if len(table) >= most:
        table.clear()
    table[key] = value
    return value


_THEMSELVES = frozenset((int, str, DType, type(None), type(Ellipsis)))  # equal only if of one type


def attribute_key(value: Any) -> Any:
    """`exact` of an attribute, a list being a tuple. TypeError for anything but numbers, text, dtypes and tuples of
    such: it may be equal and yet differ, and a table would keep it alive."""
    kind = type(value)
    if kind in _THEMSELVES:
        return value
    if kind is tuple or kind is list:
        return tuple(value if _THEMSELVES.issuperset(map(type, value)) else map(attribute_key, value))
    if kind is bool or kind is float:
        return exact(value)
    raise TypeError(f"expected a number, text, dtype or tuple of such, got {kind.__name__}")


def examine(
    op: Op, args: Sequence[Tensor], attrs: Mapping[str, Any], made: Sequence[Tensor], source: str | None = None
) -> None:
    """What eager code, and every op under axon.debug(), is held to beyond its types: IndexError for values of operands
    that compiled code cannot refuse; then whoever watches looks at the results. source: as of `Watch`."""
    if tracing.get() is not None:
        return
    if op.outside is not None and (text := op.outside(*args, **attrs)):
        raise IndexError(f"{op.name}{f' at {source}' if source else ''}: {text}")
    if (look := watching.get()) is not None:
        look(op, made, source)


def apply(name: str, *operands: Tensor, **attrs: Any) -> Tensor:
    """The row of that name, of one result, over tensors of dtypes that it takes."""
    op, backend = TABLE[name], select(operands)
    settled, _ = infer(op, [x.type for x in operands], attrs)
    args = [x if x.backend is backend else backend.adopt(x) for x in operands]
    ((type_, data),) = zip(settled.out, backend.apply(op, settled.out, args, settled.attrs))
    made = Tensor(type_, backend, data)
    examine(op, args, settled.attrs, (made,))
    return made


def as_dtype(x: Tensor, dtype: DType) -> Tensor:
    """x in that dtype."""
    return x if x.type.dtype is dtype else apply("astype", x, dtype=dtype)
