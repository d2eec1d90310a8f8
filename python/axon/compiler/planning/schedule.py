"""Scheduling: fused clusters become the steps of a program, in order, and equal kernels become one step (rule 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...graph.expr import CALL, Graph, Node, Value
from ...nx.core.op import RESHAPE
from ..fusion.clusters import Cluster, Group, Single
from ..kernels.assembly import Call
from ..kernels.kernel import Kernel
from ..kernels.lower import lower
from ..library.copies import whole_copy
from ..library.step import LibraryStep, label
from ..library.table import library_steps
from ..targets.target import Target
from .joined import joined
from .order import LITTLE, Course, Item, ordered, size_of
from .regions import RegionStep, lowering


class KernelStep:
    """Calls of one kernel, run as one region."""

    def __init__(self, kernel: Kernel, calls: list[Call]) -> None:
        self.kernel, self.calls = kernel, calls

    def memory(self, space: str) -> list[Any]:
        """The memory of the operands of a space, call by call."""
        places = self.kernel.places(space)
        return [c.memory[k] for c in self.calls for k in places]

    def grain(self, least: int) -> int:
        """Units a thread should have at least, which are to be worth so many scalar instructions."""
        work = sum(c.units * self.each(c.parameters) for c in self.calls)
        return max(1, least * sum(c.units for c in self.calls) // max(work, 1))

    def each(self, p: Mapping[str, int]) -> int:
        """Scalar instructions of a unit."""
        inner = p[f"n{self.kernel.inner}"]
        work = min(p.get("block", inner), inner) * self.kernel.weight
        if self.kernel.form == "column":
            work *= p[f"n{self.kernel.outer}"] // max(p.get("spans", 1), 1) or 1
        return work


class HostStep:
    """A node run by the eager backend, where nothing native exists for it."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self.label = label(node)


class CustomStep:
    """A node run by native code of the user's."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self.label = label(node)


Step = KernelStep | LibraryStep | HostStep | CustomStep | RegionStep


def reads(step: Step) -> list[Any]:
    """The memory a step reads."""
    match step:
        case KernelStep():
            return step.memory("in")
        case HostStep() | CustomStep() | RegionStep():
            return list(step.node.inputs)
        case LibraryStep():
            return list(step.memory[: -step.written])


def writes(step: Step) -> list[Any]:
    """The memory a step writes."""
    match step:
        case KernelStep():
            return step.memory("out")
        case HostStep() | CustomStep() | RegionStep():
            return [Value(step.node, i) for i in range(len(step.node.types))]
        case LibraryStep():
            return list(step.memory[-step.written :])


class Schedule:
    """Steps in order, for a target, and which values share another's memory (reshapes)."""

    def __init__(
        self, graph: Graph, clusters: Sequence[Cluster], target: Target, region: Callable[[Graph], Schedule]
    ) -> None:
        self.graph, self.target, self.region = graph, target, region
        self.alias: dict[Value, Value] = {}
        self.earlier: dict[Value, tuple[Value, ...]] = {}  # the memory that must be there before an alias is
        self.steps: list[Step] = []
        self.places = joined(graph, clusters, target.library)
        self.acting: set[int] = set()  # the steps of nodes that act
        position = {node: k for k, node in enumerate(graph.nodes)}
        for cluster in clusters:
            if isinstance(cluster, Group):
                if all(v.type.size == 0 for v in cluster.roots):
                    continue
                wanted = sorted(cluster.pulled, key=lambda v: position[v.node])
                self.steps += [KernelStep(c.kernel, [c]) for c in lower(cluster, wanted, target.tuning, self.places)]
            else:
                assert isinstance(cluster, Single)
                made = len(self.steps)
                self.single(cluster)
                if cluster.node.acts:
                    self.acting.update(range(made, len(self.steps)))
        self.results: list[Any] = [self.memory(v) for v in graph.outputs]
        items, found = ordered(*self.items(), target.tuning.free)
        self.peak = found.peak  # bytes that the arena has, more or less
        self.steps = merge_equal(items, found, target.tuning.free)

    def memory(self, value: Any) -> Any:
        """The value whose memory this one has."""
        return self.alias.get(value, value)

    def same(self, node: Node) -> None:
        """The result of a node is its first input, in its memory, once its other inputs are there."""
        self.alias[Value(node, 0)] = self.memory(node.inputs[0])
        behind = [*map(self.memory, node.inputs[1:]), *[e for v in node.inputs for e in self.earlier.get(v, ())]]
        if behind:
            self.earlier[Value(node, 0)] = tuple(behind)

    def items(self) -> tuple[list[Item], dict[Any, int], dict[Any, list[Any]]]:
        """The steps as `ordered` takes them; the bytes of what is no result; and by result the inputs that it may be
        written over, if they are read no more: its own in a loop or a donated state, and what its step is the last to
        read."""
        memory, inputs, results = self.memory, set(self.graph.inputs), set(self.results)
        over = {r: [v] for r, v in zip(self.results, self.graph.inputs) if size_of(r) == size_of(v)}
        items, size, reading = list[Item](), dict[Any, int](), dict[Any, Any]()
        for k, step in enumerate(self.steps):
            read, written = reads(step), [memory(m) for m in writes(step)]
            touched = tuple(dict.fromkeys([*map(memory, read), *written]))
            behind = tuple([e for m in read for e in self.earlier.get(m, ())]) if self.earlier else ()
            inside = max([b.peak for b in step.bodies], default=0) if isinstance(step, RegionStep) else 0
            items.append(Item(step, tuple(written), touched, behind, k in self.acting, inside))
            for m in written:
                nbytes = size_of(m)
                if m not in results and nbytes >= LITTLE:
                    size[m] = nbytes
                elif m in results and isinstance(step, KernelStep):
                    reading.update([(v, m) for v in touched if v in inputs and size_of(v) == nbytes])
        for v, m in reading.items():
            over.setdefault(m, []).append(v)
        return items, size, over

    def single(self, cluster: Single) -> None:
        node = cluster.node
        if node.op.kind.alias:
            self.same(node)
            return
        if node.op.kind.moves:
            maps = node.op.index_map([v.type for v in node.inputs], node.types[0], **node.attrs)  # type: ignore[misc]
            if maps == RESHAPE:
                self.same(node)
                return
        if node.op is CALL:
            self.call(node)
            return
        if all(t.size == 0 for t in node.types) and not node.acts:
            return
        if node.op.kind.native:
            self.steps.append(CustomStep(node))
            return
        made = library_steps(node, cluster.inputs, cluster.stores, self.target.library)
        self.steps += [s for s in made if s.memory[0] not in self.places] if made else [HostStep(node)]

    def call(self, node: Node) -> None:
        """A region step. A loop's carry is copied into the results' memory first, and lives there."""
        kind = lowering(node)
        for i in range(kind.carry(node.attrs)):
            if node.types[i].nbytes:
                self.steps.append(whole_copy(node.inputs[i], Value(node, i), node.types[i].nbytes, label(node)))
        if kind.runs(node.attrs):
            self.steps.append(RegionStep(node, [self.region(g) for g in node.attrs["regions"]]))

    def kernels(self) -> list[Kernel]:
        """All kernels, those of regions too, each once."""
        found: dict[Kernel, None] = {}
        for step in self.steps:
            if isinstance(step, KernelStep):
                found[step.kernel] = None
            elif isinstance(step, RegionStep):
                found.update(dict.fromkeys(k for body in step.bodies for k in body.kernels()))
        return list(found)

    def hosted(self) -> list[HostStep]:
        """The steps that run in Python, those of regions too."""
        inner = [
            s for step in self.steps if isinstance(step, RegionStep) for body in step.bodies for s in body.hosted()
        ]
        return [s for s in self.steps if isinstance(s, HostStep)] + inner

    def own_outputs(self) -> Schedule:
        """Give each output memory of its own: copies where it is an input, or an alias, or another output too."""
        inputs = set(self.graph.inputs)
        taken: set[Value] = set()
        self.results = []
        for k, value in enumerate(self.graph.outputs):
            root = self.memory(value)
            if root in inputs or root in taken:
                copy = OutputCopy(k, value.type.nbytes)
                self.results.append(copy)
                if copy.nbytes:
                    self.steps.append(whole_copy(root, copy, copy.nbytes, f"output {k}"))
            else:
                taken.add(root)
                self.results.append(root)
        return self


