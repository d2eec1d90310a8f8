"""Dtypes: the promotion table against NumPy's where they agree, scalars that never widen, integers that are defined."""

import itertools
import operator
import pickle
import re
import subprocess
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from axon import dtypes, nx
from axon.defn import jit
from axon.dtypes import promote, result_type
from axon.errors import DTypeError
from axon.nx.core.op import TABLE
from hypothesis import given
from hypothesis import strategies as st

from tests import cases

SIGNED, UNSIGNED = [d for d in dtypes.ALL if d.kind == "i"], [d for d in dtypes.ALL if d.kind == "u"]


def test_promotion_inside_a_kind_is_numpys():
    for a, b in itertools.product([*SIGNED, *UNSIGNED, nx.bool, nx.float32, nx.float64], repeat=2):
        if {a, b} & {nx.uint64} and {a.kind, b.kind} == {"i", "u"}:
            with pytest.raises(DTypeError, match="astype"):
                promote(a, b)
        elif a.kind == b.kind or not (a.is_float or b.is_float):
            assert promote(a, b).numpy == np.promote_types(a.numpy, b.numpy)
        else:
            assert promote(a, b) is (a if a.is_float else b)
        if nx.uint64 not in (a, b):
            assert promote(a, b) is promote(b, a)
    assert promote(nx.float16, nx.bfloat16) is nx.float32


def test_the_order_of_operands_is_free():
    for items in ([nx.float32, nx.uint64, nx.int8], [nx.float16, nx.int64, nx.bfloat16], [nx.bool, nx.int8, 1]):
        assert len({nx.result_type(*order) for order in itertools.permutations(items)}) == 1
    assert nx.concat([nx.ones(1, "uint64"), nx.ones(1, "int8"), nx.ones(1)]).dtype is nx.float32


def test_scalars_never_change_an_array():
    assert result_type(nx.float16, float) is nx.float16
    assert result_type(nx.uint8, int) is nx.uint8
    assert result_type(nx.bool, int) is nx.int32
    assert result_type(nx.int8, float) is nx.float32
    assert (nx.tensor([1.0], "float16") * np.float64(2)).dtype is nx.float16
    assert (nx.tensor([1], "uint8") + True).dtype is nx.uint8


def test_arrays_of_other_dtypes_do():
    assert (nx.tensor([1.0]) * np.ones(1)).dtype is nx.float64
    assert (np.ones(1, np.float32) * nx.tensor([1], "int8")).dtype is nx.float32


@pytest.mark.parametrize("name", [d.name for d in dtypes.ALL])
def test_names_and_numpy(name):
    d = nx.dtype(name)
    assert str(d) == name and nx.dtype(d.numpy) is d and nx.dtype(d.numpy.type) is d and nx.dtype(d) is d
    assert pickle.loads(pickle.dumps(d)) is d
    assert d.itemsize == d.numpy.itemsize
    assert d.computed_in is (nx.float32 if name in ("float16", "bfloat16") else d)


@pytest.mark.parametrize("d", dtypes.ALL, ids=str)
def test_what_follows_from_a_row(d):
    if d.is_float:
        info = ml_dtypes.finfo(d.numpy)
        assert (d.mantissa, d.digits, d.bias, d.eps) == (info.nmant, info.nmant + 1, info.maxexp - 1, float(info.eps))
        assert (-d.highest, d.lowest) == (-np.inf, -np.inf)
        assert nx.finfo(d)[1:5] == tuple(float(v) for v in (info.eps, info.max, info.min, info.smallest_normal))
    else:
        low, high = (0, 1) if d is nx.bool else (np.iinfo(d.numpy).min, np.iinfo(d.numpy).max)
        assert (d.mantissa, d.digits, d.lowest, d.highest) == (0, int(high).bit_length(), low, high)
    exact = 2**d.digits - 1  # the largest integer up to which all are held
    assert int(np.array(exact).astype(d.numpy)) == exact


