"""Kernels of a user's own: how a text or a library's symbol becomes a handle, and the program of one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import CompileError, MissingCompiler
from ...nx.core.tensor import TensorType
from . import compile_cpp
from .cache import SYMBOL, load
from .target import CPU

SCRATCH = 256  # bytes for the text of an error
SHOWN = '__attribute__((visibility("default")))'
PARAMETERS = (
    "char* const* operands, const long* ints, const unsigned long* literals, long begin, long end, char* scratch"
)


def compiled(name: str, text: str) -> Any:
    """The handle of the function `name` of a C++ text; compiled once, and kept by the cache of kernels."""
    call = f"{name}(operands, ints, literals, begin, end, scratch)"
    whole = f'{text}\nextern "C" {SHOWN} int {SYMBOL}({PARAMETERS}) {{ return {call}; }}\n'
    try:
        return load([whole], compile_cpp.CUSTOM)[0][0]
    except MissingCompiler:
        raise
    except (CompileError, ValueError) as error:
        raise CompileError(
            f"custom_call: expected C++ with AXON_CUSTOM({name}), got an error: {error}; see custom.h"
        ) from error


def loaded(name: str, path: str) -> Any:
    """The handle of a shared library's symbol."""
    try:
        return compile_cpp.CUSTOM.open(Path(path).read_bytes(), [name])[0]
    except ValueError as error:
        raise CompileError(
            f"custom_call: expected a library with the symbol {name}, got {path} ({error}); export it by AXON_CUSTOM"
        ) from error


def ints(operands: Sequence[TensorType], results: Sequence[TensorType]) -> list[int]:
    """What a call reads beside memory, as custom.h says."""
    records = [(t.dtype.code, len(t.shape), *t.shape) for t in (*operands, *results)]
    starts, place = list[int](), 2 + len(records)
    for record in records:
        starts.append(place)
        place += len(record)
    return [len(operands), len(results), *starts, *(n for record in records for n in record)]


def program(
    handle: Any, name: str, operands: Sequence[TensorType], results: Sequence[TensorType], units: int, grain: int
) -> Any:
    """The program of one call, for eager code: (a tuple of arrays) -> a tuple of buffers."""
    n = len(operands)
    slots = [
        *(("input", i, 0, t.nbytes) for i, t in enumerate(operands)),
        *(("output", j, -1, t.nbytes) for j, t in enumerate(results)),
    ]
    call = (list(range(n + len(results))), ints(operands, results), [], units)
    return CPU.program(slots, [("kernel", handle, [call], grain, SCRATCH, name)], 0, n, len(results), name)
