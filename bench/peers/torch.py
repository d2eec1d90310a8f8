"""PyTorch: modules and torch.optim.

fused       the optimizer's fused form
compile     torch.compile of the loss and of the optimizer's step
one_graph   gradient and update of plain tensors, compiled together
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
# (torch is a peer, not a dependency: without it there is nothing to look these names up in)
from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .. import data
from ..data import CLASSES, OPERANDS, PRODUCTS, Array, Case, Sizes, Table

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
Wrap = Callable[[Any], Any]


def as_is(function: Any) -> Any:
    return function


def compiled(function: Any) -> Any:
    return torch.compile(function)


def set_layers(model: nn.Sequential, p: dict[str, Array]) -> nn.Sequential:
    """The model with the first parameters that every framework gets."""
    layers = [layer for layer in model if isinstance(layer, nn.Linear | nn.Conv2d)]
    with torch.no_grad():
        for i, layer in enumerate(layers, 1):
            weight = torch.from_numpy(p[f"w{i}"])
            layer.weight.copy_(weight.permute(3, 2, 0, 1) if weight.ndim == 4 else weight.T)
            assert layer.bias is not None
            layer.bias.copy_(torch.from_numpy(p[f"b{i}"]))
    return model


def trainer(model: nn.Module, wrap: Wrap, fused: bool) -> Callable[[Any, Any], Any]:
    """The usual loop: loss, backward, optimizer step."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=fused or None)
    loss_of, update = wrap(lambda x, y: F.cross_entropy(model(x), y)), wrap(optimizer.step)

    def step(x: Any, y: Any) -> Any:
        loss = loss_of(x, y)
        loss.backward()
        update()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    return step


def mlp_model(s: Sizes) -> nn.Sequential:
    model = nn.Sequential(nn.Linear(s.pixels, s.hidden), nn.ReLU(), nn.Linear(s.hidden, CLASSES))
    return set_layers(model, data.mlp(s))


def labels(n: int) -> Any:
    return torch.from_numpy(data.integers(CLASSES, n)).long()


def mlp(s: Sizes, wrap: Wrap = as_is, fused: bool = False) -> Case:
    x, y = torch.from_numpy(data.normal(s.batch, s.pixels)), labels(s.batch)
    step = trainer(mlp_model(s), wrap, fused)
    return Case(lambda: step(x, y))


