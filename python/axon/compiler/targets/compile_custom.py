"""A user's own code -> a loaded function, on the CPU: of a C++ text, by the compiler of kernels, or a library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...errors import CompileError, MissingCompiler
from . import compile_cpp
from .cache import SYMBOL, load

SHOWN = '__attribute__((visibility("default")))'
PARAMETERS = (
    "char* const* operands, const long* ints, const unsigned long* literals, long begin, long end, char* scratch"
)


def handle(name: str, source: str | None, library: str | None, texts: Mapping[str, str]) -> Any:
    """The function `name` of the text or the library, whichever there is. CompileError where it has none."""
    return compiled(name, source) if source is not None else loaded(name, library or "")


def compiled(name: str, text: str) -> Any:
    """The handle of the function `name` of a C++ text; compiled once, and kept by the cache of kernels."""
    if not re.search(rf"\b{name}\b", text):
        raise CompileError(
            f"custom_call: expected C++ text with AXON_CUSTOM({name}), got {text[:60]!r}; name it so, or read a file "
            f"with Path(...).read_text()"
        )
    call = f"{name}(operands, ints, literals, begin, end, scratch)"
    exported = f'extern "C" {SHOWN} int {SYMBOL}({PARAMETERS}) {{ return {call}; }}'
    whole = f'#line 1 "{name}"\n{text}\n#line 1 "the call of {name}"\n{exported}\n'
    try:
        return load([whole], compile_cpp.CUSTOM)[0][0]
    except MissingCompiler:
        raise
    except (CompileError, ValueError) as error:
        raise CompileError(
            f"custom_call: expected C++ with AXON_CUSTOM({name}), got an error: {error}; see "
            f"{compile_cpp.headers()}/custom.h"
        ) from error


def loaded(name: str, path: str) -> Any:
    """The handle of a shared library's symbol."""
    try:
        return compile_cpp.CUSTOM.open(compile_cpp.read(path), [name])[0]
    except (ValueError, OSError) as error:
        raise CompileError(
            f"custom_call: expected a library with the symbol {name}, got {path} ({error}); export it by AXON_CUSTOM"
        ) from error
