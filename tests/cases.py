"""Inputs for every row of the op table, as data in one place. Whoever sweeps the table (eager, interpreted, compiled)
takes them from `cases`. What a kind cannot supply is in EXAMPLES: operand shapes and attributes by row name."""

from __future__ import annotations

import inspect
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from axon import dtypes
from axon.dtypes import DType
from axon.errors import DTypeError
from axon.nx.core.op import TABLE, Op
from axon.nx.core.tensor import TensorType

Shape = tuple[int, ...]


class Case(NamedTuple):
    """One call of a row: operands (a variadic row takes them as one sequence) and attributes."""

    args: tuple[np.ndarray, ...]
    attrs: dict[str, Any]

    def __repr__(self) -> str:
        shown = [f"{a.dtype}[{','.join(map(str, a.shape))}]" for a in self.args]
        return f"({', '.join(shown)}; {', '.join(f'{k}={v}' for k, v in self.attrs.items())})"


class Fixed(NamedTuple):
    """An operand whose dtype is not the case's: indices, a condition, packed words. Values are in [low, high)."""

    dtype: str
    shape: Shape
    low: int = 0
    high: int = 2


# Shapes that elementwise rows are tried on: rank 0, empty, one, odd tails of vectors, several axes, broadcasting.
UNARY: Sequence[tuple[Shape, ...]] = [
    ((),),
    ((0,),),
    ((1,),),
    ((7,),),
    ((67,),),
    ((3, 0, 2),),
    ((3, 5),),
    ((2, 3, 17),),
]
BINARY: Sequence[tuple[Shape, ...]] = [
    ((), ()), ((0,), (1,)), ((67,), (67,)), ((3, 5), ()), ((3, 1), (1, 5)), ((2, 1, 17), (3, 1)),
]  # fmt: skip
TERNARY: Sequence[tuple[Shape, ...]] = [((), (), ()), ((67,), (67,), (67,)), ((3, 1), (5,), ()), ((0,), (1,), ())]

REDUCED: Sequence[tuple[Shape, dict[str, Any]]] = [
    ((5,), {"axis": 0}), ((67,), {"axis": None}), ((3, 5), {"axis": 0}), ((3, 5), {"axis": -1, "keepdims": True}),
    ((2, 3, 17), {"axis": (0, 2)}), ((2, 3, 17), {"axis": 1}), ((1, 1), {"axis": None, "keepdims": True}),
    ((0, 3), {"axis": 1}), ((4, 129), {"axis": 1}), ((130, 3), {"axis": 0}), ((2, 5000), {"axis": 1}),
]  # fmt: skip

CUMULATIVE: Sequence[tuple[Sequence[Shape], dict[str, Any]]] = [
    ([s], {"axis": a, "reverse": r})
    for s, a, r in [
        ((5,), 0, False), ((17,), 0, True), ((3, 67), 1, True), ((130, 3), 0, False), ((2, 3, 17), -2, True),
        ((0, 3), 0, False), ((3, 1), 1, True), ((2, 2500), 1, False),
    ]
]  # fmt: skip

_NCHW: list[dict[str, Any]] = [
    {"padding": "same"}, {"strides": 2, "padding": [(1, 0), (2, 1)]}, {"kernel_dilation": (2, 1)},
    {"input_dilation": (1, 2), "padding": [(1, 1), (-1, 1)]},
]  # fmt: skip

