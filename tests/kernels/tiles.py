"""The tile table of csrc/tiles, compiled by g++ for a number of lanes and called through ctypes."""

import ctypes
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import ml_dtypes
import numpy as np
from numpy.typing import DTypeLike

CSRC = Path(__file__).parents[2] / "csrc"
KERNELS, TILES = CSRC / "kernels", CSRC / "tiles"
TILE_SOURCES = [TILES / f"{part}.cpp" for part in ("cast", "floating", "integer", "tiles")]  # what makes the table
FLAGS = (
    "-std=c++20 -O2 -fPIC -ffp-contract=off -fwrapv -fno-strict-aliasing -fno-math-errno -fno-trapping-math "
    "-Wall -Wextra -Werror -Wno-psabi"
).split()
AVX2 = "-mavx2 -mfma -mf16c -mbmi2".split()
AVX512 = [*AVX2, *"-mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512".split()]
DTYPES = tuple(
    np.dtype(name)
    for name in (
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        ml_dtypes.bfloat16,
        "float32",
        "float64",
    )
)


class _Entry(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("arity", ctypes.c_uint8),
        ("inputs", ctypes.c_uint8 * 4),
        ("output", ctypes.c_uint8),
        ("run", ctypes.c_void_p),
    ]


@dataclass(frozen=True)
class Tile:
    """One op for one dtype: called with contiguous arrays of one length, gives a new one."""

    name: str
    inputs: tuple[np.dtype, ...]
    output: np.dtype
    run: Callable[..., None]

    def __call__(self, *args: np.ndarray) -> np.ndarray:
        arrays = [np.ascontiguousarray(a, dtype) for a, dtype in zip(args, self.inputs, strict=True)]
        out = np.empty(arrays[0].shape, self.output)
        self.into(out, *arrays)
        return out

    def into(self, out: np.ndarray, *args: np.ndarray) -> None:
        """Writes to `out`, which like args must have the tile's dtypes and be contiguous."""
        self.run((ctypes.c_void_p * len(args))(*[a.ctypes.data for a in args]), out.ctypes.data, out.size)


def build_library(sources: list[Path], flags: list[str], name: str) -> Path:
    """Compiles sources to one shared library, unless the same contents were compiled before."""
    text = b"".join(p.read_bytes() for p in sorted({*KERNELS.glob("*"), *TILES.glob("*.*"), *sources}))
    digest = hashlib.sha256(text + repr((flags, sources)).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"axon-test-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"{name}-{digest}.so"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:

            def build(source: Path) -> str:
                obj = f"{scratch}/{source.stem}.o"
                subprocess.run(
                    ["g++", *FLAGS, *flags, f"-I{KERNELS}", f"-I{CSRC}", "-c", source, "-o", obj], check=True
                )
                return obj

            with ThreadPoolExecutor(2) as pool:
                objects = list(pool.map(build, sources))
            made = f"{scratch}/{name}.so"
            subprocess.run(["g++", "-shared", *objects, "-o", made], check=True)
            os.replace(made, target)
    return target


Table = dict[tuple[str, tuple[np.dtype, ...], np.dtype], Tile]


@cache
def tiles(lanes: int) -> Table:
    """The table for 1, 8 or 16 lanes, by name, input dtypes and output dtype. 16 lanes are lowered to AVX2."""
    return table_of(build_library(TILE_SOURCES, [*AVX2, f"-DAXON_LANES={lanes}"], f"tiles{lanes}"))


def table_of(path: Path) -> Table:
    """The table that a library was compiled with."""
    library = ctypes.CDLL(str(path))
    count = ctypes.c_size_t()
    library.axon_tiles.restype = ctypes.POINTER(_Entry)
    entries = library.axon_tiles(ctypes.byref(count))
    run_type = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    table = {}
    for i in range(count.value):
        e = entries[i]
        inputs, output = tuple(DTYPES[code] for code in e.inputs[: e.arity]), DTYPES[e.output]
        table[e.name.decode(), inputs, output] = Tile(e.name.decode(), inputs, output, run_type(e.run))
    return table


@cache
def _by_inputs(lanes: int) -> dict[tuple[str, tuple[np.dtype, ...]], Tile]:
    return {(name, inputs): tile for (name, inputs, _), tile in tiles(lanes).items() if name != "cast"}


def tile(name: str, *dtypes: DTypeLike, lanes: int = 8) -> Tile:
    """The tile of op `name` for these input dtypes."""
    return _by_inputs(lanes)[name, tuple(np.dtype(d) for d in dtypes)]


def cast(source: np.dtype, target: np.dtype, lanes: int = 8) -> Tile:
    """The tile that casts source to target."""
    return tiles(lanes)["cast", (source,), target]
