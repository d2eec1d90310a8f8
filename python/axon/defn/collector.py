"""Tracing and compiling without Python's garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """While the block runs, memory is freed by reference counts alone: what tracing and passes make lives until they
    are done, and the collector would look through all of it again and again (a fifth of the time that a large program
    takes). What is left then is old to it, without a look (4 % more): a trace leaves two objects that it would free.
    Where something is frozen it is not done: that would be old after it, too."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()
