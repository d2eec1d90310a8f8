"""What `jit` asks of a compiler: `compiler=` names one that is registered in axon.config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..nx.core.backend import Backend
from .expr import Graph


class Executable(Protocol):
    """A compiled graph: the data of its inputs -> the data of its outputs, both on `backend`."""

    @property
    def backend(self) -> Backend: ...

    def __call__(self, data: tuple[Any, ...], /) -> tuple[Any, ...]: ...


class Compiler(Protocol):
    """What makes a traced graph run."""

    name: str

    def compile(
        self,
        graph: Graph,
        *,
        device: str | None = None,
        donate: Sequence[bool] = (),
        label: str = "",
        trace_seconds: float = 0.0,
    ) -> Executable:
        """The executable of a graph. donate: which inputs' memory results may take; label: what errors and reports call
        it; trace_seconds: what tracing took, for reports. ValueError where there is none for the device."""
        ...
