"""The usual training loop, and modules with the parameters that every framework gets."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ...data import BATCHES, Array, Case, Sizes

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
Wrap = Callable[[Any], Any]


def as_is(function: Any) -> Any:
    return function


def compiled(function: Any) -> Any:
    return torch.compile(function)


def cross_entropy(logits: Any, labels: Any) -> Any:
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten())


def adam(parameters: Any, **options: Any) -> Any:
    return torch.optim.Adam(parameters, 1e-3, **options)


def batch(workload: str, s: Sizes) -> list[Any]:
    """Images have their channels first; integers are as long as torch wants them."""
    tensors = [torch.from_numpy(array) for array in BATCHES[workload](s)]
    return [
        t.permute(0, 3, 1, 2).contiguous() if t.ndim == 4 else t if t.is_floating_point() else t.long() for t in tensors
    ]


def trainer(
    model: nn.Module, *, wrap: Wrap = as_is, fused: bool = False, optimizer: Callable[..., Any] = adam
) -> Callable[[Any, Any], Any]:
    """The usual loop: loss, backward, optimizer step."""
    trained = [p for p in model.parameters() if p.requires_grad]
    update = optimizer(trained, fused=fused or None)
    loss_of, step_of = wrap(lambda x, y: cross_entropy(model(x), y)), wrap(update.step)

    def step(x: Any, y: Any) -> Any:
        value = loss_of(x, y)
        value.backward()
        step_of()
        update.zero_grad(set_to_none=True)
        return value.detach()

    return step


def training(s: Sizes, workload: str, model: nn.Module, *, channels_last: bool = False, **options: Any) -> Case:
    """A step a call over the workload's batch; the options are the trainer's."""
    x, y = batch(workload, s)
    if channels_last:
        x, model = (t.to(memory_format=torch.channels_last) for t in (x, model))
    step = trainer(model, **options)
    return Case(lambda: step(x, y))


def inference(function: Callable[..., Any], *args: Any) -> Case:
    def call() -> Any:
        with torch.no_grad():
            return function(*args)

    return Case(call)


def given(layer: Any, weight: Array, bias: Array | None = None) -> Any:
    """A layer with the weight and bias that every framework gets, in torch's order of axes."""
    with torch.no_grad():
        for name, array in (("weight", weight), ("bias", bias)):
            if array is not None:
                value = torch.from_numpy(array)
                if isinstance(layer, nn.Linear | nn.Conv2d):  # the output first, then what it is made of
                    value = value.permute(*range(value.ndim)[:-3:-1], *range(value.ndim - 2))
                getattr(layer, name).copy_(value)
    return layer
