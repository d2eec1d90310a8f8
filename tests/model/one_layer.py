"""A model of each layer of the table: an input that it takes, and the options that it must be given."""

from __future__ import annotations

import inspect
from typing import Any

from axon import layers
from axon.layers import REQUIRED
from axon.model import Model, function, input
from axon.model.shapes import infer

EVALUATE: Any = {"compiler": "evaluate"}
INPUTS = [(None, 8, 8, 4), (None, 8, 8, 8, 4), (None, 8, 4), (None, 4)]


def built(name: str, shape: tuple[int | None, ...], options: dict[str, Any], dtype: str = "float32") -> Model | None:
    """The model of one layer, where it fits."""
    row = layers.TABLE[name]
    inputs = [input(f"x{i}", shape=shape, dtype=dtype) for i in range(2 if row.variadic else len(row.inputs))]
    try:
        made = function(name)(*inputs, **options)
        infer(made)
    except (ValueError, TypeError):
        return None
    return made


def defaults(name: str) -> dict[str, Any]:
    """A layer's options as a model takes them, each with its default or REQUIRED."""
    asked = inspect.signature(function(name)).parameters.values()
    named = {p.name: p.default for p in asked if p.kind not in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL)}
    return {option: default for option, default in named.items() if option not in ("activation", "name")}


def least_of(name: str) -> tuple[tuple[int | None, ...], dict[str, Any]]:
    """An input's shape that a layer takes, and the options that it must be given, perhaps one of several."""
    named = defaults(name)
    required = {option: 2 for option, default in named.items() if default is REQUIRED}
    some = [required, *({**required, option: 2} for option in named)]
    fitting = next(((shape, least) for least in some for shape in INPUTS if built(name, shape, least)), None)
    assert fitting, f"{name} takes none of the inputs that are tried: extend INPUTS"
    return fitting
