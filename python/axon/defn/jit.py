"""jit and @defn: a Python function becomes a table of executables, one a signature of its arguments."""

from __future__ import annotations

import functools
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock, RLock
from types import MethodType
from typing import Any, NamedTuple, overload
from weakref import WeakSet

from .. import config, tree
from ..errors import TraceError, note
from ..nx.backend import Backend, tracing
from ..nx.tensor import Tensor, TensorType
from ..values import Value, named, refuse_unnamed
from . import debugging
from .arguments import Arguments, Places, Signature
from .donation import Donated, refuse_shared
from .expr import Graph
from .lowered import Lowered
from .receipt import change
from .trace import Traced, trace

TABLE_SIZE = 64  # executables kept a function; the least recently used goes first
_ONE = tree.structure(0)
_definitions: WeakSet[Definition] = WeakSet()


class Entry(NamedTuple):
    """One trace and its executable, with what a call needs at hand."""

    signature: Signature
    match: Callable[[Any], list[Any] | None]  # arguments -> leaves
    plain: bool  # neither keywords nor static arguments
    captured: tuple[Tensor, ...]
    donated: tuple[int, ...]  # numbers of the donated leaves
    graph: Graph
    executable: Any
    backend: Backend
    out_types: tuple[TensorType, ...]
    build: Callable[[Any], Any] | None  # results -> their tree; None where the result is one tensor


