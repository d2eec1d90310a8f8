"""Finding the shapes of a model, and of its parameters, by running its graph over types alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .. import nx, tree
from ..dtypes import DType
from ..errors import AxonError, ShapeError
from ..graph.trace import trace
from ..layers import Spec
from ..nx import Tensor, TensorType
from .graph import Model, Node, Shape, place, where
from .inputs import by_name, check_shape
from .parts import pick
from .run import run

BATCHES = (2, 3)  # what an unknown batch is tried with; axes that differ depend on it


@tree.atom
class Shaped(NamedTuple):
    """What is known of a tensor without running the model. Axes of `shape` that depend on an unknown batch are None."""

    shape: Shape
    dtype: DType


class Layout(NamedTuple):
    """What is known of one layer without running it: its output (a Shaped, or containers of such), its parameters."""

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
        from ..arrays import arrays  # at first use: NumPy comes with it, and is most of what an import takes

        return _inferred(model, arrays("template", template), kept=False)
    kept = model.node.__dict__  # by the node, which never changes
    return kept.get("_layouts") or kept.setdefault("_layouts", _inferred(model, None, kept=False))


def results(model: Model) -> Any:
    """What a model gives, as far as it is known without a template: containers with Results, or what the layer's row
    has, as leaves; `...` where nothing is known."""
    known = model.layer.structure(model.options)
    if known is None:
        known = ... if needs_template(model) else _inferred(model, None, kept=True)[model.name].output
    return pick(known, model.path, where(model))


def output(model: Model, template: Any = None) -> Any:
    """The Shaped of a model, or containers of such. Raises what `infer` raises."""
    return pick(infer(model, template)[model.name].output, model.path, where(model))


def _inferred(model: Model, template: Any, kept: bool) -> dict[str, Layout]:
    small_types, large_types = (input_types(model, template, batch) for batch in BATCHES)
    try:
        small = _layouts(model, small_types, BATCHES[0] if kept else None)
        large = small if large_types == small_types else _layouts(model, large_types, BATCHES[1] if kept else None)
    except AxonError as error:
        raise (
            error if template is not None else type(error)(f"{error} (an unknown batch was taken as {BATCHES[0]})")
        ) from None
    found = {}
    for node, name in model.names.items():
        one, other = small[node], large[node]
        if _fixed(one) != _fixed(other):
            raise ShapeError(
                f"{place(node, name)}: expected a rank and parameters that do not depend on the batch, got "
                f"{_fixed(one)} and {_fixed(other)} for batches of {BATCHES}; an input's first axis is its batch: "
                f"declare the others behind it, or fix its size"
            )
        found[name] = one._replace(output=tree.map(_either, one.output, other.output))
    return found


def _either(one: TensorType, other: TensorType) -> Shaped:
    """What is known of a result for all batches, where it is known for two."""
    return Shaped(tuple(a if a == b else None for a, b in zip(one.shape, other.shape)), one.dtype)


def _fixed(layout: Layout) -> dict[str, Any]:
    """What of a layer must be the same for all batches."""
    rank = tree.map(lambda result: len(result.shape), layout.output)
    return {"rank": rank, **{name: spec.shape for name, spec in layout.parameters.items()}}


def _layouts(model: Model, types: Mapping[str, TensorType], batch: int | None) -> dict[Node, Layout]:
    """The layout of each layer, with types as outputs, for inputs of these types. With a batch, from which all types
    follow, they are kept by the nodes: a model that grows by parts of its layers is walked once for all parts."""
    known: dict[Node, Layout] = {n: n.__dict__[f"_{batch}"] for n in model.nodes if f"_{batch}" in n.__dict__}
    new = [node for node in model.nodes if node not in known]
    edge = [node for node in dict.fromkeys(p.node for n in new for p in n.parents) if node in known]
    specs: dict[str, dict[str, Spec]] = {}

    def fetch(name: str, asked: dict[str, Spec]) -> dict[str, Tensor]:
        specs[name] = asked
        return {p: nx.zeros(s.shape, dtype=s.dtype) for p, s in asked.items()}

    def walk(inputs: Mapping[str, Tensor], before: list[Any]) -> tuple[()]:
        done = run(model, inputs, fetch, "inference", {**dict.fromkeys(known), **dict(zip(edge, before))})
        for node in new:
            known[node] = Layout(tree.map(lambda t: t.type, done.values[Model(node)]), specs.get(model.names[node], {}))
        return ()

    if new:
        trace(walk, (dict(types), [known[node].output for node in edge]))
    if batch is not None:
        for node in new:
            node.__dict__[f"_{batch}"] = known[node]
    return known
