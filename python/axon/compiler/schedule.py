"""Scheduling: fused units become the steps of a program, in order, and equal kernels become one step (rule 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..defn.expr import Graph, Value
from ..nx.op import RESHAPE
from .fuse import Group, Single, Unit
from .kernel import For, Instr, Kernel
from .library import LibraryStep, copies, label, library_step, whole_copy
from .lower import Call, lower

WORK = 1 << 16  # scalar instructions that are worth another thread


class KernelStep:
    """Calls of one kernel, run as one region."""

    def __init__(self, kernel: Kernel, calls: list[Call]) -> None:
        self.kernel, self.calls = kernel, calls

    @property
    def grain(self) -> int:
        """Units a thread should have at least."""
        p = self.calls[0].parameters
        axis = self.kernel.inner
        each = min(p.get("block", p[f"n{axis}"]), p[f"n{axis}"]) * weight(self.kernel.body)
        if self.kernel.form == "column":
            each *= p[f"n{self.kernel.outer}"] // max(p.get("spans", 1), 1) or 1
        return max(1, WORK // max(each, 1))


class HostStep:
    """A node run by the eager backend, where nothing native exists for it."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self.label = label(node)


Step = KernelStep | LibraryStep | HostStep


def weight(body: Sequence[Any]) -> int:
    """Scalar instructions for each innermost element."""
    return sum(weight(s.body) if isinstance(s, For) else isinstance(s, Instr) for s in body) or 1


def reads(step: Step) -> list[Any]:
    """The memory a step reads."""
    match step:
        case KernelStep():
            return [
                m
                for c in step.calls
                for m, k in zip(c.memory, step.kernel.pointers)
                if step.kernel.operands[k].space == "in"
            ]
        case HostStep():
            return list(step.node.inputs)
        case LibraryStep():
            return list(step.memory[: -step.written])


def writes(step: Step) -> list[Any]:
    """The memory a step writes."""
    match step:
        case KernelStep():
            return [
                m
                for c in step.calls
                for m, k in zip(c.memory, step.kernel.pointers)
                if step.kernel.operands[k].space == "out"
            ]
        case HostStep():
            return [Value(step.node, i) for i in range(len(step.node.types))]
        case LibraryStep():
            return list(step.memory[-step.written :])


class Schedule:
    """Steps in order, and which values share another's memory (reshapes)."""

    def __init__(self, graph: Graph, units: Sequence[Unit]) -> None:
        self.graph = graph
        self.alias: dict[Value, Value] = {}
        self.steps: list[Step] = []
        order = [Value(n, i) for n in graph.nodes for i in range(len(n.types))]
        for unit in units:
            if isinstance(unit, Group):
                if all(v.type.size == 0 for v in unit.roots):
                    continue
                wanted = [v for v in order if v in unit.pulled]
                self.steps += [KernelStep(c.kernel, [c]) for c in lower(unit, wanted)]
            else:
                assert isinstance(unit, Single)
                self.single(unit)
        self.outputs()
        self.steps = merge_equal(self.steps, self.memory)

    def memory(self, value: Any) -> Any:
        """The value whose memory this one has."""
        while value in self.alias:
            value = self.alias[value]
        return value

    def single(self, unit: Single) -> None:
        node = unit.node
        if node.op.kind == "movement":
            maps = node.op.index_map([v.type for v in node.inputs], node.types[0], **node.attrs)  # type: ignore[misc]
            if maps == RESHAPE:
                self.alias[Value(node, 0)] = node.inputs[0]
            elif node.types[0].size:
                self.steps += copies(node)
            return
        if all(t.size == 0 for t in node.types):
            return
        step = library_step(node)
        self.steps.append(step if step is not None else HostStep(node))

    def outputs(self) -> None:
        """Each output has memory of its own: copies where it is an input, or an alias, or another output too."""
        inputs = {v for v in self.graph.inputs}
        taken: set[Value] = set()
        self.results: list[Any] = []
        for k, value in enumerate(self.graph.outputs):
            root = self.memory(value)
            if root in inputs or root in taken:
                copy = Result(k, value.type.nbytes)
                self.results.append(copy)
                if copy.nbytes:
                    self.steps.append(whole_copy(root, copy, copy.nbytes, f"output {k}"))
            else:
                taken.add(root)
                self.results.append(root)


class Result:
    """Memory of an output that is a copy."""

    def __init__(self, number: int, nbytes: int) -> None:
        self.number, self.nbytes = number, nbytes


def merge_equal(steps: list[Step], memory: Any) -> list[Step]:
    """One step for kernels with the same text, where an earlier one can wait for a later one: nothing between them
    reads what it writes."""
    made: list[Step] = []
    latest: dict[Kernel, KernelStep] = {}
    for step in steps:
        if isinstance(step, KernelStep):
            before = latest.get(step.kernel)
            if before is not None:
                at = next(k for k, s in enumerate(made) if s is before)
                written = {memory(m) for m in writes(before)}
                later = [m for s in [*made[at + 1 :], step] for m in (*reads(s), *writes(s))]
                if not any(memory(m) in written for m in later):
                    made.pop(at)
                    step = KernelStep(step.kernel, [*before.calls, *step.calls])
            latest[step.kernel] = step
        made.append(step)
    return made
