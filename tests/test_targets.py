"""What named losses and metrics ask of a model's end and of targets."""

import functools
from functools import partial
from typing import Any

import numpy as np
import pytest
from axon import activations, losses, metrics, nx, training
from axon.datasets import batches
from axon.loop import Loop, evaluate
from axon.model import Model, init, input, predict
from axon.targets import Check, check_end, end_of, ends_of

EVALUATE = {"compiler": "evaluate"}
CCE, BCE, MSE = losses.categorical_cross_entropy, losses.binary_cross_entropy, losses.mean_squared_error
KL, HINGE, POISSON = losses.kl_divergence, losses.hinge, losses.poisson
X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
THREE = np.int32([0, 1, 2, 0, 1, 2])


def ending(units: int, activation: str | None = None, shape: Any = (None, 4)) -> Model:
    return input("x", shape=shape).dense(units, activation=activation)


@pytest.mark.parametrize(
    ("end", "loss", "text"),
    [
        ("sigmoid", CCE, r"expected a model that ends in softmax, got .* sigmoid_0 \(sigmoid\); .*, or use binary_cro"),
        ("softmax", BCE, r"expected a model that ends in sigmoid, got .* softmax_0 \(softmax\); .*, or use categoric"),
        ("softmax", partial(BCE, reduction="mean"), "expected a model that ends in sigmoid"),
        ("relu", CCE, r"got one that ends in relu_0 \(relu\); write softmax in its place$"),
        ("tanh", BCE, r"got one that ends in tanh_0 \(tanh\); write sigmoid in its place$"),
        ("hard_sigmoid", CCE, r"got one that ends in hard_sigmoid_0 .*; write softmax in its place$"),
        ("linear", CCE, r"got one that ends in linear_0 \(linear\); add .softmax\(\), which trains from these logits"),
        (None, partial(BCE, from_logits=False), r"got one that ends in dense_0 \(dense\); add .sigmoid\(\)"),
        ("softmax", partial(CCE, from_logits=True), "expected logits, by from_logits=True, got .*; leave from_lo"),
        ("sigmoid", partial(BCE, from_logits=True), "expected logits, by from_logits=True, got a model that ends"),
        ("sigmoid", KL, r"kl_divergence: expected a model that ends in softmax, got .*, or use binary_cross_entropy$"),
        ("softmax", BCE, "write sigmoid in its place, or use categorical_cross_entropy$"),
        (None, POISSON, r"poisson: expected a model that ends in exp, got .* dense_0 \(dense\); add .exp\(\), which"),
        ("tanh", "poisson", r"got one that ends in tanh_0 \(tanh\); write exp in its place$"),
    ],
)  # fmt: skip
def test_ends_that_a_loss_cannot_mean(end: str | None, loss: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Loop.trainer(ending(3, end), loss, "sgd")
    with pytest.raises(ValueError, match=text):
        training.step(ending(3, end), loss, "sgd")


PASSING = [
    lambda m: m.flatten(),
    lambda m: m.dropout().flatten(),
    lambda m: m.concatenate(m.dropout()),
    lambda m: m.sigmoid().dropout().concatenate(m, axis=0),
    lambda m: input("x", shape=(None, 2, 2, 4)).conv(3, 2).max_pool(kernel_size=1).flatten(),
    lambda m: input("x", shape=(None, 2, 2, 4)).conv(3, 2).global_avg_pool(),
    lambda m: m.add(m),
]


@pytest.mark.parametrize("passing", PASSING)
def test_what_passes_elements_on_is_seen_through(passing: Any) -> None:
    m = passing(ending(3))
    for loss, end in ((CCE, "softmax"), (BCE, "sigmoid")):
        with pytest.raises(
            ValueError, match=rf"got one that ends in (dense|conv|add)_\d+ .*; add .{end}\(\)|ends in sigmoid"
        ):
            check_end(m, loss)
        check_end(m, partial(MSE, reduction="mean"))
    check_end(m.softmax(), CCE)
    check_end(m.softmax().flatten(), CCE)
    check_end(m.sigmoid().dropout(), BCE)
    with pytest.raises(ValueError, match=r"ends in softmax, got one that ends in sigmoid_\d+"):
        check_end(m.sigmoid().flatten(), CCE)


@pytest.mark.parametrize("metric", [metrics.precision, metrics.recall, metrics.sensitivity, metrics.false_positives])
def test_decisions_are_of_probabilities_or_by_a_threshold(metric: Any) -> None:
    text = r"expected outputs that end in sigmoid, got dense_0 \(dense\); .*, threshold=0.0\)"
    with pytest.raises(ValueError, match=text):
        Check(ending(1), [metric])(X, np.ones((6, 1)))
    Check(ending(1), [partial(metric, threshold=0.0)])(X, np.ones((6, 1)))
    Check(ending(1, "sigmoid"), [metric])(X, np.ones((6, 1)))


def test_a_flattened_regression_has_no_accuracy() -> None:
    with pytest.raises(ValueError, match=r"accuracy: expected one output that ends in sigmoid, got dense_0 \(dense\)"):
        Check(ending(1).flatten(), [metrics.accuracy])(X, np.ones((6, 1)))


@pytest.mark.parametrize(
    ("end", "loss"),
    [
        ("softmax", CCE),
        ("exp", CCE),
        ("sigmoid", BCE),
        ("hard_sigmoid", BCE),
        (None, partial(CCE, from_logits=True)),
        ("relu", partial(CCE, from_logits=True)),
        ("softmax", partial(CCE, from_logits=False)),
        (lambda x: x, CCE),  # of whose output nothing is known
        ("sigmoid", lambda y, p: CCE(y, p, reduction="mean")),  # a function of the user's may mean anything
        ("softmax", KL),
        (None, partial(KL, from_logits=True)),
        *[(end, POISSON) for end in ("exp", "softplus", "relu", "sigmoid", lambda x: x)],
        (None, partial(POISSON, from_logits=True)),
        *[(end, f) for end in (None, "tanh", "softmax") for f in (HINGE, losses.categorical_hinge, losses.huber, MSE)],
    ],
)
def test_ends_that_a_loss_may_have(end: Any, loss: Any) -> None:
    check_end(ending(3, end), loss)


def test_what_layers_give() -> None:
    """Functions of the user's have it by their formulas, not by their names."""

    def softmax(x: Any) -> Any:
        return activations.softmax(x / 4)

    def tanh(x: Any) -> Any:
        return activations.softmax(x)

    gives = {name: end_of(ending(3, name)).gives for name in activations.__all__}
    assert {name for name in gives if gives[name] == "logits"} == {"linear", "log_softmax"}
    assert {name for name in gives if gives[name] == "probabilities"} == {"exp", "hard_sigmoid", "sigmoid", "softmax"}
    assert set(gives.values()) == {"logits", "values", "probabilities"}
    known = {activations.softmax: "probabilities", nx.sigmoid: "probabilities", nx.tanh: "values"}
    assert {f: end_of(ending(3, f)).gives for f in known} == known  # type: ignore[arg-type]
    images = input("x", shape=(None, 4, 4, 3))
    layers = (
        ending(3),
        images.conv(3, kernel_size=1),
        images.batch_norm(),
        ending(3).dropout(rate=0.5),
        images.flatten(),
    )
    assert [next(ends_of(m)).gives for m in layers] == ["logits", "logits", "logits", "logits", None]
    for function in (softmax, tanh, functools.wraps(activations.softmax)(softmax)):
        assert end_of(ending(3, function)).gives is None  # type: ignore[arg-type]
        check_end(ending(3, function), CCE)  # type: ignore[arg-type]


def test_a_softmax_of_ones_own_is_what_is_trained() -> None:
    def softmax(x: Any) -> Any:
        return activations.softmax(x / 4)

    m = ending(3, softmax)  # type: ignore[arg-type]
    state = init(m, **EVALUATE)
    p = predict(m, state, X, **EVALUATE)
    found = evaluate(m, state, [(X, THREE)], {}, "categorical_cross_entropy", **EVALUATE)["loss"]
    assert found == pytest.approx(float(CCE(nx.tensor(THREE), p, reduction="mean")), rel=1e-6)


@pytest.mark.parametrize("shape", [(None, 4), (None, None)])
def test_a_softmax_of_one_output_is_no_prediction(shape: Any) -> None:
    text = (
        "^categorical_cross_entropy: expected 2 outputs or more, got 1; .* end in sigmoid and use binary_cross_entropy"
    )
    m = ending(1, "softmax", shape)
    for y in (THREE, THREE[:, None]):
        with pytest.raises(ValueError, match=text):
            Loop.trainer(m, CCE, "sgd", progress=False).metric("accuracy").run([(X, y)], **EVALUATE)
    init_fn, step_fn = training.step(m, "categorical_cross_entropy", "sgd", **EVALUATE)
    with pytest.raises(ValueError, match=text):
        step_fn(init_fn(X), X, THREE)


HOT = np.eye(3, dtype=np.float32)[THREE]
NUMBERS = "categorical_cross_entropy: expected classes 0..2 for 3 outputs, got"
ROWS = "categorical_cross_entropy: expected rows of shares that sum to 1, such as one-hot rows, got"
SHARES = "binary_cross_entropy: expected targets in [0, 1], got"
SIGNS = "hinge: expected labels -1 and 1, got"
VALUES = {
    CCE: [
        (THREE, None),
        (THREE.astype(np.uint8), None),
        (HOT, None),
        (HOT.astype(bool), None),
        (HOT.astype(np.int64), None),
        (0.8 * HOT + 0.2 / 3, None),
        (nx.tensor(HOT, "bfloat16") * 0.8 + 0.2 / 3, None),
        (THREE.astype(np.float32), "expected integer classes"),  # which the step says
        (THREE + 1, f"{NUMBERS} 1..3; write y - 1"),
        (nx.tensor(THREE + 1), f"{NUMBERS} 1..3; write y - 1"),
        (THREE - 1, f"{NUMBERS} -1..1; renumber them: classes, y = np.unique(labels, return_inverse=True)"),
        (2 * THREE, f"{NUMBERS} 0..4; give the last layer 5 units, or renumber them: classes, y = np.unique("),
        (THREE + 5, f"{NUMBERS} 5..7; give the last layer 8 units, or renumber"),
        (-HOT, f"{ROWS} values from -1; where an example may have several classes, or none, end in sigmoid"),
        (HOT + HOT[::-1], f"{ROWS} one that sums to 2; where"),
        (0 * HOT, f"{ROWS} one that sums to 0; where"),
        (HOT * np.float32("nan"), f"{ROWS} values from nan; where"),
    ],
    BCE: [
        (HOT, None),
        (HOT.astype(bool), None),
        (HOT / 2, None),
        (2 * HOT - 1, f"{SHARES} -1..1; write (y + 1) / 2"),
        (HOT + 1, f"{SHARES} 1..2; write y - 1"),
        (nx.tensor(HOT, "bfloat16") + 1, f"{SHARES} 1..2; write y - 1"),
        (3 * HOT, f"{SHARES} 0..3; scale them into that range"),
        (HOT * np.float32("nan"), f"{SHARES} nan..nan; np.isnan(y) says where; mend the data"),
        (HOT - 0.5, f"{SHARES} -0.5..0.5; scale them into that range, or train a regression by mean_squared_error"),
    ],
    partial(CCE, sparse=False): [(HOT, None), (2 * HOT, f"{ROWS} one that sums to 2")],
    partial(CCE, class_weights=[1, 2, 3], reduction="mean"): [(THREE + 1, f"{NUMBERS} 1..3; write y - 1")],
    MSE: [(9 * HOT, None)],
    losses.categorical_hinge: [
        (THREE, None), (HOT, None), (0 * HOT, "categorical_hinge: expected rows of shares that sum to 1"),
        (THREE + 1, "categorical_hinge: expected classes 0..2 for 3 outputs, got 1..3; write y - 1"),
    ],
    KL: [
        (HOT, None), (0.5 * HOT + 0.5 / 3, None), (2 * HOT, "kl_divergence: expected rows of shares that sum to 1"),
        (HOT * np.float32("nan"), "kl_divergence: expected rows of shares that sum to 1, such as one-hot rows, got va"),
    ],
    HINGE: [
        (2 * HOT - 1, None), ((2 * HOT - 1).astype(np.int8), None),
        (HOT, f"{SIGNS} 0..1; write np.where(y > 0.5, 1, -1)"),
        (HOT.astype(bool), f"{SIGNS} 0..1; write np.where(y > 0.5, 1, -1)"),
        ((HOT + 1).astype(np.uint8), f"{SIGNS} 1..2; write np.where(y > 1.5, 1, -1)"),
        (HOT + THREE[:, None], f"{SIGNS} 0..3; for several classes use categorical_hinge or categorical_cross_en"),
        (np.where(HOT == 1, np.float32("nan"), 1), f"{SIGNS} nan..nan; np.isnan(y) says where; mend the data"),
    ],
    losses.soft_margin: [(2 * HOT - 1, None), (HOT, "soft_margin: expected labels -1 and 1, got 0..1; write np.wh")],
    POISSON: [
        (9 * HOT, None), (HOT.astype(np.uint8), None), (HOT / 2, None),
        (HOT - 1, "poisson: expected targets of at least 0, got -1..0; train a regression by mean_squared_error or"),
        (HOT * np.float32("nan"), "poisson: expected targets of at least 0, got nan..nan; np.isnan(y) says where"),
    ],
    losses.cosine_similarity: [(X[:, :3], None)],
}  # fmt: skip


@pytest.mark.parametrize(("loss", "y", "text"), [(f, y, text) for f, rows in VALUES.items() for y, text in rows])
def test_values_of_targets(loss: Any, y: Any, text: str | None) -> None:
    """Before the first step where a batcher holds them, at the first batch else, in validation and evaluation too."""
    given = loss if isinstance(loss, partial) and "reduction" in loss.keywords else partial(loss, reduction="mean")
    function = getattr(loss, "func", loss)
    m = ending(3, {CCE: "softmax", BCE: "sigmoid", KL: "softmax", POISSON: "exp"}.get(function))
    loop = Loop.trainer(m, given, "sgd", progress=False)
    good = (X, 2 * HOT - 1 if function in (HINGE, losses.soft_margin) else HOT)
    runs = [
        lambda: loop.run(batches(X, y), **EVALUATE),
        lambda: loop.run([(X, y)], **EVALUATE),
        lambda: loop.validate([(X, y)]).run([good], **EVALUATE),
        lambda: evaluate(m, init(m, **EVALUATE), [(X, y)], {}, given, **EVALUATE),
    ]
    for run in runs:
        if text is None:
            run()
        else:
            with pytest.raises(ValueError) as caught:
                run()
            assert text in str(caught.value)


ACCURACY = "accuracy: expected"


@pytest.mark.parametrize(
    ("m", "y", "text"),
    [
        (ending(3, "softmax"), THREE, None),
        (ending(3, "softmax"), HOT, None),
        (ending(3), THREE, None),  # of logits the largest counts, too
        (ending(1, "sigmoid"), THREE[:, None] > 1, None),
        (ending(1, lambda x: x), THREE[:, None] > 1, None),
        (ending(3, "softmax"), THREE + 1, f"{ACCURACY} classes 0..2 for 3 outputs, got 1..3; write y - 1"),
        (ending(3), X[:, :3], f"{ACCURACY} targets in [0, 1], got -"),
        (ending(1, "sigmoid"), THREE[:, None], f"{ACCURACY} targets in [0, 1], got 0..2; for 3 classes end in softmax"),
        (ending(1, "softmax"), THREE, f"{ACCURACY} one output that ends in sigmoid, got softmax_0 (softmax); "),
        (ending(1), X[:, :1], f"{ACCURACY} one output that ends in sigmoid, got dense_0 (dense); of a regression "),
    ],
)  # fmt: skip
def test_what_accuracy_is_of(m: Model, y: Any, text: str | None) -> None:
    def run() -> Any:
        return evaluate(m, init(m, **EVALUATE), [(X, y)], **EVALUATE)

    if text is None:
        assert 0 <= run()["accuracy"] <= 1
    else:
        with pytest.raises(ValueError) as caught:
            run()
        assert str(caught.value).startswith(text)


def test_accuracy_of_a_logit_has_to_be_told() -> None:
    m = ending(1)
    told = {"accuracy": partial(metrics.accuracy, from_logits=True)}
    assert 0 <= evaluate(m, init(m, **EVALUATE), [(X, THREE[:, None] > 1)], told, **EVALUATE)["accuracy"] <= 1


def test_labels_of_hinges_are_labels_to_metrics() -> None:
    """-1 and 1 mean what 0 and 1 do."""
    m, y = ending(1), THREE[:, None] > 0
    told = {
        "accuracy": partial(metrics.accuracy, from_logits=True),
        "true_positives": partial(metrics.true_positives, threshold=0.0),
    }
    of = [evaluate(m, init(m, **EVALUATE), [(X, t)], told, **EVALUATE) for t in (y, np.where(y, 1, -1))]
    assert of[0] == of[1]
    loop = Loop.trainer(m, "hinge", "sgd", progress=False).metric(*reversed(next(iter(told.items()))))
    assert loop.run([(X, np.where(y, 1, -1))], **EVALUATE).status == "completed"


@pytest.mark.parametrize(("end", "loss"), [("exp", "poisson"), ("softmax", "kl_divergence")])
def test_losses_look_behind_their_ends(end: str, loss: str) -> None:
    """Where the end underflows its value says nothing, and its input all."""
    m = getattr(input("x", shape=(None, 3)), end)()
    z = np.float32([[-200.0, 0.0, 1.0]])
    y = HOT[:1]
    found = evaluate(m, init(m, **EVALUATE), [(z, y)], {}, loss, **EVALUATE)["loss"]
    wanted = (np.exp(z) - y * z).mean() if loss == "poisson" else 200 + np.log(1 + np.e)
    assert found == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("name", ["precision", "recall", "specificity", "true_negatives"])
def test_precision_and_recall_are_of_labels(name: str) -> None:
    m = ending(1, "sigmoid")
    with pytest.raises(ValueError, match=rf"^{name}: expected targets in \[0, 1\], got 0..2; for 3 classes"):
        evaluate(m, init(m, **EVALUATE), [(X, THREE[:, None])], name, **EVALUATE)


def test_a_batch_is_looked_at_in_the_first_epoch_alone() -> None:
    looked: list[int] = []

    class Counted(np.ndarray):
        def min(self, *args: Any, **options: Any) -> Any:
            looked.append(1)
            return super().min(*args, **options)

    check = Check(ending(3, "softmax"), [CCE])
    check(X, THREE.view(Counted))
    assert looked == [1]
    good, bad = [(X, THREE)], [(X, THREE + 1)]
    epochs = iter([good, bad])
    loop = Loop.trainer(ending(3, "softmax"), "categorical_cross_entropy", "sgd", progress=False)
    assert len(loop.run(lambda: next(epochs), epochs=2, **EVALUATE).history) == 2


def test_classes_beside_one_output() -> None:
    loop = Loop.trainer(ending(1, "sigmoid"), "binary_cross_entropy", "sgd", progress=False)
    with pytest.raises(ValueError, match=r"got 0..2; for 3 classes end in softmax and use categorical_cross_entropy$"):
        loop.run(batches(X, THREE[:, None]), **EVALUATE)
    with pytest.raises(ValueError, match=r"got 0..255; write y / 255$"):
        loop.run(batches(X, np.where(THREE[:, None] > 0, 255, 0)), **EVALUATE)


PAIRED = {
    "broadcast": (lambda y, p: nx.mean((y - p) ** 2), True),
    "broadcast inside": (lambda y, p: nx.mean(nx.where(y > p, 2 * (y - p), p - y)), True),
    "reshaped": (lambda y, p: nx.mean((y.reshape((-1, 1)) - p) ** 2), False),
    "squeezed": (lambda y, p: nx.mean((y - p[:, 0]) ** 2), False),
    "of all pairs on purpose": (lambda y, p: nx.mean(nx.abs(p - p.reshape((1, -1)))), False),
}


@pytest.mark.parametrize("name", PAIRED)
def test_a_loss_that_broadcasts_targets_is_told_once(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    loss, told = PAIRED[name]
    loop = Loop.trainer(ending(1), loss, "sgd", progress=False).validate([(X, X[:, 0])])
    loop.run([(X, X[:, 0]), (X[:5], X[:5, 0])], epochs=2, **EVALUATE)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("loss: ")]
    assert lines == (
        [
            "loss: expected y_true and y_pred of one shape, got float32[6] and float32[6,1], which broadcast: each "
            "target is compared with every prediction; write y_true.reshape((-1, 1))"
        ]
        if told
        else []
    )
