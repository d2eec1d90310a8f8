"""What the named losses and metrics ask of a model's end and of targets. Compiled code cannot raise: this is looked at
when a step is made, and on the host while targets are arrays."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from . import activations, losses, metrics
from .graph.trace import trace
from .layers import is_ours
from .model import Model, needs_template
from .model.shapes import Result, output
from .nx import Tensor
from .values import named

_LOGITS = frozenset({"linear", "log_softmax"})  # activations that leave logits what they are
_RATES = frozenset({"hard_sigmoid", "relu", "relu6", "sigmoid", "softmax", "softplus"})  # which are never negative
_NAN = "np.isnan(y) says where; mend the data"
_ROUNDING = 1e-2  # how far from 1 a row of float16 shares may sum


class End(NamedTuple):
    """A layer that says what a model's output can mean: its op ("" where that is a function of the user's), how it is
    shown, what it gives, and the shape of the model's output."""

    op: str
    shown: str
    gives: Literal["logits", "values", "probabilities"] | None  # None: nobody knows
    shape: tuple[int | None, ...] = ()


class Asks(NamedTuple):
    """What one loss or metric asks: targets(name, y, end, options) refuses values, `end` is the activation whose output
    it takes for probabilities (a loss works from its logits), `also` are others that give such, and the output has
    `columns` at least."""

    targets: Callable[[str, Any, End, Mapping[str, Any]], None]
    end: str | None = None
    also: frozenset[str] = frozenset()
    columns: int = 1

    @property
    def ends(self) -> frozenset[str]:
        return self.also if self.end is None else self.also | {self.end}


def distributions(name: str, y: Any, end: End, options: Mapping[str, Any]) -> None:
    """Class numbers, or rows of shares that sum to 1, as `rows.are_classes` tells them apart."""
    if not _are_classes(name, y, end, options):
        rows_of_shares(name, y, end, options)


def rows_of_shares(name: str, y: Any, end: End, options: Mapping[str, Any]) -> None:
    """Rows that sum to 1; of another shape they are left to the function."""
    if y.ndim != len(end.shape) or y.shape[-1:] != end.shape[-1:] or not y.ndim:
        return
    least, sums = float(y.min()), y.sum(axis=-1, dtype="float64")
    worst = sums.flat[abs(sums - 1).argmax()]
    if not (least >= 0 and abs(worst - 1) <= _ROUNDING):
        got = f"one that sums to {worst:g}" if least >= 0 else f"values from {least:g}"
        raise ValueError(
            f"{name}: expected rows of shares that sum to 1, such as one-hot rows, got {got}; where an example may "
            f"have several classes, or none, end in sigmoid and use binary_cross_entropy"
        )


def _are_classes(name: str, y: Any, end: End, options: Mapping[str, Any]) -> bool:
    """Whether y holds class numbers, which must be in range."""
    if options.get("sparse") is False or y.dtype.kind not in "iu" or y.ndim != len(end.shape) - 1:
        return False
    count, low, high = int(end.shape[-1] or 0), int(y.min()), int(y.max())
    if low >= 0 and high < count:
        return True
    advice = "renumber them: classes, y = np.unique(labels, return_inverse=True)"
    if low > 0 and high == count:
        advice = "write y - 1"
    elif low >= 0:
        advice = f"give the last layer {high + 1} units, or {advice}"
    raise ValueError(f"{name}: expected classes 0..{count - 1} for {count} outputs, got {low}..{high}; {advice}")


def shares(name: str, y: Any, end: End, options: Mapping[str, Any]) -> None:
    """Labels 0 and 1, or probabilities."""
    low, high = float(y.min()), float(y.max())
    if low >= 0 and high <= 1:
        return
    whole = bool((y.astype("float64") % 1 == 0).all())
    advice = "scale them into that range, or train a regression by mean_squared_error"
    if low != low:
        advice = _NAN
    elif whole and (low, high) == (-1, 1):
        advice = "write (y + 1) / 2"
    elif whole and (low, high) == (1, 2):
        advice = "write y - 1"
    elif whole and (low, high) == (0, 255):
        advice = "write y / 255"
    elif whole and low >= 0 and end.shape[-1:] == (1,):
        advice = f"for {int(high) + 1} classes end in softmax and use categorical_cross_entropy"
    raise ValueError(f"{name}: expected targets in [0, 1], got {low:g}..{high:g}; {advice}")


