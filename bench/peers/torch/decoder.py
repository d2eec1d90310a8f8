"""A decoder-only transformer."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ... import models
from ...data import VOCABULARY, Case, Sizes, Table
from ...models import HEADS, LAYERS, WIDTH
from .trainer import Wrap, as_is, batch, compiled, given, inference, training


class Block(nn.Module):
    def __init__(self, p: models.Parameters, i: int) -> None:
        super().__init__()

        def norm(place: str) -> Any:
            return given(nn.LayerNorm(WIDTH), p[f"g{place}{i}"], p[f"b{place}{i}"])

        def linear(name: str, taken: int, made: int) -> Any:
            return given(nn.Linear(taken, made), p[f"w{name}{i}"], p[f"b{name}{i}"])

        self.attend, self.think = norm("attend"), norm("think")
        self.qkv, self.mix = linear("qkv", WIDTH, 3 * WIDTH), linear("mix", WIDTH, WIDTH)
        self.up, self.down = linear("up", WIDTH, 4 * WIDTH), linear("down", 4 * WIDTH, WIDTH)

    def forward(self, h: Any) -> Any:
        q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in self.qkv(self.attend(h)).chunk(3, -1))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        h = h + self.mix(mixed)
        return h + self.down(F.gelu(self.up(self.think(h)), approximate="tanh"))


class Decoder(nn.Module):
    def __init__(self, s: Sizes) -> None:
        super().__init__()
        p = models.decoder(s)
        self.token = given(nn.Embedding(VOCABULARY, WIDTH), p["etoken"])
        self.place = given(nn.Embedding(s.context, WIDTH), p["eplace"])
        self.blocks = nn.Sequential(*(Block(p, i) for i in range(LAYERS)))
        self.last = given(nn.LayerNorm(WIDTH), p["glast"], p["blast"])
        self.head = given(nn.Linear(WIDTH, VOCABULARY, bias=False), p["whead"])

    def forward(self, tokens: Any) -> Any:
        return self.head(self.last(self.blocks(self.token(tokens) + self.place.weight)))


def adamw(parameters: Any, **options: Any) -> Any:
    return torch.optim.AdamW(parameters, 3e-4, weight_decay=0.01, **options)


def train(s: Sizes, **options: Any) -> Case:
    return training(s, "W5", Decoder(s), optimizer=adamw, **options)


def infer(s: Sizes, wrap: Wrap) -> Case:
    return inference(wrap(Decoder(s).eval()), *batch("W5_inf", s))


TABLE: Table = {
    "W5": {"fused": partial(train, fused=True), "compile": partial(train, wrap=compiled)},
    "W5_inf": {"eager": partial(infer, wrap=as_is), "compile": partial(infer, wrap=compiled)},
}
