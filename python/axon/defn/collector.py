"""Tracing and compiling without Python's garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """While the block runs, memory is freed by reference counts alone: what tracing and passes make lives until they
    are done, and the collector would look through all of it again and again (a fifth of the time that a large program
    takes)."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
