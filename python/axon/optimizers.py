"""Optimizers: compositions of updates, for gradients and parameters of any shapes and floating dtypes.

A learning rate is a number or a schedule: a function from the step (int32 [], from 0) to a number (float32 []). Numbers
may be scalars of NumPy, too, whose dtype does not count. It is in the optimizer's state: `updates.with_rate` sets it.
"""

from __future__ import annotations

from functools import partial

from .names import guided
from .nx import Tensor
from .schedules import Schedule
from .updates import (
    Update,
    add_decayed_weights,
    add_noise,
    identity,
    scale_by_adam,
    scale_by_belief,
    scale_by_learning_rate,
    scale_by_radam,
    scale_by_rms,
    scale_by_rss,
    scale_by_stddev,
    scale_by_trust_ratio,
    scale_by_yogi,
    trace,
)

__all__ = [
    "adabelief", "adagrad", "adam", "adamw", "fromage", "lamb", "noisy_sgd", "radam", "rmsprop", "sgd", "yogi",
]  # fmt: skip

LearningRate = float | Schedule


_guide = partial(guided, clipnorm="axon.updates.clip_by_global_norm(...) | optimizer")
_guided = _guide(weight_decay="axon.optimizers.adamw(decay=...)")
_guided_with_decay = _guide()


def _momentum(name: str, momentum: float | None, nesterov: bool) -> Update:
    if nesterov and momentum is None:
        raise ValueError(f"{name}: expected a momentum beside nesterov, got none; 0.9 is usual")
    return identity() if momentum is None else trace(decay=momentum, nesterov=nesterov)


@_guided
def sgd(learning_rate: LearningRate = 1e-2, *, momentum: float | None = None, nesterov: bool = False) -> Update:
    """Stochastic gradient descent, with momentum where given. Sutskever et al. 2013. Updates have the gradients' shapes
    and dtypes. ValueError for nesterov without momentum.

    >>> sgd(0.1, momentum=0.9)
    trace(decay=0.9, nesterov=False) | scale_by_learning_rate(0.1)
    """
    return _momentum("sgd", momentum, nesterov) | scale_by_learning_rate(learning_rate)


@_guided
def noisy_sgd(
    learning_rate: LearningRate = 1e-2, *, eta: float = 0.01, gamma: float = 0.55, key: Tensor | int = 0
) -> Update:
    """Stochastic gradient descent with normal noise, of the variance eta / step**gamma, added to the gradients before
    the learning rate. Neelakantan et al. 2015. So the paper and optax have it; Polaris adds it after.

    The key, an int to make one of or a key of nx.random, makes the noise. Updates have the gradients' shapes and
    dtypes. ValueError when eta is negative.

    >>> noisy_sgd(0.1, key=7)
    add_noise(eta=0.01, gamma=0.55, key=7) | scale_by_learning_rate(0.1)
    """
    return add_noise(eta=eta, gamma=gamma, key=key) | scale_by_learning_rate(learning_rate)


@_guided
def adam(
    learning_rate: LearningRate = 1e-3,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 1e-15,
) -> Update:
    """Adam. Kingma and Ba 2014. Updates have the gradients' shapes and dtypes. ValueError when b1 or b2 is not in [0,
    1) or eps or eps_root is negative.

    >>> adam(0.01)
    scale_by_adam(b1=0.9, b2=0.999, eps=1e-08, eps_root=1e-15) | scale_by_learning_rate(0.01)
    """
    return scale_by_adam(b1=b1, b2=b2, eps=eps, eps_root=eps_root) | scale_by_learning_rate(learning_rate)


@_guided_with_decay
def adamw(
    learning_rate: LearningRate = 1e-3,
    *,
    decay: float | Schedule = 0.0,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
) -> Update:
    """Adam with decoupled weight decay: each step also takes learning_rate * decay of every parameter away. Loshchilov
    and Hutter 2017. No decay unless you give one, a number or a schedule. Updates have the gradients' shapes and
    dtypes. ValueError when b1 or b2 is not in [0, 1) or eps or eps_root is negative.

    >>> adamw(0.01, decay=0.1)
    scale_by_adam(b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0) | add_decayed_weights(0.1) | scale_by_learning_rate(0.01)
    """
    decayed = scale_by_adam(b1=b1, b2=b2, eps=eps, eps_root=eps_root) | add_decayed_weights(decay)
    return decayed | scale_by_learning_rate(learning_rate)


@_guided_with_decay
def lamb(
    learning_rate: LearningRate = 1e-2,
    *,
    decay: float | Schedule = 0.0,
    min_norm: float = 0.0,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
) -> Update:
    """Adam with decoupled weight decay, whose step for each tensor is as long as the tensor, times the learning rate:
    for large batches. You et al. 2019. min_norm is the least norm of either. eps is Axon's; the paper and optax have
    1e-6. Updates have the gradients' shapes and dtypes. ValueError when b1 or b2 is not in [0, 1) or eps, eps_root or
    min_norm is negative.

    >>> print(*str(lamb(0.01, decay=0.1)).split(" | "), sep="\\n")
    scale_by_adam(b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0)
    add_decayed_weights(0.1)
    scale_by_trust_ratio(min_norm=0.0)
    scale_by_learning_rate(0.01)
    """
    decayed = scale_by_adam(b1=b1, b2=b2, eps=eps, eps_root=eps_root) | add_decayed_weights(decay)
    return decayed | scale_by_trust_ratio(min_norm=min_norm) | scale_by_learning_rate(learning_rate)


