"""Tools of the kernel tests: the scalar tiles, compiling emitted text, running it over cuts of the units."""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import mmap
import os
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import axon.nx
import numpy as np
from axon import dtypes
from axon.compiler.kernels.interpret import interpret
from axon.compiler.kernels.kernel import Kernel
from axon.compiler.kernels.verify import verify
from axon.compiler.targets.compile_cpp import BASE, WIDE, Instructions, command, compiler, instructions_for
from axon.compiler.targets.emit_cpp import emit_cpp, scratch_bytes
from axon.dtypes import DType

PACKAGE = Path(axon.nx.__file__).parents[1]
HEADERS = PACKAGE / "_kernels"
AVX2 = instructions_for(frozenset(BASE))
AVX512 = instructions_for(frozenset(BASE + WIDE))
WIDE_ON_AVX2 = AVX2._replace(name="avx2x16", lanes=16, flags=(*AVX2.flags[:-1], "-DAXON_LANES=16"))
SCALAR = AVX2._replace(name="scalar", lanes=1, flags=(*AVX2.flags[:-1], "-DAXON_LANES=1"))


class _Entry(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("arity", ctypes.c_uint8),
        ("inputs", ctypes.c_uint8 * 4),
        ("output", ctypes.c_uint8),
        ("run", ctypes.c_void_p),
    ]


@cache
def signatures() -> list[tuple[str, tuple[DType, ...], DType]]:
    """Every scalar there is: name, dtypes of its arguments and dtype of its result."""
    library = ctypes.CDLL(str(PACKAGE / "libaxon.so"))
    library.axon_tiles.restype = ctypes.POINTER(_Entry)
    count = ctypes.c_size_t()
    entries = library.axon_tiles(ctypes.byref(count))
    by_code = {d.code: d for d in dtypes.ALL}
    return [
        (e.name.decode(), tuple(by_code[c] for c in e.inputs[: e.arity]), by_code[e.output])
        for e in entries[: count.value]
    ]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Random numbers in float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class Case(NamedTuple):
    """A kernel with everything a run needs. `arrays` are flat, one for each of `kernel.pointers`."""

    kernel: Kernel
    parameters: dict[str, int]
    literals: tuple[Any, ...]
    arrays: tuple[np.ndarray, ...]


def interpreted(case: Case) -> list[np.ndarray]:
    """The arrays after the interpreter has run."""
    arrays = [a.copy() for a in case.arrays]
    interpret(case.kernel, case.parameters, case.literals, arrays)
    return arrays


def compile_texts(texts: Sequence[str], target: Instructions) -> Path:
    """The library of several kernels' texts; kept on disk while the texts stay the same."""
    text = "".join(texts)
    headers = b"".join(p.read_bytes() for p in sorted(HEADERS.glob("*.h")))
    key = hashlib.sha256(text.encode() + headers + repr(target).encode()).hexdigest()[:24]
    folder = Path(tempfile.gettempdir()) / f"axon-kernel-tests-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    library = folder / f"{key}.so"
    if not library.exists():
        source = folder / f"{key}-{os.getpid()}.cpp"
        source.write_text(text)
        made = source.with_suffix(".so")
        gcc = compiler()
        assert gcc is not None
        done = subprocess.run(command(gcc, target, str(source), str(made)), capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(f"{done.stderr[:3000]}\n{text if len(texts) == 1 else ''}")
        made.rename(library)
        source.unlink()
    return library


def literal_slots(case: Case) -> np.ndarray:
    slots = np.zeros(max(len(case.literals), 1), np.uint64)
    for k, (value, dtype) in enumerate(zip(case.literals, case.kernel.literals)):
        raw = np.array([value], dtype.numpy).view(np.uint8)
        slots.view(np.uint8)[8 * k : 8 * k + raw.size] = raw
    return slots


def aligned(size: int) -> np.ndarray:
    """Bytes at a multiple of 64."""
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size]


_LIBC = ctypes.CDLL(None)