class Definition(Value):
    """A compiled numerical definition: call it like the function it was made from. See `jit`."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        compiler: str | None = None,
        donate: Places = (),
        static: Places = (),
        max_traces: int | None = None,
        device: str | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.label: str = getattr(function, "__name__", type(function).__name__)
        self.traces = 0
        self._arguments = Arguments(function, self.label, static, donate)
        options = {"compiler": compiler, "donate": donate, "static": static, "max_traces": max_traces, "device": device}
        self._options = options  # as given
        self._compiler, self._device, self._max_traces = compiler, device, max_traces
        self._table: OrderedDict[Signature, Entry] = OrderedDict()
        self._recent: Entry | None = None
        self._told: set[Any] = set()
        self._unlock()
        _definitions.add(self)
        self._gone = Donated(self.label)

    def _unlock(self) -> None:
        """Also in a forked child, where a thread that made an entry is no more."""
        self._lock, self._building = Lock(), RLock()  # of the table, short; of making an entry, long

    def __repr__(self) -> str:
        return f"<defn {self.label}, {self.traces} traces>"

    def __reduce__(self) -> Any:
        if named(self):  # a decorated function
            return self.__qualname__  # type: ignore[attr-defined]
        refuse_unnamed(f"jit: {self.label}", {"function": self.function})
        return functools.partial(Definition, **self._options), (self.function,)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if tracing.get() is not None:
            return self.function(*args, **kwargs)
        entry = self._recent
        if entry is not None and entry.plain and not kwargs and debugging.check.get() is None:
            leaves = entry.match(args)
            if leaves is not None:
                backend = entry.backend
                data = [
                    x.data
                    for x, t in zip(leaves, entry.signature.types)
                    if type(x) is Tensor and x.backend is backend and (x.type is t or x.type == t)
                ]
                if len(data) == len(leaves):
                    return self._run(entry, leaves, data)
        return self._call(args, kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The general call: static arguments, keywords, arrays, numbers, a signature other than the last."""
        signature, leaves, tensors = self._settle(args, kwargs)
        if debugging.check.get() is not None:
            return self._debug(signature, tensors)
        entry = self._find(signature)
        backend = entry.backend
        data = [
            t.data if t.backend is backend else _moved(t, backend, unasked=x is not t)
            for x, t in zip(leaves, tensors, strict=True)
        ]
        return self._run(entry, tensors, data)

    def _settle(self, args: Any, kwargs: dict[str, Any]) -> tuple[Signature, list[Any], list[Tensor]]:
        keywords, static = False, ()
        if kwargs or self._arguments.static:
            args, keywords, static = self._arguments.sort(args, kwargs)
        recent = self._recent
        leaves = recent.match(args) if recent is not None and recent.signature.keywords is keywords else None
        if recent is not None and leaves is not None and all(map(tree.is_leaf, leaves)):
            structure = recent.signature.structure
        else:
            leaves, structure = tree.flatten(args)
        tensors = self._arguments.lift(leaves, lambda: Signature(structure, (), keywords, static))
        return Signature(structure, tuple([t.type for t in tensors]), keywords, static), leaves, tensors

    def _run(self, entry: Entry, tensors: list[Tensor], data: list[Any]) -> Any:
        backend = entry.backend
        if entry.captured:
            data += [t.data if t.backend is backend else _moved(t, backend) for t in entry.captured]
        if entry.donated:
            inputs = [*tensors, *entry.captured]
            refuse_shared(self.label, inputs, entry.donated, lambda: self._arguments.leaf_names(entry.signature))
        results = entry.executable(tuple(data))
        for i in entry.donated:
            tensors[i].backend, tensors[i].data = self._gone, None
        if entry.build is None:
            return Tensor(entry.out_types[0], backend, results[0])
        return entry.build([Tensor(t, backend, d) for t, d in zip(entry.out_types, results)])

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """What a call with these arguments would run, to look at; TensorTypes may stand for tensors."""
        keywords, static = False, ()
        if kwargs or self._arguments.static:
            args, keywords, static = self._arguments.sort(args, kwargs)
        leaves, structure = tree.flatten(args)
        given = [x for x in leaves if not isinstance(x, TensorType)]
        lifted = self._arguments.lift(given, lambda: Signature(structure, (), keywords, static))
        found = iter(lifted)
        types = tuple([x if isinstance(x, TensorType) else next(found).type for x in leaves])
        entry = self._find(Signature(structure, types, keywords, static))
        inputs = [*lifted, *entry.captured]
        whole = len(inputs) == len(entry.graph.inputs) and all(t.backend is entry.backend for t in inputs)
        return Lowered(entry.graph, entry.executable, tuple([t.data for t in inputs]) if whole else None)

    def _find(self, signature: Signature) -> Entry:
        """The entry of a signature. Threads trace each signature once, and wait for no other thread's trace else."""
        recent = self._recent
        if recent is not None and recent.signature == signature:
            return recent
        entry = self._known(signature)
        if entry is None:
            with self._building:
                entry = self._known(signature)  # another thread may have made it meanwhile
                if entry is None:
                    self._announce(signature)
                    entry = self._build(signature)
                    self.traces += 1
                    with self._lock:
                        self._table[signature] = entry
                        if len(self._table) > TABLE_SIZE:
                            self._table.popitem(last=False)
        self._recent = entry
        return entry

    def _known(self, signature: Signature) -> Entry | None:
        with self._lock:
            entry = self._table.get(signature)
            if entry is not None:
                self._table.move_to_end(signature)
            return entry

    def _build(self, signature: Signature) -> Entry:
        start = time.perf_counter()
        traced = self._trace(signature)
        spent = time.perf_counter() - start
        donated = self._arguments.donated(signature)
        name = self._compiler or config.default_compiler
        compiler = config.lookup("compiler", name if self._device in (None, "cpu") else f"{name}:{self._device}")
        donate = (*donated, *[False] * len(traced.captured))
        executable = compiler.compile(traced.graph, donate=donate, label=self.label, trace_seconds=spent)
        return Entry(
            signature=signature,
            match=tree.matcher(signature.structure),
            plain=not signature.keywords and not signature.static,
            captured=traced.captured,
            donated=tuple(i for i, flag in enumerate(donated) if flag),
            graph=traced.graph,
            executable=executable,
            backend=executable.backend,
            out_types=traced.graph.output_types,
            build=None if traced.structure == _ONE else tree.builder(traced.structure),
        )

    def _trace(self, signature: Signature) -> Traced:
        def over(*leaves: Tensor) -> Any:
            args, kwargs = self._arguments.restore(signature, leaves)
            return self.function(*args, **kwargs)

        return trace(over, signature.types)

    def _announce(self, signature: Signature) -> None:
        """Say in one line, once a kind of change, why a second or later trace is made; refuse it past max_traces."""
        if self._recent is None:
            return
        found = change(self._recent.signature, signature, self._arguments)
        if self._max_traces is not None and self.traces >= self._max_traces:
            raise TraceError(
                f"{self.label}: expected at most {self._max_traces} traces, got a call that needs another: "
                f"{found.words}; pad or convert the arguments, or raise max_traces"
            )
        if found.kind not in self._told:
            self._told.add(found.kind)
            note(f"{self.label}: trace {self.traces + 1}: {found.words}")

    def _debug(self, signature: Signature, tensors: list[Tensor]) -> Any:
        traced = self._trace(signature)
        return tree.unflatten(traced.structure, debugging.run(traced.graph, [*tensors, *traced.captured]))


os.register_at_fork(after_in_child=lambda: [d._unlock() for d in _definitions])


def _moved(t: Tensor, backend: Backend, unasked: bool = False) -> Any:
    """The data of a tensor that is elsewhere: arrays and numbers may move unasked, tensors may not."""
    return backend.from_numpy(t.numpy()) if unasked else backend.adopt(t).data


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
    more. compiler: "native" or "evaluate"; device: "cpu", or one that a "compiler:device" is registered for. Inside
    another trace the function is inlined.

    Tensors the function captures become inputs at the first trace; that a captured variable was bound to another tensor
    later cannot be seen: pass what changes as an argument.

    >>> double = jit(lambda x: x * 2)
    >>> double(nx.tensor([1.0, 2.0])).tolist(), double.traces
    ([2.0, 4.0], 1)
    """
    return Definition(function, compiler=compiler, donate=donate, static=static, max_traces=max_traces, device=device)


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
