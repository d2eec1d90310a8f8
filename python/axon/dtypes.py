"""The dtypes, their kinds, and the one promotion rule: nothing else in axon decides what dtype a result has."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Final, TypeAlias

from .errors import DTypeError

if TYPE_CHECKING:
    import numpy as np


class DType:
    """An element type: compared by identity, printed as its name. There are those of the rows below.

    short: its name in files and in csrc/cpu; kind: a letter of KINDS; itemsize: in bytes; mantissa: how many bits of a
    float follow the leading one; ctype: its type in csrc/kernels. The rest follows. code: its number at the C border.
    is_half: whether it is a storage type that is computed in float32. lowest and highest: what every value is at least
    and at most, infinite for floats. digits: the bits of the numbers up to which all integers are exact. bias: of a
    float's exponent. eps: from 1 to the next float. numpy: the NumPy dtype of the same layout, ml_dtypes' where NumPy
    has none.
    """

    __slots__ = (
        "bias", "code", "ctype", "digits", "eps", "highest", "is_float", "is_half", "is_integer", "itemsize", "kind",
        "lowest", "mantissa", "name", "numpy", "short",
    )  # fmt: skip
    numpy: np.dtype

    def __init__(
        self, name: str, short: str, kind: str, itemsize: int, mantissa: int = 0, ctype: str | None = None
    ) -> None:
        self.name, self.short, self.kind, self.itemsize, self.mantissa = name, short, kind, itemsize, mantissa
        self.ctype, self.code = ctype or name, -1
        self.is_float, self.is_integer = kind == "f", kind in "iu"
        self.is_half = self.is_float and itemsize < 4
        bits, inf = 8 * itemsize, float("inf")
        self.digits = {"b": 1, "u": bits, "i": bits - 1, "f": mantissa + 1}[kind]
        self.lowest: bool | int | float = {"b": False, "u": 0, "i": -(1 << self.digits), "f": -inf}[kind]
        self.highest: bool | int | float = {"b": True, "f": inf}.get(kind, (1 << self.digits) - 1)
        self.bias = (1 << bits - mantissa - 2) - 1 if self.is_float else 0
        self.eps = 2.0**-mantissa if self.is_float else 0.0

    def __getattr__(self, name: str) -> np.dtype:
        if name != "numpy":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self.numpy = found = _numpy(self)  # at first use, which loads NumPy
        return found

    @property
    def computed_in(self) -> DType:
        """The dtype that arithmetic has between loads and stores: float32 for halves, else this one."""
        return float32 if self.is_half else self

    @property
    def dtype(self) -> np.dtype:
        """What NumPy asks of an object that stands for a dtype, as in np.zeros(3, nx.float32)."""
        return self.numpy

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str:
        return "bool_" if self is bool_ else self.name


# The rows: name, short name, kind, bytes, mantissa, C++ type. AXON_DTYPES of csrc/kernels/dtypes.h has the same, in the
# same order.
bool_: Final = DType("bool", "bool", "b", 1)
int8: Final = DType("int8", "i8", "i", 1)
int16: Final = DType("int16", "i16", "i", 2)
int32: Final = DType("int32", "i32", "i", 4)
int64: Final = DType("int64", "i64", "i", 8)
uint8: Final = DType("uint8", "u8", "u", 1)
uint16: Final = DType("uint16", "u16", "u", 2)
uint32: Final = DType("uint32", "u32", "u", 4)
uint64: Final = DType("uint64", "u64", "u", 8)
float16: Final = DType("float16", "f16", "f", 2, 10, "f16")
bfloat16: Final = DType("bfloat16", "bf16", "f", 2, 7, "bf16")
float32: Final = DType("float32", "f32", "f", 4, 23, "float")
float64: Final = DType("float64", "f64", "f", 8, 52, "double")
ALL: Final = tuple(value for value in [*globals().values()] if isinstance(value, DType))
_BY_NAME: Final = {d.name: d for d in ALL}
for _code, _row in enumerate(ALL):
    _row.code = _code

KINDS: Final = {"b": "bool", "i": "signed", "u": "unsigned", "f": "floating"}
CATEGORIES: Final = {  # kinds by their names in the array-API standard
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "c",
    "numeric": "iufc",
}
_RANK: Final = {"b": 0, "i": 1, "u": 1, "f": 2}
_OF_PYTHON: Final = {bool: bool_, int: int32, float: float32}

DTypeLike: TypeAlias = "DType | str | type | np.dtype"


def _numpy(dtype: DType) -> np.dtype:
    import numpy as np

    if not hasattr(np, dtype.name):
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, dtype.name))
    return np.dtype(dtype.name)


def dtype(spec: object) -> DType:
    """The DType that `spec` names: a DType, a name, bool/int/float, or a NumPy dtype or scalar type.

    >>> dtype("float32"), dtype(int)
    (float32, int32)
    """
    if isinstance(spec, DType):
        return spec
    if isinstance(spec, type) and spec in _OF_PYTHON:
        return _OF_PYTHON[spec]
    name = spec if isinstance(spec, str) else getattr(spec, "name", None) or getattr(spec, "__name__", None)
    found = _BY_NAME.get(str(name).removesuffix("_"))
    if found is None:
        raise DTypeError(f"dtype: expected one of {', '.join(_BY_NAME)}, got {spec!r}; convert the data first")
    return found


def promote(a: DType, b: DType) -> DType:
    """The dtype both a and b convert to: the array-API table, float16 with bfloat16 gives float32, integer with
    float gives that float; uint64 with a signed integer has none and raises DTypeError.

    >>> promote(uint8, int8), promote(int64, float32), promote(float16, bfloat16)
    (int16, float32, float32)
    """
    if a is b:
        return a
    if _RANK[a.kind] != _RANK[b.kind]:
        return a if _RANK[a.kind] > _RANK[b.kind] else b
    if a.kind == "f":
        return (a if a.itemsize > b.itemsize else b) if a.itemsize != b.itemsize else float32
    if a.kind == b.kind:
        return a if a.itemsize > b.itemsize else b
    signed, unsigned = (a, b) if a.kind == "i" else (b, a)
    if signed.itemsize > unsigned.itemsize:
        return signed
    if unsigned is uint64:
        raise DTypeError(f"expected dtypes with a common one, got uint64 and {signed}; cast one with astype first")
    return _BY_NAME[f"int{unsigned.itemsize * 16}"]


def result_type(*items: DType | type) -> DType:
    """The dtype of an operation over `items`: DTypes, or bool/int/float standing for Python scalars, which never
    change an array's dtype within or below its kind.

    >>> result_type(float16, float), result_type(int8, float), result_type(uint8, int)
    (float16, float32, uint8)
    """
    if not items:
        raise DTypeError("expected at least one dtype, got none; pass an operand")
    strong = [d for d in items if isinstance(d, DType)]
    weak = [_OF_PYTHON[d] for d in items if not isinstance(d, DType)]
    # The highest kind first: beside a float, integers that have no common dtype need none.
    result = reduce(promote, sorted(strong or weak, key=lambda d: -_RANK[d.kind]))
    return max(result, *weak, key=lambda d: _RANK[d.kind]) if weak else result
