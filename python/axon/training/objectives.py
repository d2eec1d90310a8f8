"""Objectives: what a train step differentiates. A model and a loss give one, from logits where the loss can work so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from .. import losses, rows
from ..errors import note
from ..model import Model, ModelState, forward
from ..model.state import Tensors
from ..names import named
from ..nx import Tensor
from ..streams import scalar
from ..targets import asked_by, check_columns, check_end, compares_all_pairs, end_of, over_last_axis

Loss = str | Callable[..., Tensor]  # of (y_true, y_pred)


class Evaluated(NamedTuple):
    """What one pass over a batch gives beside the loss."""

    y_pred: Tensor
    state: Tensors


def find_loss(loss: Loss) -> Callable[..., Tensor]:
    """A loss given by name (then of reduction "mean") or as a function that reduces by itself."""
    if isinstance(loss, str) and loss == "margin_ranking":
        raise ValueError(
            "loss: expected a loss of one prediction, got 'margin_ranking', which is of pairs; write "
            "lambda y, p: losses.margin_ranking(y, (p[..., 0], p[..., 1]), reduction='mean')"
        )
    rows = {name: partial(getattr(losses, name), reduction="mean") for name in losses.__all__}
    del rows["margin_ranking"]
    return named("loss", rows, loss, " or a function")


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
