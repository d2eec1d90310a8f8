"""Declarations: the decorators that make rows out of functions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

from ...dtypes import DType, result_type
from .attributes import Meanings
from .call import call
from .convert import is_array
from .kinds import Kind
from .number import SCALARS, Number, operate, scalar_type
from .op import KEPT, TABLE, Given, Inference, Op, sized
from .tensor import Names, Shape, Tensor, TensorType

P = ParamSpec("P")
R = TypeVar("R")

Declare = Callable[[Callable[P, R]], Callable[P, R]]


def row(
    kind: Kind,
    infer: Callable[..., Inference],
    *,
    attributes: Meanings = MappingProxyType({}),
    variadic: bool = False,
    **fields: Any,
) -> Declare:
    """The decorator all kinds are made of: declare a function's signature and docs as a row of the table.

    attributes: what each means. variadic: the first parameter is a sequence of tensors (concat).
    """

    def declare(function: Callable[P, R]) -> Callable[P, R]:
        name = function.__name__.rstrip("_")
        operands, options, positional, defaults = parameters_of(function)
        arity, allowed = len(operands), options.keys()
        if attributes.keys() != allowed:
            raise ValueError(f"op table: {name} has attributes {[*allowed]}, and meanings of {[*attributes]}")
        fitting: set[tuple[Any, ...]] = set()  # how many arguments by position, and the names of others

        @functools.wraps(function)
        def run(*args: Any, **attrs: Any) -> Any:
            if not allowed and not attrs and len(args) == arity:
                return call(op, tuple(args[0]) if variadic else args, {})
            given = {**defaults, **attrs}
            if len(args) > arity:
                given.update(zip(positional, args[arity:]))
            form = (len(args), *attrs)
            if form not in fitting:
                twice = attrs.keys() & set(positional[: len(args) - arity])
                if not arity <= len(args) <= arity + len(positional) or given.keys() != allowed or twice:
                    _refuse(name, function, args, attrs)
                if len(fitting) < KEPT:
                    fitting.add(form)
            return call(op, tuple(args[0]) if variadic else args[:arity], given)

        op = Op(name=name, kind=kind, infer=infer, attributes=attributes, function=run, **{"scalar": name, **fields})
        if name in TABLE:
            raise ValueError(f"op table: {name!r} is declared twice")
        TABLE[name] = op
        run.op = op  # type: ignore[attr-defined]
        return method(run) if arity and not variadic else run

    return declare


def parameters_of(function: Any) -> tuple[tuple[str, ...], dict[str, None], tuple[str, ...], dict[str, Any]]:
    """The names of positional-only parameters, of all others, of those that may be positional, and the defaults."""
    code = function.__code__
    only, count = code.co_posonlyargcount, code.co_argcount
    names, values = code.co_varnames, function.__defaults__ or ()
    defaults = {**dict(zip(names[count - len(values) : count], values)), **(function.__kwdefaults__ or {})}
    options = dict.fromkeys(names[only : count + code.co_kwonlyargcount])
    return names[:only], options, names[only:count], defaults


def _refuse(name: str, function: Callable[..., Any], args: tuple[Any, ...], attrs: dict[str, Any]) -> None:
    """Raise what Python says of arguments that do not fit the declaration."""
    signature = inspect.signature(function)
    try:
        signature.bind(*args, **attrs)
    except TypeError as error:
        raise TypeError(f"{name}{signature}: {error}") from None


def method(function: Callable[P, R]) -> Callable[P, R]:
    """Attach a function whose first parameter is a tensor to Tensor as a method; rows are attached unasked."""
    name = function.__name__
    setattr(Tensor, name if name.startswith("__") else name.rstrip("_"), function)
    return function


def operator(name: str, *, reflected: bool = False) -> Declare:
    """Also attach a function as Python's operator __name__, and __rname__ if reflected. What is no array is refused."""

    def attach(function: Callable[P, R]) -> Callable[P, R]:
        run: Callable[..., Any] = function
        called = function.__name__.rstrip("_")
        unary = len(parameters_of(inspect.unwrap(function))[0]) == 1

        def single(self: Tensor, *options: Any) -> Any:
            return run(self, *options)

        def binary(self: Any, other: Any) -> Any:
            return run(self, other) if _is_operand(called, other) else NotImplemented

        def swapped(self: Any, other: Any) -> Any:
            return run(other, self) if _is_operand(called, other) else NotImplemented

        def of_number(self: Number, *other: Any) -> Any:
            numbers = all(map(scalar_type, other))
            return operate(run, f"__{name}__", called, (self, *other)) if numbers else binary(self, *other)

        def swapped_number(self: Number, other: Any) -> Any:
            numbers = scalar_type(other)
            return operate(run, f"__{name}__", called, (other, self)) if numbers else swapped(self, other)

        setattr(Tensor, f"__{name}__", single if unary else binary)
        setattr(Number, f"__{name}__", of_number)
        if reflected:
            setattr(Tensor, f"__r{name}__", swapped)
            setattr(Number, f"__r{name}__", swapped_number)
        return function

    return attach


