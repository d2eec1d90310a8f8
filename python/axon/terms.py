"""A loss of several outputs: the weighted sum of a loss for each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .nx import Tensor
from .options import plain
from .streams import scalar
from .values import Value


@dataclass(frozen=True, eq=False)
class Several(Value):
    """The sum of weight * loss(y_true[key], y_pred[key]) over outputs, by their keys: numbers or names."""

    terms: Mapping[int | str, tuple[Callable[..., Tensor], float]]

    def __call__(self, y_true: Any, y_pred: Any) -> Tensor:
        return self.summed(y_true, y_pred, lambda key, function, true, pred: function(true, pred))

    def summed(self, y_true: Any, y_pred: Any, value: Callable[..., Any]) -> Tensor:
        """The weighted sum of value(key, loss, target, prediction). ValueError unless there are as many targets and
        outputs as losses by number, or those of their names."""
        for what, given in (("targets", y_true), ("outputs", y_pred)):
            keys = list(given) if isinstance(given, Mapping) else [*range(len(given))] if _is_row(given) else None
            wanted = list(self.terms)
            if keys is None or not (wanted == keys or (isinstance(given, Mapping) and {*wanted} <= {*keys})):
                got = type(given).__name__ if keys is None else ", ".join(map(str, keys))
                raise ValueError(f"loss: expected {what} {', '.join(map(str, wanted))}, one for each loss, got {got}")
        total: Any = None
        for key, (function, weight) in self.terms.items():
            found = scalar(f"loss {key}", value(key, function, y_true[key], y_pred[key]))
            found = found if weight == 1 else weight * found
            total = found if total is None else total + found
        return total


def _is_row(value: Any) -> bool:
    return isinstance(value, (tuple, list))


def _is_loss(value: Any) -> bool:
    return isinstance(value, (str, Mapping)) or _is_row(value) or callable(value)


def _weight(key: int | str, value: Any) -> float:
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise TypeError(f"loss {key}: expected (loss, weight), the weight a number, got {value!r}; write 0.5")
    if not 0 <= number < math.inf:
        raise ValueError(f"loss {key}: expected a finite weight of at least 0, got {number}; leave a loss out by 0")
    return float(number)


def several(loss: Any, find: Callable[[Any], Callable[..., Tensor]]) -> Several:
    """The losses of a tuple, list or dict, by the outputs: each is a loss, or a pair of one and its weight. TypeError
    for another loss or weight, ValueError for a weight below 0, infinite or NaN, and where there are none."""
    terms: dict[int | str, tuple[Callable[..., Tensor], float]] = {}
    for key, one in loss.items() if isinstance(loss, Mapping) else enumerate(loss):
        function, weight = one if _is_row(one) and len(one) == 2 and not _is_loss(one[1]) else (one, 1.0)
        if not _is_loss(function):
            raise TypeError(
                f"loss: expected a loss for each output, got {function!r} for output {key}; beside its weight write "
                f"[(loss, weight)], and for one output the loss alone"
            )
        terms[key] = find(function), _weight(key, weight)
    if not terms:
        raise ValueError("loss: expected a loss for each output, got none")
    return Several(terms)
