"""C++ text -> loaded functions: which instructions this machine has, which compiler is there, and with what flags it is
called."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import NamedTuple

from ... import _core
from ...errors import CompileError, MissingCompiler
from .cache import Toolchain

ABI = 1  # raised when the kernel ABI or the meaning of emitted text changes
BASE = ("avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "popcnt", "movbe")
WIDE = ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd")
SEMANTICS = (
    "-ffp-contract=off", "-fwrapv", "-fno-strict-aliasing", "-fno-math-errno", "-fno-trapping-math",
)  # fmt: skip


class Instructions(NamedTuple):
    """The instructions that kernels are compiled to."""

    name: str
    lanes: int
    flags: tuple[str, ...]


class Compiler(NamedTuple):
    """A C++ compiler by absolute path; `identity` changes when the program does."""

    path: str
    identity: str


def headers() -> str:
    """The folder of scalar.h and lanes.h inside the package."""
    return os.path.normpath(os.path.join(os.path.abspath(__file__), "..", "..", "..", "_kernels"))


def instructions_for(features: frozenset[str]) -> Instructions:
    """AVX-512 with 16 lanes where the machine has all of it, else AVX2 with 8."""
    wide = all(f in features for f in WIDE)
    used = BASE + (WIDE if wide else ())
    flags = [f"-m{f}" for f in used] + (["-mprefer-vector-width=512"] if wide else [])
    lanes = 16 if wide else 8
    return Instructions("avx512" if wide else "avx2", lanes, (*flags, f"-DAXON_LANES={lanes}"))


@cache
def host() -> Instructions:
    """This machine's."""
    return instructions_for(frozenset(_core.cpu_features()))


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


def command(compiler: Compiler, instructions: Instructions, source: str, output: str) -> list[str]:
    """The command line that compiles one source file to a shared library that needs nothing."""
    return [
        compiler.path, "-std=c++20", "-O2", "-fPIC", "-shared", "-nostdlib", "-fno-exceptions", "-pipe", "-w",
        *SEMANTICS, *instructions.flags, "-I", headers(), "-o", output, source, "-Wl,--as-needed", "-lm",
    ]  # fmt: skip


def custom_command(compiler: Compiler, instructions: Instructions, source: str, output: str) -> list[str]:
    """The command line for a text of the user's: it may throw, and use the standard library. A
    function without its `return` would run into whatever comes next."""
    return [
        compiler.path, "-std=c++20", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-pipe", "-Werror=return-type",
        *SEMANTICS, *instructions.flags, "-include", "exception", "-I", headers(), "-o", output, source,
        "-Wl,-Bsymbolic",
    ]  # fmt: skip


Command = Callable[[Compiler, Instructions, str, str], list[str]]


@cache
def environment(instructions: Instructions, compiler: Compiler, command: Command) -> str:
    """All that a library depends on besides a kernel's text."""
    digest = hashlib.sha256(repr((ABI, compiler.identity, command(compiler, instructions, "", ""))).encode())
    for name in sorted(os.listdir(headers())):
        with open(os.path.join(headers(), name), "rb") as file:
            digest.update(name.encode() + b"\0" + file.read())
    return digest.hexdigest()


def found() -> Compiler:
    """The compiler there is; MissingCompiler without one."""
    made = compiler()
    if made is None:
        advice = "install g++ (Debian: g++)"
        raise MissingCompiler(f"kernel compiler: expected g++ on the PATH or in CXX, got none; {advice}")
    return made


def read(path: str) -> bytes:
    """The bytes of a file."""
    with open(path, "rb") as file:
        return file.read()


def build(sources: Sequence[str], command: Command = command) -> list[bytes]:
    """The shared library of each source, for this machine."""
    import tempfile  # what is compiled already is found without

    with tempfile.TemporaryDirectory(prefix="axon-") as work:
        paths = [(os.path.join(work, f"{i}.cpp"), os.path.join(work, f"{i}.so")) for i in range(len(sources))]
        for (path, _), source in zip(paths, sources):
            with open(path, "w") as file:
                file.write(source)
        cxx, machine = found(), host()
        run([command(cxx, machine, *both) for both in paths])
        return [read(library) for _, library in paths]


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


def toolchain(command: Command) -> Toolchain:
    """What makes functions of texts by that command line."""
    return Toolchain(lambda: environment(host(), found(), command), partial(build, command=command), _core.load_library)


TOOLCHAIN = toolchain(command)
CUSTOM = toolchain(custom_command)
