"""take and scatter rows, subscripts and functional updates against NumPy."""

import numpy as np
import pytest
from axon import nx, testing
from axon.defn import debug, grad, jit, scan
from axon.errors import DTypeError, ShapeError
from hypothesis import assume, given
from hypothesis import strategies as st

from tests import cases

DTYPES = [nx.float32, nx.bfloat16, nx.int8, nx.uint64, nx.bool]


def clamped(indices, n):
    return np.clip(np.where(indices < 0, indices.astype(int) + n, indices), 0, max(n - 1, 0)).astype(int)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_take(dtype):
    for case in cases.cases(nx.take.op, dtype):
        x, i = case.args
        axis = case.attrs["axis"]
        want = np.take(x, clamped(i, x.shape[axis]), axis=axis)
        np.testing.assert_array_equal(nx.take(nx.asarray(x), nx.asarray(i), axis=axis).numpy(), want)


@pytest.mark.parametrize("row", [nx.scatter_add, nx.scatter], ids=lambda r: r.op.name)
@pytest.mark.parametrize("dtype", [nx.float64, nx.float16, nx.int32], ids=str)
def test_scatter(row, dtype):
    for case in cases.cases(row.op, dtype):
        x, i, u = case.args
        axis = case.attrs["axis"] % x.ndim
        want = np.moveaxis(x.astype(np.float64), axis, 0).copy()
        n = want.shape[0]
        rows = np.moveaxis(u.reshape(*u.shape[:axis], i.size, *u.shape[axis + i.ndim :]), axis, 0)
        for k, r in zip(np.where(i < 0, i.astype(int) + n, i).ravel(), rows):
            if 0 <= k < n:
                want[k] = r.astype(float) + (want[k] if row is nx.scatter_add else 0)
        got = row(nx.asarray(x), nx.asarray(i), nx.asarray(u), axis=axis).numpy()
        tolerance = cases.EPSILON.get(dtype.name, 0)
        np.testing.assert_allclose(
            got.astype(float), np.moveaxis(want, 0, axis), rtol=4 * tolerance, atol=4 * tolerance
        )


def test_updates_of_one_element_are_added_in_order():
    big, small = 1e8, 1.0
    x = nx.scatter_add(nx.zeros(1), nx.tensor([0, 0, 0]), nx.tensor([big, small, -big]))
    assert x.item() == np.float32(np.float32(np.float32(big) + np.float32(small)) - np.float32(big))


def test_the_last_update_stays_and_has_the_gradient():
    f = lambda u: nx.sum(nx.scatter(nx.zeros(2), nx.tensor([0, 1, 0]), u) * nx.tensor([3.0, 5.0]))  # noqa: E731
    assert f(nx.tensor([1.0, 1.0, 2.0])).item() == 11.0
    assert grad(f)(nx.tensor([1.0, 1.0, 2.0])).tolist() == [0.0, 5.0, 3.0]


@pytest.mark.parametrize("row", [nx.scatter, nx.scatter_add])
def test_updates_of_an_empty_axis_have_no_gradient(row):
    f = grad(lambda x, u: nx.sum(row(x, nx.tensor([0, 2]), u, axis=0)), (0, 1))
    gx, gu = jit(f)(nx.zeros((0, 3)), nx.ones((2, 3)))
    assert gx.shape == (0, 3) and gu.tolist() == [[0.0] * 3] * 2


