"""A train step: one jitted call does forward, backward and optimizer. Its state is donated: use the one it returns."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from .. import nx, optimizers, tree
from ..defn import Definition, jit, value_and_grad
from ..model import Model, init
from ..model.state import check_state
from ..names import named
from ..nx import Tensor
from ..streams import scalar
from ..updates import Update, apply_updates
from .objectives import Loss, objective

Tree = Any
Optimizer = str | Update | tuple[Callable[[Tree], Tree], Callable[[Tree, Tree, Tree], tuple[Tree, Tree]]]


class TrainState(NamedTuple):
    """A ModelState (or the parameters, where pairs made the step), and the optimizer's state."""

    model: Any
    optimizer: Tree


def find_optimizer(optimizer: Optimizer) -> Update | tuple[Any, Any]:
    """An optimizer given by name (with its defaults), as an Update, or as a pair (init, update)."""
    if isinstance(optimizer, str):
        return named("optimizer", {name: getattr(optimizers, name) for name in optimizers.__all__}, optimizer)()
    if not isinstance(optimizer, Update) and not is_pair(optimizer):
        got = getattr(optimizer, "__name__", repr(optimizer))
        raise TypeError(
            f"optimizer: expected a name, an Update or functions (init, update), got {got}; "
            f"a constructor has to be called: optimizers.adam(); updates are joined by |"
        )
    return optimizer


def is_pair(value: Any) -> bool:
    """Whether it is two functions."""
    return isinstance(value, (tuple, list)) and len(value) == 2 and all(map(callable, value))


def descend(function: Callable[..., tuple[Tensor, Any]], update: Any, state: TrainState, *args: Any) -> Any:
    """One step against the gradient of function(parameters, *args) -> (loss, extra): the next state, loss and extra."""
    (loss, extra), gradients = value_and_grad(function, has_aux=True)(state.model, *args)
    updates, following = update(gradients, state.optimizer, state.model)
    return TrainState(apply_updates(state.model, updates), following), loss, extra


def model_step(
    model: Model, loss: Loss, optimizer: Update | tuple[Any, Any]
) -> Callable[[TrainState, Any, Any], tuple[TrainState, Tensor, Tensor]]:
    """(state, x, y) -> (next state, loss, prediction): a model's train step, meant for a trace."""
    function, (_, update) = objective(model, loss), optimizer

    def advance(state: TrainState, x: Any, y: Any) -> tuple[TrainState, Tensor, Tensor]:
        if not isinstance(state, TrainState):
            got = type(state).__name__
            raise TypeError(f"step: expected a TrainState, got {got}; pass what init_fn or the last step gave")
        check_state(state.model, "step")
        inner = state._replace(model=state.model.parameters)
        after, value, extra = descend(function, update, inner, state.model, x, y)
        following = replace(state.model, parameters=after.model).with_state(extra.state)
        return after._replace(model=following), value, extra.y_pred

    return advance


class TrainPair(NamedTuple):
    """A train step before it is compiled: init(sample, key, compiler) -> TrainState, where sample() gives a batch's
    inputs, and advance(state, x, y) -> (next state, loss, prediction or None), meant for a trace."""

    init: Callable[[Callable[[], Any], Tensor | None, str | None], TrainState]
    advance: Callable[..., tuple[TrainState, Tensor, Tensor | None]]
    optimizer: Update | tuple[Any, Any]


def train_pair(model: Any, loss: Loss | Optimizer, optimizer: Optimizer | None = None) -> TrainPair:
    """The pair of (model, loss, optimizer), or of (init, objective) and an optimizer."""
    if not isinstance(model, Model):
        return _of_pairs(model, find_optimizer(loss if optimizer is None else optimizer))  # type: ignore[arg-type]
    if optimizer is None:
        raise TypeError("step: expected (model, loss, optimizer) or two pairs, got a model without an optimizer")
    found = find_optimizer(optimizer)
    first, _ = found

    def begin(sample: Callable[[], Any], key: Tensor | None, compiler: str | None) -> TrainState:
        state = init(model, sample(), key=key, compiler=compiler)
        return TrainState(state, jit(first, compiler=compiler)(state.parameters))

    return TrainPair(begin, model_step(model, loss, found), found)  # type: ignore[arg-type]


