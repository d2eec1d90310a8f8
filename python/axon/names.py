"""Names that users guess: what they probably meant, for errors' texts."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")

# What other libraries and papers call things.
_ALIASES = {
    "acc": "accuracy",
    "bce": "binary_cross_entropy",
    "cce": "categorical_cross_entropy",
    "channels_first": "first",
    "channels_last": "last",
    "cross_entropy": "categorical_cross_entropy",
    "cosine": "cosine_similarity",
    "crossentropy": "categorical_cross_entropy",
    "glorot": "glorot_uniform",
    "he": "he_normal",
    "kaiming": "he_normal",
    "kaiming_normal": "he_normal",
    "kaiming_uniform": "he_uniform",
    "kl_div": "kl_divergence",
    "kld": "kl_divergence",
    "l1": "mean_absolute_error",
    "l2": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mse": "mean_squared_error",
    "nchw": "first",
    "nhwc": "last",
    "nll": "categorical_cross_entropy",
    "smooth_l1": "huber",
    "sparse_categorical_crossentropy": "categorical_cross_entropy",
    "swish": "silu",
    "top_k_accuracy": "top_k_categorical_accuracy",
    "xavier": "glorot_uniform",
    "xavier_normal": "glorot_normal",
    "xavier_uniform": "glorot_uniform",
}

# What they call options: what stands for each here, where a function has all of those names.
_OPTIONS: dict[str, tuple[str, ...]] = {
    "affine": ("use_gamma use_beta",),
    "alpha": ("decay",),
    "axes": ("axis",),
    "beta": ("delta",),
    "beta_1": ("b1",),
    "beta_2": ("b2",),
    "betas": ("b1 b2",),
    "bias": ("use_bias",),
    "center": ("use_beta",),
    "channel_index": ("axis",),
    "data_format": ("channels",),
    "decay_steps": ("transition_steps",),
    "dilation": ("kernel_dilation",),
    "dilation_rate": ("kernel_dilation", "dilation"),
    "dim": ("axis",),
    "elementwise_affine": ("use_gamma use_beta",),
    "eps": ("epsilon",),
    "epsilon": ("eps",),
    "feature_group_size": ("groups",),
    "features": ("units",),
    "filters": ("units",),
    "gain": ("scale",),
    "gamma": ("decay_rate",),
    "initial_learning_rate": ("init_value",),
    "keepdim": ("keep_axes",),
    "keepdims": ("keep_axes",),
    "log_input": ("from_logits",),
    "lr": ("learning_rate",),
    "negative_slope": ("alpha",),
    "out_channels": ("units",),
    "out_features": ("units",),
    "p": ("rate", "norm"),
    "pool_size": ("kernel_size",),
    "pos_weight": ("positive_weight",),
    "rho": ("decay",),
    "seed": ("key",),
    "size_average": ("reduction",),
    "std": ("scale",),
    "stddev": ("scale",),
    "steps": ("decay_steps", "transition_steps"),
    "track_running_stats": ("use_mean use_var",),
    "training": ("mode",),
    "value": ("init_value",),
    "weight": ("class_weights",),
    "weight_decay": ("decay",),
    "window_dilations": ("dilation",),
    "window_shape": ("kernel_size",),
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


def named(what: str, rows: Mapping[str, R], value: object, more: str = "") -> R:
    """What stands for a value: the row of that name, or the value itself where it can be called. ValueError for another
    name and for what is neither; `more` says in its text what else than a name is taken.

    >>> named("loss", {"half": 0.5}, "half"), named("loss", {}, len)
    (0.5, <built-in function len>)
    """
    if isinstance(value, str) and value in rows:
        return rows[value]
    if not callable(value):
        raise ValueError(none_of(what, rows, value, more))
    return cast(R, value)


def misuse(
    name: str,
    signature: inspect.Signature,
    args: Sequence[object],
    options: Mapping[str, object],
    usage: str | None = None,
    instead: Mapping[str, str] | None = None,
) -> str | None:
    """What is wrong with arguments that do not fit a function of that name, for an error's text; None where they do.

    For an option that the function does not have, what to write is what `instead` says, or what another library's name
    stands for, or the option that is spelled nearly alike, or the whole call: `usage`, by default the signature.

    >>> misuse("dropout", inspect.signature(lambda x, *, rate=0.5: x), [1.0], {"p": 0.1})
    'dropout: got an unknown option p; write rate='
    """
    try:
        signature.bind(*args, **options)
    except TypeError as error:
        shown = [p.replace(annotation=p.empty) for p in signature.parameters.values() if p.name != "self"]
        whole = usage or f"{name}{inspect.Signature(shown)}"
        unknown = next((option for option in options if option not in signature.parameters), None)
        if unknown is None:
            return f"{name}: {error}; write {whole}"
        names = [p.name for p in shown]
        near = nearest(unknown, names)
        meant = next((m.split() for m in _OPTIONS.get(unknown, ()) if {*m.split()} <= {*names}), [near] if near else [])
        written = (instead or {}).get(unknown) or " and ".join(f"{m}=" for m in meant) or whole
        return f"{name}: got an unknown option {unknown}; write {written}"
    return None


def guided(usage: str | None = None, **instead: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function say, for arguments that it does not take, how it is called: `instead` has what to write in place
    of options that it could not have by another name, `usage` the call as a whole.

    >>> @guided(weight_decay="adamw(decay=...)")
    ... def sgd(learning_rate=0.1): ...
    >>> sgd(weight_decay=1)
    Traceback (most recent call last):
    TypeError: sgd: got an unknown option weight_decay; write adamw(decay=...)
    """

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except TypeError:
                wrong = misuse(function.__name__, signature, args, kwargs, usage, instead)
                if wrong is None:
                    raise
                raise TypeError(wrong) from None

        return call

    return wrap
