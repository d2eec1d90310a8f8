"""Optimizers: compositions of updates, for gradients and parameters of any shapes and floating dtypes.

A learning rate is a number or a schedule: a function from the step (int32 [], from 0) to a number (float32 []). Numbers
may be scalars of NumPy, too, whose dtype does not count.
"""

from __future__ import annotations

from numbers import Real

from .names import guided
from .schedules import Schedule
from .updates import Update, add_decayed_weights, identity, scale, scale_by_adam, scale_by_schedule, trace

__all__ = ["adam", "adamw", "sgd"]

LearningRate = float | Schedule


_guided = guided(
    lr="learning_rate=",
    betas="b1= and b2=",
    beta_1="b1=",
    beta_2="b2=",
    epsilon="eps=",
    weight_decay="axon.optimizers.adamw(decay=...)",
    clipnorm="axon.updates.clip_by_global_norm(...) | optimizer",
)


def scale_by_learning_rate(learning_rate: LearningRate) -> Update:
    """The last step of an optimizer: against the gradient, by the learning rate."""
    if callable(learning_rate):
        return scale_by_schedule(learning_rate) | scale(-1.0)
    if isinstance(learning_rate, (str, bytes, type(None))):
        raise TypeError(f"learning_rate: expected a number or a schedule, got {learning_rate!r}; write 1e-3")
    if isinstance(learning_rate, Real) and not learning_rate >= 0:
        raise ValueError(f"learning_rate: expected a number of at least 0, got {learning_rate}; steps go downhill")
    return scale(-learning_rate)


@_guided
def sgd(learning_rate: LearningRate = 1e-2, *, momentum: float | None = None, nesterov: bool = False) -> Update:
    """Stochastic gradient descent, with momentum where given. Sutskever et al. 2013. Updates have the gradients' shapes
    and dtypes. ValueError for nesterov without momentum.

    >>> sgd(0.1, momentum=0.9)
    trace(decay=0.9, nesterov=False) | scale(-0.1)
    """
    if nesterov and momentum is None:
        raise ValueError("sgd: expected a momentum beside nesterov, got none; 0.9 is usual")
    before = identity() if momentum is None else trace(decay=momentum, nesterov=nesterov)
    return before | scale_by_learning_rate(learning_rate)


@_guided
def adam(
    learning_rate: LearningRate = 1e-3,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 1e-15,
) -> Update:
    """Adam. Kingma and Ba 2014. Updates have the gradients' shapes and dtypes. ValueError when b1 or b2 is not in
    [0, 1).

    >>> adam(0.01)
    scale_by_adam(b1=0.9, b2=0.999, eps=1e-08, eps_root=1e-15) | scale(-0.01)
    """
    return scale_by_adam(b1=b1, b2=b2, eps=eps, eps_root=eps_root) | scale_by_learning_rate(learning_rate)


@_guided
def adamw(
    learning_rate: LearningRate = 1e-3,
    *,
    decay: float = 0.0,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
) -> Update:
    """Adam with decoupled weight decay: each step also takes learning_rate * decay of every parameter away.
    Loshchilov and Hutter 2017. No decay unless you give one. Updates have the gradients' shapes and dtypes. ValueError
    when b1 or b2 is not in [0, 1).

    >>> adamw(0.01, decay=0.1)
    scale_by_adam(b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0) | add_decayed_weights(0.1) | scale(-0.01)
    """
    decayed = scale_by_adam(b1=b1, b2=b2, eps=eps, eps_root=eps_root) | add_decayed_weights(decay)
    return decayed | scale_by_learning_rate(learning_rate)
