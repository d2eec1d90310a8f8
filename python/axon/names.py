"""Names that users guess: what they probably meant, for errors' texts."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# What other libraries and papers call things.
_ALIASES = {
    "acc": "accuracy",
    "bce": "binary_cross_entropy",
    "cce": "categorical_cross_entropy",
    "cross_entropy": "categorical_cross_entropy",
    "cosine": "cosine_similarity",
    "crossentropy": "categorical_cross_entropy",
    "kaiming_normal": "he_normal",
    "kaiming_uniform": "he_uniform",
    "kl_div": "kl_divergence",
    "kld": "kl_divergence",
    "l1": "mean_absolute_error",
    "l2": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mse": "mean_squared_error",
    "nll": "categorical_cross_entropy",
    "smooth_l1": "huber",
    "sparse_categorical_crossentropy": "categorical_cross_entropy",
    "swish": "silu",
    "top_k_accuracy": "top_k_categorical_accuracy",
    "xavier_normal": "glorot_normal",
    "xavier_uniform": "glorot_uniform",
}


def nearest(name: object, known: Iterable[str]) -> str | None:
    """The known name that was probably meant: another name of the same thing, or one that is spelled nearly alike.

    >>> nearest("MSE", ["mean_squared_error"]), nearest("Adma", ["adam", "sgd"]), nearest("layer_norm", ["batch_norm"])
    ('mean_squared_error', 'adam', None)
    """
    from difflib import get_close_matches

    known = list(known)
    plain = re.sub(r"[\s-]+", "_", str(name)).lower()
    meant = _ALIASES.get(plain)
    return meant if meant in known else next(iter(get_close_matches(plain, known, n=1, cutoff=0.75)), None)


def none_of(name: str, known: Iterable[str], got: object, more: str = "") -> str:
    """An error's text for a name that is not known.

    >>> none_of("optimizer", ["adam", "sgd"], "Adam")
    "optimizer: expected one of adam, sgd, got 'Adam'; did you mean adam?"
    """
    known = list(known)
    near = nearest(got, known)
    return f"{name}: expected one of {', '.join(known)}{more}, got {got!r}" + (
        f"; did you mean {near}?" if near else ""
    )


def guided(usage: str | None = None, **instead: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function say, for arguments that it does not take, how it is called: `instead` has what to write in place
    of options of other libraries, `usage` the call as a whole.

    >>> @guided(lr="learning_rate=")
    ... def sgd(learning_rate=0.1): ...
    >>> sgd(lr=1)
    Traceback (most recent call last):
    TypeError: sgd: got an unknown option lr; write learning_rate=
    """

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        name, signature = function.__name__, inspect.signature(function)
        shown = [p.replace(annotation=p.empty) for p in signature.parameters.values() if p.name != "self"]
        whole = usage or f"{name}{inspect.Signature(shown)}"

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                unknown = next((key for key in kwargs if key not in signature.parameters), None)
                if unknown is None:
                    raise TypeError(f"{name}: {error}; write {whole}") from None
                near = instead.get(unknown) or nearest(unknown, (p.name for p in shown)) or whole
                raise TypeError(f"{name}: got an unknown option {unknown}; write {near}") from None
            return function(*args, **kwargs)

        return call

    return wrap
