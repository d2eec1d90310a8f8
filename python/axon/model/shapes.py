"""Finding the shapes of a model, and of its parameters, by running its graph over types alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .. import nx, tree
from ..arrays import arrays
from ..dtypes import DType
from ..errors import AxonError, ShapeError
from ..graph.trace import trace
from ..layers import Spec
from ..nx import Tensor, TensorType
from .graph import Model, Shape, place
from .inputs import by_name, check_shape
from .parts import pick
from .run import run

BATCHES = (2, 3)  # what an unknown batch is tried with; axes that differ depend on it


@tree.atom
class Result(NamedTuple):
    """What is known of a tensor without running the model. Axes of `shape` that depend on an unknown batch are None."""

    shape: Shape
    dtype: DType


class Layout(NamedTuple):
    """What is known of one layer without running it: its output (a Result, or containers of such), its parameters."""

    output: Any
    parameters: dict[str, Spec]


def needs_template(model: Model) -> bool:
    """Whether some input's shape is unknown apart from the batch.

    >>> from axon.model import input
    >>> needs_template(input("x", shape=(None, None, 3)))
    True
    """
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
            type_ = value if isinstance(value, TensorType) else nx.asarray(value).type
            check_shape(node, name, type_)
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
    if template is not None:
        return _inferred(model, arrays("template", template))
    kept = model.node.__dict__  # by the node, which never changes
    return kept.get("_layouts") or kept.setdefault("_layouts", _inferred(model, None))


def results(model: Model) -> Any:
    """What a model gives, as far as it is known without a template: containers with Results, or what the layer's row
    has, as leaves; `...` where nothing is known."""
    known = model.layer.structure(model.options)
    if known is None:
        known = ... if needs_template(model) else infer(model)[model.name].output
    return pick(known, model.path, place(model.node, model.name))


def output(model: Model, template: Any = None) -> Any:
    """The Result of a model, or containers of such. Raises what `infer` raises."""
    return pick(infer(model, template)[model.name].output, model.path, place(model.node, model.name))


def _inferred(model: Model, template: Any) -> dict[str, Layout]:
    small_types, large_types = (input_types(model, template, batch) for batch in BATCHES)
    try:
        small = _layouts(model, small_types)
        large = small if large_types == small_types else _layouts(model, large_types)
    except AxonError as error:
        raise (
            error if template is not None else type(error)(f"{error} (an unknown batch was taken as {BATCHES[0]})")
        ) from None
    found = {}
    for node, name in model.names.items():
        one, other = small[name], large[name]
        if _fixed(one) != _fixed(other):
            raise ShapeError(
                f"{place(node, name)}: expected a rank and parameters that do not depend on the batch, got "
                f"{_fixed(one)} and {_fixed(other)} for batches of {BATCHES}; an input's first axis is its batch: "
                f"declare the others behind it, or fix its size"
            )
        found[name] = one._replace(output=tree.map(_either, one.output, other.output))
    return found


def _either(one: Result, other: Result) -> Result:
    """What is known of a result for all batches, where it is known for two."""
    return one._replace(shape=tuple(a if a == b else None for a, b in zip(one.shape, other.shape)))


def _fixed(layout: Layout) -> dict[str, Any]:
    """What of a layer must be the same for all batches."""
    rank = tree.map(lambda result: len(result.shape), layout.output)
    return {"rank": rank, **{name: spec.shape for name, spec in layout.parameters.items()}}


def _layouts(model: Model, types: Mapping[str, TensorType]) -> dict[str, Layout]:
    found: dict[str, dict[str, Spec]] = {}

    def fetch(name: str, specs: dict[str, Spec]) -> dict[str, Tensor]:
        found[name] = specs
        return {p: nx.zeros(s.shape, dtype=s.dtype) for p, s in specs.items()}

    layouts: dict[str, Layout] = {}

    def walk(inputs: Mapping[str, Tensor]) -> tuple[()]:
        for layer, value in run(model, inputs, fetch, "inference").values.items():
            name = model.names[layer.node]
            layouts[name] = Layout(tree.map(lambda t: Result(t.shape, t.dtype), value), found.get(name, {}))
        return ()

    trace(walk, (dict(types),))
    return layouts
