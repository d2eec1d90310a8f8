"""The inputs of a model, brought into the order of its names and checked against what its input layers declare."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .. import nx
from ..dtypes import DType
from ..errors import DTypeError, ShapeError
from ..nx import Tensor, TensorType
from .graph import Model, Node, Shape


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


def check_shape(node: Node, name: str, type_: TensorType) -> None:
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
