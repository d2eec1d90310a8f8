"""Objectives: what a train step differentiates. A model and a loss give one, from logits where the loss can work so; of
several outputs the loss is one function of all, or a sum of one for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from .. import losses, rows, tree
from ..errors import note
from ..model import Model, ModelState, forward
from ..model.state import Tensors
from ..names import named
from ..nx import Tensor
from ..streams import scalar
from ..targets import asked_by, check_columns, check_end, compares_all_pairs, end_of, output_at, over_last_axis
from ..terms import Several, several

One = str | Callable[..., Tensor]  # of (y_true, y_pred)
Weighted = One | tuple[One, float]
Loss = One | tuple[Weighted, ...] | list[Weighted] | Mapping[str, Weighted]  # one, or one for each of several outputs


class Predicted(NamedTuple):
    """What one pass over a batch gives beside the loss."""

    y_pred: Any
    state: Tensors


def find_loss(loss: Loss) -> Callable[..., Tensor]:
    """A loss given by name (then of reduction "mean") or as a function that reduces by itself; or a tuple, list or dict
    of such, one for each output, each alone or beside its weight."""
    if isinstance(loss, (tuple, list, Mapping)):
        return several(loss, find_loss)
    if isinstance(loss, str) and loss == "margin_ranking":
        raise ValueError(
            "loss: expected a loss of one prediction, got 'margin_ranking', which is of pairs; write "
            "lambda y, p: losses.margin_ranking(y, (p[..., 0], p[..., 1]), reduction='mean')"
        )
    rows = {name: partial(getattr(losses, name), reduction="mean") for name in losses.__all__}
    del rows["margin_ranking"]
    return named("loss", rows, loss, " or a function")


def logits_of(model: Model, loss: Callable[..., Tensor]) -> Any:
    """The layer before the model's last one, where the loss can work from it: cross-entropy after softmax or sigmoid
    takes the logits, which loses nothing where the probability underflows. None where it cannot, or was told. A dict
    has that of each of several outputs. ValueError where the model ends in what the loss cannot mean."""
    if isinstance(loss, Several):
        return {key: logits_of(output_at(model, key), one) for key, (one, _) in loss.terms.items()}
    check_end(model, loss)
    asked = asked_by(loss)
    if asked is None or "from_logits" in asked.options:
        return None
    if asked.asks.end != end_of(model).op or not over_last_axis(model):
        return None
    return model.parents[0]


def objective(model: Model, loss: Loss, mode: Any = "train") -> Callable[..., tuple[Tensor, Predicted]]:
    """(parameters, rest of the ModelState, x, y) -> (loss, what else the pass gave): what a step differentiates."""
    function = find_loss(loss)
    logits = logits_of(model, function)
    told: list[str] = []

    def tell(function: Callable[..., Tensor], y: Any, y_pred: Tensor) -> None:
        if mode == "train" and not told and compares_all_pairs(function, y, y_pred):
            told.append(
                f"loss: expected y_true and y_pred of one shape, got {y.type} and {y_pred.type}, which broadcast: each "
                f"target is compared with every prediction; write y_true.reshape({rows.any_batch(y_pred.shape)})"
            )
            note(told[0])

    def evaluate(parameters: Tensors, rest: ModelState, x: Any, y: Any) -> tuple[Tensor, Predicted]:
        done = forward(model, replace(rest, parameters=parameters), x, mode)

        def value(function: Callable[..., Tensor], logits: Any, y: Any, y_pred: Any) -> Tensor:
            if isinstance(function, Several):
                return function.summed(y, y_pred, lambda key, one, true, pred: value(one, logits[key], true, pred))
            if isinstance(y_pred, Tensor):
                check_columns(function, y_pred.shape)
                tell(function, y, y_pred)
            else:
                _refuse_several(function, y_pred)
            return function(y, y_pred) if logits is None else function(y, done.values[logits], from_logits=True)

        y_pred = done.values[model]
        return scalar("loss", value(function, logits, y, y_pred)), Predicted(y_pred, done.state)

    return evaluate


def _refuse_several(loss: Any, y_pred: Any) -> None:
    """Refuse several outputs where a loss of ours takes one; a function of the user's may take all of them."""
    plain = loss.func if isinstance(loss, partial) else loss
    if getattr(plain, "__module__", "") == losses.__name__:
        got = ", ".join(map(tree.show, tree.paths(y_pred)))
        raise ValueError(
            f"{plain.__name__}: expected one output, got {got}; give a loss for each in a tuple or dict, or a function "
            f"(y_true, y_pred) of all"
        )