ONES = nx.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
OUTSIDE = {  # by what says it: a function of a matrix and indices, one too high and one too low, the axis, the value
    "take": (lambda x, i: nx.take(x, i, axis=0), 0, [[5, 6], [1, 2]]),
    "index: take": (lambda x, i: x[:, i], 1, [[2, 1], [4, 3], [6, 5]]),
    "scatter": (lambda x, i: nx.scatter(x, i, nx.zeros((2, 2)), axis=0), 0, ONES.tolist()),
    "scatter_add": (lambda x, i: nx.scatter_add(x, i, nx.ones((3, 2)), axis=1), 1, ONES.tolist()),
    "at: scatter": (lambda x, i: x.at[i].set(0.0), 0, ONES.tolist()),
    "at: scatter_add": (lambda x, i: x.at[:, i].add(1.0), 1, ONES.tolist()),
    "take_along_axis: within": (lambda x, i: nx.take_along_axis(x, i[None]), 1, [[2, 1], [4, 3], [6, 5]]),
    "put_along_axis: within": (lambda x, i: nx.put_along_axis(x, i[:, None], 0.0, axis=0), 0, ONES.tolist()),
    "gather: within": (lambda x, i: nx.gather(x, i[:, None]), 0, [[5, 6], [1, 2]]),
    "indexed_add: within": (lambda x, i: nx.indexed_add(x, i[None], nx.ones(1)), 0, ONES.tolist()),
    "indexed_put: within": (lambda x, i: nx.indexed_put(x, i[:, None], nx.zeros((2, 2))), 0, ONES.tolist()),
    "within": (lambda x, i: nx.within(i, size=3), 0, [9, -9]),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_outside(name):
    """Eager code and debug refuse it; compiled code reads the edge, and writes nothing."""
    function, axis, wanted = OUTSIDE[name]
    size, i = ONES.shape[axis], nx.tensor([9, -9])
    said = rf"expected indices in \[-{size}, {size}\) for axis {axis}, got 9"
    with pytest.raises(IndexError, match=f"^{name}: {said}"):
        function(ONES, i)
    row = name.rpartition(" ")[2]
    with pytest.raises(IndexError, match=rf"^{row} at .*test_indexing.py:\d+: {said}"), debug():
        jit(function)(ONES, i)
    for compiler in ("native", "evaluate"):
        assert jit(function, compiler=compiler)(ONES, i).tolist() == wanted


def test_outside_in_gradients_and_regions():
    x, i = nx.tensor([1.0, 2.0]), nx.tensor([0, 2])
    slope = grad(lambda x: nx.sum(x[i]))
    for f in (slope, lambda x: scan(lambda c, k: (c + x[k], None), 0.0, i)[0]):
        with pytest.raises(IndexError, match=r"\[-2, 2\) for axis 0, got 2"):
            f(x)
    with pytest.raises(IndexError, match=r"\[-2, 2\) for axis 0, got 2"), debug():  # no value of the take is needed
        jit(slope)(x)
    assert jit(slope)(x).tolist() == [1.0, 1.0]


def test_within_takes_integers():
    with pytest.raises(DTypeError, match=r"within: expected integers, got float32\[2\]"):
        nx.within(nx.ones(2), size=3)


def test_along_axis():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4, 5))
    for axis in (-1, 0, 1):
        i = rng.integers(0, x.shape[axis], (3, 4, 5) if axis else (2, 4, 5))
        np.testing.assert_array_equal(nx.take_along_axis(x, i, axis=axis).numpy(), np.take_along_axis(x, i, axis))
        order = np.argsort(x, axis=axis)
        want = np.zeros_like(x)
        np.put_along_axis(want, order, x, axis)
        np.testing.assert_array_equal(nx.put_along_axis(np.zeros_like(x), order, x, axis=axis).numpy(), want)
    labels = np.array([[1], [0], [3]])
    picked = nx.take_along_axis(nx.asarray(x[:, :, 0]), nx.asarray(labels))
    np.testing.assert_array_equal(picked.numpy(), np.take_along_axis(x[:, :, 0], labels, 1))
    testing.check_grads(lambda x: nx.take_along_axis(x, nx.asarray(labels)), x[:, :, 0])


def test_small_indices_address_long_axes():
    x, i = np.arange(600.0), np.array([3, 255], np.uint8)
    assert nx.take_along_axis(x, i).tolist() == [3.0, 255.0]
    testing.check_grads(lambda x: nx.take(x, nx.asarray(i)), x)
    assert nx.put_along_axis(x, i, 0.0).numpy().sum() == x.sum() - 258


