"""What the bindings refuse: for an integer anything else (but a bool, which Python counts as one), None for memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axon import _core, _exchange

FLOAT32, FLOAT64 = 11, 12


def program(**changes: Any) -> Any:
    given = {"a": 0, "b": 0, "nbytes": 8, "arena": 0, "inputs": 1, "outputs": 0, **changes}
    return _core.Program(
        [("input", given["a"], given["b"], given["nbytes"])], [], given["arena"], given["inputs"], given["outputs"]
    )


def donating(number: Any) -> Any:
    return program()((_core.Buffer(8),), (number,))


threads = _core.threads()
TAKE: dict[str, tuple[Callable[[Any], Any], int]] = {  # each with a value that it takes
    "Buffer": (_core.Buffer, 8),
    "set_threads": (_core.set_threads, threads),
    "tile inputs": (lambda n: _core.tile("add", [n, FLOAT32], FLOAT32), FLOAT32),
    "tile output": (lambda n: _core.tile("add", [FLOAT32, FLOAT32], n), FLOAT32),
    "slot a": (lambda n: program(a=n), 0),
    "slot nbytes": (lambda n: program(nbytes=n), 8),
    "arena": (lambda n: program(arena=n), 64),
    "inputs": (lambda n: program(inputs=n), 1),
    "outputs": (lambda n: program(outputs=n), 0),
    "donated": (donating, 0),
    "shape": (lambda n: _exchange.to_dlpack(_core.Buffer(8), "float32", [n]), 2),
}
WRONG = [np.float32(1), np.float64(1), 2.5, 1.0, None, 1j, "1", b"1", [1], -1, 2**63, 2**64, 10**30, -(2**63) - 1]


@pytest.mark.parametrize("name", TAKE)
def test_integers(name: str) -> None:
    take, right = TAKE[name]
    take(right)
    for value in WRONG:
        with pytest.raises((TypeError, ValueError, OverflowError, MemoryError, KeyError)):
            take(value)


@pytest.mark.parametrize("value", [None, 3, 2.5, "text", [1.0], np.float32(1), object()])
def test_memory_and_handles(value: Any) -> None:
    """What is no memory, no program and no kernel is a TypeError; None is none of them."""
    add = _core.tile("add", [FLOAT64, FLOAT64], FLOAT64)
    x = np.ones(1)
    out = np.empty(1)
    calls: list[Callable[[], Any]] = [
        lambda: _core.load_library(value, []),
        lambda: _core.load_library(b"", value if not isinstance(value, (str, list)) else 3),  # pyright: ignore
        lambda: _core.save_program("x", value),
        lambda: _core.load_program(value if not isinstance(value, str) else 3),  # pyright: ignore
        lambda: _core.set_array_memory(value),
        lambda: program()(value if value is not None else 3),
    ]
    if not isinstance(value, np.float32):  # a buffer of 4 bytes
        calls += [lambda: add(value, x, out), lambda: _core.Buffer.wrap(value), lambda: program()((value,))]
    for call in calls:
        with pytest.raises((TypeError, ValueError)):
            call()


def test_numpy_scalars_are_memory() -> None:
    """np.float32 exports a buffer, as every NumPy scalar does: its size has to fit."""
    with pytest.raises(ValueError, match="expected argument 0 of 8 bytes, got 4"):
        program()((np.float32(1),))
