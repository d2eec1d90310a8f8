"""Activations against JAX: values, gradients, and what happens far out."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from axon import activations, nx
from axon.defn import grad

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
    with pytest.raises(ValueError, match="celu: expected alpha other than 0"):
        activations.celu(nx.tensor(x), alpha=0)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_dtype_is_kept(dtype: str) -> None:
    x = nx.tensor([[-1.0, 0.5, 2.0]], dtype=dtype)
    for name in activations.__all__:
        assert str(getattr(activations, name)(x).dtype) == dtype, name
