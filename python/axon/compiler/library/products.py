"""Products of matrices: dot_general over operands whose batch, free and contracted axes each merge into one."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from ...graph.expr import Node
from ..decompose import dot_axes, merged_stride
from .step import Ints, Library, same_number


class Product(NamedTuple):
    """The ints of a step: strides are those of (batch, row, column) of each operand; `bias` is whether there is one."""

    dtype: int
    batch: int
    m: int
    n: int
    k: int
    a_batch: int
    a_row: int
    a_column: int
    b_batch: int
    b_row: int
    b_column: int
    bias: int = 0


def product(node: Node) -> Product:
    """The ints of a dot."""
    shapes = [v.type.shape for v in node.inputs]
    groups = [dot_axes(s, c, b) for s, c, b in zip(shapes, node.attrs["contract"], node.attrs["batch"])]
    batch, free, inner = groups[0]
    m, k = prod(shapes[0][i] for i in free), prod(shapes[0][i] for i in inner)
    n = prod(shapes[1][i] for i in groups[1][1])
    count = prod(shapes[0][i] for i in batch)
    a = [merged_stride(shapes[0], g) for g in (batch, free, inner)]
    b = [merged_stride(shapes[1], g) for g in (groups[1][0], groups[1][2], groups[1][1])]
    return Product(node.types[0].dtype.code, count, m, n, k, *a, *b)


def work(ints: Ints) -> float:
    p = Product(*ints)
    return 2.0 * p.batch * p.m * p.n * p.k


def text(ints: Ints) -> str:
    p = Product(*ints)
    return f"gemm {p.m}x{p.k} . {p.k}x{p.n}" + (f", {p.batch} of them" if p.batch > 1 else "")


GEMM = Library(
    symbol="gemm",
    takes=same_number,
    ints=product,
    bias=lambda node: product(node).n,
    work=work,
    text=text,
)
