"""Dropout of elements and channels: which share is dropped, what the rest becomes, keys, dtypes and gradients."""

import math
from typing import Any

import numpy as np
import pytest
from axon import activations, init, input, layers, nx, testing
from axon.defn import jit, vjp
from axon.errors import ShapeError
from axon.layers import TABLE
from axon.model import build

from tests import cases

MODES = {"eager": lambda f: f, "native": jit, "evaluate": lambda f: jit(f, compiler="evaluate")}
NAMES = ["dropout", "spatial_dropout", "alpha_dropout", "feature_alpha_dropout"]
LOWEST = -1.7580993408473766  # PyTorch's constant
KEY = nx.random.key(5)


def train(name: str, x: nx.Tensor, key: nx.Tensor = KEY, **options: Any) -> Any:
    return getattr(layers, name)(x, key, mode="train", **options)


def affine(rate: float) -> tuple[float, float]:
    """Of Klambauer et al. 2017: a and b, as PyTorch has them."""
    a = 1 / math.sqrt((LOWEST**2 * rate + 1) * (1 - rate))
    return a, -a * LOWEST * rate


def test_the_lowest_value_is_selu_s() -> None:
    assert activations.selu(nx.tensor(-math.inf, "float64")).item() == pytest.approx(LOWEST, rel=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int32"])
@pytest.mark.parametrize("name", NAMES)
def test_what_elements_become(name: str, dtype: str, mode: str) -> None:
    """Those kept and those dropped are told apart by a second x; a mask is the same for both."""
    rate, tolerance = 0.25, 4 * cases.EPSILON.get(dtype, 2.0**-23)
    x = nx.tensor(np.arange(3, 3 + 4 * 5 * 6).reshape(4, 5, 6), dtype)
    run = MODES[mode](lambda x: train(name, x, rate=rate))
    y, other = (run(v).output for v in (x, x + 1))
    assert str(y.dtype) == (dtype if dtype != "int32" else "float32") and y.shape == x.shape
    known, y, other = (v.numpy().astype(np.float64) for v in (x, y, other))
    kept = y != other
    assert 0.6 < kept.mean() < 0.9
    a, b = affine(rate) if "alpha" in name else (1 / (1 - rate), 0)
    want = np.where(kept, known, LOWEST if "alpha" in name else 0) * a + b
    np.testing.assert_allclose(y, want, rtol=tolerance, atol=tolerance)
    whole = kept.all(1) | ~kept.any(1)
    assert whole.all() == (name in ("spatial_dropout", "feature_alpha_dropout"))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("name", NAMES)
def test_moments_stay(name: str, rate: float) -> None:
    """Dropout keeps means; alpha dropout keeps the mean 0 and the variance 1 of all examples together."""
    x = nx.random.normal(nx.random.key(1), (200, 4, 4, 50))
    y = np.asarray(jit(lambda x: train(name, x, rate=rate).output)(x)).astype(np.float64)
    masks = y.size if name in ("dropout", "alpha_dropout") else y.size / 16
    spread = max(1.0, y.std()) / math.sqrt(masks)
    assert abs(y.mean()) < 5 * spread
    if "alpha" in name:
        assert abs(y.var() - 1) < 15 * spread
    else:
        assert abs((y == 0).mean() - rate) < 5 * math.sqrt(rate * (1 - rate) / masks)
        assert abs((y * np.asarray(x)).mean() - 1) < 10 * spread


@pytest.mark.parametrize("shape", [(3, 40, 7), (3, 5, 6, 7), (2, 3, 4, 5, 7), (1, 1, 7)])
@pytest.mark.parametrize("name", ["spatial_dropout", "feature_alpha_dropout"])
def test_channels_are_dropped_as_a_whole(name: str, shape: tuple[int, ...]) -> None:
    """channels="first" has other masks, of the axis behind the batch."""
    x = nx.ones(shape)
    last = np.asarray(train(name, x).output)
    assert (last == last[:, *[slice(1)] * (len(shape) - 2), :]).all() and len(np.unique(last)) == 2
    first = np.asarray(train(name, nx.moveaxis(x, -1, 1), channels="first").output)
    assert (first == first[:, :, *[slice(1)] * (len(shape) - 2)]).all() and len(np.unique(first)) == 2
    np.testing.assert_array_equal(np.moveaxis(first, 1, -1), last)


@pytest.mark.parametrize("name", NAMES)
def test_keys(name: str) -> None:
    """One key gives one mask; the next step's is the state; inference needs neither, and is x itself."""
    x = nx.ones((16, 3, 8))
    assert getattr(layers, name)(x, KEY, rate=0.9) is x
    first, again = train(name, x), jit(lambda x, key: train(name, x, key))(x, KEY)
    assert set(first.state) == {"key"} and first.state["key"].type == KEY.type
    assert first.state["key"].tolist() == again.state["key"].tolist() == nx.random.split(KEY)[0].tolist()
    np.testing.assert_allclose(first.output, again.output, rtol=1e-6)
    following = train(name, x, first.state["key"])
    assert (np.asarray(following.output) != np.asarray(first.output)).mean() > 0.2
    assert train(name, x, rate=0).output.tolist() == x.tolist()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_gradients(name: str, mode: str) -> None:
    """Nothing comes from what was dropped, not even of what is infinite; of what is kept, the factor."""
    x = np.random.default_rng(0).normal(size=(4, 3, 5))
    testing.check_grads(lambda x: train(name, x, rate=0.3).output, x)

    def both(x: nx.Tensor) -> Any:
        y, pullback = vjp(lambda x: train(name, x, rate=0.3).output, x)
        return y, pullback(nx.ones_like(x))[0]

    y, slopes = map(np.asarray, MODES[mode](both)(nx.full((4, 3, 5), math.inf)))
    dropped = np.isfinite(y)
    assert dropped.any() and not dropped.all()
    factor = affine(0.3)[0] if "alpha" in name else 1 / 0.7
    np.testing.assert_allclose(slopes, np.where(dropped, 0, factor), rtol=1e-6)


def test_noise_shape() -> None:
    x = nx.ones((6, 4, 5))
    for noise, alike in (((None, 1, None), 1), ([6, 4, 1], 2), ((1, None, 5), 0)):
        y = np.asarray(train("dropout", x, noise_shape=noise).output)
        assert (y == y.take([0], alike)).all() and len(np.unique(y)) == 2
    np.testing.assert_array_equal(
        train("dropout", x, noise_shape=(None, 1, None)).output, train("spatial_dropout", x).output
    )
    for wrong in ((6, 4), (), (6, 2, 5), 1):
        with pytest.raises(ShapeError, match=r"dropout: expected a noise_shape of 1 or None .* of float32\[6, 4, 5\]"):
            layers.dropout(x, KEY, noise_shape=wrong)


@pytest.mark.parametrize("rate", [1, 1.5, -0.1, math.nan, True])
@pytest.mark.parametrize("name", NAMES)
def test_wrong_rates(name: str, rate: float) -> None:
    for mode in ("train", "inference"):
        with pytest.raises(ValueError, match=rf"{name}: expected a rate in \[0, 1\), got {rate}"):
            getattr(layers, name)(nx.ones((2, 3, 4)), KEY, rate=rate, mode=mode)
    with pytest.raises(TypeError, match=rf"{name}: expected a number as rate, got '0.5'"):
        getattr(layers, name)(nx.ones((2, 3, 4)), KEY, rate="0.5")
    with pytest.raises(ValueError, match=rf'{name}: expected mode "train" or "inference", got \'training\''):
        getattr(layers, name)(nx.ones((2, 3, 4)), KEY, mode="training")


@pytest.mark.parametrize("name", ["spatial_dropout", "feature_alpha_dropout"])
def test_channels_need_images(name: str) -> None:
    with pytest.raises(ShapeError, match=rf"{name}: expected images of a batch, channels and other axes, got float32"):
        getattr(layers, name)(nx.ones((2, 3)), KEY)
    with pytest.raises(ValueError, match=rf'{name}: expected channels "first" or "last", got None|got 1'):
        getattr(layers, name)(nx.ones((2, 3, 4)), KEY, channels=1)


def test_in_models() -> None:
    """Every layer has a key of its own, which training moves on."""
    image = input("x", shape=(None, 4, 6))
    model = image
    for name in NAMES:
        model = getattr(model, name)(rate=0.5)
    state, predict = init(model), build(model, mode="train").predict
    assert len({tuple(state[f"{name}_0"]["key"].tolist()) for name in NAMES}) == 4
    x = np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32)
    found = predict(state, x)
    for name in NAMES:
        want = nx.random.split(state[f"{name}_0"]["key"])[0]
        assert found.state[f"{name}_0"]["key"].tolist() == want.tolist()
    assert [TABLE[name].gives for name in NAMES] == ["elements", "elements", None, None]
