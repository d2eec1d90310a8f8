"""Every row of the table: complete, right by value against float64 or exact integers, right in its gradient."""

import math
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.special
from axon import dtypes, nx, testing
from axon.nx.core.combine import ADD, MULTIPLY
from axon.nx.core.kinds import WINDOW
from axon.nx.core.op import RESHAPE, TABLE, Op, results_of
from axon.nx.core.tensor import TensorType

from tests import cases

ROWS = cases.rows()
SWEEP = [pytest.param(op, d, id=f"{op.name}-{d}") for op in ROWS for d in cases.accepted(op)]
SMOOTH = [op for op in ROWS if op.vjp is not None]


def wrap(value, dtype):
    """An exact integer as its dtype holds it."""
    bits = 8 * dtype.itemsize
    value %= 1 << bits
    return value - (1 << bits) if dtype.kind == "i" and value >> bits - 1 else value


def bounded_shift(x, n, dtype, left):
    inside = 0 <= n < 8 * dtype.itemsize
    return (x << n if left else x >> n) if inside else (0 if left or x >= 0 else -1)


# What a row means where NumPy has no function of its name, over float64 arrays.
FLOATS = {
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sigmoid": scipy.special.expit,
    "erf": np.vectorize(math.erf, otypes=[float]),
    "erfc": np.vectorize(math.erfc, otypes=[float]),
    "erf_inv": scipy.special.erfinv,
    "fma": lambda x, y, z: x * y + z,
    "gap": lambda x, y: np.where(x == y, 0, x - y),
    "round": np.rint,
    "where": np.where,
}
# Over exact Python integers and the operands' dtype; the result is wrapped.
INTEGERS = {
    "add": lambda x, y, d: x + y,
    "subtract": lambda x, y, d: x - y,
    "multiply": lambda x, y, d: x * y,
    "floor_divide": lambda x, y, d: x // y if y else 0,
    "remainder": lambda x, y, d: x % y if y else 0,
    "negative": lambda x, d: -x,
    "positive": lambda x, d: x,
    "abs": lambda x, d: abs(x),
    "sign": lambda x, d: (x > 0) - (x < 0),
    "square": lambda x, d: x * x,
    "maximum": lambda x, y, d: max(x, y),
    "minimum": lambda x, y, d: min(x, y),
    "pow": lambda x, n, d: pow(x, n, 1 << 64) if n >= 0 else {1: 1, -1: 1 - 2 * (n & 1)}.get(x, 0),
    "bitwise_and": lambda x, y, d: x & y,
    "bitwise_or": lambda x, y, d: x | y,
    "bitwise_xor": lambda x, y, d: x ^ y,
    "bitwise_invert": lambda x, d: 1 - x if d is nx.bool else ~x,
    "bitwise_left_shift": lambda x, n, d: bounded_shift(x, n, d, True),
    "bitwise_right_shift": lambda x, n, d: bounded_shift(x, n, d, False),
    "where": lambda c, x, y, d: x if c else y,
}


def call(op: Op, case: cases.Case):
    tensors = [nx.asarray(a) for a in case.args]
    return op.function(tensors, **case.attrs) if op.name == "concat" else op.function(*tensors, **case.attrs)


def assert_near(got: nx.Tensor, want, op: Op, scale=None):
    """Equal up to the row's tolerance, relative to the result or to `scale`; exact for integers and bool."""
    found = got.numpy()
    if not got.dtype.is_float:
        np.testing.assert_array_equal(found, want)
        return
    with np.errstate(all="ignore"):
        want = np.asarray(want, dtype=np.float64).astype(np.float32 if got.dtype.is_half else np.float64)
        rounded = want.astype(got.dtype.numpy).astype(np.float64)
        found = found.astype(np.float64)
        limit = cases.tolerance(op, got.dtype) * np.abs(want if scale is None else scale)
        near = np.abs(found - want) <= limit + (1e-38 if got.dtype is not nx.float16 else 6e-5)
    same = (found == rounded) | (np.isnan(found) & np.isnan(want)) | near
    assert same.all(), f"{op.name}: got {found[~same][:3]}, expected {want[~same][:3]}"


# Rows whose values want a comparison of their own: core/test_dtypes.py and test_random.py.
APART = {"astype", "nextafter", "threefry2x32"}
ELEMENTWISE = [p for p in SWEEP if p.values[0].kind.pointwise and p.values[0].name not in APART]


@pytest.mark.parametrize("op, dtype", ELEMENTWISE)
def test_elementwise_values(op, dtype):
    for case in cases.cases(op, dtype):
        got = call(op, case)
        if dtype.is_float and (op.name not in INTEGERS or op.name in FLOATS or hasattr(np, op.name)):
            function = FLOATS.get(op.name) or getattr(np, op.name)
            wide = [a if a.dtype == bool else a.astype(np.float64) for a in case.args]
            with np.errstate(all="ignore"):
                want = function(*wide)
        elif op.name in INTEGERS:
            exact = np.vectorize(lambda *xs: wrap(INTEGERS[op.name](*map(int, xs), dtype), dtype), otypes=[object])
            want = exact(*case.args).astype(dtype.numpy) if got.size else np.empty(got.shape)
        else:
            want = getattr(np, op.name)(*case.args)
        assert got.shape == np.shape(want)
        assert_near(got, want, op)


