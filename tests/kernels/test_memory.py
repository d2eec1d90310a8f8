"""Loads and stores touch the elements they name and no others: every copy runs against an unmapped page on either side.

Run as a module it is the process that would crash.
"""

import ctypes
import mmap
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .tiles import AVX2, build_library

TYPES = {
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "int64": "int64",
    "uint8": "uint8",
    "uint16": "uint16",
    "uint32": "uint32",
    "uint64": "uint64",
    "float": "float32",
    "double": "float64",
    "bool": "bool",
}
PAGE = mmap.PAGESIZE


def library(lanes: int) -> ctypes.CDLL:
    return ctypes.CDLL(
        str(build_library([Path(__file__).with_name("memory.cpp")], [*AVX2, f"-DAXON_LANES={lanes}"], f"memory{lanes}"))
    )


class Guarded:
    """A page of memory between two that may not be touched."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 3 * PAGE)
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory)) + PAGE
        libc = ctypes.CDLL(None, use_errno=True)
        for page in (self.start - PAGE, self.start + PAGE):
            if libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        self.bytes = np.frombuffer(self.memory, np.uint8)[PAGE : 2 * PAGE]

    def last(self, n: int, dtype: np.dtype) -> np.ndarray:
        """The n elements that end where the page does."""
        return self.bytes[PAGE - n * dtype.itemsize :].view(dtype)

    def first(self, n: int, dtype: np.dtype) -> np.ndarray:
        return self.bytes[: n * dtype.itemsize].view(dtype)


def copies(lanes: int) -> None:
    lib, source, target = library(lanes), Guarded(), Guarded()
    rng = np.random.default_rng(0)
    for name, dtype in ((name, np.dtype(t)) for name, t in TYPES.items()):
        for side in ("first", "last"):
            for n in range(lanes + 1):
                x, y = getattr(source, side)(n, dtype), getattr(target, side)(n, dtype)
                x[:] = rng.integers(0, 2 if name == "bool" else 100, n)
                target.bytes[:] = 0x55
                lib[f"copy_first_{name}"](ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data), n)
                assert np.array_equal(x, y), (name, side, n)
                assert (target.bytes == 0x55).sum() >= PAGE - y.nbytes, (name, side, n)
                y[:] = 0
                lib[f"copy_strided_{name}"](
                    ctypes.c_void_p(x.ctypes.data + max(n - 1, 0) * dtype.itemsize),
                    ctypes.c_int64(-1),
                    ctypes.c_void_p(y.ctypes.data),
                    ctypes.c_int64(1),
                    n,
                )
                assert np.array_equal(x[::-1], y), (name, side, n)
    print("done")


if __name__ == "__main__":
    copies(int(sys.argv[1]))


@pytest.mark.parametrize("lanes", [1, 8, 16])
def test_nothing_else_is_touched(lanes: int) -> None:
    library(lanes)
    run = subprocess.run(
        [sys.executable, "-m", __name__, str(lanes)], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert run.stdout == "done\n", (run.returncode, run.stderr)


@pytest.mark.parametrize("lanes", [1, 8, 16])
@pytest.mark.parametrize("name", TYPES)
def test_values(name: str, lanes: int) -> None:
    lib, dtype = library(lanes), np.dtype(TYPES[name])
    x = np.random.default_rng(0).integers(0, 2 if name == "bool" else 100, 64).astype(dtype)
    for n in range(lanes + 1):  # lanes beyond n are 0
        y = np.ones(lanes, dtype)
        lib[f"spill_{name}"](ctypes.c_void_p(x[1:].ctypes.data), ctypes.c_void_p(y.ctypes.data), n)
        assert np.array_equal(y, np.where(np.arange(lanes) < n, x[1 : lanes + 1], 0))
    y = np.zeros(lanes, dtype)
    lib[f"copy_{name}"](ctypes.c_void_p(x[3:].ctypes.data), ctypes.c_void_p(y.ctypes.data))
    assert np.array_equal(y, x[3 : 3 + lanes])
    lib[f"fill_{name}"](ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data))
    assert (y == x[0]).all()
    spread = np.zeros((64, 3), dtype)
    lib[f"copy_strided_{name}"](
        ctypes.c_void_p(x.ctypes.data), ctypes.c_int64(2), ctypes.c_void_p(spread.ctypes.data), ctypes.c_int64(3), lanes
    )
    assert np.array_equal(spread[:lanes, 0], x[: 2 * lanes : 2]) and not spread[:, 1:].any()


@pytest.mark.parametrize("lanes", [1, 8, 16])
@pytest.mark.parametrize("name", ["int8", "int32", "int64", "uint32", "uint64"])
def test_iota(name: str, lanes: int) -> None:
    start, out = np.array([120], name), np.zeros(lanes, name)
    library(lanes)[f"count_{name}"](ctypes.c_void_p(start.ctypes.data), ctypes.c_void_p(out.ctypes.data))
    assert np.array_equal(out, (120 + np.arange(lanes)).astype(name))


@pytest.mark.parametrize("lanes", [1, 8, 16])
def test_any(lanes: int) -> None:
    any_of = library(lanes).any_of
    any_of.restype = ctypes.c_bool
    for i in range(-1, lanes):
        x = np.arange(lanes) == i
        assert any_of(ctypes.c_void_p(x.ctypes.data)) == x.any()