_OPERANDS = (Tensor, Number, *SCALARS)


def _is_operand(name: str, value: Any) -> bool:
    if isinstance(value, (list, tuple)):  # Python would answer == by identity
        raise TypeError(
            f"{name}: expected a tensor, array or number, got a {type(value).__name__}; give nx.tensor of it"
        )
    return isinstance(value, _OPERANDS) or is_array(value)


DTypeRule = Callable[[str, Sequence[DType | type]], tuple[tuple[DType, ...], DType | tuple[DType, ...]]]
ShapeRule = Callable[..., tuple[Shape, Names, Mapping[str, Any]]]


def operand_types(operands: Sequence[Given]) -> list[TensorType]:
    """Operands with Python scalars as rank 0 (their dtype is settled by the dtype rule; here it is a filler)."""
    return [o if isinstance(o, TensorType) else TensorType(result_type(o), ()) for o in operands]


def settle(name: str, dtype_rule: DTypeRule, shape_rule: ShapeRule) -> Callable[..., Inference]:
    """An infer function out of a dtype rule and a shape rule (rules.py has both). Where the one gives several dtypes,
    the row has as many results, all of the shape that the other gives."""

    def infer(operands: Sequence[Given], attrs: dict[str, Any]) -> Inference:
        dtypes, out = dtype_rule(name, [o.dtype if isinstance(o, TensorType) else o for o in operands])
        shape, names, normal = shape_rule(name, operand_types(operands), **attrs)
        sized(name, shape)
        results = out if isinstance(out, tuple) else (out,)
        return Inference(dtypes, tuple([TensorType(d, shape, names) for d in results]), normal)

    return infer


def declaring(
    kind: Kind, *, shape: ShapeRule | None = None, dtype: DTypeRule | None = None, **kind_fields: Any
) -> Callable[..., Declare]:
    """The decorator of a kind of row: it takes dtype= and shape= where the kind has no default, and the row's fields.
    What the dtype rule says is added to the row's docs."""
    kind_shape, kind_dtype = shape, dtype

    def decorator(
        *, dtype: DTypeRule | None = kind_dtype, shape: ShapeRule | None = kind_shape, **fields: Any
    ) -> Declare:
        def declare(function: Callable[P, R]) -> Callable[P, R]:
            if dtype is None or shape is None:
                raise ValueError(f"op table: {function.__name__} needs a dtype rule and a shape rule")
            if function.__doc__ and dtype.__doc__:
                function.__doc__ = f"{function.__doc__.rstrip()}\n\n    {dtype.__doc__}\n    "
            return row(kind, settle(function.__name__.rstrip("_"), dtype, shape), **{**kind_fields, **fields})(function)

        return declare

    return decorator
