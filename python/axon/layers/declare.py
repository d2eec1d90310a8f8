"""How a layer is declared: a plain numerical function over (inputs, parameters, options), and beside it what its
parameters look like. From this one declaration models have a function and, for the layers of this package, a method."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from importlib import import_module
from numbers import Integral
from typing import Any, Literal, NamedTuple, ParamSpec, Protocol, TypeVar, get_args, overload

from .. import initializers, tree
from ..dtypes import DType, float32
from ..errors import DTypeError, ShapeError
from ..initializers import Initializer
from ..nx import Tensor, TensorType
from ..options import plain_options
from ..values import Value

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
Mode = Literal["train", "inference"]
Gives = Literal["elements", "logits"]  # elements of its inputs, or means of them; values of any size
REQUIRED = inspect.Parameter.empty
_SINGLE = re.compile(r"([\w.]+\.)?Tensor( \| None)?")  # an annotation of one tensor


def trains(name: str, mode: Mode) -> bool:
    """Whether the mode is "train". ValueError for a word that is no mode."""
    if mode not in get_args(Mode):
        raise ValueError(f'{name}: expected mode "train" or "inference", got {mode!r}')
    return mode == "train"


class OfLayers(Protocol):
    """What layers are made of, a model."""

    @staticmethod
    def function_of(row: Layer) -> Callable[..., Any]:
        """The function over models of a row."""
        ...


M = TypeVar("M", bound=OfLayers)


class Declared(Protocol[P, R]):
    """A layer's function, for type checkers: over tensors as it was written, of models a layer of them."""

    @overload
    def __call__(self, *args: P.args, **options: P.kwargs) -> R: ...
    @overload
    def __call__(self, model: M, /, *args: Any, **options: Any) -> M: ...
    @overload
    def __call__(self, models: Sequence[M], /, **options: Any) -> M: ...


class Stateful(NamedTuple):
    """What a layer with state gives in training: its output (a tensor, or several as `results` has them), and the state
    to keep for the next step."""

    output: Any
    state: Mapping[str, Tensor]


class Spec(NamedTuple):
    """A parameter of one node, all settled: its shape, dtype, first value, and whether it is trained or state."""

    shape: tuple[int, ...]
    dtype: DType
    initializer: Initializer
    kind: Literal["parameter", "state"]

    @property
    def type(self) -> TensorType:
        return TensorType(self.dtype, self.shape)


@dataclass(frozen=True)
class Parameter:
    """A parameter relative to the layer's inputs.

    `shape` is called with those of the inputs' types and the layer's options that it names. Parameters of one `option`
    share `use_<option>` and `<option>_initializer`; by default each has its own name there.
    """

    shape: Callable[..., tuple[int, ...]]
    initializer: Initializer = field(default_factory=initializers.glorot_uniform)
    dtype: DType = float32
    kind: Literal["parameter", "state"] = "parameter"
    option: str | None = None

    @property
    def asks(self) -> Sequence[str]:
        """The names that `shape` asks for."""
        return list(inspect.signature(self.shape).parameters)


