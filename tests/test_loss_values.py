"""Every loss against its formula in NumPy's float64 and against torch and optax: values, slopes, dtypes, extremes."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import optax
import pytest
from axon import losses, nx
from axon.defn import jit, value_and_grad, vjp
from scipy import special

MODES = {"eager": lambda f: f, "native": jit, "evaluate": lambda f: jit(f, compiler="evaluate")}
INF, NAN = np.inf, np.nan
RNG = np.random.default_rng(7)
MAKE: dict[str, Callable[[tuple[int, ...]], np.ndarray]] = {
    "real": lambda shape: RNG.normal(0, 2, shape),
    "signs": lambda shape: RNG.choice([-1.0, 1.0], shape),
    "labels": lambda shape: RNG.choice([0.0, 0.25, 1.0], shape),
    "counts": lambda shape: RNG.poisson(2.0, shape).astype(float),
    "rates": lambda shape: RNG.uniform(0.1, 4, shape),
    "shares": lambda shape: RNG.uniform(0.05, 0.95, shape),
    "simplex": lambda shape: RNG.dirichlet(np.ones(shape[-1]), shape[:-1]),
    "hot": lambda shape: np.eye(shape[-1])[RNG.integers(0, shape[-1], shape[:-1])],
    "classes": lambda shape: RNG.integers(0, shape[-1], shape[:-1]),
}


def hot(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    return np.eye(p.shape[-1])[y] if y.ndim < p.ndim else y


def smoothed(y: np.ndarray, p: np.ndarray, share: float = 0.0) -> np.ndarray:
    return (1 - share) * hot(y, p) + share / p.shape[-1]


def huber(y: np.ndarray, p: np.ndarray, delta: float = 1.0) -> np.ndarray:
    d = np.abs(y - p)
    return np.where(d <= delta, d**2 / 2, delta * (d - delta / 2)).mean(-1)


def cosine(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    return -(y * p).sum(-1) / np.sqrt((y * y).sum(-1) * (p * p).sum(-1))


def binary(y: np.ndarray, z: np.ndarray, a: Any = 1.0, b: Any = 1.0) -> np.ndarray:
    return (a * y * np.logaddexp(0, -z) + b * (1 - y) * np.logaddexp(0, z)).mean(-1)


def of_shares(y: np.ndarray, p: np.ndarray, share: float = 0.0, w: Any = 1.0) -> np.ndarray:
    return -(w * smoothed(y, p, share) * np.log(p)).sum(-1)


def categorical(y: np.ndarray, z: np.ndarray, share: float = 0.0, w: Any = 1.0) -> np.ndarray:
    return of_shares(y, special.softmax(z, -1), share, w)


def categorical_hinge(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    y = hot(y, p)
    return np.maximum(0, 1 + ((1 - y) * p).max(-1) - (y * p).sum(-1))


class Case(NamedTuple):
    """A loss and its options; what targets and predictions are; and the formula of its rows."""

    name: str
    y: str
    p: str
    formula: Callable[[np.ndarray, np.ndarray], np.ndarray]
    options: dict[str, Any] = {}  # noqa: RUF012

    def __call__(self, y: Any, p: Any, **more: Any) -> nx.Tensor:
        return getattr(losses, self.name)(y, p, **self.options, **more)


LOGITS = {"from_logits": True}
W = [0.5, 3.0, 1.0, 0.0]
CASES = [
    Case("mean_squared_error", "real", "real", lambda y, p: ((y - p) ** 2).mean(-1)),
    Case("mean_absolute_error", "real", "real", lambda y, p: np.abs(y - p).mean(-1)),
    Case("huber", "real", "real", huber),
    Case("huber", "real", "real", lambda y, p: huber(y, p, 2.5), {"delta": np.float64(2.5)}),
    Case("log_cosh", "real", "real", lambda y, p: (np.logaddexp(y - p, p - y) - np.log(2)).mean(-1)),
    Case("cosine_similarity", "real", "real", cosine),
    Case("hinge", "signs", "real", lambda y, p: np.maximum(0, 1 - y * p).mean(-1)),
    Case("soft_margin", "signs", "real", lambda y, p: np.logaddexp(0, -y * p).mean(-1)),
    Case("categorical_hinge", "hot", "real", categorical_hinge),
    Case("categorical_hinge", "classes", "real", categorical_hinge),
    Case("kl_divergence", "simplex", "simplex", lambda y, p: special.rel_entr(y, p).sum(-1)),
    Case("kl_divergence", "hot", "real", categorical, LOGITS),
    Case("kl_divergence", "simplex", "real", lambda y, z: special.rel_entr(y, special.softmax(z, -1)).sum(-1), LOGITS),
    Case("poisson", "counts", "rates", lambda y, p: (p - y * np.log(p)).mean(-1)),
    Case("poisson", "counts", "real", lambda y, z: (np.exp(z) - y * z).mean(-1), LOGITS),
    Case("binary_cross_entropy", "labels", "shares", lambda y, p: binary(y, special.logit(p))),
    Case("binary_cross_entropy", "labels", "real", binary, LOGITS),
    Case(
        "binary_cross_entropy", "labels", "shares", lambda y, p: binary(y, special.logit(p), 3, 0.5),
        {"positive_weight": 3, "negative_weight": np.float64(0.5)},
    ),
    Case("binary_cross_entropy", "labels", "real", lambda y, z: binary(y, z, 3), {"positive_weight": 3, **LOGITS}),
    Case("binary_cross_entropy", "labels", "real", lambda y, z: binary(y, z, 1, W), {"negative_weight": W, **LOGITS}),
    Case("categorical_cross_entropy", "simplex", "simplex", of_shares),
    Case("categorical_cross_entropy", "classes", "real", categorical, LOGITS),
    Case(
        "categorical_cross_entropy", "classes", "simplex", lambda y, p: of_shares(y, p, 0.1),
        {"label_smoothing": 0.1},
    ),
    *(
        Case(
            "categorical_cross_entropy", kind, "real", lambda y, z, share=share: categorical(y, z, share, W),
            {"label_smoothing": share, "class_weights": W, **LOGITS},
        )
        for kind in ("classes", "hot", "simplex")
        for share in (0.0, 0.25)
    ),
]  # fmt: skip
PAIRS = [case._replace(y=MAKE[case.y]((6, 4)), p=MAKE[case.p]((6, 4))) for case in CASES]  # type: ignore[arg-type]
IDS = [f"{c.name}-{c.y}-{','.join(c.options)}" for c in CASES]


def tensor(values: Any, dtype: str) -> nx.Tensor:
    return nx.tensor(values, "int32" if values.dtype.kind == "i" else dtype)


def value_and_slope(loss: Callable[[nx.Tensor], nx.Tensor], p: nx.Tensor) -> tuple[nx.Tensor, nx.Tensor]:
    """Of each row: all are summed."""
    value, pullback = vjp(loss, p)
    return value, pullback(nx.ones_like(value))[0]


def test_every_loss_is_in_the_table() -> None:
    assert {case.name for case in CASES} | {"margin_ranking"} == set(losses.__all__)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_values_and_slopes_in_every_dtype(dtype: str, mode: str) -> None:
    """Near the formula in float64 of the numbers that the dtype holds."""

    def both(given: list[tuple[nx.Tensor, nx.Tensor]]) -> list[Any]:
        return [value_and_slope(partial(case, y), p) for case, (y, p) in zip(PAIRS, given)]

    given = [(tensor(case.y, dtype), tensor(case.p, dtype)) for case in PAIRS]
    rtol = {"float32": 1e-5, "float64": 1e-6}.get(dtype, 1e-2)
    for case, (y, p), (value, slope) in zip(PAIRS, given, MODES[mode](both)(given)):
        assert str(value.dtype) == str(slope.dtype) == dtype and value.shape == (6,) and slope.shape == (6, 4)
        y, p = y.numpy(), p.numpy().astype(np.float64)
        y = y if y.dtype.kind == "i" else y.astype(np.float64)
        wanted = case.formula(y, p), by_differences(case.formula, y, p)
        for got, want in zip((value, slope), wanted):
            np.testing.assert_allclose(got.numpy().astype(np.float64), want, rtol=rtol, atol=rtol, err_msg=str(case))


def by_differences(formula: Any, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The slopes of the sum of rows, which are each of their own row."""
    steps = 1e-6 * np.eye(p.shape[-1])
    return np.stack([(formula(y, p + step) - formula(y, p - step)) / 2e-6 for step in steps], -1)


