"""What is measured, for every framework alike: the workloads, their sizes and their inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Sizes(NamedTuple):
    """Every size that a workload is made of; FULL is what is measured, SMALL what the tests compare."""

    batch: int = 32  # MLP
    pixels: int = 784
    hidden: int = 128
    samples: int = 60_000
    images: int = 64  # CNN: a batch of side x side x 3
    side: int = 32
    elements: int = 1 << 24  # arrays
    many_elements: int = 1 << 26
    rows: int = 4096
    parameters: int = 10_000_000  # optimizers
    tensors: int = 100
    matrix: int = 2048  # the largest of the matrix products
    filters: int = 64  # convolution: 8 images
    map_side: int = 56
    residual_batch: int = 32  # residual network
    residual_side: int = 224
    lines: int = 32  # recurrent network
    positions: int = 64
    cells: int = 256
    text_batch: int = 8  # decoder
    context: int = 128


FULL = Sizes()
SMALL = Sizes(
    batch=8, pixels=12, hidden=16, samples=40, images=4, side=8, elements=5000, many_elements=9000, rows=48,
    parameters=2000, tensors=4, matrix=64, filters=8, map_side=6, residual_batch=2, residual_side=32, lines=3,
    positions=5, cells=16, text_batch=2, context=16,
)  # fmt: skip
CLASSES, IMAGE_CLASSES = 10, 1000
SYMBOLS, VOCABULARY = 96, 512  # of the recurrent network, of the decoder
LOOPS = {  # training steps in a call, in the modes that loop
    "W1": 100, "W2": 10, "W3_train": 2, "W4": 5, "W4_512": 2, "W5": 5, "W7_one10M": 10, "W7_100x100k": 10,
}  # fmt: skip


class Workload(NamedTuple):
    """A line of the table. `independent`: calls do not feed each other, so each is waited for. `work`: operations or
    bytes of the definition (a multiply-add is two), from which a rate follows."""

    title: str
    unit: str
    independent: bool = False
    work: float = 0
    rate: str = ""


PRODUCTS = {
    "W8_mm2048": (2048, 2048, 2048), "W8_mm512": (512, 512, 512), "W8_mm64": (64, 64, 64),
    "W8_mm32x784x128": (32, 784, 128), "W8_mm2048_bf16": (2048, 2048, 2048),
}  # fmt: skip


def _product(name: str, m: int, k: int, n: int) -> Workload:
    title = f"matrix product {m}x{k} . {k}x{n}{', bfloat16' if name.endswith('bf16') else ''}"
    return Workload(title, "us" if m < 512 else "ms", True, 2 * m * k * n, "GFLOP/s")


_IMAGE_FLOPS = 3.63e9  # one 224x224 image through ResNet-18
_SMALL_IMAGE_FLOPS = 1.1112e9  # one 32x32 image through ResNet-18 with the small stem
_RECURRENT_FLOPS = 2 * 2048 * (320 * 1024 + 256 * 96)
_DECODER_FLOPS = 2 * 1024 * (4 * 12 * 256 * 256 + 256 * 512) + 16 * 8 * 128 * 128 * 256

WORKLOADS = {
    "W1": Workload("MLP 784-128-10, batch 32: train step", "us"),
    "W1b": Workload("MLP: epoch of 1,875 batches from NumPy", "s"),
    "W2": Workload("CNN, batch 64: train step", "ms"),
    "W3_inf_b1": Workload("ResNet-18 inference, 1 image", "ms", True, _IMAGE_FLOPS, "GFLOP/s"),
    "W3_inf_b8": Workload("ResNet-18 inference, 8 images", "ms", True, 8 * _IMAGE_FLOPS, "GFLOP/s"),
    "W3_train": Workload("ResNet-18 on 32x32, batch 32: train step", "ms", False, 96 * _SMALL_IMAGE_FLOPS, "GFLOP/s"),
    "W4": Workload("LSTM of 256 over 64 positions, batch 32: train step", "ms", False, 3 * _RECURRENT_FLOPS, "GFLOP/s"),
    "W4_512": Workload(
        "the same LSTM over 512 positions: train step", "ms", False, 8 * 3 * _RECURRENT_FLOPS, "GFLOP/s"
    ),
    "W5": Workload("decoder, 4 layers of 256, batch 8 x 128: train step", "ms", False, 3 * _DECODER_FLOPS, "GFLOP/s"),
    "W5_inf": Workload("decoder: forward", "ms", True, _DECODER_FLOPS, "GFLOP/s"),
    "W6": Workload("chain of 12 elementwise ops, 16M", "ms", True, 2 * 4 * FULL.elements, "GB/s"),
    "W6b": Workload("softmax over rows, 4096x4096", "ms", True, 2 * 4 * FULL.rows**2, "GB/s"),
    "W6c": Workload("layer norm over rows, 4096x4096", "ms", True, 2 * 4 * FULL.rows**2, "GB/s"),
    "W6d": Workload("sum of squares, 64M", "ms", True, 4 * FULL.many_elements, "GB/s"),
    "W6e": Workload("sum over axis 0, 4096x4096", "ms", True, 4 * FULL.rows**2, "GB/s"),
    "W6f": Workload("add a transpose, 4096x4096", "ms", True, 3 * 4 * FULL.rows**2, "GB/s"),
    "W7_one10M": Workload("Adam, one tensor of 10M", "ms", False, 7 * 4 * FULL.parameters, "GB/s"),
    "W7_100x100k": Workload("Adam, 100 tensors of 100k", "ms", False, 7 * 4 * FULL.parameters, "GB/s"),
    **{name: _product(name, *sizes) for name, sizes in PRODUCTS.items()},
    "W8_conv": Workload(
        "convolution 3x3, 64 to 64, 8 x 56x56", "ms", True, 2 * 8 * FULL.map_side**2 * FULL.filters**2 * 9, "GFLOP/s"
    ),
    "W9_dispatch": Workload("scalar x + 1: one call", "us"),
}
EPOCH = FULL.samples // FULL.batch  # batches


@dataclass
class Case:
    """A workload as a framework builds it: `call` does it once; `wait` blocks until its result is there.

    `steps`: training steps in a call; times are given a step, but an epoch's. `whole`: a call is a block of its own.
    """

    call: Callable[[], Any]
    wait: Callable[[Any], Any] = lambda result: None
    steps: int = 1
    whole: bool = False


Builder = Callable[[Sizes], Case]
Table = dict[str, dict[str, Builder]]


def epoch(s: Sizes, step: Callable[[Any, Any], Any], wait: Callable[[Any], Any] = lambda result: None) -> Case:
    """A step a batch of W1b, whose batches are slices of NumPy arrays; the result is the last loss."""
    x, y = BATCHES["W1b"](s)

    def call() -> Any:
        loss = None
        for i in range(0, s.samples, s.batch):
            loss = step(x[i : i + s.batch], y[i : i + s.batch])
        return loss

    return Case(call, wait, whole=True)


# Inputs


def normal(*shape: int, seed: int = 0) -> Array:
    """float32 from the standard normal distribution."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def integers(bound: int, *shape: int, seed: int = 0) -> Array:
    """int32 from 0 up to a bound."""
    return np.random.default_rng(seed).integers(0, bound, shape).astype(np.int32)


