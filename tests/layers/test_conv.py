"""Convolutions in which each channel has its own kernels, and images with channels first, against JAX."""

from functools import reduce
from typing import Any

import axon
import jax
import ml_dtypes
import numpy as np
import pytest
from axon import layers, nx, testing
from axon.defn import grad, jit
from axon.errors import ShapeError

RNG = np.random.default_rng(0)
SIZES = {1: (9,), 2: (7, 6), 3: (5, 4, 6)}
KERNELS = {1: (3,), 2: (3, 2), 3: (2, 1, 3)}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"padding": "same", "strides": 2},
    {"padding": 2, "kernel_dilation": 2},
    {"padding": 1, "input_dilation": 2, "strides": 3},
]
UNEVEN: dict[str, Any] = {
    "strides": (1, 2),
    "padding": [(1, 0), 2],
    "input_dilation": (2, 1),
    "kernel_dilation": (1, 2),
}


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def by_jax(x: Any, kernel: Any, **options: Any) -> Any:
    """A depthwise convolution."""
    rank, space = x.ndim - 2, "DHW"[3 - x.ndim + 2 :]
    each = lambda v: (v,) * rank if isinstance(v, int) else v  # noqa: E731
    padding = options.get("padding", "valid")
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        each(options.get("strides", 1)),
        padding.upper() if isinstance(padding, str) else [(p, p) if isinstance(p, int) else p for p in each(padding)],
        each(options.get("input_dilation", 1)),
        each(options.get("kernel_dilation", 1)),
        (f"N{space}C", f"{space}IO", f"N{space}C"),
        x.shape[-1],
        precision="highest",
    )


def lines(*shape: int, out: int) -> list[np.ndarray]:
    """Kernels along each axis."""
    return [normal(*(n if i == axis else 1 for i in range(len(shape))), 1, out) for axis, n in enumerate(shape)]


@pytest.mark.parametrize("channels", ["last", "first"])
@pytest.mark.parametrize("padding", ["valid", "same", 2, [(0, 3)]])
@pytest.mark.parametrize(
    ("rank", "stride", "dilation"), [(1, 1, 1), (1, 5, 1), (2, 2, 1), (2, 3, 2), (2, 2, 3), (3, 2, 1)]
)
def test_transposed_convolutions(rank: int, stride: int, dilation: int, padding: Any, channels: Any) -> None:
    """Strides above, at and below the window's size, which "same" pads in different ways."""
    x, kernel, bias = normal(2, *SIZES[rank], 3), normal(*KERNELS[rank], 3, 4), normal(4)
    if isinstance(padding, list):
        padding = padding * rank
    space = "DHW"[3 - rank :]
    want = jax.lax.conv_transpose(
        x,
        kernel,
        (stride,) * rank,
        padding.upper() if isinstance(padding, str) else [(2, 2)] * rank if padding == 2 else padding,
        (dilation,) * rank,
        (f"N{space}C", f"{space}IO", f"N{space}C"),
        precision="highest",
    )
    first = channels == "first"
    given = nx.moveaxis(nx.asarray(x), -1, 1) if first else nx.asarray(x)
    run = lambda x, k, b: layers.conv_transpose(  # noqa: E731
        x, k, b, strides=stride, padding=padding, kernel_dilation=dilation, channels=channels
    )
    compiled = jit(run, compiler="evaluate") if rank == 3 else jit(run)
    for function in (run, compiled):
        got = function(given, nx.asarray(kernel), nx.asarray(bias))
        np.testing.assert_allclose(nx.moveaxis(got, 1, -1) if first else got, want + bias, rtol=1e-4, atol=1e-5)


def test_transposed_convolutions_in_models() -> None:
    m = axon.input("x", shape=(None, 4, 5, 3)).conv_transpose(8, (2, 3), strides=(2, 1), padding="same", use_bias=False)
    state = axon.init(m)
    assert state.parameters["conv_transpose_0"]["kernel"].shape == (2, 3, 3, 8)
    x = nx.asarray(normal(2, 4, 5, 3))
    assert axon.predict(m, state, x).shape == (2, 8, 5, 8)
    again = axon.predict(axon.from_json(axon.to_json(m)), state, x)
    np.testing.assert_array_equal(again, axon.predict(m, state, x))


