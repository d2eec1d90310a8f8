"""ResNet-18."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ... import models
from ...data import CLASSES, IMAGE_CLASSES, Case, Sizes, Table
from .trainer import Wrap, as_is, batch, compiled, given, inference, training


class Block(nn.Module):
    """Two units around which the input, or its projection, is added."""

    def __init__(self, first: nn.Module, second: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.first, self.second, self.projection = first, second, projection

    def forward(self, x: Any) -> Any:
        return F.relu(self.second(F.relu(self.first(x))) + self.projection(x))


def model(stem: str, classes: int) -> nn.Module:
    p, _ = models.resnet(stem, classes)

    def unit(u: models.Unit | None) -> nn.Module:
        if u is None:
            return nn.Identity()
        conv = nn.Conv2d(u.taken, u.given, u.size, u.stride, u.size // 2, bias=False)
        norm = nn.BatchNorm2d(u.given)
        return nn.Sequential(given(conv, p[u.name]), given(norm, p[f"g{u.name}"], p[f"b{u.name}"]))

    pool = nn.MaxPool2d(3, 2, 1) if stem == "large" else nn.Identity()
    blocks = [Block(*map(unit, block)) for block in models.BLOCKS]
    last = given(nn.Linear(512, classes), p["wlast"], p["blast"])
    return nn.Sequential(
        unit(models.STEMS[stem]), nn.ReLU(), pool, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), last
    )


def sgd(parameters: Any, **options: Any) -> Any:
    return torch.optim.SGD(parameters, 0.01, momentum=0.9, **options)


def train(s: Sizes, **options: Any) -> Case:
    return training(s, "W3_train", model("small", CLASSES), optimizer=sgd, **options)


def infer(s: Sizes, workload: str, layout: torch.memory_format, wrap: Wrap = as_is) -> Case:
    network, (x,) = model("large", IMAGE_CLASSES).eval(), batch(workload, s)
    return inference(wrap(network.to(memory_format=layout)), x.to(memory_format=layout))


TABLE: Table = {
    **{
        name: {
            "eager": partial(infer, workload=name, layout=torch.contiguous_format),
            "channels_last": partial(infer, workload=name, layout=torch.channels_last),
            "compile": partial(infer, workload=name, layout=torch.channels_last, wrap=compiled),
        }
        for name in ("W3_inf_b1", "W3_inf_b8")
    },
    "W3_train": {
        "fused": partial(train, fused=True),
        "channels_last": partial(train, fused=True, channels_last=True),
        "compile": partial(train, wrap=compiled, channels_last=True),
    },
}
