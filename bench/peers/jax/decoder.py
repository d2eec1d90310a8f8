"""A decoder-only transformer."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ... import models
from ...data import BATCHES, Case, Sizes, Table
from ...models import HEADS, LAYERS
from .arrays import layer_norm
from .trainer import block, cross_entropy, modes, training


def attention(q: Any, k: Any, v: Any) -> Any:
    """Each position over itself and those before it; all (batch, context, heads, width of a head)."""
    scores = jnp.einsum("blhd,bmhd->bhlm", q, k) / math.sqrt(q.shape[-1])
    past = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    return jnp.einsum("bhlm,bmhd->blhd", jax.nn.softmax(jnp.where(past, scores, -1e30)), v)


def forward(p: Any, tokens: Any) -> Any:
    h = p["etoken"][tokens] + p["eplace"]
    for i in range(LAYERS):
        x = layer_norm(h, p[f"gattend{i}"], p[f"battend{i}"])
        parts = jnp.split(x @ p[f"wqkv{i}"] + p[f"bqkv{i}"], 3, -1)
        mixed = attention(*(t.reshape(*t.shape[:-1], HEADS, -1) for t in parts)).reshape(x.shape)
        h = h + mixed @ p[f"wmix{i}"] + p[f"bmix{i}"]
        x = layer_norm(h, p[f"gthink{i}"], p[f"bthink{i}"])
        h = h + jax.nn.gelu(x @ p[f"wup{i}"] + p[f"bup{i}"]) @ p[f"wdown{i}"] + p[f"bdown{i}"]
    return layer_norm(h, p["glast"], p["blast"]) @ p["whead"]


def loss(p: Any, extra: Any, tokens: Any, following: Any) -> Any:
    return cross_entropy(following, forward(p, tokens)), extra


def train(s: Sizes, loop: int) -> Case:
    return training(s, "W5", loss, optax.adamw(3e-4, weight_decay=0.01), models.decoder(s), loop=loop)


def infer(s: Sizes) -> Case:
    function, p = jax.jit(forward), jax.tree.map(jnp.asarray, models.decoder(s))
    tokens = jnp.asarray(BATCHES["W5_inf"](s)[0])
    return Case(lambda: function(p, tokens), block)


TABLE: Table = {"W5": modes("W5", train), "W5_inf": {"jit": infer}}