# Operand shapes (or Fixed) and attributes, by row.
EXAMPLES: Mapping[str, Sequence[tuple[Sequence[Shape | Fixed], dict[str, Any]]]] = {
    "where": [([Fixed("bool", c), a, b], {}) for c, a, b in TERNARY],
    "threefry2x32": [([Fixed("uint64", a, 0, 2**63), Fixed("uint64", b, 0, 2**63)], {}) for a, b in BINARY],
    "argmax": [([s], a) for s, a in REDUCED if isinstance(a["axis"], int)],
    "argmin": [([s], a) for s, a in REDUCED if isinstance(a["axis"], int)],
    "reshape": [([a], {"shape": b}) for a, b in [((6,), (2, -1)), ((2, 3, 4), (6, 4)), ((), (1,)), ((0, 2), (3, 0))]],
    "permute_dims": [([s], {"axes": a}) for s, a in [((3, 5), (1, 0)), ((2, 3, 17), (2, 0, 1)), ((), ()), ((4,), [0])]],
    "broadcast_to": [([a], {"shape": b}) for a, b in [((), (3,)), ((3, 1), (2, 3, 5)), ((1, 0), (4, 0)), ((5,), (5,))]],
    "expand_dims": [([s], {"axis": a}) for s, a in [((3,), 0), ((3, 5), (0, -1)), ((), 0), ((2, 3), 1)]],
    "squeeze": [([s], {"axis": a}) for s, a in [((1, 3), 0), ((1, 3, 1), (0, 2)), ((1,), -1)]],
    "slice": [
        ([s], {"starts": a, "stops": b, "steps": c})
        for s, a, b, c in [
            ((7,), (1,), (6,), (2,)), ((5, 17), (0, 3), (5, 17), (3, 1)), ((4,), (2,), (2,), (1,)), ((), (), (), ()),
        ]
    ],
    "pad": [
        ([s, ()], {"config": c})
        for s, c in [
            ((4,), [(1, 2, 0)]), ((3, 5), [(0, 1, 1), (-1, 2, 0)]), ((5,), [(-2, -1, 2)]), ((0,), [(1, 1, 3)]),
            ((), []),
        ]
    ],
    "flip": [([s], {"axis": a}) for s, a in [((5,), 0), ((3, 5), None), ((2, 3, 4), (0, 2)), ((0,), 0)]],
    "concat": [([(2, 3), (2, 1), (2, 0)], {"axis": 1}), ([(4,)], {"axis": 0}), ([(1, 5), (3, 5)], {"axis": 0})],
    "rename": [([(2, 3)], {"names": ("a", None)}), ([(2,)], {"names": None})],
    "stop_grad": [([(2, 3)], {}), ([()], {})],
    "named": [([(2, 3)], {"label": "a"}), ([()], {"label": "b c"})],
    "after": [([(2, 3), Fixed("int32", (4,))], {}), ([(), (2,)], {})],
    "take": [
        ([(5,), Fixed("int32", (3,), -5, 5)], {"axis": 0}),
        ([(2, 7, 3), Fixed("int64", (2, 4), -7, 7)], {"axis": 1}),
        ([(4, 3), Fixed("uint8", (), 0, 3)], {"axis": -1}),
        ([(0,), Fixed("int32", (0,))], {"axis": 0}),
    ],
    "scatter_add": [
        ([(5,), Fixed("int32", (9,), -5, 5), (9,)], {"axis": 0}),
        ([(2, 7, 3), Fixed("int64", (2, 4), -7, 7), (2, 2, 4, 3)], {"axis": 1}),
        ([(4, 3), Fixed("uint8", (), 0, 3), (4,)], {"axis": -1}),
        ([(4,), Fixed("int32", (0,)), (0,)], {"axis": 0}),
    ],
    "within": [([Fixed("int32", (2, 3), -5, 5)], {"size": 5})],
    "dot_general": [
        ([(3, 5), (5, 4)], {"contract": ((1,), (0,))}),
        ([(2, 3, 5), (2, 4, 5)], {"contract": ((2,), (2,)), "batch": ((0,), (0,))}),
        ([(4, 2, 3), (3, 5, 2)], {"contract": ((2, 1), (0, 2))}),
        ([(3, 2, 4, 5), (5, 4, 2, 6)], {"contract": ((3,), (0,)), "batch": ((2, 1), (1, 2))}),
        ([(0, 3), (3, 2)], {"contract": ((1,), (0,))}), ([(2, 0), (0, 2)], {"contract": ((1,), (0,))}),
        ([(3,), (4,)], {"contract": ((), ())}), ([(33, 70), (70, 17)], {"contract": ((1,), (0,))}),
    ],
    "conv": [
        *[([(2, 6, 7, 3), (3, 2, 3, 4)], a) for a in _NCHW],
        ([(2, 9, 4), (3, 2, 6)], {"groups": 2, "strides": 2}),
        ([(1, 4, 5, 3, 2), (2, 1, 3, 2, 3)], {"padding": "same"}),
        ([(0, 5, 1), (2, 1, 2)], {}),
    ],
    "conv_input_gradient": [
        ([(2, 6, 7, 4), (3, 2, 3, 4)], {"padding": "same", "input_shape": (2, 6, 7, 3)}),
        ([(2, 4, 6), (3, 2, 6)], {"groups": 2, "strides": 2, "input_shape": (2, 9, 4)}),
        ([(1, 7, 2), (3, 1, 2)], {"padding": [(-1, 1)], "input_dilation": 2, "input_shape": (1, 5, 1)}),
    ],
    "conv_kernel_gradient": [
        ([(2, 6, 7, 3), (2, 6, 7, 4)], {"padding": "same", "kernel_shape": (3, 2, 3, 4)}),
        ([(2, 9, 4), (2, 4, 6)], {"groups": 2, "strides": 2, "kernel_shape": (3, 2, 6)}),
        ([(1, 5, 1), (1, 7, 2)], {"padding": [(-1, 1)], "input_dilation": 2, "kernel_shape": (3, 1, 2)}),
    ],
    **{f"cumulative_{name}": CUMULATIVE for name in ("sum", "prod", "max", "min", "logsumexp")},
    "sort": [
        ([s], {"axis": a, "descending": d})
        for s, a, d in [
            ((7,), 0, False), ((3, 5), 0, True), ((2, 3, 17), 1, False), ((67,), -1, True), ((0, 2), 0, True),
        ]
    ],
    "literal": [([], {"value": v}) for v in (0, 1, 7)],
    "iota": [([], {"shape": s, "axis": a}) for s, a in [((5,), 0), ((2, 3), 0), ((2, 3), -1), ((0,), 0), ((2, 67), 1)]],
}  # fmt: skip

