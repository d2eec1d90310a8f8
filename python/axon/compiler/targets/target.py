"""Targets: a row says all that passes and programs need to know of what they compile for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ... import _core
from ...errors import AxonError, CompileError
from ..kernels.kernel import Kernel
from ..library.step import Library
from ..library.table import LIBRARY
from ..tuning import Tuning
from . import compile_cpp, compile_custom, emit_cpp, emit_cuda, emit_tiles
from .cache import Statistics, load

Sizes = Mapping[str, int]  # a call's parameters by name


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """What programs are compiled for, and what runs them.

    A kernel becomes a text, its name left open; texts become handles, which steps call with what `ints` gives.
    """

    name: str
    compiler: str  # what `jit` calls its programs by, with the device
    device: str
    backend: str  # where arguments and results live
    tuning: Tuning
    library: Mapping[str, Library]  # the library steps it has, by symbol
    emit: Callable[[Kernel, str], str]
    load: Callable[[Sequence[str]], tuple[list[Any], Statistics]]
    ints: Callable[[Kernel, Sizes], list[int]]  # what a call reads beside memory and literals
    scratch: Callable[[Kernel, Sizes], int]  # bytes of scratch that a thread needs for a call
    custom: Callable[[str, str | None, str | None, Mapping[str, str]], Any]  # (name, text, path of a library, texts by
    # device) of a user's own code -> its handle, which steps call as those of kernels
    program: Callable[..., Any]  # (slots, steps, bytes of the arena, inputs, outputs, label) -> what runs
    save: Callable[[str, Any], None]  # (path, program)


def parameters(kernel: Kernel, sizes: Sizes) -> list[int]:
    """The ints of a kernel that is compiled."""
    return [sizes[name] for name in kernel.parameters]


class Absent:
    """The program of a target that has kernels only: it can be looked at, and refuses what needs a device."""

    def __init__(self, name: str, *description: Any) -> None:
        self.name, self.label = name, description[-1]

    def __call__(self, *_: Any) -> Any:
        raise CompileError(
            f"{self.label}: expected a target with programs, got {self.name}, which has kernels only: "
            "look at them with lower(...).source(), and leave out device to run"
        )

    profile = context_bytes = save = __call__


def kept(device: str, name: str, source: str | None, library: str | None, texts: Mapping[str, str]) -> None:
    """The handle of a user's code on a target that has kernels only: none. AxonError without a text for the device."""
    if device not in texts:
        raise AxonError(f"custom_call: expected code of {name} for {device}, got none; give {device}=")


CPU = Target(
    name="cpu",
    compiler="native",
    device="cpu",
    backend="numpy",
    tuning=Tuning(
        kernel=256, sums=8, repeated=64, row=64 * 1024, column=2048,
        map_block=4096, column_block=512, spans_block=4096, work=1 << 16,
        parts=4, part=2 << 20, again=4 << 20, run=16, small=16 << 10, linger=8, free=1 << 20,
    ),
    library=LIBRARY,
    emit=emit_cpp.emit_cpp,
    load=partial(load, toolchain=compile_cpp.TOOLCHAIN),
    ints=parameters,
    scratch=emit_cpp.scratch_bytes,
    custom=compile_custom.handle,
    program=_core.Program,
    save=_core.save_program,
)  # fmt: skip

# The runtime interprets kernels over tiles: they are data, and no compiler is started.
TILES = replace(
    CPU,
    name="tiles",
    compiler="tiled",
    emit=emit_tiles.emit_tiles,
    load=lambda texts: ([_core.tile_kernel()] * len(texts), Statistics()),
    ints=emit_tiles.ints,
    scratch=emit_tiles.scratch_bytes,
)

# Kernels only, so far. A warp's threads share no cache worth a part; results will live on "cupy".
CUDA = Target(
    name="cuda",
    compiler="native",
    device="cuda",
    backend="numpy",
    tuning=CPU.tuning._replace(run=0),
    library={},
    emit=emit_cuda.emit_cuda,
    load=lambda texts: ([None] * len(texts), Statistics()),
    ints=parameters,
    scratch=emit_cuda.warp_scratch_bytes,
    custom=partial(kept, "cuda"),
    program=partial(Absent, "cuda"),
    save=lambda path, program: program.save(path),
)

TARGETS = (CPU, TILES, CUDA)