def test_gradients_of_transposed_convolutions() -> None:
    x, kernel = normal(1, 3, 4, 2).astype(float), normal(2, 3, 2, 3).astype(float)
    testing.check_grads(lambda x, k: layers.conv_transpose(x, k, strides=(3, 2), padding="same"), x, kernel)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"padding": "SAME"}, 'expected padding "valid", "same" or pairs'),
        ({"strides": 0}, "above 0"),
        ({"strides": (1, 2)}, "expected strides as a number or 1 of them"),
        ({"kernel": nx.ones((3, 4, 2))}, "conv: expected"),
        ({"kernel": nx.ones((3, 3, 3, 2))}, "conv: expected"),
        ({"kernel": nx.ones(3)}, "conv: expected"),
    ],
)
def test_what_transposed_convolutions_refuse(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ShapeError, match=text):
        layers.conv_transpose(nx.ones((2, 5, 3)), **{"kernel": nx.ones((3, 3, 2)), **options})


@pytest.mark.parametrize("multiplier", [1, 3])
@pytest.mark.parametrize(("rank", "options"), [*((r, o) for r in SIZES for o in OPTIONS), (2, UNEVEN)])
def test_depthwise_conv(rank: int, options: dict[str, Any], multiplier: int) -> None:
    x, kernel, bias = normal(2, *SIZES[rank], 4), normal(*KERNELS[rank], 1, 4 * multiplier), normal(4 * multiplier)
    want = by_jax(x, kernel, **options) + bias
    given = [nx.tensor(t) for t in (x, kernel, bias)]
    np.testing.assert_allclose(layers.depthwise_conv(*given, **options), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("rank", "options"), [*((r, o) for r in (2, 3) for o in OPTIONS), (2, UNEVEN)])
def test_separable_conv_is_depthwise_with_the_product_of_its_kernels(rank: int, options: dict[str, Any]) -> None:
    x, kernels = normal(2, *SIZES[rank], 3), lines(*KERNELS[rank], out=6)
    run = getattr(layers, f"separable_conv{rank}d")
    got = run(nx.tensor(x), *(t for k in kernels for t in (nx.tensor(k), None)), **options)
    np.testing.assert_allclose(got, by_jax(x, reduce(np.multiply, kernels), **options), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rank", [2, 3])
def test_separable_conv_adds_a_bias_after_each_kernel(rank: int) -> None:
    x, kernels, biases = normal(2, *SIZES[rank], 3), lines(*KERNELS[rank], out=6), [normal(6) for _ in range(rank)]
    want: Any = x
    for kernel, bias in zip(kernels, biases):
        want = by_jax(want, kernel, padding="same") + bias
    given = [nx.tensor(t) for pair in zip(kernels, biases) for t in pair]
    got = getattr(layers, f"separable_conv{rank}d")(nx.tensor(x), *given, padding="same")
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


FUNCTIONS: dict[str, Any] = {
    "depthwise": lambda x, k, b, **o: layers.depthwise_conv(x, k, b, strides=2, padding="same", **o),
    "separable": lambda x, k, b, **o: layers.separable_conv2d(x, k[:, :1], b, k[:1], b[::-1], padding=1, **o),
}


@pytest.mark.parametrize("channels", ["last", "first"])
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_gradients_and_compilers(function: Any, channels: str) -> None:
    x, kernel, bias = normal(2, 5, 4, 3).astype(float), normal(3, 2, 1, 6).astype(float), normal(6).astype(float)
    if channels == "first":
        x = np.moveaxis(x, -1, 1)
    run = lambda x, k, b: function(x, k, b, channels=channels)  # noqa: E731
    testing.check_grads(run, x, kernel, bias)
    given = [nx.tensor(t.astype(np.float32)) for t in (x, kernel, bias)]
    pull = grad(lambda *a: nx.sum(nx.square(run(*a))), (0, 1, 2))
    for definition in (run, pull):
        wants = definition(*given)
        for compiler in ("native", "evaluate"):
            gots = jit(definition, compiler=compiler)(*given)
            for got, want in zip([gots] if definition is run else gots, [wants] if definition is run else wants):
                np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16], ids=str)
