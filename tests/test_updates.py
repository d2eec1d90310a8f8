"""Updates and optimizers against optax over many steps, their state, composition and text."""

import pickle
from typing import Any

import jax
import numpy as np
import optax
import pytest
from axon import nx, optimizers, schedules, tree, updates
from axon.defn import jit
from axon.errors import StructureError
from axon.updates import Update

from .pipelines import OURS_AND_THEIRS

RNG = np.random.default_rng(0)
PARAMS = {"a": {"kernel": RNG.normal(size=(3, 4)), "bias": np.zeros(4)}, "b": {"scale": RNG.normal(size=5)}}
GRADIENTS = [jax.tree.map(lambda p, i=i: RNG.normal(0, 10.0 ** (i % 3 - 1), p.shape), PARAMS) for i in range(30)]


def to_axon(values: Any) -> Any:
    return tree.map(lambda p: nx.tensor(p.astype(np.float32)), values)


@pytest.mark.parametrize("name", ["momentum", "adam with a schedule", "adamw", "a chain"])
def test_thirty_steps(name: str) -> None:
    """Parameters after each of 30 steps with gradients whose size jumps by tens."""
    ours, theirs = OURS_AND_THEIRS[name]
    params, state = to_axon(PARAMS), ours.init(to_axon(PARAMS))
    their_params = jax.tree.map(lambda p: p.astype(np.float32), PARAMS)
    their_state, their_update = theirs.init(their_params), jax.jit(theirs.update)
    for gradients in GRADIENTS:
        change, state = ours.update(to_axon(gradients), state, params)
        params = updates.apply_updates(params, change)
        their_change, their_state = their_update(gradients, their_state, their_params)
        their_params = optax.apply_updates(their_params, their_change)
    for path, mine in zip(tree.paths(params), tree.leaves(params), strict=True):
        expected = their_params[path[0]][path[1]]
        np.testing.assert_allclose(mine, expected, rtol=2e-4, atol=2e-5, err_msg=tree.show(path))


@pytest.mark.parametrize("name", OURS_AND_THEIRS)
def test_dtype_structure_and_no_retrace(name: str) -> None:
    ours, _ = OURS_AND_THEIRS[name]
    params = tree.map(lambda p: nx.tensor(p, dtype="float16"), PARAMS)
    step = jit(ours.update, compiler="evaluate")
    state = ours.init(params)
    change, following = step(params, state, params)
    assert tree.structure(change) == tree.structure(params)
    assert [t.type for t in tree.leaves(following)] == [t.type for t in tree.leaves(state)]
    assert all(t.dtype is nx.float16 for t in tree.leaves(change))
    step(params, following, params)
    assert step.traces == 1


def test_a_preceding_pipeline_is_the_first_argument() -> None:
    nested = updates.scale(updates.add_decayed_weights(updates.scale_by_adam(b1=0.8), 0.1), -0.01)
    piped = updates.scale_by_adam(b1=0.8) | updates.add_decayed_weights(0.1) | updates.scale(-0.01)
    assert repr(nested) == repr(piped) == "scale_by_adam(b1=0.8) | add_decayed_weights(0.1) | scale(-0.01)"
    a, b = (tree.leaves(u.update(to_axon(PARAMS), u.init(to_axon(PARAMS)), to_axon(PARAMS))) for u in (nested, piped))
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    ("pipeline", "rates"),
    [
        (optimizers.sgd(0.5), [0.5, 0.5]),
        (updates.clip(1.0) | updates.trace() | updates.scale(-0.5) | updates.scale(0.5), [0.25, 0.25]),
        (optimizers.adam(lambda step: 0.5**step), [1.0, 0.5]),
        (updates.scale_by_schedule(lambda step: 2.0**step) | optimizers.sgd(lambda step: step + 3), [3.0, 8.0]),
        (updates.clip(1.0) | updates.stateless(lambda u, p: u), [None, None]),
        (updates.identity(), [None, None]),
    ],
    ids=repr,
)
def test_the_learning_rate_is_the_product_of_the_scales(pipeline: Update, rates: list[float | None]) -> None:
    state = pipeline.init(to_axon(PARAMS))
    for rate in rates:
        found = pipeline.learning_rate(state)
        assert found is rate or float(found) == rate  # type: ignore[arg-type]
        _, state = pipeline.update(to_axon(PARAMS), state, to_axon(PARAMS))
    with pytest.raises(StructureError):
        pipeline.learning_rate((*state, ()))


