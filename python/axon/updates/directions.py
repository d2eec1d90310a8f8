"""Steps that look at a tensor, or at all of them, as a whole: limits, norms and means."""

from __future__ import annotations

import functools

from .. import nx, tree
from ..nx import Tensor
from .numbers import check_least, each, squares, times
from .pipeline import Tree, Update, combinator, stateless


@combinator
def clip(delta: float = 2.0) -> Update:
    """Keep every element of updates of any shapes within [-delta, delta]. ValueError when delta is negative.

    >>> clip(1.0).update({"w": nx.tensor([0.5, -3.0])}, (), {})[0]
    {'w': float32[2] [ 0.5, -1. ]}
    """
    check_least("clip", delta=delta)
    return stateless(lambda updates, params: each(lambda u: nx.clip(u, -delta, delta), updates))


@combinator
def clip_by_global_norm(max_norm: float = 1.0) -> Update:
    """Scale all updates together so that their common 2-norm is at most max_norm. Pascanu et al. 2012.

    Updates may be of any shapes; they keep their dtypes. ValueError when max_norm is negative.

    >>> clip_by_global_norm(1.0).update({"a": nx.tensor(3.0), "b": nx.tensor(4.0)}, (), {})[0]
    {'a': float32[] 0.6, 'b': float32[] 0.8}
    """
    check_least("clip_by_global_norm", max_norm=max_norm)

    def apply(updates: Tree, params: Tree) -> Tree:
        norm = nx.sqrt(functools.reduce(nx.add, map(squares, tree.leaves(updates)), nx.zeros(())))
        factor = max_norm / nx.maximum(norm, max_norm)
        return each(lambda u: times(u, factor), updates)

    return stateless(apply)


@combinator
def scale_by_trust_ratio(*, min_norm: float = 0.0, trust_coefficient: float = 1.0, eps: float = 0.0) -> Update:
    """Multiply each tensor of the updates by trust_coefficient * |parameter| / (|update| + eps), 2-norms of the whole
    tensors of at least min_norm; by 1 where either norm is 0, so that what began as zeros moves. You et al. 2017.

    Updates have the shapes of their parameters and keep their dtypes. ValueError when min_norm or eps is negative.

    >>> params, updates = {"w": nx.tensor([6.0, 8.0])}, {"w": nx.tensor([0.0, 2.0])}
    >>> scale_by_trust_ratio().update(updates, (), params)[0]
    {'w': float32[2] [ 0., 10.]}
    """
    check_least("scale_by_trust_ratio", min_norm=min_norm, eps=eps)

    def scaled(u: Tensor, p: Tensor) -> Tensor:
        size, step = (nx.maximum(nx.sqrt(squares(t)), min_norm) for t in (p, u))
        ratio = trust_coefficient * size / nx.where(step > 0, step + eps, 1)
        return times(u, nx.where((size > 0) & (step > 0), ratio, 1))

    return stateless(lambda updates, params: each(scaled, updates, params))


@combinator
def centralize(*, axis: int = -1) -> Update:
    """Subtract from each tensor of rank 2 or more its mean over all axes but one, that of the layer's outputs: the
    last one, as Axon's kernels have it. Yong et al. 2020. So the paper has it; optax and Polaris, too, for kernels
    that have the outputs first (axis=0).

    Vectors and scalars stay as they are; updates keep their dtypes. ValueError when a tensor has no such axis.

    >>> centralize().update(nx.tensor([[1.0, 2.0], [3.0, 6.0]]), (), nx.zeros((2, 2)))[0]
    float32[2,2]
    [[-1., -2.],
     [ 1.,  2.]]
    """

    def centred(u: Tensor) -> Tensor:
        if u.ndim < 2:
            return u
        if not -u.ndim <= axis < u.ndim:
            raise ValueError(f"centralize: expected an axis of {u.type}, got {axis}; the outputs' is -1 or 0")
        rest = tuple(i for i in range(u.ndim) if i != axis % u.ndim)
        return u - nx.mean(u, axis=rest, keepdims=True)

    return stateless(lambda updates, params: each(centred, updates))
