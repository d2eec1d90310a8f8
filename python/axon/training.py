"""Training without a loop: `step` makes the two functions of a train step, `train` runs them over data.

A step is one jitted call: forward, backward, optimizer. Its state is donated: use the one it returns.
"""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from . import losses, nx, optimizers
from .defn import Definition, jit, value_and_grad
from .errors import ShapeError
from .model import Model, ModelState, forward, init
from .model.state import Tensors
from .nx import Tensor
from .updates import Update, apply_updates

__all__ = ["TrainState", "step", "train"]

Tree = Any
Loss = str | Callable[..., Tensor]  # of (y_true, y_pred)
Optimizer = str | Update | tuple[Callable[[Tree], Tree], Callable[[Tree, Tree, Tree], tuple[Tree, Tree]]]


class TrainState(NamedTuple):
    """Parameters (a model's whole ModelState), and the optimizer's state."""

    parameters: Tree
    optimizer: Tree


class Evaluated(NamedTuple):
    """What one pass over a batch gives beside the loss."""

    y_pred: Tensor
    state: Tensors


def find_loss(loss: Loss) -> Callable[..., Tensor]:
    """A loss given by name (then of reduction "mean") or as a function that reduces by itself."""
    if not isinstance(loss, str):
        return loss
    if loss not in losses.__all__:
        raise ValueError(f"loss: expected one of {', '.join(losses.__all__)} or a function, got {loss!r}")
    return partial(getattr(losses, loss), reduction="mean")


def find_optimizer(optimizer: Optimizer) -> Update | tuple[Any, Any]:
    """An optimizer given by name (with its defaults), as an Update, or as a pair (init, update)."""
    if isinstance(optimizer, str):
        if optimizer not in optimizers.__all__:
            raise ValueError(f"optimizer: expected one of {', '.join(optimizers.__all__)}, got {optimizer!r}")
        return getattr(optimizers, optimizer)()
    return optimizer


def logits_of(model: Model, loss: Callable[..., Tensor]) -> Model | None:
    """The layer before the model's last one, where the loss can work from it: cross-entropy after softmax or sigmoid
    takes the logits, which loses nothing where the probability underflows. None where it cannot, or was told."""
    function, given = (loss.func, loss.keywords) if isinstance(loss, partial) else (loss, {})
    on_last_axis = model.options.get("axis", -1) == -1
    if losses.LOGITS.get(function) == model.op and "from_logits" not in given and on_last_axis:
        return model.parents[0]
    return None


def objective(model: Model, loss: Loss, mode: Any = "train") -> Callable[..., tuple[Tensor, Evaluated]]:
    """(parameters, rest of the ModelState, x, y) -> (loss, what else the pass gave): what a step differentiates."""
    function = find_loss(loss)
    logits = logits_of(model, function)

    def evaluate(parameters: Tensors, rest: ModelState, x: Any, y: Any) -> tuple[Tensor, Evaluated]:
        done = forward(model, replace(rest, parameters=parameters), x, mode)
        y_pred = done.values[model]
        value = function(y, y_pred) if logits is None else function(y, done.values[logits], from_logits=True)
        return scalar(value), Evaluated(y_pred, done.state)

    return evaluate


def scalar(loss: Tensor) -> Tensor:
    """The loss, which must be one number."""
    if loss.shape:
        raise ShapeError(f'loss: expected one number, got {loss.type}; reduce it, with reduction="mean" or nx.mean')
    return loss


def descend(
    function: Callable[..., tuple[Tensor, Any]], optimizer: Update | tuple[Any, Any], state: TrainState, *args: Any
) -> tuple[TrainState, Tensor, Any]:
    """One step against the gradient of function(parameters, *args) -> (loss, extra): the next state, loss and extra."""
    (loss, extra), gradients = value_and_grad(function, has_aux=True)(state.parameters, *args)
    _, update = optimizer
    updates, following = update(gradients, state.optimizer, state.parameters)
    return TrainState(apply_updates(state.parameters, updates), following), loss, extra


