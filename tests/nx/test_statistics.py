"""Statistics against NumPy in float64, and what they do where it is hard."""

import numpy as np
import pytest
import scipy.special
from axon import nx, testing
from axon.defn import grad, jit, vjp

from tests import cases

X = np.random.default_rng(0).standard_normal((3, 4, 5)) * 3 + 1
AXES = [None, 0, -1, (0, 2), ()]


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", [nx.float64, nx.float32, nx.bfloat16], ids=str)
def test_values(axis, keepdims, dtype):
    x = nx.asarray(X).astype(dtype)
    wide, options = x.numpy().astype(float), {"axis": axis, "keepdims": keepdims}
    tolerance = 8 * cases.EPSILON[dtype.name]
    for ours, theirs in [
        (nx.mean(x, **options), np.mean(wide, **options)),
        (nx.var(x, **options), np.var(wide, **options)),
        (nx.std(x, **options), np.std(wide, **options)),
        (nx.logsumexp(x, **options), scipy.special.logsumexp(wide, **options)),
    ]:
        assert ours.dtype is dtype and ours.shape == theirs.shape
        np.testing.assert_allclose(ours.numpy().astype(float), theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("f", [nx.mean, nx.var, nx.std, nx.logsumexp], ids=lambda f: f.__name__)
@pytest.mark.parametrize("axis", [None, 1, (0, 2)], ids=str)
def test_gradients(f, axis):
    testing.check_grads(lambda x: f(x, axis=axis), X)


@pytest.mark.parametrize("compiler", [None, "native", "evaluate"])
@pytest.mark.parametrize(("values", "sign"), [([-0.0, -0.0], -1), ([-0.0, 0.0], 1), ([], 1)], ids=str)
def test_a_sum_of_negative_zeros_is_one(values, sign, compiler):
    sums = lambda x: (nx.sum(x), nx.sum(x, axis=0, keepdims=True))  # noqa: E731
    for total in (jit(sums, compiler=compiler) if compiler else sums)(nx.tensor(values, "float32")):
        assert np.copysign(1, total.numpy()) == sign and not total.numpy()


@pytest.mark.parametrize("values", [[0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [2.0, 3.0, 5.0, 7.0, 11.0], [4.0]], ids=str)
def test_derivatives_of_a_product_are_products_of_the_others(values):
    others = lambda *gone: np.prod([v for k, v in enumerate(values) if k not in gone])  # noqa: E731
    n, x = len(values), nx.tensor(values)
    assert grad(nx.prod)(x).tolist() == [others(i) for i in range(n)]
    for i in range(n):
        second = grad(lambda x, i=i: grad(nx.prod)(x)[i])(x)
        assert second.tolist() == [others(i, j) if i != j else 0 for j in range(n)]


@pytest.mark.parametrize("axis", [0, (0, 2), None, ()], ids=str)
def test_gradients_of_products_along_axes(axis):
    testing.check_grads(lambda x: nx.prod(x, axis=axis), np.where(X > 3, 0, X)[:2, :2, :3])


@pytest.mark.parametrize(
    "row, x, y, expected",
    [
        (nx.logaddexp, np.inf, 5.0, (1, 0)),
        (nx.logaddexp, -np.inf, 5.0, (0, 1)),
        (nx.logaddexp, np.inf, np.inf, (1, 1)),  # as in JAX
        (nx.logaddexp, 0.0, 0.0, (0.5, 0.5)),
        (nx.hypot, 0.0, -0.0, (0, 0)),
        (nx.hypot, 3.0, -4.0, (0.6, -0.8)),
        (nx.hypot, 1e-30, 1e-30, (0.5**0.5, 0.5**0.5)),
        (nx.hypot, -np.inf, 1.0, (-1, 0)),
        (nx.hypot, 0.0, np.inf, (0, 1)),
        (nx.atan2, 3.0, 4.0, (0.16, -0.12)),
        (nx.atan2, -4.0, 3.0, (0.12, 0.16)),
        (nx.atan2, 1e25, 1e25, (5e-26, -5e-26)),
        (nx.atan2, 1e-25, 1e-25, (5e24, -5e24)),
        (nx.atan2, 3e38, -1.0, (0, -1 / 3e38)),
        (nx.atan2, np.inf, 1.0, (0, 0)),
        (nx.atan2, 1.0, -np.inf, (0, 0)),
    ],
)
def test_gradients_at_the_edges(row, x, y, expected):
    slopes = lambda x, y: vjp(row, x, y)[1](nx.ones_like(x))  # noqa: E731
    for run in (slopes, jit(slopes)):
        np.testing.assert_allclose([g.item() for g in run(nx.tensor(x), nx.tensor(y))], expected, rtol=1e-6, atol=1e-39)


def test_slopes_of_atan2_in_float64():
    for size in (1e200, 1e-200):
        x = nx.tensor([size], "float64")
        _, pullback = vjp(nx.atan2, x, x)
        np.testing.assert_allclose([g.item() * size for g in pullback(nx.ones_like(x))], [0.5, -0.5])


EVERYWHERE = [lambda f: f, jit, lambda f: jit(f, compiler="evaluate")]


@pytest.mark.parametrize("run", EVERYWHERE, ids=["eager", "native", "evaluate"])
def test_variances_far_from_zero(run):
    x = (np.random.default_rng(0).standard_normal(10000) + 1e6).astype("f4")
    average, variance = run(nx.moments)(nx.asarray(x))
    wide = x.astype(float)
    np.testing.assert_allclose([average.item(), variance.item()], [wide.mean(), wide.var()], rtol=1e-6)
    for value, shape in ((1000.1, (10000,)), (100000.1, (4096, 1)), (1e8, (100, 7)), (-1e18, (3, 3))):
        x = nx.full(shape, value)
        average, variance, deviation = run(lambda x: (*nx.moments(x, axis=0), nx.std(x, axis=0)))(x)
        assert (average.numpy() == np.float32(value)).all()
        assert not variance.numpy().any() and not deviation.numpy().any()


@pytest.mark.parametrize("run", EVERYWHERE, ids=["eager", "native", "evaluate"])
@pytest.mark.parametrize("far", [1.0, 1e3, -1e7, 1e15])
@pytest.mark.parametrize("rows", [1, 63, 64, 200, 1000])
def test_moments_of_columns_whose_every_sixteenth_element_is_far_from_the_others(run, far, rows):
    """The mean of these takes the place of that of all."""
    x = np.random.default_rng(0).standard_normal((rows, 3, 5)).astype("f4")
    x[::16] += np.float32(far)
    wide = x.astype(float)
    for axes in ((0,), (0, 1)):
        average, variance = run(lambda x, axes=axes: nx.moments(x, axis=axes))(nx.asarray(x))
        deviation = np.maximum(wide.std(axes), np.spacing(np.abs(x).max()))
        np.testing.assert_array_less(np.abs(average.numpy() - wide.mean(axes)), 1e-3 * deviation + 1e-6 * abs(far))
        np.testing.assert_array_less(np.abs(variance.numpy() - wide.var(axes)), 1e-3 * deviation**2)


def test_moments_of_halves_and_integers():
    average, variance = nx.moments(nx.tensor([300.0, -300.0, 900.0, 0.0], "float16"))
    assert average.item() == 225 and variance.item() == np.inf and variance.dtype is nx.float16
    assert nx.std(nx.tensor([300.0, -300.0, 900.0, 0.0], "float16")).item() == pytest.approx(443.7, abs=0.3)
    assert [m.tolist() for m in nx.moments(nx.tensor([[0, 255]], "uint8"), axis=1, keepdims=True)] == [
        [[127.5]],
        [[16256.25]],
    ]


def test_deviations_of_equal_elements_have_slope_zero():
    slopes = grad(lambda x: nx.sum(nx.std(x, axis=-1)))
    for run in EVERYWHERE:
        assert run(slopes)(nx.tensor([[3.0], [2.0]])).tolist() == [[0], [0]]
        found = run(slopes)(nx.tensor([[2.0, 2.0, 2.0], [1000.1, 1000.1, 1000.1], [1.0, 2.0, 3.0]])).numpy()
        np.testing.assert_allclose(found, [[0] * 3, [0] * 3, [-(1.5**-0.5) / 2, 0, 1.5**-0.5 / 2]], atol=1e-6)
    second = grad(lambda x: grad(nx.var)(x)[0])
    for x in ([2.0, 2.0, 2.0], [1.0, 2.0, 5.0]):  # the variance's own derivatives, of equal elements too
        np.testing.assert_allclose(second(nx.tensor(x)), [4 / 9, -2 / 9, -2 / 9], rtol=1e-6)


@pytest.mark.parametrize(
    "run", [lambda f: f, jit, lambda f: jit(f, compiler="evaluate")], ids=["eager", "native", "evaluate"]
)
@pytest.mark.parametrize("axis", [-1, 0, (0, 1)], ids=str)
def test_slopes_of_logsumexp_at_infinities(axis, run):
    """Those of its limit, softmax; where everything is masked, 0."""
    inf = np.inf
    for row, slope in [
        ([-inf, -inf], [0, 0]), ([-inf, 1], [0, 1]), ([inf, 0], [1, 0]), ([inf, 3e38], [1, 0]), ([inf, -inf], [1, 0]),
        ([inf, inf], [0.5, 0.5]), ([2, 2], [0.5, 0.5]),
    ]:  # fmt: skip
        x = nx.tensor([row] if axis != 0 else [[v] for v in row], "float32")
        found = run(grad(lambda x: nx.sum(nx.logsumexp(x, axis=axis))))(x)
        np.testing.assert_allclose(found.numpy().ravel(), slope, rtol=1e-6, err_msg=str(row))


def test_integers_correction_and_nothing():
    assert nx.mean(nx.tensor([1, 2, 4], "uint8")).item() == pytest.approx(7 / 3)
    assert nx.var(nx.asarray(X), correction=1).item() == pytest.approx(np.var(X, ddof=1))
    assert np.isnan(nx.mean(nx.zeros(0)).item())
    assert nx.logsumexp(nx.zeros((0, 2), "float64"), axis=0).tolist() == [-np.inf, -np.inf]


def test_counts_and_closeness():
    assert nx.count_nonzero(nx.asarray(X) > 1, axis=0).tolist() == np.count_nonzero(X > 1, axis=0).tolist()
    a, b = np.array([1.0, np.inf, np.nan]), np.array([1.0 + 1e-7, np.inf, np.nan])
    for x, y in [(a, b), (a[:2], b[:2]), (a[:1], a[:1] + 1), (a[1:2], -a[1:2])]:
        for equal_nan in (False, True):
            assert bool(nx.all_close(x, y, equal_nan=equal_nan)) == np.allclose(x, y, equal_nan=equal_nan)


def test_closeness_of_integers_does_not_wrap():
    for dtype, a, b in [("uint8", 0, 255), ("int8", -128, 127), ("int32", -(2**31), 2**31 - 1)]:
        assert not nx.all_close(nx.tensor([a], dtype), nx.tensor([b], dtype), rtol=0, atol=1)
    assert not nx.all_close(nx.tensor([2**24]), nx.tensor([2**24 + 1]), rtol=0, atol=0)
    assert nx.all_close(nx.tensor([True]), nx.tensor([True]))


def test_large_values():
    assert nx.mean(nx.full((4096,), 60000.0, "float16")).item() == 60000.0
    assert nx.var(nx.tensor([1e4, 1e4 + 1, 1e4 + 2])).item() == pytest.approx(2 / 3)
    assert nx.logsumexp(nx.tensor([-np.inf, -np.inf])).item() == -np.inf
    assert nx.logsumexp(nx.tensor([np.inf, 0.0])).item() == np.inf
    assert np.isnan(nx.logsumexp(nx.tensor([np.nan, 0.0])).item())


def test_ties_share_the_gradient_of_an_extreme():
    x = nx.tensor([1.0, 3.0, 3.0])
    assert grad(nx.max)(x).tolist() == [0, 0.5, 0.5]
    assert grad(lambda x: nx.sum(nx.maximum(x, 3.0)))(x).tolist() == [0, 0.5, 0.5]
    assert grad(lambda x: nx.sum(nx.clip(x, 1.0, 3.0)))(x).tolist() == [1, 1, 1]
    assert grad(lambda x: nx.sum(nx.abs(x)))(nx.tensor([0.0, -2.0])).tolist() == [0, -1]
