"""The CPU target: which instructions this machine has, which compiler is there, and with what flags it is called."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ... import _core
from ...errors import CompileError

# The runtime, as the rest of the compiler sees it.
Program, load_library, tile, tile_kernel = _core.Program, _core.load_library, _core.tile, _core.tile_kernel
DefaultFloatingPoint, elementwise = _core.DefaultFloatingPoint, _core.elementwise

ABI = 1  # raised when the kernel ABI or the meaning of emitted text changes
BASE = ("avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "popcnt", "movbe")
WIDE = ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd")
SEMANTICS = (
    "-ffp-contract=off", "-fwrapv", "-fno-strict-aliasing", "-fno-math-errno", "-fno-trapping-math",
)  # fmt: skip


class Target(NamedTuple):
    """What kernels are compiled for."""

    name: str
    lanes: int
    flags: tuple[str, ...]


class Compiler(NamedTuple):
    """A C++ compiler by absolute path; `identity` changes when the program does."""

    path: str
    identity: str


def headers() -> str:
    """The folder of scalar.h and lanes.h inside the package."""
    return str(Path(__file__).absolute().parents[2] / "_kernels")


def target_for(features: frozenset[str]) -> Target:
    """AVX-512 with 16 lanes where the machine has all of it, else AVX2 with 8."""
    wide = all(f in features for f in WIDE)
    used = BASE + (WIDE if wide else ())
    flags = [f"-m{f}" for f in used] + (["-mprefer-vector-width=512"] if wide else [])
    lanes = 16 if wide else 8
    return Target("avx512" if wide else "avx2", lanes, (*flags, f"-DAXON_LANES={lanes}"))


@cache
def host() -> Target:
    """This machine's target."""
    return target_for(frozenset(_core.cpu_features()))


@cache
def compiler() -> Compiler | None:
    """The compiler named by CXX, or g++; None where there is none."""
    for name in (os.environ.get("CXX"), "g++"):
        path = shutil.which(name) if name else None
        if path:
            path = os.path.realpath(path)
            stat = os.stat(path)
            return Compiler(path, f"{path} {stat.st_size} {stat.st_mtime_ns}")
    return None


def command(compiler: Compiler, target: Target, source: str, output: str) -> list[str]:
    """The command line that compiles one source file to a shared library that needs nothing."""
    return [
        compiler.path, "-std=c++20", "-O2", "-fPIC", "-shared", "-nostdlib", "-fno-exceptions", "-pipe", "-w",
        *SEMANTICS, *target.flags, "-I", headers(), "-o", output, source, "-Wl,--as-needed", "-lm",
    ]  # fmt: skip


def run(commands: list[list[str]]) -> None:
    """Run compilers, one a core at a time, without a shell; CompileError holds the first complaint."""
    import subprocess
    from threading import Thread  # a pool of them takes 7 ms to import

    left = iter(enumerate(commands))  # whose next() is one step, whichever thread asks
    complaints: dict[int, str] = {}

    def work() -> None:
        for k, command in left:
            try:
                ended = subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
                )
            except OSError as error:
                complaints[k] = f"expected a program that runs, got {error}"
                continue
            if ended.returncode:
                said = ended.stdout.decode(errors="replace")[:2000]
                complaints[k] = f"expected status 0, got {ended.returncode}; it said: {said}"

    threads = [Thread(target=work) for _ in range(min(len(commands), os.cpu_count() or 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in sorted(complaints):
        raise CompileError(f"kernel compiler: {complaints[k]}")
