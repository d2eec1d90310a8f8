"""Every update and optimizer against optax in float64, over 50 steps and in all dtypes; where optax differs, against
the paper's formula in NumPy."""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Any

import axon
import jax
import ml_dtypes
import numpy as np
import optax
import pytest
from axon import nx, optimizers, schedules, tree, updates
from axon.defn import jit, scan
from axon.training import find_optimizer

from .pipelines import OURS_AND_THEIRS

STEPS = 50
SHAPES = {"a": {"bias": (4,), "kernel": (3, 4)}, "b": ((2, 3, 2), (), (0, 3)), "c": {}}
# NumPy's, and how far from the exact result an update may be of the largest: of halves, one rounding.
DTYPES = {"float64": (np.float64, 1e-10), "float32": (np.float32, 3e-5), "bfloat16": (ml_dtypes.bfloat16, 2**-8),
          "float16": (np.float16, 2**-10)}  # fmt: skip


@cache
def steps_of(dtype: str) -> list[tuple[Any, Any]]:
    """Gradients whose size jumps by tens, some of them zero, and parameters."""
    rng = np.random.default_rng(1)

    def draw(size: float) -> Any:
        def make(shape: tuple[int, ...]) -> Any:
            return np.asarray(rng.normal(0, size, shape) * (rng.random(shape) < 0.9)).astype(DTYPES[dtype][0])

        return {"a": {k: make(v) for k, v in SHAPES["a"].items()}, "b": tuple(map(make, SHAPES["b"])), "c": {}}

    return [(draw(10.0 ** (i % 3 - 1)), draw(1.0)) for i in range(STEPS)]


def to(values: Any, make: Any) -> Any:
    return jax.tree.map(make, values)


def run(ours: Any, steps: list[tuple[Any, Any]], update: Any = None) -> list[Any]:
    """The leaves of each step's updates."""
    state, found = ours.init(to(steps[0][1], nx.tensor)), []
    for gradients, params in steps:
        change, state = (update or ours.update)(to(gradients, nx.tensor), state, to(params, nx.tensor))
        found.append(tree.leaves(change))
    return found


@cache
def their_update(name: str) -> Any:
    return jax.jit(OURS_AND_THEIRS[name][1].update)


def expected(name: str, steps: list[tuple[Any, Any]]) -> list[Any]:
    """The same of optax in float64."""
    with jax.enable_x64(True):
        steps = [to(s, lambda t: np.asarray(t, np.float64)) for s in steps]
        state, found = OURS_AND_THEIRS[name][1].init(steps[0][1]), []
        for gradients, params in steps:
            change, state = their_update(name)(gradients, state, params)
            found.append([np.asarray(t) for t in jax.tree.leaves(change)])
    return found


