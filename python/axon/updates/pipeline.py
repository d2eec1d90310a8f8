"""The pipeline: what a step is, how steps are joined and printed, steps of the user's own, and the end of it all."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, ParamSpec, cast

from .. import tree
from ..errors import StructureError
from ..nx import Tensor
from ..options import plain, plain_options
from ..values import Value, made_by, refuse_unnamed

P = ParamSpec("P")
Tree = Any  # nested containers of tensors


class Step(NamedTuple):
    """One step of a pipeline: init is None without state; apply is (updates, state, params) -> (updates, state). A step
    that multiplies by a rate says by what, of its state: factor; scheduled: that changes from step to step. made is the
    call that gave it."""

    text: str
    init: Callable[[Tree], Tree] | None
    apply: Callable[[Tree, Tree, Tree], tuple[Tree, Tree]]
    factor: Callable[[Tree], Any] | None = None
    scheduled: bool = False
    made: tuple[Callable[..., Update], tuple[Any, ...], dict[str, Any]] | None = None


@dataclass(frozen=True, repr=False)
class Update(Value):
    """A pipeline of steps; also the pair (init, update) it unpacks to, and text that reads as it was written.

    >>> init, update = axon.updates.scale(-0.1)
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

    @property
    def scheduled(self) -> bool:
        """Whether its learning rate changes from step to step by itself."""
        return any(step.scheduled for step in self.steps)

    def learning_rate(self, state: tuple[Tree, ...]) -> Tensor | float | None:
        """What the next update is multiplied by, against the gradient: the negated product of what `scale` (a number),
        `scale_by_learning_rate` (float64 [], of its state) and `scale_by_schedule` (float32 [], of its count of steps)
        multiply by; None where the pipeline has none of them.

        >>> from axon.updates import clip, scale, scale_by_schedule
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
                f"update: expected a tuple of {len(wanted)} states ({', '.join(reversed(wanted))}), got {got}; "
                f"pass what this optimizer's init or last update gave; one saved before learning rates were state "
                f"takes its place among those of init"
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
    """Let a constructor take the pipeline before it as its first argument, its numbers as `plain_options` has them, and
    be printed as it was called."""

    guide = plain_options(make)

    @functools.wraps(make)
    def construct(*args: Any, **options: Any) -> Update:
        before = Update()
        if args and isinstance(args[0], Update):
            before, args = args[0], args[1:]
        return before | _as_called(construct, guide, args, options)

    return construct


def wrapper(make: Callable[P, Update]) -> Callable[P, Update]:
    """Let a constructor take an update that its own holds as its first argument, which is then no pipeline before it:
    that is joined by `|` alone. Numbers and printing are as a combinator's. TypeError when it is no Update."""
    guide = plain_options(make)
    (first, *_) = inspect.signature(make).parameters

    @functools.wraps(make)
    def construct(*args: Any, **options: Any) -> Update:
        inner = args[0] if args else options.get(first, Update())  # where it is missing the guide says so
        if not isinstance(inner, Update):
            got = getattr(inner, "__name__", repr(inner))
            raise TypeError(
                f"{make.__name__}: expected an Update as {first}, got {got}; a constructor has to be called: "
                f"{make.__name__}(optimizers.adam())"
            )
        return _as_called(construct, guide, args, options)

    return cast(Callable[P, Update], construct)


def _as_called(construct: Any, guide: Callable[..., Update], args: Any, options: Any) -> Update:
    """The update of a call, which is printed and pickled as that."""
    args, options = tuple(map(plain, args)), {name: plain(value) for name, value in options.items()}
    made = guide(*args, **options)
    if len(made.steps) != 1:
        return made
    text = _call(construct.__name__, args, options)
    return Update((made.steps[0]._replace(text=text, made=(construct, args, options)),))


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


@combinator
def identity() -> Update:
    """The pipeline that leaves updates, of any shapes and dtypes, as they are.

    >>> identity() | axon.updates.scale(2.0)
    scale(2.0)
    """
    return Update()


def apply_updates(params: Tree, updates: Tree) -> Tree:
    """params + updates, leaf by leaf, each in its parameter's dtype. StructureError when the two trees differ.

    >>> apply_updates({"w": nx.tensor(1.0)}, {"w": nx.tensor(0.5)})
    {'w': float32[] 1.5}
    """
    return tree.map(lambda p, u: p + u.astype(p.dtype), params, updates)
