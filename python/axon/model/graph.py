"""The model: an immutable graph of layers. A Node is one layer with what it reads; a Model is what one node gives, or a
part of that. What makes layers, runs them, finds their shapes or prints them is in the files beside this one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType, MethodType
from typing import TYPE_CHECKING, Any

from .. import layers, tree
from ..layers import Layer
from ..values import Value, refuse_unnamed
from .parts import Path, counted, is_several, key_of, show
from .sources import CONTAINER, INPUT, SOURCES
from .unknown import no_layer

if TYPE_CHECKING:
    from .methods import Methods
else:

    class Methods:  # what methods.pyi declares is found by name in the table of layers
        __slots__ = ()


Shape = tuple[int | None, ...]

OWN = "write model.nx(lambda x: ...) with the numbers and tensors inside"


@tree.atom
@dataclass(frozen=True, eq=False, repr=False)
class Node(Value):
    """One layer of a model, and the models that it reads."""

    layer: Layer
    parents: tuple[Model, ...]
    options: Mapping[str, Any]
    given_name: str | None
    source: str  # the user's line that made it

    @property
    def op(self) -> str:
        """The layer's name in the table."""
        return self.layer.name

    def __repr__(self) -> str:
        name = f" {self.given_name!r}" if self.given_name else ""
        return f"<Node {self.op}{name}, made at {self.source}>"


@tree.atom
@dataclass(frozen=True, repr=False)
class Model(Value, Methods):
    """What one layer gives, or a part of that, and, through the layer's parents, all that leads to it.

    Every layer of `axon.layers` is a method: `x.dense(128)` is `axon.dense(x, 128)`. `+`, `-` and `*` between models
    are the layers add, subtract and multiply. A layer of several results is indexed by number or by name, and unpacked;
    of a container, the parts are the models in it.

    >>> from axon.model import input
    >>> x = input("x", shape=(None, 3))
    >>> x + x.dense(3, activation="relu")
    <Model add_0 (add), 4 layers, inputs x>
    >>> low, high = x.nx(lambda x: (x - 1, x + 1))
    >>> high.dense(2)
    <Model dense_0 (dense), 3 layers, inputs x>
    """

    node: Node
    path: Path = ()

    @property
    def op(self) -> str:
        """The last layer's name in the table."""
        return self.node.op

    @property
    def layer(self) -> Layer:
        """The last layer's row."""
        return self.node.layer

    @property
    def parents(self) -> tuple[Model, ...]:
        """What the last layer reads."""
        return self.node.parents

    @property
    def options(self) -> Mapping[str, Any]:
        """The last layer's options."""
        return self.node.options

    @property
    def source(self) -> str:
        """The user's line that made the last layer."""
        return self.node.source

    @property
    def name(self) -> str:
        """The last layer's name in this model."""
        return self.names[self.node]

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All layers of the model, each after those it reads; the first parent's come first."""
        found: dict[Node, None] = {}
        stack = [self.node]
        while stack:
            node = stack[-1]
            pending = [p.node for p in node.parents if p.node not in found] if node not in found else []
            if pending:
                stack.extend(reversed(pending))
            else:
                found[stack.pop()] = None
        return tuple(found)

    @cached_property
    def names(self) -> Mapping[Node, str]:
        """The name of each layer: the one it was given, or `<op>_<n>`, counted by op in the order of `nodes`."""
        counts: Counter[str] = Counter()
        names: dict[Node, str] = {}
        used: dict[str, Node] = {}
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
    def inputs(self) -> Mapping[str, Node]:
        """The inputs by name, in the order of `nodes`."""
        return MappingProxyType({self.names[n]: n for n in self.nodes if n.layer is INPUT})

    def __getitem__(self, key: int | str) -> Model:
        from .shapes import results

        path = (*self.path, key_of(results(self), key, where(self), self.path))
        return _inside(self, path) if self.layer is CONTAINER else Model(self.node, path)

    def __iter__(self) -> Iterator[Model]:
        from .shapes import results

        known, which = results(self), where(self)() + show(self.path)
        if known is ...:
            raise TypeError(
                f"{which}: expected a layer that is known to give several results, got one whose inputs' shapes are "
                f"not known; take them one by one, as model[0], or declare them: @layer(results=...)"
            )
        if isinstance(known, dict) or not is_several(known):
            got, advice = "one tensor", "a layer of your own takes it apart: model.nx(lambda x: (x[0], x[1]))"
            if is_several(known):
                got, advice = counted(known), f"take them by name, as model[{next(iter(known))!r}]"
            raise TypeError(f"{which}: expected several results by number, got {got}; {advice}")
        return iter([self[number] for number in range(len(known))])

    def nx(self, function: Callable[..., Any], *others: Model, name: str | None = None) -> Model:
        """A layer of your own without parameters: function(x, *others) over tensors, which may give several in tuples,
        lists and dicts.

        >>> from axon.model import input
        >>> input("x", shape=(None, 3)).nx(lambda x: 2 * x).nodes[-1].op
        'nx'
        """
        made = replace(layers.describe(function), name="nx", variadic=True, options={}, takes_mode=False)
        return self.function_of(made)(self, *others, name=name)

    @staticmethod
    def function_of(row: Layer) -> Callable[..., Model]:
        """The model function of a row."""
        from .making import function_of

        return function_of(row)

    def __reduce__(self) -> Any:
        rows = []
        for node, parents in numbered(self).items():
            parts = {} if in_table(node) else {"function": node.layer.function}
            refuse_unnamed(f"model: {self.names[node]} ({node.source})", {**parts, **node.options})
            row = node.op if node.layer is SOURCES.get(node.op) else node.layer
            rows.append((row, parents, dict(node.options), node.given_name, node.source))
        return _made_again, (rows, self.path)

    if not TYPE_CHECKING:  # these know all methods, by methods.pyi

        def __getattr__(self, name: str) -> Callable[..., Model]:
            row = layers.TABLE.get(name)
            if row is None:
                raise AttributeError(f"model: {no_layer(name, layers.TABLE, layers.OWN)}")
            return MethodType(self.function_of(row), self)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *layers.TABLE]

    def __add__(self, other: Model) -> Model:
        return self.add(other)

    def __sub__(self, other: Model) -> Model:
        return self.subtract(other)

    def __mul__(self, other: Model) -> Model:
        return self.multiply(other)

    def _unsupported(self, *_: object) -> Model:
        raise TypeError(f"model: expected +, - or * between two models, got other arithmetic; {OWN}")

    __radd__ = __rsub__ = __rmul__ = __truediv__ = __rtruediv__ = __pow__ = __matmul__ = __neg__ = _unsupported

    def __repr__(self) -> str:
        inputs = ", ".join(self.inputs) or "none"
        return f"<Model {self.name}{show(self.path)} ({self.op}), {len(self.nodes)} layers, inputs {inputs}>"

    def __str__(self) -> str:
        from .display import table

        return table(self)


