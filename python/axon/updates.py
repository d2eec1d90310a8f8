"""Updates: composable pairs of pure functions that turn gradients into what is added to the parameters.

    init(params) -> state
    update(gradients, state, params) -> (updates, state)

An Update is a pipeline of such steps. `a | b` runs a, then b; every constructor here also takes the pipeline before it
as its first argument, so `scale(scale_by_adam(), -0.001)` is `scale_by_adam() | scale(-0.001)`. The state is a tuple of
the states of the steps that have one, the newest step's first.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, ParamSpec

from . import nx, tree
from .errors import StructureError
from .names import guided
from .nx import Tensor
from .options import plain
from .schedules import Schedule
from .values import Value, made_by, refuse_unnamed

__all__ = [
    "Update", "add_decayed_weights", "apply_updates", "clip", "clip_by_global_norm", "identity", "scale",
    "scale_by_adam", "scale_by_schedule", "stateful", "stateless", "trace",
]  # fmt: skip

P = ParamSpec("P")
Tree = Any  # nested containers of tensors


class Step(NamedTuple):
    """One step of a pipeline: init is None without state; apply is (updates, state, params) -> (updates, state). A step
    that does nothing but multiply says by what, of its state: factor. made is the call that gave it."""

    text: str
    init: Callable[[Tree], Tree] | None
    apply: Callable[[Tree, Tree, Tree], tuple[Tree, Tree]]
    factor: Callable[[Tree], Any] | None = None
    made: tuple[Callable[..., Update], tuple[Any, ...], dict[str, Any]] | None = None


@dataclass(frozen=True, repr=False)
class Update(Value):
    """A pipeline of steps; also the pair (init, update) it unpacks to, and text that reads as it was written.

    >>> init, update = scale(-0.1)
    >>> update({"w": nx.tensor(2.0)}, init({"w": nx.tensor(1.0)}), {"w": nx.tensor(1.0)})
    ({'w': float32[] -0.2}, ())
    """

    steps: tuple[Step, ...] = ()

    def init(self, params: Tree) -> tuple[Tree, ...]:
        """The state before the first update, for parameters of these shapes and dtypes."""
        return tuple(s.init(params) for s in reversed(self.steps) if s.init is not None)

    def update(self, gradients: Tree, state: tuple[Tree, ...], params: Tree) -> tuple[Tree, tuple[Tree, ...]]:
        """What to add to the parameters (gradients and params are trees of one structure), and the next state.

        StructureError when the state is not one of this pipeline.
        """
        updates, states = gradients, []
        for step, own in self._owned(state):
            updates, new = step.apply(updates, own, params)
            if step.init is not None:
                states.append(new)
        return updates, tuple(reversed(states))

    def learning_rate(self, state: tuple[Tree, ...]) -> Tensor | float | None:
        """What the next update is multiplied by, against the gradient: the negated product of what `scale` (a number)
        and `scale_by_schedule` (float32 [], of its count of steps) multiply by; None where the pipeline has neither.

        >>> pipeline = clip(1.0) | scale_by_schedule(lambda step: 0.5**step) | scale(-0.1)
        >>> pipeline.learning_rate((nx.tensor(2),))
        float32[] 0.025
        """
        factors = [step.factor(own) for step, own in self._owned(state) if step.factor is not None]
        return -math.prod(factors) if factors else None

    def _owned(self, state: tuple[Tree, ...]) -> list[tuple[Step, Tree]]:
        """Each step with its own state, () where it has none."""
        wanted = [s.text.split("(")[0] for s in self.steps if s.init is not None]
        if not isinstance(state, tuple) or len(state) != len(wanted):
            got = f"{len(state)}" if isinstance(state, tuple) else type(state).__name__
            raise StructureError(
                f"update: expected a tuple of {len(wanted)} states ({', '.join(wanted)}), got {got}; "
                f"pass what this optimizer's init or last update gave"
            )
        oldest_first = iter(reversed(state))
        return [(step, () if step.init is None else next(oldest_first)) for step in self.steps]

    def __or__(self, other: Update) -> Update:
        return Update(self.steps + other.steps) if isinstance(other, Update) else NotImplemented

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        yield self.init
        yield self.update

    def __reduce__(self) -> Any:
        for step in self.steps:
            parts = {"function": step[1:3]} if step.made is None else {"argument": step.made[1:]}
            refuse_unnamed(f"update: {step.text}", parts)
        return _made_again, tuple(step if step.made is None else step.made for step in self.steps)

    def __repr__(self) -> str:
        return " | ".join(s.text for s in self.steps) or "identity()"


def _made_again(*parts: Any) -> Update:
    """A pipeline of steps and of calls that make one."""
    steps = (p if isinstance(p, Step) else made_by(*p).steps[0] for p in parts)
    return Update(tuple(steps))


def combinator(make: Callable[P, Update]) -> Callable[..., Update]:
    """Let a constructor take the pipeline before it as its first argument, its numbers as `plain` has them, and be
    printed as it was called."""

    guide = guided()(make)

    @functools.wraps(make)
    def construct(*args: Any, **options: Any) -> Update:
        before = Update()
        if args and isinstance(args[0], Update):
            before, args = args[0], args[1:]
        args, options = tuple(map(plain, args)), {name: plain(value) for name, value in options.items()}
        made = guide(*args, **options)
        if len(made.steps) == 1:
            step = made.steps[0]._replace(text=_call(make.__name__, args, options), made=(construct, args, options))
            made = Update((step,))
        return before | made

    return construct


def _call(name: str, args: Any, options: Mapping[str, Any]) -> str:
    shown = [*(_show(a) for a in args), *(f"{k}={_show(v)}" for k, v in options.items())]
    return f"{name}({', '.join(shown)})"


def _show(value: Any) -> str:
    return getattr(value, "__qualname__", "").split(".")[0] or repr(value)


@combinator
def stateless(apply: Callable[[Tree, Tree], Tree]) -> Update:
    """A step of your own without state: apply(updates, params) -> updates, all of them trees of one structure.

    >>> stateless(lambda updates, params: updates).init({})
    ()
    """
    return Update((Step("", None, lambda updates, state, params: (apply(updates, params), state)),))


@combinator
def stateful(init: Callable[[Tree], Tree], apply: Callable[[Tree, Tree, Tree], tuple[Tree, Tree]]) -> Update:
    """A step of your own with state: init(params) -> state, apply(updates, state, params) -> (updates, state).

    updates and params are trees of one structure; the state, a tree of any, keeps its shapes and dtypes.

    >>> stateful(lambda params: 0, lambda updates, count, params: (updates, count + 1)).init({})
    (0,)
    """
    return Update((Step("", init, apply),))


def _each(function: Callable[[Tensor], Tensor]) -> Update:
    """A step that treats every tensor of the updates alike."""
    return stateless(lambda updates, params: tree.map(function, updates))


def _times(u: Tensor, factor: Tensor) -> Tensor:
    """u * factor in u's dtype. A half need not hold the factor, which may be smaller than any."""
    wide = u.astype(nx.float32) if u.dtype.is_half else u
    return (wide * factor.astype(wide.dtype)).astype(u.dtype)


