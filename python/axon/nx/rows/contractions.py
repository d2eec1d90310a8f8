"""Contractions: dot_general is a row, the products of matrices and vectors are composed of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ...errors import ShapeError
from ..core.attributes import axes
from ..core.declare import operator
from ..core.functions import function
from ..core.lanes import Lanes, moved
from ..core.op import describe
from ..core.rules import Settled, axes_of, axis_of, broadcast_shapes, contraction, merged, names_of
from ..core.tensor import Tensor, TensorType
from .movement import broadcast_to, permute_dims, reshape

Axis = int | str | Sequence[int | str]
Axes = tuple[int, ...]
Pair = tuple[Axes, Axes]


def _free(ndim: int, *taken: Axes) -> Axes:
    return tuple(i for i in range(ndim) if not any(i in t for t in taken))


def _dot_shape(name: str, types: Sequence[TensorType], *, contract: Any, batch: Any) -> Settled:
    a, b = types
    if not all(isinstance(p, Sequence) and len(p) == 2 for p in (contract, batch)):
        raise ShapeError(
            f"{name}: expected pairs, axes of one operand and axes of the other, got contract {contract} and batch "
            f"{batch}; an empty one is ((), ())"
        )
    (ca, cb), (ba, bb) = [(axes_of(name, a, left), axes_of(name, b, right)) for left, right in (contract, batch)]
    pairs = [*zip(ca, cb), *zip(ba, bb)]
    if len(ca) != len(cb) or len(ba) != len(bb) or set(ca) & set(ba) or set(cb) & set(bb):
        raise ShapeError(
            f"{name}: expected axes in pairs, each once, got contract {contract} and batch {batch}; pair them"
        )
    if any(a.shape[i] != b.shape[j] for i, j in pairs):
        raise ShapeError(
            f"{name}: expected equal sizes along contract axes {ca} and {cb} and batch axes {ba} and {bb}, got "
            f"{describe(types)}; transpose one, or name other axes"
        )
    fa, fb = _free(a.ndim, ca, ba), _free(b.ndim, cb, bb)
    shape = (*(a.shape[i] for i in (*ba, *fa)), *(b.shape[i] for i in fb))
    names = None
    if a.names or b.names:
        an, bn = a.names or (None,) * a.ndim, b.names or (None,) * b.ndim
        for i, j in zip(ca, cb):
            merged(name, [TensorType(t.dtype, (1,), (n,)) for t, n in ((a, an[i]), (b, bn[j]))])
        shared = [
            merged(name, [TensorType(t.dtype, (1,), (n,)) for t, n in ((a, an[i]), (b, bn[j]))]) for i, j in zip(ba, bb)
        ]
        names = names_of(
            name, [*(n[0] if n else None for n in shared), *(an[i] for i in fa), *(bn[i] for i in fb)], shape
        )
    return shape, names, {"contract": (ca, cb), "batch": (ba, bb)}


def _dot_eager(xp: Any, a: Any, b: Any, contract: Pair, batch: Pair) -> Any:
    left, right, outer, inner = _orders(a.ndim, b.ndim, contract, batch)
    a, b, rows = a.transpose(left), b.transpose(right), len(left) - inner
    if outer + 1 == rows and inner == 1 and len(right) == len(left):
        return xp.matmul(a, b)
    lead, free, other = a.shape[:outer], a.shape[outer:rows], b.shape[outer + inner :]
    size = math.prod(a.shape[rows:])
    made = xp.matmul(a.reshape((*lead, math.prod(free), size)), b.reshape((*lead, size, math.prod(other))))
    return made.reshape((*lead, *free, *other))


@lru_cache
def _orders(left: int, right: int, contract: Pair, batch: Pair) -> tuple[Axes, Axes, int, int]:
    """For operands of these ranks the axes as batch, free, contracted, and as batch, contracted, free; how many are
    batch axes, and how many are contracted."""
    (ca, cb), (ba, bb) = contract, batch
    fa, fb = _free(left, ca, ba), _free(right, cb, bb)
    return (*ba, *fa, *ca), (*bb, *cb, *fb), len(ba), len(ca)


def _dot_vjp(g: Tensor, y: Tensor, a: Tensor, b: Tensor, *, contract: Pair, batch: Pair) -> tuple[Tensor, Tensor]:
    """A product over what the other operand has alone; then the axes go to their places."""
    (ca, cb), (ba, bb) = contract, batch
    fa, fb = _free(a.ndim, ca, ba), _free(b.ndim, cb, bb)
    n, m = len(ba), len(ba) + len(fa)
    outer, left, right = tuple(range(n)), tuple(range(n, m)), tuple(range(m, y.ndim))
    # dot_general's result has the other operand's contracted axes in rising order, paired here with this one's.
    ga = dot_general(g, b, contract=(right, fb), batch=(outer, bb))
    gb = dot_general(a, g, contract=(fa, left), batch=(ba, outer))
    a_places = (*ba, *fa, *(ca[cb.index(j)] for j in sorted(cb)))
    b_places = (*bb, *(cb[ca.index(i)] for i in sorted(ca)), *fb)
    return _placed(ga, a_places), _placed(gb, b_places)


def _dot_batch(lanes: Lanes, a: Tensor, b: Tensor, *, contract: Pair, batch: Pair) -> Tensor:
    """The lanes are batch axes where both operands have them. Where one has, they are a free axis of it: one product,
    whose result has them in front at once if that operand comes first, or the other has no free axes."""
    left, right = lanes.mapped
    (ca, cb), (ba, bb) = [(_next(p[0], left), _next(p[1], right)) for p in (contract, batch)]
    if left and right:
        return dot_general(a, b, contract=(ca, cb), batch=((0, *ba), (0, *bb)))
    fa, fb = _free(a.ndim, ca, ba), _free(b.ndim, cb, bb)
    if right and len(fb) == 1:
        return moved(dot_general(b, a, contract=(cb, ca), batch=(bb, ba)), len(bb), 0)
    return moved(dot_general(a, b, contract=(ca, cb), batch=(ba, bb)), len(ba) + (0 if left else len(fa)), 0)


def _next(axes: Axes, mapped: bool) -> Axes:
    return tuple([a + 1 for a in axes]) if mapped else axes


def _placed(x: Tensor, places: Axes) -> Tensor:
    """x with its i-th axis moved to places[i]."""
    order = tuple(places.index(i) for i in range(len(places)))
    return x if order == tuple(range(len(order))) else permute_dims(x, order)


@contraction(
    attributes={"contract": axes, "batch": axes},
    shape=_dot_shape,
    eager=_dot_eager,
    vjp=_dot_vjp,
    batch=_dot_batch,
    extern="gemm",
)
def dot_general(
    a: Tensor,
    b: Tensor,
    /,
    *,
    contract: tuple[Axis, Axis],
    batch: tuple[Axis, Axis] = ((), ()),
) -> Tensor:
    """Sum of products over pairs of contracted axes, for each pair of batch axes: shape batch + free a + free b.

    bfloat16 and float16 are summed in float32.

    >>> nx.dot_general(nx.ones((2, 3)), nx.ones((4, 3)), contract=([1], [1])).shape
    (2, 4)
    """
    ...


@operator("matmul", reflected=True)
@function(method=True)
def matmul(a: Tensor, b: Tensor, /) -> Tensor:
    """Matrix product over the last two axes; leading axes broadcast; a vector has no row or column axis.

    >>> nx.matmul(nx.ones((2, 3)), nx.ones((3, 4))).shape
    (2, 4)
    """
    if not a.ndim or not b.ndim:
        raise ShapeError(f"matmul: expected operands with axes, got {describe((a.type, b.type))}; multiply by scalars")
    _check_inner("matmul", a, b)
    if a.ndim == 1 or b.ndim <= 2:
        if b.ndim == 1:
            return dot_general(a, b, contract=((-1,), (0,)))
        return dot_general(a, b, contract=((-1,), (-2,)))
    if a.ndim == 2:
        y = dot_general(b, a, contract=((-2,), (-1,)))
        return permute_dims(y, (*range(y.ndim - 2), y.ndim - 1, y.ndim - 2))
    leads = [TensorType(x.dtype, x.shape[:-2]) for x in (a, b)]
    lead = broadcast_shapes("matmul", leads)
    a, b = (x if x.shape[:-2] == lead else broadcast_to(x, (*lead, *x.shape[-2:])) for x in (a, b))
    outer = tuple(range(len(lead)))
    return dot_general(a, b, contract=((-1,), (-2,)), batch=(outer, outer))


def _check_inner(name: str, a: Tensor, b: Tensor) -> None:
    if a.shape[-1] != b.shape[-min(b.ndim, 2)]:
        raise ShapeError(
            f"{name}: expected equal sizes of the first's last axis and the second's last but one, or only one, got "
            f"{describe((a.type, b.type))}; transpose one"
        )


@function(method=True)
def tensordot(a: Tensor, b: Tensor, /, *, axes: int | tuple[Axis, Axis] = 2) -> Tensor:
    """Sum of products over the last `axes` axes of a and the first of b, or over pairs of axes.

    >>> nx.tensordot(nx.ones((2, 3)), nx.ones((3, 4)), axes=1).shape
    (2, 4)
    """
    if isinstance(axes, int):
        if not 0 <= axes <= min(a.ndim, b.ndim):
            raise ShapeError(
                f"tensordot: expected 0 <= axes <= ranks, got {axes} for {describe((a.type, b.type))}; fewer"
            )
        return dot_general(a, b, contract=(range(a.ndim - axes, a.ndim), range(axes)))
    return dot_general(a, b, contract=axes)


@function(method=True)
def vecdot(a: Tensor, b: Tensor, /, axis: int = -1) -> Tensor:
    """Sum of products along one axis; the others broadcast.

    >>> nx.vecdot(nx.ones((2, 3)), nx.ones(3))
    float32[2] [3., 3.]
    """
    shape = broadcast_shapes("vecdot", [a.type, b.type])
    i = axis_of("vecdot", TensorType(a.dtype, shape), axis)
    a, b = (x if x.shape == shape else broadcast_to(x, shape) for x in (a, b))
    outer = _free(len(shape), (i,))
    return dot_general(a, b, contract=((i,), (i,)), batch=(outer, outer))


@function(method=True)
def outer(a: Tensor, b: Tensor, /) -> Tensor:
    """Products of all elements of one with all of the other.

    >>> nx.outer(nx.ones(2), nx.ones(3)).shape
    (2, 3)
    """
    return reshape(a, (-1, 1)) * reshape(b, (1, -1))


@function(method=True)
def dot(a: Tensor, b: Tensor, /) -> Tensor:
    """Product of numbers, vectors or matrices: the last axis of a with the last but one, or only one, of b.

    >>> nx.dot(nx.ones(3), nx.ones(3))
    float32[] 3.
    """
    if not a.ndim or not b.ndim:
        return a * b
    _check_inner("dot", a, b)
    return dot_general(a, b, contract=(-1, -min(b.ndim, 2)))
