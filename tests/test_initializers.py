"""Initializers: JAX's numbers where the distribution is the same, and the shape of each distribution."""

import math
from typing import Any

import jax
import numpy as np
import pytest
import scipy.stats
from axon import init, initializers, input, nx
from axon.defn import jit, scan
from axon.dtypes import DType
from axon.errors import DTypeError, ShapeError

from tests import cases

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


@pytest.mark.parametrize("name", ["he_normal", "lecun_uniform", "normal", "uniform", "orthogonal"])
def test_keys_of_random_numbers_are_asked_for(name: str) -> None:
    draw = initializers.find_initializer(name)
    for arguments in (((2, 3),), ((2, 3), nx.float32), ((2, 3), nx.float32, 7)):
        with pytest.raises(
            TypeError, match=r"expected \(shape, dtype, key\) with .*, got (None|7); write nx.random.key"
        ):
            draw(*arguments)  # type: ignore[call-arg, arg-type]
    assert draw((2, 3), key=KEY).dtype is nx.float32  # type: ignore[call-arg]


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


@pytest.mark.parametrize("wrong", ["gaussian", "math", "full", 0.5])
def test_what_is_no_initializer(wrong: Any) -> None:
    with pytest.raises(ValueError, match=rf"bias: expected one of glorot_normal, .* he_normal\(\), got {wrong!r}$"):
        initializers.find_initializer(wrong, "bias")


def test_names_of_other_libraries_and_constructors_not_called() -> None:
    for wrong, text in (
        ("kaiming_normal", r"got 'kaiming_normal'; did you mean he_normal\?"),
        ("glorot", r"got 'glorot'; did you mean glorot_uniform\?"),
        ("GlorotUniform", r"got 'GlorotUniform'; did you mean glorot_uniform\?"),
        (initializers.he_normal, r"bias: expected a function that he_normal makes, got .* itself; write he_normal\("),
    ):
        with pytest.raises(ValueError, match=text):
            initializers.find_initializer(wrong, "bias")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int32", "bool"])
def test_identity(dtype: str) -> None:
    for shape in ((3, 3), (2, 4), (4, 2), (1, 1), (2, 3, 2, 4), (0, 3), (2, 0)):
        made = initializers.identity()(shape, nx.dtype(dtype))
        assert str(made.dtype) == dtype
        np.testing.assert_array_equal(made.numpy().astype(float), np.broadcast_to(np.eye(*shape[-2:]), shape))


def test_those_without_randomness_need_no_key() -> None:
    for made, value in ((initializers.zeros(), 0), (initializers.ones(), 1), (initializers.full(2.5), 2.5)):
        assert made((2,)).type == nx.template((2,), nx.float32) and made((2,)).tolist() == [value] * 2
        assert made((2,), nx.float64).type == made((2,), nx.float64, KEY).type == nx.template((2,), nx.float64)
    assert initializers.identity()((2, 2)).tolist() == [[1, 0], [0, 1]]


ORTHOGONAL = [
    (1, 1),
    (1, 4),
    (4, 1),
    (2, 2),
    (5, 3),
    (3, 5),
    (8, 8),
    (2, 3, 4, 7),
    (3, 3, 2, 40),
    (65, 33),
    (0, 3),
    (3, 0),
]


def reflected(drawn: np.ndarray) -> np.ndarray:
    """One reflection after the other, the last first: each column of Q is what is left of the drawn one."""
    q = np.eye(*drawn.shape)
    for k in reversed(range(drawn.shape[1])):
        v = np.where(np.arange(len(drawn)) < k, 0, drawn[:, k])
        sign = -1 if v[k] < 0 else 1
        v[k] += sign * np.linalg.norm(v)
        q = q - 2 * np.outer(v, v @ q) / (v @ v)
        q[:, k] *= -sign
    return q


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_orthogonal(distribution: Any, dtype: str) -> None:
    """Rows or columns are orthonormal, halves those of float32, and it is the product of reflections, eager and not."""
    made = initializers.orthogonal(3.0, distribution)
    draw = jit(lambda key: [made(shape, nx.dtype(dtype), key) for shape in ORTHOGONAL], compiler="evaluate")
    tolerance = 64 * cases.EPSILON[dtype if dtype == "float64" else "float32"]
    for shape, found in zip(ORTHOGONAL, draw(KEY)):
        assert found.shape == shape and str(found.dtype) == dtype
        if dtype in ("float16", "bfloat16"):
            assert found.tolist() == made(shape, nx.float32, KEY).astype(dtype).tolist()
            continue
        q = found.numpy().astype(float).reshape(-1, shape[-1]) / 3 if found.size else np.zeros((0, 0))
        q = q if q.shape[0] >= q.shape[1] else q.T
        np.testing.assert_allclose(q.T @ q, np.eye(q.shape[1]), atol=tolerance)
        if found.size:
            drawn = (
                nx.random.normal(KEY, q.shape, found.dtype)
                if distribution == "normal"
                else nx.random.uniform(KEY, q.shape, found.dtype, -1, 1)
            )
            np.testing.assert_allclose(q, reflected(drawn.numpy().astype(float)), atol=tolerance)