@combinator
def identity() -> Update:
    """The pipeline that leaves updates, of any shapes and dtypes, as they are.

    >>> identity() | scale(2.0)
    scale(2.0)
    """
    return Update()


@combinator
def scale(step_size: float) -> Update:
    """Multiply updates of any shapes by a number; they keep their dtypes.

    >>> scale_by_adam(b1=0.95) | scale(-0.01)
    scale_by_adam(b1=0.95) | scale(-0.01)
    """
    (multiplied,) = _each(lambda u: u * step_size).steps
    return Update((multiplied._replace(factor=lambda state: step_size),))


@combinator
def scale_by_schedule(schedule: Schedule) -> Update:
    """Multiply updates of any shapes by schedule(step), where step (int32 []) counts from 0; they keep their dtypes.
    TypeError when the schedule gives a function, as its constructor does.

    >>> _, update = halves = scale_by_schedule(lambda step: 0.5**step)
    >>> _, state = update({"w": nx.tensor(8.0)}, halves.init({}), {})
    >>> update({"w": nx.tensor(8.0)}, state, {})[0]
    {'w': float32[] 4.}
    """

    def factor(count: Tensor) -> Tensor:
        value = schedule(count)
        if callable(value):
            raise TypeError(f"schedule: expected a number, got a function; write {_show(schedule)}(...)")
        return nx.asarray(value)

    def apply(updates: Tree, count: Tensor, params: Tree) -> tuple[Tree, Tensor]:
        by = factor(count)
        return tree.map(lambda u: _times(u, by), updates), count + 1

    return Update((Step("", lambda params: _zero(), apply, factor),))


class AdamState(NamedTuple):
    """Running averages of the gradients and of their squares, and how many there were."""

    mu: Tree
    nu: Tree
    steps: Tensor


