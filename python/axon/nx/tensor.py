"""Tensor and TensorType: what every value is, whichever backend holds its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .. import tree
from ..dtypes import DType

if TYPE_CHECKING:
    from .backend import Backend

Shape = tuple[int, ...]
Names = tuple[str | None, ...] | None


@tree.atom
class TensorType(NamedTuple):
    """Dtype, shape and optional axis names: all that may be known before a value exists."""

    dtype: DType
    shape: Shape
    names: Names = None

    def __str__(self) -> str:
        if self.names is None:
            return f"{self.dtype}[{','.join(map(str, self.shape))}]"
        return f"{self.dtype}[{','.join(f'{n}={s}' if n else str(s) for n, s in zip(self.names, self.shape))}]"

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        n = 1
        for s in self.shape:
            n *= s
        return n

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize


class Tensor:
    """An immutable array: a type, and data that only its backend understands.

    Operators and methods are the functions of `axon.nx`; each is attached where the function is declared.
    """

    __slots__ = ("__weakref__", "backend", "data", "type")
    __array_priority__ = 1000  # numpy's operators defer to ours
    __hash__ = object.__hash__  # == is elementwise, so identity it is

    type: TensorType
    backend: Backend
    data: Any

    def __init__(self, type: TensorType, backend: Backend, data: Any) -> None:
        self.type, self.backend, self.data = type, backend, data

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    @property
    def shape(self) -> Shape:
        return self.type.shape

    @property
    def names(self) -> Names:
        return self.type.names

    @property
    def ndim(self) -> int:
        return len(self.type.shape)

    @property
    def size(self) -> int:
        return self.type.size
