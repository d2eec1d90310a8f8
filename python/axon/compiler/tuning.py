"""The numbers that passes go by, which are a target's: measured, and never part of a kernel's text."""

from __future__ import annotations

from typing import NamedTuple


class Tuning(NamedTuple):
    """Limits and sizes. With any others a program gives the same bits."""

    kernel: int  # values a kernel computes at most: a C++ compiler's time grows faster than its text
    sums: int  # sums that share a pass over what they read, at most: their blocks stay in cache, and compile fast
    repeated: int  # cheap operations an element that may be done again rather than stored and read
    row: int  # elements of a row that one kernel reduces and uses, at most; longer rows are cut by spans over threads
    # Longer columns are cut, too. Few batches are longer, so a last, smaller one needs no other kernel.
    column: int
    map_block: int  # elements of the inner axis that are a unit of work; so, too, of a row
    column_block: int
    spans_block: int  # of a column that is cut
    work: int  # scalar instructions that are worth another thread
    parts: int  # parts that a run of kernels has at least, if it goes part by part (planning/parts.py)
    part: int  # bytes that a part of all of it may have: a second-level cache
    again: int  # bytes that are touched again, at least: with less, they are in a cache anyway
    run: int  # kernels that go part by part, at most
    # A block of memory of at most `small` bytes lies unused for `linger` more steps, so that no new value ties parts.
    small: int
    linger: int
    free: int  # bytes that are no reason to run steps in another order, or equal kernels apart: they lie in a cache

    def block(self, form: str, size: int, spans: bool) -> int:
        """Elements of an inner axis of this size a unit: the whole axis unless it is long."""
        limit = self.map_block if form != "column" else self.spans_block if spans else self.column_block
        return max(size, 1) if size <= limit * 2 else limit
