"""Steps that keep averages or sums of the gradients and of their squares.

What is kept is float32 at least. An average that began at zero is divided by the share of it that is data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from .. import nx, tree
from ..nx import Tensor
from .numbers import check_decay, check_least, each, filled, wide, zero
from .pipeline import Tree, Update, combinator, stateful


class AdamState(NamedTuple):
    """Running averages of the gradients and of their squares (or what stands for those), and how many there were."""

    mu: Tree
    nu: Tree
    steps: Tensor


class StddevState(NamedTuple):
    """Running averages of the gradients, and of their squared distances from it."""

    mu: Tree
    nu: Tree


def _average(decay: float, old: Tensor, new: Tensor) -> Tensor:
    return decay * old + (1 - decay) * new


def _share(decay: float, count: Tensor) -> Tensor:
    """1 - decay**count (from 1), float64: how much of a running average that began at zero is data."""
    return -nx.expm1(count.astype(nx.float64) * (math.log(decay) if decay else -math.inf))


def _by_moments(
    b1: float,
    b2: float,
    direction: Callable[[Tensor, Tensor, Tensor], Tensor],
    second: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
    start: float = 0.0,
) -> Update:
    """direction(mu, nu, step), where step counts from 1, mu is the average of the gradients, and nu, which begins at
    `start`, becomes second(nu, gradient, mu before its division): the average of their squares, unless given."""
    second = second or (lambda n, g, m: _average(b2, n, nx.square(g)))

    def init(params: Tree) -> AdamState:
        return AdamState(filled(params), filled(params, start), zero())

    def apply(updates: Tree, state: AdamState, params: Tree) -> tuple[Tree, AdamState]:
        gradients, steps = tree.map(wide, updates), state.steps + 1
        mu = tree.map(lambda m, g: _average(b1, m, g), state.mu, gradients)
        nu = tree.map(second, state.nu, gradients, mu)
        mu_share, nu_share = _share(b1, steps), _share(b2, steps)

        def result(u: Tensor, m: Tensor, n: Tensor) -> Tensor:
            return direction(m / mu_share.astype(m.dtype), n / nu_share.astype(n.dtype), steps)

        return each(result, updates, mu, nu), AdamState(mu, nu, steps)

    return stateful(init, apply)


@combinator
def scale_by_adam(*, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, eps_root: float = 1e-15) -> Update:
    """mu / (sqrt(nu + eps_root) + eps), where mu and nu are running averages of the gradient and of its square, divided
    by 1 - b**step to make up for starting at zero. Kingma and Ba 2014.

    Updates of any shapes keep their dtypes; mu and nu are float32 at least. ValueError when b1 or b2 is not in [0, 1)
    or eps or eps_root is negative.

    >>> params = {"w": nx.tensor([1.0, 1.0])}
    >>> scale_by_adam().update({"w": nx.tensor([4.0, -0.1])}, scale_by_adam().init(params), params)[0]
    {'w': float32[2] [ 1., -1.]}
    """
    check_decay("scale_by_adam", b1=b1, b2=b2)
    check_least("scale_by_adam", eps=eps, eps_root=eps_root)
    return _by_moments(b1, b2, lambda m, n, step: m / (nx.sqrt(n + eps_root) + eps))


@combinator
def scale_by_belief(*, b1: float = 0.9, b2: float = 0.999, eps: float = 0.0, eps_root: float = 1e-16) -> Update:
    """mu / (sqrt(nu) + eps), where mu and nu are running averages of the gradient and of its squared distance from mu,
    to which eps_root is added at every step, divided by 1 - b**step. Zhuang et al. 2020. So the paper and optax have
    it; Polaris averages the squares of the gradients, as Adam.

    Updates of any shapes keep their dtypes; mu and nu are float32 at least. ValueError when b1 or b2 is not in [0, 1)
    or eps or eps_root is negative.

    >>> params = {"w": nx.tensor([1.0, 1.0])}
    >>> scale_by_belief(b1=0.5).update({"w": nx.tensor([4.0, -0.1])}, scale_by_belief().init(params), params)[0]
    {'w': float32[2] [ 2., -2.]}
    """
    check_decay("scale_by_belief", b1=b1, b2=b2)
    check_least("scale_by_belief", eps=eps, eps_root=eps_root)

    def second(n: Tensor, g: Tensor, m: Tensor) -> Tensor:
        return _average(b2, n, nx.square(g - m)) + eps_root

    return _by_moments(b1, b2, lambda m, n, step: m / (nx.sqrt(n) + eps), second)


@combinator
def scale_by_yogi(
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-3,
    eps_root: float = 0.0,
    initial_accumulator_value: float = 1e-6,
) -> Update:
    """mu / (sqrt(nu + eps_root) + eps) as Adam, but nu, which begins at initial_accumulator_value, goes towards the
    square g*g of the gradient by (1 - b2) * g*g, however far it is. Zaheer et al. 2018. mu begins at zero as in the
    paper: in optax and Polaris it begins as nu, and moves parameters that have no gradient. Both are divided by
    1 - b**step, as there, which the paper leaves out.

    Updates of any shapes keep their dtypes; mu and nu are float32 at least. ValueError when b1 or b2 is not in [0, 1)
    or another number is negative.

    >>> params = {"w": nx.tensor([1.0, 1.0])}
    >>> scale_by_yogi(eps=0.0).update({"w": nx.tensor([4.0, 0.0])}, scale_by_yogi().init(params), params)[0]
    {'w': float32[2] [0.999969, 0.      ]}
    """
    check_decay("scale_by_yogi", b1=b1, b2=b2)
    check_least("scale_by_yogi", eps=eps, eps_root=eps_root, initial_accumulator_value=initial_accumulator_value)

    def second(n: Tensor, g: Tensor, m: Tensor) -> Tensor:
        square = nx.square(g)
        return n - (1 - b2) * nx.sign(n - square) * square

    direction = lambda m, n, step: m / (nx.sqrt(n + eps_root) + eps)  # noqa: E731
    return _by_moments(b1, b2, direction, second, initial_accumulator_value)


@combinator
def scale_by_radam(
    *, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, eps_root: float = 0.0, threshold: float = 5.0
) -> Update:
    """mu alone while nu is made of too few gradients, then r * mu / (sqrt(nu + eps_root) + eps), with mu and nu as
    Adam's and r the rectification of nu's variance. nu is made of rho = most - 2 step b2**step / (1 - b2**step)
    gradients, most = 2 / (1 - b2) - 1: enough from the threshold on. Liu et al. 2019. So the paper and optax have it;
    Polaris takes b1 for b2 in `most`.

    Updates of any shapes keep their dtypes; mu and nu are float32 at least. ValueError when b1 or b2 is not in [0, 1),
    eps or eps_root is negative or the threshold, below which r has no value, less than 4.

    >>> params = {"w": nx.tensor([1.0, 1.0])}
    >>> scale_by_radam().update({"w": nx.tensor([4.0, -0.5])}, scale_by_radam().init(params), params)[0]
    {'w': float32[2] [ 4. , -0.5]}
    """
    check_decay("scale_by_radam", b1=b1, b2=b2)
    check_least("scale_by_radam", eps=eps, eps_root=eps_root)
    check_least("scale_by_radam", 4, threshold=threshold)
    most = 2 / (1 - b2) - 1

    def direction(m: Tensor, n: Tensor, step: Tensor) -> Tensor:
        if most <= threshold:
            return m
        share = _share(b2, step)  # float64: rho is the small difference of large numbers
        rho = most - 2 * step.astype(share.dtype) * (1 - share) / share
        enough = nx.maximum(rho, threshold)
        r = nx.sqrt((enough - 4) * (enough - 2) * most / ((most - 4) * (most - 2) * enough)).astype(m.dtype)
        return nx.where(rho >= threshold, r * m / (nx.sqrt(n + eps_root) + eps), m)

    return _by_moments(b1, b2, direction)


def _over_root(g: Tensor, n: Tensor, eps: float) -> Tensor:
    """g / sqrt(n + eps), and g where there is nothing to divide by."""
    square = n + eps
    return g / nx.sqrt(nx.where(square > 0, square, 1))


@combinator
def scale_by_rss(*, initial_accumulator_value: float = 0.1, eps: float = 1e-7) -> Update:
    """g / sqrt(nu + eps), where nu is initial_accumulator_value and the squares of all gradients g so far.
    Duchi et al. 2011.

    Updates of any shapes keep their dtypes; nu is float32 at least. ValueError when a number is negative.

    >>> params = {"w": nx.tensor([1.0, 1.0])}
    >>> rss = scale_by_rss(initial_accumulator_value=9.0)
    >>> rss.update({"w": nx.tensor([4.0, 0.0])}, rss.init(params), params)[0]
    {'w': float32[2] [0.8, 0. ]}
    """
    check_least("scale_by_rss", initial_accumulator_value=initial_accumulator_value, eps=eps)

    def apply(updates: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        nu = tree.map(lambda n, g: n + nx.square(wide(g)), state, updates)
        return each(lambda g, n: _over_root(g, n, eps), updates, nu), nu

    return stateful(lambda params: filled(params, initial_accumulator_value), apply)


@combinator
def scale_by_rms(*, decay: float = 0.9, eps: float = 1e-8, initial_scale: float = 0.0) -> Update:
    """g / sqrt(nu + eps), where nu, which begins at initial_scale, is the running average of the squares of the
    gradients g. Tieleman and Hinton 2012. eps is under the root, as in optax and Polaris.

    Updates of any shapes keep their dtypes; nu is float32 at least. ValueError when decay is not in [0, 1) or another
    number is negative.

    >>> params = {"w": nx.tensor([1.0, 1.0])}
    >>> scale_by_rms(decay=0.75).update({"w": nx.tensor([4.0, 0.0])}, scale_by_rms().init(params), params)[0]
    {'w': float32[2] [2., 0.]}
    """
    check_decay("scale_by_rms", decay=decay)
    check_least("scale_by_rms", eps=eps, initial_scale=initial_scale)

    def apply(updates: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        nu = tree.map(lambda n, g: _average(decay, n, nx.square(wide(g))), state, updates)
        return each(lambda g, n: _over_root(g, n, eps), updates, nu), nu

    return stateful(lambda params: filled(params, initial_scale), apply)


@combinator
def scale_by_stddev(*, decay: float = 0.9, eps: float = 1e-8, initial_scale: float = 0.0) -> Update:
    """g / sqrt(nu + eps), where nu, which begins at initial_scale, is the running variance of the gradients g: the
    average of their squares less the square of their average mu, which begins at zero. Graves 2013.

    nu is kept by itself, as decay * (nu + (1 - decay) * (g - mu)**2): the same number, of which the difference of two
    averages would lose the digits, down to the root of a negative one. eps is under the root.

    Updates of any shapes keep their dtypes; mu and nu are float32 at least. ValueError when decay is not in [0, 1) or
    another number is negative.

    >>> params = {"w": nx.tensor([1.0, 1.0])}
    >>> scale_by_stddev(decay=0.5).update({"w": nx.tensor([4.0, 0.0])}, scale_by_stddev().init(params), params)[0]
    {'w': float32[2] [2., 0.]}
    """
    check_decay("scale_by_stddev", decay=decay)
    check_least("scale_by_stddev", eps=eps, initial_scale=initial_scale)

    def apply(updates: Tree, state: StddevState, params: Tree) -> tuple[Tree, StddevState]:
        gradients = tree.map(wide, updates)
        spread = lambda n, g, m: decay * (n + (1 - decay) * nx.square(g - m))  # noqa: E731
        nu = tree.map(spread, state.nu, gradients, state.mu)
        mu = tree.map(lambda m, g: _average(decay, m, g), state.mu, gradients)
        return each(lambda g, n: _over_root(g, n, eps), updates, nu), StddevState(mu, nu)

    return stateful(lambda params: StddevState(filled(params), filled(params, initial_scale)), apply)


@combinator
def trace(*, decay: float = 0.9, nesterov: bool = False) -> Update:
    """Momentum: the decaying sum of the updates so far, and with nesterov that sum looked at one step ahead.
    Sutskever et al. 2013. Updates of any shapes keep their dtypes; the sum is float32 at least.

    >>> trace(decay=0.5).update({"w": nx.tensor(1.0)}, ({"w": nx.tensor(4.0)},), {})[0]
    {'w': float32[] 3.}
    """

    def apply(updates: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        total = tree.map(lambda u, t: wide(u) + decay * t, updates, state)
        ahead = (lambda u, t: u + decay * t) if nesterov else (lambda u, t: t)
        return each(ahead, updates, total), total

    return stateful(filled, apply)