@pytest.mark.parametrize("op, dtype", [p for p in SWEEP if p.values[0].kind.reduces])
def test_reduction_values(op, dtype):
    for case in cases.cases(op, dtype):
        (x,) = case.args
        got = call(op, case)
        widened = op.combine in (ADD, MULTIPLY)
        wide = x.astype(np.float64) if dtype.is_float else x.astype(got.dtype.numpy) if widened else x
        with np.errstate(all="ignore"):
            want = getattr(np, op.name)(wide, **case.attrs)
            scale = np.abs(wide).sum(initial=1) if op.combine is ADD else np.abs(want) * x.size if widened else None
        if widened and not dtype.is_float:
            want = want.astype(got.dtype.numpy)  # NumPy sums in 64 bits
        assert got.shape == np.shape(want)
        assert_near(got, want, op, scale)


def by_index_map(op: Op, case: cases.Case, out: TensorType):
    """A movement computed from its index map alone: the definition that compiled kernels follow."""
    types = [TensorType(dtypes.dtype(a.dtype), a.shape) for a in case.args]
    settled = op.infer(types, {**cases.options(op), **case.attrs})
    maps = op.index_map(types, out, **settled.attrs)
    if maps == RESHAPE:
        return case.args[0].reshape(out.shape)
    made = np.empty(out.shape, dtype=case.args[0].dtype)
    for o in np.ndindex(*out.shape):
        for i, (array, indices) in enumerate(zip(case.args, maps, strict=True)):
            assert len(indices) == array.ndim
            place = []
            for index in indices:
                t = 0 if index.axis is None else o[index.axis] - index.lo
                inside = index.size is None or (0 <= t < index.size * index.div and t % index.div == 0)
                place.append(t // index.div * index.mul + index.start if inside else None)
            if None not in place or i == len(case.args) - 1:
                made[o] = array[tuple(place)]
                break
    return made


MOVED = {
    "reshape": lambda x, shape: np.reshape(x, shape),
    "permute_dims": lambda x, axes: np.transpose(x, axes),
    "broadcast_to": lambda x, shape: np.broadcast_to(x, shape),
    "expand_dims": lambda x, axis: np.expand_dims(x, axis),
    "squeeze": lambda x, axis: np.squeeze(x, axis),
    "slice": lambda x, starts, stops, steps: x[tuple(map(slice, starts, stops, steps))],
    "flip": lambda x, axis: np.flip(x, axis),
    "concat": lambda *xs, axis: np.concatenate(xs, axis),
    "rename": lambda x, names: x,
    "stop_grad": lambda x: x,
    "named": lambda x, label: x,
}


@pytest.mark.parametrize("op, dtype", [p for p in SWEEP if p.values[0].kind.moves])
def test_movement_values(op, dtype):
    for case in cases.cases(op, dtype):
        got = call(op, case)
        np.testing.assert_array_equal(got.numpy(), by_index_map(op, case, got.type))
        if op.name in MOVED:
            np.testing.assert_array_equal(got.numpy(), MOVED[op.name](*case.args, **case.attrs))


@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.name)
def test_gradient_matches_differences(op):
    """In float64, for each operand that may have a gradient; the rule of the row alone, through grad of the row."""
    given = [c for c in cases.cases(op, nx.float64, special=False) if all(a.size for a in c.args)]
    if op.name == "pow":
        given = [cases.Case(tuple(np.abs(a) + 0.1 for a in c.args), c.attrs) for c in given]
    if op.name == "astype":
        given = [c for c in given if c.attrs["dtype"] is nx.float64]
    if op.combine is MULTIPLY:
        given = [cases.Case((np.where(a > 3.5, 0.0, a),), k) for (a,), k in given if a.size < 100]
    for case in given:
        constant = [a.dtype != np.float64 for a in case.args]
        moving = [a for a, c in zip(case.args, constant) if not c]

        def function(*xs, case=case, constant=constant):
            rest = iter(xs)
            tensors = [nx.asarray(a) if c else next(rest) for a, c in zip(case.args, constant)]
            if op.name == "concat":
                return op.function(tensors, **case.attrs)
            return results_of(op.function(*tensors, **case.attrs))[0]

        testing.check_grads(function, *moving, order=1)


@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.name)
def test_row_is_complete(op):
    assert op.function.__doc__, "a sentence that says what it computes"
    assert hasattr(nx, op.name) or hasattr(nx, f"{op.name}_"), "a name in nx"
    assert (op.vjp is None) != (op.nondifferentiable is None), "a gradient, or why there is none"
    assert cases.accepted(op), "a dtype that it takes"
    assert (op.combine is not None) == (op.kind.reduces or op.extern == "cumulative")
    assert op.index_map is not None or not op.kind.moves
    assert (op.expand is not None) == (op.kind is WINDOW)


@pytest.mark.parametrize("op", [o for o in ROWS if o.kind.pointwise], ids=lambda op: op.name)
def test_arguments_are_named_in_errors(op):
    with pytest.raises(TypeError, match=op.name):
        op.function()


def test_scalars_and_elementwise_rows_are_the_same():
    text = "".join(p.read_text() for p in (Path(__file__).parents[2] / "csrc/kernels").glob("*.h"))
    scalars = set(re.findall(r"AXON_OP\((\w+), \d, \w+\)", text))
    rows = {o.name for o in ROWS if o.kind.pointwise} - {"astype"}  # its scalar is cast, from each dtype to each
    assert rows <= scalars, f"rows without a scalar: {rows - scalars}"


def test_normal_attributes_are_hashable_and_settle_to_themselves():
    for op in ROWS:
        dtype = cases.accepted(op)[0]
        for case in cases.cases(op, dtype):
            types = [TensorType(dtypes.dtype(a.dtype), a.shape) for a in case.args]
            settled = op.infer(types, {**cases.options(op), **case.attrs})
            hash(tuple(settled.attrs.items()))
            assert op.infer(types, dict(settled.attrs)) == settled


def test_pickling_gives_the_row_itself():
    assert pickle.loads(pickle.dumps(TABLE["tanh"])) is TABLE["tanh"]