def test_state_is_newest_first() -> None:
    state = (updates.trace(decay=0.5) | updates.scale(2.0) | updates.scale_by_adam()).init(to_axon(PARAMS))
    assert len(state) == 2 and isinstance(state[0], updates.AdamState) and isinstance(state[1], dict)


@pytest.mark.parametrize(
    ("state", "got"),
    [((), "0"), (({}, {}, {}), "3"), ({"w": 1}, "dict"), (None, "NoneType")],
    ids=["too short", "too long", "a dict", "none"],
)
def test_the_state_of_another_pipeline_is_refused(state: Any, got: str) -> None:
    pipeline = updates.trace() | updates.scale(2.0) | updates.scale_by_adam()
    text = rf"update: expected a tuple of 2 states \(scale_by_adam, trace\), got {got}; pass what this optimizer's init"
    with pytest.raises(StructureError, match=text):
        pipeline.update({}, state, {})


@pytest.mark.parametrize(("name", "decay"), [("b1", 1.0), ("b1", -0.1), ("b2", 1.5), ("b2", float("nan"))])
def test_averages_that_never_forget_are_refused(name: str, decay: float) -> None:
    for scaled in ("adam", "belief", "radam", "yogi"):
        with pytest.raises(ValueError, match=rf"scale_by_{scaled}: expected {name} in \[0, 1\), got {decay}"):
            getattr(updates, f"scale_by_{scaled}")(**{name: decay})
    for scaled in ("rms", "stddev"):
        with pytest.raises(ValueError, match=rf"scale_by_{scaled}: expected decay in \[0, 1\), got {decay}"):
            getattr(updates, f"scale_by_{scaled}")(decay=decay)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: optimizers.adam(eps=-1.0), "scale_by_adam: expected eps of at least 0, got -1.0"),
        (lambda: optimizers.adabelief(eps_root=-1.0), "scale_by_belief: expected eps_root of at least 0"),
        (lambda: optimizers.yogi(initial_accumulator_value=-1), "scale_by_yogi: expected initial_accumulator_value of"),
        (lambda: optimizers.adagrad(eps=float("nan")), "scale_by_rss: expected eps of at least 0, got nan"),
        (lambda: optimizers.rmsprop(initial_scale=-1.0), "scale_by_rms: expected initial_scale of at least 0"),
        (lambda: optimizers.rmsprop(eps=-1.0, centered=True), "scale_by_stddev: expected eps of at least 0"),
        (lambda: optimizers.lamb(min_norm=-1.0), "scale_by_trust_ratio: expected min_norm of at least 0"),
        (lambda: optimizers.radam(threshold=3.0), "scale_by_radam: expected threshold of at least 4, got 3.0"),
        (lambda: optimizers.noisy_sgd(eta=-1.0), "add_noise: expected eta of at least 0"),
        (
            lambda: updates.centralize(axis=2).update(nx.ones((2, 3)), (), 0),
            r"centralize: expected an axis of .*\[2,3\]",
        ),
        (lambda: updates.clip(-1), "clip: expected delta of at least 0, got -1"),
        (lambda: updates.clip_by_global_norm(-1), "clip_by_global_norm: expected max_norm of at least 0, got -1"),
        (lambda: optimizers.rmsprop(nesterov=True), "rmsprop: expected a momentum beside nesterov, got none"),
    ],
)
def test_numbers_that_are_refused(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}"):
        make()


