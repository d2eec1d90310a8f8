"""Runs one library step as a program of its own: arrays in, arrays out."""

from __future__ import annotations

import ml_dtypes
import numpy as np
from axon import _core

CODES = {
    name: code
    for code, name in enumerate(
        "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64".split()
    )
}
TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 2e-5, "float64": 1e-12}


def dtype(name: str) -> np.dtype:
    return np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype(name)


def raw(array: np.ndarray) -> np.ndarray:
    """The array's memory, dense and as bytes, which every buffer consumer takes."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


class Step:
    """The step `symbol` over inputs of these sizes in bytes, making one output of `shape` and `dtype`."""

    def __init__(self, symbol, ints, nbytes, shape, name):
        self.shape, self.dtype = shape, dtype(name)
        inputs = [("input", i, 0, n) for i, n in enumerate(nbytes)]
        size = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        step = ("library", symbol, [*range(len(nbytes) + 1)], [int(i) for i in ints], [], symbol)
        self.program = _core.Program([*inputs, ("output", 0, -1, size)], [step], 0, len(nbytes), 1)

    def __call__(self, *arrays):
        (out,) = self.program(tuple(raw(a) for a in arrays))
        return np.frombuffer(out, dtype=np.uint8).view(self.dtype).reshape(self.shape)


def run(symbol, ints, arrays, shape, name):
    step = Step(symbol, ints, [a.size * a.itemsize for a in map(raw, arrays)], shape, name)
    return step(*arrays)


def numbers(rng: np.random.Generator, shape, name: str) -> np.ndarray:
    if name.startswith(("float", "bfloat")):
        return rng.standard_normal(shape).astype(dtype(name))
    info = np.iinfo(name)
    return rng.integers(info.min, info.max, shape, dtype=name, endpoint=True)


def close(got: np.ndarray, exact: np.ndarray, name: str, terms: int = 1) -> None:
    """`got` equals the float64 result `exact` up to the rounding of `terms` additions."""
    scale = TOLERANCE[name] * max(1.0, np.sqrt(terms))
    np.testing.assert_allclose(got.astype(np.float64), exact, rtol=scale, atol=scale)
