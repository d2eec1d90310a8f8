"""The arguments of a definition's call: which are static, what the others are as leaves, what a trace depends on."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from .. import config, dtypes, tree
from ..errors import AxonError
from ..nx.creation import asarray
from ..nx.op import scalar_type
from ..nx.tensor import Tensor, TensorType

Place = int | str  # of an argument: the position of a positional parameter, the name of any other
Places = Place | Sequence[Place]


class Signature(NamedTuple):
    """All that a trace depends on."""

    structure: tree.Structure  # of the positional arguments, or of (positional, keywords) where there are keywords
    types: tuple[TensorType, ...]
    keywords: bool
    static: tuple[
        tuple[Place, type, Any], ...
    ]  # place, type, value: rising positions, then names; the type tells 1 from True


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
        for place in (given,) if isinstance(given, (int, str)) else given:
            if isinstance(place, str):
                known = self._any_name or place in self._signature.parameters
            else:
                known = 0 <= place < len(self.names) or (self._any_position and place >= 0)
            if not known:
                names = ", ".join(self._signature.parameters)
                raise ValueError(f"{self.label}: expected {option} among the parameters ({names}), got {place!r}")
            found.add(self.names.index(place) if place in self.names else place)
        return frozenset(found)

    def sort(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, bool, tuple[Any, ...]]:
        """Arguments in their one canonical form: the tree of the dynamic ones, whether it has keywords, the static."""
        if kwargs:
            bound = self._signature.bind(*args, **kwargs)
            args, kwargs = bound.args, bound.kwargs
        static: list[tuple[Place, type, Any]] = []
        if self.static:
            given: dict[Place, Any] = {**dict(enumerate(args)), **kwargs}
            for place in [p for p in given if p in self.static]:
                try:
                    hash(given[place])
                except TypeError:
                    raise TypeError(
                        f"{self.label}: expected a hashable value for static argument {self.name(place)!r}, got a "
                        f"{type(given[place]).__name__}; pass a tuple, or leave it out of static"
                    ) from None
                static.append((place, type(given[place]), given[place]))
            args = tuple([a for i, a in enumerate(args) if i not in self.static])
            kwargs = {k: v for k, v in kwargs.items() if k not in self.static}
        return ((args, kwargs) if kwargs else args), bool(kwargs), tuple(static)

    def restore(self, signature: Signature, leaves: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of the Python function, with these leaves."""
        made = tree.unflatten(signature.structure, leaves)
        positional, named = made if signature.keywords else (made, {})
        args, kwargs = list(positional), dict(named)
        for place, _, value in signature.static:
            if isinstance(place, int):
                args.insert(place, value)
            else:
                kwargs[place] = value
        return args, kwargs

    def leaf_places(self, signature: Signature) -> list[tuple[Place, tree.Path]]:
        """The argument that each leaf belongs to, and its path inside it."""
        static = {place for place, _, _ in signature.static}
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
        """Whether each leaf is donated."""
        return [place in self._donate for place, _ in self.leaf_places(signature)]

    def lift(self, leaves: Sequence[Any], signature: Callable[[], Signature]) -> list[Tensor]:
        """Leaves as tensors: Python scalars with rank 0, arrays of any library sharing memory where they can."""
        made: list[Tensor] = []
        for i, leaf in enumerate(leaves):
            try:
                made.append(leaf if type(leaf) is Tensor else _lift(leaf))
            except (AxonError, TypeError, ValueError) as error:
                raise TypeError(
                    f"{self.label}: expected tensors, arrays or numbers, got a {type(leaf).__name__} as argument "
                    f"{self.leaf_names(signature())[i]!r} ({error}); name it in static= if it is an option, or "
                    f"register its type with axon.tree if it is a container"
                ) from error
        return made


_SCALARS = {
    bool: TensorType(dtypes.bool_, ()),
    int: TensorType(dtypes.int32, ()),
    float: TensorType(dtypes.float32, ()),
}


@cache
def _of_numpy() -> tuple[type, Mapping[Any, dtypes.DType]]:
    import numpy as np

    return np.ndarray, {d.numpy: d for d in dtypes.ALL}


def _lift(value: Any) -> Tensor:
    """`asarray`, with short ways for what steps are fed with."""
    cls = scalar_type(value)
    if cls is not None and (cls is not int or -(2**31) <= value < 2**31):
        backend = config.lookup("backend", config.default_backend)
        return Tensor(_SCALARS[cls], backend, backend.constant(value, _SCALARS[cls]))
    ndarray, known = _of_numpy()
    if type(value) is ndarray and (dtype := known.get(value.dtype)) is not None:
        backend = config.lookup("backend", config.default_backend)
        return Tensor(TensorType(dtype, value.shape), backend, backend.from_numpy(value))
    return asarray(value)