WINDOWS: Sequence[tuple[Shape, dict[str, Any]]] = [
    ((7,), {"window": 3}), ((6, 8), {"window": (2, 2), "strides": 2}), ((5, 7), {"window": (3, 2), "padding": "same"}),
    ((2, 9, 3), {"window": (1, 3, 1), "strides": (1, 2, 1), "padding": [0, (1, 2), 0], "dilation": (1, 2, 1)}),
]  # fmt: skip


def rows(*kinds: str) -> list[Op]:
    """The rows that can be called with tensors, of these kinds or of all."""
    return [op for op in TABLE.values() if op.function is not None and (not kinds or op.kind.name in kinds)]


def accepted(op: Op) -> list[DType]:
    """The dtypes that a row's operands (its results, where it has none) can have without being converted."""
    return [d for d in dtypes.ALL if _takes(op, d)]


def _takes(op: Op, dtype: DType) -> bool:
    shapes, attrs = _layouts(op)[0]
    types = [
        TensorType(dtypes.dtype(s.dtype), s.shape) if isinstance(s, Fixed) else TensorType(dtype, s) for s in shapes
    ]
    given = {**options(op), **attrs, **({"dtype": dtype} if op.kind.creates else {})}
    try:
        settled = op.infer(types, given)
    except DTypeError:
        return False
    if all(isinstance(s, Fixed) for s in shapes):
        return settled.out[0].dtype is dtype
    return (
        all(got is dtype for got, s in zip(settled.operands, shapes, strict=True) if not isinstance(s, Fixed))
        or op.kind.reduces
    )  # reductions widen small integers: to be tried all the same


