"""The second half of rule 7, by counts of kernels: scatters and library steps end groups, on both of their sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axon import nx
from axon.dtypes import int32
from axon.nx.core.tensor import TensorType

from .programs import f32, steps, typed


@pytest.mark.parametrize(
    ("function", "types", "step"),
    [
        (lambda x, i, u: nx.scatter_add(x, i, u, axis=0), (f32(40, 8), typed(int32, 5), f32(5, 8)), "scatter_add"),
        (lambda x, i, u: nx.scatter(x, i, u, axis=0), (f32(40, 8), typed(int32, 5), f32(5, 8)), "host"),
        (lambda x, _, w: x @ w, (f32(40, 8), f32(), f32(8, 30)), "gemm"),
        (lambda x, _, w: nx.conv(x, w), (f32(4, 9, 9, 8), f32(), f32(3, 3, 8, 5)), "conv"),
    ],
    ids=["scatter_add", "scatter", "matmul", "conv"],
)
def test_rule_7_nothing_is_fused_across(function: Callable[..., Any], types: tuple[TensorType, ...], step: str) -> None:
    made = steps(lambda x, i, u: nx.tanh(function(nx.exp(x), i, nx.sin(u))), *types)
    assert made == ["map", "map", step, "map"]
