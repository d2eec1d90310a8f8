"""Layers as plain functions, against JAX and by their definitions."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from axon import layers, model, nx
from axon.defn import grad, jit
from axon.errors import ShapeError
from axon.layers import Stateful

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def test_dense() -> None:
    x, kernel, bias = normal(2, 3, 4), normal(4, 5), normal(5)
    np.testing.assert_allclose(layers.dense(*map(nx.tensor, (x, kernel, bias))), x @ kernel + bias, rtol=1e-5)
    np.testing.assert_allclose(layers.dense(nx.tensor(x), nx.tensor(kernel)), x @ kernel, rtol=1e-5)


@pytest.mark.parametrize(
    ("strides", "padding", "input_dilation", "kernel_dilation", "groups"),
    [
        (1, "valid", 1, 1, 1),
        (2, "same", 1, 1, 1),
        ((2, 1), [(1, 2), (0, 1)], 1, 2, 2),
        (1, "same", 1, 1, 4),
        (1, [(0, 0), (1, 0)], 2, 1, 1),
    ],
)
def test_conv(strides, padding, input_dilation, kernel_dilation, groups) -> None:  # type: ignore[no-untyped-def]
    x, kernel, bias = normal(2, 9, 8, 4), normal(3, 2, 4 // groups, 8), normal(8)
    pairs = lambda v: (v, v) if isinstance(v, int) else v  # noqa: E731
    theirs = jax.lax.conv_general_dilated(
        x,
        kernel,
        pairs(strides),
        padding.upper() if isinstance(padding, str) else padding,
        pairs(input_dilation),
        pairs(kernel_dilation),
        ("NHWC", "HWIO", "NHWC"),
        groups,
    )
    ours = layers.conv(
        nx.tensor(x),
        nx.tensor(kernel),
        nx.tensor(bias),
        strides=strides,
        padding=padding,
        input_dilation=input_dilation,
        kernel_dilation=kernel_dilation,
        groups=groups,
    )
    np.testing.assert_allclose(ours, theirs + bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same", [(1, 1), (0, 1)]])
@pytest.mark.parametrize(("size", "strides"), [(2, None), ((3, 2), 1), (3, 2)])
def test_pools(padding, size, strides) -> None:  # type: ignore[no-untyped-def]
    x = normal(2, 7, 6, 3)
    window = (1, *((size, size) if isinstance(size, int) else size), 1)
    steps = window if strides is None else (1, strides, strides, 1)
    pad = padding.upper() if isinstance(padding, str) else [(0, 0), *padding, (0, 0)]
    options = {"kernel_size": size, "strides": strides, "padding": padding}
    theirs = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, steps, pad)
    np.testing.assert_array_equal(layers.max_pool(nx.tensor(x), **options), theirs)
    theirs = jax.lax.reduce_window(x, 0.0, jax.lax.add, window, steps, pad) / np.prod(window)
    np.testing.assert_allclose(layers.avg_pool(nx.tensor(x), **options), theirs, rtol=1e-5, atol=1e-6)


def test_global_pools() -> None:
    x = normal(2, 4, 5, 3)
    np.testing.assert_allclose(layers.global_avg_pool(nx.tensor(x)), x.mean((1, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(layers.global_max_pool(nx.tensor(x)), x.max((1, 2)))


def test_windows_need_images() -> None:
    sized = {"kernel_size": 2}
    for pool, options in (
        (layers.max_pool, sized),
        (layers.avg_pool, sized),
        (layers.global_avg_pool, {}),
        (layers.global_max_pool, {}),
    ):
        with pytest.raises(ShapeError, match=r"expected images \[batch, spatial..., channels\], got float32\[2, 3\]"):
            pool(nx.zeros((2, 3)), **options)
    with pytest.raises(ShapeError, match="kernel_size as a number or 2 of them"):
        layers.max_pool(nx.zeros((2, 3, 3, 1)), kernel_size=(2, 2, 2))


@pytest.mark.parametrize("padding", [1, (1, 1), ((1, 1), (1, 1)), [1, (1, 1)]])
@pytest.mark.parametrize("size", [3, np.int64(3), (3, np.int32(3))])
def test_spellings_of_padding_and_size_are_one_for_pools_and_convolutions(padding: Any, size: Any) -> None:
    x = nx.tensor(normal(2, 5, 6, 3))
    for pool in (layers.max_pool, layers.avg_pool):
        made = pool(x, kernel_size=size, strides=1, padding=padding)
        np.testing.assert_array_equal(made, pool(x, kernel_size=3, strides=1, padding="same"))
    kernel = nx.ones((3, 3, 3, 1))
    np.testing.assert_array_equal(layers.conv(x, kernel, padding=padding), layers.conv(x, kernel, padding="same"))
    specs = layers.TABLE["conv"].specs([x.type], {"units": 1, "kernel_size": size, "groups": 1})
    assert specs["kernel"].shape == kernel.shape


@pytest.mark.parametrize("groups", [0, -1, 2])
def test_groups_divide_the_channels(groups: int) -> None:
    with pytest.raises(ShapeError, match=rf"expected groups that divide the 3 input channels, got groups={groups}"):
        layers.TABLE["conv"].specs([nx.template((1, 4, 4, 3))], {"units": 4, "kernel_size": 1, "groups": groups})


@pytest.mark.parametrize("axis", [2, 3, -3])
def test_batch_norm_needs_an_axis_of_its_input(axis: int) -> None:
    x, c = nx.ones((2, 4)), nx.ones(4)
    with pytest.raises(ShapeError, match=rf"batch_norm: expected an axis of float32\[2, 4\], got {axis}"):
        layers.batch_norm(x, c, c, c, c, axis=axis)
    with pytest.raises(ShapeError, match=rf"batch_norm_0 .* expected an axis of float32\[2, 4\], got {axis}"):
        model.build(model.input("x", shape=(None, 4)).batch_norm(axis=axis))


@pytest.mark.parametrize("axis", [-1, 1])
def test_batch_norm(axis: int) -> None:
    x = 3 * normal(6, 4, 5) + 2
    c = x.shape[axis]
    gamma, beta, mean, var = normal(c), normal(c), normal(c), np.abs(normal(c))
    others = tuple(i for i in range(3) if i != axis % 3)
    spread = lambda v: np.expand_dims(v, others)  # noqa: E731
    tensors = [nx.tensor(v) for v in (x, gamma, beta, mean, var)]

    expected = (x - spread(mean)) / np.sqrt(spread(var) + 1e-3) * spread(gamma) + spread(beta)
    np.testing.assert_allclose(layers.batch_norm(*tensors, axis=axis, epsilon=1e-3), expected, rtol=1e-4, atol=1e-5)

    trained = layers.batch_norm(*tensors, axis=axis, epsilon=1e-3, momentum=0.75, mode="train")
    assert isinstance(trained, Stateful)
    m, v = x.mean(others), x.var(others)
    expected = (x - spread(m)) / np.sqrt(spread(v) + 1e-3) * spread(gamma) + spread(beta)
    np.testing.assert_allclose(trained.output, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(trained.state["mean"], 0.75 * mean + 0.25 * m, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trained.state["var"], 0.75 * var + 0.25 * v, rtol=1e-5)


@pytest.mark.parametrize("compiler", [None, "native", "evaluate"])
def test_batch_norm_takes_moments_in_float32(compiler: str | None) -> None:
    one, zero = nx.ones(1), nx.zeros(1)

    def normed(x: nx.Tensor) -> tuple[nx.Tensor, dict[str, nx.Tensor]]:
        dtype = x.dtype
        given = [t.astype(dtype) for t in (one, zero)]
        found = layers.batch_norm(x, *given, zero, one, momentum=0.0, mode="train")
        assert isinstance(found, Stateful)
        return found.output, found.state

    run = normed if compiler is None else jit(normed, compiler=compiler)
    for values, dtype, output, mean, var in (
        ([300, -300, 900, 0], "float16", [0.169, -1.183, 1.521, -0.507], 225, 196875),
        ([10, 10.0625] * 500, "bfloat16", [-0.995, 0.995] * 500, 10.03125, 0.03125**2),
        ([10, 10.0078125] * 500, "float16", [-0.777, 0.777] * 500, 10.00390625, 0.00390625**2),
        ([1000.1] * 10000, "float32", [0] * 10000, np.float32(1000.1), 0),
        ([100000.1] * 4096, "float32", [0] * 4096, np.float32(100000.1), 0),
    ):
        y, state = run(nx.tensor(np.array(values)[:, None]).astype(dtype))
        assert str(y.dtype) == dtype and {t.dtype for t in state.values()} == {nx.float32}
        np.testing.assert_allclose(y.numpy().astype(float)[:, 0], output, atol=0.01)
        np.testing.assert_allclose([state["mean"].item(), state["var"].item()], [mean, var], rtol=1e-6)
    half = layers.batch_norm(nx.ones((2, 1), "bfloat16"), *[t.astype("bfloat16") for t in (one, zero)], zero, one)
    assert isinstance(half, nx.Tensor) and half.dtype is nx.bfloat16  # in inference too


def test_batch_norm_gradient_goes_through_the_batch_statistics() -> None:
    """Against JAX, and: a change of all of x by one number changes nothing, so each channel's gradients sum to zero."""
    x, weights = normal(8, 3), normal(8, 3)
    one, zero = nx.ones(3), nx.zeros(3)

    def ours(x: nx.Tensor) -> nx.Tensor:
        found = layers.batch_norm(x, one, zero, zero, one, mode="train")
        assert isinstance(found, Stateful)
        return nx.sum(found.output * weights)

    def theirs(x: jax.Array) -> jax.Array:
        return jnp.sum((x - x.mean(0)) / jnp.sqrt(x.var(0) + 1e-5) * weights)

    found = np.asarray(grad(ours)(nx.tensor(x)))
    np.testing.assert_allclose(found, jax.grad(theirs)(x), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.sum(0), 0, atol=1e-4)


