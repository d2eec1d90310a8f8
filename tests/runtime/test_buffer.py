"""Buffer: alignment, the buffer protocol, wrapping, donation, and what the allocator counts."""

import gc

import numpy as np
import pytest
from axon import _core
from axon.errors import DonationError


@pytest.mark.parametrize("nbytes", [0, 1, 63, 64, 65, 4096, 1 << 20, (2 << 20) + 1, 5 << 20])
def test_memory_is_aligned_and_whole(nbytes: int) -> None:
    buffer = _core.Buffer(nbytes)
    view = np.frombuffer(buffer, np.uint8) if nbytes else np.zeros(0, np.uint8)
    assert buffer.address % 64 == 0 and view.size == buffer.nbytes == nbytes
    view[:] = 7
    assert view.sum(dtype=np.int64) == 7 * nbytes


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        _core.Buffer(-1)
    with pytest.raises(MemoryError):
        _core.Buffer(1 << 60)
    with pytest.raises(TypeError):
        _core.Buffer("8")  # pyright: ignore


def test_freed_blocks_are_used_again_and_counted() -> None:
    gc.collect()
    before = _core.memory()["live"]
    buffer = _core.Buffer(3 << 20)
    address = buffer.address
    assert _core.memory()["live"] == before + (3 << 20)
    _core.reset_peak()
    del buffer
    assert _core.memory()["live"] == before and _core.memory()["peak"] == before + (3 << 20)
    assert _core.Buffer(3 << 20).address == address


def test_exports_are_counted() -> None:
    buffer = _core.Buffer(8)
    assert buffer.donatable and buffer.exports == 0
    view = memoryview(buffer)
    array = np.frombuffer(buffer, np.uint8)
    assert buffer.exports == 2 and not buffer.donatable
    del array
    view.release()
    assert buffer.exports == 0 and buffer.donatable


def test_wrapped_memory_is_shared_kept_alive_and_not_donatable() -> None:
    array = np.arange(4, dtype=np.int32)
    buffer = _core.Buffer.wrap(array)
    assert buffer.address == array.ctypes.data and not buffer.donatable and not buffer.readonly
    del array
    gc.collect()
    assert np.frombuffer(buffer, np.int32).tolist() == [0, 1, 2, 3]
    assert _core.Buffer.wrap(b"text").readonly
    with pytest.raises((ValueError, BufferError), match="contiguous"):
        _core.Buffer.wrap(np.zeros((4, 4))[:, ::2])
    with pytest.raises(TypeError):
        _core.Buffer.wrap(3)  # pyright: ignore


def test_a_donated_buffer_says_who_took_it() -> None:
    buffer = _core.Buffer(8)
    buffer.donate("train_step")
    assert buffer.donated_to == "train_step" and "train_step" in repr(buffer)
    for use in (lambda: memoryview(buffer), lambda: buffer.address, lambda: buffer.donate("again")):
        with pytest.raises(DonationError, match="donated to train_step"):
            use()


def test_a_view_outlives_donation() -> None:
    buffer = _core.Buffer(8)
    view = np.frombuffer(buffer, np.uint8)
    view[:] = 3
    buffer.donate("train_step")
    del buffer
    _core.Buffer(8)
    assert view.sum() == 24