def _inside(container: Model, path: Path) -> Model:
    """The model at a path of a container, or a container of those below it, which knows nothing of the others."""
    from .making import contained

    found = zip(container.options["paths"], container.parents)
    below = {inner[len(path) :]: model for inner, model in found if inner[: len(path)] == path}
    return below[()] if () in below else contained(*below.values(), paths=list(below))


Place = tuple[int | str, ...]  # the number of a layer, then a path into what it gives


def numbered(model: Model) -> dict[Node, tuple[Place, ...]]:
    """The layers in the order of `nodes`, each with the places of what it reads: the graph as it is written."""
    numbers = {node: i for i, node in enumerate(model.nodes)}
    return {node: tuple((numbers[p.node], *p.path) for p in node.parents) for node in model.nodes}


def in_table(node: Node) -> bool:
    """Whether a layer is found by its name alone: it was declared, or is an input, constant or container."""
    return node.layer.is_declared or node.layer is SOURCES.get(node.op)


def place(node: Node, name: str) -> str:
    """Which layer, for an error's text."""
    return f"layer {name} ({node.op}, made at {node.source})"


def where(model: Model) -> Callable[[], str]:
    """Which layer is the last, for an error's text, if it comes to that."""
    return lambda: place(model.node, model.name)


def _made_again(rows: Sequence[tuple[Any, ...]], path: Path) -> Model:
    """The model of rows, one a layer, whose parents are places in rows before."""
    made: list[Node] = []
    for row, parents, options, *rest in rows:
        read = tuple(Model(made[number], tuple(inner)) for number, *inner in parents)
        made.append(Node(SOURCES[row] if isinstance(row, str) else row, read, MappingProxyType(options), *rest))
    return Model(made[-1], path)


def check_model(model: Any, what: str) -> None:
    """Refuse anything but a Model where a function called `what` takes one. TypeError."""
    if not isinstance(model, Model):
        several = isinstance(model, (tuple, list, dict)) and model
        models = several and all(isinstance(m, Model) for m in (model.values() if isinstance(model, dict) else model))
        advice = "axon.container(...) makes one of several models"
        if isinstance(model, Node):
            advice = "axon.Model(node) is what a layer gives"
        elif not models:
            advice = 'pass what its last layer gave, such as axon.input("x", shape=(None, 4)).dense(2)'
        raise TypeError(f"{what}: expected a Model, got {type(model).__name__}; {advice}")
