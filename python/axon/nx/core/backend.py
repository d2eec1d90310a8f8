"""What a backend is: one compute method, and ways for data in and out. It obeys: types are settled before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from ... import config
from .tensor import Tensor, TensorType

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from .op import Op


class Backend(Protocol):
    """Where data lives and how an op is carried out there."""

    name: str
    compiler: str | None  # what makes programs of composed functions that are called eagerly; None: they run op by op

    def apply(
        self, op: Op, out: tuple[TensorType, ...], args: Sequence[Tensor], attrs: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        """The data of op's results. args have the dtypes the row asks for; elementwise operands broadcast to out."""
        ...

    def constant(self, value: bool | int | float, type: TensorType) -> Any:
        """Data of a tensor of that type filled with one value."""
        ...

    def from_numpy(self, array: np.ndarray) -> Any:
        """Data of the array's values: the same memory where the backend can use it, else a copy."""
        ...

    def to_numpy(self, data: Any, type: TensorType) -> np.ndarray:
        """A read-only array of the data, without a copy where the memory is the CPU's."""
        ...

    def imported(self, source: Any, copy: bool | None = None) -> Tensor:
        """A tensor of this backend over the memory of an array with DLPack (or of a tensor of this backend): shared
        where it can be; True copies it, False raises ValueError where it must be copied."""
        ...

    def exported(self, data: Any, type: TensorType, copy: bool | None = None) -> Any:
        """An array with DLPack over the data's memory, on the device that it is on; `copy` as of `imported`."""
        ...

    def adopt(self, tensor: Tensor) -> Tensor:
        """The tensor as one of this backend's: the tracer captures it, others raise (nothing moves unasked)."""
        ...


# Is given an op, its results and the user's line: None where that is the running one, "" where the op has none.
Watch = Callable[["Op", Sequence[Tensor], str | None], None]

# The innermost trace of this thread, if any: while one is open every op is recorded there.
tracing: ContextVar[Backend | None] = ContextVar("axon_tracing", default=None)
# Where ops without operands make their results, unless it is the default backend.
_ambient: ContextVar[Backend | None] = ContextVar("axon_ambient", default=None)
# Who looks at the results of every op that is carried out at once, if anyone.
watching: ContextVar[Watch | None] = ContextVar("axon_watching", default=None)
AS_IT_IS = nullcontext()


@contextmanager
def recording(backend: Backend) -> Iterator[None]:
    """Send every op of this thread to `backend` while the block runs."""
    token = tracing.set(backend)
    try:
        yield
    finally:
        tracing.reset(token)


@contextmanager
def running(backend: Backend) -> Iterator[None]:
    """Carry out every op of this thread at once while the block runs; `backend` carries out those without operands."""
    trace, before = tracing.set(None), _ambient.set(backend)
    try:
        yield
    finally:
        tracing.reset(trace)
        _ambient.reset(before)


@contextmanager
def unwatched() -> Iterator[None]:
    """Nobody looks while the block runs: its ops are parts of one that is looked at as a whole."""
    token = watching.set(None)
    try:
        yield
    finally:
        watching.reset(token)


def on(device: str | None) -> AbstractContextManager[None]:
    """`running` on the backend of that name; None leaves everything as it is."""
    return AS_IT_IS if device is None else running(config.lookup("backend", device))


def beside(tensors: Sequence[Tensor]) -> AbstractContextManager[None]:
    """While the block runs, ops without operands make their results where these tensors are; an open trace records."""
    if not tensors or tensors[0].backend is home() or tracing.get() is not None:
        return AS_IT_IS
    return running(tensors[0].backend)


def home(tensors: Sequence[Tensor] = ()) -> Backend:
    """The backend that new data goes to, beside these tensors if any. A trace holds no data: it captures."""
    if tensors and tracing.get() is None:
        return tensors[0].backend
    return _ambient.get() or default()


def default() -> Backend:
    """The backend of data and executables where nothing says otherwise."""
    return config.lookup("backend", config.default_backend)


def select(tensors: Sequence[Tensor]) -> Backend:
    """The backend that carries out an op over these tensors."""
    trace = tracing.get()
    if trace is not None:
        return trace
    return tensors[0].backend if tensors else home()
