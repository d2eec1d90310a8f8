"""Programs: a planned schedule as the runtime's flat data, and the executable that jit calls."""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from .. import _core, config
from ..defn.expr import Graph, Value
from ..dtypes import DType
from ..errors import CompileError
from ..nx.tensor import Tensor
from . import cache
from .emit_cpp import emit_cpp, scratch_bytes
from .library import LibraryStep
from .pipeline import Lowered, run_passes
from .schedule import HostStep, KernelStep, Step

_PACK = {"float32": "f", "float64": "d", "float16": "e"}


def literal_bits(value: Any, dtype: DType) -> int:
    """A literal as the bits of its dtype, in the low bytes of 8."""
    if dtype.kind == "f":
        if dtype.name == "bfloat16":
            import numpy as np

            return int(np.array(value, dtype.numpy).view(np.uint16))
        packed = (
            struct.pack("<" + _PACK[dtype.name], value)
            if value == value and abs(value) < 1e30
            else _pack_numpy(value, dtype)
        )
        return int.from_bytes(packed, "little")
    if dtype.kind == "b":
        return int(bool(value))
    return int(value) & ((1 << 8 * dtype.itemsize) - 1)


def _pack_numpy(value: Any, dtype: DType) -> bytes:
    """Values near or beyond a dtype's range, rounded to infinity without a complaint."""
    import numpy as np

    with np.errstate(over="ignore"):
        return np.array(value, np.float64).astype(dtype.numpy).tobytes()


class Executable:
    """A compiled graph: called with the data of its inputs, gives the data of its outputs."""

    def __init__(self, lowered: Lowered, label: str) -> None:
        self.lowered, self.label = lowered, label
        start = time.perf_counter()
        texts = {
            s.kernel: emit_cpp(s.kernel, cache.SYMBOL) for s in lowered.schedule.steps if isinstance(s, KernelStep)
        }
        self.texts = texts
        emitted = time.perf_counter()
        handles, self.statistics = cache.load(list(texts.values())) if texts else ([], cache.Statistics())
        kernels = dict(zip(texts, handles))
        loaded = time.perf_counter()
        plan = lowered.plan
        self.steps = [encode(s, kernels, plan) for s in lowered.schedule.steps]
        self.program = _core.Program(
            plan.slots, self.steps, plan.arena_bytes, len(lowered.graph.inputs), len(lowered.graph.outputs), label
        )
        self.milliseconds = {
            **lowered.milliseconds,
            "codegen": (emitted - start) * 1e3,
            "compile": (loaded - emitted) * 1e3,
            "program": (time.perf_counter() - loaded) * 1e3,
        }
        self.backend = config.lookup("backend", "numpy")

    def __call__(self, data: tuple[Any, ...], donated: Sequence[int] = ()) -> tuple[Any, ...]:
        return self.program(data, donated)


def encode(step: Step, kernels: dict[Any, Any], plan: Any) -> tuple[Any, ...]:
    """A step as the runtime reads it."""
    match step:
        case KernelStep(kernel=kernel, calls=calls):
            encoded = [
                (
                    [plan.of(m) for m in c.memory],
                    [c.parameters[name] for name in kernel.parameters],
                    [literal_bits(v, d) for v, d in zip(c.literals, kernel.literals)],
                    c.units,
                )
                for c in calls
            ]
            scratch = max(scratch_bytes(kernel, c.parameters) for c in calls)
            return ("kernel", kernels[kernel], encoded, step.grain, scratch, calls[0].origin or str(kernel.form))
        case LibraryStep():
            return ("library", step.symbol, [plan.of(m) for m in step.memory], step.ints, (), step.label)
        case HostStep(node=node):
            memory = [*node.inputs, *(Value(node, i) for i in range(len(node.types)))]
            return ("host", host_function(node), [plan.of(m) for m in memory], step.label)
    raise AssertionError(step)


def host_function(node: Any) -> Callable[..., None]:
    """The eager backend's version of a node, over views of the program's memory."""
    import numpy as np

    backend = config.lookup("backend", "numpy")
    types = [v.type for v in node.inputs]

    def run(*views: Any) -> None:
        given = [np.frombuffer(v, t.dtype.numpy).reshape(t.shape) for v, t in zip(views, types)]
        made = backend.apply(node.op, node.types, [Tensor(t, backend, a) for t, a in zip(types, given)], node.attrs)
        for view, type_, data in zip(views[len(types) :], node.types, made):
            np.frombuffer(view, type_.dtype.numpy).reshape(type_.shape)[...] = backend.to_numpy(data, type_)

    return run


class Native:
    """The compiler "native": fused C++ kernels and library steps. Without a C++ compiler on the machine it says so once
    and evaluates op by op."""

    name = "native"

    def __init__(self) -> None:
        self._said = False

    def compile(self, graph: Graph, *, donate: Sequence[bool] = (), label: str = "") -> Any:
        """The executable of a traced graph."""
        lowered = run_passes(graph, donate)
        try:
            return Executable(lowered, label)
        except CompileError as error:
            from .target import compiler

            if compiler() is not None:
                raise
            if not self._said:
                self._said = True
                print(f"axon: {error}; until then functions are evaluated op by op", file=sys.stderr)
            return config.lookup("compiler", "evaluate").compile(graph, donate=donate, label=label)
