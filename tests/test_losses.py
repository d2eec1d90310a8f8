"""Losses against optax, and what they refuse."""

from typing import Any

import numpy as np
import optax
import pytest
from axon import activations, losses, nx
from axon.defn import debug, grad, jit
from axon.errors import NonFiniteError, ShapeError

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 3, (6, 4)).astype(np.float32)
CLASSES = np.array([0, 3, 1, 2, 2, 0], np.int32)
ONE_HOT = np.eye(4, dtype=np.float32)[CLASSES]
PROBABILITIES = np.asarray(activations.softmax(nx.tensor(LOGITS)))


def test_categorical_cross_entropy() -> None:
    theirs = optax.softmax_cross_entropy(LOGITS, ONE_HOT)
    for y in (ONE_HOT, CLASSES):
        np.testing.assert_allclose(losses.categorical_cross_entropy(y, LOGITS, from_logits=True), theirs, rtol=1e-5)
        np.testing.assert_allclose(losses.categorical_cross_entropy(y, PROBABILITIES), theirs, rtol=1e-4)


def test_soft_labels() -> None:
    soft = RNG.dirichlet(np.ones(4), 6).astype(np.float32)
    theirs = optax.softmax_cross_entropy(LOGITS, soft)
    np.testing.assert_allclose(losses.categorical_cross_entropy(soft, LOGITS, from_logits=True), theirs, rtol=1e-5)


@pytest.mark.parametrize("y", [ONE_HOT, CLASSES])
def test_class_weights(y: np.ndarray) -> None:
    weights = [1.0, 2.0, 0.5, 4.0]
    rows = np.asarray(optax.softmax_cross_entropy(LOGITS, ONE_HOT)) * np.array(weights)[CLASSES]

    def ours(reduction: losses.Reduction) -> np.ndarray:
        return np.asarray(
            losses.categorical_cross_entropy(y, LOGITS, from_logits=True, class_weights=weights, reduction=reduction)
        )

    np.testing.assert_allclose(ours("none"), rows, rtol=1e-5)
    np.testing.assert_allclose(ours("sum"), rows.sum(), rtol=1e-5)
    np.testing.assert_allclose(ours("mean"), rows.sum() / np.array(weights)[CLASSES].sum(), rtol=1e-5)
    with pytest.raises(ShapeError, match="expected 4 class_weights, got 1"):
        losses.categorical_cross_entropy(y, LOGITS, class_weights=[1.0])


def test_binary_cross_entropy() -> None:
    y = RNG.integers(0, 2, (6, 4)).astype(np.float32)
    theirs = np.asarray(optax.sigmoid_binary_cross_entropy(LOGITS, y)).mean(-1)
    np.testing.assert_allclose(losses.binary_cross_entropy(y, LOGITS, from_logits=True), theirs, rtol=1e-5)
    p = np.asarray(activations.sigmoid(nx.tensor(LOGITS)))
    np.testing.assert_allclose(losses.binary_cross_entropy(y, p), theirs, rtol=1e-4)


def test_differences() -> None:
    y, p = RNG.normal(size=(2, 5, 3)).astype(np.float32)
    np.testing.assert_allclose(losses.mean_squared_error(y, p), ((y - p) ** 2).mean(-1), rtol=1e-5)
    np.testing.assert_allclose(losses.mean_absolute_error(y, p), np.abs(y - p).mean(-1), rtol=1e-5)
    np.testing.assert_allclose(losses.mean_squared_error(y, p, reduction="mean"), ((y - p) ** 2).mean(), rtol=1e-5)
    np.testing.assert_allclose(
        losses.mean_squared_error(y, p, reduction="sum"), ((y - p) ** 2).mean(-1).sum(), rtol=1e-5
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32])
def test_differences_of_integers_do_not_wrap(dtype: type) -> None:
    y, p = np.array([[1, 200, 127]], dtype), np.array([[3, 0, 120]], dtype)
    errors = y.astype(float) - p.astype(float)
    np.testing.assert_allclose(losses.mean_squared_error(y, p), (errors**2).mean(-1), rtol=1e-6)
    np.testing.assert_allclose(losses.mean_absolute_error(y, p), np.abs(errors).mean(-1), rtol=1e-6)


def test_certain_predictions_give_finite_losses_and_gradients() -> None:
    logits = nx.tensor([[200.0, -200.0], [-200.0, 200.0]])
    y = nx.tensor([1, 1])
    assert losses.categorical_cross_entropy(y, logits, from_logits=True).tolist() == [400.0, 0.0]
    p = nx.tensor([[1.0, 0.0], [0.0, 1.0]])
    hot = nx.tensor([[0.0, 1.0], [0.0, 1.0]])
    for loss in (losses.categorical_cross_entropy, losses.binary_cross_entropy):
        assert np.isfinite(np.asarray(loss(hot, p))).all()
        gradient = grad(lambda p, loss=loss: loss(hot, p, reduction="mean"))(p)
        assert np.isfinite(np.asarray(gradient)).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("y", [0.0, 1.0])
