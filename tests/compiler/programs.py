"""Functions that several compiler tests look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from axon import nx
from axon.compiler.pipeline import Lowered, run_passes
from axon.compiler.schedule import KernelStep
from axon.defn.trace import trace
from axon.dtypes import DType, float32
from axon.nx.tensor import Tensor, TensorType


def f32(*shape: int) -> TensorType:
    return TensorType(float32, shape)


def typed(dtype: DType, *shape: int) -> TensorType:
    return TensorType(dtype, shape)


def compiled(function: Callable[..., Any], *types: TensorType) -> Lowered:
    """A function through all passes, nothing compiled."""
    return run_passes(trace(function, types).graph)


def steps(function: Callable[..., Any], *types: TensorType) -> list[str]:
    """What a function became: map, row, column for kernels (x3 for three calls of one), the symbol of library steps."""
    made = []
    for step in compiled(function, *types).schedule.steps:
        if isinstance(step, KernelStep):
            made.append(step.kernel.form + (f" x{len(step.calls)}" if len(step.calls) > 1 else ""))
        else:
            made.append(getattr(step, "symbol", None) or getattr(step, "kind", "host"))
    return made


def chain(x: Tensor) -> Tensor:
    return nx.tanh(x * 1.7 + 0.3) * nx.sigmoid(x) + nx.exp(-x * x)


def softmax(x: Tensor) -> Tensor:
    e = nx.exp(x - nx.max(x, axis=-1, keepdims=True))
    return e / nx.sum(e, axis=-1, keepdims=True)


def layer_norm(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    d = x - nx.mean(x, axis=-1, keepdims=True)
    return d * nx.rsqrt(nx.mean(d * d, axis=-1, keepdims=True) + 1e-5) * gamma + beta


def adam(p: Tensor, g: Tensor, m: Tensor, v: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    a, b = 1 - 0.9**t, 1 - 0.999**t
    return p - 0.001 * (m / a) / (nx.sqrt(v / b) + 1e-8), m, v


def mlp_loss(p: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    from axon.defn import stop_grad

    h = nx.maximum(x @ p["w1"] + p["b1"], 0.0)
    z = h @ p["w2"] + p["b2"]
    z = z - stop_grad(nx.max(z, axis=-1, keepdims=True))
    hot = nx.expand_dims(y, axis=1) == nx.arange(z.shape[1])
    rows = nx.log(nx.sum(nx.exp(z), axis=-1)) - nx.sum(nx.where(hot, z, 0.0), axis=-1)
    return nx.mean(rows)