def test_gather_and_indexed():
    x = np.arange(24.0).reshape(2, 3, 4)
    rows = np.array([[[0, 1], [1, 2]], [[1, 0], [0, 0]]])
    np.testing.assert_array_equal(nx.gather(x, rows).numpy(), x[rows[..., 0], rows[..., 1]])
    want = x.copy()
    np.add.at(want, (rows[..., 0], rows[..., 1]), np.ones((2, 2, 4)))
    np.testing.assert_array_equal(nx.indexed_add(x, rows, np.ones((2, 2, 4))).numpy(), want)
    put = nx.indexed_put(x, np.array([[1, 2, 3]]), np.array([7.0])).numpy()
    assert put[1, 2, 3] == 7 and (put != x).sum() == 1


@st.composite
def keys(draw):
    """A shape and a subscript for it: ints, slices, None, ..., at most one list of integers."""
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    items, listed = [], False
    for n in shape[: draw(st.integers(0, len(shape)))]:
        kind = draw(st.sampled_from("iiss" if listed else "iissl"))
        if kind == "i":
            items.append(draw(st.integers(-n, n - 1)))
        elif kind == "l":
            items.append(draw(st.lists(st.integers(-n, n - 1), max_size=4)))
            listed = True
        else:
            bound = st.none() | st.integers(-n - 1, n + 1)
            items.append(slice(draw(bound), draw(bound), draw(st.sampled_from([None, 1, 2, 3, -1, -2]))))
    if draw(st.booleans()):
        items.insert(draw(st.integers(0, len(items))), None)
    if draw(st.booleans()):  # one that stands for no axis may stand anywhere
        whole = sum(i is not None for i in items) == len(shape)
        items.insert(draw(st.integers(0, len(items))) if whole else len(items), Ellipsis)
    assume(not moved(items))
    return shape, tuple(items)


def moved(items):
    """Whether NumPy moves the list's axis to the front: ints stand apart from the list, and other axes before it."""
    chosen = [p for p, i in enumerate(items) if isinstance(i, (int, list))]
    at = next((p for p, i in enumerate(items) if isinstance(i, list)), 0)
    apart = bool(chosen) and chosen[-1] - chosen[0] >= len(chosen)
    return apart and any(i is None or isinstance(i, slice) for i in items[:at])


@pytest.mark.parametrize("key", [np.s_[0, None, [0, 1]], np.s_[:, 0, ..., [0, 1]], np.s_[0, :, [0, 1]]])
def test_axes_that_numpy_would_move(key):
    with pytest.raises(ShapeError, match="two steps"):
        nx.zeros((2, 3, 4))[key]


@given(keys())
def test_subscripts_are_numpys(drawn):
    shape, key = drawn
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    want = x[key]
    got = nx.asarray(x)[key]
    assert got.shape == want.shape
    np.testing.assert_array_equal(got.numpy(), want)


@given(keys(), st.booleans())
def test_updates_are_numpys(drawn, add):
    shape, key = drawn
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    value = np.arange(x[key].size, dtype=np.float32).reshape(x[key].shape) + 100
    want = x.copy()
    if add:
        np.add.at(want, key, value)
        got = nx.asarray(x).at[key].add(value)
    else:
        want[key] = value
        got = nx.asarray(x).at[key].set(value)
    np.testing.assert_array_equal(got.numpy(), want)
    np.testing.assert_array_equal(x, np.arange(x.size).reshape(shape))


