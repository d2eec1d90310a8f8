"""DLPack exchange with other array libraries, without a copy."""

from collections.abc import Sequence
from typing import Any, Protocol

from ._core import Buffer

class DLPack(Protocol):
    """What array libraries take in."""

    def __dlpack__(self, **options: Any) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

def from_dlpack(array: Any) -> tuple[Buffer, str, tuple[int, ...], tuple[int, ...] | None]: ...
def to_dlpack(buffer: Buffer, dtype: str, shape: Sequence[int]) -> DLPack: ...
