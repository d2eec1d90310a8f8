"""Training without a loop: `step` makes the two functions of a train step, `train` runs them over data.

A step is one jitted call: forward, backward, optimizer. Its state is donated: use the one it returns.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from typing import Any, NamedTuple

from . import losses, nx, optimizers, rows, tree
from .arrays import arrays
from .defn import Definition, jit, value_and_grad
from .errors import note
from .model import Model, ModelState, forward, init
from .model.state import Tensors, check_state
from .names import none_of
from .nx import Tensor
from .streams import scalar
from .targets import asked_by, check_columns, check_end, compares_all_pairs, end_of, over_last_axis
from .updates import Update, apply_updates

__all__ = ["TrainState", "step", "train"]

Tree = Any
Loss = str | Callable[..., Tensor]  # of (y_true, y_pred)
Optimizer = str | Update | tuple[Callable[[Tree], Tree], Callable[[Tree, Tree, Tree], tuple[Tree, Tree]]]


class TrainState(NamedTuple):
    """A ModelState (or the parameters, where pairs made the step), and the optimizer's state."""

    model: Any
    optimizer: Tree


class Evaluated(NamedTuple):
    """What one pass over a batch gives beside the loss."""

    y_pred: Tensor
    state: Tensors


def find_loss(loss: Loss) -> Callable[..., Tensor]:
    """A loss given by name (then of reduction "mean") or as a function that reduces by itself."""
    if callable(loss):
        return loss
    if loss == "margin_ranking":
        raise ValueError(
            "loss: expected a loss of one prediction, got 'margin_ranking', which is of pairs; write "
            "lambda y, p: losses.margin_ranking(y, (p[..., 0], p[..., 1]), reduction='mean')"
        )
    named = [name for name in losses.__all__ if name != "margin_ranking"]
    if loss not in named:
        raise ValueError(none_of("loss", named, loss, " or a function"))
    return partial(getattr(losses, loss), reduction="mean")


def find_optimizer(optimizer: Optimizer) -> Update | tuple[Any, Any]:
    """An optimizer given by name (with its defaults), as an Update, or as a pair (init, update)."""
    if isinstance(optimizer, str):
        if optimizer not in optimizers.__all__:
            raise ValueError(none_of("optimizer", optimizers.__all__, optimizer))
        return getattr(optimizers, optimizer)()
    if not isinstance(optimizer, Update) and not _is_pair(optimizer):
        got = getattr(optimizer, "__name__", repr(optimizer))
        raise TypeError(
            f"optimizer: expected a name, an Update or functions (init, update), got {got}; "
            f"a constructor has to be called: optimizers.adam(); updates are joined by |"
        )
    return optimizer