@pytest.mark.parametrize(
    "dtype, value", [("float64", 0.1), ("int64", 2**40), ("bool", True), ("float16", 2), ("uint8", 255)]
)
def test_a_number_takes_the_dtype_it_meets(dtype, value):
    x, i = nx.zeros(2, dtype), nx.tensor([0])
    made = [x.at[0].set(value), x.at[i].set(value), x.at[::2].set(value), nx.put_along_axis(x, i, value)]
    if dtype != "bool":
        made += [x.at[0].add(value), nx.outer(nx.ones(1, dtype), value).reshape(1)]
        assert nx.all_close(nx.full(2, value, dtype), value, rtol=0, atol=1e-12)
    for y in made:
        assert y.dtype is x.dtype and y[0].item() == value


@pytest.mark.parametrize("dtype, value", [("uint8", 300), ("uint8", -1), ("int32", 1.7), ("bool", 2)])
def test_a_number_that_the_dtype_does_not_hold(dtype, value):
    with pytest.raises(DTypeError, match=r"at: expected .* holds"):
        nx.zeros(2, dtype).at[0].set(value)
    if isinstance(value, int) and dtype != "bool":
        with pytest.raises(DTypeError, match=r"put_along_axis: expected .* holds"):
            nx.put_along_axis(nx.zeros(2, dtype), nx.tensor([0]), value)


def test_updates_broadcast_and_cast():
    assert nx.zeros((2, 3)).at[:, 1].set(5).tolist() == [[0, 5, 0], [0, 5, 0]]
    assert nx.zeros(3, "int32").at[::2].add(nx.tensor([1, 2])).tolist() == [1, 0, 2]
    assert nx.zeros(3).at[nx.tensor([1, 1])].add(1.0).tolist() == [0, 2, 0]


def test_index_that_is_traced():
    x = nx.tensor([[1, 2], [3, 4]])
    assert jit(lambda x, i: x[i], compiler="evaluate")(x, nx.tensor(1)).tolist() == [3, 4]


@pytest.mark.parametrize(
    "key, error, said",
    [
        (3, IndexError, r"\[-2, 2\)"),
        ((0, 0, 0), ShapeError, "at most 2"),
        (1.5, DTypeError, "ints, slices"),
        (True, DTypeError, "where"),
        (np.array(True), ShapeError, r"expected a mask .* got bool\[\]"),
        (np.array([True, False, True]), ShapeError, r"expected a mask .* got bool\[3\] for float32\[2,2\], \(2,\)"),
        ((0, np.ones((2, 2), bool)), ShapeError, r"got bool\[2,2\] for float32\[2,2\], \(2,\)"),
        (([0], None, [0]), ShapeError, "neighbouring axes .* two steps"),
        (([0], [0], [0]), ShapeError, "at most 2"),
        (([0, 1], [0, 1, 0]), ShapeError, "expected shapes that broadcast"),
        (([0], [2]), IndexError, r"\[-2, 2\) for axis 1, got 2"),
        ((None, 0, [2]), IndexError, r"\[-2, 2\) for axis 1, got 2"),
        ("a", DTypeError, "expected"),
    ],
)
def test_errors(key, error, said):
    with pytest.raises(error, match=said):
        nx.zeros((2, 2))[key]


@pytest.mark.parametrize("indices", [nx.zeros((1, 1)), nx.zeros((1, 1), "uint64"), nx.zeros((1, 1), "bool")])
def test_indices_are_integers_that_int64_holds(indices):
    x = nx.zeros((2, 2))
    for read in (
        lambda: nx.take(x, indices, axis=0),
        lambda: nx.take_along_axis(x, indices),
        lambda: nx.put_along_axis(x, indices, 0),
        lambda: nx.gather(x, indices),
        lambda: nx.indexed_add(x, indices, nx.ones((1, 2))),
    ):
        with pytest.raises(DTypeError, match="integer indices that int64 holds"):
            read()


