"""Training steps of an MLP and a CNN, and Adam alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ... import data, models
from ...data import CLASSES, Case, Sizes, Table
from .trainer import Wrap, as_is, batch, compiled, given, trainer, training


def mlp_model(s: Sizes) -> nn.Module:
    p = models.mlp(s)
    first, second = nn.Linear(s.pixels, s.hidden), nn.Linear(s.hidden, CLASSES)
    return nn.Sequential(given(first, p["w1"], p["b1"]), nn.ReLU(), given(second, p["w2"], p["b2"]))


def mlp(s: Sizes, **options: Any) -> Case:
    return training(s, "W1", mlp_model(s), **options)


def mlp_one_graph(s: Sizes) -> Case:
    p = {k: torch.from_numpy(v) for k, v in models.mlp(s).items()}
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

    x, y = batch("W1", s)
    return Case(lambda: step(p, mean, square, count, x, y))


def epoch(s: Sizes, **options: Any) -> Case:
    step = trainer(mlp_model(s), **options)
    return data.epoch(s, lambda x, y: step(torch.from_numpy(x), torch.from_numpy(y).long()))


def cnn(s: Sizes, rate: float = 0.5, **options: Any) -> Case:
    p, map_side = models.cnn(s), s.side // 4
    p["w5"] = p["w5"].reshape(map_side**2, 64, 128).swapaxes(0, 1).reshape(-1, 128)  # flattened channels first

    def conv(i: int, taken: int, filters: int) -> list[nn.Module]:
        return [given(nn.Conv2d(taken, filters, 3, padding=1), p[f"w{i}"], p[f"b{i}"]), nn.ReLU()]

    hidden, last = nn.Linear(64 * map_side**2, 128), nn.Linear(128, CLASSES)
    model = nn.Sequential(
        *conv(1, 3, 32), *conv(2, 32, 32), nn.MaxPool2d(2), *conv(3, 32, 64), *conv(4, 64, 64), nn.MaxPool2d(2),
        nn.Flatten(), given(hidden, p["w5"], p["b5"]), nn.ReLU(), nn.Dropout(rate), given(last, p["w6"], p["b6"]),
    )  # fmt: skip
    return training(s, "W2", model, **options)


def adam(s: Sizes, many: bool, wrap: Wrap = as_is, fused: bool = True) -> Case:
    values, gradients = models.vectors(s, many)
    params = [nn.Parameter(torch.from_numpy(v)) for v in values]
    for p, g in zip(params, gradients):
        p.grad = torch.from_numpy(g)
    step = wrap(torch.optim.Adam(params, 1e-3, fused=fused or None).step)

    def call() -> Any:
        step()
        return params[0].detach()

    return Case(call)


TABLE: Table = {
    "W1": {"fused": partial(mlp, fused=True), "compile": partial(mlp, wrap=compiled), "one_graph": mlp_one_graph},
    "W1b": {"fused": partial(epoch, fused=True), "compile": partial(epoch, wrap=compiled)},
    "W2": {
        "fused": partial(cnn, fused=True),
        "channels_last": partial(cnn, fused=True, channels_last=True),
        "compile": partial(cnn, wrap=compiled, channels_last=True),
    },
    **{
        name: {"fused": partial(adam, many=many), "compile": partial(adam, many=many, wrap=compiled, fused=False)}
        for name, many in (("W7_one10M", False), ("W7_100x100k", True))
    },
}
