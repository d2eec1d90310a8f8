"""Initializers: JAX's numbers where the distribution is the same, moments and bounds elsewhere."""

from typing import Any

import jax
import numpy as np
import pytest
from axon import initializers, nx

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


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("distribution", ["normal", "uniform", "truncated_normal"])
def test_variance_scaling(mode: str, distribution: str) -> None:
    fan = {"fan_in": 216, "fan_out": 360, "fan_avg": 288}[mode]
    x = draw(initializers.variance_scaling(3.0, mode, distribution))  # type: ignore[arg-type]
    assert abs(x.mean()) < 5 * np.sqrt(3 / fan / x.size)
    np.testing.assert_allclose(x.var(), 3 / fan, rtol=0.03)
    if distribution == "truncated_normal":
        assert np.abs(x).max() <= 2 * np.sqrt(3 / fan) / 0.8796 * 1.0001


def test_plain_ones() -> None:
    assert (draw(initializers.zeros(), (3,)) == 0).all() and (draw(initializers.ones(), (3,)) == 1).all()
    assert (draw(initializers.full(-2.5), ()) == -2.5).all()
    x = draw(initializers.uniform(0.2), (4000,))
    assert np.abs(x).max() <= 0.2 and abs(x.mean()) < 0.01 and x.std() > 0.1
    x = draw(initializers.normal(1.0, 0.5), (4000,))
    assert abs(x.mean() - 1) < 0.05 and abs(x.std() - 0.5) < 0.03


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


@pytest.mark.parametrize(
    "wrong", ["glorot", "math", "full", 0.5, initializers.he_normal, initializers.variance_scaling]
)
def test_what_is_no_initializer(wrong: Any) -> None:
    got = getattr(wrong, "__name__", repr(wrong))
    with pytest.raises(ValueError, match=rf"bias: expected one of glorot_normal, .* such as he_normal\(\), got {got}"):
        initializers.find_initializer(wrong, "bias")
