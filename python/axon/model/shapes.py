"""Running a model's graph, and finding its shapes by running it over types alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from .. import nx
from ..defn.trace import trace
from ..dtypes import DType
from ..dtypes import dtype as to_dtype
from ..errors import AxonError, DTypeError, ShapeError
from ..layers import Mode, Spec, Stateful
from ..nx import Tensor, TensorType
from .graph import Model, Shape
from .state import Tensors

Fetch = Callable[[str, dict[str, Spec]], Mapping[str, Tensor]]  # (layer name, its parameters) -> their tensors
BATCHES = (2, 3)  # what an unknown batch is tried with; axes that differ depend on it


class Layout(NamedTuple):
    """What is known of one layer without running it. Axes of `shape` that depend on an unknown batch are None."""

    shape: Shape
    dtype: DType
    parameters: dict[str, Spec]


class Run(NamedTuple):
    """All that a run of the graph gives: each layer's output, and the new state of layers that have one."""

    values: Mapping[Model, Tensor]
    state: Tensors


def run(model: Model, inputs: Mapping[str, Tensor], fetch: Fetch, mode: Mode) -> Run:
    """Carry out every layer of the model, each once. Meant for a trace, where what nobody reads costs nothing."""
    values: dict[Model, Tensor] = {}
    state: Tensors = {}
    for node in model.nodes:
        name = model.names[node]
        if node.layer is None:
            values[node] = inputs[name]
            continue
        read = [values[p] for p in node.parents]
        with _blaming(node, name):
            parameters = fetch(name, node.layer.specs([t.type for t in read], node.options))
            result = node.layer(read, parameters, node.options, mode)
        if isinstance(result, Stateful):
            result, state[name] = result.output, dict(result.state)
        values[node] = result
    return Run(values, state)


@contextmanager
def _blaming(node: Model, name: str) -> Iterator[None]:
    """Say in an error which layer it comes from, and the line that made it."""
    where = f"layer {name} ({node.op}, made at {node.source})"
    try:
        yield
    except AxonError as error:
        raise type(error)(f"{where}: {error}") from error
    except Exception as error:
        error.add_note(f"in {where}")
        raise


def by_name(model: Model, inputs: Any) -> dict[str, Any]:
    """The inputs as a dict: given alone, as a tuple or list in the order of `model.inputs`, or by name."""
    names = list(model.inputs)
    if isinstance(inputs, Mapping):
        given = dict(inputs)
    elif isinstance(inputs, (tuple, list)) and not isinstance(inputs, TensorType):
        given = dict(zip(names, inputs)) if len(inputs) == len(names) else {}
    else:
        given = {names[0]: inputs} if len(names) == 1 else {}
    if set(given) != set(names):
        got = ", ".join(map(str, given)) if isinstance(inputs, Mapping) else type(inputs).__name__
        raise ValueError(f"model: expected inputs {', '.join(names)}, got {got}; pass a dict by name, or a tuple")
    return given


def checked(model: Model, inputs: Any) -> dict[str, Tensor]:
    """The inputs by name, each of the shape and dtype its layer asks for."""
    found = {}
    for name, value in by_name(model, inputs).items():
        node = model.inputs[name]
        tensor = nx.asarray(value)
        _check_shape(node, name, tensor.type)
        dtype: DType = node.options["dtype"]
        if tensor.dtype.is_float and not dtype.is_float:
            raise DTypeError(f"input {name}: expected {dtype}, got {tensor.type}; convert it with astype, or {_LATER}")
        found[name] = tensor.astype(dtype)
    return found


_LATER = "declare the input with that dtype"


def _check_shape(node: Model, name: str, type_: TensorType) -> None:
    shape: Shape | None = node.options["shape"]
    if shape is None:
        return
    if len(shape) != len(type_.shape) or any(want not in (None, got) for want, got in zip(shape, type_.shape)):
        raise ShapeError(f"input {name} (made at {node.source}): expected shape {shape}, got {type_}; reshape the data")


def needs_template(model: Model) -> bool:
    """Whether some input's shape is unknown apart from the batch."""
    shapes = [node.options["shape"] for node in model.inputs.values()]
    return any(shape is None or None in shape[1:] for shape in shapes)


def input_types(model: Model, template: Any, batch: int) -> dict[str, TensorType]:
    """The type of each input: the template's, or the declared one with that batch. ShapeError where it is not known."""
    given = {} if template is None else by_name(model, template)
    types = {}
    for name, node in model.inputs.items():
        dtype: DType = node.options["dtype"]
        if name in given:
            value = given[name]
            type_ = value if isinstance(value, TensorType) else TensorType(to_dtype(value.dtype), tuple(value.shape))
            _check_shape(node, name, type_)
            types[name] = TensorType(dtype, type_.shape)
            continue
        shape: Shape | None = node.options["shape"]
        if shape is None or None in shape[1:]:
            raise ShapeError(
                f"input {name} (made at {node.source}): expected a shape known but for its batch, got {shape}; "
                f"pass a template (an input, or nx.template(shape))"
            )
        types[name] = TensorType(dtype, tuple(batch if size is None else size for size in shape))  # type: ignore[union-attr]
    return types


def infer(model: Model, template: Any = None) -> dict[str, Layout]:
    """The layout of each layer by name. Raises what the layers raise, with the layer and the user's line."""
    types = [input_types(model, template, batch) for batch in BATCHES]
    try:
        small, large = (_layouts(model, t) for t in types)
    except AxonError as error:
        raise (
            error if template is not None else type(error)(f"{error} (an unknown batch was taken as {BATCHES[0]})")
        ) from None
    found = {}
    for name, one in small.items():
        other = large[name]
        if len(one.shape) != len(other.shape) or any(
            s.shape != other.parameters[p].shape for p, s in one.parameters.items()
        ):
            raise ShapeError(
                f"layer {name}: expected a rank and parameters that do not depend on the batch, got "
                f"{one.shape} and {other.shape} for batches of {BATCHES}; fix the batch in the input's shape"
            )
        shape = tuple(a if a == b else None for a, b in zip(one.shape, other.shape))
        found[name] = one._replace(shape=shape)
    return found


def _layouts(model: Model, types: Mapping[str, TensorType]) -> dict[str, Layout]:
    found: dict[str, dict[str, Spec]] = {}

    def fetch(name: str, specs: dict[str, Spec]) -> dict[str, Tensor]:
        found[name] = specs
        return {p: nx.zeros(s.shape, dtype=s.dtype) for p, s in specs.items()}

    layouts: dict[str, Layout] = {}

    def walk(inputs: Mapping[str, Tensor]) -> tuple[()]:
        for node, value in run(model, inputs, fetch, "inference").values.items():
            name = model.names[node]
            layouts[name] = Layout(value.shape, value.dtype, found.get(name, {}))
        return ()

    trace(walk, (dict(types),))
    return layouts
