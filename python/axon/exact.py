"""`exact`: the key of a value where what is looked up depends on the value itself: static arguments, the metadata of
trees, the attributes of graph nodes.

Python's == is no such key: 1, True and 1.0 are equal, and 0.0 and -0.0, at any depth of what is compared by its parts,
while a NaN is not equal to itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from numbers import Number
from types import NoneType
from typing import Any

Key = Callable[[Any], Hashable]


def exact(value: Any) -> Hashable:
    """A key that two values share if they are equal and their parts are of the same types, zeros of the same sign, NaN
    being equal to itself. Parts are those of tuples, frozensets, dataclasses and instances of other classes that say
    what equal means. An unhashable value has an unhashable key.

    >>> exact((1, 0.0)) == exact((1, 0.0)), exact((1, 0.0)) == exact((True, -0.0))
    (True, False)
    """
    cls = type(value)
    key = _keys.get(cls)
    if key is None:
        key = _keys[cls] = _meet(cls)
    return key(value)


def _itself(value: Any) -> Any:
    return value


def _bits(value: Any) -> Hashable:
    """Of a float: repr tells every two apart but NaN, which has one."""
    return float, float.__repr__(value)


def _parts(value: Any) -> Hashable:
    return tuple, *[exact(part) for part in value]


# The key of each type met. What stands for itself is equal to nothing of another type that does.
_keys: dict[type, Key] = {
    **dict.fromkeys((str, bytes, int, NoneType, type), _itself),
    bool: lambda value: (bool, value),
    float: _bits,
    complex: lambda value: (complex, _bits(value.real), _bits(value.imag)),
    tuple: _parts,
    frozenset: lambda value: (frozenset, frozenset(map(exact, value))),
}


def _meet(cls: type) -> Key:
    """The key of a type met for the first time: what it inherits from one of the types above, and its attributes."""
    if object.__eq__ is cls.__eq__ or object.__hash__ is cls.__hash__ or issubclass(cls, type):  # looked up by identity
        return _itself
    if hasattr(cls, "dtype") and hasattr(cls, "tobytes") and cls.__hash__ is not None:  # NumPy's scalars
        return lambda value: (cls, value.dtype.str, value.tobytes())
    base = next((_keys[b] for b in (float, int, str, bytes, tuple, frozenset) if issubclass(cls, b)), None)
    if base is not None:
        return lambda value: (cls, base(value), _attributes(value))
    if dataclasses.is_dataclass(cls) and cls.__hash__ is not None:
        names = tuple(f.name for f in dataclasses.fields(cls) if f.compare)
        return lambda value: (cls, *[exact(getattr(value, name)) for name in names])
    if issubclass(cls, Number):  # decimals have signed zeros and NaN, too
        return lambda value: (cls, repr(value))
    return lambda value: (cls, value, _attributes(value))


def _attributes(value: Any) -> Hashable:
    """The exact attributes of an instance, of types written in C (range, slice, datetime) what it is made again from;
    none where one of them cannot be a key."""
    state: Any = object.__getstate__(value)  # of __dict__, or of it and __slots__
    found: dict[str, Any] = {}
    for attributes in state if isinstance(state, tuple) else (state,):
        found |= attributes or {}
    try:
        if state is None:
            found = {"": tuple(value.__reduce_ex__(2)[1])}
        key = tuple([(name, exact(part)) for name, part in found.items()])
        hash(key)
    except (TypeError, RecursionError):
        return ()
    return key


def is_fixed(value: Any) -> bool:
    """Whether a value's key is the same as long as it lives: whoever was given this very object need not look again.

    >>> is_fixed((1, "a")), is_fixed(frozenset({0.0})), is_fixed([1])
    (True, True, False)
    """
    cls = type(value)
    exact(value)  # meets the type
    if _keys[cls] is _itself or cls in (bool, float, complex):
        return cls.__hash__ is not None
    if dataclasses.is_dataclass(cls):
        frozen = cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
        return frozen and all(is_fixed(getattr(value, f.name)) for f in dataclasses.fields(cls))
    plain = isinstance(value, (tuple, frozenset)) and not getattr(value, "__dict__", None)
    return plain and all(map(is_fixed, value))


class Exact:
    """A value that is equal to another's only if they are exactly equal."""

    __slots__ = ("key", "value")

    def __init__(self, value: Any) -> None:
        self.value, self.key = value, exact(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Exact) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return repr(self.value)
