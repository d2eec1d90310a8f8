"""The traces that are kept: as many as there is memory for, over all functions of the process."""

from __future__ import annotations

import itertools
import os
from collections.abc import Hashable
from dataclasses import dataclass
from threading import RLock
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from ..errors import note
from ..graph.expr import CALL, Graph

E = TypeVar("E")

BUDGET = 2 << 30  # bytes that the traces of all functions may take together
NODE = 4096  # bytes of a graph's node with all that is made of it, as measured (about 2,000 in Python, the rest in C++)

_clock = itertools.count()
_tables: WeakSet[Table[Any]] = WeakSet()
_lock = RLock()  # of adding and dropping; to look up needs none


@dataclass(eq=False, slots=True)
class _Kept(Generic[E]):
    entry: E
    nbytes: int
    used: int


class Table(Generic[E]):
    """One function's entries by key. Over the budget those go first that were looked up longest ago, whosever they
    are."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._kept: dict[Hashable, _Kept[E]] = {}
        self._nbytes = 0
        self._said = False
        with _lock:
            _tables.add(self)

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable) -> E | None:
        """The entry of a key, which is used by that."""
        found = self._kept.get(key)
        if found is None:
            return None
        found.used = next(_clock)
        return found.entry

    def add(self, key: Hashable, entry: E, nbytes: int) -> None:
        """Keep an entry of that size; what is dropped for it is traced again when it is needed."""
        with _lock:
            self._kept[key] = _Kept(entry, nbytes, next(_clock))
            self._nbytes += nbytes
            if sum(table._nbytes for table in _tables) > BUDGET:
                _make_room()

    def _drop(self, key: Hashable) -> None:
        self._nbytes -= self._kept.pop(key).nbytes
        if not self._said:
            self._said = True
            note(
                f"{self.label}: all traces take {BUDGET >> 20} MiB, which is the most that is kept: those of this "
                f"function not used for longest are dropped, and made again when needed; pad to fewer shapes"
            )


def _make_room() -> None:
    """Drop the oldest entries down to 7/8 of the budget, so that this is seldom; but not the newest."""
    everything = [(kept.used, table, key) for table in _tables for key, kept in table._kept.items()]
    for _, table, key in sorted(everything, key=lambda entry: entry[0])[:-1]:
        if sum(t._nbytes for t in _tables) <= BUDGET * 7 // 8:
            break
        table._drop(key)


def size_of(graph: Graph) -> int:
    """About the bytes that a graph takes with the plan and the program made of it."""
    return NODE * _nodes(graph)


def _nodes(graph: Graph) -> int:
    return sum(1 + sum(map(_nodes, n.attrs["regions"])) if n.op is CALL else 1 for n in graph.nodes)


def _unlock() -> None:
    """In a forked child, where a thread that held the lock is no more."""
    global _lock
    _lock = RLock()


os.register_at_fork(after_in_child=_unlock)
