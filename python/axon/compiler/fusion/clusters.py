"""Clusters: what becomes one kernel or one library step each, and which clusters need which.

`fuse` fills them in, users before producers; a cluster may yet grow, or become part of another.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from math import prod
from typing import Any

from ...graph.expr import Graph, Node, Value, values_of
from .index import Map


class Cluster(ABC):
    """A step to be: what it reads is stored by earlier clusters.

    `number` and `after` are sets of cluster numbers, as bits: its own (and those of the groups it has taken in), and
    the numbers of all clusters that need what it stores, over any number of others. `place` counts clusters.
    """

    def __init__(self) -> None:
        self.reads: set[Value] = set()
        self.number = self.after = self.place = 0

    @property
    @abstractmethod
    def stores(self) -> list[Value]:
        """The values it puts into memory."""


class Single(Cluster):
    """One node on its own: a library step, a copy, an alias (reshape of a stored value), a region. A contraction with a
    bias stores their sum instead of its product (rule 9)."""

    def __init__(self, node: Node, bias: Value | None = None, total: Value | None = None) -> None:
        super().__init__()
        self.node, self.bias = node, bias
        self._stores = [total] if total is not None else values_of(node)

    @property
    def inputs(self) -> tuple[Value, ...]:
        return self.node.inputs if self.bias is None else (*self.node.inputs, self.bias)

    @property
    def stores(self) -> list[Value]:
        return self._stores


class Group(Cluster):
    """One kernel: an iteration shape, at most one reduced run of axes [first, first + count), and the values it stores.

    form is map, row (the run is the last axes) or column. `pulled` are the maps under which each value is computed.
    `limit` is the length of the longest row that one kernel reduces and uses.
    """

    def __init__(self, limit: int, shape: tuple[int, ...], form: str = "map", run: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self.limit, self.shape, self.form, self.run = limit, shape, form, run
        self.roots: dict[Value, Map] = {}
        self.pulled: dict[Value, list[Map]] = {}
        self.size = 0  # how many values the kernel computes: its instructions, more or less
        self.into: Group | None = None  # the group it was merged into

    @property
    def stores(self) -> list[Value]:
        return list(self.roots)

    def pull(self, value: Value, maps: Iterable[Map]) -> None:
        """Compute a value under these maps, too."""
        have = self.pulled.setdefault(value, [])
        for at in maps:
            if at not in have:
                have.append(at)
                self.size += 1

    @property
    def kind(self) -> tuple[Any, ...]:
        """What groups that may become one have in common."""
        return self.form, self.run, self.shape

    @property
    def long(self) -> bool:
        """Whether the rows are too long for one kernel to reduce and use them."""
        return self.form == "row" and prod(self.shape[self.run[0] :]) > self.limit


def find(group: Group) -> Group:
    """The group this one has become."""
    while group.into is not None:
        group = group.into
    return group


class Clusters:
    """All clusters, where each value is stored, and who reads it there."""

    def __init__(self) -> None:
        self.all: dict[Cluster, None] = {}
        self.home: dict[Value, Cluster] = {}
        self.readers: dict[Value, dict[Cluster, None]] = {}
        self.kinds: dict[Any, dict[Group, None]] = {}
        self.count = 0

    def add(self, cluster: Cluster) -> None:
        cluster.number, cluster.place = 1 << self.count, self.count
        self.count += 1
        self.all[cluster] = None
        if isinstance(cluster, Group):
            self.classify(cluster)

    def classify(self, group: Group) -> None:
        """Note a group's kind, which has changed."""
        self.kinds.setdefault(group.kind, {})[group] = None

    def of_kind(self, kind: tuple[Any, ...]) -> list[Group]:
        """The groups of a kind, in order."""
        found = [g for g in self.kinds.get(kind, ()) if g.into is None and g.kind == kind]
        return sorted(found, key=lambda g: g.place)

    def read(self, cluster: Cluster, value: Value) -> None:
        """Note that a cluster reads a value from memory."""
        cluster.reads.add(value)
        self.readers.setdefault(value, {})[cluster] = None
        self.spread(self.home.get(value), cluster.number | cluster.after)

    def store(self, cluster: Cluster, value: Value) -> None:
        """Note that a cluster stores a value."""
        self.home[value] = cluster
        after = 0
        for reader in self.readers.get(value, ()):
            after |= reader.number | reader.after
        self.spread(cluster, after)

    def spread(self, cluster: Cluster | None, after: int) -> None:
        """More clusters come after this one, and so after all that it needs."""
        stack = [cluster] if cluster is not None else []
        while stack:
            at = stack.pop()
            if at.after | after != at.after:
                at.after |= after
                stack += [u for v in at.reads if (u := self.home.get(v)) is not None]

    def reaches(self, starts: Iterable[Cluster], goal: Cluster) -> bool:
        """Whether the goal needs, over any number of clusters, what one of the starts stores."""
        return any(cluster.after & goal.number for cluster in starts)

    def merge(self, group: Group, keep: Group) -> None:
        """Make one group part of another; neither reaches the other."""
        group.into = keep
        del self.all[group]
        keep.number |= group.number
        keep.roots.update(group.roots)
        for value, maps in group.pulled.items():
            keep.pull(value, maps)
        for value in group.roots:
            self.home[value] = keep
        for value in group.reads:
            del self.readers[value][group]
        self.spread(keep, group.after)
        for value in list(keep.reads | group.reads):
            self.read(keep, value)

    def ordered(self, graph: Graph) -> list[Cluster]:
        """Clusters with what they read before them, otherwise in the graph's order."""
        position = {node: k for k, node in enumerate(graph.nodes)}
        done: dict[Cluster, None] = {}
        for start in reversed(self.all):
            stack, entered = [start], set()
            while stack:
                cluster = stack[-1]
                if cluster in done:
                    stack.pop()
                    continue
                wanted = sorted(cluster.reads, key=lambda v: -position[v.node])
                pending = [u for v in wanted if (u := self.home.get(v)) is not None and u not in done]
                if not pending:
                    done[stack.pop()] = None
                elif cluster in entered:
                    raise AssertionError("fusion made a cycle of clusters")
                else:
                    entered.add(cluster)
                    stack.extend(pending)
        return list(done)
