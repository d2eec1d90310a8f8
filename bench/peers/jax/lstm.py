"""An LSTM over lines of symbols: a scan over the positions."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from ... import models
from ...data import Case, Sizes, Table
from .trainer import cross_entropy, modes, training


def loss(p: Any, extra: Any, symbols: Any, following: Any) -> Any:
    taken = p["esymbol"][symbols.T] @ p["wtaken"] + p["bgates"]

    def cell(state: Any, x: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(x + h @ p["wkept"], 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    start = jnp.zeros((symbols.shape[0], p["wkept"].shape[0]))
    _, hidden = lax.scan(cell, (start, start), taken)
    return cross_entropy(following.T, hidden @ p["wlast"] + p["blast"]), extra


def train(s: Sizes, name: str, loop: int) -> Case:
    return training(s, name, loss, optax.adam(1e-3), models.lstm(s), loop=loop)


TABLE: Table = {name: modes(name, partial(train, name=name)) for name in ("W4", "W4_512")}
