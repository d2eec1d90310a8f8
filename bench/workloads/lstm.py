"""An LSTM over lines of symbols: what follows each? A scan over the positions."""

from __future__ import annotations

from functools import partial
from typing import Any

from axon import nx, optimizers
from axon.defn import scan

from .. import models
from ..data import Case, Sizes, Table
from .trainer import modes, training
from .training import cross_entropy


def forward(p: Any, symbols: Any) -> Any:
    """Logits (positions, lines, symbols) of symbols (positions, lines)."""
    taken = nx.take(p["esymbol"], symbols, axis=0) @ p["wtaken"] + p["bgates"]

    def cell(state: Any, x: Any) -> Any:
        h, c = state
        i, f, g, o = nx.split(x + h @ p["wkept"], 4, axis=-1)
        c = nx.sigmoid(f) * c + nx.sigmoid(i) * nx.tanh(g)
        h = nx.sigmoid(o) * nx.tanh(c)
        return (h, c), h

    start = nx.zeros((symbols.shape[1], p["wkept"].shape[0]))
    _, hidden = scan(cell, (start, start), taken)
    return hidden @ p["wlast"] + p["blast"]


def loss(p: Any, extra: Any, symbols: Any, following: Any) -> Any:
    return cross_entropy(following.T, forward(p, symbols.T)), extra


def train(s: Sizes, name: str, compiler: str, loop: int) -> Case:
    return training(s, name, loss, optimizers.adam(1e-3), models.lstm(s), compiler=compiler, loop=loop)


TABLE: Table = {name: modes(name, partial(train, name=name)) for name in ("W4", "W4_512")}