def options(op: Op) -> dict[str, Any]:
    """The default attributes of a row."""
    assert op.function is not None
    parameters = inspect.signature(op.function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is not p.POSITIONAL_ONLY and p.default is not p.empty}


def _layouts(op: Op) -> list[tuple[Sequence[Shape | Fixed], dict[str, Any]]]:
    """Operand shapes and attributes that a row is tried with."""
    name = {"scatter": "scatter_add"}.get(op.name, op.name)
    if name in EXAMPLES:
        return list(EXAMPLES[name])
    if op.kind.reduces:
        return [([s], a) for s, a in REDUCED]
    if op.expand is not None:
        return [([s], a) for s, a in WINDOWS]
    assert op.function is not None
    parameters = inspect.signature(op.function).parameters.values()
    arity = sum(p.kind is p.POSITIONAL_ONLY for p in parameters)
    attrs: list[dict[str, Any]] = [{"dtype": d} for d in dtypes.ALL] if op.name == "astype" else [{}]
    return [(s, a) for s in {1: UNARY, 2: BINARY, 3: TERNARY}[arity] for a in attrs]


def sample(
    rng: np.random.Generator,
    dtype: DType,
    shape: Shape,
    domain: tuple[float, float] | None = None,
    *,
    special: bool = True,
) -> np.ndarray:
    """Values of a dtype: floats inside the domain, of many magnitudes, with special values if `special`; integers small
    and at the ends of their range."""
    count = math.prod(shape)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.is_integer:
        low, high = int(dtype.lowest), int(dtype.highest)
        small = rng.integers(max(low, -9), 10, count).astype(dtype.numpy)
        if special:
            edges = np.array([low, high, low + 1, 0, 1], dtype=dtype.numpy)
            small = np.where(rng.random(count) < 0.3, rng.choice(edges, count), small)
        return small.reshape(shape)
    low, high = domain or (-math.inf, math.inf)
    low, high = max(low, -4.0 if low == -math.inf else low), min(high, 4.0 if high == math.inf else high)
    if not special:  # away from the ends, where gradients are not smooth
        return rng.uniform(low + 0.05 * (high - low), high - 0.05 * (high - low), shape).astype(dtype.numpy)
    values = np.clip(rng.uniform(low, high, count) * 10.0 ** rng.uniform(-3, 0, count), low, high)
    edges = np.array([0.0, -0.0, 1.0, -1.0, 0.5, 2.0, np.inf, -np.inf, np.nan, 1e-40, low, high])
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.where(rng.random(count) < 0.15, rng.choice(edges, count), values)
        return values.astype(dtype.numpy).reshape(shape)


def cases(op: Op, dtype: DType, *, special: bool = True) -> Iterator[Case]:
    """The calls that a row is tried with in a dtype; the same at every run. special: with infinities, NaN and the
    ends of integer ranges; only elementwise rows, and rows that choose or order, are given them."""
    rng = np.random.default_rng(zlib.crc32(f"{op.name} {dtype}".encode()))
    odd = special and (op.kind.pointwise or op.name == "sort" or (op.combine is not None and op.combine.further != ""))
    for shapes, attrs in _layouts(op):
        args = [
            rng.integers(s.low, s.high, s.shape).astype(s.dtype)
            if isinstance(s, Fixed)
            else sample(rng, dtype, s, op.domain, special=odd)
            for s in shapes
        ]
        yield Case(tuple(args), {**attrs, "dtype": dtype} if op.kind.creates else dict(attrs))
        if any(a.ndim == 2 for a in args):  # once more, not contiguous
            yield Case(tuple(np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a for a in args), dict(attrs))


EPSILON = {d.name: d.eps for d in dtypes.ALL if d.is_float}


def tolerance(op: Op, dtype: DType) -> float:
    """The relative error allowed in a row's results of a dtype: the row's own, or 4 units in the last place."""
    return op.tolerance.get(dtype.name, 4 * dtype.eps)