def test_compiled_orthogonal_is_the_same() -> None:
    for shape in ((3, 5), (2, 3, 4, 7), (33, 65)):
        made = initializers.orthogonal()
        found = jit(lambda key, shape=shape, made=made: made(shape, nx.float64, key))(KEY)
        np.testing.assert_allclose(found, made(shape, nx.float64, KEY), atol=1e-14)


def test_large_orthogonal_is_compiled_at_once() -> None:
    q = np.asarray(jit(lambda key: initializers.orthogonal()((300, 512), nx.float32, key))(KEY)).astype(float)
    np.testing.assert_allclose(q @ q.T, np.eye(300), atol=2e-5)


@pytest.mark.parametrize("shape", [(3, 3), (3, 2), (2, 3)])
def test_orthogonal_matrices_are_equally_probable(shape: tuple[int, int]) -> None:
    """An element of a direction in space is uniform in [-1, 1] (Archimedes), whichever it is, and so are JAX's; both
    turns and mirror images come."""
    made = initializers.orthogonal()
    keys = nx.random.split(KEY, 4000)
    draw = jit(lambda keys: scan(lambda carry, k: (carry, made(shape, nx.float32, k)), nx.tensor(0), keys)[1])
    theirs = jax.vmap(lambda k: jax.nn.initializers.orthogonal()(k, shape))(jax.random.split(jax.random.key(7), 4000))
    for matrices in map(np.asarray, (draw(keys), theirs)):
        for i, j in np.ndindex(*shape):
            assert scipy.stats.kstest(matrices[:, i, j], scipy.stats.uniform(-1, 2).cdf).statistic < 1.95 / 4000**0.5
        if shape == (3, 3):
            assert abs(np.linalg.det(matrices).mean()) < 5 / 4000**0.5
            assert abs(np.trace(matrices, axis1=1, axis2=2).var() - 1) < 0.15  # of O(3)


def test_degenerate_numbers_give_orthonormal_columns() -> None:
    for drawn in (np.zeros((3, 2)), np.ones((4, 4)), np.diag([1.0, -2.0, 0.0])):
        q = np.asarray(initializers._orthonormal(nx.tensor(drawn)))
        np.testing.assert_allclose(q.T @ q, np.eye(q.shape[1]), atol=1e-14)


def test_what_matrices_refuse() -> None:
    for made in (initializers.identity(), lambda shape: initializers.orthogonal()(shape, nx.float32, KEY)):
        for shape in ((3,), (), 4):
            with pytest.raises(ShapeError, match=r"(identity|orthogonal): expected two axes or more, got a shape \("):
                made(shape)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="orthogonal: expected distribution normal or uniform, got 'haar'"):
        initializers.orthogonal(distribution="haar")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"orthogonal: expected a scale in \[0, inf\), got -1"):
        initializers.orthogonal(-1)
    with pytest.raises(TypeError, match="orthogonal: got an unknown option gain; write scale="):
        initializers.orthogonal(gain=2)  # type: ignore[call-arg]
    with pytest.raises(DTypeError):
        initializers.orthogonal()((3, 3), nx.int32, KEY)


def test_matrices_in_a_model() -> None:
    model = input("x", shape=(None, 4)).dense(4, kernel_initializer="identity")
    model = model.dense(6, kernel_initializer=initializers.orthogonal(2.0))
    state = init(model)
    np.testing.assert_array_equal(state["dense_0"]["kernel"], np.eye(4))
    kernel = np.asarray(state["dense_1"]["kernel"])
    np.testing.assert_allclose(kernel @ kernel.T, 4 * np.eye(4), atol=1e-5)
