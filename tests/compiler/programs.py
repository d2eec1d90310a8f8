"""Functions that several compiler tests look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from axon import nx
from axon.compiler.pipeline import Phases, lower
from axon.compiler.planning.memory import Plan
from axon.compiler.planning.schedule import KernelStep
from axon.compiler.targets.target import CPU
from axon.defn import scan, stop_grad, value_and_grad
from axon.dtypes import DType, float32
from axon.graph.trace import trace
from axon.nx.core.tensor import Tensor, TensorType


def f32(*shape: int) -> TensorType:
    return TensorType(float32, shape)


def typed(dtype: DType, *shape: int) -> TensorType:
    return TensorType(dtype, shape)


def compiled(function: Callable[..., Any], *types: TensorType) -> Plan:
    """A function through all passes, nothing compiled."""
    return lower(trace(function, types).graph, CPU, Phases())


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


Params = dict[str, Tensor]


def cross_entropy(z: Tensor, y: Tensor) -> Tensor:
    z = z - stop_grad(nx.max(z, axis=-1, keepdims=True))
    hot = nx.expand_dims(y, axis=1) == nx.arange(z.shape[1])
    rows = nx.log(nx.sum(nx.exp(z), axis=-1)) - nx.sum(nx.where(hot, z, 0.0), axis=-1)
    return nx.mean(rows)


def mlp_loss(p: Params, x: Tensor, y: Tensor) -> Tensor:
    h = nx.maximum(x @ p["w1"] + p["b1"], 0.0)
    return cross_entropy(h @ p["w2"] + p["b2"], y)


def cnn_loss(p: Params, x: Tensor, y: Tensor) -> Tensor:
    """Convolution, batch norm, relu, max pool, dense."""
    h = nx.conv(x, p["k"], padding="same") + p["b1"]
    d = h - nx.mean(h, axis=(0, 1, 2))
    h = d * nx.rsqrt(nx.mean(d * d, axis=(0, 1, 2)) + 1e-5) * p["gamma"] + p["beta"]
    h = nx.window_max(nx.maximum(h, 0.0), window=(1, 2, 2, 1), strides=(1, 2, 2, 1))
    return cross_entropy(nx.reshape(h, (h.shape[0], -1)) @ p["w"] + p["b2"], y)


def adam_step(loss: Callable[[Params, Tensor, Tensor], Tensor]) -> Callable[..., Any]:
    """(parameters, first moments, second moments, step, x, y) -> (the first four, loss)"""

    def step(p: Params, m: Params, v: Params, t: Tensor, x: Tensor, y: Tensor) -> Any:
        value, g = value_and_grad(loss)(p, x, y)
        made = {k: adam(p[k], g[k], m[k], v[k], t) for k in p}
        return *({k: made[k][i] for k in p} for i in range(3)), t + 1, value

    return step


def sgd_step(loss: Callable[[Params, Tensor, Tensor], Tensor]) -> Callable[..., Any]:
    """(parameters, x, y) -> (parameters, loss)"""

    def step(p: Params, x: Tensor, y: Tensor) -> Any:
        value, g = value_and_grad(loss)(p, x, y)
        return {k: p[k] - 0.1 * g[k] for k in p}, value

    return step


def mlp_params(inputs: int, hidden: int, classes: int) -> dict[str, TensorType]:
    return {"w1": f32(inputs, hidden), "b1": f32(hidden), "w2": f32(hidden, classes), "b2": f32(classes)}


def cnn_params(channels: int, flat: int, classes: int) -> dict[str, TensorType]:
    first = {"k": f32(3, 3, 1, channels), "b1": f32(channels), "gamma": f32(channels), "beta": f32(channels)}
    return first | {"w": f32(flat, classes), "b2": f32(classes)}


def lstm_loss(p: Params, x: Tensor, y: Tensor) -> Tensor:
    """Logits of the last of x [length, batch, inputs]; gates input, forget, cell, output."""

    def cell(state: tuple[Tensor, Tensor], x: Tensor) -> tuple[tuple[Tensor, Tensor], None]:
        h, c = state
        i, f, g, o = nx.split(x + h @ p["w"], 4, axis=-1)
        c = nx.sigmoid(f) * c + nx.sigmoid(i) * nx.tanh(g)
        return (nx.sigmoid(o) * nx.tanh(c), c), None

    start = nx.zeros((x.shape[1], p["w"].shape[0]))
    (h, _), _ = scan(cell, (start, start), x @ p["v"] + p["b"])
    return cross_entropy(h @ p["u"], y)


def lstm_params(inputs: int, cells: int, classes: int) -> dict[str, TensorType]:
    return {"v": f32(inputs, 4 * cells), "w": f32(cells, 4 * cells), "b": f32(4 * cells), "u": f32(cells, classes)}
