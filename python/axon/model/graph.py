"""The model: an immutable graph of layers. A Model is one layer with the layers it reads; the model a user holds is the
layer that gives its output. What runs it, finds its shapes or prints it is in the files beside this one."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral
from types import MappingProxyType, MethodType
from typing import TYPE_CHECKING, Any

from .. import activations, layers
from ..dtypes import DType, float32
from ..dtypes import dtype as to_dtype
from ..graph.trace import user_line
from ..initializers import find_initializer
from ..layers import Layer
from ..names import misuse, none_of
from ..options import plain
from ..values import Value, refuse_unnamed
from .unknown import no_layer

if TYPE_CHECKING:
    from .methods import Methods
else:

    class Methods:  # what methods.pyi declares is found by name in the table of layers
        __slots__ = ()


Shape = tuple[int | None, ...]

_OWN = "write model.nx(lambda x: ...) with the numbers and tensors inside"


@dataclass(frozen=True, eq=False, repr=False)
class Model(Value, Methods):
    """One layer of a model and, through its parents, all that lead to it.

    Every layer of `axon.layers` is a method: `x.dense(128)` is `axon.dense(x, 128)`. `+`, `-` and `*` between models
    are the layers add, subtract and multiply.

    >>> x = input("x", shape=(None, 3))
    >>> x + x.dense(3, activation="relu")
    <Model add_0 (add), 4 layers, inputs x>
    """

    op: str
    layer: Layer | None  # None for an input
    parents: tuple[Model, ...]
    options: Mapping[str, Any]
    given_name: str | None
    source: str  # the user's line that made it

    @cached_property
    def nodes(self) -> tuple[Model, ...]:
        """All layers of the model, each after those it reads; the first parent's come first."""
        found: dict[Model, None] = {}
        stack: list[Model] = [self]
        while stack:
            node = stack[-1]
            pending = [p for p in node.parents if p not in found] if node not in found else []
            if pending:
                stack.extend(reversed(pending))
            else:
                found[stack.pop()] = None
        return tuple(found)

    @cached_property
    def names(self) -> Mapping[Model, str]:
        """The name of each layer: the one it was given, or `<op>_<n>`, counted by op in the order of `nodes`."""
        counts: Counter[str] = Counter()
        names: dict[Model, str] = {}
        used: dict[str, Model] = {}
        for node in self.nodes:
            name = node.given_name or f"{node.op}_{counts[node.op]}"
            counts[node.op] += 1
            if name in used:
                raise ValueError(
                    f"model: expected one layer of a name, got {name!r} made at {used[name].source} and at "
                    f"{node.source}; rename one"
                )
            used[name], names[node] = node, name
        return MappingProxyType(names)

    @cached_property
    def inputs(self) -> Mapping[str, Model]:
        """The inputs by name, in the order of `nodes`."""
        return MappingProxyType({self.names[n]: n for n in self.nodes if n.layer is None})

    def nx(self, function: Callable[..., Any], *others: Model, name: str | None = None) -> Model:
        """A layer of your own without parameters: function(x, *others) over tensors.

        >>> input("x", shape=(None, 3)).nx(lambda x: 2 * x).nodes[-1].op
        'nx'
        """
        made = replace(layers.describe(function), name="nx", variadic=True, options={}, takes_mode=False)
        return model_function(made)(self, *others, name=name)

    def __reduce__(self) -> Any:
        rows = []
        for node, parents in numbered(self).items():
            parts = {"function": node.layer.function} if node.layer is not None and not in_table(node) else {}
            refuse_unnamed(f"model: {self.names[node]} ({node.source})", {**parts, **node.options})
            rows.append((node.op, node.layer, parents, dict(node.options), node.given_name, node.source))
        return _made_again, (rows,)

    def __getattr__(self, name: str) -> Callable[..., Model]:
        return MethodType(function(name), self)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *layers.TABLE]

    def __add__(self, other: Model) -> Model:
        return function("add")(self, other)

    def __sub__(self, other: Model) -> Model:
        return function("subtract")(self, other)

    def __mul__(self, other: Model) -> Model:
        return function("multiply")(self, other)

    def _unsupported(self, *_: object) -> Model:
        raise TypeError(f"model: expected +, - or * between two models, got other arithmetic; {_OWN}")

    __radd__ = __rsub__ = __rmul__ = __truediv__ = __rtruediv__ = __pow__ = __matmul__ = __neg__ = _unsupported

    def __repr__(self) -> str:
        return f"<Model {self.names[self]} ({self.op}), {len(self.nodes)} layers, inputs {', '.join(self.inputs)}>"

    def __str__(self) -> str:
        from .display import table

        return table(self)