def test_a_key_that_is_none() -> None:
    with pytest.raises(TypeError, match="key: expected"):
        updates.add_noise(key="seven")  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_adam_of_halves_is_that_of_floats(dtype: str) -> None:
    """Among gradients that are zero, or whose square is; and over steps enough to forget."""
    optimizer = optimizers.adam(0.5)
    gradients = [nx.tensor([0.0, 1e-4, size], dtype=dtype) for size in [8.0] * 20 + [0.5] * 200]
    found = []
    for to in (dtype, "float32"):
        change, state = gradients[0], optimizer.init(gradients[0].astype(to))
        for gradient in gradients:
            change, state = optimizer.update(gradient.astype(to), state, gradient.astype(to))
        found.append(change.astype("float32").numpy())
    np.testing.assert_allclose(*found, rtol=1e-2)


def test_a_common_norm_of_halves_and_of_nothing() -> None:
    """A half's square overflows at 256; and all parameters may be frozen."""
    clipped, _ = updates.clip_by_global_norm(1.0).update({"w": nx.full(4, 300.0, dtype="float16")}, (), {})
    assert clipped["w"].tolist() == [0.5] * 4 and clipped["w"].dtype is nx.float16
    assert updates.clip_by_global_norm(1.0).update({}, (), {}) == ({}, ())


@pytest.mark.parametrize(
    ("pipeline", "expected"),
    [
        (updates.clip_by_global_norm(0.01), 0.001),
        (updates.scale_by_schedule(lambda step: nx.tensor(1e-8)), 0.0006),
        (updates.scale(1e-8), 0.0006),
        (optimizers.sgd(1e-8), -0.0006),
        (updates.scale(0.0) | updates.add_decayed_weights(1e-8), 0.0006),
        (updates.scale(0.0) | updates.add_decayed_weights(lambda step: 1e-8), 0.0006),
        (updates.clip(1e5), 60000.0),
        (updates.scale_by_trust_ratio(trust_coefficient=1e-8), 0.0006),
        (updates.scale_by_rms(initial_scale=0.0, decay=0.75), 2.0),
        (updates.scale_by_rss(initial_accumulator_value=0.0), 1.0),
        (updates.scale_by_stddev(decay=0.5), 2.0),
    ],
    ids=repr,
)
def test_factors_that_no_half_holds(pipeline: Update, expected: float) -> None:
    big = {"w": nx.full(100, 60000.0, dtype="float16")}
    for update in (pipeline.update, jit(pipeline.update)):
        scaled, _ = update(big, pipeline.init(big), big)
        assert scaled["w"].dtype is nx.float16
        np.testing.assert_allclose(scaled["w"].numpy().astype("f8"), expected, rtol=2e-3)


@pytest.mark.parametrize("make", [optimizers.sgd, optimizers.fromage])
def test_a_schedule_that_was_not_made(make: Any) -> None:
    wrong = make(schedules.cosine_decay)
    with pytest.raises(TypeError, match=r"^schedule: expected a number, got a function; write cosine_decay\(...\)"):
        wrong.update({"w": nx.ones(1)}, wrong.init({}), {"w": nx.ones(1)})


def test_momentum_of_halves_does_not_stand_still() -> None:
    """The sum of ones goes towards 100; in bfloat16 it would stop at 80."""
    step, one = updates.trace(decay=0.99), nx.ones(1, "bfloat16")
    change, state = one, step.init(one)
    for _ in range(1000):
        change, state = step.update(one, state, one)
    assert abs(change.astype("float32").item() - 100) <= 0.5 and state[0].dtype is nx.float32


