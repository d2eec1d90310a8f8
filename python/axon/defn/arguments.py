"""The arguments of a definition's call: which are static, what the others are as leaves, what a trace depends on."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from operator import index
from typing import Any, NamedTuple

from .. import tree
from ..errors import AxonError
from ..exact import Exact
from ..nx.core.number import WIDE, brief, scalar_type
from ..nx.core.op import Given
from ..nx.core.tensor import Tensor, TensorType
from ..nx.creation import asarray

Place = int | str  # of an argument: the position of a positional parameter, the name of any other
Places = Place | Sequence[Place]


def listed(given: Places) -> list[Place]:
    """One place or several as a list; NumPy's integers as Python's."""
    given = place_of(given)
    return [given] if isinstance(given, (int, str)) else list(map(place_of, given))


def place_of(given: Any) -> Any:
    """A position as Python's integer; other values as they are."""
    try:
        return index(given)
    except TypeError:
        return given


class Signature(NamedTuple):
    """All that a trace depends on."""

    structure: tree.Structure  # of the positional arguments, or of (positional, keywords) where there are keywords
    types: tuple[Given, ...]  # of the leaves: bool, int or float for a number
    keywords: bool
    static: tuple[tuple[Place, Exact], ...]  # rising positions, then names


class Form(NamedTuple):
    """How a call of so many positional arguments and keywords of these names is put in canonical form. Arguments are
    named by expressions, `args[0]` and `kwargs['x']`."""

    positional: tuple[str, ...]
    named: Mapping[str, str]
    static: tuple[tuple[Place, str], ...]
    arrange: Callable[[Any, Any], tuple[Any, tuple[Any, ...]]]  # (args, kwargs) -> tree of the dynamic, the static


