"""Running a model's graph over tensors, real or traced: each layer carried out once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from .. import tree
from ..errors import AxonError, ShapeError
from ..graph.trace import located
from ..layers import Layer, Mode, Spec, Stateful, is_ours
from ..nx import Tensor, TensorType
from .graph import Model, Node, place
from .parts import counted, fits, paths_of, pick, show
from .state import Tensors

Fetch = Callable[[str, dict[str, Spec]], Mapping[str, Tensor]]  # (layer name, its parameters) -> their tensors


class Values(Mapping[Model, Any]):
    """What models of one graph give, by model: of each layer, and of each part of what it gives."""

    def __init__(self, names: Mapping[Node, str], found: dict[Node, Any]) -> None:
        self._names, self._found = names, found

    def __getitem__(self, model: Model) -> Any:
        found = self._found[model.node]
        return pick(found, model.path, lambda: place(model.node, self._names[model.node]))

    def __iter__(self) -> Iterator[Model]:
        return map(Model, self._found)

    def __len__(self) -> int:
        return len(self._found)


class Outputs(NamedTuple):
    """All that the graph gives: each layer's output, and the new state of layers that have one."""

    values: Values
    state: Tensors


def run(
    model: Model, inputs: Mapping[str, Tensor], fetch: Fetch, mode: Mode, known: Mapping[Node, Any] | None = None
) -> Outputs:
    """Carry out every layer of the model, each once, but those of which it is known what they give. Meant for a trace,
    where what nobody reads costs nothing."""
    found: dict[Node, Any] = {**{node: inputs[name] for name, node in model.inputs.items()}, **(known or {})}
    values = Values(model.names, found)
    state: Tensors = {}
    for node in model.nodes:
        if node in found:
            continue
        name, row, options = model.names[node], node.layer, node.options
        read = [values[p] for p in node.parents]
        ours = is_ours(row.function)  # no line of the user's is inside it
        with _blaming(node, name, ours), located(node.source if ours else ""):
            _check_inputs(row, read)
            specs = row.specs([tree.map(lambda t: t.type, value) for value in read], options)
            result = row(read, fetch(name, specs), options, mode)
            if isinstance(result, Stateful):
                result, state[name] = result.output, _checked_state(result.state, specs)
            _check_results(result, row.structure(options))
        found[node] = result
    return Outputs(values, state)


def _check_inputs(row: Layer, read: Sequence[Any]) -> None:
    """Refuse several tensors where a layer takes one."""
    for i, value in enumerate(read):
        one = row.inputs[i] in row.single if i < len(row.inputs) else bool(row.single)
        if one and not isinstance(value, Tensor):
            raise TypeError(
                f"expected one tensor of each layer that it reads, got {counted(value)}; take one: model[...]"
            )


def _check_results(result: Any, declared: Any) -> None:
    """Refuse anything but a tensor or containers of tensors, as they were declared."""
    for path, value in paths_of(result):
        if not isinstance(value, Tensor):
            at = f" at {show(path)}" if path else ""
            raise TypeError(
                f"expected a tensor from the layer's function, or tensors in tuples, lists and dicts whose names are "
                f"text, got {type(value).__name__}{at}; return one"
            )
    if not fits(result, declared):
        wanted, got = (", ".join(show(path) or "one tensor" for path, _ in paths_of(r)) for r in (declared, result))
        raise TypeError(f"expected the results that are declared, {wanted}, got {got}; mend one of them")


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
def _blaming(node: Node, name: str, ours: bool) -> Iterator[None]:
    """Say in an error which layer it comes from, and the line that made it: in the text of those that we raise."""
    try:
        yield
    except Exception as error:
        if isinstance(error, AxonError) or (ours and type(error) in (ValueError, TypeError)):
            raise type(error)(f"{place(node, name)}: {str(error).removeprefix(f'{node.op}: ')}") from error
        error.add_note(f"in {place(node, name)}")
        raise
