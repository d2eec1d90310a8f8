"""A decoder-only transformer: pre-layer-norm, learned positions, causal attention, tanh-GELU, an untied head."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from axon import nx, optimizers, tree
from axon.activations import softmax
from axon.defn import jit

from .. import models
from ..data import BATCHES, Case, Sizes, Table
from ..models import HEADS, LAYERS, WIDTH
from .arrays import layer_norm
from .trainer import modes, training
from .training import cross_entropy


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + nx.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def attention(q: Any, k: Any, v: Any) -> Any:
    """Each position over itself and those before it; all (batch, context, heads, width of a head)."""
    q, k, v = (nx.permute_dims(t, (0, 2, 1, 3)) for t in (q, k, v))
    scores = q @ nx.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    past = nx.tril(nx.ones(scores.shape[-2:], dtype=nx.bool))
    return nx.permute_dims(softmax(nx.where(past, scores, -1e30)) @ v, (0, 2, 1, 3))


def forward(p: Any, tokens: Any) -> Any:
    """Logits (batch, context, vocabulary)."""
    h = nx.take(p["etoken"], tokens, axis=0) + p["eplace"]
    for i in range(LAYERS):
        x = layer_norm(h, p[f"gattend{i}"], p[f"battend{i}"])
        qkv = nx.split(x @ p[f"wqkv{i}"] + p[f"bqkv{i}"], 3, axis=-1)
        mixed = attention(*(t.reshape((*t.shape[:-1], HEADS, WIDTH // HEADS)) for t in qkv)).reshape(x.shape)
        h = h + mixed @ p[f"wmix{i}"] + p[f"bmix{i}"]
        x = layer_norm(h, p[f"gthink{i}"], p[f"bthink{i}"])
        h = h + gelu(x @ p[f"wup{i}"] + p[f"bup{i}"]) @ p[f"wdown{i}"] + p[f"bdown{i}"]
    return layer_norm(h, p["glast"], p["blast"]) @ p["whead"]


def loss(p: Any, extra: Any, tokens: Any, following: Any) -> Any:
    return cross_entropy(following, forward(p, tokens)), extra


def train(s: Sizes, compiler: str, loop: int) -> Case:
    optimizer = optimizers.adamw(3e-4, decay=0.01)
    return training(s, "W5", loss, optimizer, models.decoder(s), compiler=compiler, loop=loop)


def infer(s: Sizes, compiler: str) -> Case:
    function, p = jit(forward, compiler=compiler), tree.map(nx.tensor, models.decoder(s))
    tokens = nx.tensor(BATCHES["W5_inf"](s)[0])
    return Case(lambda: function(p, tokens))


TABLE: Table = {
    "W5": modes("W5", train),
    "W5_inf": {mode: partial(infer, compiler=mode) for mode in ("native", "evaluate")},
}
