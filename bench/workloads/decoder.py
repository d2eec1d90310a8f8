"""A decoder-only transformer: pre-layer-norm, learned positions, causal attention, tanh-GELU, an untied head."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from axon import nx, optimizers
from axon.activations import softmax
from axon.defn import jit

from .. import data
from ..data import Array, Case, Sizes, Table
from .arrays import layer_norm
from .trainer import Trainer, train_step
from .training import cross_entropy

LAYERS, WIDTH, HEADS, VOCABULARY = 4, 256, 4, 512


def initial(s: Sizes) -> dict[str, Array]:
    shapes: dict[str, tuple[int, ...]] = {
        "etoken": (VOCABULARY, WIDTH), "eplace": (s.context, WIDTH), "glast": (WIDTH,), "blast": (WIDTH,),
        "whead": (WIDTH, VOCABULARY),
    }  # fmt: skip
    for i in range(LAYERS):
        for name, width in (("qkv", 3 * WIDTH), ("mix", WIDTH), ("up", 4 * WIDTH)):
            shapes |= {f"w{name}{i}": (WIDTH, width), f"b{name}{i}": (width,)}
        shapes |= {f"wdown{i}": (4 * WIDTH, WIDTH), f"bdown{i}": (WIDTH,)}
        shapes |= {f"{kind}{place}{i}": (WIDTH,) for kind in "gb" for place in ("attend", "think")}
    return data.parameters(shapes)


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


def training(s: Sizes, compiler: str) -> Case:
    optimizer = optimizers.adamw(3e-4, decay=0.01)
    trainer = Trainer(train_step(loss, optimizer), optimizer, initial(s), compiler=compiler)
    text = data.integers(VOCABULARY, s.text_batch, s.context + 1)
    x, y = nx.tensor(text[:, :-1]), nx.tensor(text[:, 1:])
    return Case(lambda: trainer(x, y))


def inference(s: Sizes, compiler: str) -> Case:
    function, p = jit(forward, compiler=compiler), {k: nx.tensor(v) for k, v in initial(s).items()}
    tokens = nx.tensor(data.integers(VOCABULARY, s.text_batch, s.context))
    return Case(lambda: function(p, tokens))


TABLE: Table = {
    "W5": {"native": partial(training, compiler="native")},
    "W5_inf": {"native": partial(inference, compiler="native")},
}
