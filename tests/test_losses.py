"""Losses against optax, and what they refuse."""

from typing import Any

import numpy as np
import optax
import pytest
from axon import activations, losses, metrics, nx
from axon.defn import debug, grad, jit, vjp
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


ROWS = [name for name in losses.__all__ if name != "margin_ranking"]  # which is of pairs, one value each
INF = np.inf
MODES = {"eager": lambda f: f, "native": jit, "evaluate": lambda f: jit(f, compiler="evaluate")}


def of_rows(loss: Any, rows: Any, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """The loss of each row of (target, prediction, ...), and its slopes by the predictions."""
    y, z = nx.tensor([row[0] for row in rows], "float32"), nx.tensor([row[1] for row in rows], "float32")

    def both(y: nx.Tensor, z: nx.Tensor) -> Any:
        value, pullback = vjp(lambda z: loss(y, z, from_logits=True), z)
        return value, pullback(nx.ones_like(value))[0]

    value, slope = MODES[mode](both)(y, z)
    return value.numpy(), slope.numpy()


@pytest.mark.parametrize("mode", MODES)
def test_categorical_cross_entropy_of_masked_logits(mode: str) -> None:
    """A target of 0 does not count, whatever its logit; one above 0 does."""
    p = np.log(2)
    rows = [  # target, logits, loss, slopes
        ([0, 1, 0], [-INF, 0, 0], p, [0, -0.5, 0.5]),
        ([0, 0.5, 0.5], [-INF, 0, 0], p, [0, 0, 0]),
        ([1, 0, 0], [-INF, 0, 0], INF, [-1, 0.5, 0.5]),
        ([0.5, 0.5, 0], [-INF, 0, 0], INF, [-0.5, 0, 0.5]),
        ([1, 0, 0], [INF, 0, 0], 0, [0, 0, 0]),
        ([0, 1, 0], [INF, 0, 0], INF, [1, -1, 0]),
        ([0, 0, 0], [-INF, -INF, -INF], 0, [0, 0, 0]),  # a row of padding
        ([1, 0, 0], [3e38, -3e38, 0], 0, [0, 0, 0]),
        ([0, 1, 0], [np.nan, 0, 0], np.nan, [np.nan] * 3),
    ]
    value, slope = of_rows(losses.categorical_cross_entropy, rows, mode)
    np.testing.assert_allclose(value, [row[2] for row in rows], rtol=1e-6)
    np.testing.assert_allclose(slope, [row[3] for row in rows], rtol=1e-6, atol=1e-7)
    hard = [row for row in rows if sum(row[0]) == 1 == max(row[0])]
    y, z = (nx.tensor([row[i] for row in hard], "float32") for i in (0, 1))
    sparse = losses.categorical_cross_entropy(nx.argmax(y, axis=-1), z, from_logits=True)
    np.testing.assert_allclose(sparse, [row[2] for row in hard], rtol=1e-6)
    weighted = losses.categorical_cross_entropy(y[2:4], z[2:4], from_logits=True, class_weights=[1.0, 0.0, 1.0])
    assert weighted.tolist() == [0.0, 0.0]  # the second's class weighs nothing, though its loss is infinite


@pytest.mark.parametrize("mode", MODES)
def test_binary_cross_entropy_at_the_limits(mode: str) -> None:
    rows = [  # target, logit, loss, slope
        (1, INF, 0, 0), (0, INF, INF, 1), (0, -INF, 0, 0), (1, -INF, INF, -1),
        (0.75, INF, INF, 0.25), (0.75, -INF, INF, -0.75), (0.25, INF, INF, 0.75), (0.25, -INF, INF, -0.25),
        (1, 0, np.log(2), -0.5), (0, 0, np.log(2), 0.5), (0.5, 0, np.log(2), 0), (0.5, INF, INF, 0.5),
        (1, 3e38, 0, 0), (0, -3e38, 0, 0), (1, -3e38, 3e38, -1), (0, 3e38, 3e38, 1),
        (1, 20, np.log1p(np.exp(-20)), -1 / (1 + np.exp(20))), (0, -50, np.exp(-50), np.exp(-50)),
        (0, np.nan, np.nan, np.nan), (np.nan, 1, np.nan, np.nan),
    ]  # fmt: skip
    value, slope = of_rows(losses.binary_cross_entropy, [([y], [z]) for y, z, *_ in rows], mode)
    np.testing.assert_allclose(value, [row[2] for row in rows], rtol=1e-6)
    np.testing.assert_allclose(slope[:, 0], [row[3] for row in rows], rtol=1e-6)


def test_binary_cross_entropy_is_smooth() -> None:
    """Second derivatives, and those by the targets, as distillation takes them."""
    loss = lambda y, z: losses.binary_cross_entropy(y, z, from_logits=True, reduction="sum")  # noqa: E731
    y, z = nx.tensor([[0.0, 0.2, 0.5, 0.8, 1.0]]), nx.tensor([[0.0, 1.0, 0.0, -2.0, 0.0]])
    curve = grad(lambda z: nx.sum(grad(lambda z: loss(y, z))(z)))(z)
    p = 1 / (1 + np.exp(-z.numpy()))
    np.testing.assert_allclose(curve, p * (1 - p) / 5, rtol=1e-5)
    np.testing.assert_allclose(grad(loss)(y, z), -z.numpy() / 5, rtol=1e-6)


LABELS = {
    "uint8": (256, 300),
    "int8": (128, 200),
    "int16": (32768,),
    "uint16": (65536,),
    "uint32": (3,),
    "uint64": (3,),
}


@pytest.mark.parametrize(("dtype", "count"), [(dtype, n) for dtype, counts in LABELS.items() for n in counts])
def test_labels_of_every_integer_dtype(dtype: str, count: int) -> None:
    """Their dtype need not hold the number of classes."""
    last = min(nx.iinfo(dtype).max, count - 1)
    y, z = nx.tensor([0, last], dtype), nx.zeros((2, count))
    for run in (losses.categorical_cross_entropy, jit(losses.categorical_cross_entropy, static=["from_logits"])):
        found = run(y, z, from_logits=True)
        np.testing.assert_allclose(found, [np.log(count)] * 2, rtol=1e-5)
    p = (nx.arange(count) == nx.tensor([[0], [last]])).astype("float32")
    assert metrics.accuracy(y, p).item() == 1 and metrics.accuracy(y, nx.flip(p, axis=0)).item() == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_losses_of_halves_are_rounded_once(dtype: str, mode: str) -> None:
    rng = np.random.default_rng(1)
    y = nx.tensor(np.eye(7, dtype=np.float32)[rng.integers(0, 7, 9)], dtype)
    p = nx.tensor(rng.uniform(0.05, 0.95, (9, 7)), dtype)

    def both(y: nx.Tensor, p: nx.Tensor) -> Any:
        found = {}
        for name in [n for n in ROWS if n != "poisson"]:  # which adds more to a rate of float16
            for reduction in ("none", "mean", "sum"):
                loss = getattr(losses, name)
                value, pullback = vjp(lambda p, loss=loss, reduction=reduction: loss(y, p, reduction=reduction), p)
                found[name, reduction] = value, pullback(nx.ones_like(value))[0]
        return found

    found, wanted = MODES[mode](both)(y, p), MODES[mode](both)(y.astype("float32"), p.astype("float32"))
    for key, made in found.items():
        for got, want in zip(made, wanted[key]):
            assert str(got.dtype) == dtype and got.tolist() == want.astype(dtype).tolist(), key


def test_squares_and_sums_of_halves_do_not_overflow() -> None:
    zeros, p = nx.zeros((1, 2), "float16"), nx.tensor([[300.0, 1.0]], "float16")
    assert losses.mean_squared_error(zeros, p).tolist() == [np.float16(45000.5)]
    assert metrics.mean_squared_error(zeros, p).item() == 45000.5  # a metric is float32
    many = nx.full((1, 5000), 100.0, "float16")
    assert losses.mean_absolute_error(nx.zeros_like(many), many).tolist() == [100.0]
    assert losses.categorical_cross_entropy(
        nx.tensor([1]), nx.zeros((1, 70000), "float16"), from_logits=True
    ).item() == (pytest.approx(np.log(70000), rel=1e-3))


@pytest.mark.parametrize("name", ROWS)
def test_empty_batches(name: str) -> None:
    loss, nothing = getattr(losses, name), nx.zeros((0, 3))
    assert loss(nothing, nothing).shape == (0,) and loss(nothing, nothing, reduction="sum").item() == 0
    assert np.isnan(loss(nothing, nothing, reduction="mean").item())  # the mean of nothing, as nx.mean has it


def test_rows_of_nothing() -> None:
    """Two rows of no numbers have no direction; of no classes none is the true one."""
    nothing = nx.zeros((2, 0))
    assert losses.cosine_similarity(nothing, nothing).tolist() == [0, 0]
    for function in (losses.categorical_hinge, losses.categorical_cross_entropy, metrics.accuracy):
        for y in (nothing, nx.zeros((2,), "int32")):
            with pytest.raises(ShapeError, match=rf"^{function.__name__}: expected predictions of one class or more"):
                function(y, nothing)


@pytest.mark.parametrize("name", ROWS)
def test_a_single_number_is_no_row(name: str) -> None:
    text = rf"^{name}: expected rows of predictions \[..., n\], got float32\[\]; write .reshape\(\(1,\)\)"
    with pytest.raises(ShapeError, match=text):
        getattr(losses, name)(nx.tensor(1.0), nx.tensor(0.5))


@pytest.mark.parametrize("name", ROWS)
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
        (((8,), "int32"), (8, 4), False, r"classes are for cross-entropies: write one-hot rows, np\.eye\(4\)\[y\]$"),
        (((8, 4), "float32"), (8,), None, "give one target a prediction$"),  # no classes
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


def test_arguments_the_wrong_way_round() -> None:
    y, p = nx.tensor([0, 1]), nx.zeros((2, 3))
    with pytest.raises(ShapeError, match=r"got float32\[2,3\] and int32\[2\]; the targets are the first argument$"):
        losses.categorical_cross_entropy(p, y)


def test_reduction_words() -> None:
    with pytest.raises(ValueError, match='expected "none", "mean" or "sum", got \'average\''):
        losses.mean_squared_error(nx.zeros(2), nx.zeros(2), reduction="average")  # type: ignore[arg-type]