@pytest.mark.parametrize("compiler", [None, "native", "evaluate"])
def test_halves_are_summed_in_float32(dtype: Any, compiler: str | None) -> None:
    x, kernel = np.full((1, 4096, 2), 1.0, dtype), np.full((4095, 1, 2), 1.0, dtype)
    run = layers.depthwise_conv if compiler is None else jit(layers.depthwise_conv, compiler=compiler)
    got = run(nx.tensor(x), nx.tensor(kernel)).numpy()
    assert got.dtype == dtype and (got.astype(float) == 4096).all()  # 4095, rounded once


IMAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "conv": ("conv", {"strides": 2, "padding": "same", "groups": 2}),
    "depthwise_conv": ("depthwise_conv", {"padding": 1}),
    "max_pool": ("max_pool", {"kernel_size": 2, "padding": "same"}),
    "avg_pool": ("avg_pool", {"kernel_size": 3, "strides": 1, "padding": 1}),
    "lp_pool": ("lp_pool", {"kernel_size": 2, "norm": 3}),
    **{f"adaptive_{kind}_pool": (f"adaptive_{kind}_pool", {"output_size": 3}) for kind in ("avg", "max", "lp")},
    **{f"global_{kind}_pool": (f"global_{kind}_pool", {}) for kind in ("avg", "max", "lp")},
    **{f"global_{kind}_pool_kept": (f"global_{kind}_pool", {"keep_axes": True}) for kind in ("avg", "max", "lp")},
}


@pytest.mark.parametrize("rank", SIZES)
@pytest.mark.parametrize(("name", "options"), IMAGES.values(), ids=IMAGES)
def test_channels_first_is_channels_last_moved(name: str, options: dict[str, Any], rank: int) -> None:
    x = normal(2, *SIZES[rank], 4)
    given = {"conv": [normal(*KERNELS[rank], 2, 6), normal(6)], "depthwise_conv": [normal(*KERNELS[rank], 1, 8)]}
    function, tensors = getattr(layers, name), [nx.tensor(t) for t in given.get(name, ())]
    want = function(nx.tensor(x), *tensors, **options).numpy()
    got = function(nx.tensor(np.moveaxis(x, -1, 1)), *tensors, **options, channels="first").numpy()
    np.testing.assert_allclose(np.moveaxis(got, 1, -1) if got.ndim > 2 else got, want, rtol=1e-5, atol=1e-6)


