"""What `fn.lower(...)` gives: a definition compiled for one signature, to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import CompileError
from ..graph.expr import Graph
from ..graph.printing import text


class Lowered:
    """A definition compiled for one signature, to look at. What a compiler cannot show raises CompileError."""

    def __init__(self, graph: Graph, executable: Any, data: tuple[Any, ...] | None = None) -> None:
        self._graph, self._executable, self._data = graph, executable, data

    def graph(self, *, sources: bool = False) -> str:
        """The traced graph as stable text."""
        return text(self._graph, sources=sources)

    def kernels(self) -> Any:
        """The kernels, as stable text."""
        return self._ask("kernels")()

    def source(self) -> Any:
        """The source text that was emitted."""
        return self._ask("source")()

    def memory(self) -> Any:
        """The planned peak and the lifetimes of all memory."""
        return self._ask("memory")()

    def report(self) -> Any:
        """Operations and bytes a step, and the time it takes where tensors were given to lower (they are kept)."""
        return self._ask("report")(self._data)

    def save(self, path: Any) -> Any:
        """Write the program to a file."""
        return self._ask("save")(path)

    def _ask(self, what: str) -> Callable[..., Any]:
        method = getattr(self._executable, what, None)
        if method is None:
            raise CompileError(
                f"lower: expected a compiler that has {what}, got a {type(self._executable).__name__}; "
                f'jit with compiler="native"'
            )
        return method
