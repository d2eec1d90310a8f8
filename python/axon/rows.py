"""Rows of targets beside rows of predictions, as losses and metrics take them: their shapes, classes, and reduction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from . import nx
from .errors import ShapeError
from .nx import Tensor

Reduction = Literal["none", "mean", "sum"]


def reduce(rows: Tensor, reduction: Reduction) -> Tensor:
    """The rows themselves, their mean or their sum; ValueError for another word."""
    if reduction == "none":
        return rows
    if reduction == "mean":
        return nx.mean(rows)
    if reduction == "sum":
        return nx.sum(rows)
    raise ValueError(f'reduction: expected "none", "mean" or "sum", got {reduction!r}')


def check_rows(name: str, y_pred: Tensor) -> None:
    """Refuse a single number, which has no last axis."""
    if not y_pred.shape:
        raise ShapeError(f"{name}: expected rows of predictions [..., n], got {y_pred.type}; write .reshape((1,))")


def check_same_shape(name: str, y_true: Tensor, y_pred: Tensor) -> None:
    """Refuse what would broadcast, naming the reshape to write."""
    if y_true.shape == y_pred.shape:
        return
    advice = "give one target a prediction"
    if _same_but_for_ones(y_true.shape, y_pred.shape):
        advice = f"write y_true.reshape({any_batch(y_pred.shape)})"
    elif y_pred.ndim > 2 and y_true.shape in (y_pred.shape[:1], (y_pred.shape[0], 1), y_pred.shape[:: y_pred.ndim - 1]):
        inner = ", ".join(map(str, y_pred.shape[1:-1]))
        advice = f"predictions have axes {inner} between batch and outputs: add .flatten() before the last dense"
    elif y_true.dtype.is_integer and y_true.shape == y_pred.shape[:-1]:
        advice = f"classes are for cross-entropies: write one-hot rows, np.eye({y_pred.shape[-1]})[y]"
    elif y_pred.dtype.is_integer and y_pred.shape == y_true.shape[:-1]:
        advice = "the targets are the first argument"
    raise ShapeError(f"{name}: expected y_true and y_pred of one shape, got {y_true.type} and {y_pred.type}; {advice}")


def are_classes(name: str, y_true: Tensor, y_pred: Tensor, sparse: bool | None) -> bool:
    """Whether y_true holds class numbers (an integer for each row of y_pred) rather than one value a class."""
    if y_pred.shape[-1:] == (0,):
        raise ShapeError(f"{name}: expected predictions of one class or more, got {y_pred.type}; look at the last axis")
    rows, integer = y_pred.shape[:-1], y_true.dtype.is_integer
    if sparse is not False and integer and y_true.shape == rows:
        return True
    meant = _same_but_for_ones(y_true.shape, rows) and not _same_but_for_ones(y_true.shape, y_pred.shape)
    if sparse is False or (sparse is None and not meant):
        check_same_shape(name, y_true, y_pred)
        return False
    advice = "pass one-hot rows without sparse"
    if meant:
        reshape = "" if y_true.shape == rows else f".reshape({any_batch(rows)})"
        advice = f"write y_true{reshape}" + ("" if integer else '.astype("int32")')
    raise ShapeError(
        f"{name}: expected integer classes of shape {rows}, got {y_true.type} beside {y_pred.type}; {advice}"
    )


def any_batch(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape to write into a reshape, which holds for batches of other sizes, too."""
    return (-1, *shape[1:]) if shape and 0 not in shape else tuple(shape)


def _same_but_for_ones(a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether a reshape between two shapes only adds or drops axes of size 1."""
    return [n for n in a if n != 1] == [n for n in b if n != 1]


def class_numbers(classes: Tensor) -> Tensor:
    """Classes in a dtype that holds the number of classes, too: one past the last."""
    return classes.astype(nx.int32) if classes.dtype.itemsize < 4 else classes


def one_hot(classes: Tensor, y_pred: Tensor) -> Tensor:
    """Rows of False and one True: which class of y_pred's last axis each of `class_numbers` names."""
    numbers = nx.arange(y_pred.shape[-1], dtype=classes.dtype)
    return nx.expand_dims(classes, axis=-1) == numbers


def nan_outside(classes: Tensor, y_pred: Tensor) -> Tensor:
    """0 for classes that y_pred's last axis has, NaN for others: compiled code cannot raise, and 0 would hide them."""
    inside = (classes >= 0) & (classes < y_pred.shape[-1])
    return nx.sqrt(nx.where(inside, 0, -1).astype(y_pred.dtype))  # `debug` would stop at a literal NaN


def weights(name: str, option: str, given: float | Sequence[float], y_pred: Tensor) -> Tensor:
    """Weights that are one number, or one for each of y_pred's last axis."""
    if isinstance(given, Mapping):
        raise TypeError(f"{name}: expected {option}, got a dict; write a list, in the order of the classes")
    found = nx.asarray(given, dtype=y_pred.dtype)
    if found.shape not in ((), y_pred.shape[-1:]):
        count = y_pred.shape[-1]
        raise ShapeError(f"{name}: expected {count} {option}, got {found.size}; give one a class")
    return found


def alike(name: str, y_true: Tensor, y_pred: Tensor) -> tuple[list[Tensor], Callable[[Tensor], Tensor]]:
    """Targets and predictions of one shape as they are computed with, and what rounds the loss."""
    y_true, y_pred = nx.asarray(y_true), nx.asarray(y_pred)
    check_rows(name, y_pred)
    check_same_shape(name, y_true, y_pred)
    return nx.widened(y_true, y_pred)
