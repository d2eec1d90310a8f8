"""An LSTM over lines of symbols: nn.LSTM."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

from ... import models
from ...data import SYMBOLS, Case, Sizes, Table
from ...models import EMBEDDED
from .trainer import compiled, given, training


class Recurrent(nn.Module):
    def __init__(self, s: Sizes) -> None:
        super().__init__()
        p = models.lstm(s)
        self.embedding = given(nn.Embedding(SYMBOLS, EMBEDDED), p["esymbol"])
        self.lstm = nn.LSTM(EMBEDDED, s.cells, batch_first=True)
        self.last = given(nn.Linear(s.cells, SYMBOLS), p["wlast"], p["blast"])
        with torch.no_grad():
            self.lstm.weight_ih_l0.copy_(torch.from_numpy(p["wtaken"]).T)
            self.lstm.weight_hh_l0.copy_(torch.from_numpy(p["wkept"]).T)
            self.lstm.bias_ih_l0.copy_(torch.from_numpy(p["bgates"]))
            self.lstm.bias_hh_l0.zero_()
        self.lstm.bias_hh_l0.requires_grad_(False)  # a second bias of the same gates, which the others do not have

    def forward(self, symbols: Any) -> Any:
        return self.last(self.lstm(self.embedding(symbols))[0])


def train(s: Sizes, name: str, **options: Any) -> Case:
    return training(s, name, Recurrent(s), **options)


TABLE: Table = {
    name: {"fused": partial(train, name=name, fused=True), "compile": partial(train, name=name, wrap=compiled)}
    for name in ("W4", "W4_512")
}