def test_models_with_channels_first() -> None:
    """The same parameters give the same, since kernels have one layout."""

    def model(x: axon.Model, channels: str) -> axon.Model:
        x = x.conv(4, 3, channels=channels).depthwise_conv(2, (3, 2), channels=channels, activation="relu")
        x = x.separable_conv2d(2, (2, 3), padding="same", channels=channels).max_pool(kernel_size=2, channels=channels)
        return x.adaptive_avg_pool(output_size=2, channels=channels).global_lp_pool(channels=channels)

    last = model(axon.input("x", shape=(None, 12, 13, 3)), "last")
    first = model(axon.input("x", shape=(None, 3, 12, 13)), "first")
    state, x = axon.init(last), normal(2, 12, 13, 3)
    shapes = {layer: {name: t.shape for name, t in found.items()} for layer, found in state.parameters.items()}
    assert shapes == {
        "conv_0": {"kernel": (3, 3, 3, 4), "bias": (4,)},
        "depthwise_conv_0": {"kernel": (3, 2, 1, 8), "bias": (8,)},
        "separable_conv2d_0": {
            "kernel_1": (2, 1, 1, 16), "bias_1": (16,), "kernel_2": (1, 3, 1, 16), "bias_2": (16,),
        },
    }  # fmt: skip
    assert shapes == {k: {n: t.shape for n, t in v.items()} for k, v in axon.init(first).parameters.items()}
    moved = nx.tensor(np.moveaxis(x, -1, 1))
    got = axon.predict(first, state, moved).numpy()
    np.testing.assert_allclose(got, axon.predict(last, state, nx.tensor(x)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got, axon.predict(first, state, moved, compiler="evaluate"), rtol=1e-4, atol=1e-5)


def test_channels_between_convolutions_are_not_moved() -> None:
    kernel = nx.ones((1, 1, 3, 3))

    def twice(x: nx.Tensor) -> nx.Tensor:
        return layers.conv(layers.conv(x, kernel, channels="first"), kernel, channels="first")

    steps = jit(twice).lower(nx.ones((2, 3, 4, 4))).report().steps
    assert [step.what.split()[0] for step in steps] == ["copy", "conv", "conv", "copy"]


def test_numbered_parameters_share_options() -> None:
    x = axon.input("x", shape=(None, 4, 5, 6, 3))
    made = x.separable_conv3d(2, 2, use_bias=False, kernel_initializer="ones", name="s")
    state = axon.init(made)
    assert list(state.parameters["s"]) == ["kernel_1", "kernel_2", "kernel_3"]
    assert all((t.numpy() == 1).all() for t in state.parameters["s"].values())
    ones = nx.ones((1, 4, 5, 6, 3))
    assert (axon.predict(made, state, ones, compiler="evaluate").numpy() == 8).all()
    with pytest.raises(TypeError, match="separable_conv3d: got an unknown option use_bias_1; write"):
        x.separable_conv3d(2, 2, use_bias_1=False)


def image(*shape: int) -> axon.Model:
    return axon.input("x", shape=(None, *shape))


WRONG: dict[str, tuple[type[Exception], str, Any]] = {
    "multiplier": (
        ShapeError,
        r"whole sizes above 0 for kernel, got \(3, 3, 1, 0\)",
        lambda: image(8, 8, 3).depthwise_conv(0, 3),
    ),
    "fraction": (ShapeError, "whole sizes above 0 for kernel", lambda: image(8, 8, 3).depthwise_conv(2.5, 3)),
    "sizes": (ShapeError, "kernel_size as a number or 2 of them", lambda: image(8, 8, 3).depthwise_conv(2, (3, 3, 3))),
    "rank": (
        ShapeError,
        r"layer separable_conv2d_0 .*: expected images \[batch, height, width, channels\], got float32\[2, 8, 3\]",
        lambda: image(8, 3).separable_conv2d(1, 3),
    ),
    "rank first": (
        ShapeError,
        r"expected images \[batch, channels, depth, height, width\]",
        lambda: image(8, 3).separable_conv3d(1, 3, channels="first"),
    ),
    "no image": (
        ShapeError,
        r"expected images \[batch, channels, spatial...\]",
        lambda: image(8).conv(1, 3, channels="first"),
    ),
    "channels": (
        ValueError,
        "channels: expected one of first, last, got 'frist'; did you mean first?",
        lambda: image(8, 8, 3).conv(1, 3, channels="frist"),
    ),
    "kernel": (
        ShapeError,
        r"depthwise_conv: expected a kernel \[spatial..., 1, a multiple of the 3 input channels\]",
        lambda: layers.depthwise_conv(nx.ones((1, 4, 3)), nx.ones((2, 3, 3))),
    ),
    "outputs": (
        ShapeError,
        r"depthwise_conv: .* got float32\[2, 1, 4\]",
        lambda: layers.depthwise_conv(nx.ones((1, 4, 3)), nx.ones((2, 1, 4))),
    ),
    "vector": (ShapeError, "expected an input", lambda: layers.depthwise_conv(nx.ones(3), nx.ones((2, 1, 3)))),
    "strides": (
        ShapeError,
        "strides as a number or 2 of them",
        lambda: layers.separable_conv2d(nx.ones((1, 4, 4, 1)), *[nx.ones((1, 1, 1, 1))] * 4, strides=(1, 2, 3)),
    ),
}


@pytest.mark.parametrize(("error", "text", "call"), WRONG.values(), ids=WRONG)
def test_errors(error: type[Exception], text: str, call: Any) -> None:
    with pytest.raises(error, match=text):
        made = call()
        axon.init(made)