def following(bound: int, lines: int, positions: int) -> tuple[Array, Array]:
    """Lines of symbols, and at each position the symbol that follows."""
    text = integers(bound, lines, positions + 1)
    return text[:, :-1], text[:, 1:]


BATCHES: dict[str, Callable[[Sizes], tuple[Array, ...]]] = {  # what a step takes besides its state
    "W1": lambda s: (normal(s.batch, s.pixels), integers(CLASSES, s.batch)),
    "W1b": lambda s: (normal(s.samples, s.pixels), integers(CLASSES, s.samples)),
    "W2": lambda s: (normal(s.images, s.side, s.side, 3), integers(CLASSES, s.images)),
    "W3_inf_b1": lambda s: (normal(1, s.residual_side, s.residual_side, 3),),
    "W3_inf_b8": lambda s: (normal(8, s.residual_side, s.residual_side, 3),),
    "W3_train": lambda s: (normal(s.residual_batch, 32, 32, 3), integers(CLASSES, s.residual_batch)),
    "W4": lambda s: following(SYMBOLS, s.lines, s.positions),
    "W4_512": lambda s: following(SYMBOLS, s.lines, 8 * s.positions),
    "W5": lambda s: following(VOCABULARY, s.text_batch, s.context),
    "W5_inf": lambda s: (integers(VOCABULARY, s.text_batch, s.context),),
}


Shapes = list[tuple[int, ...]]


def _product_shapes(s: Sizes, sizes: tuple[int, int, int]) -> Shapes:
    m, k, n = (max(size * s.matrix // FULL.matrix, 1) for size in sizes)
    return [(m, k), (k, n)]


OPERANDS: dict[str, Callable[[Sizes], Shapes]] = {  # of the workloads that are functions of arrays
    "W6": lambda s: [(s.elements,)],
    "W6b": lambda s: [(s.rows, s.rows)],
    "W6c": lambda s: [(s.rows, s.rows), (s.rows,), (s.rows,)],
    "W6d": lambda s: [(s.many_elements,)],
    "W6e": lambda s: [(s.rows, s.rows)],
    "W6f": lambda s: [(s.rows, s.rows), (s.rows, s.rows)],
    **{name: partial(_product_shapes, sizes=sizes) for name, sizes in PRODUCTS.items()},
    "W8_conv": lambda s: [(8, s.map_side, s.map_side, s.filters), (3, 3, s.filters, s.filters)],
    "W9_dispatch": lambda s: [()],
}


def operands(name: str, s: Sizes) -> list[Array]:
    """float32 arrays, each with a seed of its own."""
    return [normal(*shape, seed=i) for i, shape in enumerate(OPERANDS[name](s))]