@pytest.mark.parametrize("case", CASES, ids=IDS)
@pytest.mark.parametrize("shape", [(4,), (2, 3, 4), (3, 2, 1, 4)])
def test_shapes_and_reductions(case: Case, shape: tuple[int, ...]) -> None:
    y, p = MAKE[case.y](shape), MAKE[case.p](shape)
    rows = case.formula(np.asarray(y), p)
    y, p = tensor(np.asarray(y), "float64"), tensor(p, "float64")
    total = rows.size
    if "class_weights" in case.options:
        total = (hot(y.numpy(), p.numpy()) * W).sum()
    np.testing.assert_allclose(case(y, p), rows, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(case(y, p, reduction="sum"), rows.sum(), rtol=1e-5, atol=1e-6)
    if total:
        np.testing.assert_allclose(case(y, p, reduction="mean"), rows.sum() / total, rtol=1e-5, atol=1e-6)


def torch_losses() -> dict[str, tuple[Case, Callable[[Any, Any, str], Any]]]:
    """Ours and theirs, a function of (y, p, reduction): the losses that torch has, some of one value an element."""
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    w = torch.tensor([0.5, 3.0, 1.0, 2.0], dtype=torch.float64)
    ours = {"class_weights": w.tolist(), "from_logits": True}
    smooth = {**ours, "label_smoothing": 0.3}

    def case(name: str, y: str, p: str, **options: Any) -> Case:
        return Case(name, y, p, lambda y, p: p, options)

    return {
        "huber": (case("huber", "real", "real", delta=1.5), lambda y, p, r: f.huber_loss(p, y, r, delta=1.5)),
        "soft": (case("soft_margin", "signs", "real"), lambda y, p, r: f.soft_margin_loss(p, y, reduction=r)),
        "poisson": (
            case("poisson", "counts", "rates"),
            lambda y, p, r: f.poisson_nll_loss(p, y, log_input=False, eps=1e-7, reduction=r),
        ),
        "poisson of logs": (
            case("poisson", "counts", "real", from_logits=True), lambda y, p, r: f.poisson_nll_loss(p, y, reduction=r)
        ),
        "kl": (
            case("kl_divergence", "simplex", "real", from_logits=True),
            lambda y, p, r: f.kl_div(f.log_softmax(p, -1), y, reduction="none").sum(-1),
        ),
        "cosine": (case("cosine_similarity", "real", "real"), lambda y, p, r: -f.cosine_similarity(p, y, -1)),
        "positive weights": (
            case("binary_cross_entropy", "labels", "real", positive_weight=w.tolist(), from_logits=True),
            lambda y, p, r: f.binary_cross_entropy_with_logits(p, y, pos_weight=w, reduction=r),
        ),
        "class weights": (
            case("categorical_cross_entropy", "classes", "real", **ours),
            lambda y, p, r: f.cross_entropy(p, y, weight=w, reduction=r),
        ),
        "smoothing": (
            case("categorical_cross_entropy", "classes", "real", from_logits=True, label_smoothing=0.3),
            lambda y, p, r: f.cross_entropy(p, y, label_smoothing=0.3, reduction=r),
        ),
        "smoothing and class weights": (
            case("categorical_cross_entropy", "classes", "real", **smooth),
            lambda y, p, r: f.cross_entropy(p, y, weight=w, label_smoothing=0.3, reduction=r),
        ),
        "shares and class weights": (  # of one value a row: theirs divides a mean of these by the rows
            case("categorical_cross_entropy", "simplex", "real", **smooth),
            lambda y, p, r: f.cross_entropy(p, y, weight=w, label_smoothing=0.3, reduction="none"),
        ),
    }  # fmt: skip


THEIRS = [
    "huber", "soft", "poisson", "poisson of logs", "kl", "cosine", "positive weights", "class weights", "smoothing",
    "smoothing and class weights", "shares and class weights",
]  # fmt: skip


@pytest.mark.parametrize("name", THEIRS)
def test_torch(name: str) -> None:
    table = torch_losses()
    torch = pytest.importorskip("torch")
    assert list(table) == THEIRS
    case, theirs = table[name]
    y, p = MAKE[case.y]((6, 4)), MAKE[case.p]((6, 4))
    mine, z = tensor(y, "float64"), tensor(p, "float64")
    for reduction in ("none", "mean", "sum"):
        x = torch.tensor(p, requires_grad=True)
        found = theirs(torch.tensor(y), x, reduction)
        by_row = found.ndim == 1  # or by element, whose mean is our row; or reduced
        if found.ndim == 2 or (reduction == "sum" and found.ndim == 0 and case.name != "categorical_cross_entropy"):
            found = found.mean(-1) if found.ndim == 2 else found / 4
        if by_row and reduction != "none":
            if name == "shares and class weights" and reduction == "mean":
                continue
            found = getattr(found, reduction)()
        found.sum().backward()
        ours, slope = value_and_grad(lambda z: nx.sum(case(mine, z, reduction=reduction)))(z)  # noqa: B023
        np.testing.assert_allclose(case(mine, z, reduction=reduction), found.detach().numpy(), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(slope, x.grad.numpy(), rtol=1e-9, atol=1e-12)
        assert ours.item() == pytest.approx(found.sum().item())


def test_optax() -> None:
    y, p, s = (MAKE[kind]((6, 4)).astype("f4") for kind in ("real", "real", "signs"))
    for ours, theirs in (
        (losses.log_cosh(y, p), optax.log_cosh(p, y).mean(-1)),
        (losses.huber(y, p, delta=0.5), optax.huber_loss(p, y, delta=0.5).mean(-1)),
        (losses.hinge(s, p), optax.hinge_loss(p, s).mean(-1)),
        (losses.cosine_similarity(y, p) + 1, optax.cosine_distance(p, y)),
    ):
        np.testing.assert_allclose(ours, np.asarray(theirs), rtol=1e-5, atol=1e-6)


CUT = -np.log(np.float32(1e-7))
# The loss of a row of (target, prediction), and its slopes by the prediction.
EXTREMES: dict[str, tuple[Callable[..., Any], list[tuple[list[float], list[float], float, list[float]]]]] = {
    "hinge": (losses.hinge, [
        ([1], [INF], 0, [0]), ([1], [-INF], INF, [-1]), ([-1], [3e38], 3e38, [1]), ([1], [1], 0, [0]),
        ([1], [NAN], NAN, [-1]),
    ]),
    "soft_margin": (losses.soft_margin, [
        ([1], [INF], 0, [0]), ([1], [-INF], INF, [-1]), ([-1], [200], 200, [1]),
        ([1], [50], np.exp(-50), [-np.exp(-50)]), ([-1], [0], np.log(2), [0.5]),
    ]),
    "huber": (losses.huber, [
        ([0], [INF], INF, [1]), ([0], [-3e38], 3e38, [-1]), ([0], [0], 0, [0]), ([0], [1], 0.5, [1]),
        ([0], [1e-3], 5e-7, [1e-3]),
    ]),
    "log_cosh": (losses.log_cosh, [
        ([0], [INF], INF, [1]), ([0], [-3e38], 3e38, [-1]), ([0], [0], 0, [0]), ([0], [1e-4], 5e-9, [1e-4]),
        ([0], [-1e-6], 5e-13, [-1e-6]), ([0], [1], np.log(np.cosh(1)), [np.tanh(1)]),
    ]),
    "cosine_similarity": (losses.cosine_similarity, [
        ([1, 0], [0, 0], 0, [-1e6, 0]), ([0, 0], [1, 2], 0, [0, 0]), ([1, 0], [1e-20, 0], -1e-14, [-1e6, 0]),
        ([3e38, 0], [3e38, 3e38], -np.sqrt(0.5), [0, 0]), ([3, 4], [3e30, -4e30], 7 / 25, [0, 0]),
    ]),
    "categorical_hinge": (losses.categorical_hinge, [
        ([0, 1], [-INF, 0.5], 0.5, [0, -1]), ([1, 0], [INF, 0], 0, [0, 0]), ([1, 0], [-INF, 1], INF, [-1, 1]),
        ([1, 0], [0, INF], INF, [-1, 1]), ([1, 0], [-1, -2], 2, [-1, 0]), ([1, 0], [3e38, 1], 0, [0, 0]),
    ]),
    "kl_divergence": (losses.kl_divergence, [
        ([1, 0], [0, 1], CUT, [0, 0]), ([0, 1], [0, 1], 0, [0, -1]), ([0, 0], [0, 0], 0, [0, 0]),
    ]),
    "kl_divergence of logits": (lambda y, z: losses.kl_divergence(y, z, from_logits=True), [
        ([0, 1], [-INF, 0], 0, [0, 0]), ([0.5, 0.5], [-INF, 0], INF, [-0.5, 0.5]), ([1, 0], [200, 0], 0, [0, 0]),
        ([0, 1], [200, 0], 200, [1, -1]), ([0, 0], [-INF, -INF], 0, [0, 0]),
    ]),
    "poisson": (losses.poisson, [
        ([0], [0], 0, [1]), ([1], [0], CUT, [1 - 1e7]), ([0], [INF], INF, [1]), ([2], [INF], INF, [1]),
        ([1], [3e38], 3e38, [1]), ([1], [-1], NAN, [2]),
    ]),
    "poisson of logs": (lambda y, z: losses.poisson(y, z, from_logits=True), [
        ([0], [-INF], 0, [0]), ([1], [-INF], INF, [-1]), ([0], [INF], INF, [INF]), ([2], [INF], INF, [INF]),
        ([1], [0], 1, [0]), ([1], [-200], 200, [-1]),
    ]),
    "weighted binary": (lambda y, z: losses.binary_cross_entropy(y, z, positive_weight=3, from_logits=True), [
        ([1], [-INF], INF, [-3]), ([1], [INF], 0, [0]), ([0], [INF], INF, [1]), ([0], [-INF], 0, [0]),
        ([1], [0], 3 * np.log(2), [-1.5]), ([1], [-200], 600, [-3]), ([0.5], [INF], INF, [0.5]),
    ]),
    "binary, weight 0": (lambda y, z: losses.binary_cross_entropy(y, z, positive_weight=0, from_logits=True), [
        ([1], [-INF], 0, [0]), ([1], [INF], 0, [0]), ([0], [INF], INF, [1]), ([1], [5], 0, [0]),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", EXTREMES)
def test_extremes(name: str, mode: str) -> None:
    loss, rows = EXTREMES[name]
    y, p = (nx.tensor([row[i] for row in rows], "float32") for i in (0, 1))
    value, slope = MODES[mode](lambda y, p: value_and_slope(partial(loss, y), p))(y, p)
    np.testing.assert_allclose(value, [row[2] for row in rows], rtol=2e-6)
    np.testing.assert_allclose(slope, [row[3] for row in rows], rtol=2e-6, atol=1e-30)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_least_and_the_largest_of_a_dtype(case: Case, dtype: str) -> None:
    """Values are never NaN, nor slopes; where a prediction is no more than 1, both are finite."""
    info = nx.finfo(dtype)
    several = [0.0, 1.0, info.smallest_normal, info.max]
    several += [] if case.p in ("rates", "shares", "simplex") else [-v for v in several]
    for v in several:
        y, p = tensor(np.asarray(MAKE[case.y]((6, 4))), dtype), nx.full((6, 4), v, dtype)
        found = [t.numpy().astype(np.float64) for t in value_and_slope(partial(case, y), p)]
        assert not any(np.isnan(t).any() for t in found), v
        assert abs(v) > 1 or all(np.isfinite(t).all() for t in found), v


def test_log_cosh_of_close_numbers_is_no_difference_of_large_ones() -> None:
    p = nx.tensor(10.0 ** np.arange(-18.0, 0.0), "float32").reshape((-1, 1))
    d = p.numpy().astype(np.float64)[:, 0]
    np.testing.assert_allclose(losses.log_cosh(nx.zeros_like(p), p), np.log1p(2 * np.sinh(d / 2) ** 2), rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_margin_ranking(mode: str) -> None:
    y, a, b = nx.tensor([1.0, 1.0, -1.0, -1.0]), nx.tensor([3.0, 0.5, 2.0, INF]), nx.tensor([1.0, 1.0, 1.5, 0.0])

    def both(y: nx.Tensor, a: nx.Tensor, b: nx.Tensor) -> Any:
        value, pullback = vjp(lambda a, b: losses.margin_ranking(y, (a, b), margin=0.25), a, b)
        return value, pullback(nx.ones_like(value))

    value, (first, second) = MODES[mode](both)(y, a, b)
    assert value.tolist() == [0.0, 0.75, 0.75, INF]
    assert first.tolist() == [0.0, -1.0, 1.0, 1.0] and second.tolist() == [0.0, 1.0, -1.0, -1.0]


def test_margin_ranking_of_pairs_in_both_forms() -> None:
    y, (a, b) = MAKE["signs"]((5, 3)), (MAKE["real"]((5, 3)), MAKE["real"]((5, 3)))
    torch = pytest.importorskip("torch")
    for reduction in ("none", "mean", "sum"):
        options: Any = {"margin": 0.5, "reduction": reduction}
        theirs = torch.nn.functional.margin_ranking_loss(*map(torch.tensor, (a, b, y)), **options)
        for found in (losses.margin_ranking(y, (a, b), **options), losses.margin_ranking(y, a, b, **options)):
            np.testing.assert_allclose(found, theirs, rtol=1e-12)
    half = losses.margin_ranking(*(nx.tensor(t, "float16") for t in (y, a, b)))
    assert half.dtype is nx.float16
