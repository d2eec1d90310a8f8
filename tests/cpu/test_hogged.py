"""Library steps beside processes that hold every core: they must not wait for threads that the system does not run."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from axon import _core

from .steps import Step


def product() -> tuple[Step, list[np.ndarray]]:
    a, b = np.ones((1, 256, 256), np.float32), np.ones((1, 256, 256), np.float32)
    ints = [11, 1, 256, 256, 256, 65536, 256, 1, 65536, 256, 1, 0]
    return Step("gemm", ints, [a.nbytes, b.nbytes], (1, 256, 256), "float32"), [a, b]


def convolution(batch: int, direction: int = 0) -> tuple[Step, list[np.ndarray]]:
    x, kernel = np.ones((batch, 14, 14, 32), np.float32), np.ones((3, 3, 32, 32), np.float32)
    ints = [11, direction, 2, batch, 32, 32, 1, 14, 14, 3, 3, 14, 14, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]
    return Step("conv", ints, [x.nbytes, kernel.nbytes], x.shape, "float32"), [x, kernel]


def large_kernel() -> tuple[Step, list[np.ndarray]]:
    x, kernel = np.ones((1, 4, 4, 256), np.float32), np.ones((3, 3, 256, 256), np.float32)
    ints = [11, 0, 2, 1, 256, 256, 1, 4, 4, 3, 3, 4, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]
    return Step("conv", ints, [x.nbytes, kernel.nbytes], x.shape, "float32"), [x, kernel]


STEPS = {
    "product": product,
    "batch": lambda: convolution(8),
    "image": lambda: convolution(1),
    "gradient of an image": lambda: convolution(1, 1),
    "large kernel": large_kernel,
}


def mean_step(step: Step, arrays: list[np.ndarray], seconds: float) -> float:
    runs, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        step(*arrays)
        runs += 1
    return (time.perf_counter() - start) / runs


@pytest.mark.parametrize("make", STEPS.values(), ids=STEPS)
def test_hogged_cores_do_not_collapse_a_library_step(make) -> None:
    step, arrays = make()
    before = _core.threads()
    _core.set_threads(1)
    alone = mean_step(step, arrays, 0.3)
    _core.set_threads(before)
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        hogged = mean_step(step, arrays, 1.5)
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    # A fair share of the machine is half of it; a library's own threads were seen to cost three hundred times.
    assert hogged < 20 * alone