@dataclass(frozen=True, eq=False)
class Layer(Value):
    """A row of the table of layers.

    `inputs` are the names of the tensors that come from other layers (`variadic`: any number of them). `building` are
    options that only shape parameters, `options` those that the numerical function takes; each with its default.
    `results` are those of a layer that gives several: the containers that its function returns, with anything as
    leaves, or a function that makes these of the options it names; None where that is known by running it alone.
    """

    name: str
    function: Callable[..., Any]
    inputs: tuple[str, ...]
    variadic: bool
    parameters: Mapping[str, Parameter]
    building: Mapping[str, Any]
    options: Mapping[str, Any]
    optional: frozenset[str]  # parameters that may be left out
    takes_mode: bool
    gives: Gives | None = None  # what is known of its output, None where nothing is
    results: Any = None
    single: frozenset[str] = frozenset()  # inputs annotated as one tensor; others may be containers of several

    def __reduce__(self) -> Any:
        if self.is_declared:
            return _declared, (self.key, self.function.__module__)
        return super().__reduce__()

    @property
    def key(self) -> str:
        """What it is found by: one of ours by name, another by where it is declared. So two libraries may each have an
        `attention`."""
        return self.name if is_ours(self.function) else _origin(self.function)

    @property
    def is_declared(self) -> bool:
        """Whether it is found by its key: it was declared, and nothing else by that name since then."""
        return (TABLE if is_ours(self.function) else OWN).get(self.key) is self

    @property
    def own(self) -> frozenset[str]:
        """Names of options that every layer has, which this one gives a meaning of its own."""
        return frozenset({"activation"} & {*self.building, *self.options})

    def structure(self, options: Mapping[str, Any]) -> Any:
        """The containers of a node's results, as far as the row says."""
        if not callable(self.results):
            return self.results
        known = {**self.building, **self.options, **options}
        return self.results(**{k: known[k] for k in inspect.signature(self.results).parameters})

    def option(self, name: str) -> str:
        """What a parameter is called in options."""
        return self.parameters[name].option or name

    def specs(self, inputs: Sequence[TensorType], options: Mapping[str, Any]) -> dict[str, Spec]:
        """The parameters of a node with these input types. `options` are those given, `use_<option>` and
        `<option>_initializer` (a function) included. ShapeError unless their sizes are above 0."""
        known = {**self.building, **self.options, **dict(zip(self.inputs, inputs)), **options}
        specs = {}
        for name, p in self.parameters.items():
            option = self.option(name)
            if not options.get(f"use_{option}", True):
                continue
            shape = tuple(p.shape(**{k: known[k] for k in p.asks}))
            if not all(isinstance(size, Integral) and size > 0 for size in shape):
                raise ShapeError(f"expected whole sizes above 0 for {name}, got {shape}; look at the layer's options")
            initializer = options.get(f"{option}_initializer") or p.initializer
            specs[name] = Spec(shape, p.dtype, initializer, p.kind)
        return specs

    def __call__(
        self, inputs: Sequence[Tensor], parameters: Mapping[str, Tensor], options: Mapping[str, Any], mode: Mode
    ) -> Tensor | Stateful:
        """Carry the layer out."""
        tensors = [parameters.get(name) for name in self.parameters]
        chosen = {k: options[k] for k in self.options if k in options}
        if self.takes_mode:
            chosen["mode"] = mode
        return self.function(*inputs, *tensors, **chosen)


TABLE: dict[str, Layer] = {}  # the layers of this package by name, in order of declaration: models have them as methods
OWN: dict[str, Layer] = {}  # the layers of others, by module and name


def is_ours(function: Callable[..., Any]) -> bool:
    """Whether a function is of this library."""
    return (getattr(function, "__module__", None) or "").startswith("axon.")


def find(name: str) -> Layer | None:
    """The layer of a name: one of ours, or another's by its key, or by the last part of that if no other has it. None
    where there is none."""
    found = [row for key, row in OWN.items() if key.rpartition(".")[2] == name]
    return TABLE.get(name) or OWN.get(name) or (found[0] if len(found) == 1 else None)


def _declared(key: str, module: str) -> Layer:
    """The row of a layer that a module declares."""
    import_module(module)
    row = TABLE.get(key) or OWN.get(key)
    if row is None:
        raise ValueError(f"layer: expected {module} to declare {key!r}, got a module that does not; it has changed")
    return row


def layer(
    gives: Gives | None = None,
    /,
    *,
    options: Mapping[str, Any] | None = None,
    results: Any = None,
    **parameters: Parameter,
) -> Callable[[Callable[P, R]], Declared[P, R]]:
    """Declare the function below as a layer with these parameters; it stays a function over tensors, whose options are
    looked at as `plain_options` does. Given models it makes a layer of them, which has its name; methods of models are
    the layers of this package alone.

    Its positional parameters are inputs, then (named in the decorator) parameters; its keyword-only ones are options,
    where `mode` is given by the model. A parameter that may be None is left out of a model by `use_<name>=False`.
    `options` are those that only shape parameters, which the function does not have (dense's `units`), with their
    defaults: a model takes them by position. An option `activation` is the layer's own, in the place of the one that
    every layer has.
    An input is one tensor where it is annotated so; others may be containers of them. `results` says which tuples,
    lists and dicts a function returns that returns several tensors (`results=("sequence", ("cell", "hidden"))`, or a
    function of options that gives such), so that parts of its model are known before shapes are; it may be left out.
    `gives` says what a loss may take the output for: "elements" of the inputs or means of them (flatten, pools), which
    mean what these meant; or "logits", as of any layer with trained parameters.
    ValueError for an option called name, which every layer has, and for one that is asked for and was not declared.

    >>> @layer(shift=Parameter(lambda x: x.shape[-1:], initializers.zeros()))
    ... def shift_all(x, shift):
    ...     return x + shift
    >>> TABLE.pop("shift_all").inputs
    ('x',)
    """
    if gives not in (None, *get_args(Gives)):
        raise TypeError(
            f"layer: expected what the output gives, {' or '.join(map(repr, get_args(Gives)))}, got {gives!r}; write "
            f"@layer() above the function, its parameters as keywords: @layer(kernel=Parameter(...))"
        )

    def declare(function: Callable[P, R]) -> Declared[P, R]:
        signature = inspect.signature(function).parameters.values()
        plain = plain_options(function, [p.name for p in signature if p.kind is not p.KEYWORD_ONLY])
        made = _of_models_too(_naming(plain))
        found = made.row = describe(made, parameters, gives, results, options)
        if "name" in {*found.options, *found.building}:
            raise ValueError(f"layer {found.name}: expected options beside name, which every layer has; rename it")
        (TABLE if is_ours(made) else OWN)[found.key] = found
        return made

    return declare


