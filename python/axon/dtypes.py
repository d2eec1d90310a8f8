"""The dtypes, their kinds, and the one promotion rule: nothing else in axon decides what dtype a result has."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Final, TypeAlias

from .errors import DTypeError

if TYPE_CHECKING:
    import numpy as np


class DType:
    """An element type: compared by identity, printed as its name.

    `kind` is one of b (bool), i (signed), u (unsigned), f (float), c (complex); `code` is its number at the C border.
    is_half: whether it is a storage type that is computed in float32. lowest and highest: what every value is at least
    and at most, infinite for floats. numpy: the NumPy dtype of the same layout (bfloat16 is ml_dtypes').
    """

    __slots__ = (
        "code", "highest", "is_float", "is_half", "is_integer", "itemsize", "kind", "lowest", "name", "numpy",
    )  # fmt: skip
    numpy: np.dtype

    def __init__(self, name: str, kind: str, itemsize: int, code: int) -> None:
        self.name, self.kind, self.itemsize, self.code = name, kind, itemsize, code
        self.is_float, self.is_integer = kind == "f", kind in "iu"
        self.is_half = self.is_float and itemsize == 2
        bits, inf = 8 * itemsize, float("inf")
        self.lowest: bool | int | float = {"b": False, "u": 0, "i": -(1 << bits - 1), "f": -inf}[kind]
        self.highest: bool | int | float = {"b": True, "u": (1 << bits) - 1, "i": (1 << bits - 1) - 1, "f": inf}[kind]

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


bool_: Final = DType("bool", "b", 1, 0)
int8: Final = DType("int8", "i", 1, 1)
int16: Final = DType("int16", "i", 2, 2)
int32: Final = DType("int32", "i", 4, 3)
int64: Final = DType("int64", "i", 8, 4)
uint8: Final = DType("uint8", "u", 1, 5)
uint16: Final = DType("uint16", "u", 2, 6)
uint32: Final = DType("uint32", "u", 4, 7)
uint64: Final = DType("uint64", "u", 8, 8)
float16: Final = DType("float16", "f", 2, 9)
bfloat16: Final = DType("bfloat16", "f", 2, 10)
float32: Final = DType("float32", "f", 4, 11)
float64: Final = DType("float64", "f", 8, 12)

ALL: Final = (
    bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, bfloat16, float32, float64,
)  # fmt: skip
_BY_NAME: Final = {d.name: d for d in ALL}
_RANK: Final = {"b": 0, "i": 1, "u": 1, "f": 2}
_OF_PYTHON: Final = {bool: bool_, int: int32, float: float32}

DTypeLike: TypeAlias = "DType | str | type | np.dtype"


def _numpy(dtype: DType) -> np.dtype:
    import numpy as np

    if dtype is bfloat16:
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
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
