"""What the array-API standard lets a program ask of a namespace: `nx.__array_namespace_info__()`."""

from __future__ import annotations

from typing import Any

from .. import config
from ..dtypes import ALL, DType, float32, int32
from .core.declare import method
from .core.tensor import Tensor
from .core.types import isdtype


class Info:
    """The answers, which are the same for every device: devices are backends, by name.

    >>> nx.__array_namespace_info__().default_dtypes()["real floating"]
    float32
    """

    def capabilities(self) -> dict[str, Any]:
        """What depends on data: no shape does, and no subscript in compiled code. Any number of axes that fits."""
        return {"boolean indexing": False, "data-dependent shapes": False, "max dimensions": 64}

    def default_device(self) -> str:
        """Where tensors are made unless a device is given."""
        return config.default_backend

    def devices(self) -> list[str]:
        """The names that `device` may have; a registered backend may still lack its library."""
        return config.names("backend")

    def default_dtypes(self, *, device: str | None = None) -> dict[str, DType]:
        """The dtypes of Python numbers and of indices; no dtype is complex."""
        return {"real floating": float32, "integral": int32, "indexing": int32}

    def dtypes(self, *, device: str | None = None, kind: str | tuple[str, ...] | None = None) -> dict[str, DType]:
        """The dtypes of a kind (see `isdtype`), by name."""
        return {d.name: d for d in ALL if kind is None or isdtype(d, kind)}


@method
def __array_namespace__(x: Tensor, /, *, api_version: str | None = None) -> Any:
    from .. import nx

    return nx