def test_the_rows_of_cpp_are_those_of_python():
    header = Path(__file__).parents[3] / "csrc" / "kernels" / "dtypes.h"
    text = f'#include "{header}"\n#define ROW(...) [__VA_ARGS__]\nAXON_DTYPES(ROW) | AXON_HALVES(ROW)'
    made = subprocess.run(["g++", "-E", "-P", "-x", "c++", "-"], input=text, capture_output=True, text=True, check=True)
    found, halves = (re.findall(r"\[(.+?), (.+?), (.+?), (.+?), (.+?)\]", part) for part in made.stdout.split("|"))
    kinds = {"Bool": "b", "Int": "i", "UInt": "u", "Float": "f", "Bfloat": "f"}
    assert [(name, short, kinds[kind], int(size)) for name, short, _, kind, size in found] == [
        (d.name, "b8" if d is nx.bool else d.short, d.kind, d.itemsize) for d in dtypes.ALL
    ]
    assert [d.code for d in dtypes.ALL] == [*range(len(found))]
    # Integers are called by their names, which lanes.h declares to be of these types.
    assert [d.name if d.is_integer else ctype for d, (_, _, ctype, *_) in zip(dtypes.ALL, found)] == [
        d.ctype for d in dtypes.ALL
    ]
    assert [name for name, *_ in halves] == [d.name for d in dtypes.ALL if d.is_half]


def test_unknown_dtypes_are_named():
    for bad in ("complex64", object, "float", np.dtype("datetime64[s]"), 3):
        with pytest.raises(DTypeError, match="expected one of"):
            nx.dtype(bad)


