"""Tensors of a shape: filled with one value; and the parts of matrices about a diagonal.

device: the backend a tensor is made on, by name; unless given, that of the tensors at hand, or the default one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..dtypes import DTypeLike, float32
from ..errors import ShapeError
from .core.convert import convert
from .core.functions import function
from .core.rules import integer, shape_of
from .core.tensor import Tensor
from .creation import iota
from .rows.conversion import astype, where
from .rows.logic import equal, greater_equal
from .rows.movement import broadcast_to


@function
def full(
    shape: int | Sequence[int], fill_value: Any, dtype: DTypeLike | None = None, *, device: str | None = None
) -> Tensor:
    """A tensor with every element the same value.

    >>> nx.full((2,), 1.5)
    float32[2] [1.5, 1.5]
    """
    return broadcast_to(convert("full", fill_value, dtype), shape_of("full", shape))


def zeros(shape: int | Sequence[int], dtype: DTypeLike | None = None, *, device: str | None = None) -> Tensor:
    """A tensor of zeros, float32 unless another dtype is given.

    >>> nx.zeros(2)
    float32[2] [0., 0.]
    """
    return full(shape, 0.0, dtype, device=device)


def ones(shape: int | Sequence[int], dtype: DTypeLike | None = None, *, device: str | None = None) -> Tensor:
    """A tensor of ones, float32 unless another dtype is given.

    >>> nx.ones(2)
    float32[2] [1., 1.]
    """
    return full(shape, 1.0, dtype, device=device)


def empty(shape: int | Sequence[int], dtype: DTypeLike | None = None, *, device: str | None = None) -> Tensor:
    """A tensor whose values do not matter: zeros.

    >>> nx.empty(2).shape
    (2,)
    """
    return zeros(shape, dtype, device=device)


def _like(make: Callable[..., Tensor], *fill: Any) -> Callable[..., Tensor]:
    """The variant of a creation function that takes shape, dtype and device from a tensor."""

    def like(x: Tensor, /, *args: Any, dtype: DTypeLike | None = None, **options: Any) -> Tensor:
        return make(x.shape, *args, dtype=x.dtype if dtype is None else dtype, **options)

    like.__name__ = like.__qualname__ = f"{make.__name__}_like"
    like.__doc__ = f"""`{make.__name__}` with the shape, and unless given the dtype and device, of a tensor.

    >>> nx.{like.__name__}({", ".join(["nx.arange(3)", *map(str, fill)])}).type == nx.template(3, "int32")
    True
    """
    return function(like)


full_like = _like(full, 7)
zeros_like = _like(zeros)
ones_like = _like(ones)
empty_like = _like(empty)


@function
def eye(
    rows: int,
    columns: int | None = None,
    /,
    *,
    k: int = 0,
    dtype: DTypeLike | None = None,
    device: str | None = None,
) -> Tensor:
    """A matrix with ones on the k-th diagonal and zeros elsewhere, float32 unless another dtype is given.

    >>> nx.eye(2)
    float32[2,2]
    [[1., 0.],
     [0., 1.]]
    """
    shape = shape_of("eye", (rows, rows if columns is None else columns))
    return astype(equal(iota(shape, 0) + integer("eye", "k", k), iota(shape, 1)), float32 if dtype is None else dtype)


@function(method=True)
def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The last two axes with zeros above the k-th diagonal.

    >>> nx.tril(nx.ones((2, 2)))
    float32[2,2]
    [[1., 0.],
     [1., 1.]]
    """
    return where(_up_to("tril", x, k), x, False)


@function(method=True)
def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The last two axes with zeros below the k-th diagonal.

    >>> nx.triu(nx.ones((2, 2)))
    float32[2,2]
    [[1., 1.],
     [0., 1.]]
    """
    return where(_up_to("triu", x, k - 1), False, x)


def _up_to(name: str, x: Tensor, k: int) -> Tensor:
    """Which places of the last two axes are on or below the k-th diagonal."""
    if x.ndim < 2:
        raise ShapeError(f"{name}: expected a matrix or a stack of them, got {x.type}; give it the axes with reshape")
    shape = x.shape[-2:]
    return greater_equal(iota(shape, 0) + integer(name, "k", k), iota(shape, 1))
