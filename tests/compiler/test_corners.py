"""Programs at the corners of the fusion rules: several reduced axes beside broadcasts and indices, tables computed and
looked up, axes of size 1 and 0, values read at many places. The evaluator's numbers and the interpreter's bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axon import nx
from axon.defn import grad
from axon.nx.core.tensor import Tensor

from .kernel_tools import normal
from .oracle import Array, run_all
from .programs import compiled as lowered
from .programs import f32


def i32(*values: int) -> Array:
    return np.array(values, np.int32)


def shifted_sums(x: Tensor) -> Tensor:
    """Every element is read at many places: in the end it is all one sum."""
    while x.shape[0] > 1:
        half = x.shape[0] // 2
        x = x[:half] + x[half:]
    return x


def doubled(x: Tensor) -> Tensor:
    for _ in range(10):
        x = nx.concat([x, x * 0.5])
    return x


def stencil(x: Tensor) -> Tensor:
    for _ in range(6):
        y = nx.pad(x, [(1, 1), (1, 1)])
        x = (y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:] + x) * 0.2
    return x


def long_chain(x: Tensor) -> Tensor:
    for k in range(600):
        x = x * 0.999 + 0.001 * (k % 7)
    return x


def same_pool(x: Tensor) -> Tensor:
    return nx.sum(nx.window_max(x, window=(1, 2, 2, 1), strides=(1, 1, 1, 1), padding="same"))


CASES: dict[str, tuple[Callable[..., Any], tuple[Array, ...]]] = {
    "scaled by its greatest, and a bias": (lambda x, b: x / nx.max(nx.abs(x)) + b, (normal(6, 8), normal(8))),
    "its whole sum, and a bias": (lambda x, b: x + nx.sum(x) + b, (normal(6, 8), normal(8))),
    "a column's bias": (lambda x, b: x + nx.sum(x) + nx.expand_dims(b, axis=1), (normal(6, 8), normal(6))),
    "an output beside a loss": (
        lambda x, b: ((p := nx.sigmoid(x)) * b, nx.mean(nx.log(p))),
        (normal(6, 8), normal(8)),
    ),
    "statistics of a batch beside an output": (
        lambda x, b: ((e := nx.tanh(x)) * b, nx.mean(e, axis=(0, 1, 2))),
        (normal(2, 3, 4, 5), normal(5)),
    ),
    "statistics of a batch of sequences of length 1": (
        lambda x: ((y := nx.exp(x)), nx.max(y, axis=(0, 2)), nx.mean(y, axis=(0, 2), keepdims=True)),
        (normal(5, 3, 1, 4),),
    ),
    "softmax over two axes": (
        lambda x, b: nx.exp(x - nx.max(x, axis=(1, 2), keepdims=True)) + b,
        (normal(2, 3, 5), normal(5)),
    ),
    "a reversed image beside its sum": (lambda x: (nx.flip(x, axis=1) + nx.sum(x), nx.sum(x)), (normal(6, 8),)),
    "a triangle's sum": (lambda x: (nx.sum(nx.tril(x)), nx.max(nx.tril(x)), nx.mean(nx.triu(x))), (normal(6, 6),)),
    "a trace": (lambda x: nx.sum(x * nx.eye(6)), (normal(6, 6),)),
    "a sum weighted by an index": (lambda x: nx.sum(x * nx.iota(x.shape, axis=1, dtype="float32")), (normal(6, 7),)),
    "a looked-up table beside itself": (
        lambda x, i: nx.take(y := nx.exp(x), i, axis=0) + y,
        (normal(4, 5), i32(3, 0, 1, 1)),
    ),
    "shifted by one, of one": (lambda x: nx.pad(nx.exp(x), [(0, 0), (1, -1), (0, 0)]) * 2, (normal(2, 1, 3),)),
    "a sum padded beside and along the axis it was over": (
        lambda x: nx.pad(nx.sum(x, axis=1, keepdims=True), [(1, -1), (2, 1), (0, 0)]),
        (normal(3, 5, 7),),
    ),
    "nothing and one": (lambda x: nx.concat([x[:0], x]) * 2, (normal(1, 5),)),
    "gradient of a pool over one pixel": (grad(same_pool), (normal(1, 1, 1, 2),)),
    "gradient of no rows": (grad(lambda x: nx.sum(x[0:0] * 2)), (normal(1, 5),)),
    "padding of no rows": (
        lambda x, i: nx.pad(nx.take(x, i, axis=0), [(1, 1), (0, 0)]) + 1,
        (normal(0, 8), np.zeros(0, np.int32)),
    ),
    "a row's value beside its long sum": (
        lambda x, b: (nx.sum(x * nx.exp(b), axis=1), nx.exp(b)),
        (normal(2, 70000), normal(2, 1)),
    ),
    "moments of rows, of long ones, and of columns": (
        lambda x, y: (*nx.moments(x, axis=1), nx.std(y, axis=1), *nx.moments(x, axis=0)),
        (1000 + normal(5, 333), normal(2, 70000)),
    ),
    "casts that round once": (
        lambda i, x: (i.astype("bfloat16"), (i.astype("uint64") << 32 | 1).astype("bfloat16"), x.astype("bfloat16")),
        (((1 << 22) * np.arange(300) + (1 << 30) + np.arange(300) % 2).astype(np.int32), 1 + np.arange(600) * 2.0**-9),
    ),
    "sums of halves": (shifted_sums, (normal(256),)),
    "doubled": (doubled, (normal(3),)),
    "a stencil again and again": (stencil, (normal(9, 11),)),
    "one transcendental and a pool": (
        lambda x: nx.window_max(nx.tanh(x), window=(1, 2, 2, 1), strides=(1, 2, 2, 1)),
        (normal(2, 6, 6, 3),),
    ),
    "a long chain": (long_chain, (normal(20),)),
    "half floats out of range": (
        lambda m, x: nx.where(m, x, -1e9) * 1e5,
        (normal(9) > 0, normal(9).astype(np.float16)),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_corners(name: str) -> None:
    function, arrays = CASES[name]
    run_all(function, *arrays).assert_agree()


@pytest.mark.parametrize("function, shape", [(shifted_sums, (8192,)), (stencil, (100, 100)), (long_chain, (100,))])
def test_kernels_stay_small(function: Callable[..., Any], shape: tuple[int, ...]) -> None:
    kernels = lowered(function, f32(*shape)).schedule.kernels()
    assert max(str(k).count("\n") for k in kernels) < 600


def test_what_is_repeated_is_stored() -> None:
    """Six steps of a stencil are six passes over memory, not one that computes an element 5^6 times."""
    assert len(lowered(stencil, f32(100, 100)).schedule.steps) >= 5