@pytest.mark.parametrize("d", [*SIGNED, *UNSIGNED], ids=str)
def test_defined_integer_arithmetic(d):
    low, high = int(d.lowest), int(d.highest)
    x = nx.tensor(np.array([low, high, 7], d.numpy))
    zero = nx.tensor(0, d)
    assert (x // zero).tolist() == [0, 0, 0] and (x % zero).tolist() == [0, 0, 0]
    assert (x + 1).tolist()[1] == low
    if d.kind == "i":
        assert (x // -1).tolist() == [low, -high, -7]
        assert nx.abs(x).tolist()[0] == low
        assert (x % -2).tolist() == [0, -1, -1]
    width = 8 * d.itemsize
    assert (x << width).tolist() == [0, 0, 0]
    assert (x >> width).tolist() == [-1 if low < 0 else 0, 0, 0]
    if width > 8:
        assert (x << (width - 1)).tolist()[2] == (low or 1 << width - 1)


@pytest.mark.parametrize("d", [*SIGNED, *UNSIGNED], ids=str)
@pytest.mark.parametrize("source", [nx.float16, nx.bfloat16, nx.float32, nx.float64], ids=str)
def test_floats_to_integers_are_limited(d, source):
    low, high = int(d.lowest), int(d.highest)
    x = nx.tensor([np.nan, np.inf, -np.inf, -0.9, 2.9, -2.9], source).astype(d)
    assert x.tolist() == [0, high, low, 0, 2, max(low, -2)]


@given(st.floats(width=32, allow_nan=False))
def test_float32_to_int32_rounds_towards_zero(value):
    want = int(np.clip(np.trunc(np.float64(value)), -(2**31), 2**31 - 1))
    assert nx.tensor(value).astype("int32").item() == want


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_wrap(value):
    assert nx.tensor(value, "int64").astype("int8").item() == (value + 128) % 256 - 128
    assert nx.tensor(value, "int64").astype("uint32").item() == value % 2**32


def cast(x, dtype):
    """Conversion as it is defined: what is not zero is true, integers wrap, floats are cut and limited."""
    if dtype is nx.bool:
        return x != 0
    if dtype.is_float:
        return x.astype(dtype.numpy)
    if x.dtype.kind in "biu":
        return x.astype(dtype.numpy)
    limited = [int(min(max(v, dtype.lowest), dtype.highest)) if v == v else 0 for v in x.astype(float).ravel().tolist()]
    return np.array(limited, dtype=dtype.numpy).reshape(x.shape)


@pytest.mark.parametrize("source", dtypes.ALL, ids=str)
def test_every_conversion(source):
    for case in cases.cases(TABLE["astype"], source):
        x = case.args[0]
        got = nx.asarray(x).astype(case.attrs["dtype"])
        with np.errstate(all="ignore"):
            want = cast(x, case.attrs["dtype"])
        assert got.numpy().dtype == want.dtype
        exact = np.float64 if case.attrs["dtype"].is_float else want.dtype
        np.testing.assert_array_equal(got.numpy().astype(exact), want.astype(exact))


@pytest.mark.parametrize("d", [nx.float32, nx.float64], ids=str)
def test_nextafter(d):
    for case in cases.cases(nx.nextafter.op, d):
        with np.errstate(all="ignore"):
            want = np.nextafter(*case.args)
        np.testing.assert_array_equal(nx.nextafter(*map(nx.asarray, case.args)).numpy(), want)


@pytest.mark.parametrize("d", [nx.float16, nx.bfloat16, nx.float32, nx.float64], ids=str)
def test_limits(d):
    import ml_dtypes

    ours, theirs = nx.finfo(d), ml_dtypes.finfo(d.numpy)
    for field in ("bits", "eps", "max", "min", "smallest_normal"):
        assert getattr(ours, field) == float(getattr(theirs, field))
    assert nx.iinfo("uint8") == (8, 255, 0, nx.uint8) and nx.finfo(nx.ones(1)).dtype is nx.float32
    with pytest.raises(DTypeError, match="iinfo"):
        nx.finfo("int8")


@pytest.mark.parametrize("compiler", ["evaluate", "native"])
def test_float64_to_half_floats(compiler):
    values = [1 + 2**-11 + 2**-30, 1 + 2**-8 + 2**-30]  # above the middle of two of them, but not once they are float32
    x = nx.tensor(values, "float64")
    for cast in (nx.astype, jit(nx.astype, static=("dtype",), compiler=compiler)):
        assert cast(x, dtype="float16").tolist()[0] == 1 + 2**-10
        assert cast(x, dtype="bfloat16").tolist()[1] == 1 + 2**-7
        for whole, dtype in ((2**30, "int32"), (2**31, "uint32"), (2**60, "int64"), (2**63, "uint64")):
            above = nx.tensor([whole + whole // 256 + 1], dtype)
            assert cast(above, dtype="bfloat16").tolist() == [whole + whole // 128]
    assert nx.tensor([3.0]).astype("bfloat16").astype("bool").tolist() == [True]


def test_float64_samples_have_all_their_bits():
    x = cases.sample(np.random.default_rng(0), nx.float64, (99,))
    assert (x.astype(np.float32) != x).sum() > 50


@pytest.mark.parametrize(
    "dtype, bound, expected",
    [("float16", nx.ones(1), "float16"), ("uint8", np.uint16(300), "uint8"), ("int32", 0.5, "float32")],
)
def test_clip_keeps_the_dtype_of_its_kind(dtype, bound, expected):
    assert nx.clip(nx.tensor([0, 200], dtype), 0, bound).type == nx.template(2, expected)
    assert nx.clip(nx.tensor([0, 200], "uint8"), max=np.uint16(300)).tolist() == [0, 200]
    for f in (lambda x: x.clip(-1, 1), jit(lambda x: x.clip(-1, 1))):
        assert f(nx.tensor([-2, 2])).tolist() == [-1, 1]
    for f in (lambda x: x.clip(-1, 300), lambda x: nx.clip(x, -(2**70)), lambda x: x.clip(max=256)):
        assert f(nx.tensor([0, 200], "uint8")).tolist() == jit(f)(nx.tensor([0, 200], "uint8")).tolist() == [0, 200]
    with pytest.raises(DTypeError, match=r"^clip: where: expected an integer that uint8"):
        nx.clip(nx.tensor([0, 200], "uint8"), 300)


COMPARISONS = [operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge]


@pytest.mark.parametrize("dtype", [*SIGNED, *UNSIGNED], ids=str)
def test_comparisons_with_a_python_int_are_by_value(dtype):
    values = [int(dtype.lowest), 0, 1, int(dtype.highest)]
    numbers = [-(2**70), -(2**63) - 1, -129, -1, 0, 255, 300, 2**40, 2**64, 10**400]
    x = nx.tensor(values, dtype)
    all_of = lambda x: [f(*pair) for f in COMPARISONS for n in numbers for pair in ((x, n), (n, x))]  # noqa: E731
    want = [
        [f(*pair) for v in values for pair in [(v, n)[::way]]] for f in COMPARISONS for n in numbers for way in (1, -1)
    ]
    for run in (all_of, jit(all_of), jit(all_of, compiler="evaluate")):
        assert [y.tolist() for y in run(x)] == want


def test_comparisons_with_a_number_given_to_a_definition_are_by_value():
    x = nx.tensor([-128, 5], "int8")
    for compiler in ("native", "evaluate"):
        f = jit(lambda x, n: (x < n, n == x, n >= x), compiler=compiler)
        assert [y.tolist() for y in f(x, 300)] == [[True, True], [False, False], [True, True]]
        assert [y.tolist() for y in f(x, 5)] == [[True, False], [False, True], [True, True]]


def test_comparisons_with_floats_are_in_the_common_dtype():
    assert (nx.tensor([2, 3]) < 2.5).tolist() == [True, False]
    assert (nx.tensor([2**24 + 1]) == 2.0**24).tolist() == [True]  # float32
    assert (nx.tensor([2**53 + 1], "int64") == nx.tensor([2.0**53], "float64")).tolist() == [True]
    assert (nx.tensor([1], "int8") < nx.tensor(300)).tolist() == nx.less(np.array([1], "int8"), 300).tolist() == [True]


def test_kinds():
    kinds = ["bool", "signed integer", "unsigned integer", "real floating", "complex floating"]
    for d, kind in [(nx.bool, 0), (nx.int8, 1), (nx.uint64, 2), (nx.bfloat16, 3)]:
        assert [nx.isdtype(d, k) for k in kinds] == [k == kinds[kind] for k in kinds]
        assert nx.isdtype(d, ("integral", d)) and nx.isdtype(d, "numeric") == (d is not nx.bool)


def test_real_tensors_have_complex_parts():
    x = nx.tensor([1.5, -np.inf])
    assert nx.real(x) is x and x.conj() is x and nx.imag(x).tolist() == [0, 0]


def test_scalars_that_do_not_fit_are_refused():
    with pytest.raises(DTypeError, match="wider dtype"):
        nx.tensor([1], "uint8") + 300
    with pytest.raises(DTypeError, match="wider dtype"):
        nx.tensor([1], "uint8") * -1
    with pytest.raises(DTypeError, match=r"int32|wider"):
        nx.tensor([2**40])


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: nx.bitwise_and(nx.ones(2), 1), "bitwise_and"),
        (lambda: nx.tensor(True) + nx.tensor(True), "logical functions"),
        (lambda: nx.max(nx.tensor([True])), "logical functions"),
        (lambda: nx.nextafter(nx.ones(1, "float16"), 2.0), "float32 or float64"),
        (lambda: nx.tensor(1, "uint64") + nx.tensor(1), "add: expected dtypes with a common one"),
        (lambda: nx.where(True, nx.tensor(1, "uint64"), nx.tensor(1)), "where: expected dtypes with a common one"),
        (lambda: nx.take(nx.ones(2), nx.tensor([2**63], "uint64")), "take: expected integer indices that int64 holds"),
        (lambda: nx.scatter_add(nx.ones(2), nx.tensor([2**64 - 1], "uint64"), nx.ones(1)), "that int64 holds"),
        (lambda: nx.take_along_axis(nx.ones(2), nx.tensor([2**64 - 1], "uint64")), "that int64 holds"),
        (lambda: nx.signbit(nx.tensor(1)), "floating"),
    ],
)
def test_dtype_errors(call, said):
    with pytest.raises(DTypeError, match=said):
        call()


@pytest.mark.parametrize("own", dtypes.ALL, ids=str)
def test_numpy_takes_our_dtypes(own):
    assert np.dtype(own) == own.numpy and np.zeros(2, own).astype(nx.ones(1).dtype).dtype == np.float32
