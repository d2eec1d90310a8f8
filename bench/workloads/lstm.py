"""An LSTM over lines of symbols: what follows each? The steps are a Python loop, which the tracer unrolls."""

from __future__ import annotations

from typing import Any

from axon import nx, optimizers

from .. import models
from ..data import Case, Sizes, Table
from .trainer import modes, training
from .training import cross_entropy


def forward(p: Any, symbols: Any) -> Any:
    """Logits (positions, lines, symbols) of symbols (positions, lines)."""
    taken = nx.take(p["esymbol"], symbols, axis=0) @ p["wtaken"] + p["bgates"]
    h = c = nx.zeros((symbols.shape[1], p["wkept"].shape[0]))
    hidden = []
    for x in nx.unstack(taken):
        i, f, g, o = nx.split(x + h @ p["wkept"], 4, axis=-1)
        c = nx.sigmoid(f) * c + nx.sigmoid(i) * nx.tanh(g)
        h = nx.sigmoid(o) * nx.tanh(c)
        hidden.append(h)
    return nx.stack(hidden) @ p["wlast"] + p["blast"]


def loss(p: Any, extra: Any, symbols: Any, following: Any) -> Any:
    return cross_entropy(following.T, forward(p, symbols.T)), extra


def train(s: Sizes, compiler: str, loop: int) -> Case:
    return training(s, "W4", loss, optimizers.adam(1e-3), models.lstm(s), compiler=compiler, loop=loop)


TABLE: Table = {"W4": modes("W4", train)}