def _of_pairs(model: Any, optimizer: Update | tuple[Any, Any]) -> TrainPair:
    if not is_pair(model):
        raise TypeError(f"step: expected a model or functions (init, objective), got {type(model).__name__}")
    (init_model, function), (first, update) = model, optimizer

    def begin(sample: Callable[[], Any], key: Tensor | None, compiler: str | None) -> TrainState:
        given = begun(init_model, sample, key)  # where a number would be a tensor from the second step on
        parameters = tree.map(lambda t: nx.asarray(t, copy=True), given)  # the first step uses them up
        return TrainState(parameters, jit(first, compiler=compiler)(parameters))

    def advance(state: TrainState, x: Any, y: Any) -> tuple[TrainState, Tensor, None]:
        following, value, _ = descend(lambda *args: (scalar("loss", function(*args)), ()), update, state, x, y)
        return following, value, None

    return TrainPair(begin, advance, optimizer)


def begun(init: Callable[..., Tree], sample: Callable[[], Any], key: Tensor | None) -> Tree:
    """What an init of the user's gives, by the arguments that it takes: one called `key` gets the key, any other that
    has no default what `sample` gives. TypeError where there is a key and no place for it."""
    try:
        wanted = list(inspect.signature(init).parameters.values())
    except (TypeError, ValueError):  # a function written in C
        wanted = []
    names = [p.name for p in wanted]
    if key is not None and "key" not in names:
        raise TypeError(
            f"init: expected a function that takes a key, got one of ({', '.join(names)}); write def init(key)"
        )
    args, options = [], {}
    for p in wanted:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) or (p.name != "key" and p.default is not p.empty):
            continue
        value = (nx.random.key(0) if key is None else key) if p.name == "key" else sample()
        if p.kind is p.POSITIONAL_ONLY:
            args.append(value)
        else:
            options[p.name] = value
    return init(*args, **options)


def step(
    model: Model | tuple[Callable[..., Tree], Callable[..., Tensor]],
    loss: Loss | Optimizer,
    optimizer: Optimizer | None = None,
    *,
    compiler: str | None = None,
) -> tuple[Callable[..., TrainState], Definition]:
    """(init_fn, step_fn) of a train step, from (model, loss, optimizer) or from two pairs.

    The pairs are (init, objective) with init() -> parameters and objective(parameters, x, y) -> loss, and (init,
    update) as in `updates`: any differentiable objective will do. An init that takes an argument gets the template, one
    called `key` the key. init_fn(template=None, key=None) gives a TrainState; a model's needs the template (a batch's
    inputs, or their types) where `axon.init` does. `Loop.trainer` is the same with metrics and events.
    step_fn(state, x, y) gives (state, loss) and uses up the state it is given. x and y have the shapes that model and
    loss take, the loss is floating []. ValueError for an unknown name and for cross-entropy of what is no
    probability, TypeError for another model, pair or optimizer; step_fn raises ShapeError when the loss is not one
    number.

    >>> init_fn, step_fn = step((lambda: nx.tensor(3.0), lambda w, x, y: (w * x - y) ** 2), optimizers.sgd(0.1))
    >>> state, loss = step_fn(init_fn(), 1.0, 1.0)
    >>> loss
    float32[] 4.
    """
    pair = train_pair(model, loss, optimizer)

    def init_fn(template: Any = None, key: Tensor | None = None) -> TrainState:
        return pair.init(lambda: template, key, compiler)

    def train_step(state: TrainState, x: Any, y: Any) -> tuple[TrainState, Tensor]:
        following, value, _ = pair.advance(state, x, y)
        return following, value

    return init_fn, jit(train_step, compiler=compiler, donate=0)
