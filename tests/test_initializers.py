"""Initializers: JAX's numbers where the distribution is the same, and the shape of each distribution."""

import math
from typing import Any

import jax
import numpy as np
import pytest
import scipy.stats
from axon import initializers, nx
from axon.defn import jit
from axon.dtypes import DType

KEY = nx.random.key(7)
SHAPE = (3, 3, 24, 40)  # fan in 216, fan out 360


def draw(init: initializers.Initializer, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.asarray(init(shape, nx.float32, KEY))


@pytest.mark.parametrize(
    "name", ["glorot_uniform", "he_uniform", "lecun_uniform", "glorot_normal", "he_normal", "lecun_normal"]
)
def test_named_ones_draw_what_jax_draws(name: str) -> None:
    theirs = getattr(jax.nn.initializers, name)()(jax.random.key(7), SHAPE)
    np.testing.assert_allclose(draw(getattr(initializers, name)()), theirs, rtol=1e-4, atol=1e-6)


cut = scipy.stats.truncnorm(-2, 2)
DISTRIBUTIONS = {  # distribution functions with mean 0 and variance 1
    "normal": scipy.stats.norm.cdf,
    "uniform": scipy.stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)).cdf,
    "truncated_normal": lambda x: cut.cdf(x * cut.std()),
}


def check_shape(x: np.ndarray, cdf: Any, mean: float, deviation: float) -> None:
    """Kolmogorov and Smirnov's test of numbers that were rounded to the nearest of their dtype."""
    values, counts = np.unique(x, return_counts=True)
    ends = (values[:-1].astype(float) + np.nextafter(values[:-1], np.array(np.inf, x.dtype)).astype(float)) / 2
    distance = np.abs(np.cumsum(counts[:-1]) / x.size - cdf((ends - mean) / deviation)).max()
    assert distance < 1.8 / math.sqrt(x.size)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_variance_scaling(mode: str, distribution: str, dtype: str) -> None:
    fan = {"fan_in": 216, "fan_out": 360, "fan_avg": 288}[mode]
    init = initializers.variance_scaling(3.0, mode, distribution)  # type: ignore[arg-type]
    x = np.asarray(jit(lambda key: init(SHAPE, nx.dtype(dtype), key))(KEY))
    check_shape(x, DISTRIBUTIONS[distribution], 0.0, math.sqrt(3 / fan))
    np.testing.assert_allclose(x.astype(float).var(), 3 / fan, rtol=4 * math.sqrt(2 / x.size))


def test_plain_ones() -> None:
    assert (draw(initializers.zeros(), (3,)) == 0).all() and (draw(initializers.ones(), (3,)) == 1).all()
    assert (draw(initializers.full(-2.5), ()) == -2.5).all()
    assert (draw(initializers.uniform(0.0), (3,)) == 0).all()
    assert (draw(initializers.normal(1.5, 0.0), (3,)) == 1.5).all()


@pytest.mark.parametrize("dtype", [nx.float16, nx.bfloat16, nx.float32, nx.float64])
def test_uniform_and_normal(dtype: DType) -> None:
    uniform, normal = initializers.uniform(0.25), initializers.normal(1.0, 0.5)
    x, y = (np.asarray(v) for v in jit(lambda key: [make((50_000,), dtype, key) for make in (uniform, normal)])(KEY))
    check_shape(x, DISTRIBUTIONS["uniform"], 0.0, 0.25 / math.sqrt(3))
    check_shape(y, DISTRIBUTIONS["normal"], 1.0, 0.5)
    assert (x >= -0.25).all() and (x < 0.25).all()


@pytest.mark.parametrize("dtype", [nx.float16, nx.bfloat16])
@pytest.mark.parametrize("name", ["glorot_normal", "he_normal", "lecun_normal", "normal"])
def test_halves_are_rounded_once(name: str, dtype: DType) -> None:
    init = initializers.find_initializer(name)
    assert (init(SHAPE, dtype, KEY).numpy() == init(SHAPE, nx.float32, KEY).astype(dtype).numpy()).all()


@pytest.mark.parametrize("shape", [5, np.int64(5), (np.int64(2), 3), [2, 0], ()])
@pytest.mark.parametrize("name", ["he_normal", "glorot_uniform", "normal", "uniform", "zeros"])
def test_shapes_and_names_of_dtypes(name: str, shape: Any) -> None:
    made = initializers.find_initializer(name)(shape, "bfloat16", KEY)  # type: ignore[arg-type]
    assert (made.shape, made.dtype) == (tuple(np.atleast_1d(np.array(shape, int)).tolist()), nx.bfloat16)


@pytest.mark.parametrize("scale", [-0.1, math.nan, math.inf])
def test_wrong_scales(scale: float) -> None:
    for make in (initializers.uniform, initializers.normal, initializers.variance_scaling, initializers.he_normal):
        with pytest.raises(ValueError, match=r"(uniform|normal|variance_scaling): expected a scale in \[0, inf\), got"):
            make(scale=scale)
    with pytest.raises(ValueError, match="normal: expected a finite mean"):
        initializers.normal(mean=math.inf)


def test_other_dtypes_and_ranks() -> None:
    assert initializers.glorot_uniform()((5,), nx.bfloat16, KEY).dtype is nx.bfloat16
    assert initializers.he_normal()((2, 0), nx.float64, KEY).shape == (2, 0)


def test_wrong_words() -> None:
    with pytest.raises(ValueError, match="expected mode fan_in, fan_out or fan_avg, got 'fan'"):
        initializers.variance_scaling(1.0, "fan")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected distribution"):
        initializers.variance_scaling(1.0, "fan_in", "cauchy")  # type: ignore[arg-type]


def test_by_name() -> None:
    for name in set(initializers.__all__) - {"full"}:
        assert draw(initializers.find_initializer(name), (2, 3)).shape == (2, 3), name
    mine = initializers.full(2.0)
    assert initializers.find_initializer(mine) is mine


@pytest.mark.parametrize("wrong", ["glorot", "math", "full", 0.5])
def test_what_is_no_initializer(wrong: Any) -> None:
    with pytest.raises(ValueError, match=rf"bias: expected one of glorot_normal, .* he_normal\(\), got {wrong!r}$"):
        initializers.find_initializer(wrong, "bias")


def test_names_of_other_libraries_and_constructors_not_called() -> None:
    for wrong, text in (
        ("kaiming_normal", r"got 'kaiming_normal'; did you mean he_normal\?"),
        ("GlorotUniform", r"got 'GlorotUniform'; did you mean glorot_uniform\?"),
        (initializers.he_normal, r"bias: expected a function that he_normal makes, got .* itself; write he_normal\("),
    ):
        with pytest.raises(ValueError, match=text):
            initializers.find_initializer(wrong, "bias")
