"""Functions of arrays: elementwise, row-wise and column-wise ones, matrix products, convolution, and a call that does
nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from axon import layers, nx
from axon.activations import softmax
from axon.defn import jit

from .. import data
from ..data import OPERANDS, PRODUCTS, Case, Sizes, Table


def chain(x: Any) -> Any:
    return nx.tanh(x * 1.7 + 0.3) * nx.sigmoid(x) + nx.exp(-x * x)


def layer_norm(x: Any, gamma: Any, beta: Any) -> Any:
    centered = x - nx.mean(x, axis=-1, keepdims=True)
    variance = nx.mean(centered * centered, axis=-1, keepdims=True)
    return centered * nx.rsqrt(variance + 1e-5) * gamma + beta


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "W6": chain,
    "W6b": softmax,
    "W6c": layer_norm,
    "W6d": lambda x: nx.sum(x * x),
    "W6e": lambda x: nx.sum(x, axis=0),
    "W6f": lambda x, z: z + x.T,
    **dict.fromkeys(PRODUCTS, nx.matmul),
    "W8_conv": partial(layers.conv, padding="same"),
    "W9_dispatch": lambda x: x + 1,
}


def build(s: Sizes, name: str, compiler: str) -> Case:
    function = jit(FUNCTIONS[name], compiler=compiler)
    dtype = nx.bfloat16 if name.endswith("bf16") else nx.float32
    arguments = [nx.tensor(x, dtype) for x in data.operands(name, s)]
    return Case(lambda: function(*arguments))


TABLE: Table = {
    name: {mode: partial(build, name=name, compiler=mode) for mode in ("native", "evaluate")} for name in OPERANDS
}