class Arguments:
    """The parameters of one function, and which of them are static or donated."""

    def __init__(self, function: Callable[..., Any], label: str, static: Places, donate: Places) -> None:
        self.label = label
        try:
            self._signature = inspect.signature(function)
        except ValueError:  # some functions written in C have none
            self._signature = inspect.signature(lambda *args, **kwargs: None)
        kinds = {name: p.kind for name, p in self._signature.parameters.items()}
        self.names = [name for name, kind in kinds.items() if kind <= inspect.Parameter.POSITIONAL_OR_KEYWORD]
        self._any_position = inspect.Parameter.VAR_POSITIONAL in kinds.values()
        self._any_name = inspect.Parameter.VAR_KEYWORD in kinds.values()
        self.static, self._donate = self._places("static", static), self._places("donate", donate)
        if self.static & self._donate:
            raise ValueError(f"{label}: expected static and donate to differ, got {static!r} and {donate!r}")

    def _places(self, option: str, given: Places) -> frozenset[Place]:
        found: set[Place] = set()
        for place in listed(given):
            if isinstance(place, str):
                known = self._any_name or place in self._signature.parameters
            else:
                known = 0 <= place < len(self.names) or (self._any_position and place >= 0)
            if not known:
                names = ", ".join(self._signature.parameters)
                raise ValueError(f"{self.label}: expected {option} among the parameters ({names}), got {place!r}")
            found.add(self.names.index(place) if place in self.names else place)
        return frozenset(found)

    def form(self, count: int, names: Sequence[str]) -> Form:
        """The form of a call with `count` positional arguments and these keywords."""
        args, kwargs = [f"args[{i}]" for i in range(count)], {name: f"kwargs[{name!r}]" for name in names}
        if kwargs:
            bound = self._signature.bind(*args, **kwargs)
            args, kwargs = bound.args, bound.kwargs
        given: dict[Place, str] = {**dict(enumerate(args)), **kwargs}
        static = tuple((place, source) for place, source in given.items() if place in self.static)
        positional = tuple(source for i, source in enumerate(args) if i not in self.static)
        named = {name: source for name, source in kwargs.items() if name not in self.static}
        dynamic = f"({''.join(f'{source}, ' for source in positional)})"
        if named:
            dynamic = f"({dynamic}, {{{', '.join(f'{name!r}: {source}' for name, source in named.items())}}})"
        line = f"return {dynamic}, ({''.join(f'{source}, ' for _, source in static)})"
        return Form(positional, named, static, tree.compiled("arrange(args, kwargs)", [line], {}))

    def exactly(self, form: Form, static: Sequence[Any]) -> tuple[tuple[Place, Exact], ...]:
        """The static arguments as a signature has them."""
        found = tuple([(place, Exact(value)) for (place, _), value in zip(form.static, static)])
        for place, value in found:
            try:
                hash(value)
            except TypeError:
                raise TypeError(
                    f"{self.label}: expected a hashable value for static argument {self.name(place)!r}, got a "
                    f"{type(value.value).__name__}; pass a tuple, or leave it out of static"
                ) from None
        return found

    def flatten(self, dynamic: Any) -> tuple[list[Any], tree.Structure]:
        """`tree.flatten` of dynamic arguments, whose structure must be one that can be looked up."""
        leaves, structure = tree.flatten(dynamic)
        try:
            hash(structure)
        except TypeError as error:
            raise TypeError(
                f"{self.label}: expected hashable static fields in its arguments, got {_unhashable(structure)}; give a "
                f"tuple or another immutable value, or let the field be a leaf"
            ) from error
        return leaves, structure

    def restore(self, signature: Signature, leaves: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of the Python function, with these leaves."""
        made = tree.unflatten(signature.structure, leaves)
        positional, named = made if signature.keywords else (made, {})
        args, kwargs = list(positional), dict(named)
        for place, static in signature.static:
            if isinstance(place, int):
                args.insert(place, static.value)
            else:
                kwargs[place] = static.value
        return args, kwargs

    def leaf_places(self, signature: Signature) -> list[tuple[Place, tree.Path]]:
        """The argument that each leaf belongs to, and its path inside it."""
        static = {place for place, _ in signature.static}
        dynamic = [i for i in range(len(static) + len(signature.structure)) if i not in static]
        found: list[tuple[Place, tree.Path]] = []
        for path in signature.structure.paths():
            by_name = signature.keywords and path[0] == 1
            place, *rest = path[1:] if signature.keywords else path
            found.append((place if by_name else dynamic[place], tuple(rest)))
        return found

    def leaf_names(self, signature: Signature) -> list[str]:
        """The leaves as users know them: the parameter, then the path inside it."""
        return [tree.show((self.name(place), *path)) for place, path in self.leaf_places(signature)]

    def name(self, place: Place) -> Place:
        """A parameter's name; the position where *args took it."""
        return self.names[place] if isinstance(place, int) and place < len(self.names) else place

    def donated(self, signature: Signature) -> list[bool]:
        """Whether each leaf is donated. A number has no memory to give."""
        places = self.leaf_places(signature)
        return [p in self._donate and isinstance(t, TensorType) for (p, _), t in zip(places, signature.types)]

    def lift(self, leaves: Sequence[Any], signature: Callable[[], Signature], *also: type) -> list[Any]:
        """Leaves as tensors and numbers (and what is of the types `also`): arrays share memory where they can."""
        made: list[Any] = []
        for i, leaf in enumerate(leaves):
            try:
                made.append(leaf if type(leaf) is Tensor or type(leaf) in also else _lift(leaf))
            except (AxonError, TypeError, ValueError) as error:
                raise TypeError(
                    f"{self.label}: expected tensors, arrays or numbers, got a {type(leaf).__name__} as argument "
                    f"{self.leaf_names(signature())[i]!r} ({error}); name it in static= if it is an option, or "
                    f"register its type with axon.tree if it is a container"
                ) from error
        return made


def _unhashable(structure: tree.Structure) -> str:
    """The first metadata of a structure that has no hash: of a dataclass, which field."""
    for cls, meta in pairwise(structure):
        if isinstance(meta, Exact):
            names = [
                f".{f.name}" for f in getattr(cls, "__dataclass_fields__", {}).values() if f.metadata.get("static")
            ]
            parts = zip(names, meta.value) if names else [("", meta.value)]
            for name, value in parts:
                try:
                    hash(Exact(value))
                except TypeError:
                    return f"a {type(value).__name__} as {cls.__name__}{name}"
    raise AssertionError(structure)


def type_of(lifted: Any) -> Given:
    """What a signature says of a tensor, a tensor's type or a number."""
    return lifted.type if type(lifted) is Tensor else lifted if type(lifted) is TensorType else type(lifted)


def wide(given: Given) -> TensorType:
    """The type in which a program takes what a signature has."""
    return given if isinstance(given, TensorType) else TensorType(WIDE[given], ())


def _lift(value: Any) -> Any:
    """A number as Python's own, anything else as a tensor."""
    python = scalar_type(value)
    if python is int and not -(2**63) <= value < 2**63:
        raise ValueError(f"{brief(value)} is no int64; pass a tensor of uint64, a float, or a static argument")
    if python is not None:
        return python(value)
    return asarray(value)
