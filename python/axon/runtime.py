"""What the C++ runtime tells and is told: the memory that this process has in use and keeps for reuse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import Context
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

if TYPE_CHECKING:
    import numpy as np

P = ParamSpec("P")
R = TypeVar("R")


class MemoryUse(NamedTuple):
    """Bytes: of tensors and runs now (live), the most of these at any time (peak), and kept for reuse (cached)."""

    live: int
    peak: int
    cached: int

    def __str__(self) -> str:
        return ", ".join(f"{name} {nbytes / 1e6:.2f} MB" for name, nbytes in self._asdict().items())


def memory(*, reset_peak: bool = False) -> MemoryUse:
    """The CPU memory of tensors and of runs of compiled functions, in bytes; a run gives back what it took.

    reset_peak: count the peak anew from here on. What is given back is kept for reuse, with all that is live at most a
    quarter (or 16 MiB) more than was ever live at once; what lay idle for ten seconds goes with the next use of memory.
    What one function takes is known before it runs: `fn.lower(*args).memory()`. Memory that other libraries allocated
    is not counted.

    >>> before = axon.memory().live
    >>> x = nx.ones((1000, 1000)) + 1
    >>> axon.memory().live - before >= x.nbytes
    True
    """
    from . import _core

    found = MemoryUse(**_core.memory())
    if reset_peak:
        _core.reset_peak()
    return found


def release_memory() -> None:
    """Give the memory that is kept for reuse back to the system. The next runs take fresh pages, which costs some time.

    >>> axon.release_memory()
    >>> axon.memory().cached
    0
    """
    from . import _core

    _core.release_memory()


def tile_of(name: str, inputs: Sequence[int], output: int) -> Any:
    """The compiled loop of a scalar op over dense arrays, by the codes of its dtypes; KeyError where there is none."""
    from . import _core

    return _core.tile(name, [*inputs], output)


def default_floating_point() -> AbstractContextManager[Any]:
    """While the block runs, this thread computes as kernels do, whatever mode its caller has set."""
    from . import _core

    return _core.DefaultFloatingPoint()


def in_our_memory(function: Callable[P, R]) -> Callable[P, R]:
    """The function, whose new NumPy arrays lie in memory of the runtime's: aligned to 64 bytes, so that every library
    can share it, in pages that were used before, and counted."""
    core: Any = None

    @wraps(function)
    def run(*args: P.args, **options: P.kwargs) -> R:
        nonlocal core
        if core is None:  # loaded at first use
            from . import _core

            core = _core
        before = core.set_array_memory(core.array_memory)
        try:
            return function(*args, **options)
        finally:
            core.set_array_memory(before)

    return run


_contexts: list[Context] = []  # that no one is in


def computing(function: Callable[..., R], *args: Any) -> R:
    """The function's result, which NumPy makes without warnings and `in_our_memory`. It sees no other context variable.

    NumPy keeps both of these in context variables: entering a context in which they stand takes a fifth of the time
    that setting them takes. One that is entered cannot be entered again, so a call takes one that is free.
    """
    try:
        context = _contexts.pop()
    except IndexError:
        context = _computing_context()
    try:
        return context.run(function, *args)
    finally:
        _contexts.append(context)


def _computing_context() -> Context:
    import numpy as np

    from . import _core

    made = Context()
    made.run(np.seterr, all="ignore")
    made.run(_core.set_array_memory, _core.array_memory)
    return made


def array_maker() -> Callable[[tuple[int, ...], np.dtype], np.ndarray]:
    """`np.empty`, in memory of the runtime's."""
    from . import _core

    return _core.empty
