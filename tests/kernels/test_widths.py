"""Every tile gives the same bits with 1, 8 and 16 lanes, whatever the length. All NaNs count as one."""

import ctypes
import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from axon import _core

from .tiles import DTYPES, Tile, table_of, tiles

WORDS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def arguments(tile: Tile, n: int) -> list[np.ndarray]:
    """Any bits at all, mixed with small and with special values."""
    rng = np.random.default_rng(zlib.crc32(repr((tile.name, tile.inputs)).encode()))
    out = []
    for dtype in tile.inputs:
        if dtype == np.bool_:
            out.append(rng.integers(0, 2, n).astype(dtype))
            continue
        x = rng.integers(0, 256, n * dtype.itemsize, dtype=np.uint8).view(dtype).copy()
        if dtype.kind in "iu":
            x[rng.permutation(n)[: n // 3]] = rng.integers(0, 5, n // 3).astype(dtype)
        else:
            x[rng.permutation(n)[: n // 3]] = (rng.standard_normal(n // 3) * 3).astype(dtype)
            special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 2, 0.5]).astype(dtype)
            x[rng.permutation(n)[: n // 6]] = rng.choice(special, n // 6)
        out.append(x)
    return out


def bits(x: np.ndarray) -> np.ndarray:
    words = x.view(WORDS[x.dtype.itemsize]).copy()
    if x.dtype.kind not in "biu":
        words[np.isnan(x)] = 0x7FFF
    return words


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("lanes", [1, 16])
def test_same_bits_at_every_width(lanes: int) -> None:
    different = []
    for key, tile in tiles(8).items():
        args = arguments(tile, 4099)
        want, got = bits(tile(*args)), bits(tiles(lanes)[key](*args))
        if not np.array_equal(want, got):
            i = int(np.nonzero(want != got)[0][0])
            different.append(
                (tile.name, [str(d) for d in tile.inputs], [a[i] for a in args], hex(want[i]), hex(got[i]))
            )
    assert not different
    assert tiles(lanes).keys() == tiles(8).keys()


PACKAGE = Path(_core.__file__).parent


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_same_bits_on_the_cpu_at_hand() -> None:
    """What libaxon.so was compiled with, and what stands in its place where there is AVX-512."""
    different = []
    for (name, inputs, output), tile in table_of(PACKAGE / "libaxon.so").items():
        args, found = arguments(tile, 4099), np.empty(4099, output)
        used = _core.tile(name, [DTYPES.index(d) for d in inputs], DTYPES.index(output))
        used(*[a.view(WORDS[a.itemsize]) for a in args], found.view(WORDS[found.itemsize]))
        if not np.array_equal(bits(tile(*args)), bits(found)):
            different.append((name, inputs, output))
    assert not different


@pytest.mark.parametrize("most", ["avx2", ""])
def test_wide_tiles_are_loaded_where_they_run(most: str) -> None:
    text = (
        "from axon import nx, _core; nx.exp(nx.ones(3)); "
        "print('libaxon_avx512.so' in open('/proc/self/maps').read(), *_core.cpu_features())"
    )
    environment = {**os.environ, "AXON_MAX_ISA": most}
    loaded, *features = subprocess.check_output([sys.executable, "-c", text], env=environment, text=True).split()
    wide = {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"}
    assert loaded == str(wide <= set(features)) and not (most == "avx2" and wide & set(features))


def test_wide_tiles_share_no_function() -> None:
    """Their library shows one name: an inline function of it would be taken for one that older CPUs can run."""
    command = ["nm", "-D", "--defined-only", str(PACKAGE / "libaxon_avx512.so")]
    assert subprocess.check_output(command, text=True).split()[1:] == ["T", "axon_wide_tiles"]


@pytest.mark.parametrize("lanes", [1, 8, 16])
def test_every_length(lanes: int) -> None:
    """A tail is computed as a whole vector is, and nothing behind the output is written."""
    for name in ("add", "tanh", "less", "pow", "where"):
        for (op, inputs, _), tile in tiles(lanes).items():
            if op != name:
                continue
            args = arguments(tile, 40)
            with np.errstate(all="ignore"):
                whole = bits(tile(*args))
            for n in range(35):
                out = np.full(48, 0x55, np.uint8).repeat(tile.output.itemsize).view(tile.output)
                tile.run(*pointers(args, out), n)
                assert np.array_equal(bits(out[:n]), whole[:n]), (name, inputs, n)
                assert (out[n:].view(np.uint8) == 0x55).all(), (name, inputs, n)


def pointers(args: list[np.ndarray], out: np.ndarray) -> tuple[ctypes.Array, int]:
    return (ctypes.c_void_p * len(args))(*[a.ctypes.data for a in args]), out.ctypes.data


def test_casts_are_complete() -> None:
    assert {(k[1][0], k[2]) for k in tiles(8) if k[0] == "cast"} == {(a, b) for a in DTYPES for b in DTYPES}
