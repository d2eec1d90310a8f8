"""Movement after movement: every chain of three, exactly. Nothing is compiled: kernels are interpreted."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from axon import config, nx
from axon.compiler.pipeline import Phases, lower
from axon.compiler.targets.target import CPU
from axon.nx.core.tensor import Tensor

from .oracle import graph_of, interpreted, results


def padded(axis: int, *ends: int) -> Callable[[Tensor], Tensor]:
    return lambda x: nx.pad(x, [ends if a == axis else (0, 0) for a in range(x.ndim)], 7)


def split(x: Tensor) -> Tensor:
    n = x.shape[0]
    return nx.reshape(x, (2, n // 2, *x.shape[1:]) if n % 2 == 0 else (n, 1, *x.shape[1:]))


MOVES: dict[str, Callable[[Tensor], Tensor]] = {
    "before the first axis": padded(0, 1, 0),
    "before the second axis": padded(1, 2, 0),
    "between": padded(0, 0, 1, 1),
    "before the last axis": lambda x: padded(x.ndim - 1, 1, 0)(x),
    "one row on": padded(0, -1, 1),
    "every second": lambda x: x[:, ::2],
    "reversed": lambda x: nx.flip(x, axis=1),
    "swapped": lambda x: nx.swapaxes(x, 0, 1),
    "split": split,
    "merged": lambda x: nx.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:], 1)),
    "one more axis": lambda x: nx.expand_dims(x, axis=1),
    "repeated": lambda x: nx.broadcast_to(nx.expand_dims(x, axis=1), (x.shape[0], 2, *x.shape[1:])),
    "beside its double": lambda x: nx.concat([x, x * 2], axis=1),
    "its sum": lambda x: nx.sum(x, axis=1, keepdims=True),
    "looked up": lambda x: nx.take(x, nx.arange(4) - 2, axis=1),
    "and one": lambda x: x + 1,
}


@pytest.mark.parametrize("first", MOVES)
def test_chains(first: str) -> None:
    x = np.arange(40, dtype=np.int32).reshape(4, 2, 5)
    for second, third in itertools.product(MOVES, MOVES):
        graph = graph_of(lambda x, b=second, c=third: MOVES[c](MOVES[b](MOVES[first](x))), x)
        evaluate = config.lookup("compiler", "evaluate").compile(graph, donate=(), label="")
        got, want = (results(run, graph, [x])[0] for run in (interpreted(lower(graph, CPU, Phases())), evaluate))
        np.testing.assert_array_equal(got, want, f"{first}, {second}, {third}")
