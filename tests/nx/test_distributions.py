"""The shape of each distribution: the difference of the numbers' distribution function from the exact one, by
Kolmogorov and Smirnov's statistic; and single numbers beside the inverse of it."""

import math

import jax
import numpy as np
import pytest
import scipy.special
import scipy.stats
from axon import nx
from axon.defn import jit

random = nx.random
FLOATS = ["float16", "bfloat16", "float32", "float64"]
HALVES = FLOATS[:2]
COMPILERS = {"eager": lambda f: f, "native": jit}


def distance(x, cdf):
    """Kolmogorov and Smirnov's statistic of numbers that were rounded to the nearest of their dtype. What is over the
    second-largest is no part of it: there is the end of the interval, or all."""
    values, counts = np.unique(x, return_counts=True)
    ends = (values[:-1].astype(float) + np.nextafter(values[:-1], np.array(np.inf, x.dtype)).astype(float)) / 2
    return np.abs(np.cumsum(counts[:-1]) / x.size - cdf(ends)).max(initial=0)


def uniform(low, high):
    return lambda key, n, dtype: random.uniform(key, n, dtype, low, high), scipy.stats.uniform(low, high - low).cdf


def truncated(low, high):
    return (
        lambda key, n, dtype: random.truncated_normal(key, low, high, n, dtype),
        scipy.stats.truncnorm(low, high).cdf,
    )


SHAPED = {
    "uniform": uniform(0.0, 1.0),
    "uniform -3, 8": uniform(-3.0, 8.0),
    "uniform 10, 11": uniform(10.0, 11.0),
    "normal": (random.normal, scipy.special.ndtr),
    **{
        f"truncated {low:g}, {high:g}": truncated(low, high)
        for low, high in [
            (-2, 2), (-2, 1), (-1, 8), (-1e6, 0.5), (0, 2), (0, math.inf), (1, 2), (2, math.inf), (5, 6), (5.5, 6),
            (6, 7), (30, 31), (-2, -1.5), (-1e6, -5.5), (-math.inf, -3), (-math.inf, math.inf),
        ]
    },
}  # fmt: skip


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", SHAPED)
def test_shape(name, dtype):
    draw, cdf = SHAPED[name]
    for compiler, n in (("native", 100_000), ("eager", 4000)):
        x = COMPILERS[compiler](lambda key: draw(key, n, dtype))(random.key(2)).numpy()  # noqa: B023
        assert distance(x, cdf) < 1.8 / math.sqrt(n), compiler  # random numbers are over it once in 300 times
    assert dtype in HALVES or len(np.unique(x)) > 0.9 * n


def test_normal_is_within_4_ulp_of_the_inverse():
    key = random.key(1)
    u = random.uniform(key, 20000, minval=float(np.nextafter(np.float32(-1), np.float32(0))), maxval=1.0)
    exact = np.sqrt(2) * scipy.special.erfinv(u.numpy().astype(np.float64))
    normal = random.normal(key, 20000).numpy()
    assert (np.abs(normal - exact) <= 4 * np.spacing(np.abs(exact).astype(np.float32))).all()
    np.testing.assert_allclose(normal, jax.random.normal(jax.random.PRNGKey(1), (20000,)), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("low, high", [(-2.0, 1.0), (-0.5, 3.0), (1.0, 2.0), (-2.0, -1.0)])
def test_truncated_normal_is_near_jax(low, high):
    ours = random.truncated_normal(random.key(1), low, high, 20000).numpy()
    np.testing.assert_allclose(ours, jax.random.truncated_normal(jax.random.PRNGKey(1), low, high, (20000,)), atol=2e-6)


@pytest.mark.parametrize("dtype, ulps", [("float32", 4), ("float64", 10_000)])
@pytest.mark.parametrize(
    "low, high", [(1, 2), (1, math.inf), (1.5, 1.6), (3, 3.1), (6, 7), (8, 9), (20, 30), (1000, math.inf)]
)
def test_tails_are_near_the_inverse(low, high, dtype, ulps):
    """In logarithms of the survival function, as the inverse has no other definition out there."""
    u = random.uniform(random.key(1), 2000, dtype).numpy().astype(float) + nx.finfo(dtype).eps / 2
    for sign in (1, -1):
        bounds = (low, high) if sign > 0 else (-high, -low)
        x = sign * random.truncated_normal(random.key(1), *bounds, 2000, dtype).numpy()
        under, over, at = (scipy.special.log_ndtr(-np.float64(v)) for v in (low, high, x))
        density = np.exp(-(x.astype(float) ** 2) / 2 - at) / np.sqrt(2 * np.pi)
        error = (at - under - np.log1p(np.expm1(over - under) * (u if sign > 0 else 1 - u))) / density
        assert (np.abs(error) <= ulps * np.spacing(x)).all()


def test_an_interval_of_one_number():
    for number in (-3.0, 0.5, 7.0, 1e30):
        assert (random.truncated_normal(random.key(0), number, number, 9).numpy() == np.float32(number)).all()
