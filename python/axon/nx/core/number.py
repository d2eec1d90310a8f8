"""Python's numbers as operands: they never change the dtype of a tensor that they meet. `Number` is one whose value is
not known yet, a number that was given to a definition being traced."""

from __future__ import annotations

import math
import operator as operators
from collections.abc import Callable, Sequence
from typing import Any

from ...dtypes import DType, bool_, float64, int64, uint64
from ...dtypes import dtype as to_dtype
from ...errors import DTypeError
from .op import apply, as_dtype
from .rounding import nearest
from .tensor import Tensor

SCALARS = (bool, int, float)
WIDE = {bool: bool_, int: int64, float: float64}  # the dtype in which a definition is given a number
_ANY_DTYPE = {"shape", "ndim", "size", "item", "tolist", "numpy"}  # attributes that are the same in any dtype
_PYTHON = {"b": bool, "i": int, "f": float}


class Book:
    """What a trace computes of the numbers given to it, for calls to compute it in Python, too: they refuse an integer
    that the dtype it meets does not hold, as it is refused outside definitions."""

    def __init__(self, leaves: int) -> None:
        self.leaves = leaves  # values are counted: first those given, then those computed; constants from the end
        self.steps: list[tuple[int, Callable[..., Any], list[int]]] = []
        self.constants: list[Any] = []
        self.met: dict[tuple[int, DType], str] = {}  # integer dtypes that have to hold a value, and who asked first

    def note(self, function: Callable[..., Any], operands: Sequence[Any]) -> int:
        """The count of what a function of Python gives of numbers."""
        value, places = self.leaves + len(self.steps), []
        for operand in operands:
            if type(operand) is not Number:
                self.constants.insert(0, operand)
            places.append(operand.value if type(operand) is Number else -len(self.constants))
        self.steps.append((value, function, places))
        return value

    def close(self) -> None:
        """Keep what checks need, as they need it."""
        self.rest = [*[None] * len(self.steps), *self.constants]
        self.limits = [(v, int(d.lowest), int(d.highest), name, d) for (v, d), name in self.met.items()]
        needed = {value for value, _ in self.met}
        for value, _, operands in reversed(self.steps):
            needed.update(operands if value in needed else ())
        self.steps = [step for step in self.steps if step[0] in needed]

    def check(self, given: Sequence[Any]) -> None:
        """DTypeError of a number that does not fit."""
        values = [*given, *self.rest]
        for value, function, operands in self.steps:
            values[value] = function(*[values[i] for i in operands])
        for value, low, high, name, dtype in self.limits:
            if not low <= values[value] <= high:
                scalar_of(name, values[value], dtype)


class Number:
    """What stands for a Python number inside a definition, and does what the number does outside: beside a tensor it is
    cast to the tensor's dtype, beside numbers Python's operators give a number again, a function takes it for float32
    (int32). The attributes of a tensor are those of the tensor that it is by itself."""

    __slots__ = ("book", "python", "value", "wide")
    __array_ufunc__ = None  # numpy's operators defer to ours
    __hash__ = object.__hash__

    def __init__(self, wide: Tensor, book: Book, value: int) -> None:
        self.wide, self.book, self.value = wide, book, value
        self.python: type = _PYTHON[wide.dtype.kind]

    def cast(self, name: str, dtype: DType) -> Tensor:
        """The number in a dtype, for the function `name`."""
        if dtype.is_integer:
            self.book.met.setdefault((self.value, dtype), name)
        return as_dtype(self.wide, dtype)

    @property
    def tensor(self) -> Tensor:
        """The tensor that it is by itself."""
        return self.cast("asarray", self.dtype)

    @property
    def dtype(self) -> DType:
        return to_dtype(self.python)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.wide if name in _ANY_DTYPE else self.tensor, name)

    def __repr__(self) -> str:
        return f"{self.dtype}[] traced"  # as the tensor that it is by itself prints

    def __getitem__(self, key: Any) -> Any:
        return self.tensor[key]  # type: ignore[index]

    __divmod__, __rdivmod__ = Tensor.__divmod__, Tensor.__rdivmod__

    # Python asks for a value, which a traced tensor refuses.

    def __bool__(self) -> bool:
        return bool(self.wide)

    def __int__(self) -> int:
        return int(self.wide)

    def __float__(self) -> float:
        return float(self.wide)

    def __index__(self) -> int:
        return self.wide.__index__()

    def __array__(self, *args: Any, **options: Any) -> Any:
        return self.wide.__array__(*args, **options)

    def __format__(self, spec: str) -> str:
        return format(self.wide, spec) if spec else repr(self)