def mlp_one_graph(s: Sizes) -> Case:
    p = {k: torch.from_numpy(v) for k, v in data.mlp(s).items()}
    mean, square = ({k: torch.zeros_like(v) for k, v in p.items()} for _ in range(2))
    count = torch.zeros(())

    def loss(p: Any, x: Any, y: Any) -> Any:
        return F.cross_entropy(F.relu(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"], y)

    @torch.compile(fullgraph=True)
    def step(p: Any, mean: Any, square: Any, count: Any, x: Any, y: Any) -> Any:
        gradients, value = torch.func.grad_and_value(loss)(p, x, y)
        count.add_(1)
        for k, g in gradients.items():
            mean[k].mul_(0.9).add_(g, alpha=0.1)
            square[k].mul_(0.999).addcmul_(g, g, value=0.001)
            p[k].sub_(1e-3 * (mean[k] / (1 - 0.9**count)) / ((square[k] / (1 - 0.999**count)).sqrt() + 1e-8))
        return value

    x, y = torch.from_numpy(data.normal(s.batch, s.pixels)), labels(s.batch)
    return Case(lambda: step(p, mean, square, count, x, y))


def epoch(s: Sizes, wrap: Wrap = as_is, fused: bool = False) -> Case:
    x, y = data.normal(s.samples, s.pixels), data.integers(CLASSES, s.samples).astype("int64")
    step = trainer(mlp_model(s), wrap, fused)

    def call() -> Any:
        loss = None
        for i in range(0, s.samples, s.batch):
            loss = step(torch.from_numpy(x[i : i + s.batch]), torch.from_numpy(y[i : i + s.batch]))
        return loss

    return Case(call, whole=True)


def cnn(s: Sizes, wrap: Wrap = as_is, fused: bool = True, channels_last: bool = False, rate: float = 0.5) -> Case:
    def conv(taken: int, given: int) -> list[nn.Module]:
        return [nn.Conv2d(taken, given, 3, padding=1), nn.ReLU()]

    map_side = s.side // 4
    model = nn.Sequential(
        *conv(3, 32), *conv(32, 32), nn.MaxPool2d(2), *conv(32, 64), *conv(64, 64), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(64 * map_side**2, 128), nn.ReLU(), nn.Dropout(rate), nn.Linear(128, CLASSES),
    )  # fmt: skip
    p = data.cnn(s)
    p["w5"] = p["w5"].reshape(map_side**2, 64, 128).swapaxes(0, 1).reshape(-1, 128)  # flattened channels first
    model, x = set_layers(model, p), torch.from_numpy(data.normal(s.images, s.side, s.side, 3)).permute(0, 3, 1, 2)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x, y = x.contiguous(memory_format=layout), labels(s.images)
    model.to(memory_format=layout)  # type: ignore[call-overload]
    step = trainer(model, wrap, fused)
    return Case(lambda: step(x, y))


def adam(s: Sizes, many: bool, wrap: Wrap = as_is, fused: bool = True) -> Case:
    values, gradients = data.adam(s, many)
    params = [nn.Parameter(torch.from_numpy(v)) for v in values]
    for p, g in zip(params, gradients):
        p.grad = torch.from_numpy(g)
    step = wrap(torch.optim.Adam(params, 1e-3, fused=fused or None).step)

    def call() -> Any:
        step()
        return params[0].detach()

    return Case(call)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "W6": lambda x: torch.tanh(x * 1.7 + 0.3) * torch.sigmoid(x) + torch.exp(-x * x),
    "W6b": lambda x: torch.softmax(x, -1),
    "W6c": lambda x, gamma, beta: F.layer_norm(x, x.shape[-1:], gamma, beta),
    "W6d": lambda x: (x * x).sum(),
    "W6e": lambda x: x.sum(0),
    "W6f": lambda x, z: z + x.T,
    **dict.fromkeys(PRODUCTS, lambda a, b: a @ b),
    "W8_conv": lambda x, kernel: F.conv2d(x, kernel, padding=1),
    "W9_dispatch": lambda x: x + 1,
}


def build(s: Sizes, name: str, wrap: Wrap) -> Case:
    function = wrap(FUNCTIONS[name])
    dtype = torch.bfloat16 if name.endswith("bf16") else torch.float32
    arguments = [torch.from_numpy(x).to(dtype) for x in data.operands(name, s)]
    if name == "W8_conv":  # channels last, in memory too
        x, kernel = arguments
        arguments = [x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)]

    return Case(lambda: function(*arguments))


TABLE: Table = {
    "W1": {"fused": partial(mlp, fused=True), "compile": partial(mlp, wrap=compiled), "one_graph": mlp_one_graph},
    "W1b": {"fused": partial(epoch, fused=True), "compile": partial(epoch, wrap=compiled)},
    "W2": {
        "fused": cnn,
        "channels_last": partial(cnn, channels_last=True),
        "compile": partial(cnn, wrap=compiled, channels_last=True, fused=False),
    },
    **{
        name: {"fused": partial(adam, many=many), "compile": partial(adam, many=many, wrap=compiled, fused=False)}
        for name, many in (("W7_one10M", False), ("W7_100x100k", True))
    },
    **{name: {"eager": partial(build, name=name, wrap=as_is)} for name in OPERANDS},
    **{
        name: {mode: partial(build, name=name, wrap=wrap) for mode, wrap in (("eager", as_is), ("compile", compiled))}
        for name in ("W6", "W6b", "W6c", "W6d", "W6e", "W6f")
    },
}
