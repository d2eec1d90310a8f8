"""Norm layers against their definition in float64, and PyTorch: axes, groups, running averages, dtypes, gradients."""

import math
from typing import Any

import numpy as np
import pytest
from axon import init, input, layers, nx, predict, testing
from axon.defn import jit, vjp
from axon.errors import ShapeError
from axon.layers import Stateful
from axon.model import build

from tests import cases

MODES = {"eager": lambda f: f, "native": jit, "evaluate": lambda f: jit(f, compiler="evaluate")}
IMAGES = [(2, 5, 6), (3, 4, 5, 6), (2, 3, 1, 4, 6), (1, 1, 1, 6), (2, 2, 2, 1)]
CASES: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    *[("instance_norm", shape, {}) for shape in IMAGES],
    ("instance_norm", (2, 6, 3, 4), {"channels": "first", "epsilon": 0.1}),
    ("instance_norm", (2, 3, 6, 4), {"axis": 2}),
    *[("layer_norm", shape, {}) for shape in [*IMAGES, (3, 6), (6,)]],
    ("layer_norm", (2, 6, 3, 4), {"channels": "first", "epsilon": 0.1}),
    ("layer_norm", (6, 2, 3), {"axis": 0}),
    *[("group_norm", shape, {"num_groups": shape[-1] // 2 or 1}) for shape in [*IMAGES, (3, 6)]],
    ("group_norm", (2, 3, 4, 6), {"num_groups": 1}),
    ("group_norm", (2, 3, 4, 6), {"group_size": 1, "epsilon": 0.1}),
    ("group_norm", (2, 6, 4, 3), {"group_size": 3, "channels": "first"}),
    ("group_norm", (2, 3, 6, 4), {"num_groups": 3, "axis": -2}),
    *[("batch_norm", shape, {}) for shape in [*IMAGES, (3, 6)]],
    ("batch_norm", (2, 6, 4), {"channels": "first", "epsilon": 0.1}),
    ("batch_norm", (6, 4), {"axis": 0}),
]
SOME = CASES[1::4]  # of each norm, images and others
IDS = [f"{name}-{'x'.join(map(str, shape))}-{options}" for name, shape, options in CASES]


def place(shape: tuple[int, ...], options: dict[str, Any]) -> int:
    return 1 if options.get("channels") == "first" else options.get("axis", -1) % len(shape)


def drawn(case: Any, dtype: str = "float64") -> list[nx.Tensor]:
    _, shape, options = case
    rng, c = np.random.default_rng(0), shape[place(shape, options)]
    made = [rng.normal(2, 3, shape), rng.normal(1, 1, c), rng.normal(0, 1, c)]
    return [nx.tensor(v, dtype) for v in made]


def defined(case: Any, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """By the channels moved to the end, in groups."""
    name, shape, options = case
    at = place(shape, options)
    x = np.moveaxis(x, at, -1)
    groups = {"instance_norm": x.shape[-1], "batch_norm": x.shape[-1], "layer_norm": 1}.get(name) or (
        options.get("num_groups") or x.shape[-1] // options["group_size"]
    )
    parts = x.reshape(*x.shape[:-1], groups, -1)
    axes = {
        "batch_norm": (*range(x.ndim - 1), -1),
        "layer_norm": (-1,),
    }.get(name, (*range(1, x.ndim - 1), -1))
    parts = parts - parts.mean(axes, keepdims=True)
    parts = parts / np.sqrt((parts**2).mean(axes, keepdims=True) + options.get("epsilon", 1e-5))
    return np.moveaxis(parts.reshape(x.shape) * gamma + beta, -1, at)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_values(dtype: str, mode: str) -> None:
    """All norms by their own moments; halves as the same numbers in float32, rounded once."""
    some = SOME if mode == "native" else CASES
    given = [drawn(case, dtype) for case in some]

    def run(given: Any) -> Any:
        return [getattr(layers, name)(*v, **options) for (name, _, options), v in zip(some, given)]

    wide = run([[t.astype("float32") for t in v] for v in given])
    for case, tensors, found, rounded in zip(some, given, MODES[mode](run)(given), wide):
        assert str(found.dtype) == dtype and found.shape == case[1]
        want = defined(case, *(t.numpy().astype(np.float64) for t in tensors))
        epsilon = 16 * cases.EPSILON[dtype] if dtype in ("float32", "float64") else cases.EPSILON[dtype]
        np.testing.assert_allclose(found.numpy().astype(np.float64), want, rtol=epsilon, atol=8 * epsilon)
        if dtype in ("float16", "bfloat16") and mode == "eager":
            assert found.tolist() == rounded.astype(dtype).tolist(), case


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_gradients(case: Any) -> None:
    name, _, options = case
    testing.check_grads(
        lambda *tensors: getattr(layers, name)(*tensors, **options), *(t.numpy() for t in drawn(case)), rtol=1e-5
    )


@pytest.mark.parametrize("mode", ["native", "evaluate"])
def test_gradients_compiled(mode: str) -> None:
    def slopes(given: Any) -> Any:
        pulled = [vjp(lambda *v, n=n, o=o: getattr(layers, n)(*v, **o), *v) for (n, _, o), v in zip(SOME, given)]
        return [pullback(y * y) for y, pullback in pulled]

    given = [drawn(case) for case in SOME]
    for case, found, want in zip(SOME, MODES[mode](slopes)(given), slopes(given)):
        for f, w in zip(found, want):
            np.testing.assert_allclose(f, w, rtol=1e-9, atol=1e-9, err_msg=str(case))


@pytest.mark.parametrize("name", ["layer_norm", "group_norm", "instance_norm", "batch_norm"])
def test_parameters_may_be_left_out(name: str) -> None:
    options = {"num_groups": 2} if name == "group_norm" else {}
    x, gamma, beta = drawn((name, (2, 3, 4), {}))
    function = getattr(layers, name)
    plain = function(x, **options)
    np.testing.assert_allclose(function(x, gamma, **options), plain * gamma, rtol=1e-12)
    np.testing.assert_allclose(function(x, None, beta, **options), plain + beta, rtol=1e-12)
    assert function(x, mode="train").shape == x.shape if name in ("instance_norm", "batch_norm") else True
    made = getattr(input("x", shape=(None, 3, 4)), name)(use_gamma=False, **options)
    assert set(init(made)[f"{name}_0"]) == {"beta"} | ({"mean", "var"} if name[0] in "ib" else set())


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
@pytest.mark.parametrize("mode", MODES)
def test_running_averages(name: str, mode: str) -> None:
    """momentum * old + (1 - momentum) * new, where that of several examples is their mean."""
    rng = np.random.default_rng(1)
    x, mean, var = rng.normal(2, 3, (4, 5, 6, 3)), rng.normal(0, 1, 3), rng.uniform(1, 2, 3)
    gamma, beta = nx.ones(3, "float64"), nx.zeros(3, "float64")
    function = getattr(layers, name)
    run = MODES[mode](lambda *given: function(*given, momentum=0.75, mode="train"))
    found = run(*map(nx.tensor, (x,)), gamma, beta, *map(nx.tensor, (mean, var)))
    over = (1, 2) if name == "instance_norm" else (0, 1, 2)
    own = x.mean(over), x.var(over)
    if name == "instance_norm":
        own = own[0].mean(0), own[1].mean(0)
    assert isinstance(found, Stateful)
    np.testing.assert_allclose(found.output, defined((name, x.shape, {}), x, np.ones(3), np.zeros(3)), rtol=1e-9)
    np.testing.assert_allclose(found.state["mean"], 0.75 * mean + 0.25 * own[0], rtol=1e-12)
    np.testing.assert_allclose(found.state["var"], 0.75 * var + 0.25 * own[1], rtol=1e-12)
    used = MODES[mode](lambda *given: function(*given, epsilon=0.5))(
        *map(nx.tensor, (x,)), gamma, beta, *map(nx.tensor, (mean, var))
    )
    np.testing.assert_allclose(used, (x - mean) / np.sqrt(var + 0.5), rtol=1e-12)


@pytest.mark.parametrize(("channels", "shape"), [("first", (4, 3, 5)), ("first", (4, 3, 5, 2)), ("last", (4, 5, 2, 3))])
def test_against_torch(channels: str, shape: tuple[int, ...]) -> None:
    """Output, gradients and running averages, where PyTorch's variance is unbiased, its momentum the new's share."""
    torch = pytest.importorskip("torch")
    rng, count = np.random.default_rng(2), math.prod(shape[1:]) // 3
    x, g, gamma, beta = rng.normal(1, 2, shape), rng.normal(0, 1, shape), rng.normal(1, 1, 3), rng.normal(0, 1, 3)
    first = (lambda v: v) if channels == "first" else (lambda v: np.moveaxis(v, -1, 1))
    rank = len(shape) - 2
    theirs = {
        "instance_norm": getattr(torch.nn, f"InstanceNorm{rank}d")(3, affine=True, track_running_stats=True),
        "batch_norm": getattr(torch.nn, f"BatchNorm{rank}d")(3),
        "group_norm": torch.nn.GroupNorm(3, 3),
    }
    for name, module in theirs.items():
        module = module.double()
        module.weight.data, module.bias.data = torch.tensor(gamma), torch.tensor(beta)
        tx = torch.tensor(first(x).copy(), requires_grad=True)
        ty = module(tx)
        ty.backward(torch.tensor(first(g).copy()))
        state = [] if name == "group_norm" else [nx.zeros(3, "float64"), nx.ones(3, "float64")]
        options = {"num_groups": 3} if name == "group_norm" else {"mode": "train"}

        def ours(*given: nx.Tensor, name: str = name, state: Any = state, options: Any = options) -> nx.Tensor:
            made = getattr(layers, name)(*given, *state, channels=channels, **options)
            return made.output if isinstance(made, Stateful) else made

        y, pullback = vjp(ours, *map(nx.tensor, (x, gamma, beta)))
        np.testing.assert_allclose(first(y.numpy()), ty.detach(), rtol=1e-9, atol=1e-12)
        for a, b in zip(pullback(nx.tensor(g)), (tx.grad, module.weight.grad, module.bias.grad)):
            np.testing.assert_allclose(first(a.numpy()) if a.ndim > 1 else a, b, rtol=1e-7, atol=1e-10)
        if state:
            eager = getattr(layers, name)(*map(nx.tensor, (x, gamma, beta)), *state, channels=channels, **options).state
            np.testing.assert_allclose(eager["mean"], module.running_mean, rtol=1e-9)
            n = count * (1 if name == "instance_norm" else shape[0])
            unbiased = (eager["var"].numpy() - 0.9) * n / (n - 1) + 0.9
            np.testing.assert_allclose(unbiased, module.running_var, rtol=1e-9)


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_float64_beside_averages_in_float32(name: str) -> None:
    x, mean, var = np.random.default_rng(2).uniform(1, 2, (3, 7, 5, 4))
    averages = [nx.tensor(t[0, 0], "float32") for t in (mean, var)]
    want = (x - averages[0].numpy().astype("f8")) / np.sqrt(averages[1].numpy().astype("f8") + 1e-5)
    found = getattr(layers, name)(nx.tensor(x), None, None, *averages).numpy()
    np.testing.assert_allclose(found, want, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_an_empty_batch_leaves_the_averages(name: str) -> None:
    for shape in ((0, 3, 2), (3, 0, 2)):
        averages = nx.tensor([1.0, 2.0]), nx.tensor([3.0, 4.0])
        found = getattr(layers, name)(nx.zeros(shape), None, None, *averages, mode="train")
        assert [found.state[key].tolist() for key in ("mean", "var")] == [[1, 2], [3, 4]]
        assert found.output.shape == shape


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_averages_of_halves_round_once(dtype: str) -> None:
    x = nx.tensor(np.random.default_rng(3).normal(0, 300, (2, 9, 4)), dtype)
    state = [nx.zeros(4, dtype), nx.ones(4, dtype)]
    for name in ("batch_norm", "instance_norm"):
        found, wide = (
            getattr(layers, name)(x.astype(d), None, None, *(t.astype(d) for t in state), mode="train").state
            for d in (dtype, "float32")
        )
        for key in ("mean", "var"):
            assert str(found[key].dtype) == dtype and found[key].tolist() == wide[key].astype(dtype).tolist()


def test_large_and_still_values() -> None:
    """Variances have no cancellation, and equal elements give beta."""
    x = np.random.default_rng(4).normal(size=(2, 512, 4)).astype(np.float32) + np.float32(3e3)
    for name, options in (("layer_norm", {}), ("group_norm", {"num_groups": 2}), ("instance_norm", {})):
        c = 4
        want = defined((name, x.shape, options), x.astype(np.float64), np.ones(c), np.zeros(c))
        np.testing.assert_allclose(getattr(layers, name)(nx.tensor(x), **options), want, rtol=1e-3, atol=1e-3)
        still = getattr(layers, name)(nx.full((2, 3, 4), 100000.1), None, nx.arange(4.0), **options)
        assert still.tolist() == [[[0.0, 1.0, 2.0, 3.0]] * 3] * 2, name


def test_names_of_axes_are_kept() -> None:
    x = nx.zeros((2, 3, 4)).rename(["batch", "width", "channels"])
    for name, options in (("layer_norm", {}), ("group_norm", {"num_groups": 2}), ("instance_norm", {})):
        assert getattr(layers, name)(x, nx.ones(4), **options).names == x.names, name


def test_in_models() -> None:
    """Training and inference differ where averages are kept; without them they do not."""
    x = np.random.default_rng(5).normal(3, 2, (4, 6, 3)).astype(np.float32)
    image = input("x", shape=(None, 6, 3))
    kept, alone = image.instance_norm(), image.instance_norm(use_mean=False, use_var=False)
    for model, same in ((kept, False), (alone, True), (image.group_norm(num_groups=3), True)):
        state = init(model)
        trained = build(model, mode="train").predict(state, x)
        assert np.allclose(trained.output, predict(model, state, x), atol=1e-5) is same
        np.testing.assert_allclose(np.asarray(trained.output).mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(
        build(kept, mode="train").predict(init(kept), x).state["instance_norm_0"]["mean"],
        0.1 * x.mean((0, 1)),
        rtol=1e-5,
    )


norms: Any = layers  # whose types refuse some of it, too
C, ONE = nx.ones((2, 4, 6)), nx.ones(6)
REFUSED = [
    (lambda: norms.group_norm(C, num_groups=4), ShapeError, "num_groups that divides the 6 channels, got 4"),
    (lambda: norms.group_norm(C, group_size=4), ShapeError, "group_size that divides the 6 channels, got 4"),
    (lambda: norms.group_norm(C, num_groups=0), ShapeError, "num_groups that divides the 6 channels, got 0"),
    (lambda: norms.group_norm(C, num_groups=1.5), TypeError, "expected an integer as num_groups, got 1.5"),
    (lambda: norms.group_norm(C), ValueError, r"expected one of num_groups and group_size .*, got neither"),
    (lambda: norms.group_norm(C, num_groups=1, group_size=6), ValueError, "got num_groups=1 and group_size=6"),
    (lambda: norms.group_norm(ONE, num_groups=1), ShapeError, "expected channels behind the batch"),
    (lambda: norms.instance_norm(nx.ones((2, 6))), ShapeError, "instance_norm: expected images of a batch"),
    (lambda: norms.instance_norm(C, axis=0), ShapeError, "instance_norm: expected images of a batch"),
    (lambda: norms.instance_norm(C, None, None, ONE), ValueError, "expected mean and var, or neither, got mean alone"),
    (lambda: norms.batch_norm(C, var=ONE), ValueError, "batch_norm: expected mean and var, or neither, got var alone"),
    (lambda: norms.layer_norm(C, axis=3), ShapeError, r"layer_norm: expected an axis of float32\[2, 4, 6\], got 3"),
    (lambda: norms.layer_norm(C, axis=0.5), TypeError, "layer_norm: expected an integer as axis, got 0.5"),
    (lambda: norms.layer_norm(nx.tensor(1.0)), ShapeError, r"expected an axis of float32\[\], got -1"),
    (lambda: norms.layer_norm(ONE, channels="first"), ShapeError, "got 1; -1 is the last"),
    (
        lambda: norms.layer_norm(C, channels="middle"),
        ValueError,
        "channels: expected one of first, last, got 'middle'",
    ),
    (lambda: norms.layer_norm(C, axis=1, channels="last"), ValueError, "expected axis or channels, got axis=1 and"),
    (lambda: norms.layer_norm(C, nx.ones(5)), ShapeError, r"layer_norm: expected 6 elements, one a channel, got \[5\]"),
    (
        lambda: norms.batch_norm(nx.ones((2, 1)), nx.ones(5)),
        ShapeError,
        "batch_norm: expected 1 elements, one a channel",
    ),
    (lambda: norms.layer_norm(C, epsilon=-1), ValueError, "layer_norm: expected epsilon of at least 0, got -1"),
    (
        lambda: norms.group_norm(C, num_groups=1, epsilon=math.nan),
        ValueError,
        "expected epsilon of at least 0, got nan",
    ),
    (lambda: norms.batch_norm(C, momentum=2), ValueError, "batch_norm: expected momentum from 0 to 1, got 2"),
    (
        lambda: norms.instance_norm(C, momentum=-0.1),
        ValueError,
        "instance_norm: expected momentum from 0 to 1, got -0.1",
    ),
    (lambda: norms.batch_norm(C, mode="test"), ValueError, 'expected mode "train" or "inference", got \'test\''),
    (
        lambda: build(input(shape=(None, 6)).group_norm()),
        ValueError,
        "layer group_norm_0 .*: expected one of num_groups",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), REFUSED)
def test_what_is_refused(call: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        call()