@pytest.mark.parametrize("name", ["binary_cross_entropy", "categorical_cross_entropy"])
def test_cross_entropies_in_every_dtype(name: str, y: float, dtype: str) -> None:
    """Near 0 and 1, where a half's 1 - 1e-7 is 1: the formula's value, or that of the cut, and finite slopes."""
    least = 2.0**-14 if dtype == "float16" else 1e-7
    p = nx.tensor([0.0, 1e-5, 0.25, 0.999, 1.0], dtype=dtype)
    known = p.numpy().astype(np.float64)
    negative = (1 - y) * np.log(np.maximum(1 - known, least)) if name == "binary_cross_entropy" else 0
    expected = -(y * np.log(np.maximum(known, least)) + negative)
    targets = nx.full_like(p, y)
    loss = getattr(losses, name)
    found = [loss(targets[i : i + 1], p[i : i + 1]).item() for i in range(5)]
    half = dtype in ("float16", "bfloat16")
    np.testing.assert_allclose(found, expected, rtol=1e-2 if half else 1e-4, atol=1e-2 if half else 1e-6)
    assert np.isfinite(np.asarray(grad(lambda p: loss(targets, p))(p)).astype(np.float64)).all()


def test_a_class_out_of_range_is_nan_and_does_not_hide() -> None:
    found = np.asarray(losses.categorical_cross_entropy(nx.tensor([0, 4, -1]), nx.zeros((3, 4)), from_logits=True))
    assert np.isfinite(found[0]) and np.isnan(found[1:]).all()


def test_debug_stops_at_classes_out_of_range_only() -> None:
    mean = jit(lambda y, p: losses.categorical_cross_entropy(y, p, from_logits=True, reduction="mean"))
    with debug():
        assert mean(nx.tensor([0, 3]), nx.zeros((2, 4))).item() == pytest.approx(np.log(4))
        with pytest.raises(NonFiniteError, match=r"sqrt at .*test_losses.py:\d+: expected finite values, got 1 NaN"):
            mean(nx.tensor([0, 4]), nx.zeros((2, 4)))


@pytest.mark.parametrize("name", losses.__all__)
def test_targets_are_never_broadcast(name: str) -> None:
    loss = getattr(losses, name)
    with pytest.raises(
        ShapeError, match=rf"{name}: .*float32\[8,1\] and float32\[8\]; write y_true.reshape\(\(-1,\)\)"
    ):
        loss(nx.zeros((8, 1)), nx.zeros(8))
    with pytest.raises(ShapeError, match=name):
        loss(nx.zeros((1, 4)), nx.zeros((8, 4)))


@pytest.mark.parametrize(
    ("y", "p", "sparse", "advice"),
    [
        (((8, 1), "int32"), (8, 4), None, r"write y_true\.reshape\(\(-1,\)\)$"),
        (((8, 1), "int32"), (8, 4), True, r"write y_true\.reshape\(\(-1,\)\)$"),
        (((8,), "float32"), (8, 4), None, r'write y_true\.astype\("int32"\)$'),
        (((8,), "float32"), (8, 4), True, r'write y_true\.astype\("int32"\)$'),
        (((8, 1), "float32"), (8, 4), None, r'write y_true\.reshape\(\(-1,\)\)\.astype\("int32"\)$'),
        (((8, 4), "float32"), (8, 4), True, "pass one-hot rows without sparse$"),
        (((8,), "int32"), (8, 4), False, "give one target a prediction$"),
        (((8,), "float32"), (8, 1), None, r"write y_true\.reshape\(\(-1, 1\)\)$"),
        (((3, 8), "float32"), (8, 3), None, "give one target a prediction$"),  # a reshape would scramble it
        (((24,), "float32"), (8, 3), None, "give one target a prediction$"),
        (
            ((8,), "int32"),
            (8, 5, 5, 3),
            None,
            r"predictions have axes 5, 5 between .*: add \.flatten\(\) before the last dense$",
        ),
        (
            ((8, 3), "float32"),
            (8, 5, 3),
            None,
            r"predictions have axes 5 between .*: add \.flatten\(\) before the last dense$",
        ),
        (((8, 4), "int32"), (8, 5, 3), None, "give one target a prediction$"),  # a sequence of another length
    ],
)
def test_what_to_do_with_targets_of_another_form(y: Any, p: Any, sparse: bool | None, advice: str) -> None:
    shape, dtype = y
    with pytest.raises(ShapeError, match=rf"^categorical_cross_entropy: expected .*, got {dtype}\[.*; {advice}"):
        losses.categorical_cross_entropy(nx.zeros(shape, dtype=dtype), nx.zeros(p), sparse=sparse)


def test_reduction_words() -> None:
    with pytest.raises(ValueError, match='expected "none", "mean" or "sum", got \'average\''):
        losses.mean_squared_error(nx.zeros(2), nx.zeros(2), reduction="average")  # type: ignore[arg-type]