def numbered(model: Model) -> dict[Model, tuple[int, ...]]:
    """The layers in the order of `nodes`, each with the numbers of those it reads: the graph as it is written."""
    numbers = {node: i for i, node in enumerate(model.nodes)}
    return {node: tuple(numbers[p] for p in node.parents) for node in model.nodes}


def in_table(node: Model) -> bool:
    """Whether a layer is found by its name alone: an input, or a row of the table of layers."""
    return node.layer is None or layers.TABLE.get(node.layer.name) is node.layer


def _made_again(rows: Sequence[tuple[Any, ...]]) -> Model:
    """The model of rows, one a layer, whose parents are numbers of rows before."""
    made: list[Model] = []
    for op, layer, parents, options, *rest in rows:
        made.append(Model(op, layer, tuple(made[i] for i in parents), MappingProxyType(options), *rest))
    return made[-1]


def check_model(model: Any, what: str) -> None:
    """Refuse anything but a Model where a function called `what` takes one. TypeError."""
    if not isinstance(model, Model):
        raise TypeError(
            f"{what}: expected a Model, got {type(model).__name__}; pass what its last layer gave, "
            f'such as axon.input("x", shape=(None, 4)).dense(2)'
        )


def input(name: str | None = None, *, shape: Shape | None = None, dtype: DType | str = float32) -> Model:
    """An input of a model.

    `shape` may hold None where an axis is unknown: None first is the batch; a template is needed to initialize a model
    with other unknown axes. Data of another dtype is converted to `dtype`. TypeError for what is no name or shape.

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
    return Model("input", None, (), {"shape": fixed, "dtype": to_dtype(dtype)}, name, user_line())


def _is_size(size: Any) -> bool:
    return isinstance(size, Integral) and not isinstance(size, bool) and int(size) >= 0


def function(name: str) -> Callable[..., Model]:
    """The model function of a layer: (models, options) -> model. AttributeError when there is no such layer.

    >>> function("dense")(input("x", shape=(None, 3)), 2)
    <Model dense_0 (dense), 2 layers, inputs x>
    """
    row = layers.TABLE.get(name)
    if row is None:
        raise AttributeError(f"model: {no_layer(name, layers.TABLE)}")
    return _of_table(row)


@functools.cache
def _of_table(row: Layer) -> Callable[..., Model]:
    return model_function(row)


def model_function(row: Layer) -> Callable[..., Model]:
    """See `function`, for a row that need not be in the table."""
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
            advice = _OWN if mixed else f"for tensors: from {row.function.__module__} import {row.name}"
            raise TypeError(f"{row.name}: expected models, got {type(others[0]).__name__}; {advice}")
        for option in (f"{row.option(name)}_initializer" for name in row.parameters):
            if given.get(option) is not None:
                given[option] = find_initializer(given[option], f"{row.name}: {option}")
        activation, name = given.pop("activation", None), given.pop("name", None)
        if name is not None and not isinstance(name, str):
            raise TypeError(f"{row.name}: expected a name, got {name!r}; write name={str(name)!r}")
        defaults = {k: v for k, v in {**row.building, **row.options}.items() if v is not layers.REQUIRED}
        chosen = {option: plain(value) for option, value in {**defaults, **given}.items()}
        for option, value in chosen.items():
            if isinstance(signature.parameters[option].default, bool) and not isinstance(value, bool):
                raise TypeError(f"{row.name}: expected True or False as {option}, got {value!r}; write one of them")
        node = Model(row.name, row, parents, MappingProxyType(chosen), name, user_line())
        return node if activation is None else _activate(node, activation)

    make.__signature__ = signature  # type: ignore[attr-defined]
    make.row = row  # type: ignore[attr-defined]
    return make


def _activate(node: Model, activation: str | Callable[..., Any]) -> Model:
    """The activation as a layer of its own: one of axon's by name, or a function of a tensor or a model."""
    if isinstance(activation, str) and activation in activations.__all__:
        return function(activation)(node)
    if not callable(activation):
        raise ValueError(
            none_of(f"{node.op}: activation", activations.__all__, activation, " or a function of a tensor")
        )
    row: Layer | None = getattr(activation, "row", None)  # a model function's own
    if row is None:
        known = layers.TABLE.get(getattr(activation, "__name__", ""))
        row = known if known is not None and known.function is activation else layers.describe(activation)
    return model_function(row)(node)


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
    others |= {"activation": None, "name": None}
    made += [inspect.Parameter(n, keyword, default=d) for n, d in others.items()]
    return inspect.Signature(made)