def before_a_wall(size: int, gap: int) -> np.ndarray:
    """Bytes that end `gap` before a page that cannot be touched: what reads on is stopped by a signal."""
    usable = -(-(size + gap) // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = np.frombuffer(mmap.mmap(-1, usable + mmap.PAGESIZE), np.uint8)
    wall = ctypes.c_void_p(memory.ctypes.data + usable)
    assert _LIBC.mprotect(wall, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    return memory[usable - gap - size : usable - gap]


CANARY = 0xA5


def run_compiled(
    function: Any,
    case: Case,
    cuts: Sequence[int] = (),
    shift: int = 0,
    given: tuple[Sequence[int], int] | None = None,
) -> list[np.ndarray]:
    """Run a compiled kernel over its units, cut at the given numbers, each part with scratch of its own. given: ints
    and bytes of scratch, where they are not the emitted text's.

    Operands end `shift` elements before a page that cannot be touched, and begin after bytes which must stay the same.
    """
    kernel = case.kernel
    held, arrays = [], []
    for a in case.arrays:
        whole = before_a_wall(a.nbytes + 128, shift * a.itemsize)
        whole[:] = CANARY
        inside = whole[128:].view(a.dtype)
        inside[:] = a
        held.append(whole)
        arrays.append(inside)
    pointers = (ctypes.c_void_p * max(len(arrays), 1))(*[a.ctypes.data for a in arrays])
    numbers, size = given or (
        [case.parameters[name] for name in kernel.parameters],
        scratch_bytes(kernel, case.parameters),
    )
    ints = np.array(numbers, np.int64)
    literals = literal_slots(case)
    edges = sorted({0, kernel.units(case.parameters), *cuts})
    for begin, end in itertools.pairwise(edges):
        scratch = aligned(size + 64)
        scratch[:] = CANARY
        status = function(
            pointers, ctypes.c_void_p(ints.ctypes.data), ctypes.c_void_p(literals.ctypes.data),
            ctypes.c_int64(begin), ctypes.c_int64(end), ctypes.c_void_p(scratch.ctypes.data),
        )  # fmt: skip
        assert status == 0
        assert (scratch[size:] == CANARY).all(), "wrote past its scratch"
    assert all((whole[:128] == CANARY).all() for whole in held), "wrote outside an operand"
    return [a.copy() for a in arrays]


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are equal bit for bit, all NaNs alike."""
    nan = np.zeros(a.shape, bool)
    if a.dtype.kind == "f" or a.dtype.name == "bfloat16":
        nan = np.isnan(a.astype(np.float64)) & np.isnan(b.astype(np.float64))
    word = np.dtype(f"u{a.itemsize}")
    return bool(((a.view(word) == b.view(word)) | nan).all())


def check(cases: Sequence[Case], target: Instructions = AVX2, seed: int = 0) -> None:
    """Compile the cases' kernels in one library and compare every run with the interpreter."""
    for case in cases:
        verify(case.kernel)
    names = {kernel: f"k{n}" for n, kernel in enumerate(dict.fromkeys(c.kernel for c in cases))}
    library = ctypes.CDLL(str(compile_texts([emit_cpp(kernel, name) for kernel, name in names.items()], target)))
    random = np.random.default_rng(seed)
    for n, case in enumerate(cases):
        expected = interpreted(case)
        units = case.kernel.units(case.parameters)
        for threads, shift in ((1, 0), (2, 1), (16, 3)):
            cuts = [int(c) for c in random.integers(0, units + 1, threads - 1)]
            got = run_compiled(getattr(library, names[case.kernel]), case, cuts, shift)
            for k, (x, y) in enumerate(zip(got, expected)):
                assert same_bits(x, y), report(case, n, k, x, y)


def report(case: Case, n: int, k: int, got: np.ndarray, expected: np.ndarray) -> str:
    return (
        f"case {n} pointer {k}: {case.kernel}\n{case.parameters} {case.literals}\ngot      {got}\nexpected {expected}"
    )