@pytest.mark.parametrize("make", [getattr(optimizers, name) for name in optimizers.__all__])
@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((["0.1"], {}), TypeError, "learning_rate: expected a number or a schedule, got '0.1'"),
        (([None], {}), TypeError, "learning_rate: expected a number or a schedule, got None"),
        (([[0.1]], {}), TypeError, r"learning_rate: expected a number or a schedule, got \[0.1\]"),
        (([-0.1], {}), ValueError, "learning_rate: expected a number of at least 0, got -0.1; steps go downhill"),
        (([float("nan")], {}), ValueError, "learning_rate: expected a number of at least 0, got nan"),
        (([], {"lr": 0.1}), TypeError, "got an unknown option lr; write learning_rate="),
        (([], {"learning_rat": 0.1}), TypeError, "got an unknown option learning_rat; write learning_rate"),
    ],
)
def test_what_is_no_learning_rate(make: Any, arguments: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make(*arguments[0], **arguments[1])


def test_nesterov_is_a_kind_of_momentum() -> None:
    with pytest.raises(ValueError, match=r"^sgd: expected a momentum beside nesterov, got none"):
        optimizers.sgd(0.1, nesterov=True)


def test_steps_of_your_own() -> None:
    halve = updates.stateless(lambda u, p: tree.map(lambda x: x / 2, u))
    count = updates.stateful(halve, lambda p: nx.tensor(0), lambda u, s, p: (tree.map(lambda x: x * s, u), s + 1))
    init, update = count
    change, state = update({"w": nx.tensor(8.0)}, init({}), {})
    assert change["w"].item() == 0 and state[0].item() == 1
    change, state = update({"w": nx.tensor(8.0)}, state, {})
    assert change["w"].item() == 4


def test_identity_does_nothing_and_vanishes() -> None:
    pipeline = updates.identity() | updates.scale(2.0) | updates.identity()
    assert len(pipeline.steps) == 1 and repr(updates.identity()) == "identity()"
    assert updates.identity().update({"w": 1}, (), {}) == ({"w": 1}, ())


def test_printing() -> None:
    assert repr(optimizers.sgd(0.1)) == "scale_by_learning_rate(0.1)"
    printed = repr(optimizers.adam(schedules.cosine_decay(0.1)))
    assert printed.endswith("| scale_by_learning_rate(cosine_decay)")


def test_only_updates_compose() -> None:
    with pytest.raises(TypeError):
        Update() | 3  # type: ignore[operator]


def test_parameters_keep_their_dtype() -> None:
    params = {"w": nx.tensor([1.0], dtype="bfloat16")}
    assert updates.apply_updates(params, {"w": nx.tensor([0.5])})["w"].dtype is nx.bfloat16


COSINE = schedules.cosine_decay(0.5, decay_steps=8)


@pytest.mark.parametrize("name", optimizers.__all__)
@pytest.mark.parametrize("rate", [0.5, COSINE], ids=["a number", "a schedule"])
def test_a_rate_is_set_without_another_trace(name: str, rate: Any) -> None:
    """The steps after it are those of an optimizer with that rate from the first, and the state keeps its types."""
    make, params = getattr(optimizers, name), {"w": nx.tensor([1.0, -2.0]), "b": nx.ones(3, "bfloat16")}
    step, plain = jit(make(rate).update, compiler="evaluate"), jit(make(0.125).update, compiler="evaluate")
    state = make(rate).init(params)
    assert updates.learning_rate(state).item() == 0.5
    _, state = step(params, state, params)
    assert updates.learning_rate(state).item() == (0.5 if rate == 0.5 else COSINE(nx.tensor(1)).item())
    place = next(i for i, part in enumerate(state) if isinstance(part, updates.RateState))
    changed = updates.with_rate(state, 0.125)
    assert [t.type for t in tree.leaves(changed)] == [t.type for t in tree.leaves(state)]
    other = (*changed[:place], make(0.125).init(params)[place], *changed[place + 1 :])
    for _ in range(3):
        assert updates.learning_rate(changed).item() == 0.125
        one, changed = step(params, changed, params)
        two, other = plain(params, other, params)
        for a, b in zip(tree.leaves(one), tree.leaves(two), strict=True):
            np.testing.assert_array_equal(a, b)
    assert step.traces == 1


def test_a_rate_is_found_wherever_it_is() -> None:
    adam = optimizers.adam(0.25)
    held = {"model": PARAMS, "optimizer": adam.init(to_axon(PARAMS)), "none": None}
    changed = updates.with_rate(held, nx.tensor(0.5))
    assert updates.learning_rate(changed).item() == 0.5 and updates.learning_rate(held).item() == 0.25
    assert changed["model"] is not None and changed["none"] is None
    assert adam.learning_rate(changed["optimizer"]).item() == 0.5  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: updates.with_rate((), 0.1), ValueError, "with_rate: expected a tree that holds one learning rate, g"),
        (lambda: updates.learning_rate([optimizers.sgd().init({})] * 2), ValueError, "learning_rate: .*, got 2; pass"),
        (lambda: updates.with_rate(optimizers.sgd().init({}), nx.ones(2)), TypeError, "with_rate: expected a number"),
        (lambda: updates.with_rate(optimizers.sgd().init({}), np.float32(-1)), ValueError, "with_rate: .* at least 0"),
        (lambda: updates.with_rate(optimizers.sgd().init({}), -1), ValueError, "with_rate: expected a number of at l"),
        (lambda: updates.with_rate(optimizers.sgd().init({}), [1]), TypeError, r"with_rate: expected a number, got"),  # type: ignore[arg-type]
        (lambda: updates.scale_by_learning_rate(-1), ValueError, "learning_rate: expected a number of at least 0, g"),
        (
            lambda: optimizers.sgd(COSINE).update({}, (nx.tensor(3),), {}),
            StructureError,
            "update: expected a RateState .*, got Tensor; .* saved before",
        ),
        (
            lambda: optimizers.adam().update({}, scale_by_adam_state(), {}),
            StructureError,
            r"update: expected a tuple of 2 states \(scale_by_learning_rate, scale_by_adam\), got 1; .*saved before",
        ),
    ],
)  # fmt: skip
def test_rates_that_are_refused(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{text}"):
        make()


def scale_by_adam_state() -> Any:
    """What adam's state was before its rate was part of it."""
    return updates.scale_by_adam().init({})


def finite_and_not() -> list[Any]:
    """Gradients, some of which hold infinite numbers and NaN: alone, and more than two in a row."""
    made = [jax.tree.map(np.copy, g) for g in GRADIENTS[:12]]
    for step, value in ((1, np.nan), (4, np.inf), (5, -np.inf), (6, np.nan), (7, np.nan), (9, np.inf)):
        made[step]["a"]["kernel"][1, 2] = value
    return made


@pytest.mark.parametrize("compiler", ["native", "evaluate", None])
def test_updates_that_are_not_finite_are_left_out(compiler: str | None) -> None:
    """As optax leaves them out, until there are more than two in a row."""
    ours = updates.apply_if_finite(optimizers.adam(0.1, eps_root=0.0), max_consecutive_errors=2)
    theirs = optax.apply_if_finite(optax.adam(0.1), 2)
    params, update = to_axon(PARAMS), ours.update if compiler is None else jit(ours.update, compiler=compiler)
    state = ours.init(params)
    their_params = jax.tree.map(lambda p: p.astype(np.float32), PARAMS)
    their_state, their_update = theirs.init(their_params), jax.jit(theirs.update)
    seen = []
    for gradients in finite_and_not():
        change, state = update(to_axon(gradients), state, params)
        their_change, their_state = their_update(gradients, their_state, their_params)
        seen.append(state[0].errors.item())
        for path, mine in zip(tree.paths(change), tree.leaves(change), strict=True):
            np.testing.assert_allclose(mine, their_change[path[0]][path[1]], rtol=2e-4, atol=2e-5)
    assert seen == [0, 1, 0, 0, 1, 2, 3, 4, 0, 1, 0, 0] and state[0].total_errors.item() == 6
    assert compiler is None or update.traces == 1  # type: ignore[union-attr]


def test_what_holds_an_update_is_no_step_after_it() -> None:
    adam, params = optimizers.adam(0.1), to_axon(PARAMS)
    held = updates.apply_if_finite(adam, max_consecutive_errors=np.int64(3))
    pipeline = updates.clip(1.0) | held | updates.scale(0.5)
    assert len(held.steps) == 1 and len(pipeline.steps) == 3
    assert repr(pipeline) == f"clip(1.0) | apply_if_finite({adam!r}, max_consecutive_errors=3) | scale(0.5)"
    assert repr(pickle.loads(pickle.dumps(pipeline))) == repr(pipeline)
    state = pipeline.init(params)
    assert pipeline.learning_rate(state).item() == 0.05 and not pipeline.scheduled  # type: ignore[union-attr]
    assert pipeline.learning_rate(updates.with_rate(state, 0.2)).item() == 0.1  # type: ignore[union-attr]
    twice = updates.apply_if_finite(inner=updates.apply_if_finite(optimizers.sgd(COSINE)))
    assert twice.scheduled and twice.learning_rate(twice.init(params)).item() == 0.5  # type: ignore[union-attr]
    assert updates.apply_if_finite(updates.clip(1.0)).learning_rate(state) is None
    with pytest.raises(TypeError, match=r"^apply_if_finite: expected an Update as inner, got adam; a constructor has"):
        updates.apply_if_finite(optimizers.adam)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^apply_if_finite: missing a required argument: 'inner'; write apply_if_fini"):
        updates.apply_if_finite()  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"^apply_if_finite: expected max_consecutive_errors of at least 0, got -1"):
        updates.apply_if_finite(adam, max_consecutive_errors=-1)


