"""What makes models: the functions of layers, and inputs, constants and containers of several models."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from numbers import Integral
from types import MappingProxyType
from typing import Any

from .. import activations, layers, nx
from ..dtypes import DType, float32
from ..dtypes import dtype as to_dtype
from ..graph.trace import user_line
from ..initializers import find_initializer
from ..layers import Layer
from ..names import misuse, none_of
from ..options import plain
from .graph import OWN, Model, Node, Shape
from .parts import assembled, is_several, paths_of, show
from .sources import CONSTANT, CONTAINER, INPUT
from .unknown import no_layer


def input(name: str | None = None, *, shape: Shape | None = None, dtype: DType | str = float32) -> Model:
    """An input of a model.

    `shape` may hold None where an axis is unknown: None first is the batch; a template is needed to initialize a model
    with other unknown axes. Data of another dtype is converted to `dtype`. TypeError for another name or shape.

    >>> input("pixels", shape=(None, 28, 28, 1)).flatten()
    <Model flatten_0 (flatten), 2 layers, inputs pixels>
    """
    if name is not None and not isinstance(name, str):
        raise TypeError(f'input: expected a name, got {name!r}; write input("name", shape={name!r})')
    if shape is not None and not (
        isinstance(shape, (tuple, list)) and all(size is None or _is_size(size) for size in shape)
    ):
        raise TypeError(f"input: expected a shape such as (None, 4), got {shape!r}; None is the unknown batch")
    fixed = None if shape is None else tuple(shape)
    return _model(INPUT, (), {"shape": fixed, "dtype": to_dtype(dtype)}, name)


def constant(value: Any, *, dtype: DType | str | None = None, name: str | None = None) -> Model:
    """A tensor that is the same for all inputs and in all steps: a copy of numbers, an array or a tensor.

    DTypeError and ShapeError for data that no tensor holds.

    >>> input("x", shape=(None, 2)).multiply(constant([1.0, 100.0]))
    <Model multiply_0 (multiply), 3 layers, inputs x>
    """
    return _model(CONSTANT, (), {"value": nx.tensor(value, dtype)}, _checked_name("constant", name))


def container(models: Any, *, name: str | None = None) -> Model:
    """Several models as one, which gives what they give, in the tuples and dicts that they stand in: what a model of
    several outputs ends in, or what a layer of your own takes as one input. A list becomes a tuple.

    The parts of a container are the models in it. TypeError unless all are models, and names are text.

    >>> x = input("x", shape=(None, 2))
    >>> both = container({"mean": x.dense(1), "spread": x.dense(1, activation="softplus")})
    >>> both
    <Model container_0 (container), 5 layers, inputs x>
    >>> both["spread"]
    <Model softplus_0 (softplus), 3 layers, inputs x>
    """
    parts = list(paths_of(models))
    for path, part in parts:
        if not isinstance(part, Model) or not path:
            empty = "an empty " if is_several(part) and not part else ""
            got = f"{empty}{type(part).__name__}" + (f" at {show(path)}" if path else "")
            raise TypeError(
                f"container: expected models in tuples, lists and dicts whose names are text, got {got}; of a tensor "
                f"axon.constant makes a model"
            )
    paths = tuple(path for path, _ in parts)
    return _model(CONTAINER, tuple(part for _, part in parts), {"paths": paths}, _checked_name("container", name))


def contained(*models: Model, paths: Any, name: str | None = None) -> Model:
    """`container`, of models at paths."""
    return container(assembled(models, paths), name=name)


def _model(row: Layer, parents: tuple[Model, ...], options: dict[str, Any], name: str | None) -> Model:
    return Model(Node(row, parents, MappingProxyType(options), name, user_line()))


def _checked_name(op: str, name: Any) -> str | None:
    if name is not None and not isinstance(name, str):
        raise TypeError(f"{op}: expected a name, got {name!r}; write name={str(name)!r}")
    return name


def _is_size(size: Any) -> bool:
    return isinstance(size, Integral) and not isinstance(size, bool) and int(size) >= 0


def function(name: str) -> Callable[..., Model]:
    """The model function of a layer: (models, options) -> model. AttributeError when there is no such layer.

    A layer of your own is a function of models itself; once it is declared it is found here, too, by its name or, where
    others have that, by module and name.

    >>> function("dense")(input("x", shape=(None, 3)), 2)
    <Model dense_0 (dense), 2 layers, inputs x>
    """
    row = layers.find(name)
    if row is None:
        raise AttributeError(f"model: {no_layer(name, layers.TABLE, layers.OWN)}")
    return function_of(row)


def function_of(row: Layer) -> Callable[..., Model]:
    """See `function`, for a row that need not be in the table. It is kept by the row."""
    return row.__dict__.get("_function") or row.__dict__.setdefault("_function", _function_of(row))


def _function_of(row: Layer) -> Callable[..., Model]:
    signature = _signature(row)

    @functools.wraps(row.function, assigned=("__name__", "__qualname__", "__doc__"), updated=())
    def make(*args: Any, **options: Any) -> Model:
        if row.variadic and len(args) == 1 and isinstance(args[0], (list, tuple)):
            args = tuple(args[0])
        wrong = misuse(row.name, signature, args, options)
        if wrong is not None:
            raise TypeError(wrong)
        bound = signature.bind(*args, **options)
        if row.variadic:
            parents, given = bound.args, dict(bound.kwargs)
        else:
            parents, given = tuple(bound.arguments.pop(i) for i in row.inputs), bound.arguments
        others = [p for p in parents if not isinstance(p, Model)]
        if others:
            mixed = len(others) < len(parents)
            advice = OWN if mixed else f"for tensors: from {row.function.__module__} import {row.name}"
            if any(isinstance(m, Model) for _, m in paths_of(others)):
                advice = "axon.container(...) makes one of several models"
            raise TypeError(f"{row.name}: expected models, got {type(others[0]).__name__}; {advice}")
        for option in (f"{row.option(name)}_initializer" for name in row.parameters):
            if given.get(option) is not None:
                given[option] = find_initializer(given[option], f"{row.name}: {option}")
        activation = None if "activation" in row.own else given.pop("activation", None)
        name = _checked_name(row.name, given.pop("name", None))
        defaults = {k: v for k, v in {**row.building, **row.options}.items() if v is not layers.REQUIRED}
        chosen = {option: plain(value) for option, value in {**defaults, **given}.items()}
        for option, value in chosen.items():
            if isinstance(signature.parameters[option].default, bool) and not isinstance(value, bool):
                raise TypeError(f"{row.name}: expected True or False as {option}, got {value!r}; write one of them")
        made = _model(row, parents, chosen, name)
        return made if activation is None else _activate(made, activation)

    make.__signature__ = signature  # type: ignore[attr-defined]
    make.row = row  # type: ignore[attr-defined]
    return make


def _activate(model: Model, activation: str | Callable[..., Any]) -> Model:
    """The activation as a layer of its own: one of axon's by name, or a function of a tensor or a model."""
    if isinstance(activation, str) and activation in activations.__all__:
        return function(activation)(model)
    if not callable(activation):
        raise ValueError(
            none_of(f"{model.op}: activation", activations.__all__, activation, " or a function of a tensor")
        )
    row: Layer | None = getattr(activation, "row", None)  # a model function's own
    if row is None:
        known = layers.TABLE.get(getattr(activation, "__name__", ""))
        row = known if known is not None and known.function is activation else layers.describe(activation)
    return function_of(row)(model)


def _signature(row: Layer) -> inspect.Signature:
    """What the model function takes: inputs, options that shape parameters, the numerical function's first options as
    long as these have no value of their own (no default, or None), and by keyword everything else."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    if row.variadic:
        made = [inspect.Parameter("inputs", inspect.Parameter.VAR_POSITIONAL)]
    else:
        made = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in row.inputs]
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    made += [inspect.Parameter(n, positional, default=d) for n, d in row.building.items()]
    first = not row.variadic
    for name, default in row.options.items():
        required = default is layers.REQUIRED and all(p.default is layers.REQUIRED for p in made)
        first = first and (default is None or required)
        made.append(inspect.Parameter(name, positional if first else keyword, default=default))
    others: dict[str, Any] = {}
    for name, parameter in row.parameters.items():
        if parameter.kind == "parameter":
            others[f"{row.option(name)}_initializer"] = None
        if name in row.optional:
            others[f"use_{row.option(name)}"] = True
    others |= {option: None for option in ("activation", "name") if option not in row.own}
    made += [inspect.Parameter(n, keyword, default=d) for n, d in others.items()]
    return inspect.Signature(made)