def compare(mine: list[Any], theirs: list[Any], tolerance: float) -> None:
    for i, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        size = max(np.abs(y).max(initial=0.0) for y in b)
        for x, y in zip(a, b, strict=True):
            assert x.shape == y.shape
            far = tolerance * size + 1e-7 * x.dtype.is_half  # float16 has nothing closer to zero
            np.testing.assert_allclose(x.astype("float64"), y, rtol=tolerance, atol=far, err_msg=f"step {i}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OURS_AND_THEIRS)
def test_fifty_steps(name: str, dtype: str) -> None:
    ours, _ = OURS_AND_THEIRS[name]
    tolerance = max(
        DTYPES[dtype][1], 1e-5 if re.search("_decay[(),|]|schedule", repr(ours)) else 0.0
    )  # a schedule's number is float32
    if dtype.endswith("16"):
        tolerance *= 4 ** (len(ours.steps) - 1)  # each step rounds, and the next may magnify it
    mine = run(ours, steps_of(dtype), jit(ours.update, compiler="evaluate"))
    assert {str(t.dtype) for leaves in mine for t in leaves} == {dtype}
    compare(mine, expected(name, steps_of(dtype)), tolerance)


@pytest.mark.parametrize("name", [*optimizers.__all__, "centered rmsprop", "centralize", "scale_by_trust_ratio"])
def test_eager_and_both_compilers_agree(name: str) -> None:
    ours = OURS_AND_THEIRS[name][0] if name in OURS_AND_THEIRS else getattr(optimizers, name)()
    for dtype in ("float32", "bfloat16"):
        steps = steps_of(dtype)[:8]
        eagerly = run(ours, steps)
        for compiler in ("native", "evaluate"):
            update = jit(ours.update, compiler=compiler)
            compiled = run(ours, steps, update)
            compare(compiled, [[t.astype("float64").numpy() for t in s] for s in eagerly], DTYPES[dtype][1])
            assert update.traces == 1


@pytest.mark.parametrize("name", optimizers.__all__)
def test_by_name_and_by_constructor(name: str) -> None:
    found = find_optimizer(name)
    assert repr(found) == repr(getattr(optimizers, name)())
    falling = getattr(optimizers, name)(schedules.cosine_decay(0.1, decay_steps=4))
    params = {"w": nx.tensor([1.0, -2.0])}
    state, sizes = falling.init(params), []
    for _ in range(5):
        change, state = falling.update(params, state, params)
        sizes.append(float(nx.max(nx.abs(change["w"]))))
    assert sizes[0] > 0 and sizes[4] < 1e-6 * sizes[0]


@pytest.mark.parametrize("name", optimizers.__all__)
def test_a_rate_that_is_traced(name: str) -> None:
    make, params = getattr(optimizers, name), {"w": nx.tensor([1.0, -2.0])}

    def step(rate: Any) -> Any:
        return make(rate).update(params, make(rate).init(params), params)[0]

    for rate in (0.1, nx.tensor(0.1)):
        np.testing.assert_allclose(jit(step, compiler="evaluate")(rate)["w"], step(0.1)["w"], rtol=1e-6)


@pytest.mark.parametrize("name", optimizers.__all__)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_nothing_moves_what_has_no_gradient(name: str, dtype: str) -> None:
    """Zero gradients of zero and of other parameters: no NaN, and no step but by noise and by shrinking."""
    optimizer = getattr(optimizers, name)(**({"eta": 0.0} if name == "noisy_sgd" else {}))
    params = {"zero": nx.zeros(3, dtype), "one": nx.ones(3, dtype), "none": nx.zeros(0, dtype)}
    gradients, state = tree.map(nx.zeros_like, params), optimizer.init(params)
    for _ in range(3):
        change, state = optimizer.update(gradients, state, params)
        assert change["zero"].tolist() == [0.0] * 3
        assert np.allclose(change["one"].tolist(), -5e-5 if name == "fromage" else 0.0, rtol=1e-3, atol=0)


@pytest.mark.parametrize("name", optimizers.__all__)
def test_arrays_numbers_and_integers(name: str) -> None:
    """They stand for tensors; an integer's update is no integer."""
    optimizer, given = getattr(optimizers, name)(), {"w": np.full(2, 3.0, "f4"), "b": 3.0, "n": nx.full(2, 3, "int32")}
    change, _ = optimizer.update(given, optimizer.init(given), given)
    assert all(t.dtype is nx.float32 and np.all(t.numpy() < 0) for t in tree.leaves(change))


@pytest.mark.parametrize("name", optimizers.__all__)
def test_steps_in_a_scan_and_under_debug(name: str) -> None:
    """A state keeps its types; nothing is NaN on the way, not even where it is not used."""
    optimizer, params = getattr(optimizers, name)(), {"w": nx.tensor([1.0, 0.0]), "b": nx.zeros(2)}

    def step(held: Any, _: Any = None) -> Any:
        params, state = held
        change, state = optimizer.update({**params, "b": nx.zeros(2)}, state, params)
        return (updates.apply_updates(params, change), state), 0

    held = params, optimizer.init(params)
    (made, _), _ = jit(lambda held: scan(step, held, length=7), compiler="evaluate")(held)
    with axon.debug():
        debugged = jit(step)
        for _ in range(7):
            held, _ = debugged(held)
    for name in params:
        np.testing.assert_allclose(made[name], held[0][name], rtol=1e-6)


def test_noise_is_that_of_optax() -> None:
    """The same keys, leaf by leaf (optax sorts a dict's), and the variance eta / step**gamma."""
    ours, theirs = optimizers.noisy_sgd(0.1, eta=0.5, gamma=0.3, key=7), optax.noisy_sgd(0.1, 0.5, 0.3, key=7)
    steps, update = steps_of("float32")[:3], jax.jit(theirs.update)
    state, found = theirs.init(steps[0][1]), []
    for gradients, params in steps:
        change, state = update(gradients, state, params)
        found.append([np.asarray(t, np.float64) for t in jax.tree.leaves(change)])
    compare(run(ours, steps), found, 1e-5)


def test_noise_of_halves_and_of_large_tensors() -> None:
    """It is drawn and added in float32; its deviation is the root of its variance."""
    noisy = updates.add_noise(eta=0.25, gamma=1.0, key=1)
    for dtype in ("float16", "bfloat16", "float64"):
        zeros = nx.zeros(20000, dtype)
        state = noisy.init(zeros)
        for step in (1, 2):
            change, state = noisy.update(zeros, state, zeros)
            assert str(change.dtype) == dtype
            np.testing.assert_allclose(change.astype("float64").numpy().std(), np.sqrt(0.25 / step), rtol=0.02)
    assert updates.add_noise().update({}, updates.add_noise().init({}), {})[0] == {}


def test_noise_goes_on_from_its_state_and_differs_by_tensor_and_key() -> None:
    noisy, other = updates.add_noise(key=5), updates.add_noise(key=nx.random.key(6))
    params = {"a": nx.zeros(4), "b": nx.zeros(4)}
    first, state = noisy.update(params, noisy.init(params), params)
    second, _ = noisy.update(params, state, params)
    third, _ = other.update(params, other.init(params), params)
    drawn = [*tree.leaves(first), *tree.leaves(second), *tree.leaves(third)]
    assert len({tuple(t.tolist()) for t in drawn}) == len(drawn)
    assert noisy.update(params, noisy.init(params), params)[0]["a"].tolist() == first["a"].tolist()


def test_the_key_outlives_a_donated_state() -> None:
    noisy, params = updates.add_noise(key=nx.random.key(1)), {"w": nx.zeros(3)}
    step = jit(noisy.update, donate=1)
    drawn = [step(params, noisy.init(params), params)[0]["w"].tolist() for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_centralize_leaves_each_output_without_mean() -> None:
    values = np.random.default_rng(0).normal(size=(3, 3, 2, 5)).astype("float32")
    made, _ = updates.centralize().update([nx.tensor(values), nx.ones(3), nx.tensor(2.0)], (), [0, 0, 0])
    np.testing.assert_allclose(made[0], values - values.mean((0, 1, 2)), atol=1e-6)
    assert made[1].tolist() == [1.0] * 3 and made[2].item() == 2.0
    halves, _ = updates.centralize().update(nx.full((4096, 1), 60000.0, "float16"), (), 0)
    assert not np.any(halves.numpy())


def test_a_spread_that_two_averages_would_lose() -> None:
    """The gradients' deviation is 1e-5 of their size: the difference of the averages of float32 may be negative."""
    decay, gradients = 0.9, 1000 + np.random.default_rng(0).integers(-16, 17, (100, 8)) / 1024
    step, mu, square = updates.scale_by_stddev(decay=decay, eps=0.0), np.full(8, 1000.0), np.full(8, 1e6)
    state, change = (updates.StddevState(nx.full(8, 1000.0), nx.zeros(8)),), nx.zeros(8)
    for g in gradients:
        change, state = step.update(nx.tensor(g.astype("float32")), state, nx.zeros(8))
        mu, square = decay * mu + (1 - decay) * g, decay * square + (1 - decay) * g * g
    np.testing.assert_allclose(change, gradients[-1] / np.sqrt(square - mu * mu), rtol=0.05)


def test_fromage_of_a_small_rate_shrinks_by_its_square() -> None:
    """1 / sqrt(1 + rate**2) - 1, which float32 would round to zero."""
    params = nx.ones(3)
    for rate in (1e-4, lambda step: nx.full((), 1e-4)):
        optimizer = optimizers.fromage(rate)
        change, _ = optimizer.update(nx.zeros(3), optimizer.init(params), params)
        np.testing.assert_allclose(change, -5e-9, rtol=1e-5)


def test_rectification_begins_where_the_paper_has_it() -> None:
    """rho after step 5 is 4.996 for b2 = 0.999, and closer to 5 for more; float32 cannot tell."""
    for b2 in (0.999, 0.9999, 0.999999):
        step, one = updates.scale_by_radam(b1=0.0, b2=b2), nx.ones(1)
        state, found = step.init(one), []
        for _ in range(8):
            change, state = step.update(one, state, one)
            found.append(change.item())
        most = 2 / (1 - b2) - 1
        shares = [-math.expm1(t * math.log(b2)) for t in range(1, 9)]
        rho = [most - 2 * t * (1 - share) / share for t, share in enumerate(shares, 1)]
        root = [((r - 4) * (r - 2) * most / ((most - 4) * (most - 2) * r)) ** 0.5 if r >= 5 else 1.0 for r in rho]
        np.testing.assert_allclose(found, root, rtol=1e-4)
