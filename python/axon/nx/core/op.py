"""Op, the row of the op table, and the decorators (kinds) that make rows out of function declarations.

A row is a Python function: positional-only parameters are tensor operands, the others are attributes. Calling it infers
dtypes and shapes, converts the operands, and hands everything to one backend (see `call`).
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, ParamSpec, TypeVar

from ... import config
from ...dtypes import DType, result_type
from ...errors import CompileError, DTypeError, ShapeError
from ...exact import exact
from .backend import AS_IT_IS, Backend, beside, home, tracing, watching
from .combine import Combine
from .kinds import Kind
from .number import SCALARS, Number, compared, operate, scalar_of, scalar_type
from .tensor import Names, Shape, Tensor, TensorType

P = ParamSpec("P")
R = TypeVar("R")

LIMIT = 1 << 43  # elements of a tensor: at 8 bytes each, the 2**46 that the runtime allows a buffer
Given = TensorType | type  # what inference sees: a type, or bool/int/float for a Python scalar


class Inference(NamedTuple):
    """What is settled before a backend is called: the dtypes operands are cast to, result types, normal attributes."""

    operands: tuple[DType, ...]
    out: tuple[TensorType, ...]
    attrs: Mapping[str, Any]


class Index(NamedTuple):
    """How one axis of a movement's operand is addressed from the result's index o[axis]:

    t = o[axis] - lo must be in [0, size*div) and a multiple of div; the operand's index is (t // div) * mul + start.
    axis None is index `start`. lo 0, div 1 and size None mean that every index of the result is inside.
    """

    axis: int | None
    mul: int = 1
    start: int = 0
    lo: int = 0
    div: int = 1
    size: int | None = None


RESHAPE = "reshape"  # an index map that keeps the row-major order of elements


@dataclass(frozen=True, eq=False, slots=True)
class Op:
    """One row of the table. Fields not given by the row have the default of its kind."""

    name: str
    kind: Kind
    infer: Callable[[Sequence[Given], dict[str, Any]], Inference]
    eager: Callable[..., Any] | None = None  # (xp, *arrays, **attrs); None is expand, or xp.<name>(*arrays, **attrs)
    vjp: Callable[..., Sequence[Any]] | None = None  # (g, y, *operands, **attrs) -> a gradient (or Part) an operand
    nondifferentiable: str | None = None  # why there is no vjp and what to use instead; "zero" means gradient 0
    scalar: str = ""  # elementwise: its function in csrc/kernels/scalar.h; the row's name unless given
    combine: Combine | None = None  # reductions
    index_map: Callable[..., Any] | None = (
        None  # movement, gather: (types, out, **attrs) -> a tuple of Index an operand
    )
    extern: str | None = None  # contraction, library: symbol of the runtime's library step
    expand: Callable[..., Any] | None = None  # window: (*operands, **attrs) in terms of simpler rows, for decompose
    outside: Callable[..., str | None] | None = None  # (*operands, **attrs) -> what their values must not be, as a text
    by_value: bool = False  # comparisons: a Python int that the dtype it meets cannot hold is beyond all that it holds
    cost: int = 1  # to repeat it for an element: 0 free (casts), 1 cheap, 8 a division or transcendental
    domain: tuple[float, float] | None = None  # reals on which the row is tested by value
    tolerance: Mapping[str, float] = field(default_factory=dict)  # dtype name -> relative error allowed in tests
    function: Callable[..., Any] | None = None

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> Any:
        return find, (self.name,)


TABLE: dict[str, Op] = {}  # every row by name, in order of declaration


def find(name: str) -> Op:
    """The row of that name; KeyError where there is none."""
    return TABLE[name]


def describe(operands: Sequence[Given]) -> str:
    """Operand types as error texts show them: `float32[3,4] and float32[5,6]`."""
    return " and ".join(str(o) if isinstance(o, TensorType) else o.__name__ for o in operands)


def operand_types(operands: Sequence[Given]) -> list[TensorType]:
    """Operands with Python scalars as rank 0 (their dtype is settled by the dtype rule; here it is a filler)."""
    return [o if isinstance(o, TensorType) else TensorType(result_type(o), ()) for o in operands]


def call(op: Op, operands: Sequence[Any], attrs: dict[str, Any]) -> Any:
    """Run a row: settle types, convert operands, dispatch. Returns a Tensor, or a tuple where the row has several."""
    types: list[Any] = [o.type if type(o) is Tensor else None for o in operands]
    if None in types:
        operands = _given(op.name, operands)
        types = [o.type if type(o) is Tensor else scalar_type(o) for o in operands]
    settled, as_given = infer(op, types, attrs)
    if op.by_value and not as_given:
        met = [compared(o, dtype) for o, dtype in zip(operands, settled.operands, strict=True)]
        if any(m is not o for m, o in zip(met, operands)) and any(type(o) is Tensor for o in operands):
            return call(op, met, attrs)
    backend = tracing.get() or _first(operands)
    args = operands
    if not as_given or _elsewhere(operands, backend):
        args = [
            o
            if type(o) is Tensor and o.backend is backend and o.type.dtype is dtype
            else _settled(op, o, dtype, backend)
            for o, dtype in zip(operands, settled.operands, strict=True)
        ]
    results = backend.apply(op, settled.out, args, settled.attrs)
    made = tuple([Tensor(t, backend, d) for t, d in zip(settled.out, results, strict=True)])
    if op.outside is not None or watching.get() is not None:
        examine(op, args, settled.attrs, made)
    return made[0] if len(made) == 1 else made


def _elsewhere(operands: Sequence[Tensor], backend: Backend) -> bool:
    """Whether some tensor is of another backend."""
    for o in operands:
        if o.backend is not backend:
            return True
    return False


def _first(operands: Sequence[Any]) -> Backend:
    """The backend of the first tensor."""
    for o in operands:
        if type(o) is Tensor:
            return o.backend
    return home()


def _settled(op: Op, operand: Any, dtype: DType, backend: Backend) -> Tensor:
    """An operand as a tensor of that dtype on that backend."""
    if type(operand) is Number:
        operand = operand.cast(op.name, dtype)
    if type(operand) is not Tensor:
        type_ = TensorType(dtype, ())
        return Tensor(type_, backend, backend.constant(scalar_of(op.name, operand, dtype), type_))
    if operand.backend is not backend:
        operand = backend.adopt(operand)
    return operand if operand.type.dtype is dtype else call(TABLE["astype"], (operand,), {"dtype": dtype})


def _given(name: str, operands: Sequence[Any]) -> list[Any]:
    """Operands as tensors and Python scalars."""
    given = list(operands)
    for i, o in enumerate(given):
        if type(o) is not Tensor and scalar_type(o) is None:
            with beside([t for t in operands if isinstance(t, Tensor)]):
                given[i] = _convert(name, o)
    return given


PROGRAMS = 256  # that a function keeps
KEPT = 4096  # entries of a table of what was settled before
_inferred: dict[Any, tuple[Inference, bool]] = {}  # by row, operands and attributes


def infer(op: Op, types: Sequence[Given], attrs: Mapping[str, Any]) -> tuple[Inference, bool]:
    """`op.infer`, looked up where a call has the types and attributes of one before; and whether the operands are
    tensors of the dtypes that they are cast to."""
    try:
        key = (op, *types, *attrs, *map(attribute_key, attrs.values())) if attrs else (op, *types)
    except TypeError:
        return op.infer(types, dict(attrs)), False
    found = _inferred.get(key)
    if found is None:
        settled = op.infer(types, dict(attrs))
        as_given = settled.operands == tuple([t.dtype if isinstance(t, TensorType) else None for t in types])
        found = keep(_inferred, key, (settled, as_given))
    return found


def keep(table: dict[Any, R], key: Any, value: R, most: int = KEPT) -> R:
    """Enter a value in a table. One that is full, as where nothing repeats, is emptied before."""
    if len(table) >= most:
        table.clear()
    table[key] = value
    return value


_THEMSELVES = frozenset((int, str, DType, type(None), type(Ellipsis)))  # equal only if of one type


def attribute_key(value: Any) -> Any:
    """`exact` of an attribute, a list being a tuple. TypeError for anything but numbers, text, dtypes and tuples of
    such: it may be equal and yet differ, and a table would keep it alive."""
    kind = type(value)
    if kind in _THEMSELVES:
        return value
    if kind is tuple or kind is list:
        return tuple(value if _THEMSELVES.issuperset(map(type, value)) else map(attribute_key, value))
    if kind is bool or kind is float:
        return exact(value)
    raise TypeError(f"expected a number, text, dtype or tuple of such, got {kind.__name__}")


def examine(
    op: Op, args: Sequence[Tensor], attrs: Mapping[str, Any], made: Sequence[Tensor], source: str | None = None
) -> None:
    """What eager code, and every op under axon.debug(), is held to beyond its types: IndexError for values of operands
    that compiled code cannot refuse; then whoever watches looks at the results. source: as of `Watch`."""
    if tracing.get() is not None:
        return
    if op.outside is not None and (text := op.outside(*args, **attrs)):
        raise IndexError(f"{op.name}{f' at {source}' if source else ''}: {text}")
    if (look := watching.get()) is not None:
        look(op, made, source)


def _convert(name: str, value: Any, dtype: DType | None = None) -> Tensor:
    from ..rows.creation import convert

    return convert(name, value, dtype)


Declare = Callable[[Callable[P, R]], Callable[P, R]]


def row(kind: Kind, infer: Callable[..., Inference], *, variadic: bool = False, **fields: Any) -> Declare:
    """The decorator all kinds are made of: declare a function's signature and docs as a row of the table.

    variadic: the first parameter is a sequence of tensors (concat).
    """

    def declare(function: Callable[P, R]) -> Callable[P, R]:
        name = function.__name__.rstrip("_")
        operands, options, positional, defaults = _parameters(function)
        arity, allowed = len(operands), options.keys()
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

        op = Op(name=name, kind=kind, infer=infer, function=run, **{"scalar": name, **fields})
        if name in TABLE:
            raise ValueError(f"op table: {name!r} is declared twice")
        TABLE[name] = op
        run.op = op  # type: ignore[attr-defined]
        return method(run) if arity and not variadic else run

    return declare


def _parameters(function: Any) -> tuple[tuple[str, ...], dict[str, None], tuple[str, ...], dict[str, Any]]:
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
    setattr(Tensor, function.__name__.rstrip("_"), function)
    return function


def composed(function: Callable[P, R]) -> Callable[P, R]:
    """Declare a function made of rows: it is `lifted`, and a method too."""
    return method(lifted(function))


def naming(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function's errors begin with its name, where a row that it is made of found them."""
    name = function.__name__.rstrip("_")

    @functools.wraps(function)
    def run(*args: P.args, **options: P.kwargs) -> R:
        try:
            return function(*args, **options)
        except (ShapeError, DTypeError, IndexError) as error:
            _begin(error, name)
            raise

    return run


