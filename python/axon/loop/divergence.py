"""What is said of a loss that became infinite or NaN: its batch is looked at, once, on the host."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import losses, tree
from ..model import Model, ModelState, forward
from ..training import Loss

if TYPE_CHECKING:
    from .pairs import Pair
    from .state import State


def explained(pair: Pair, state: State, iteration: int, batch: tuple[Any, ...] | None) -> str:
    """Where it happened, what was looked at, what was found and what to do. `batch` is the one whose loss was not
    finite, the `iteration`-th; None where the data cannot be passed over again."""
    watch = state.step.watch
    text = f"run: the loss became infinite or NaN at iteration {iteration} of epoch {state.epoch}, where the run ends"
    found = "" if batch is None else pair.look(state.step.state, batch)
    if found:
        return f"{text}: {found}"
    looked = "x and y of that batch are finite" if pair.paired else "that batch is finite"
    if not batch:
        looked = "its batch cannot be had again to look at"
    earlier = [h["loss"] for h in state.history if math.isfinite(h.get("loss", math.nan))]
    known = [*earlier[:1], *earlier[-1:], *filter(math.isfinite, (float(watch.first), float(watch.last)))]
    debug = "`with axon.debug():` around the run names the op that made it"
    if not known:
        return f"{text}: {looked}, it was the first loss; {debug}"
    before = f"the loss grew from {known[0]:.4g} to" if known[-1] > known[0] else "the loss before was"
    rate = "" if state.learning_rate is None else f", {state.learning_rate:.4g} now"
    return f"{text}: {looked}, {before} {known[-1]:.4g}; lower the learning rate{rate}, or clip the updates; {debug}"


def look(model: Model, loss: Loss, state: ModelState, x: Any, y: Any) -> str:
    """What of a batch makes a loss infinite or NaN; "" where nothing is found."""
    return not_finite("x", x) or not_finite("y", y) or _out_of_range(model, loss, state, x, y)


def not_finite(name: str, part: Any) -> str:
    """What of a part of a batch is infinite or NaN; "" where nothing is."""
    for path, leaf in zip(tree.paths(part), tree.leaves(part)):
        values = np.atleast_1d(np.asarray(leaf)).astype(np.float64)
        nans, bad = np.isnan(values), ~np.isfinite(values)
        if bad.any():
            place = f"{name} at {tree.show(path)}" if path else name
            return (
                f"{place} of that batch holds {nans.sum()} NaN and {(bad & ~nans).sum()} infinite values of "
                f"{bad.size}, the first in row {np.argwhere(bad)[0][0]}; mend the data"
            )
    return ""


def _out_of_range(model: Model, loss: Loss, state: ModelState, x: Any, y: Any) -> str:
    """Classes that the model has no output for; a cross-entropy of them is NaN."""
    function = loss.func if isinstance(loss, partial) else loss
    classes = np.asarray(y) if tree.is_leaf(y) else np.zeros(())
    by_class = function in (losses.categorical_cross_entropy, losses.categorical_hinge) or model.op == "softmax"
    if not by_class or classes.dtype.kind not in "iu":
        return ""
    shape = forward(model, state, x, "inference").values[model].shape
    if classes.shape != shape[:-1] or not classes.size or (classes.min() >= 0 and classes.max() < shape[-1]):
        return ""
    return (
        f"y of that batch holds classes {classes.min()}..{classes.max()}, expected 0..{shape[-1] - 1} for {shape[-1]} "
        f"outputs; number the classes from 0, or give the model as many outputs"
    )