@_guided
def adabelief(
    learning_rate: LearningRate = 1e-3,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 0.0,
    eps_root: float = 1e-16,
) -> Update:
    """AdaBelief: Adam, by how far gradients are from their average. Zhuang et al. 2020; see scale_by_belief. Updates
    have the gradients' shapes and dtypes. ValueError when b1 or b2 is not in [0, 1) or eps or eps_root is negative.

    >>> adabelief(0.01)
    scale_by_belief(b1=0.9, b2=0.999, eps=0.0, eps_root=1e-16) | scale_by_learning_rate(0.01)
    """
    return scale_by_belief(b1=b1, b2=b2, eps=eps, eps_root=eps_root) | scale_by_learning_rate(learning_rate)


@_guided
def radam(
    learning_rate: LearningRate = 1e-3,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    threshold: float = 5.0,
) -> Update:
    """Rectified Adam: its first steps, whose variance is not known, are those of momentum. Liu et al. 2019; see
    scale_by_radam. Updates have the gradients' shapes and dtypes. ValueError when b1 or b2 is not in [0, 1), eps or
    eps_root is negative or the threshold less than 4.

    >>> radam(0.01)
    scale_by_radam(b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0, threshold=5.0) | scale_by_learning_rate(0.01)
    """
    rectified = scale_by_radam(b1=b1, b2=b2, eps=eps, eps_root=eps_root, threshold=threshold)
    return rectified | scale_by_learning_rate(learning_rate)


@_guided
def yogi(
    learning_rate: LearningRate = 1e-2,
    *,
    initial_accumulator_value: float = 1e-6,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-3,
    eps_root: float = 0.0,
) -> Update:
    """Yogi: Adam, whose rate for an element grows only slowly. Zaheer et al. 2018; see scale_by_yogi. Updates have the
    gradients' shapes and dtypes. ValueError when b1 or b2 is not in [0, 1) or another number is negative.

    >>> print(*str(yogi(0.01)).split(" | "), sep="\\n")
    scale_by_yogi(b1=0.9, b2=0.999, eps=0.001, eps_root=0.0, initial_accumulator_value=1e-06)
    scale_by_learning_rate(0.01)
    """
    scaled = scale_by_yogi(
        b1=b1, b2=b2, eps=eps, eps_root=eps_root, initial_accumulator_value=initial_accumulator_value
    )
    return scaled | scale_by_learning_rate(learning_rate)


@_guided
def adagrad(learning_rate: LearningRate = 1e-3, *, initial_accumulator_value: float = 0.1, eps: float = 1e-7) -> Update:
    """AdaGrad: each element by the root of the sum of its squares so far. Duchi et al. 2011. Updates have the
    gradients' shapes and dtypes. ValueError when a number is negative.

    >>> adagrad(0.01)
    scale_by_rss(initial_accumulator_value=0.1, eps=1e-07) | scale_by_learning_rate(0.01)
    """
    scaled = scale_by_rss(initial_accumulator_value=initial_accumulator_value, eps=eps)
    return scaled | scale_by_learning_rate(learning_rate)


@_guided
def rmsprop(
    learning_rate: LearningRate = 1e-2,
    *,
    centered: bool = False,
    momentum: float | None = None,
    nesterov: bool = False,
    initial_scale: float = 0.0,
    decay: float = 0.9,
    eps: float = 1e-8,
) -> Update:
    """RMSProp: each element by the root of the running average of its squares, or with centered by its deviation.
    Tieleman and Hinton 2012, Graves 2013. The momentum is that of the steps, with their learning rates, as in optax.
    eps is under the root. Updates have the gradients' shapes and dtypes. ValueError for nesterov without momentum, when
    decay is not in [0, 1) or another number is negative.

    >>> print(*str(rmsprop(0.1, momentum=0.9)).split(" | "), sep="\\n")
    scale_by_rms(decay=0.9, eps=1e-08, initial_scale=0.0)
    scale_by_learning_rate(0.1)
    trace(decay=0.9, nesterov=False)
    """
    after = _momentum("rmsprop", momentum, nesterov)
    scaled = (scale_by_stddev if centered else scale_by_rms)(decay=decay, eps=eps, initial_scale=initial_scale)
    return scaled | scale_by_learning_rate(learning_rate) | after


@_guided
def fromage(learning_rate: LearningRate = 1e-2, *, min_norm: float = 1e-6) -> Update:
    """Fromage: a step for each tensor as long as the tensor, times the learning rate, after which the tensor is divided
    by sqrt(1 + learning_rate**2), as long as before. Bernstein et al. 2020. min_norm is the least norm of a tensor and
    of its gradient. Updates have the gradients' shapes and dtypes. ValueError when it is negative.

    >>> fromage(0.75)
    scale_by_trust_ratio(min_norm=1e-06) | scale_by_learning_rate(0.75, shrink=True)
    """
    return scale_by_trust_ratio(min_norm=min_norm) | scale_by_learning_rate(learning_rate, shrink=True)