def _begin(error: Exception, name: str) -> None:
    """Have an error's text begin with a name."""
    if not str(error).startswith(f"{name}: "):
        error.args = (f"{name}: {error}",)


def lifted(function: Callable[P, R]) -> Callable[P, R]:
    """Convert what is given for a function's Tensor parameters, and have it make tensors on their backend and its
    errors begin with its name. A Python scalar takes its dtype from the first of the tensors, as beside the operand of
    a row."""
    parameters = _parameters(inspect.unwrap(function))[0]
    places = [i for i, p in enumerate(parameters) if function.__annotations__[p] == "Tensor"]
    leading = places == [*range(len(places))]
    name = function.__name__.rstrip("_")

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        given = args[: len(places)] if leading else [args[i] for i in places if i < len(args)]
        tensors = [a for a in given if isinstance(a, Tensor)]
        place = beside(tensors)
        try:
            if place is AS_IT_IS and len(tensors) == len(given):
                return function(*args, **options)
            with place:
                if len(tensors) < len(given):
                    made = iter(lift(name, given))
                    args = tuple([next(made) if i in places else a for i, a in enumerate(args)])
                return function(*args, **options)
        except (ShapeError, DTypeError, IndexError) as error:
            _begin(error, name)
            raise

    return run


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


def lift(name: str, given: Sequence[Any]) -> list[Tensor]:
    """What is given for the tensors of function `name`, converted as `lifted` says."""
    made = [a if isinstance(a, Tensor) or scalar_type(a) else _convert(name, a) for a in given]
    first = next((a.dtype for a in made if isinstance(a, Tensor)), None)
    return [
        a if isinstance(a, Tensor) else _convert(name, a, first and result_type(first, scalar_type(a) or float))
        for a in made
    ]


