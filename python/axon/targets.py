"""What the named losses and metrics ask of a model's end and of targets. Compiled code cannot raise: this is looked at
when a step is made, and on the host while targets are arrays."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from . import activations, losses, tree
from .asks import ASKS, Asks, End
from .graph.trace import trace
from .layers import is_ours
from .model import Model, needs_template
from .model.shapes import Shaped, output
from .nx import Tensor
from .terms import Several
from .values import named

_LOGITS = frozenset({"linear", "log_softmax"})  # activations that leave logits what they are
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


def output_at(model: Model, key: int | str) -> Model:
    """The output that one of several losses is of. ValueError where the model has none such."""
    try:
        return model[key]
    except (LookupError, TypeError) as error:
        raise ValueError(f"loss {key}: {error.args[0]}") from None


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


def _by_key(y: Any) -> dict[Any, Any]:
    """Targets of several outputs by number or name; the step refuses others."""
    return dict(enumerate(y) if isinstance(y, (tuple, list)) else y.items() if isinstance(y, Mapping) else ())


class Check:
    """check(x, y): refuse a batch's targets that the loss or a metric of a loop cannot take. Microseconds a batch."""

    def __init__(self, model: Model, functions: Iterable[Callable[..., Any]], root: Any = None, path: Any = ()) -> None:
        """Of one of several outputs, `root` is the whole model, and `path` where the output stands."""
        found = list(functions)
        self._model, self._root, self._path, self._end = model, root or model, path, None
        self._functions = [f for f in found if asked_by(f)]
        self._parts = [
            (key, Check(output_at(model, key), [one], self._root, (*path, key)))
            for function in found
            if isinstance(function, Several)
            for key, (one, _) in function.terms.items()
        ]

    def __call__(self, x: Any, y: Any) -> None:
        given = _by_key(y) if self._parts else {}
        for key, check in self._parts:
            if key in given:
                check(x, given[key])
        if isinstance(y, Tensor) and y.device == "numpy":
            y = y.numpy()
        several = isinstance(y, (tuple, list, Mapping))
        if not self._functions or isinstance(y, Tensor) or not (several or (hasattr(y, "astype") and y.size)):
            return
        if self._end is None:
            model = self._model
            found = output(self._root, x if needs_template(self._root) else None)
            for key in self._path:
                found = found[key]
            if not isinstance(found, Shaped):
                name, got = asked_by(self._functions[0]).name, ", ".join(map(tree.show, tree.paths(found)))  # type: ignore[union-attr]
                raise ValueError(
                    f"{name}: expected one output, got {got}; write a function (y_true, y_pred) that takes one of them"
                )
            self._end = next(ends_of(model))._replace(shape=found.shape)
        if several:
            return
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