class OutputCopy:
    """Memory of an output that is a copy."""

    def __init__(self, number: int, nbytes: int) -> None:
        self.number, self.nbytes = number, nbytes


class Merged:
    """A kernel's calls so far, which wait for the last of them, and the bytes that are there for longer since they do;
    `closed` once a later step uses what they write."""

    def __init__(self, kernel: Kernel) -> None:
        self.step = KernelStep(kernel, [])
        self.closed = False
        self.held = 0


def merge_equal(items: Sequence[Item], course: Course, free: int) -> list[Step]:
    """One step for kernels with the same text, where an earlier one can wait for a later one: nothing between them
    reads what it writes, and what it would have freed takes no more memory than there is, and is `free`."""
    made: dict[Any, Step] = {}  # by what they are merged into, in order
    latest: dict[Kernel, Merged] = {}
    writer: dict[Any, Merged] = {}
    room = course.peak + free
    waiting: dict[Merged, None] = {}  # those that hold something
    held = 0

    def close(group: Merged) -> int:
        group.closed = True
        waiting.pop(group, None)
        return group.held

    for k, item in enumerate(items):
        step = item.step
        for m in item.touched:
            if m in writer and not writer[m].closed:
                held -= close(writer[m])
        if not isinstance(step, KernelStep):
            made[k] = step
            continue
        into = latest.get(step.kernel)
        if into is None or into.closed:
            into = latest[step.kernel] = Merged(step.kernel)
        into.step.calls += step.calls
        made.pop(into, None)
        made[into] = into.step  # where the last call is
        writer.update(dict.fromkeys(item.written, into))
        if course.freed[k] > 0:
            into.held += course.freed[k]
            held += course.freed[k]
            waiting[into] = None
            while held + course.live[k] > room:
                held -= close(max(waiting, key=lambda group: group.held))
    return list(made.values())
