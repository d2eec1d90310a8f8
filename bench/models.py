"""What the trained models are made of, for every framework alike: the names, shapes and first values of parameters.

Weights (w...) are scaled by He's rule, embeddings (e...) small, biases (b...) zero, scales (g...) one. The last axis of
a weight is its output.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .data import CLASSES, SYMBOLS, VOCABULARY, Array, Sizes, normal

Parameters = dict[str, Array]
Shape = tuple[int, ...]


def parameters(shapes: dict[str, Shape]) -> Parameters:
    """One array a name."""
    random = np.random.default_rng(1)
    made = {}
    for name, shape in shapes.items():
        if name[0] in "bg":
            made[name] = np.full(shape, name[0] == "g", np.float32)
        else:
            width = 0.02 if name[0] == "e" else math.sqrt(2 / math.prod(shape[:-1]))
            made[name] = random.standard_normal(shape, dtype=np.float32) * np.float32(width)
    return made


def mlp(s: Sizes) -> Parameters:
    return parameters({"w1": (s.pixels, s.hidden), "b1": (s.hidden,), "w2": (s.hidden, CLASSES), "b2": (CLASSES,)})


def cnn(s: Sizes) -> Parameters:
    flat = (s.side // 4) ** 2 * 64
    shapes: dict[str, Shape] = {}
    for i, (taken, given) in enumerate([(3, 32), (32, 32), (32, 64), (64, 64)], 1):
        shapes |= {f"w{i}": (3, 3, taken, given), f"b{i}": (given,)}
    return parameters({**shapes, "w5": (flat, 128), "b5": (128,), "w6": (128, CLASSES), "b6": (CLASSES,)})


# ResNet-18 (He et al. 2015)


class Unit(NamedTuple):
    """A convolution, padded to keep the size, with its batch norm."""

    name: str
    size: int
    taken: int
    given: int
    stride: int = 1


class Block(NamedTuple):
    """Two units around which the input, or its projection, is added."""

    first: Unit
    second: Unit
    projection: Unit | None


def _blocks() -> list[Block]:
    blocks, taken = [], 64
    for stage, given in enumerate((64, 128, 256, 512)):
        for place in (0, 1):
            name, stride = f"{stage}{place}", 2 if stage and not place else 1
            shortcut = Unit(f"w{name}p", 1, taken, given, stride) if taken != given else None
            blocks.append(
                Block(Unit(f"w{name}a", 3, taken, given, stride), Unit(f"w{name}b", 3, given, given), shortcut)
            )
            taken = given
    return blocks


BLOCKS = _blocks()
STEMS = {"large": Unit("w", 7, 3, 64, 2), "small": Unit("w", 3, 3, 64)}  # the large one with a max pool after it


def resnet(stem: str, classes: int) -> tuple[Parameters, dict[str, tuple[Array, Array]]]:
    """Parameters, and the running mean and variance of each unit."""
    units = [STEMS[stem], *(unit for block in BLOCKS for unit in block if unit is not None)]
    shapes: dict[str, Shape] = {"wlast": (512, classes), "blast": (classes,)}
    for u in units:
        shapes |= {u.name: (u.size, u.size, u.taken, u.given), f"g{u.name}": (u.given,), f"b{u.name}": (u.given,)}
    running = {u.name: (np.zeros(u.given, np.float32), np.ones(u.given, np.float32)) for u in units}
    return parameters(shapes), running


# LSTM (Hochreiter and Schmidhuber 1997): symbols embedded, one layer, symbols again. Gates: input, forget, cell, output

EMBEDDED = 64


def lstm(s: Sizes) -> Parameters:
    return parameters({
        "esymbol": (SYMBOLS, EMBEDDED), "wtaken": (EMBEDDED, 4 * s.cells), "wkept": (s.cells, 4 * s.cells),
        "bgates": (4 * s.cells,), "wlast": (s.cells, SYMBOLS), "blast": (SYMBOLS,),
    })  # fmt: skip


# A decoder-only transformer: pre-layer-norm, learned positions, causal attention, tanh-GELU, an untied head

LAYERS, WIDTH, HEADS = 4, 256, 4


def decoder(s: Sizes) -> Parameters:
    shapes: dict[str, Shape] = {
        "etoken": (VOCABULARY, WIDTH), "eplace": (s.context, WIDTH), "glast": (WIDTH,), "blast": (WIDTH,),
        "whead": (WIDTH, VOCABULARY),
    }  # fmt: skip
    for i in range(LAYERS):
        for name, width in (("qkv", 3 * WIDTH), ("mix", WIDTH), ("up", 4 * WIDTH)):
            shapes |= {f"w{name}{i}": (WIDTH, width), f"b{name}{i}": (width,)}
        shapes |= {f"wdown{i}": (4 * WIDTH, WIDTH), f"bdown{i}": (WIDTH,)}
        shapes |= {f"{kind}{place}{i}": (WIDTH,) for kind in "gb" for place in ("attend", "think")}
    return parameters(shapes)


# Adam alone


def vectors(s: Sizes, many: bool) -> tuple[list[Array], list[Array]]:
    """Parameters and their gradients: one tensor, or `s.tensors` that are as many numbers together."""
    sizes = [s.parameters // s.tensors] * s.tensors if many else [s.parameters]
    return [normal(n, seed=i) for i, n in enumerate(sizes)], [normal(n, seed=1000 + i) for i, n in enumerate(sizes)]
