"""Functions of arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from ... import data
from ...data import OPERANDS, PRODUCTS, Case, Sizes, Table
from .trainer import Wrap, as_is, compiled

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
    **{name: {"eager": partial(build, name=name, wrap=as_is)} for name in OPERANDS},
    **{
        name: {mode: partial(build, name=name, wrap=wrap) for mode, wrap in (("eager", as_is), ("compile", compiled))}
        for name in ("W6", "W6b", "W6c", "W6d", "W6e", "W6f")
    },
}