def test_dropout() -> None:
    x, key = nx.ones((200, 50)), nx.random.key(3)
    assert layers.dropout(x, key, rate=0.25) is x
    first = layers.dropout(x, key, rate=0.25, mode="train")
    assert isinstance(first, Stateful)
    values = np.asarray(first.output)
    kept = values != 0
    np.testing.assert_allclose(values[kept], 1 / 0.75, rtol=1e-6)
    assert abs(kept.mean() - 0.75) < 0.02
    again = layers.dropout(x, key, rate=0.25, mode="train")
    following = layers.dropout(x, first.state["key"], rate=0.25, mode="train")
    assert isinstance(again, Stateful) and isinstance(following, Stateful)
    np.testing.assert_array_equal(again.output, first.output)
    assert (np.asarray(following.output) != values).mean() > 0.2
    with pytest.raises(ValueError, match=r"dropout: expected a rate in \[0, 1\), got 1"):
        layers.dropout(x, key, rate=1, mode="train")


def test_combining() -> None:
    a, b, c = (normal(2, 3) for _ in range(3))
    ta, tb, tc = map(nx.tensor, (a, b, c))
    np.testing.assert_allclose(layers.add(ta, tb, tc), a + b + c, rtol=1e-6)
    np.testing.assert_allclose(layers.subtract(ta, tb, tc), a - b - c, rtol=1e-5)
    np.testing.assert_allclose(layers.multiply(ta, tb, tc), a * b * c, rtol=1e-6)
    np.testing.assert_array_equal(layers.concatenate(ta, tb, axis=0), np.concatenate([a, b]))
    np.testing.assert_array_equal(layers.flatten(nx.tensor(normal(2, 3, 4))).shape, (2, 12))
    assert layers.flatten(nx.zeros((0, 3, 4))).shape == (0, 12)
