"""Tensor and TensorType: what every value is, whichever backend holds its data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ... import tree
from ...dtypes import DType
from ...errors import ShapeError, TraceError

if TYPE_CHECKING:
    import numpy as np

    from ..methods import Methods  # pyright: ignore[reportMissingModuleSource]
    from .backend import Backend
else:

    class Methods:  # what is declared in methods.pyi is attached where the functions are
        __slots__ = ()


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
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize


class Tensor(Methods):
    """An immutable array: a type, and data that only its backend understands.

    Operators and methods are the functions of `axon.nx`; each is attached where the function is declared. The methods
    below are those that leave the tensor world: they need values, and on a traced tensor raise TraceError.
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

    @property
    def nbytes(self) -> int:
        return self.type.nbytes

    @property
    def device(self) -> str:
        """The name of the backend that holds the data."""
        return self.backend.name

    def numpy(self) -> np.ndarray:
        """The values as a read-only NumPy array, without a copy where the memory is the CPU's."""
        return self.backend.to_numpy(self.data, self.type)

    def item(self) -> bool | int | float:
        """The one element as a Python scalar; ShapeError where there are more or none."""
        if self.size != 1:
            raise ShapeError(f"item: expected one element, got {self.type}; index it, reduce it, or use tolist")
        return self.numpy().item()

    def tolist(self) -> Any:
        """The values as nested lists of Python scalars (a rank-0 tensor gives the scalar)."""
        return self.numpy().tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        import numpy as np

        return np.array(self._for_others("np.asarray"), dtype=dtype, copy=copy)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """NumPy's functions take the values, and give arrays; for the shape, no values are needed."""
        import numpy as np

        if function in (np.shape, np.ndim, np.size):
            return function.__wrapped__(*args, **kwargs)
        name = f"np.{function.__name__}"
        args, kwargs = tree.map(lambda x: x._for_others(name) if isinstance(x, Tensor) else x, (tuple(args), kwargs))
        return function(*args, **kwargs)

    def _for_others(self, name: str) -> np.ndarray:
        """The values for a function of another library, called `name`, which a trace does not see."""
        if not getattr(self.backend, "closed", True):
            raise TraceError(
                f"{name}: expected an array, got a traced {self.type}: losses, metrics and all that is compiled have "
                f"no values yet; write nx functions (nx.mean, not np.mean), and call other libraries on what predict "
                f"gives"
            )
        return self.numpy()

    def __buffer__(self, flags: int) -> memoryview:
        """The memory, shared and read-only, for Python's buffer protocol (asked from Python 3.12 on)."""
        return memoryview(self.numpy())  # pyright: ignore[reportArgumentType]

    def __dlpack__(self, *, copy: bool | None = None, **options: Any) -> Any:
        """The memory, shared and read-only, as a DLPack capsule. On the CPU a strided view is copied."""
        return self.backend.exported(self.data, self.type, copy).__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.backend.exported(self.data, self.type).__dlpack_device__()

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ShapeError(f"bool: expected one element, got {self.type}; say which you mean with nx.any or nx.all")
        return bool(self.numpy().item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __divmod__(self, other: Any) -> tuple[Any, Any]:
        return self // other, self % other  # type: ignore[operator]

    def __rdivmod__(self, other: Any) -> tuple[Any, Any]:
        return other // self, other % self

    def __index__(self) -> int:
        if not self.dtype.is_integer or self.ndim:
            raise TypeError(f"index: expected an integer of rank 0, got {self.type}; use int() to convert on purpose")
        return int(self.item())

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError(f"len: expected a tensor with axes, got {self.type}; its size is 1")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __format__(self, spec: str) -> str:
        """The one element in a format such as ".3f"; without one, as it prints."""
        return format(self.item(), spec) if spec else str(self)

    def __repr__(self) -> str:
        from .display import show

        return show(self)

    def __str__(self) -> str:
        """As repr, but for rank 0: then the number, so that print shows what a user reports."""
        from .display import show

        return show(self, bare=True)