X = np.arange(60.0, dtype=np.float32).reshape(3, 4, 5)
MASK = np.array([True, False, True])
TOGETHER = {
    "mask": np.s_[MASK],
    "mask as a list": np.s_[[True, False, True]],
    "mask behind": np.s_[..., X[0, 0] % 2 == 0],
    "mask of two axes": np.s_[:, X[0] % 3 == 0],
    "mask of all": X > 17,
    "mask of nothing": np.s_[X < 0],
    "mask and slice": np.s_[MASK, ::-1, None],
    "mask and int": np.s_[MASK, 1],
    "two": np.s_[[0, 1], [1, -1]],
    "two behind": np.s_[..., [0, 1], [1, -1]],
    "broadcast": np.s_[np.array([[0], [2]]), [3, 1], 1:4],
    "three": np.s_[[0, -1], [1, -1], [4, 0]],
    "mask and tensor": np.s_[MASK, [1, 3]],
}


@pytest.mark.parametrize("name", TOGETHER)
def test_masks_and_tensors_together_are_numpys(name):
    key, x = TOGETHER[name], nx.asarray(X)
    np.testing.assert_array_equal(x[key].numpy(), X[key])
    want = X.copy()
    want[key] = value = np.arange(X[key].size, dtype=np.float32).reshape(X[key].shape)
    np.testing.assert_array_equal(x.at[key].set(value).numpy(), want)
    want = X.copy()
    np.add.at(want, key, 1.0)
    np.testing.assert_array_equal(x.at[key].add(1.0).numpy(), want)


def test_traced_tensors_together_and_masks():
    f = lambda x, i, j: (x[i, j], x.at[i, j].set(0.0))  # noqa: E731
    i, j = nx.tensor([0, 7]), nx.tensor([-1, 1])
    for compiler in ("native", "evaluate"):
        read, wrote = jit(f, compiler=compiler)(nx.asarray(X), i, j)
        np.testing.assert_array_equal(read.numpy(), X[[0, 2], [-1, 1]])
        assert (wrote.numpy() != X).sum() == 5
    with pytest.raises(IndexError, match=r"\[-3, 3\) for axis 0, got 7"):
        f(nx.asarray(X), i, j)
    with pytest.raises(IndexError, match=r"\[-5, 5\) for axis 2, got 9"):
        nx.asarray(X)[0, [0], [9]]
    testing.check_grads(lambda x: x[[0, 2, 0], [-1, 1, -1]], X)
    with pytest.raises(DTypeError, match=r"write nx.where\(mask, x, other\), or index outside"):
        jit(lambda x: x[x > 0])(nx.asarray(X))


def test_squeeze_and_axes_by_position():
    x = nx.ones((1, 3, 1))
    assert x.squeeze().shape == (3,) and x.squeeze(0).shape == (3, 1) and nx.ones(2).squeeze().shape == (2,)
    x = nx.asarray(X)
    for name in ("sum", "max", "argmin", "mean", "std", "logsumexp", "any", "flip", "unstack", "count_nonzero"):
        for got, want in zip(getattr(x, name)(1), getattr(nx, name)(x, axis=1), strict=True):
            np.testing.assert_array_equal(got.numpy(), want.numpy())
    assert nx.concat([x, x], 1).shape == (3, 8, 5) and nx.stack([x, x], 1).shape == (3, 2, 4, 5)
    assert nx.take(x, nx.tensor([0]), 2).shape == (3, 4, 1) and x.expand_dims(1).shape == (3, 1, 4, 5)


def test_take_errors():
    with pytest.raises(ShapeError, match="distinct axis names"):
        nx.take(nx.tensor(np.ones((2, 2)), names=["a", "b"]), nx.tensor([0], names=["b"]), axis=0)
    with pytest.raises(DTypeError, match="integer indices"):
        nx.take(nx.zeros(3), nx.zeros(3))
    with pytest.raises(ShapeError, match="expected an axis"):
        nx.take(nx.zeros((2, 2)), nx.tensor([0]))
    with pytest.raises(ShapeError, match="updates of shape"):
        nx.scatter_add(nx.zeros((2, 2)), nx.tensor([0]), nx.zeros((2, 2)), axis=0)
