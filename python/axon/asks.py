"""What a named loss or metric asks of a model's end and of targets, beside its function: `@asks(...)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

RATES = frozenset({"hard_sigmoid", "relu", "relu6", "sigmoid", "softmax", "softplus"})  # which are never negative
NAN = "np.isnan(y) says where; mend the data"
_ROUNDING = 1e-2  # how far from 1 a row of float16 shares may sum
F = TypeVar("F", bound=Callable[..., Any])


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
        advice = NAN
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
    advice = NAN
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
        advice = NAN if low != low else "train a regression by mean_squared_error or huber"
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


def numbers(name: str, y: Any, end: End, options: Mapping[str, Any]) -> None:
    """Any numbers, of one output."""


ASKS: dict[Callable[..., Any], Asks] = {}  # by function; others take whatever they are given


def asks(
    targets: Callable[[str, Any, End, Mapping[str, Any]], None],
    end: str | None = None,
    also: frozenset[str] = frozenset(),
    columns: int = 1,
) -> Callable[[F], F]:
    """The decorator of a loss or metric that asks something, see `Asks`."""

    def declare(function: F) -> F:
        ASKS[function] = Asks(targets, end, also, columns)
        return function

    return declare
