"""Convolutions and their gradients, which are one symbol with a direction."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ...graph.expr import Node
from .step import Ints, Library, same_number

FORWARD, INPUT_GRADIENT, KERNEL_GRADIENT = range(3)
NAMES = ("conv", "conv input gradient", "conv kernel gradient")


def direction(node: Node) -> int:
    """Forward, or a gradient: which one follows from the attributes its row has."""
    if "input_shape" in node.attrs:
        return INPUT_GRADIENT
    return KERNEL_GRADIENT if "kernel_shape" in node.attrs else FORWARD


def convolution(node: Node) -> Ints:
    """dtype, direction, rank, batch, channels in and out, groups; then sizes by axis, and whether there is a bias."""
    a, b, out = node.inputs[0].type.shape, node.inputs[1].type.shape, node.types[0].shape
    which = direction(node)
    x, kernel, y = ((a, b, out), (out, b, a), (a, out, b))[which]
    attrs, rank = node.attrs, len(x) - 2
    low, high = zip(*attrs["padding"])
    return (
        node.types[0].dtype.code, which, rank, x[0], x[-1], y[-1], attrs["groups"],
        *x[1:-1], *kernel[:rank], *y[1:-1], *attrs["strides"], *low, *high,
        *attrs["input_dilation"], *attrs["kernel_dilation"], 0,
    )  # fmt: skip


def sizes(ints: Ints) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """The sizes of the input, the kernel and the output, by spatial axis."""
    rank, rest = ints[2], ints[7:]
    return rest[:rank], rest[rank : 2 * rank], rest[2 * rank : 3 * rank]


def work(ints: Ints) -> float:
    _, _, _, batch, channels, features, groups, *_ = ints
    _, kernel, output = sizes(ints)
    return 2.0 * batch * features * channels // groups * prod(kernel) * prod(output)


def text(ints: Ints) -> str:
    _, which, _, batch, channels, features, *_ = ints
    image, kernel, _ = sizes(ints)
    return f"{NAMES[which]} {'x'.join(map(str, (batch, *image, channels)))} to {features}, {'x'.join(map(str, kernel))}"


CONV = Library(
    symbol="conv",
    takes=same_number,
    ints=convolution,
    bias=lambda node: node.types[0].shape[-1] if direction(node) == FORWARD else None,
    work=work,
    text=text,
)
