"""Activations against JAX: values and gradients; and against their formulas and limits at the ends of every dtype."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from axon import activations, dtypes, nx, testing
from axon.defn import debug, grad, jit, vjp
from axon.errors import ShapeError

from tests import cases

OWN = {
    "exp": jnp.exp,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "linear": lambda x: x,
    "log_sumexp": lambda x: jax.nn.logsumexp(x, axis=-1, keepdims=True),
    "softsign": jax.nn.soft_sign,
}  # where JAX's name or default is another
THEIRS = {name: OWN.get(name) or getattr(jax.nn, name) for name in activations.__all__}


@pytest.mark.parametrize("name", THEIRS)
def test_values(name: str) -> None:
    x = np.random.default_rng(0).normal(0, 3, (5, 7)).astype(np.float32)
    np.testing.assert_allclose(getattr(activations, name)(nx.tensor(x)), THEIRS[name](x), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", THEIRS)
def test_gradients(name: str) -> None:
    """One random direction a row, at points where no activation has a corner."""
    rng = np.random.default_rng(1)
    x = rng.normal(0, 2, (4, 6)).astype(np.float32)
    weights = rng.normal(0, 1, (4, 6) if name != "log_sumexp" else (4, 1)).astype(np.float32)
    ours = grad(lambda x: nx.sum(getattr(activations, name)(x) * weights))(nx.tensor(x))
    theirs = jax.grad(lambda x: jnp.sum(THEIRS[name](x) * weights))(x)
    np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", sorted(set(THEIRS) - {"exp"}))
def test_far_out_nothing_overflows(name: str) -> None:
    x = nx.tensor([[-1e4, -200.0, 0.0, 200.0, 1e4]])
    function = getattr(activations, name)
    assert np.isfinite(np.asarray(function(x))).all()
    assert np.isfinite(np.asarray(grad(lambda x: nx.sum(function(x)))(x))).all()


@pytest.mark.parametrize("name", sorted(set(THEIRS) - {"log_sumexp"}))
def test_nan_stays_nan(name: str) -> None:
    assert np.isnan(np.asarray(getattr(activations, name)(nx.tensor([float("nan"), 1.0])))[0])


def test_gelu_keeps_its_digits_far_below_zero() -> None:
    x = np.linspace(-9, -3, 61, dtype=np.float32)
    expected = [0.5 * float(v) * math.erfc(-float(v) * math.sqrt(0.5)) for v in x]
    np.testing.assert_allclose(activations.gelu(nx.tensor(x)), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["celu", "elu", "gelu", "log_sigmoid", "mish", "silu", "softplus", "softsign", "tanh"])
def test_slopes_at_zero_where_it_is_no_corner(name: str) -> None:
    theirs = jax.grad(THEIRS[name])(0.0)
    assert grad(getattr(activations, name))(nx.tensor(0.0)).item() == pytest.approx(theirs)


def test_relu_gradient_at_zero_is_zero() -> None:
    assert grad(lambda x: activations.relu(x))(nx.tensor(0.0)).item() == 0.0


def test_axis_and_parameters() -> None:
    x = np.random.default_rng(2).normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_allclose(activations.softmax(nx.tensor(x), axis=0), jax.nn.softmax(x, axis=0), rtol=1e-5)
    np.testing.assert_allclose(activations.celu(nx.tensor(x), alpha=2.0), jax.nn.celu(x, 2.0), rtol=1e-5, atol=1e-6)
    assert activations.leaky_relu(nx.tensor([-INF, 2.0]), alpha=0).tolist() == [0, 2]
    with pytest.raises(ValueError, match="celu: expected alpha other than 0"):
        activations.celu(nx.tensor(x), alpha=0)


INF = math.inf
S = scipy.special.expit
MODES = {
    "eager": lambda f: f,
    "native": jit,
    "evaluate": lambda f: jit(f, compiler="evaluate"),
}
FLOATS = ["float16", "bfloat16", "float32", "float64"]
SELU = 1.0507009873554805, 1.6732632423543772


def tanh_slope(x: np.ndarray) -> np.ndarray:
    return np.cosh(x) ** -2.0


# Value and slope as formulas of float64 numbers, then the limits of both at -inf and inf.
FORMULAS: dict[str, tuple[Any, Any, tuple[float, float], tuple[float, float]]] = {
    "celu": (lambda x: np.where(x > 0, x, np.expm1(x)), lambda x: np.exp(np.minimum(x, 0)), (-1, INF), (0, 1)),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(x)), lambda x: np.exp(np.minimum(x, 0)), (-1, INF), (0, 1)),
    "exp": (np.exp, np.exp, (0, INF), (0, INF)),
    "gelu": (
        lambda x: x * scipy.special.ndtr(x),
        lambda x: scipy.special.ndtr(x) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
        (0, INF),
        (0, 1),
    ),
    "hard_sigmoid": (lambda x: np.clip(x / 6 + 0.5, 0, 1), lambda x: (np.abs(x) <= 3) / 6, (0, 1), (0, 0)),
    "hard_silu": (
        lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
        lambda x: np.where(np.abs(x) <= 3, x / 3 + 0.5, x > 0),
        (0, INF),
        (0, 1),
    ),
    "hard_tanh": (lambda x: np.clip(x, -1, 1), lambda x: np.abs(x) <= 1, (-1, 1), (0, 0)),
    "leaky_relu": (lambda x: np.where(x > 0, x, x * 0.01), lambda x: np.where(x > 0, 1, 0.01), (-INF, INF), (0.01, 1)),
    "linear": (lambda x: x, np.ones_like, (-INF, INF), (1, 1)),
    "log_sigmoid": (lambda x: -np.logaddexp(-x, 0), lambda x: S(-x), (-INF, 0), (1, 0)),
    "mish": (
        lambda x: x * np.tanh(np.logaddexp(x, 0)),
        lambda x: np.tanh(np.logaddexp(x, 0)) + x * tanh_slope(np.logaddexp(x, 0)) * S(x),
        (0, INF),
        (0, 1),
    ),
    "relu": (lambda x: np.maximum(x, 0), lambda x: x > 0, (0, INF), (0, 1)),
    "relu6": (lambda x: np.clip(x, 0, 6), lambda x: (x >= 0) & (x <= 6), (0, 6), (0, 0)),
    "selu": (
        lambda x: SELU[0] * np.where(x > 0, x, SELU[1] * np.expm1(x)),
        lambda x: SELU[0] * np.where(x > 0, 1, SELU[1] * np.exp(np.minimum(x, 0))),
        (-SELU[0] * SELU[1], INF),
        (0, SELU[0]),
    ),
    "sigmoid": (S, lambda x: S(x) * S(-x), (0, 1), (0, 0)),
    "silu": (lambda x: x * S(x), lambda x: S(x) * (1 + x * S(-x)), (0, INF), (0, 1)),
    "softplus": (lambda x: np.logaddexp(x, 0), S, (0, INF), (0, 1)),
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda x: (1 + np.abs(x)) ** -2.0, (-1, 1), (0, 0)),
    "tanh": (np.tanh, tanh_slope, (-1, 1), (0, 0)),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_the_ends_of_every_dtype(dtype: str, mode: str) -> None:
    """The largest and smallest numbers, both zeros, NaN and infinities: the formula, rounded, or its limit."""

    def both(x: nx.Tensor) -> Any:
        found = {}
        for name in FORMULAS:
            y, pullback = vjp(getattr(activations, name), x)
            found[name] = y, pullback(nx.ones_like(x))[0]
        return found

    info = nx.finfo(dtype)
    subnormal = info.smallest_normal * cases.EPSILON[dtype]
    ends = [info.max, info.smallest_normal, subnormal, 0.0, 5.0, 2.5, 0.3]
    tolerance = cases.EPSILON[dtype] * (1 if info.bits == 16 else 32)  # gelu magnifies errors of x by x squared
    x = nx.tensor([-INF, INF, math.nan, *ends, *[-v for v in ends]], dtype)
    known = x.numpy().astype(np.float64)
    with np.errstate(all="ignore"):
        for name, found in MODES[mode](both)(x).items():
            for what, got, formula, limits in zip(("value", "slope"), found, FORMULAS[name][:2], FORMULAS[name][2:]):
                want = np.asarray(formula(known)).astype(np.float64)
                got = got.numpy().astype(np.float64)
                want[:3] = [*limits, math.nan if what == "value" else got[2]]
                want[np.abs(want) > info.max * (1 + info.eps / 4)] *= INF
                np.testing.assert_allclose(
                    got,
                    want,
                    rtol=tolerance,
                    atol=tolerance if what == "slope" else 2 * subnormal,
                    err_msg=f"{name} {what} of {x}",
                )


P = math.log(2)
ROWS = [  # a row, its softmax and the logarithm of that
    ([-INF, 0, 0], [0, 0.5, 0.5], [-INF, -P, -P]),
    ([-INF, -INF, 5], [0, 0, 1], [-INF, -INF, 0]),
    ([-INF, -INF, -INF], [0, 0, 0], [-INF, -INF, -INF]),  # all is masked
    ([INF, 0, -INF], [1, 0, 0], [0, -INF, -INF]),
    ([INF, 3e38, 3e38], [1, 0, 0], [0, -INF, -INF]),
    ([INF, INF, 0], [0.5, 0.5, 0], [-P, -P, -INF]),
    ([3e38, 3e38, -3e38], [0.5, 0.5, 0], [-P, -P, -INF]),
    ([math.nan, 0, -INF], [math.nan] * 3, [math.nan] * 3),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_masked_and_infinite_rows(dtype: str, mode: str) -> None:
    """Values, and slopes that follow from the limit of softmax; a row without anything has no slope."""
    x = nx.tensor([row for row, _, _ in ROWS], dtype)
    g = nx.tensor([[1.0, 2.0, 4.0]] * len(ROWS), dtype)
    family = ("softmax", "log_softmax", "log_sumexp")

    def both(x: nx.Tensor) -> Any:
        made = [vjp(getattr(activations, name), x) for name in family]
        return [(y, pullback(g[:, : y.shape[1]])[0]) for y, pullback in made]

    p, logs = (np.array([row[i] for row in ROWS]) for i in (1, 2))
    logs = np.where(p == 0, -INF, logs) if dtype != "float64" else logs
    weights = g.numpy().astype(np.float64)
    top = np.array([[np.max(row)] for row, _, _ in ROWS])
    wanted = {
        "softmax": (p, p * (weights - (p * weights).sum(-1, keepdims=True))),
        "log_softmax": (logs, weights - p * weights.sum(-1, keepdims=True)),
        "log_sumexp": (top + np.log(np.maximum(p, 1e-300).max(-1, keepdims=True) ** -1.0), p),
    }
    wanted["log_sumexp"][0][np.isinf(top)] = top[np.isinf(top)]
    for name, (value, slope) in zip(family, MODES[mode](both)(x)):
        for got, want in zip((value, slope), wanted[name]):
            lower = np.where(want < -1e38, -INF, want) if dtype != "float64" else want
            tolerance = 4 * cases.EPSILON[dtype]
            found = got.numpy().astype(np.float64)
            found = np.where(found < -1e38, -INF, found)
            np.testing.assert_allclose(found, lower, rtol=tolerance, atol=tolerance, err_msg=name)


def test_debug_finds_nothing_in_finite_values() -> None:
    x = nx.tensor([[-2.0, 0.5, 3.0]])
    with debug():
        for name in activations.__all__:
            jit(grad(lambda x, name=name: nx.sum(getattr(activations, name)(x))))(x)


def test_a_masked_row_does_not_poison_weights() -> None:
    """Attention in which one query sees no key at all."""
    mask = nx.tensor([[True, False], [False, False]])
    f = jit(grad(lambda w: nx.sum(activations.softmax(nx.where(mask, w * nx.ones((2, 2)), -INF)) @ nx.ones((2, 3)))))
    assert np.isfinite(f(nx.tensor(2.0)).item())


@pytest.mark.parametrize("dtype", [str(d) for d in dtypes.ALL if not d.is_float])
def test_integers_are_the_floats_they_stand_for(dtype: str) -> None:
    given = nx.tensor([0, 1, 1, 0], dtype)
    if dtype != "bool":
        info = nx.iinfo(dtype)
        given = nx.tensor([info.min, 0, 3, info.max], dtype)
    run = jit(lambda x: {name: getattr(activations, name)(x) for name in activations.__all__}, compiler="evaluate")
    found, wanted = run(given), run(given.astype("float32"))
    for name in activations.__all__:
        assert str(found[name].dtype) == "float32" and found[name].tolist() == wanted[name].tolist(), name
        assert getattr(activations, name)(given).tolist() == wanted[name].tolist(), name


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("mode", MODES)
def test_halves_are_rounded_once(dtype: str, mode: str) -> None:
    """Value and gradient are those of the same numbers in float32, rounded."""
    rng = np.random.default_rng(0)
    x = nx.tensor(rng.normal(0, 3, (3, 5)), dtype)
    g = nx.tensor(rng.normal(0, 3, (3, 5)), dtype)

    def both(x: nx.Tensor, g: nx.Tensor) -> Any:
        made = {name: vjp(getattr(activations, name), x) for name in activations.__all__}
        return {name: (y, pullback(g[:, : y.shape[1]])[0]) for name, (y, pullback) in made.items()}

    found = MODES[mode](both)(x, g)
    wanted = MODES[mode](both)(x.astype("float32"), g.astype("float32"))
    for name in activations.__all__:
        for got, want in zip(found[name], wanted[name]):
            assert str(got.dtype) == dtype and got.tolist() == want.astype(dtype).tolist(), name


def test_long_rows_of_halves() -> None:
    z = nx.zeros((70000,), "float16")
    assert nx.sum(activations.softmax(z).astype("float32")).item() == pytest.approx(1, rel=2e-3)
    assert activations.log_softmax(z)[0].item() == pytest.approx(-math.log(70000), rel=1e-3)
    assert activations.log_sumexp(z).item() == pytest.approx(math.log(70000), rel=1e-3)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_dtype_is_kept(dtype: str) -> None:
    x = nx.tensor([[-1.0, 0.5, 2.0]], dtype=dtype)
    for name in activations.__all__:
        assert str(getattr(activations, name)(x).dtype) == dtype, name


AXES = [-1, 0, (1,), [0, 2], (-1, 0, 1), None, (), "rows", ("rows", "columns")]
OVER_AXES = {
    "softmax": scipy.special.softmax,
    "log_softmax": scipy.special.log_softmax,
    "log_sumexp": lambda x, axis: scipy.special.logsumexp(x, axis=axis, keepdims=True),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", OVER_AXES)
def test_several_axes(name: str, dtype: str, mode: str) -> None:
    x = nx.tensor(np.random.default_rng(3).normal(0, 3, (2, 3, 4)), dtype).rename(["batch", "rows", "columns"])
    known = x.numpy().astype(np.float64)
    function = getattr(activations, name)
    made = MODES[mode](lambda x: [function(x, axis=axes) for axes in AXES])(x)
    for axis, found in zip(AXES, made):
        number = {"rows": 1, ("rows", "columns"): (1, 2)}.get(axis, axis) if not isinstance(axis, list) else tuple(axis)
        want = OVER_AXES[name](known, axis=number) if number != () else known * (name == "log_sumexp")
        want = np.ones_like(known) if number == () and name == "softmax" else want
        tolerance = 4 * cases.EPSILON[dtype]
        np.testing.assert_allclose(found.numpy().astype(np.float64), want, rtol=tolerance, atol=tolerance)
        assert found.names == x.names and str(found.dtype) == dtype, axis


@pytest.mark.parametrize("name", OVER_AXES)
def test_slopes_over_several_axes(name: str) -> None:
    x, weights = np.random.default_rng(4).normal(0, 2, (2, 2, 3, 4))
    for axis in (-1, [0, 2], None):
        testing.check_grads(lambda x, axis=axis: getattr(activations, name)(x, axis=axis) * weights, x)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_and_axes_that_are_not_there(mode: str) -> None:
    for shape, summed in (((3, 0), [[-INF]] * 3), ((0, 3), [])):
        for name in activations.__all__:
            found = MODES[mode](getattr(activations, name))(nx.zeros(shape))
            assert found.tolist() == summed if name == "log_sumexp" else found.shape == shape, name
    for name in OVER_AXES:
        for x, axis in ((nx.tensor(1.0), -1), (nx.zeros((2, 3)), (0, 2)), (nx.zeros((2, 3)), (1, -1))):
            with pytest.raises(ShapeError, match=r"expected (an axis|distinct axes)"):
                MODES[mode](lambda x, name=name, axis=axis: getattr(activations, name)(x, axis=axis))(x)


@pytest.mark.parametrize("mode", MODES)
def test_names_of_axes_are_kept(mode: str) -> None:
    x = nx.tensor(np.random.default_rng(6).normal(size=(2, 3)).astype(np.float32)).rename(["batch", None])

    def both(x: nx.Tensor) -> Any:
        made = {name: vjp(getattr(activations, name), x) for name in activations.__all__}
        return {name: (y, pullback(y)[0]) for name, (y, pullback) in made.items()}

    for name, found in MODES[mode](both)(x).items():
        assert [t.names for t in found] == [x.names] * 2, name