def signs(name: str, y: Any, end: End, options: Mapping[str, Any]) -> None:
    """Labels -1 and 1."""
    if _are_signs(y):
        return
    low, high = float(y.min()), float(y.max())
    advice = _NAN
    if ((y == low) | (y == high)).all():
        advice = f"write np.where(y > {(low + high) / 2:g}, 1, -1)"
    elif low == low:
        advice = "for several classes use categorical_hinge or categorical_cross_entropy, for a regression huber"
    raise ValueError(f"{name}: expected labels -1 and 1, got {low:g}..{high:g}; {advice}")


def _are_signs(y: Any) -> bool:
    return bool((abs(y) == 1).all())


def amounts(name: str, y: Any, end: End, options: Mapping[str, Any]) -> None:
    """Counts, or other numbers of at least 0."""
    low, high = float(y.min()), float(y.max())
    if not low >= 0:
        advice = _NAN if low != low else "train a regression by mean_squared_error or huber"
        raise ValueError(f"{name}: expected targets of at least 0, got {low:g}..{high:g}; {advice}")


def labels(name: str, y: Any, end: End, options: Mapping[str, Any]) -> None:
    """Labels 0 and 1, or probabilities; or labels -1 and 1, as the hinges take them."""
    if not _are_signs(y):
        shares(name, y, end, options)


def hits(name: str, y: Any, end: End, options: Mapping[str, Any]) -> None:
    """Class numbers or rows of values in [0, 1]; beside one output, which is a probability or told to be a logit,
    labels 0 and 1: a regression has no accuracy."""
    if end.shape[-1:] == (1,):
        if (end.gives in ("logits", "values") or end.op == "softmax") and not options.get("from_logits"):
            raise ValueError(
                f"{name}: expected one output that ends in sigmoid, got {end.shown}; of a regression measure "
                f"mean_absolute_error, of a logit partial(metrics.accuracy, from_logits=True)"
            )
        labels(name, y, end, options)
    elif not _are_classes(name, y, end, options) and y.shape[-1:] == end.shape[-1:]:
        shares(name, y, end, options)


def decisions(name: str, y: Any, end: End, options: Mapping[str, Any]) -> None:
    """Labels 0 and 1 beside probabilities, or beside what a threshold was given for."""
    if end.gives in ("logits", "values") and "threshold" not in options:
        raise ValueError(
            f"{name}: expected outputs that end in sigmoid, got {end.shown}; of logits measure "
            f"partial(metrics.{name}, threshold=0.0)"
        )
    labels(name, y, end, options)


# A row for each function that asks something; what is not here takes whatever it is given.
ASKS: dict[Callable[..., Any], Asks] = {
    losses.categorical_cross_entropy: Asks(distributions, "softmax", frozenset({"exp"}), columns=2),
    losses.binary_cross_entropy: Asks(shares, "sigmoid", frozenset({"hard_sigmoid", "exp"})),
    losses.categorical_hinge: Asks(distributions, columns=2),
    losses.hinge: Asks(signs),
    losses.kl_divergence: Asks(rows_of_shares, "softmax", frozenset({"exp"}), columns=2),
    losses.poisson: Asks(amounts, "exp", _RATES),
    losses.soft_margin: Asks(signs),
    metrics.accuracy: Asks(hits),
    metrics.top_k_categorical_accuracy: Asks(hits, columns=2),
    **dict.fromkeys(
        (
            metrics.precision,
            metrics.recall,
            metrics.sensitivity,
            metrics.specificity,
            metrics.true_positives,
            metrics.true_negatives,
            metrics.false_positives,
            metrics.false_negatives,
        ),
        Asks(decisions),
    ),
}
_PROBABILITIES = ASKS[losses.categorical_cross_entropy].ends | ASKS[losses.binary_cross_entropy].ends


def end_of(model: Model) -> End:
    """What is known of one layer. A function of the user's may have the name of one of ours, and mean another thing."""
    row, shown = model.layer, f"{model.name} ({model.op})"
    if not is_ours(row.function) or not named(row.function):
        return End("", shown, None)
    gives: Literal["logits", "values", "probabilities"] | None = None
    if row.gives == "logits" or model.op in _LOGITS:
        gives = "logits"
    elif model.op in activations.__all__:
        gives = "probabilities" if model.op in _PROBABILITIES else "values"
    return End(model.op, shown, gives)


def ends_of(model: Model) -> Iterator[End]:
    """What is known of a model's output: of its last layer, or of those whose elements that layer passes on."""
    if model.layer.gives != "elements":
        yield end_of(model)
        return
    for parent in model.parents:
        yield from ends_of(parent)


