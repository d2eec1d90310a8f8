"""_core.tile: finds a scalar by name and dtypes, runs it over dense memory, and refuses what does not fit."""

import numpy as np
import pytest
from axon import _core

INT32, FLOAT32, BOOL = 3, 11, 0


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1000])
def test_a_tile_computes_every_element(count: int) -> None:
    a, b, out = np.arange(count, dtype="f4"), np.ones(count, "f4"), np.full(count + 1, -1, "f4")
    _core.tile("add", [FLOAT32, FLOAT32], FLOAT32)(a, b, out[:count])
    assert (out[:count] == a + 1).all() and out[count] == -1


def test_tiles_work_on_buffers() -> None:
    a, out = _core.Buffer(16), _core.Buffer(16)
    np.frombuffer(a, "i4")[:] = [1, -2, 3, 0]
    _core.tile("negative", [INT32], INT32)(a, out)
    assert np.frombuffer(out, "i4").tolist() == [-1, 2, -3, 0]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(KeyError, match="none is named nothing"):
        _core.tile("nothing", [FLOAT32], FLOAT32)
    add = _core.tile("add", [FLOAT32, FLOAT32], FLOAT32)
    a, out = np.ones(4, "f4"), np.ones(4, "f4")
    with pytest.raises(TypeError, match="2 inputs and an output"):
        add(a, out)
    with pytest.raises(ValueError, match="one number of elements"):
        add(a, a[:3], out)
    with pytest.raises(ValueError, match="whole elements"):
        add(np.ones(3, "u1"), a, out)
    with pytest.raises(ValueError, match="aligned"):
        add(np.ones(17, "u1")[1:], a, out)
    out.flags.writeable = False
    with pytest.raises((ValueError, BufferError), match=r"read-only|writable|writeable"):
        add(a, a, out)
