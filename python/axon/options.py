"""Options of functions: what they are refused as, and numbers. A NumPy scalar, or an array or tensor of rank 0, stands
for the Python number in it.

Python's numbers never change the dtype of what they meet; the others have dtypes of their own, so that a momentum read
from a file would turn a step's bfloat16 state into float32.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

from .errors import TraceError
from .names import misuse

P = ParamSpec("P")
R = TypeVar("R")


def plain(value: Any) -> Any:
    """The Python number that a scalar of any library holds; other values, and traced tensors, as they are.

    >>> import numpy
    >>> plain(numpy.float32(0.5)), plain(numpy.array(3)), plain("relu")
    (0.5, 3, 'relu')
    """
    if not hasattr(value, "dtype") or getattr(value, "ndim", None) != 0 or not hasattr(value, "item"):
        return value
    try:
        return value.item()
    except TraceError:
        return value


def _is_integer(value: Any) -> bool:
    """Whether it is an integer, such as 1e4, or a tensor of them, whose value need not be known yet."""
    if hasattr(value, "dtype"):
        return getattr(value.dtype, "kind", "i") in "iu"
    return not isinstance(value, bool) and isinstance(value, (int, float)) and value == value // 1


def is_number(value: Any) -> bool:
    """Whether it is a number, or a tensor, whose value need not be known yet."""
    return isinstance(value, (int, float)) or hasattr(value, "dtype")


# What an option may be, by the first word of its annotation, which may add "| None".
_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "float": ("a number", is_number),
    "int": ("an integer", _is_integer),
    "bool": ("True or False", lambda value: isinstance(value, bool)),
    "Callable": ("a function", callable),
    "Schedule": ("a schedule, a function of the step,", callable),
}


def plain_options(function: Callable[P, R], tensors: Iterable[str] | None = None) -> Callable[P, R]:
    """Have a function take what is given for its options, all parameters but `tensors` (those annotated as Tensor), as
    `plain` has it; refuse other values where a number, bool or function is annotated; and say what to write for
    arguments that do not fit.

    >>> import numpy
    >>> plain_options(lambda x, rate: (x, rate))(1.0, rate=numpy.float32(0.5))
    (1.0, 0.5)
    """
    signature = inspect.signature(function)
    parameters = signature.parameters.values()
    untouched = frozenset([p.name for p in parameters if "Tensor" in str(p.annotation)] if tensors is None else tensors)
    body: Callable[..., R] = function
    positional = tuple(p.name for p in parameters if p.kind < p.KEYWORD_ONLY)
    annotated = {p.name: str(p.annotation) for p in parameters}
    words = {name: annotation.removesuffix(" | None").split("[")[0] for name, annotation in annotated.items()}
    kinds = {name: _KINDS[word] for name, word in words.items() if word in _KINDS}

    def settled(option: str, value: Any) -> Any:
        if option in untouched:
            return value
        value = plain(value)
        if option in kinds and not kinds[option][1](value) and (value is not None or "None" not in annotated[option]):
            raise TypeError(f"{function.__name__}: expected {kinds[option][0]} as {option}, got {value!r}")
        return value

    @functools.wraps(function)
    def run(*args: P.args, **options: P.kwargs) -> R:
        first: Any = [settled(name, value) for name, value in zip(positional, args)]
        given: Any = {name: settled(name, value) for name, value in options.items()}
        try:
            return body(*first, *args[len(first) :], **given)
        except TypeError:
            wrong = misuse(function.__name__, signature, args, options)
            if wrong is None:
                raise
            raise TypeError(wrong) from None

    return run


def unfit(function: Callable[..., Any], count: int) -> str:
    """Why a function cannot be called with so many positional arguments, "" where it can.

    >>> unfit(lambda: 0, 1), unfit(lambda x: 0, 1)
    ('too many positional arguments', '')
    """
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError as error:
        return str(error)
    except ValueError:  # a function written in C
        pass
    return ""