@combinator
def scale_by_adam(*, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, eps_root: float = 1e-15) -> Update:
    """mu / (sqrt(nu + eps_root) + eps), where mu and nu are running averages of the gradient and of its square, divided
    by 1 - b**step to make up for starting at zero. Kingma and Ba 2014.

    Updates of any shapes keep their dtypes; mu and nu are float32 at least. ValueError when b1 or b2 is not in [0, 1).

    >>> params = {"w": nx.tensor([1.0, 1.0])}
    >>> scale_by_adam().update({"w": nx.tensor([4.0, -0.1])}, scale_by_adam().init(params), params)[0]
    {'w': float32[2] [ 1., -1.]}
    """
    for name, decay in (("b1", b1), ("b2", b2)):
        if not 0 <= decay < 1:
            raise ValueError(f"scale_by_adam: expected {name} in [0, 1), got {decay}; 0.9 or more is usual")

    def zeros(params: Tree) -> Tree:
        return tree.map(lambda p: nx.zeros_like(_wide(p)), params)

    def init(params: Tree) -> AdamState:
        return AdamState(zeros(params), zeros(params), _zero())

    def apply(updates: Tree, state: AdamState, params: Tree) -> tuple[Tree, AdamState]:
        wide = tree.map(_wide, updates)
        mu = tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, wide)
        nu = tree.map(lambda n, g: b2 * n + (1 - b2) * g * g, state.nu, wide)
        steps = state.steps + 1
        mu_share, nu_share = _share(b1, steps), _share(b2, steps)

        def direction(u: Tensor, m: Tensor, n: Tensor) -> Tensor:
            found = (m / mu_share.astype(m.dtype)) / (nx.sqrt(n / nu_share.astype(n.dtype) + eps_root) + eps)
            return found.astype(u.dtype)

        return tree.map(direction, updates, mu, nu), AdamState(mu, nu, steps)

    return stateful(init, apply)


@combinator
def trace(*, decay: float = 0.9, nesterov: bool = False) -> Update:
    """Momentum: the decaying sum of the updates so far, and with nesterov that sum looked at one step ahead.
    Sutskever et al. 2013. Updates of any shapes keep their dtypes, which the sum has, too.

    >>> trace(decay=0.5).update({"w": nx.tensor(1.0)}, ({"w": nx.tensor(4.0)},), {})[0]
    {'w': float32[] 3.}
    """

    def apply(updates: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        total = tree.map(lambda u, t: u + decay * t, updates, state)
        return (tree.map(lambda u, t: u + decay * t, updates, total) if nesterov else total), total

    return stateful(lambda params: tree.map(nx.zeros_like, params), apply)


@combinator
def add_decayed_weights(decay: float = 0.0) -> Update:
    """Add decay * parameter: before the (negative) learning rate this is decoupled weight decay.
    Loshchilov and Hutter 2017. Updates have the shapes of their parameters.

    >>> add_decayed_weights(0.5).update({"w": nx.tensor(1.0)}, (), {"w": nx.tensor(4.0)})[0]
    {'w': float32[] 3.}
    """
    return stateless(lambda updates, params: tree.map(lambda u, p: u + decay * p, updates, params))


@combinator
def clip(delta: float = 2.0) -> Update:
    """Keep every element of updates of any shapes within [-delta, delta].

    >>> clip(1.0).update({"w": nx.tensor([0.5, -3.0])}, (), {})[0]
    {'w': float32[2] [ 0.5, -1. ]}
    """
    return _each(lambda u: nx.clip(u, -delta, delta))


@combinator
def clip_by_global_norm(max_norm: float = 1.0) -> Update:
    """Scale all updates together so that their common 2-norm is at most max_norm. Pascanu et al. 2012.

    Updates may be of any shapes; they keep their dtypes.

    >>> clip_by_global_norm(1.0).update({"a": nx.tensor(3.0), "b": nx.tensor(4.0)}, (), {})[0]
    {'a': float32[] 0.6, 'b': float32[] 0.8}
    """

    def apply(updates: Tree, params: Tree) -> Tree:
        squares = [nx.sum(nx.square(_wide(u))) for u in tree.leaves(updates)]
        norm = nx.sqrt(functools.reduce(nx.add, squares, nx.zeros(())))
        factor = max_norm / nx.maximum(norm, max_norm)
        return tree.map(lambda u: _times(u, factor), updates)

    return stateless(apply)


def apply_updates(params: Tree, updates: Tree) -> Tree:
    """params + updates, leaf by leaf, each in its parameter's dtype. StructureError when the two trees differ.

    >>> apply_updates({"w": nx.tensor(1.0)}, {"w": nx.tensor(0.5)})
    {'w': float32[] 1.5}
    """
    return tree.map(lambda p, u: p + u.astype(p.dtype), params, updates)


def _zero() -> Tensor:
    return nx.zeros((), dtype=nx.int32)


def _wide(x: Tensor) -> Tensor:
    """In float32 at least: a half's square overflows or vanishes, and its running average stands still."""
    (wide,), _ = nx.widened(x)
    return wide


def _share(decay: float, count: Tensor) -> Tensor:
    """1 - decay**count (from 1): how much of a running average that began at zero is data."""
    return -nx.expm1(count.astype(nx.float32) * (math.log(decay) if decay else -math.inf))