def _naming(function: Callable[..., Any]) -> Callable[..., Any]:
    """Have a layer's errors begin with its name, where something that it is made of found them."""
    name = function.__name__
    named = (ShapeError, DTypeError, IndexError, *((ValueError, TypeError) if is_ours(function) else ()))

    @wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except named as error:
            if type(error) in named and not str(error).startswith(f"{name}: "):
                error.args = (f"{name}: {error}",)
            raise

    return run


def _of_models_too(function: Callable[..., Any]) -> Any:
    """A layer's function which, given what layers are made of (a model), makes one of its row."""

    @wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        for value in args[0] if len(args) == 1 and isinstance(args[0], (list, tuple)) else args:
            if hasattr(type(value), "function_of"):
                return type(value).function_of(run.row)(*args, **options)  # type: ignore[attr-defined]
        return function(*args, **options)

    return run


def _shown(annotation: Any) -> str:
    return str(getattr(annotation, "__name__", annotation))


def _origin(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{getattr(function, '__qualname__', type(function).__name__)}"


def describe(
    function: Callable[..., Any],
    parameters: Mapping[str, Parameter] | None = None,
    gives: Gives | None = None,
    results: Any = None,
    building: Mapping[str, Any] | None = None,
) -> Layer:
    """The row of a function, by its signature."""
    parameters, building = parameters or {}, building or {}
    if gives is None and any(p.kind == "parameter" for p in parameters.values()):
        gives = "logits"
    signature = inspect.signature(function).parameters.values()
    positional = [p for p in signature if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    variadic = any(p.kind is p.VAR_POSITIONAL for p in signature)
    options = {p.name: p.default for p in signature if p.kind is p.KEYWORD_ONLY}
    inputs = tuple(p.name for p in positional if p.name not in parameters)
    takes_mode = options.pop("mode", None) is not None
    missing = set(parameters) - {p.name for p in positional}
    if missing:
        raise ValueError(f"layer {function.__name__}: expected a positional parameter for {', '.join(sorted(missing))}")
    asking = {f"the shape of {name}": p.asks for name, p in parameters.items()}
    asking["results"] = list(inspect.signature(results).parameters) if callable(results) else ()
    for what, names in asking.items():
        for unknown in {*names} - {*(() if what == "results" else inputs), *options, *building}:
            raise ValueError(
                f"layer {function.__name__}: expected inputs and options of the layer for {what}, got {unknown!r}; "
                f"declare it: @layer(options={{{unknown!r}: REQUIRED}}, ...)"
            )
    if not (results is None or callable(results) or isinstance(results, (tuple, list, dict))):
        raise TypeError(
            f'layer {function.__name__}: expected the containers that the function returns, as results=("a", "b"), got '
            f"{results!r}"
        )
    if isinstance(results, (tuple, list, dict)):
        named = [part for part in tree.leaves(results) if isinstance(part, str)]
        if twice := sorted({part for part in named if named.count(part) > 1}):
            raise ValueError(f"layer {function.__name__}: expected results of several names, got {twice[0]!r} twice")
    may_lack = [p.name for p in positional if p.default is None or str(p.annotation).endswith("| None")]
    optional = frozenset(may_lack) & parameters.keys()
    single = frozenset(p.name for p in signature if _SINGLE.fullmatch(_shown(p.annotation)))
    name = getattr(function, "__name__", type(function).__name__).strip("<>")  # a partial has none
    return Layer(
        name, function, inputs, variadic, parameters, building, options, optional, takes_mode, gives, results, single
    )