def step(
    model: Model | tuple[Callable[..., Tree], Callable[..., Tensor]],
    loss: Loss | Optimizer,
    optimizer: Optimizer | None = None,
    *,
    compiler: str | None = None,
) -> tuple[Callable[..., TrainState], Definition]:
    """(init_fn, step_fn) of a train step, from (model, loss, optimizer) or from two pairs.

    The pairs are (init, objective) with objective(parameters, x, y) -> loss, and (init, update) as in `updates`: any
    differentiable objective will do. init_fn takes what the model's init takes and gives a TrainState;
    step_fn(state, x, y) gives (state, loss) and uses up the state it is given.

    >>> init_fn, step_fn = step((lambda: nx.tensor(3.0), lambda w, x, y: (w * x - y) ** 2), optimizers.sgd(0.1))
    >>> state, loss = step_fn(init_fn(), 1.0, 1.0)
    >>> loss
    float32[] 4.
    """
    if not isinstance(model, Model):
        return _step_of_pairs(model, find_optimizer(loss), compiler)  # type: ignore[arg-type]
    if optimizer is None:
        raise TypeError("step: expected (model, loss, optimizer) or two pairs, got a model without an optimizer")
    function, (init_update, update) = objective(model, loss), find_optimizer(optimizer)  # type: ignore[arg-type]

    def init_fn(template: Any = None, key: Tensor | None = None) -> TrainState:
        state = init(model, template, key=key, compiler=compiler)
        return TrainState(state, jit(init_update, compiler=compiler)(state.parameters))

    def train_step(state: TrainState, x: Any, y: Any) -> tuple[TrainState, Tensor]:
        whole: ModelState = state.parameters
        inner = TrainState(whole.parameters, state.optimizer)
        after, value, extra = descend(function, (init_update, update), inner, whole, x, y)
        following = replace(whole, parameters=after.parameters).with_state(extra.state)
        return TrainState(following, after.optimizer), value

    return init_fn, jit(train_step, compiler=compiler, donate=0)


def _step_of_pairs(
    model: tuple[Any, Any], optimizer: tuple[Any, Any], compiler: str | None
) -> tuple[Callable[..., TrainState], Definition]:
    init_model, function = model
    init_update, update = optimizer

    def init_fn(*args: Any, **options: Any) -> TrainState:
        parameters = init_model(*args, **options)
        return TrainState(parameters, jit(init_update, compiler=compiler)(parameters))

    def train_step(state: TrainState, x: Any, y: Any) -> tuple[TrainState, Tensor]:
        following, value, _ = descend(
            lambda p, x, y: (scalar(function(p, x, y)), ()), (init_update, update), state, x, y
        )
        return following, value

    return init_fn, jit(train_step, compiler=compiler, donate=0)


def train(
    functions: tuple[Callable[..., TrainState], Callable[..., tuple[TrainState, Tensor]]],
    inputs: Iterable[Any],
    targets: Iterable[Any],
    *,
    epochs: int = 5,
) -> TrainState:
    """Run a step's two functions over batches of inputs and targets, and give the final state.

    Prints one line an epoch. The inputs and targets are gone through once an epoch (lists, not generators).

    >>> pairs = (lambda: nx.tensor(0.0), lambda w, x, y: (w * x - y) ** 2), optimizers.sgd(0.25)
    >>> train(step(*pairs), [1.0, 2.0], [3.0, 6.0], epochs=1).parameters  # doctest: +ELLIPSIS
    epoch 1/1  2 batches  loss 9.00000  ... s
    float32[] 4.5
    """
    init_fn, step_fn = functions
    state: TrainState | None = None
    for epoch in range(1, epochs + 1):
        start, total, count = time.perf_counter(), nx.zeros(()), 0
        for x, y in zip(inputs, targets):
            if state is None:
                state = init_fn(x) if _takes_template(init_fn) else init_fn()
            state, loss = step_fn(state, x, y)
            total, count = total + loss, count + 1
        if state is None or count == 0:
            raise ValueError(f"train: expected batches in epoch {epoch}, got none; pass lists, not used-up generators")
        seconds = time.perf_counter() - start
        sys.stdout.write(f"epoch {epoch}/{epochs}  {count} batches  loss {float(total) / count:.5f}  {seconds:.2f} s\n")
    assert state is not None
    return state


def _takes_template(init_fn: Callable[..., Any]) -> bool:
    return "template" in inspect.signature(init_fn).parameters
