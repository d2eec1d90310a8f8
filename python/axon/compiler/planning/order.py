"""The order of steps. They come in the graph's order, which has the results one after the other; where another order
takes less memory, a step that frees more than it takes runs as soon as it can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, NamedTuple

from ...graph.expr import Value

GAIN = 1 / 32  # of the peak: less is no reason, either
LITTLE = 1 << 10  # bytes of memory that does not count
AHEAD = 4  # steps of a chain that are looked at together: a gradient, its sum over spans, the update that takes it


class Item(NamedTuple):
    """A step, what it writes and touches (reads or writes), each memory once, what else must be there before it, and
    bytes that only it has."""

    step: Any
    written: tuple[Any, ...]
    touched: tuple[Any, ...]
    behind: tuple[Any, ...]
    acts: bool
    inside: int


class Course(NamedTuple):
    """What items need as they follow each other: the bytes that are there at each, and those that it frees less those
    that it takes."""

    live: list[int]
    freed: list[int]

    @property
    def peak(self) -> int:
        return max(self.live, default=0)


def course(items: Sequence[Item], size: Mapping[Any, int]) -> Course:
    """The course of items in this order, where `size` has the bytes of memory that lives from its first to its last
    touch."""
    last = {m: k for k, item in enumerate(items) for m in item.touched}
    there: set[Any] = set()
    live, freed, now = [], [], 0
    for k, item in enumerate(items):
        took = gave = 0
        for m in item.touched:
            if m in size:
                if m not in there:
                    there.add(m)
                    took += size[m]
                if last[m] == k:
                    gave += size[m]
        now += took
        live.append(now + item.inside)
        freed.append(gave - took)
        now -= gave
    return Course(live, freed)


def ordered(
    items: Sequence[Item], size: Mapping[Any, int], over: Mapping[Any, Sequence[Any]], free: int
) -> tuple[Sequence[Item], Course]:
    """The items in an order that takes less memory, if there is one, and its course. `over`: by memory what it
    may be written over, and is not written before that is read; `free`: bytes that are no reason for another order."""
    given = course(items, size)
    if given.peak <= free:
        return items, given
    order = Order(items, size, over)
    if not order.relieves(given.live.index(given.peak)):
        return items, given
    made, found = order.run(free)
    return (made, found) if found.peak * (1 + GAIN) < given.peak else (items, given)


class Order:
    """The choice of one step after another. `missing` are the steps that one waits for."""

    def __init__(self, items: Sequence[Item], size: Mapping[Any, int], over: Mapping[Any, Sequence[Any]]) -> None:
        self.items, self.size = items, size
        self.missing: list[set[int]] = [set() for _ in items]
        self.next: list[list[int]] = [[] for _ in items]
        self.left: dict[Any, set[int]] = {}  # the steps that have yet to touch memory, but for the one that takes it
        self.first: dict[Any, int] = {}
        self.depend(over)
        self.done = [False] * len(items)
        self.early = [False] * len(items)  # whether a step is to run as soon as it can
        self.ready: list[int] = []  # those that can run, in the given order
        self.soon: list[tuple[int, int]] = []  # those of them that are early, by what they need

    def depend(self, over: Mapping[Any, Sequence[Any]]) -> None:
        """What each step waits for: what it touches is written, what it writes over is read, and what acts stays in
        order."""
        writer: dict[Any, int] = {}
        readers: dict[Any, list[int]] = {}
        acting: int | None = None
        for k, item in enumerate(self.items):
            missing = self.missing[k]
            for m in item.touched:
                if m in writer:
                    missing.add(writer[m])
                if m in self.left:
                    self.left[m].add(k)
                elif m in self.size:
                    self.first[m], self.left[m] = k, set()
                readers.setdefault(m, []).append(k)
            missing.update([writer[m] for m in item.behind if m in writer])
            for m in item.written:
                missing.update(readers[m])
                for v in over.get(m, ()):
                    missing.update(readers.get(v, ()))
                writer[m], readers[m] = k, []
            if item.acts:
                if acting is not None:
                    missing.add(acting)
                acting = k
            missing.discard(k)
            for j in missing:
                self.next[j].append(k)

    def relieves(self, k: int) -> bool:
        """Whether some later step needs nothing that this one and those behind it make."""
        return any(missing and max(missing) < k for missing in self.missing[k + 1 :])

    def run(self, free: int) -> tuple[list[Item], Course]:
        """All items in order, and their course. What is to run as soon as it can does so where it raises the peak no
        more than what would run in its place."""
        ready = self.ready = [k for k, missing in enumerate(self.missing) if not missing]
        for k in ready:
            self.look(k)
        made, now, peak, found = list[Item](), 0, free, Course([], [])
        while len(made) < len(self.items):
            while self.done[ready[0]]:
                heappop(ready)
            k = ready[0]
            while self.soon and self.done[self.soon[0][1]]:
                heappop(self.soon)
            if self.soon and self.soon[0][1] != k:
                need = self.soon[0][0]
                if now + need <= peak or need <= self.balance(k)[0]:
                    k = heappop(self.soon)[1]
            took, gave = self.balance(k)
            now += took
            made.append(self.items[k])
            found.live.append(now + self.items[k].inside)
            found.freed.append(gave - took)
            peak = max(peak, found.live[-1])
            now -= gave
            self.do(k)
        return made, found

    def do(self, k: int) -> None:
        """Have run a step; look at those that it was the last, or last but one, in the way of."""
        self.done[k] = True
        for j in self.next[k]:
            missing = self.missing[j]
            missing.remove(k)
            if not missing:
                heappush(self.ready, j)
                self.look(j)
            elif len(missing) == 1:
                self.look_before(j)
        for m in self.items[k].touched:
            left = self.left.get(m)
            if left and k in left:
                left.remove(k)
                if len(left) == 1:
                    (j,) = left
                    self.look_before(j)

    def look_before(self, k: int) -> None:
        """Look at a step from where its chain begins: at the one that can run now."""
        for _ in range(AHEAD):
            if len(self.missing[k]) != 1:
                break
            (k,) = self.missing[k]
        if not self.missing[k]:
            self.look(k)

    def look(self, k: int) -> None:
        """Note a step that can run now, if it, or the chain that it begins, frees more than it takes, and what it needs
        meanwhile."""
        if self.early[k]:
            return
        at, now, need = k, 0, 0
        for _ in range(AHEAD):
            took, gave = self.balance(at)
            need, now = max(need, now + took), now + took - gave
            if now < 0:
                self.early[k] = True
                heappush(self.soon, (need, k))
                return
            after = {j for m in self.items[at].written for j in self.left.get(m, ())}
            if len(after) != 1:
                return
            (at,) = after
            if len(self.missing[at]) != 1:
                return

    def balance(self, k: int) -> tuple[int, int]:
        """The bytes that a step takes, and those that it frees."""
        took = gave = 0
        for m in self.items[k].touched:
            left = self.left.get(m)
            if left is None:
                continue
            if self.first[m] == k:
                took += self.size[m]
                gave += 0 if left else self.size[m]
            elif len(left) == 1 and k in left:
                gave += self.size[m]
        return took, gave


def size_of(key: Any) -> int:
    """The bytes of a piece of memory."""
    return key.type.nbytes if isinstance(key, Value) else key.nbytes