def operator(name: str, *, reflected: bool = False) -> Declare:
    """Also attach a function as Python's operator __name__, and __rname__ if reflected. What is no array is refused."""

    def attach(function: Callable[P, R]) -> Callable[P, R]:
        run: Callable[..., Any] = function
        called = function.__name__.rstrip("_")
        unary = len(_parameters(inspect.unwrap(function))[0]) == 1

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
    return isinstance(value, _OPERANDS) or hasattr(value, "__array__") or hasattr(value, "__dlpack__")


DTypeRule = Callable[[str, Sequence[DType | type]], tuple[tuple[DType, ...], DType]]
ShapeRule = Callable[..., tuple[Shape, Names, Mapping[str, Any]]]


def sized(name: str, shape: Shape) -> Shape:
    """The shape, if a tensor can have it."""
    if math.prod([s or 1 for s in shape]) > LIMIT:
        raise ShapeError(f"{name}: expected a shape of at most 2**43 elements, got {shape}; check its sizes")
    return shape


def settle(name: str, dtype_rule: DTypeRule, shape_rule: ShapeRule) -> Callable[..., Inference]:
    """An infer function out of a dtype rule and a shape rule (rules.py has both)."""

    def infer(operands: Sequence[Given], attrs: dict[str, Any]) -> Inference:
        dtypes, out = dtype_rule(name, [o.dtype if isinstance(o, TensorType) else o for o in operands])
        shape, names, normal = shape_rule(name, operand_types(operands), **attrs)
        sized(name, shape)
        return Inference(dtypes, (TensorType(out, shape, names),), normal)

    return infer


def declaring(kind: Kind, *, shape: ShapeRule | None = None, dtype: DTypeRule | None = None) -> Callable[..., Declare]:
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
            return row(kind, settle(function.__name__.rstrip("_"), dtype, shape), **fields)(function)

        return declare

    return decorator
