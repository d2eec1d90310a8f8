"""Running a model's graph over tensors, real or traced: each layer carried out once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from ..errors import AxonError, ShapeError
from ..graph.trace import located
from ..layers import Mode, Spec, Stateful
from ..nx import Tensor, TensorType
from .graph import Model
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
