"""The evaluator: a graph op by op on an eager backend. It is what regions outside a trace run on, the compiler
"evaluate", and the first oracle of every other compiler."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .. import config
from ..graph.compilers import Compiler
from ..graph.expr import CALL, INPUT, Graph, Node, Value
from ..graph.regions import Evaluation
from ..graph.trace import Trace
from ..nx.core.backend import Backend, default, select
from ..nx.core.op import Op, examine
from ..nx.core.tensor import Tensor, TensorType

Check = Callable[[Node, Sequence[Tensor], Sequence[Tensor]], None]  # called with each node, its operands and results
Instead = Callable[[Node, list[Tensor]], list[Tensor] | None]
Env = dict[Value, Tensor]


class _Step(NamedTuple):
    node: Node
    inputs: tuple[int, ...]
    first: int  # the slot of the first result
    dying: tuple[int, ...]  # slots that nothing reads after this step
    regions: tuple[Tape, ...]


class Tape:
    """A graph as steps over numbered slots, each value dropped after its last use."""

    __slots__ = ("inputs", "outputs", "size", "steps")

    def __init__(self, graph: Graph) -> None:
        slots: dict[Value, int] = {}
        self.inputs = tuple(slots.setdefault(v, len(slots)) for v in graph.inputs)
        nodes = [n for n in graph.nodes if n.op is not INPUT]
        for node in nodes:
            for i in range(len(node.types)):
                slots[Value(node, i)] = len(slots)
        self.outputs = tuple(slots[v] for v in graph.outputs)
        self.size = len(slots)
        kept = set(self.outputs)
        steps = []
        for node in reversed(nodes):
            inputs = tuple(slots[v] for v in node.inputs)
            made = [slots[Value(node, i)] for i in range(len(node.types))]
            dying = tuple({*inputs, *made} - kept)
            kept.update(dying)
            regions = tuple(Tape(g) for g in node.attrs["regions"]) if node.op is CALL else ()
            steps.append(_Step(node, inputs, made[0] if made else 0, dying, regions))
        self.steps = tuple(reversed(steps))

    def run(self, backend: Backend, inputs: Sequence[Tensor], check: Check | None = None) -> list[Tensor]:
        """The graph's outputs for these inputs, all on one concrete backend."""
        env: list[Any] = [None] * self.size
        for slot, tensor in zip(self.inputs, inputs):
            env[slot] = tensor
        for node, slots, first, dying, regions in self.steps:
            args = [env[i] for i in slots]
            if regions:
                results = _call(regions, backend, node.types, args, node.attrs, check)
            else:
                data = backend.apply(node.op, node.types, args, node.attrs)
                results = [Tensor(t, backend, d) for t, d in zip(node.types, data)]
                if check is not None:
                    check(node, args, results)
            env[first : first + len(results)] = results
            for i in dying:
                env[i] = None
        return [env[i] for i in self.outputs]


def _call(
    plans: Sequence[Tape],
    backend: Backend,
    out: tuple[TensorType, ...],
    args: list[Tensor],
    attrs: Mapping[str, Any],
    check: Check | None = None,
) -> list[Tensor]:
    """A call node by the rule of its kind."""
    run = [lambda inputs, plan=plan: plan.run(backend, inputs, check) for plan in plans]
    empty = lambda: [Tensor(t, backend, backend.constant(0, t)) for t in out]  # noqa: E731
    return attrs["kind"].evaluate(Evaluation(run, args, attrs, empty))


def examined(node: Node, args: Sequence[Tensor], results: Sequence[Tensor]) -> None:
    """The check of eager code and of axon.debug(). Compiled code has none: an index outside is as its row says."""
    examine(node.op, args, node.attrs, results, node.source)


def apply(backend: Backend, op: Op, out: tuple[TensorType, ...], args: Sequence[Tensor], attrs: Any) -> list[Tensor]:
    """One op whose types are settled, on a concrete backend or recorded by a trace."""
    if op is CALL and not isinstance(backend, Trace):
        return _call([Tape(g) for g in attrs["regions"]], backend, out, list(args), attrs, examined)
    return [Tensor(t, backend, d) for t, d in zip(out, backend.apply(op, out, args, attrs))]


def replay(graph: Graph, tensors: Sequence[Tensor], instead: Instead = lambda node, operands: None) -> Env:
    """Run a graph over tensors, on their backend or into the open trace (how a graph is inlined). Gives the tensor of
    every value. instead: what a node gives where it is carried out in another way."""
    backend = select(tensors)
    env = {v: t if t.backend is backend else backend.adopt(t) for v, t in zip(graph.inputs, tensors, strict=True)}
    for node in graph.nodes:
        if node.op is INPUT:
            continue
        args = [env[v] for v in node.inputs]
        results = instead(node, args)
        if results is None:
            results = carried_out(node, args, backend)
        for i, result in enumerate(results):
            env[Value(node, i)] = result
    return env


def inlined(graph: Graph, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The outputs of a graph over tensors: on their backend, or written out into the open trace."""
    env = replay(graph, tensors)
    return [env[v] for v in graph.outputs]


def carried_out(node: Node, args: Sequence[Tensor], backend: Backend | None = None) -> list[Tensor]:
    """The results of a node over tensors of its operands' types, as it is: on their backend or in the open trace."""
    backend = backend or select(args)
    if isinstance(backend, Trace):
        return backend.keep(node, args)
    results = apply(backend, node.op, node.types, args, node.attrs)
    examined(node, args, results)
    return results


class Evaluated:
    """An executable that walks the graph on the default backend."""

    __slots__ = ("backend", "tape", "types")

    def __init__(self, graph: Graph, backend: Backend) -> None:
        self.tape, self.types, self.backend = Tape(graph), graph.input_types, backend

    def __call__(self, data: tuple[Any, ...]) -> tuple[Any, ...]:
        inputs = [Tensor(t, self.backend, d) for t, d in zip(self.types, data)]
        return tuple([_owned(t.data, data) for t in self.tape.run(self.backend, inputs)])


def _owned(made: Any, given: tuple[Any, ...]) -> Any:
    """A result with memory of its own: an argument's may be a caller's array, borrowed for the call."""
    borrowed = getattr(made, "base", None) is not None or any(made is x for x in given)
    return made.copy() if borrowed and hasattr(made, "copy") else made


class Evaluate(Compiler):
    """The compiler "evaluate": no compilation at all."""

    name = "evaluate"

    def compile(
        self,
        graph: Graph,
        *,
        device: str | None = None,
        donate: Sequence[bool] = (),
        label: str = "",
        trace_seconds: float = 0.0,
    ) -> Evaluated:
        """A graph to be walked on the default backend. ValueError for another device than the default one."""
        if device not in (None, config.default_device):
            raise ValueError(f"device: expected {config.default_device} for {self.name}, got {device!r}")
        return Evaluated(graph, default())