def _is_pair(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2 and all(map(callable, value))


def logits_of(model: Model, loss: Callable[..., Tensor]) -> Model | None:
    """The layer before the model's last one, where the loss can work from it: cross-entropy after softmax or sigmoid
    takes the logits, which loses nothing where the probability underflows. None where it cannot, or was told.
    ValueError where the model ends in what the loss cannot mean."""
    check_end(model, loss)
    asked = asked_by(loss)
    if asked is None or "from_logits" in asked.options:
        return None
    if asked.asks.end != end_of(model).op or not over_last_axis(model):
        return None
    return model.parents[0]


def objective(model: Model, loss: Loss, mode: Any = "train") -> Callable[..., tuple[Tensor, Evaluated]]:
    """(parameters, rest of the ModelState, x, y) -> (loss, what else the pass gave): what a step differentiates."""
    function = find_loss(loss)
    logits = logits_of(model, function)
    told: list[str] = []

    def evaluate(parameters: Tensors, rest: ModelState, x: Any, y: Any) -> tuple[Tensor, Evaluated]:
        done = forward(model, replace(rest, parameters=parameters), x, mode)
        y_pred = done.values[model]
        check_columns(function, y_pred.shape)
        value = function(y, y_pred) if logits is None else function(y, done.values[logits], from_logits=True)
        if mode == "train" and not told and compares_all_pairs(function, y, y_pred):
            told.append(
                f"loss: expected y_true and y_pred of one shape, got {y.type} and {y_pred.type}, which broadcast: each "
                f"target is compared with every prediction; write y_true.reshape({rows.any_batch(y_pred.shape)})"
            )
            note(told[0])
        return scalar("loss", value), Evaluated(y_pred, done.state)

    return evaluate


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


def step(
    model: Model | tuple[Callable[[], Tree], Callable[..., Tensor]],
    loss: Loss | Optimizer,
    optimizer: Optimizer | None = None,
    *,
    compiler: str | None = None,
) -> tuple[Callable[..., TrainState], Definition]:
    """(init_fn, step_fn) of a train step, from (model, loss, optimizer) or from two pairs.

    The pairs are (init, objective) with init() -> parameters and objective(parameters, x, y) -> loss, and (init,
    update) as in `updates`: any differentiable objective will do. init_fn(template=None) gives a TrainState; a model's
    also takes `key`, and needs the template (a batch's inputs, or their types) where `axon.init` does.
    step_fn(state, x, y) gives (state, loss) and uses up the state it is given. x and y have the shapes that model and
    loss take, the loss is floating []. ValueError for an unknown name and for cross-entropy of what is no
    probability, TypeError for what is no model, pair or optimizer; step_fn raises ShapeError when the loss is not one
    number.

    >>> init_fn, step_fn = step((lambda: nx.tensor(3.0), lambda w, x, y: (w * x - y) ** 2), optimizers.sgd(0.1))
    >>> state, loss = step_fn(init_fn(), 1.0, 1.0)
    >>> loss
    float32[] 4.
    """
    if not isinstance(model, Model):
        return _step_of_pairs(model, find_optimizer(loss), compiler)  # type: ignore[arg-type]
    if optimizer is None:
        raise TypeError("step: expected (model, loss, optimizer) or two pairs, got a model without an optimizer")
    first, _ = optimizer = find_optimizer(optimizer)
    advance = model_step(model, loss, optimizer)  # type: ignore[arg-type]

    def init_fn(template: Any = None, key: Tensor | None = None) -> TrainState:
        state = init(model, template, key=key, compiler=compiler)
        return TrainState(state, jit(first, compiler=compiler)(state.parameters))

    def train_step(state: TrainState, x: Any, y: Any) -> tuple[TrainState, Tensor]:
        following, value, _ = advance(state, x, y)
        return following, value

    return init_fn, jit(train_step, compiler=compiler, donate=0)


def _step_of_pairs(
    model: Any, optimizer: Update | tuple[Any, Any], compiler: str | None
) -> tuple[Callable[..., TrainState], Definition]:
    if not _is_pair(model):
        raise TypeError(f"step: expected a model or functions (init, objective), got {type(model).__name__}")
    (init_model, function), (first, update) = model, optimizer

    def init_fn(template: Any = None) -> TrainState:
        parameters = tree.map(nx.asarray, init_model())  # a number would be a tensor from the second step on
        return TrainState(parameters, jit(first, compiler=compiler)(parameters))

    def train_step(state: TrainState, x: Any, y: Any) -> tuple[TrainState, Tensor]:
        following, value, _ = descend(lambda *args: (scalar("loss", function(*args)), ()), update, state, x, y)
        return following, value

    return init_fn, jit(train_step, compiler=compiler, donate=0)


def train(
    functions: tuple[Callable[..., TrainState], Callable[..., tuple[TrainState, Tensor]]],
    inputs: Iterable[Any],
    targets: Iterable[Any],
    *,
    epochs: int = 5,
    compiler: str | None = None,
) -> TrainState:
    """Run a step's two functions, init_fn(x) and step_fn(state, x, y), over batches and give the final state.

    Prints one line an epoch. The inputs and targets, of the shapes that the step takes, are gone through once an epoch
    (lists, not generators). compiler: step_fn, which may be a plain function, is compiled by it and not by the one that
    it was made for; init_fn is called as it is. ValueError when there are no batches, not as many of both, no epochs,
    or no compiler of that name.

    >>> pairs = (lambda: nx.tensor(0.0), lambda w, x, y: (w * x - y) ** 2), optimizers.sgd(0.25)
    >>> train(step(*pairs), [1.0, 2.0], [3.0, 6.0], epochs=1).model  # doctest: +ELLIPSIS
    epoch 1/1  2 batches  loss 9.00000  ... s
    float32[] 4.5
    """
    if epochs < 1:
        raise ValueError(f"train: expected at least 1 epoch, got {epochs}")
    init_fn, step_fn = functions
    if compiler is not None:
        step_fn = step_fn.compiled_by(compiler) if isinstance(step_fn, Definition) else jit(step_fn, compiler=compiler)
    state: Any = None
    missing = object()
    for epoch in range(1, epochs + 1):
        start, total, count = time.perf_counter(), nx.zeros((), dtype=nx.float64), 0
        for x, y in zip_longest(inputs, targets, fillvalue=missing):
            if x is missing or y is missing:
                few = "inputs" if x is missing else "targets"
                raise ValueError(f"train: expected as many inputs as targets, got only {count} {few}; pair them")
            x, y = arrays("train", x), arrays("train", y, "y")
            if state is None:
                state = init_fn(x)
            state, loss = step_fn(state, x, y)
            total, count = total + loss, count + 1
        if count == 0:
            raise ValueError(f"train: expected batches in epoch {epoch}, got none; pass lists, not used-up generators")
        mean, seconds = float(total) / count, time.perf_counter() - start
        sys.stdout.write(f"epoch {epoch}/{epochs}  {count} batches  loss {mean:#.6g}  {seconds:.2f} s\n")
    return state
