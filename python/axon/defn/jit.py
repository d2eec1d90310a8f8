"""jit and @defn: a Python function becomes a table of executables, one a signature of its arguments."""

from __future__ import annotations

import functools
import inspect
import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import RLock
from types import MethodType
from typing import Any, NamedTuple, overload

from .. import config, tree
from ..errors import AxonError, TraceError
from ..nx.backend import tracing
from ..nx.creation import asarray
from ..nx.tensor import Tensor, TensorType
from . import debugging
from .donation import Donated, refuse_shared
from .expr import Graph
from .lowered import Lowered
from .receipt import Signature, change, leaf_names
from .trace import Traced, trace

TABLE_SIZE = 64  # executables kept a function; the least recently used goes first

Places = int | str | Sequence[int | str]


class Entry(NamedTuple):
    """One trace and its executable."""

    signature: Signature
    types: list[TensorType]  # the signature's, as a list: compared on every call
    executable: Any
    backend: Any
    captured: tuple[Tensor, ...]
    graph: Graph
    out_types: tuple[TensorType, ...]
    structure: tree.Structure
    single: bool  # the result is one tensor
    donated: tuple[int, ...]  # numbers of the donated leaves


class Definition:
    """A compiled numerical definition: call it like the function it was made from. See `jit`."""

    def __init__(
        self,
        function: Callable[..., Any],
        compiler: str | None = None,
        donate: Places = (),
        static: Places = (),
        max_traces: int | None = None,
        device: str | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.label = getattr(function, "__name__", type(function).__name__)
        self.traces = 0
        try:
            self._signature = inspect.signature(function)
        except ValueError:  # some callables of C have none
            self._signature = inspect.signature(lambda *args, **kwargs: None)
        self._names = [
            p.name
            for p in self._signature.parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        self._compiler, self._device, self._max_traces = compiler, device, max_traces
        self._donate = self._places("donate", donate)
        self._static = self._places("static", static)
        if self._donate & self._static:
            raise ValueError(f"{self.label}: expected donate and static to differ, got {donate!r} and {static!r}")
        self._table: OrderedDict[Signature, Entry] = OrderedDict()
        self._recent: Entry | None = None
        self._told: set[Any] = set()
        self._lock = RLock()
        self._gone = Donated(self.label)

    def _places(self, option: str, places: Places) -> frozenset[int | str]:
        """Positions of positional parameters, names of the others."""
        found: set[int | str] = set()
        for place in (places,) if isinstance(places, (int, str)) else places:
            known = place in self._signature.parameters if isinstance(place, str) else 0 <= place < len(self._names)
            if not known and not self._takes_any(place):
                names = ", ".join(self._signature.parameters)
                raise ValueError(f"{self.label}: expected {option} among the parameters ({names}), got {place!r}")
            found.add(self._names.index(place) if place in self._names else place)  # type: ignore[arg-type]
        return frozenset(found)

    def _takes_any(self, place: int | str) -> bool:
        kinds = {p.kind for p in self._signature.parameters.values()}
        return (inspect.Parameter.VAR_KEYWORD if isinstance(place, str) else inspect.Parameter.VAR_POSITIONAL) in kinds

    def __repr__(self) -> str:
        return f"<defn {self.label}, {self.traces} traces>"

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if tracing.get() is not None:
            return self.function(*args, **kwargs)
        keywords, static = False, ()
        if kwargs or self._static:
            args, keywords, static = self._sorted(args, kwargs)
        leaves, structure = tree.flatten(args)
        tensors = [
            x if type(x) is Tensor else self._lift(i, leaves, structure, keywords, static) for i, x in enumerate(leaves)
        ]
        types = [t.type for t in tensors]
        if debugging.check.get() is not None:
            return self._debug(Signature(structure, tuple(types), keywords, static), tensors)
        entry = self._recent
        if (
            entry is None
            or types != entry.types
            or structure != entry.signature.structure
            or keywords is not entry.signature.keywords
            or static != entry.signature.static
        ):
            entry = self._find(Signature(structure, tuple(types), keywords, static))
        backend = entry.backend
        inputs = [*tensors, *entry.captured] if entry.captured else tensors
        data = tuple([t.data if t.backend is backend else self._moved(t, backend, leaves) for t in inputs])
        if entry.donated:
            refuse_shared(self.label, inputs, entry.donated, lambda: leaf_names(entry.signature, self._names))
        results = entry.executable(data)
        if entry.donated:
            for i in entry.donated:
                tensors[i].backend, tensors[i].data = self._gone, None
        if entry.single:
            return Tensor(entry.out_types[0], backend, results[0])
        made = [Tensor(t, backend, d) for t, d in zip(entry.out_types, results, strict=True)]
        return tree.unflatten(entry.structure, made)

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """What a call with these arguments would run: arguments as in a call, or TensorTypes in place of tensors."""
        keywords, static = False, ()
        if kwargs or self._static:
            args, keywords, static = self._sorted(args, kwargs)
        leaves, structure = tree.flatten(args)
        types = [
            x if isinstance(x, TensorType) else self._lift(i, leaves, structure, keywords, static).type
            for i, x in enumerate(leaves)
        ]
        entry = self._find(Signature(structure, tuple(types), keywords, static))
        return Lowered(entry.graph, entry.executable)

    # Arguments

    def _sorted(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, bool, tuple[Any, ...]]:
        """Arguments in their one canonical form: the dynamic ones, whether keywords are left among them, the static."""
        if kwargs:
            bound = self._signature.bind(*args, **kwargs)
            args, kwargs = bound.args, bound.kwargs
        static: list[tuple[int | str, type, Any]] = []
        if self._static:
            places: list[int | str] = [i for i in range(len(args)) if i in self._static]
            places += [k for k in kwargs if k in self._static]
            for place in places:
                value = args[place] if isinstance(place, int) else kwargs[place]
                try:
                    hash(value)
                except TypeError:
                    name = self._names[place] if isinstance(place, int) else place
                    raise TypeError(
                        f"{self.label}: expected a hashable value for static argument {name!r}, got a "
                        f"{type(value).__name__}; pass a tuple, or leave it out of static"
                    ) from None
                static.append((place, type(value), value))
            args = tuple([a for i, a in enumerate(args) if i not in self._static])
            kwargs = {k: v for k, v in kwargs.items() if k not in self._static}
        return ((args, kwargs) if kwargs else args), bool(kwargs), tuple(static)

    def _lift(self, i: int, leaves: list[Any], structure: tree.Structure, keywords: bool, static: Any) -> Tensor:
        """An argument's leaf that is no Tensor as one: Python scalars with rank 0, arrays of any library."""
        try:
            return asarray(leaves[i])
        except (AxonError, TypeError, ValueError) as error:
            name = leaf_names(Signature(structure, (), keywords, static), self._names)[i]
            raise TypeError(
                f"{self.label}: expected tensors, arrays or numbers, got a {type(leaves[i]).__name__} as argument "
                f"{name!r} ({error}); name it in static= if it is an option"
            ) from error

    def _moved(self, t: Tensor, backend: Any, leaves: list[Any]) -> Any:
        """The data of an argument that is not on the executable's backend: arrays and numbers move there unasked."""
        if any(x is t for x in leaves):
            return backend.adopt(t).data
        return backend.from_numpy(t.numpy())

    # Traces

    def _find(self, signature: Signature) -> Entry:
        """The entry of a signature; the lock makes sure that threads trace each signature once."""
        with self._lock:
            entry = self._table.get(signature)
            if entry is None:
                entry = self._build(signature)
                self._table[signature] = entry
                if len(self._table) > TABLE_SIZE:
                    self._table.popitem(last=False)
            else:
                self._table.move_to_end(signature)
            self._recent = entry
            return entry

    def _build(self, signature: Signature) -> Entry:
        self._announce(signature)
        traced = self._trace(signature)
        names = [self._argument(p, signature) for p in signature.structure.paths()]
        donate = [name in self._donate for name in names]
        compiler = self._compiler or config.default_compiler
        maker = config.lookup("compiler", compiler if self._device in (None, "cpu") else f"{compiler}:{self._device}")
        flags = (*donate, *(False for _ in traced.captured))
        executable = maker.compile(traced.graph, donate=flags, label=self.label)
        self.traces += 1
        return Entry(
            signature,
            list(signature.types),
            executable,
            executable.backend,
            traced.captured,
            traced.graph,
            traced.graph.output_types,
            traced.structure,
            traced.structure == tree.structure(0),
            tuple(i for i, flag in enumerate(donate) if flag),
        )

    def _trace(self, signature: Signature) -> Traced:
        def over(*leaves: Tensor) -> Any:
            made = tree.unflatten(signature.structure, leaves)
            args, kwargs = made if signature.keywords else (made, {})
            args, kwargs = list(args), dict(kwargs)
            for place, _, value in signature.static:  # positions rise, so each insertion puts the next in place
                if isinstance(place, int):
                    args.insert(place, value)
                else:
                    kwargs[place] = value
            return self.function(*args, **kwargs)

        return trace(over, signature.types)

    def _argument(self, path: tree.Path, signature: Signature) -> int | str:
        """The parameter that a leaf belongs to: its position, or its name where it was passed by keyword."""
        if signature.keywords:
            which, *path = path  # type: ignore[assignment]
            if which == 1:
                return path[0]
        position = path[0]
        for place, _, _ in signature.static:
            if isinstance(place, int) and place <= position:
                position += 1
        return position

    def _announce(self, signature: Signature) -> None:
        """Say in one line, once a kind of change, why a second or later trace is made; refuse it past max_traces."""
        if self._recent is None:
            return
        found = change(self._recent.signature, signature, self._names)
        if self._max_traces is not None and self.traces >= self._max_traces:
            raise TraceError(
                f"{self.label}: expected at most {self._max_traces} traces, got a call that needs another: "
                f"{found.words}; pad or convert the arguments, or raise max_traces"
            )
        if found.kind not in self._told:
            self._told.add(found.kind)
            print(f"{self.label}: trace {self.traces + 1}: {found.words}", file=sys.stderr)

    def _debug(self, signature: Signature, tensors: list[Tensor]) -> Any:
        traced = self._trace(signature)
        return tree.unflatten(traced.structure, debugging.run(traced.graph, [*tensors, *traced.captured]))


def jit(
    function: Callable[..., Any],
    *,
    compiler: str | None = None,
    donate: Places = (),
    static: Places = (),
    max_traces: int | None = None,
    device: str | None = None,
) -> Definition:
    """The function, traced and compiled at the first call for each signature: containers, dtypes, shapes, axis names.

    Arguments are trees of tensors, arrays or numbers (traced as bool, int32 or float32 of rank 0, never constants).
    static: parameters passed as they are; hashable, each value has its own trace. donate: parameters whose memory the
    call may reuse; using such a tensor afterwards raises DonationError. max_traces: TraceError instead of one trace
    more. compiler: "native" or "evaluate". Inside another trace the function is inlined.

    Tensors the function captures become inputs at the first trace; that a captured variable was bound to another tensor
    later cannot be seen: pass what changes as an argument.

    >>> double = jit(lambda x: x * 2)
    >>> double(nx.tensor([1.0, 2.0])).tolist(), double.traces
    ([2.0, 4.0], 1)
    """
    return Definition(function, compiler, donate, static, max_traces, device)


@overload
def defn(function: Callable[..., Any], /) -> Definition: ...
@overload
def defn(
    *,
    compiler: str | None = None,
    donate: Places = (),
    static: Places = (),
    max_traces: int | None = None,
    device: str | None = None,
) -> Callable[[Callable[..., Any]], Definition]: ...
def defn(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """`jit` as a decorator, with or without options.

    >>> @defn
    ... def softplus(x):
    ...     return nx.log1p(nx.exp(x))
    >>> softplus(nx.tensor(0.0)).dtype
    float32
    """
    return Definition(function, **options) if function is not None else functools.partial(Definition, **options)
