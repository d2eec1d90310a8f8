"""jit and @defn: a Python function becomes a table of executables, one a signature of its arguments."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Sequence
from threading import RLock
from types import MethodType
from typing import Any, TypedDict, Unpack, overload
from weakref import WeakSet

from .. import config, tree
from ..errors import TraceError, note
from ..graph.compilers import Compiler
from ..graph.trace import Traced, trace
from ..nx.core.backend import home, tracing, watching
from ..nx.core.number import Book, Number
from ..nx.core.tensor import Tensor, TensorType
from ..values import Value, named, refuse_unnamed
from . import debugging
from .arguments import Arguments, Form, Places, Signature, type_of, wide
from .call import Calls, Entry, data, moved, number
from .collector import uncollected
from .donation import Donated, refuse_shared
from .lowered import Lowered
from .receipt import change
from .table import Table, size_of

_ONE = tree.structure(0)
_definitions: WeakSet[Definition] = WeakSet()


class Options(TypedDict, total=False):
    """What `jit` takes beside the function."""

    compiler: str | None
    donate: Places
    static: Places
    max_traces: int | None
    device: str | None


class Definition(Value):
    """A compiled numerical definition: call it like the function it was made from. See `jit`."""

    def __init__(self, function: Callable[..., Any], **options: Unpack[Options]) -> None:
        if odd := options.keys() - Options.__annotations__.keys():
            known = ", ".join(Options.__annotations__)
            raise TypeError(f"Definition: expected options of {known}, got {', '.join(sorted(odd))}; see jit")
        functools.update_wrapper(self, function)
        self.function = function
        self.label: str = getattr(function, "__name__", type(function).__name__)
        self.traces = 0
        self._options = options  # as given
        self._arguments = Arguments(function, self.label, options.get("static", ()), options.get("donate", ()))
        self._calls: dict[Any, Calls] = {}  # by the number of positional arguments and the names of the others
        self._table: Table[Entry] = Table(self.label)
        self._last: Entry | None = None
        self._told: set[Any] = set()
        self._unlock()
        _definitions.add(self)
        self._gone = Donated(self.label)

    def _unlock(self) -> None:
        """Also in a forked child, where a thread that made an entry is no more."""
        self._building = RLock()  # of making an entry

    def __repr__(self) -> str:
        return f"<defn {self.label}, {self.traces} traces>"

    def __reduce__(self) -> Any:
        if named(self):  # a decorated function
            return self.__qualname__  # type: ignore[attr-defined]
        refuse_unnamed(f"jit: {self.label}", {"function": self.function})
        return functools.partial(Definition, **self._options), (self.function,)

    def compiled_by(self, compiler: str) -> Definition:
        """The same definition for another compiler, with its other options."""
        return Definition(self.function, **{**self._options, "compiler": compiler})

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if tracing.get() is not None:
            return self.function(*args, **kwargs)
        calls = self._calls.get((len(args), *kwargs)) or self._meet(len(args), kwargs)
        if watching.get() is None:
            for take, entry in calls.recent:
                found = take(args, kwargs, entry.backend, entry.types, entry.static)
                if found is not None:
                    self._last = entry
                    return self._run(entry, *found)
        return self._call(calls, args, kwargs)

    def _call(self, calls: Calls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The general call: a signature other than the last two, arguments that are to be converted."""
        dynamic, static = calls.form.arrange(args, kwargs)
        leaves, structure = calls.leaves(dynamic) or self._arguments.flatten(dynamic)
        given, signature = self._settle(calls.form, static, leaves, structure)
        if watching.get() is not None:
            return self._debug(signature, given)
        entry = self._find(signature)
        calls.remember(entry)
        return self._run(entry, data(given, leaves, entry.backend), given)

    def _meet(self, count: int, names: Any) -> Calls:
        return self._calls.setdefault((count, *names), Calls(self._arguments.form(count, names)))

    def _settle(
        self, form: Form, static: Sequence[Any], leaves: Sequence[Any], structure: tree.Structure, *also: type
    ) -> tuple[list[Any], Signature]:
        """The leaves as tensors and numbers, and the signature."""
        exact = self._arguments.exactly(form, static) if static else ()
        keywords = bool(form.named)
        given = self._arguments.lift(leaves, lambda: Signature(structure, (), keywords, exact), *also)
        return given, Signature(structure, tuple([type_of(x) for x in given]), keywords, exact)

    def _run(self, entry: Entry, data: tuple[Any, ...], given: Sequence[Any]) -> Any:
        backend = entry.backend
        if entry.captured:
            data += tuple([t.data if t.backend is backend else moved(t, backend) for t in entry.captured])
        if entry.book.met:
            entry.book.check(given)
        if entry.donated:
            inputs = [*given, *entry.captured]
            tensors = [i for i in entry.donated if type(given[i]) is Tensor]
            refuse_shared(self.label, inputs, tensors, lambda: self._arguments.leaf_names(entry.signature))
        results = entry.executable(data)
        for i in entry.donated:
            if type(given[i]) is Tensor:
                given[i].backend, given[i].data = self._gone, None
        if entry.build is None:
            return Tensor(entry.out_types[0], backend, results[0])
        return entry.build([Tensor(t, backend, d) for t, d in zip(entry.out_types, results)])

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """What a call with these arguments would run, to look at; TensorTypes may stand for tensors."""
        calls = self._calls.get((len(args), *kwargs)) or self._meet(len(args), kwargs)
        dynamic, static = calls.form.arrange(args, kwargs)
        leaves, structure = calls.leaves(dynamic) or self._arguments.flatten(dynamic)
        given, signature = self._settle(calls.form, static, leaves, structure, TensorType)
        entry = self._find(signature)
        inputs = [*given, *entry.captured]
        whole = all(type(t) is not TensorType and (type(t) is not Tensor or t.backend is entry.backend) for t in inputs)
        return Lowered(entry.graph, entry.executable, data(inputs, inputs, entry.backend) if whole else None)

    def _find(self, signature: Signature) -> Entry:
        """The entry of a signature. Threads trace each signature once, and wait for no other thread's trace else."""
        entry = self._table.get(signature)
        if entry is None:
            with self._building:
                entry = self._table.get(signature)  # another thread may have made it meanwhile
                if entry is None:
                    self._announce(signature)
                    entry = self._build(signature)
                    self.traces += 1
                    self._table.add(signature, entry, size_of(entry.graph))
        self._last = entry
        return entry

    def _build(self, signature: Signature) -> Entry:
        with uncollected():
            return self._made(signature)

    def _made(self, signature: Signature) -> Entry:
        start = time.perf_counter()
        traced, book = self._trace(signature)
        spent = time.perf_counter() - start
        donated = self._arguments.donated(signature)
        compiler: Compiler = config.lookup("compiler", self._options.get("compiler") or config.default_compiler)
        donate = (*donated, *[False] * len(traced.captured))
        executable = compiler.compile(
            traced.graph, device=self._options.get("device"), donate=donate, label=self.label, trace_seconds=spent
        )
        return Entry(
            types=signature.types,
            static=tuple(exact.value for _, exact in signature.static),
            captured=traced.captured,
            donated=tuple(i for i, flag in enumerate(donated) if flag),
            book=book,
            signature=signature,
            graph=traced.graph,
            executable=executable,
            backend=executable.backend,
            out_types=traced.graph.output_types,
            build=None if traced.structure == _ONE else tree.builder(traced.structure),
        )

    def _trace(self, signature: Signature) -> tuple[Traced, Book]:
        book, numbers = Book(len(signature.types)), [not isinstance(t, TensorType) for t in signature.types]

        def over(*leaves: Tensor) -> Any:
            given = [Number(x, book, i) if number else x for i, (x, number) in enumerate(zip(leaves, numbers))]
            args, kwargs = self._arguments.restore(signature, given)
            return self.function(*args, **kwargs)

        traced = trace(over, tuple([wide(t) for t in signature.types]))
        book.close()
        return traced, book

    def _announce(self, signature: Signature) -> None:
        """Say in one line, once a kind of change, why a second or later trace is made; refuse it past max_traces."""
        if self._last is None:
            return
        found = change(self._last.signature, signature, self._arguments)
        most = self._options.get("max_traces")
        if most is not None and self.traces >= most:
            raise TraceError(
                f"{self.label}: expected at most {most} traces, got a call that needs another: "
                f"{found.words}; pad or convert the arguments, or raise max_traces"
            )
        if found.kind not in self._told:
            self._told.add(found.kind)
            note(f"{self.label}: trace {self.traces + 1}: {found.words}")

    def _debug(self, signature: Signature, given: Sequence[Any]) -> Any:
        traced, book = self._trace(signature)
        book.check(given)
        backend = home()
        tensors = [
            x if type(x) is Tensor else Tensor(wide(t), backend, number(x, backend))
            for x, t in zip(given, signature.types)
        ]
        return tree.unflatten(traced.structure, debugging.run(traced.graph, [*tensors, *traced.captured]))


os.register_at_fork(after_in_child=lambda: [d._unlock() for d in _definitions])


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

    Arguments are trees of tensors, arrays or numbers. A number's value is no part of the signature, and never changes
    the dtype of a tensor that it meets, as outside; DTypeError of an integer that this dtype does not hold.
    static: parameters passed as they are; hashable, each value has its own trace. donate: parameters whose memory the
    call may reuse; using such a tensor afterwards raises DonationError. max_traces: TraceError instead of one trace
    more. compiler: "native" or "evaluate"; device: "cpu", or "cuda", whose kernels are emitted to be looked at but
    do not run yet. Inside another trace the function is inlined.

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
def defn(**options: Unpack[Options]) -> Callable[[Callable[..., Any]], Definition]: ...
def defn(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """`jit` as a decorator, with or without options.

    >>> @defn
    ... def softplus(x):
    ...     return nx.log1p(nx.exp(x))
    >>> softplus(nx.tensor(0.0)).dtype
    float32
    """
    return jit(function, **options) if function is not None else functools.partial(jit, **options)
