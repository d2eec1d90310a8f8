"""Running a model's graph over tensors, real or traced: the inputs checked, each layer carried out once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from .. import nx
from ..dtypes import DType
from ..errors import AxonError, DTypeError, ShapeError
from ..graph.trace import located
from ..layers import Mode, Spec, Stateful
from ..nx import Tensor, TensorType
from .graph import Model, Shape
from .state import Tensors

Fetch = Callable[[str, dict[str, Spec]], Mapping[str, Tensor]]  # (layer name, its parameters) -> their tensors


class Outputs(NamedTuple):
    """All that the graph gives: each layer's output, and the new state of layers that have one."""

    values: Mapping[Model, Tensor]
    state: Tensors


def run(model: Model, inputs: Mapping[str, Tensor], fetch: Fetch, mode: Mode) -> Outputs:
    """Carry out every layer of the model, each once. Meant for a trace, where what nobody reads costs nothing."""
    values: dict[Model, Tensor] = {}
    state: Tensors = {}
    for node in model.nodes:
        name = model.names[node]
        if node.layer is None:
            values[node] = inputs[name]
            continue
        read = [values[p] for p in node.parents]
        ours = (node.layer.function.__module__ or "").startswith("axon.")  # no line of the user's is inside it
        with _blaming(node, name, ours), located(node.source if ours else ""):
            specs = node.layer.specs([t.type for t in read], node.options)
            result = node.layer(read, fetch(name, specs), node.options, mode)
            if isinstance(result, Stateful):
                result, state[name] = result.output, _checked_state(result.state, specs)
            if not isinstance(result, Tensor):
                raise TypeError(f"expected a tensor from the layer's function, got {type(result).__name__}; return one")
        values[node] = result
    return Outputs(values, state)


def _checked_state(new: Mapping[str, Tensor], specs: Mapping[str, Spec]) -> dict[str, Tensor]:
    """The new state of a layer, which must fit where the next step looks for it."""
    declared = {name: spec.type for name, spec in specs.items() if spec.kind == "state"}
    for name, value in new.items():
        got = TensorType(value.dtype, value.shape) if isinstance(value, Tensor) else type(value).__name__
        if declared.get(name) != got:
            known = ", ".join(f"{n} {type_}" for n, type_ in declared.items()) or "none"
            raise ShapeError(f"expected the state that was declared ({known}), got {name} {got}; keep names and types")
    return dict(new)


@contextmanager
def _blaming(node: Model, name: str, ours: bool) -> Iterator[None]:
    """Say in an error which layer it comes from, and the line that made it: in the text of those that we raise."""
    try:
        yield
    except Exception as error:
        if isinstance(error, AxonError) or (ours and type(error) in (ValueError, TypeError)):
            raise type(error)(f"{place(node, name)}: {error}") from error
        error.add_note(f"in {place(node, name)}")
        raise


def place(node: Model, name: str) -> str:
    """Which layer, for an error's text."""
    return f"layer {name} ({node.op}, made at {node.source})"


def by_name(model: Model, inputs: Any) -> dict[str, Any]:
    """The inputs as a dict: given alone, as a tuple or list in the order of `model.inputs`, or by name."""
    names = list(model.inputs)
    if isinstance(inputs, Mapping):
        given = dict(inputs)
    elif isinstance(inputs, (tuple, list)) and not isinstance(inputs, TensorType):
        given = dict(zip(names, inputs)) if len(inputs) == len(names) else {}
    else:
        given = {names[0]: inputs} if len(names) == 1 else {}
    if set(given) != set(names) or any(
        isinstance(v, (tuple, list)) and not isinstance(v, TensorType) for v in given.values()
    ):
        got = ", ".join(map(str, given)) if isinstance(inputs, Mapping) else type(inputs).__name__
        raise ValueError(
            f"model: expected inputs {', '.join(names)}, got {got}; pass one array each (np.stack makes one of "
            f"a list of arrays), alone, in a tuple, or in a dict by name"
        )
    return given


def checked(model: Model, inputs: Any) -> dict[str, Tensor]:
    """The inputs by name, each of the shape and dtype its layer asks for."""
    found = {}
    for name, value in by_name(model, inputs).items():
        node = model.inputs[name]
        tensor = nx.asarray(value)
        check_shape(node, name, tensor.type)
        dtype: DType = node.options["dtype"]
        if tensor.dtype.is_float and not dtype.is_float:
            raise DTypeError(f"input {name}: expected {dtype}, got {tensor.type}; convert it, or declare that dtype")
        found[name] = tensor.astype(dtype)
    return found


def check_shape(node: Model, name: str, type_: TensorType) -> None:
    """Refuse an input whose shape is not the declared one."""
    shape: Shape | None = node.options["shape"]
    if shape is None:
        return
    if len(shape) != len(type_.shape) or any(want not in (None, got) for want, got in zip(shape, type_.shape)):
        raise ShapeError(
            f"input {name} (made at {node.source}): expected shape {shape}, got {type_}; {_fitted(shape, type_.shape)}"
        )


def _fitted(shape: Shape, got: tuple[int, ...]) -> str:
    """How data of shape `got` is made to fit: by a reshape only where that scrambles nothing."""
    if got and got[1:] in (shape, shape[1:]):
        return f"declare shape={(None, *got[1:])}, whose first axis is the batch"
    example = tuple(size for size in shape[1:] if size is not None)
    if not got or len(example) != len(shape[1:]):
        return "reshape the data"
    flat = len(got) == 2 or len(example) == 1
    same = [n for n in got[1:] if n != 1] == [n for n in example if n != 1]
    if got == example or (math.prod(got[1:]) == math.prod(example) and (flat or same)):
        return f"write x.reshape({(-1, *example)})"
    if sorted(got[1:]) == sorted(example):
        return "move its axes with nx.permute_dims; channels come last"
    return "reshape the data"
