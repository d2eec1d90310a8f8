"""threefry2x32 against JAX's."""

import numpy as np
import pytest

from .tiles import tile


def test_known_answers() -> None:
    """Of the authors' Random123, kat_vectors: threefry2x32 with 20 rounds."""
    key = np.array([0, 2**64 - 1, 0x13198A2E_03707344], np.uint64)
    counter = np.array([0, 2**64 - 1, 0x243F6A88_85A308D3], np.uint64)
    want = np.array([0x6B200159_99BA4EFE, 0x1CB996FC_BB002BE7, 0xC4923A9C_483DF7A0], np.uint64)
    assert np.array_equal(tile("threefry2x32", "uint64", "uint64")(key, counter), want)


@pytest.mark.parametrize("lanes", [1, 8, 16])
def test_jax(lanes: int) -> None:
    from jax.extend.random import threefry2x32_p

    key, counter = np.random.default_rng(0).integers(0, 2**64, (2, 1001), dtype=np.uint64)
    halves = [
        (x >> np.uint64(32)).astype(np.uint32) if high else x.astype(np.uint32)
        for x in (key, counter)
        for high in (True, False)
    ]
    first, second = (np.asarray(r).astype(np.uint64) for r in threefry2x32_p.bind(*halves))
    got = tile("threefry2x32", "uint64", "uint64", lanes=lanes)(key, counter)
    assert np.array_equal(got, first << np.uint64(32) | second)
