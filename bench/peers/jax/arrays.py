"""Functions of arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ... import data
from ...data import OPERANDS, PRODUCTS, Case, Sizes, Table
from .trainer import block


def conv(x: Any, kernel: Any, stride: int = 1, padding: Any = "SAME") -> Any:
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def layer_norm(x: Any, gamma: Any, beta: Any) -> Any:
    centered = x - x.mean(-1, keepdims=True)
    return centered * lax.rsqrt((centered * centered).mean(-1, keepdims=True) + 1e-5) * gamma + beta


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "W6": lambda x: jnp.tanh(x * 1.7 + 0.3) * jax.nn.sigmoid(x) + jnp.exp(-x * x),
    "W6b": jax.nn.softmax,
    "W6c": layer_norm,
    "W6d": lambda x: (x * x).sum(),
    "W6e": lambda x: x.sum(0),
    "W6f": lambda x, z: z + x.T,
    **dict.fromkeys(PRODUCTS, jnp.matmul),
    "W8_conv": conv,
    "W9_dispatch": lambda x: x + 1,
}


def build(s: Sizes, name: str) -> Case:
    function = jax.jit(FUNCTIONS[name])
    dtype = jnp.bfloat16 if name.endswith("bf16") else jnp.float32
    arguments = [jnp.asarray(x, dtype) for x in data.operands(name, s)]
    return Case(lambda: function(*arguments), block)


TABLE: Table = {name: {"jit": partial(build, name=name)} for name in OPERANDS}
