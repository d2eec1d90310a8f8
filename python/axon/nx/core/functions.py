"""Functions made of rows, and the decorators that declare them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, overload

from ... import config
from ...dtypes import result_type
from ...errors import CompileError, DTypeError, ShapeError
from .backend import AS_IT_IS, beside, home, on, tracing, watching
from .convert import convert
from .declare import Declare, parameters_of
from .declare import method as attach
from .number import scalar_type
from .op import attribute_key, keep
from .tensor import Tensor

P = ParamSpec("P")
R = TypeVar("R")
PROGRAMS = 256  # that a function keeps


@overload
def function(body: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def function(*, method: bool) -> Declare: ...
def function(body: Callable[..., Any] | None = None, /, *, method: bool = False) -> Any:
    """Declare a function made of rows; its signature says what it takes. What is given for parameters that are a Tensor
    by position only is converted: a Python scalar takes its dtype from the first of the tensors, as beside the operand
    of a row. It makes tensors on their backend, or where its option `device` says. Its errors begin with its name.

    method: Tensor has it, too.
    """
    if body is None:
        return functools.partial(_declared, method=method)
    return _declared(body, method)


def _declared(body: Callable[..., Any], method: bool) -> Callable[..., Any]:
    declared, name = inspect.unwrap(body), body.__name__.rstrip("_")
    places = [i for i, p in enumerate(parameters_of(declared)[0]) if declared.__annotations__[p] in ("Tensor", Tensor)]
    run = _over_tensors(body, name, places) if places else _of_options(body, name)
    return attach(run) if method else run


def _over_tensors(body: Callable[..., Any], name: str, places: Sequence[int]) -> Callable[..., Any]:
    count = len(places)
    leading = places == [*range(count)]

    @functools.wraps(body)
    def run(*args: Any, **options: Any) -> Any:
        given = args[:count] if leading else [args[i] for i in places if i < len(args)]
        tensors = [a for a in given if isinstance(a, Tensor)]
        place = beside(tensors)
        try:
            if place is AS_IT_IS and len(tensors) == len(given):
                return body(*args, **options)
            with place:
                if len(tensors) < len(given):
                    made = iter(lift(name, given))
                    args = tuple([next(made) if i in places else a for i, a in enumerate(args)])
                return body(*args, **options)
        except (ShapeError, DTypeError, IndexError) as error:
            _begin(error, name)
            raise

    return run


def _of_options(body: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(body)
    def run(*args: Any, **options: Any) -> Any:
        try:
            device = options.get("device")
            if device is None:
                return body(*args, **options)
            with on(device):
                return body(*args, **options)
        except (ShapeError, DTypeError, IndexError) as error:
            _begin(error, name)
            raise

    return run


def _begin(error: Exception, name: str) -> None:
    """Have an error's text begin with the name of the function, where a row that it is made of found it."""
    if not str(error).startswith(f"{name}: "):
        error.args = (f"{name}: {error}",)


def lift(name: str, given: Sequence[Any]) -> list[Tensor]:
    """What is given for the tensors of function `name`, converted as `function` says."""
    made = [a if isinstance(a, Tensor) or scalar_type(a) else convert(name, a) for a in given]
    first = next((a.dtype for a in made if isinstance(a, Tensor)), None)
    return [
        a if isinstance(a, Tensor) else convert(name, a, first and result_type(first, scalar_type(a) or float))
        for a in made
    ]


def programmed(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function of tensors as one program where it is called eagerly on a backend that has a compiler for such,
    not op by op. A program is made for the types of the tensors and the values of the other arguments."""
    programs: dict[Any, Any] = {}

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        given = [*args, *options.values()]
        tensors = [x for x in given if isinstance(x, Tensor)]
        backend = home(tensors)
        watched = tracing.get() is not None or watching.get() is not None  # by whom wants every op
        eager = not watched and all(t.backend is backend for t in tensors)
        if not eager or backend.compiler is None:
            return function(*args, **options)
        try:
            key = (*options, *[x.type if type(x) is Tensor else attribute_key(x) for x in given])
        except TypeError:
            return function(*args, **options)
        found = programs.get(key, key)
        if found is key:
            try:
                found = config.lookup("definition", "inner")(function, args, options, backend)
            except CompileError:  # it reduces
                found = None
            keep(programs, key, found, PROGRAMS)
        return function(*args, **options) if found is None else found(tensors)

    return run