def is_known(value: Any) -> bool:
    """Whether Python can look at a value now: not at a tensor's, nor at that of a number given to a definition."""
    return not isinstance(value, (Tensor, Number))


def scalar_type(value: Any) -> type | None:
    """bool, int or float if the value is a Python number (numpy.float64 is a Python float), else None."""
    kind = type(value)
    if kind in SCALARS:
        return kind
    if kind is Number:
        return value.python
    return next((t for t in SCALARS if isinstance(value, t)), None)


def is_outside(value: Any, dtype: DType) -> bool:
    """Whether a value is a Python number that an integer dtype cannot hold."""
    return dtype.is_integer and is_known(value) and not dtype.lowest <= value <= dtype.highest


def compared(value: Any, dtype: DType) -> Any:
    """What a comparison in a dtype takes an operand for, so that it is by value: an integer that the dtype cannot hold
    is infinite, and one that is not known yet is itself (uint64 has no dtype in common with it)."""
    if type(value) is Number:
        narrow = dtype.is_integer and dtype not in (int64, uint64) and value.python is int
        return value.wide if narrow else value
    return (math.inf if value > 0 else -math.inf) if is_outside(value, dtype) else value


def scalar_of(name: str, value: Any, dtype: DType) -> bool | int | float:
    """A Python scalar in the Python type of the dtype it meets; an integer that the dtype cannot hold is refused."""
    if is_outside(value, dtype):
        raise DTypeError(
            f"{name}: expected an integer that {dtype} holds, in [{dtype.lowest}, {dtype.highest}], got "
            f"{brief(value)}; give a wider dtype, or cast the tensor it meets with astype first"
        )
    try:
        return nearest(value, dtype) if dtype.is_float else int(value) if dtype.is_integer else bool(value)
    except OverflowError:
        raise DTypeError(
            f"{name}: expected a number that {dtype} holds, got {brief(value)}; scale it, or write nx.inf"
        ) from None


def brief(value: Any) -> str:
    """A number as error texts show it: Python prints no integer of thousands of digits, and nobody reads it."""
    long = isinstance(value, int) and value.bit_length() > 128
    return f"an integer of {value.bit_length()} bits" if long else str(value)


def operate(function: Callable[..., Tensor], operator: str, name: str, operands: Sequence[Any]) -> Number:
    """What Python's operator gives of numbers: a number, of the type that Python gives for values like these."""
    python = getattr(operators, operator)
    kind = type(python(*[o.python(1) if type(o) is Number else o for o in operands]))
    floats = kind is float or float in map(scalar_type, operands)
    made = function(*[as_tensor(name, o, float64 if floats else int64) for o in operands])
    return computed(name, as_dtype(made, WIDE[kind]), python, operands)


def computed(name: str, wide: Tensor, function: Callable[..., Any], operands: Sequence[Any]) -> Number:
    """What a function of Python gives of numbers, where a trace computes it as `wide`."""
    book = next(o.book for o in operands if type(o) is Number)
    number = Number(wide, book, book.note(function, operands))
    if number.python is int:
        book.met[number.value, int64] = name
    return number


def as_tensor(name: str, value: Any, dtype: DType) -> Tensor:
    """A number in a dtype, for the function `name`; its value is known to a trace, unless it was given to one."""
    if type(value) is Number:
        return value.cast(name, dtype)
    return apply("literal", value=scalar_of(name, value, dtype), dtype=dtype)
