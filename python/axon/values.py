"""Values: what is never changed once it was made. A copy of one is itself, and it is pickled as what it was made of.

A function is pickled as the name that it is imported by. One that a constructor of ours returned (an initializer, a
schedule) has none, and is pickled as that call; one of the user's without a name is refused, by the part that it is.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial, update_wrapper, wraps
from pickle import PicklingError
from types import FunctionType
from typing import Any, ParamSpec, Self, TypeVar, cast

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])


class Value:
    """What copies as itself. As a dataclass it is pickled by its fields, whose order is that of its arguments."""

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce__(self) -> Any:
        parts = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        refuse_unnamed(type(self).__name__, parts)
        return type(self), tuple(parts.values())


class Made(Value):
    """A function that a constructor returned."""

    __slots__ = ("__dict__", "__weakref__", "_function", "call")  # its own are not in __dict__, which wrappers copy

    def __init__(self, function: Callable[..., Any], call: tuple[Any, Any, Any]) -> None:
        update_wrapper(self, function)
        self._function, self.call = function, call

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._function(*args, **options)

    def __repr__(self) -> str:
        return f"<{self.__qualname__.replace('.<locals>', '')}>"  # type: ignore[attr-defined]

    def __reduce__(self) -> Any:
        constructor, args, options = self.call
        refuse_unnamed(constructor.__name__, {"arguments": (args, options)})
        return made_by, (constructor, args, options)


def made_by(constructor: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What a call gives."""
    return constructor(*args, **options)


def remembered(constructor: Callable[P, F]) -> Callable[P, F]:
    """Let the functions that a constructor returns be pickled."""

    @wraps(constructor)
    def construct(*args: P.args, **options: P.kwargs) -> F:
        return cast(F, Made(constructor(*args, **options), (construct, args, options)))

    return construct


def named(value: Any) -> bool:
    """Can it be imported by its module and name?"""
    found: Any = sys.modules.get(getattr(value, "__module__", None) or "")
    for part in getattr(value, "__qualname__", "").split("."):
        found = getattr(found, part, None)
    return found is value


def refuse_unnamed(owner: str, parts: Mapping[str, Any]) -> None:
    """PicklingError that names the part where one is or holds a function that cannot be imported by name."""
    for part, value in parts.items():
        for function in _functions(value):
            if not named(function):
                wrapper = "a wrapper of " if hasattr(function, "__wrapped__") else ""
                raise PicklingError(
                    f"{owner}: expected functions that can be imported by name, got {wrapper}{function.__qualname__} "
                    f"of {function.__module__} as {part}; define it with def at the top of a module"
                )


def _functions(value: Any) -> Iterator[FunctionType]:
    """The functions in a part, but those of values, which look at their own."""
    if isinstance(value, FunctionType):
        yield value
    elif isinstance(value, partial):
        yield from _functions((value.func, value.args, value.keywords))
    elif isinstance(value, Mapping):
        yield from _functions(tuple(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _functions(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, (type, Value)):
        for field in dataclasses.fields(value):
            yield from _functions(getattr(value, field.name))