def over_last_axis(model: Model) -> bool:
    """Whether a softmax is over the last axis alone, however that is said. Of other activations it is true."""
    axis = model.options.get("axis", -1)
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    if axes != [-1] and not needs_template(model):
        return axes == [len(output(model).shape) - 1]
    return axes == [-1]


class Asked(NamedTuple):
    """A row of ASKS met as a loss or metric: its name, and the options that partial gave it."""

    name: str
    asks: Asks
    options: Mapping[str, Any]


def asked_by(function: Any) -> Asked | None:
    """What a loss or metric asks, which may be a partial of a named one; None for a function of the user's."""
    plain, options = (function.func, function.keywords) if isinstance(function, partial) else (function, {})
    asks = ASKS.get(plain) if isinstance(plain, Hashable) else None  # type: ignore[call-overload]
    return None if asks is None else Asked(plain.__name__, asks, options)


def check_end(model: Model, loss: Callable[..., Any]) -> None:
    """Refuse a model whose output is what the loss cannot mean. ValueError."""
    asked = asked_by(loss)
    if asked is None or asked.asks.end is None:
        return
    name, wanted = asked.name, asked.asks.end
    for end in ends_of(model):
        got = end.shown
        if asked.options.get("from_logits"):
            if end.op in asked.asks.ends:
                raise ValueError(
                    f"{name}: expected logits, by from_logits=True, got a model that ends in {got}; leave from_logits "
                    f"out: a model that ends in {wanted} is trained from its logits"
                )
        elif end.gives == "logits":
            raise ValueError(
                f"{name}: expected a model that ends in {wanted}, got one that ends in {got}; add .{wanted}(), which "
                f"trains from these logits, or write a loss with from_logits=True"
            )
        elif end.gives is not None and end.op not in asked.asks.ends:
            instead = next((f", or use {f.__name__}" for f, row in ASKS.items() if row.end == end.op), "")
            raise ValueError(
                f"{name}: expected a model that ends in {wanted}, got one that ends in {got}; write {wanted} in its "
                f"place{instead}"
            )


def check_columns(loss: Callable[..., Any], shape: Sequence[int | None]) -> None:
    """Refuse too few outputs for a loss. ValueError."""
    asked = asked_by(loss)
    if asked is not None and shape and (shape[-1] or 0) < asked.asks.columns:
        raise ValueError(
            f"{asked.name}: expected {asked.asks.columns} outputs or more, got {shape[-1]}; for two classes and one "
            f"output end in sigmoid and use binary_cross_entropy"
        )


class Check:
    """check(x, y): refuse a batch's targets that the loss or a metric of a loop cannot take. Microseconds a batch."""

    def __init__(self, model: Model, functions: Iterable[Callable[..., Any]]) -> None:
        self._model, self._end = model, None
        self._functions = [f for f in functions if asked_by(f)]

    def __call__(self, x: Any, y: Any) -> None:
        if isinstance(y, Tensor) and y.device == "numpy":
            y = y.numpy()
        if not self._functions or isinstance(y, Tensor) or not hasattr(y, "astype") or not y.size:
            return
        if self._end is None:
            model = self._model
            found = output(model, x if needs_template(model) else None)
            if not isinstance(found, Result):
                return  # several outputs: what takes all of them is a function of the user's
            self._end = next(ends_of(model))._replace(shape=found.shape)
        for function in self._functions:
            check_columns(function, self._end.shape)
            name, asks, options = asked_by(function)  # type: ignore[misc]
            asks.targets(name, y, self._end, options)


def compares_all_pairs(loss: Callable[..., Any], y_true: Any, y_pred: Tensor) -> bool:
    """Whether a loss of the user's broadcasts targets against predictions that a reshape would pair: [n] and [n, 1] to
    [n, n]."""
    if not isinstance(y_true, Tensor) or y_true.shape == y_pred.shape or y_true.size != y_pred.size:
        return False
    shapes = {y_true.shape, y_pred.shape}
    found: dict[tuple[int, ...], set[tuple[int, ...]]] = {}  # shape broadcast to -> shapes it was made of
    for node in trace(loss, (y_true.type, y_pred.type)).graph.nodes:
        if node.op.name == "broadcast_to":
            found.setdefault(node.types[0].shape, set()).update(v.type.shape for v in node.inputs)
    return any(joint not in shapes and parts >= shapes for joint, parts in found.items())
