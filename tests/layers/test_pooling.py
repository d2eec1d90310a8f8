"""Pools against a plain loop in float64 and PyTorch's: norms, windows that adapt, and those over all of an image."""

import math
from typing import Any

import axon
import numpy as np
import pytest
from axon import layers, nx, testing
from axon.defn import grad, jit
from axon.errors import ShapeError

RNG = np.random.default_rng(0)
HOW = {
    "avg": lambda t, norm: t.mean(-1),
    "max": lambda t, norm: t.max(-1),
    "lp": lambda t, norm: np.linalg.norm(t, norm, -1),
}
NORMS = [1, 1.5, 2, 3, 40, math.inf]


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def by_loop(x: np.ndarray, kind: str, windows: list[list[range]], norm: float = 2) -> np.ndarray:
    """Channels-last images; the windows along each axis."""
    out = np.empty((x.shape[0], *map(len, windows), x.shape[-1]))
    for place in np.ndindex(*out.shape[1:-1]):
        inside = x[(slice(None), *np.ix_(*(axis[i] for axis, i in zip(windows, place))))]
        out[(slice(None), *place)] = HOW[kind](np.moveaxis(inside.reshape(len(x), -1, x.shape[-1]), 1, -1), norm)
    return out


def adapted(n: int, m: int) -> list[range]:
    step = n // m
    return [range(i * step, i * step + n - (m - 1) * step) for i in range(m)]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    ("size", "strides", "low", "high", "dilation"),
    [(2, None, 0, 0, 1), (3, 1, 1, 1, 1), (2, 3, 0, 2, 2), (1, 2, 0, 0, 1)],
)
def test_lp_pool(norm: float, size: int, strides: int | None, low: int, high: int, dilation: int) -> None:
    x, step = normal(2, 7, 6, 3), strides or size
    span = (size - 1) * dilation + 1
    windows = [[range(i, i + span, dilation) for i in range(0, n + low + high - span + 1, step)] for n in x.shape[1:-1]]
    want = by_loop(np.pad(x, [(0, 0), (low, high), (low, high), (0, 0)]), "lp", windows, norm)
    options: dict[str, Any] = {"strides": strides, "padding": [(low, high)] * 2, "dilation": dilation, "norm": norm}
    got = layers.lp_pool(nx.tensor(x), kernel_size=size, **options)
    np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize(
    ("dtype", "rtol"), [("float64", 1e-14), ("float32", 1e-5), ("float16", 1e-3), ("bfloat16", 8e-3)]
)
@pytest.mark.parametrize(
    "name", ["lp_pool", "adaptive_lp_pool", "adaptive_avg_pool", "adaptive_max_pool", "global_lp_pool"]
)
def test_compilers_and_dtypes(name: str, dtype: str, rtol: float) -> None:
    given: dict[str, Any] = {"lp_pool": {"kernel_size": 2}, "global_lp_pool": {}}
    options = given.get(name, {"output_size": (2, 1)}) | ({"norm": 3} if "lp" in name else {})
    x, pool = nx.tensor(normal(2, 7, 6, 3)).astype(dtype), getattr(layers, name)
    want = pool(x.astype("float64"), **options)
    for run in (pool, *(jit(pool, compiler=c, static=[*options]) for c in ("native", "evaluate"))):
        got = run(x, **options)
        assert got.dtype is x.dtype
        np.testing.assert_allclose(got.astype("float64"), want, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("kind", HOW)
@pytest.mark.parametrize(
    ("space", "output"),
    [((9,), 4), ((8, 6), (4, 3)), ((7, 10), 3), ((5, 4), None), ((6, 5, 4), (1, 5, 3)), ((7, 6), np.int64(1))],
)
def test_adaptive_pools(kind: str, space: tuple[int, ...], output: Any) -> None:
    x = normal(2, *space, 3)
    sizes = space if output is None else (output,) * len(space) if not isinstance(output, tuple) else output
    want = by_loop(x, kind, [adapted(n, m) for n, m in zip(space, sizes)])
    pool = getattr(layers, f"adaptive_{kind}_pool")
    np.testing.assert_allclose(pool(nx.tensor(x), output_size=output), want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", HOW)
@pytest.mark.parametrize("output", [1, 2, 4, (1, 3), (6, 4)])
def test_adaptive_pools_keep_names_of_axes(kind: str, output: Any) -> None:
    x = nx.zeros((2, 6, 4, 3)).rename(("n", "height", "width", "c"))
    assert getattr(layers, f"adaptive_{kind}_pool")(x, output_size=output).names == x.names


@pytest.mark.parametrize("kind", HOW)
@pytest.mark.parametrize("space", [(9,), (8, 6), (3, 5, 4)])
def test_global_pools(kind: str, space: tuple[int, ...]) -> None:
    x = normal(2, *space, 3)
    want = by_loop(x, kind, [adapted(n, 1) for n in space])
    pool = getattr(layers, f"global_{kind}_pool")
    np.testing.assert_allclose(pool(nx.tensor(x), keep_axes=True), want, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(pool(nx.tensor(x)), want.reshape((2, 3)), rtol=1e-12, atol=1e-14)
    if kind == "lp":
        assert np.array_equal(pool(nx.tensor(x), norm=nx.inf), np.abs(x).max(tuple(range(1, x.ndim - 1))))


def test_pools_as_pytorch_has_them() -> None:
    """Adaptive ones where the sizes divide, and norms that take no sign."""
    functional: Any = pytest.importorskip("torch.nn.functional")
    import torch

    x = normal(2, 3, 8, 6)
    theirs, ours = torch.from_numpy(x), nx.tensor(x)
    for norm in (2, 4):
        want = functional.lp_pool2d(theirs, norm, 3, 2)
        np.testing.assert_allclose(layers.lp_pool(ours, kernel_size=3, strides=2, norm=norm, channels="first"), want)
    for kind in ("avg", "max"):
        want = getattr(functional, f"adaptive_{kind}_pool2d")(theirs, (4, 2))
        got = getattr(layers, f"adaptive_{kind}_pool")(ours, output_size=(4, 2), channels="first")
        np.testing.assert_allclose(got, want)


POOLS: dict[str, Any] = {
    **{f"lp {norm}": lambda x, norm=norm: layers.lp_pool(x, kernel_size=2, strides=1, norm=norm) for norm in NORMS},
    "adaptive lp": lambda x: layers.adaptive_lp_pool(x, output_size=(3, 1), norm=3),
    "global lp": lambda x: layers.global_lp_pool(x, norm=1.5),
    "adaptive avg": lambda x: layers.adaptive_avg_pool(x, output_size=3),
    "adaptive max": lambda x: layers.adaptive_max_pool(x, output_size=3),
}


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_gradients(pool: Any) -> None:
    x = normal(2, 5, 4, 3)
    testing.check_grads(pool, x)
    definition = grad(lambda x: nx.sum(nx.square(pool(x))))
    want = definition(nx.tensor(x))
    for compiler in ("native", "evaluate"):
        np.testing.assert_allclose(jit(definition, compiler=compiler)(nx.tensor(x)), want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("compiler", [None, "native", "evaluate"])
def test_norms_of_zeros_and_of_extremes(compiler: str | None) -> None:
    """[2, 1]-windows along an axis: the slope of one that holds zeros alone is 0, and no power overflows."""

    def run(definition: Any, values: list[float], dtype: str) -> Any:
        x = nx.tensor(np.array(values).reshape((1, -1, 1))).astype(dtype)
        return (definition if compiler is None else jit(definition, compiler=compiler))(x).numpy().astype(float).ravel()

    for norm in (1, 2, 40, math.inf):
        pool = lambda x: layers.lp_pool(x, kernel_size=2, norm=norm)  # noqa: B023, E731
        got = run(grad(lambda x: nx.sum(pool(x))), [0, 0, 0, -2, 0, 3], "float32")  # noqa: B023
        np.testing.assert_array_equal(got, [0, 0, 0, -1, 0, 1])
        root = 2 ** (1 / norm)
        for value, dtype in ((3e38 / root, "float32"), (1e-30, "float32"), (1e30, "bfloat16"), (30000, "float16")):
            got = run(pool, [value, -value, value, 0], dtype)
            np.testing.assert_allclose(got, [value * root, value], rtol=1e-2)
        got = run(pool, [1, math.inf, math.nan, 1, 0, -math.inf], "float32")
        np.testing.assert_array_equal(got, [math.inf, math.nan, math.inf])


def test_losses_see_through_pools_of_elements() -> None:
    """Adaptive pools give elements of their inputs or means of them; norms are values of another kind."""
    gives = {name: layers.TABLE[name].gives for name in layers.TABLE if name.endswith("_pool")}
    assert {name for name, what in gives.items() if what == "elements"} == {
        name for name in gives if not name.endswith("lp_pool")
    }


def test_a_size_of_none_is_that_of_the_images() -> None:
    x = nx.asarray(normal(2, 5, 4, 3))
    for pool in (layers.adaptive_avg_pool, layers.adaptive_max_pool, layers.adaptive_lp_pool):
        np.testing.assert_array_equal(pool(x, output_size=(None, 2)), pool(x, output_size=(5, 2)))


WRONG: dict[str, tuple[type[Exception], str, Any]] = {
    "norm": (ValueError, "norm of at least 1, got 0.5", lambda x: layers.lp_pool(x, kernel_size=2, norm=0.5)),
    "no norm": (ValueError, "norm of at least 1, got nan", lambda x: layers.global_lp_pool(x, norm=math.nan)),
    "more": (ShapeError, r"from 1 to \(4, 5\), .* got 5", lambda x: layers.adaptive_max_pool(x, output_size=5)),
    "a half": (ShapeError, "output_size from 1 to", lambda x: layers.adaptive_max_pool(x, output_size=(None, 0.5))),
    "none": (ShapeError, "output_size from 1 to", lambda x: layers.adaptive_avg_pool(x, output_size=0)),
    "sizes": (ShapeError, "as a number or 2 of them", lambda x: layers.adaptive_lp_pool(x, output_size=(1, 1, 1))),
    "channels": (ValueError, "one of first, last, got 1", lambda x: layers.avg_pool(x, kernel_size=1, channels=1)),
    "no image": (
        ShapeError,
        r"expected images \[batch, channels, spatial...\], got float32\[2, 4\]",
        lambda x: layers.global_avg_pool(x[:, :, 0, 0], channels="first"),
    ),
    "first": (ShapeError, "expected windows of at most", lambda x: layers.lp_pool(x, kernel_size=4, channels="first")),
}


@pytest.mark.parametrize(("error", "text", "call"), WRONG.values(), ids=WRONG)
def test_errors(error: type[Exception], text: str, call: Any) -> None:
    with pytest.raises(error, match=text):
        call(nx.ones((2, 4, 5, 3)))


def test_models_pool() -> None:
    x = axon.input("x", shape=(None, 6, 6, 2))
    made = x.lp_pool(kernel_size=2, norm=np.float32(3)).adaptive_max_pool(output_size=2).global_avg_pool(keep_axes=True)
    assert "(None, 1, 1, 2)" in str(made)
    got = axon.predict(made, axon.init(made), nx.ones((1, 6, 6, 2)))
    np.testing.assert_allclose(got, np.full((1, 1, 1, 2), 4 ** (1 / 3)), rtol=1e-6)


def test_windows_that_adapt_are_taken_along_one_axis_after_the_other() -> None:
    """The gradient of a largest element looks at each place in its window: here at 8 and 8, where there are 64."""
    x = nx.tensor(normal(1, 16, 16, 1))
    for size, most in ((1, 40), (2, 300)):
        slopes = grad(lambda x: nx.sum(layers.adaptive_max_pool(x, output_size=size)))  # noqa: B023
        assert np.count_nonzero(slopes(x)) == size**2
        assert len(str(jit(slopes).lower(x).graph()).splitlines()) < most