@pytest.mark.parametrize("name", optimizers.__all__)
def test_any_optimizer_is_held_and_goes_on_where_it_was(name: str) -> None:
    """A gradient that is not finite changes neither parameters nor the state that is held, whatever it holds."""
    inner = getattr(optimizers, name)(0.1)
    held, params = updates.apply_if_finite(inner), {"w": nx.tensor([1.0, -2.0]), "h": nx.ones(3, "bfloat16")}
    step, plain, bad = jit(held.update), jit(inner.update), {**params, "w": nx.tensor([1.0, np.nan])}
    state, other = held.init(params), inner.init(params)
    for gradients in (params, bad, params):
        change, state = step(gradients, state, params)
        if gradients is bad:
            assert all(not np.any(t.numpy()) for t in tree.leaves(change))
            continue
        expected, other = plain(gradients, other, params)
        for a, b in zip(tree.leaves((change, state[0].inner)), tree.leaves((expected, other)), strict=True):
            np.testing.assert_allclose(a.astype("float64"), b.astype("float64"), rtol=1e-6)
    assert step.traces == 1


@pytest.mark.parametrize(
    ("schedule", "error", "text"),
    [
        (lambda step: -0.1, ValueError, "schedule: expected a number of at least 0, got -0.1; steps go downhill"),
        (lambda step: float("nan"), ValueError, "schedule: expected a number of at least 0, got nan"),
        (lambda step: nx.ones(2), ValueError, r"schedule: expected one number, got float32\[2\]; let <lambda> return"),
        (
            lambda: 0.1,
            TypeError,
            r"schedule: expected a function of the step, got <lambda> \(too many .*; write lambda st",
        ),
        (lambda step: "a", TypeError, "schedule: expected a number, got 'a'; let <lambda> return one"),
        (lambda step: True, TypeError, "schedule: expected a number, got True"),
    ],
)
def test_what_a_schedule_of_rates_says_is_looked_at(schedule: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        updates.scale_by_learning_rate(schedule).init({})


@pytest.mark.parametrize("rate", [True, float("inf"), np.float32("inf"), nx.ones(2)])
def test_rates_that_are_none(rate: Any) -> None:
    state = updates.scale_by_learning_rate(0.5).init({})
    with pytest.raises((TypeError, ValueError), match="with_rate: expected a "):
        updates.with_rate(state, rate)
