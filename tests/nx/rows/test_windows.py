"""Windows against a plain loop, and where the gradient of a maximum goes."""

import itertools

import numpy as np
import pytest
from axon import nx, testing
from axon.defn import grad, jit
from axon.errors import ShapeError

from tests import cases

COMBINE = {"window_sum": (np.sum, 0), "window_max": (np.max, None), "window_min": (np.min, None)}


def by_loop(x, combine, fill, *, window, strides, padding, dilation):
    padded = np.full([n + lo + hi for n, (lo, hi) in zip(x.shape, padding)], fill, dtype=x.dtype)
    padded[tuple(slice(lo, lo + n) for n, (lo, _) in zip(x.shape, padding))] = x
    counts = [(p - (w - 1) * d - 1) // s + 1 for p, w, s, d in zip(padded.shape, window, strides, dilation)]
    out = np.empty(counts, dtype=x.dtype)
    for o in np.ndindex(*counts):
        places = itertools.product(
            *(range(i * s, i * s + (w - 1) * d + 1, d) for i, s, w, d in zip(o, strides, window, dilation))
        )
        out[o] = combine(np.array([padded[p] for p in places]))
    return out


@pytest.mark.parametrize("row", [nx.window_sum, nx.window_max, nx.window_min], ids=lambda r: r.op.name)
@pytest.mark.parametrize("dtype", [nx.float64, nx.float32, nx.bfloat16, nx.int32, nx.uint8], ids=str)
def test_values(row, dtype):
    combine, fill = COMBINE[row.op.name]
    if fill is None:
        fill = dtype.lowest if row.op.name == "window_max" else dtype.highest
    for case in cases.cases(row.op, dtype):
        x = nx.asarray(case.args[0])
        settled = row.op.infer([x.type], {**cases.options(row.op), **case.attrs}).attrs
        wide = x.numpy().astype(np.float64 if dtype.is_float else dtype.numpy)
        want = by_loop(wide, combine, fill, **settled)
        got = row(x, **case.attrs).numpy().astype(wide.dtype)
        np.testing.assert_allclose(
            got, want, rtol=8 * cases.EPSILON.get(dtype.name, 0), atol=cases.EPSILON.get(dtype.name, 0) * 16
        )


def test_mean_counts_padding_or_not():
    x = nx.ones((1, 4, 4, 1))
    options = {"window": (1, 3, 3, 1), "padding": "same"}
    assert nx.window_mean(x, **options).numpy().min() == pytest.approx(4 / 9)
    assert (nx.window_mean(x, **options, count_include_pad=False).numpy() == 1).all()


def test_gradient_of_max_goes_to_the_first_of_equals():
    x = nx.tensor([[1.0, 1.0, 0.0], [1.0, 2.0, 2.0]])
    g = grad(lambda x: nx.sum(nx.window_max(x, window=2)))(x)
    np.testing.assert_array_equal(g.numpy(), [[0, 0, 0], [0, 2, 0]])
    flat = grad(lambda x: nx.sum(nx.window_max(x, window=2, strides=2)))(nx.ones((2, 2)))
    np.testing.assert_array_equal(flat.numpy(), [[1, 0], [0, 0]])
    nan = grad(lambda x: nx.sum(nx.window_max(x, window=3)))(nx.tensor([1.0, float("nan"), 5.0]))
    np.testing.assert_array_equal(nan.numpy(), [0, 1, 0])


@pytest.mark.parametrize("mode", ["eager", "native", "evaluate"])
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_gradients_of_extremes_whatever_the_windows(mode, dtype):
    """Ties, NaN and infinities in windows of several axes, which are taken one axis after the other; halves sum in
    float32."""
    rng = np.random.default_rng(0)
    for window, options in (
        ((3, 3), {"padding": "same"}),
        ((2, 5), {"strides": (3, 1), "padding": ((0, 1), (2, 1))}),
        ((3, 2), {"strides": 2, "dilation": (2, 3)}),
        ((7, 6), {}),
    ):
        x = rng.choice([0.0, 1.0, 2.0, -np.inf, np.nan, 3.0], (9, 8), p=[0.3, 0.3, 0.28, 0.05, 0.02, 0.05])
        shape = nx.window_max(nx.tensor(x), window=window, **options).shape
        g = rng.integers(1, 200, shape).astype(float)
        for row, sign in ((nx.window_max, 1), (nx.window_min, -1)):
            x_, g_ = nx.tensor(sign * x, dtype), nx.tensor(g, dtype)
            slope = grad(lambda x, g: nx.sum(row(x, window=window, **options) * g))  # noqa: B023
            found = (slope if mode == "eager" else jit(slope, compiler=mode))(x_, g_)
            want = nx.tensor(first_extremes(x, g, window, **options), dtype)
            np.testing.assert_array_equal(found.numpy().astype("f8"), want.numpy().astype("f8"), str((window, options)))


@pytest.mark.parametrize("mode", ["eager", "native", "evaluate"])
def test_padding_takes_no_gradient_from_the_least_element(mode):
    for options, want in (
        ({"window": 2, "padding": ((1, 0),)}, [2, 1, 0]),
        ({"window": 3, "padding": "same"}, [2, 1, 0]),
        ({"window": 2, "strides": 2, "padding": ((1, 1),), "dilation": 2}, [0, 2, 0]),
    ):
        for row, least in ((nx.window_max, float("-inf")), (nx.window_min, float("inf"))):
            slope = grad(lambda x: nx.sum(row(x, **options)))  # noqa: B023
            found = (slope if mode == "eager" else jit(slope, compiler=mode))(nx.full((3,), least))
            np.testing.assert_array_equal(found, want, str(options))


def first_extremes(x, g, window, strides=1, padding="valid", dilation=1):
    """The gradient of windows' largest elements by a loop over windows: g to the first NaN, or the first largest."""
    strides, dilation = (np.broadcast_to(v, 2) for v in (strides, dilation))
    low = [(w - 1) // 2 for w in window] if padding == "same" else [0, 0]
    low = low if isinstance(padding, str) else [lo for lo, _ in padding]
    total = np.zeros_like(x)
    for at in np.ndindex(*g.shape):
        corner = np.array(at) * strides - low
        places = [tuple(corner + np.array(i) * dilation) for i in np.ndindex(*window)]
        places = [p for p in places if all(0 <= a < n for a, n in zip(p, x.shape))]
        values = np.array([x[p] for p in places])
        total[places[np.isnan(values).argmax() if np.isnan(values).any() else values.argmax()]] += g[at]
    return total


def test_padding_never_wins():
    x = nx.full((3,), float("-inf"))
    assert np.isneginf(nx.window_max(x, window=3, padding="same").numpy()).all()
    assert nx.window_min(nx.tensor([250, 255], "uint8"), window=2, padding="same").tolist() == [250, 255]


def test_half_floats_are_summed_in_float32():
    assert nx.window_sum(nx.ones((4096,), "float16"), window=4096).item() == 4096.0


@pytest.mark.parametrize("row", [nx.window_sum, nx.window_max, nx.window_min], ids=lambda r: r.op.name)
@pytest.mark.parametrize("compiler", ["evaluate", "native"])
def test_nothing_has_no_windows(row, compiler):
    options = {"window": (1, 2), "strides": (2, 2)}
    x = nx.ones((0, 4))
    assert jit(lambda x: row(x, **options), compiler=compiler)(x).shape == (0, 2)
    assert jit(grad(lambda x: nx.sum(row(x, **options))), compiler=compiler)(x).shape == (0, 4)
    with pytest.raises(ShapeError, match="padded size"):
        row(x, window=(2, 1))


def test_errors():
    with pytest.raises(ShapeError, match="padded size"):
        nx.window_sum(nx.ones(3), window=4)
    with pytest.raises(ShapeError, match="above 0"):
        nx.window_max(nx.ones(3), window=0)


@pytest.mark.parametrize("pad", [True, False])
def test_means_of_halves_do_not_overflow(pad):
    x = nx.full((8,), 60000.0, "float16")
    assert nx.window_mean(x, window=4, count_include_pad=pad).tolist() == [60000.0] * 5
    assert nx.window_mean(nx.full((3000,), 1.0, "bfloat16"), window=3000, count_include_pad=pad).tolist() == [1.0]


@pytest.mark.parametrize(
    "size, options",
    [
        (2, {"window": 2, "padding": [(4, 0)]}),
        (2, {"window": 2, "padding": [(0, 2)]}),
        (2, {"window": 1, "padding": [(1, 0)], "strides": 4}),
        (1, {"window": 2, "padding": "same", "dilation": 2}),
        (2, {"window": 3, "padding": [(1, 4)], "dilation": 3}),
        (0, {"window": 1, "padding": [(1, 0)]}),
    ],
)
def test_a_window_of_padding_alone_has_no_extreme_and_no_mean(size, options):
    x = nx.ones(size)
    for name in ("window_max", "window_min", "window_mean"):
        counted = {"count_include_pad": False} if name == "window_mean" else {}
        with pytest.raises(ShapeError, match=f"{name}: expected an element in every window"):
            getattr(nx, name)(x, **options, **counted)
    assert nx.window_mean(x, **options).shape == nx.window_sum(x, **options).shape


def test_which_windows_hold_an_element():
    for size, window, stride, low, high, dilation in itertools.product(*[range(1, 4)] * 3, *[range(-1, 4)] * 2, [1, 2]):
        options = {"window": window, "strides": stride, "padding": [(low, high)], "dilation": dilation}
        try:
            held = nx.window_sum(nx.ones(size), **options).numpy().min(initial=1) > 0
        except ShapeError:  # no window fits
            continue
        try:
            nx.window_max.op.infer([nx.template(size)], options)
            assert held, options
        except ShapeError:
            assert not held, options


@pytest.mark.parametrize("norm", [1, 2, 2.5, 30, float("inf")])
@pytest.mark.parametrize(
    "options",
    [
        {"window": (3, 2)},
        {"window": (5, 1), "strides": (1, 2)},
        {"window": (5, 6)},
        {"window": 2, "padding": [(1, 1), 2], "dilation": (1, 3)},
        {"window": 1, "strides": 2},
    ],
)
def test_norms(norm, options):
    x = np.random.default_rng(0).normal(size=(5, 6))
    row = nx.window_sum.op.infer([nx.template(x.shape)], {**cases.options(nx.window_sum.op), **options}).attrs
    want = by_loop(x, lambda v: np.linalg.norm(v, norm), 0, **row)
    try:
        np.testing.assert_allclose(nx.window_norm(nx.asarray(x), norm=norm, **options), want, rtol=1e-12)
    except ShapeError as error:
        assert norm == float("inf") and "expected an element in every window" in str(error)
    else:
        testing.check_grads(lambda x: nx.window_norm(x, norm=norm, **options), x, order=1)


def test_norms_overflow_only_where_they_are_too_large():
    for dtype, high, low in (("float16", 4e4, 1e-4), ("bfloat16", 1e38, 1e-36), ("float64", 1e308, 1e-300)):
        for norm in (2, 50):
            x = nx.tensor([high, -high, low, low, 0, 0], "float64").astype(dtype)
            got = nx.window_norm(x, window=2, strides=2, norm=norm).numpy().astype(float)
            root = 2 ** (1 / norm)
            np.testing.assert_allclose(got, [high * root, low * root, 0], rtol=1e-2)
    with pytest.raises(ValueError, match=r"window_norm: expected a norm of at least 1, got -1\.0"):
        nx.window_norm(nx.ones(3), window=2, norm=-1)
