"""init, predict, build: shapes, modes, inputs, state, and errors that name the layer and the user's line."""

import inspect
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from axon import initializers, layers, model, nx, tree
from axon.datasets import batches
from axon.defn import debug, grad, jit
from axon.errors import DTypeError, NonFiniteError, ShapeError
from axon.model import Model, ModelState, Prediction, input
from axon.model.state import check_state

EVALUATE = {"compiler": "evaluate"}


def small() -> Model:
    return input("x", shape=(None, 4)).dense(3, activation="tanh").batch_norm().dropout(rate=0.5).dense(2)


def test_predict_is_its_layers() -> None:
    m = small()
    state = model.init(m, **EVALUATE)
    x = nx.tensor(np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32))
    h = nx.tanh(layers.dense(x, state["dense_0"]["kernel"], state["dense_0"]["bias"]))
    h = layers.batch_norm(h, *(state["batch_norm_0"][n] for n in ("gamma", "beta", "mean", "var")))
    expected = layers.dense(h, state["dense_1"]["kernel"], state["dense_1"]["bias"])  # type: ignore[arg-type]
    np.testing.assert_allclose(model.predict(m, state, x, **EVALUATE), expected, rtol=1e-6)


def test_first_state() -> None:
    state = model.init(small(), **EVALUATE)
    assert list(state.parameters) == ["dense_0", "batch_norm_0", "dense_1"]
    assert list(state.state) == ["batch_norm_0", "dropout_0"]
    assert list(state["batch_norm_0"]) == ["gamma", "beta", "mean", "var"]
    assert (state["batch_norm_0"]["gamma"].numpy() == 1).all() and (state["batch_norm_0"]["var"].numpy() == 1).all()
    assert state["dropout_0"]["key"].dtype is nx.uint32
    assert not np.array_equal(state["dense_0"]["kernel"].numpy()[:2, :2], state["dense_1"]["kernel"].numpy()[:2])


def test_parameters_depend_on_key_and_name_alone() -> None:
    a = model.init(small(), **EVALUATE)
    longer = small().relu().dense(7)
    b = model.init(longer, **EVALUATE)
    np.testing.assert_array_equal(a["dense_1"]["kernel"], b["dense_1"]["kernel"])
    c = model.init(small(), key=nx.random.key(1), **EVALUATE)
    assert not np.array_equal(a["dense_1"]["kernel"], c["dense_1"]["kernel"])


def test_training_mode_gives_the_new_state() -> None:
    m = small()
    init_fn, train_fn = model.build(m, mode="train", **EVALUATE)
    state = init_fn()
    x = nx.tensor(np.random.default_rng(0).normal(3, 2, size=(64, 4)).astype(np.float32))
    first = train_fn(state, x)
    assert isinstance(first, Prediction)
    following = state.with_state(first.state)
    assert tree.structure(following) == tree.structure(state)
    h = np.tanh(x.numpy() @ state["dense_0"]["kernel"].numpy() + state["dense_0"]["bias"].numpy())
    np.testing.assert_allclose(following["batch_norm_0"]["mean"], 0.1 * h.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(following["batch_norm_0"]["var"], 0.9 + 0.1 * h.var(0), rtol=1e-4)
    second = train_fn(following, x)
    assert not np.array_equal(first.output, second.output), "the dropout key has advanced"
    np.testing.assert_array_equal(train_fn(state, x).output, first.output)


def test_inside_a_definition() -> None:
    m = input("x", shape=(None, 4)).dense(1)
    state = model.init(m, **EVALUATE)
    x = nx.ones((3, 4))

    def loss(parameters: object) -> nx.Tensor:
        return nx.sum(model.predict(m, ModelState(parameters), x))  # type: ignore[arg-type]

    gradients = jit(grad(loss), **EVALUATE)(state.parameters)
    np.testing.assert_allclose(gradients["dense_0"]["kernel"], np.full((4, 1), 3.0))
    inner = jit(lambda key: model.init(m, key=key), **EVALUATE)(nx.random.key(0))
    np.testing.assert_array_equal(inner["dense_0"]["kernel"], state["dense_0"]["kernel"])


def test_predict_traces_once_a_shape() -> None:
    m = small()
    init_fn, predict_fn = model.compile(m, **EVALUATE)
    state = init_fn()
    for _ in range(3):
        predict_fn(state, nx.ones((2, 4)))
    assert predict_fn.traces == 1  # type: ignore[attr-defined]


def test_several_inputs() -> None:
    m = input("a", shape=(None, 2)).concatenate(input("b", shape=(None, 3)))
    state = model.init(m, **EVALUATE)
    a, b = np.ones((4, 2), np.float32), np.zeros((4, 3), np.float32)
    expected = np.concatenate([a, b], 1)
    for given in ((a, b), [a, b], {"b": b, "a": a}, (a, b.tolist()), {"a": a.tolist(), "b": b.tolist()}):
        np.testing.assert_array_equal(model.predict(m, state, given, **EVALUATE), expected)
    for wrong in (a, (a,), {"a": a}, {"a": a, "c": b}, a.tolist(), [a, b, b]):
        with pytest.raises(ValueError, match="model: expected inputs a, b, got"):
            model.predict(m, state, wrong, **EVALUATE)


@pytest.mark.parametrize("rows", [[[1.0, 2.0, 3.0, 4.0]], [[1.0, 2.0, 3.0, 4.0]] * 2])
def test_a_list_of_numbers_is_an_input(rows: list[list[float]]) -> None:
    state = model.init(small(), **EVALUATE)
    found = model.predict(small(), state, rows, **EVALUATE)
    np.testing.assert_array_equal(found, model.predict(small(), state, np.array(rows), **EVALUATE))
    loose = input("x", shape=(None, None)).dense(2)
    assert model.init(loose, rows, **EVALUATE)["dense_0"]["kernel"].shape == (4, 2)
    with pytest.raises(ValueError, match=r"model: expected inputs x, got list; .*\(np.stack makes one of a list of"):
        model.predict(small(), state, [np.ones(4), np.ones(4)], **EVALUATE)
    with pytest.raises(ValueError, match="model: expected inputs x, got list; pass one array each"):
        model.build(small(), **EVALUATE).predict(state, rows)


def test_batches_are_no_input() -> None:
    state = model.init(small(), **EVALUATE)
    with pytest.raises(TypeError, match="predict: expected arrays, got a Batches; go through it, and pass the arrays"):
        model.predict(small(), state, batches(np.ones((8, 4)), np.ones(8)), **EVALUATE)


def test_a_key_is_no_number() -> None:
    with pytest.raises(
        TypeError, match=r"init: expected a key uint32\[2\], got 42; write key=axon.nx.random.key\(42\)"
    ):
        model.init(small(), key=42)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [lambda s: s.parameters, lambda s: None, lambda s: nx.ones((1, 4)), lambda s: (s, ()), lambda s: {"a": "b"}],
)
def test_what_is_no_state(wrong: Callable[[ModelState], Any]) -> None:
    m = small()
    given = wrong(model.init(m, **EVALUATE))
    text = f"expected a ModelState, got {type(given).__name__}; pass what init gave"
    with pytest.raises(TypeError, match=f"predict: {text}"):
        model.predict(m, given, nx.ones((1, 4)), **EVALUATE)
    with pytest.raises(TypeError, match=f"run: {text}"):
        check_state(given, "run")


def test_the_built_function_checks_its_state_too() -> None:
    m = small()
    with pytest.raises(TypeError, match="predict: expected a ModelState, got dict"):
        model.build(m, **EVALUATE).predict(model.init(m, **EVALUATE).parameters, nx.ones((1, 4)))


def test_inputs_are_checked_and_converted() -> None:
    m = input("x", shape=(None, 4)).dense(2)
    state = model.init(m, **EVALUATE)
    out = model.predict(m, state, np.ones((2, 4), np.uint8), **EVALUATE)
    assert out.dtype is nx.float32
    assert model.predict(m, state, np.ones((2, 4), np.float64), **EVALUATE).dtype is nx.float32
    with pytest.raises(
        ShapeError, match=r"input x \(made at .*test_build.py:\d+\): expected shape \(None, 4\), got float32\[4\]"
    ):
        model.predict(m, state, nx.ones(4), **EVALUATE)
    words = input("words", shape=(None,), dtype="int32").nx(lambda w: w + 1)
    with pytest.raises(DTypeError, match=r"input words: expected int32, got float32\[3\]"):
        model.predict(words, ModelState(), nx.ones(3), **EVALUATE)


@pytest.mark.parametrize(
    ("declared", "got", "advice"),
    [
        ((8, 8, 1), (32, 8, 8, 1), r"declare shape=\(None, 8, 8, 1\), whose first axis is the batch"),
        ((32, 4), (29, 4), r"declare shape=\(None, 4\), whose first axis is the batch"),
        ((None, 8, 8, 1), (32, 64), r"write x.reshape\(\(-1, 8, 8, 1\)\)"),
        ((None, 8, 8, 1), (32, 8, 8), r"write x.reshape\(\(-1, 8, 8, 1\)\)"),
        ((None, 8, 8, 1), (8, 8, 1), r"write x.reshape\(\(-1, 8, 8, 1\)\)"),
        ((None, 64), (32, 8, 8, 1), r"write x.reshape\(\(-1, 64\)\)"),
        ((None, 9, 8, 3), (32, 3, 9, 8), "move its axes with nx.permute_dims; channels come last"),
        ((None, None, 3), (32, 9), "reshape the data"),
        ((None,), (32, 1), r"write x.reshape\(\(-1,\)\)"),
        ((None,), (), "reshape the data"),
        ((None, 4), (32, 5), "reshape the data"),
    ],
)
def test_what_to_do_with_data_of_another_shape(declared: Any, got: Any, advice: str) -> None:
    m = input("x", shape=declared).relu()
    with pytest.raises(ShapeError, match=rf"^input x \(made at .*\): expected shape .*, got float32\[.*\]; {advice}$"):
        model.predict(m, ModelState(), nx.zeros(got), **EVALUATE)


def test_what_is_no_model() -> None:
    for name, take in (("init", model.init), ("build", model.build), ("predict", partial(model.predict, inputs=0))):
        arguments = (small,) if name != "predict" else (small, ModelState())
        with pytest.raises(TypeError, match=f"^{name}: expected a Model, got function; pass what its last layer gave"):
            take(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "new", [{"seen": nx.zeros(())}, {"count": nx.zeros(2)}, {"count": nx.tensor(1)}, {"count": 1.0}]
)
def test_state_that_was_not_declared_so_is_refused(new: Any) -> None:
    @layers.layer(count=layers.Parameter(lambda: (), initializers.zeros(), kind="state"))
    def counting(x: nx.Tensor, count: nx.Tensor) -> layers.Stateful:
        return layers.Stateful(x, new)

    made: Any = counting(input("x", shape=(None, 4)))  # type: ignore[arg-type]
    with pytest.raises(
        ShapeError, match=r"layer counting_0 .*: expected the state that .* \(count float32\[\]\), got "
    ):
        model.build(made)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_running_averages_keep_their_dtype(dtype: str) -> None:
    m = input("x", shape=(None, 4), dtype=dtype).batch_norm()
    _, new = model.build(m, mode="train", **EVALUATE).predict(model.init(m, **EVALUATE), nx.ones((3, 4), dtype=dtype))
    assert {t.dtype for t in new["batch_norm_0"].values()} == {nx.float32}


def test_a_template_is_needed_only_for_unknown_shapes() -> None:
    m = input("image", shape=(None, None, None, 3)).conv(4, kernel_size=3).global_avg_pool().dense(2)
    with pytest.raises(
        ShapeError, match=r"expected a shape known but for its batch, got \(None, None, None, 3\); pass a template"
    ):
        model.init(m, **EVALUATE)
    for template in (nx.template((1, 8, 9, 3)), np.zeros((2, 5, 5, 3), np.float32), {"image": nx.zeros((1, 6, 6, 3))}):
        assert model.init(m, template, **EVALUATE)["dense_0"]["kernel"].shape == (4, 2)


def test_shape_errors_name_layer_and_line_at_build() -> None:
    x = input("x", shape=(None, 4))
    line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
    bad = x.dense(3) + x
    with pytest.raises(
        ShapeError, match=rf"layer add_0 \(add, made at .*test_build.py:{line}\): .*batch was taken as 2"
    ):
        model.build(bad.relu())


def test_errors_of_ones_own_layer_keep_their_type() -> None:
    def broken(x: nx.Tensor) -> nx.Tensor:
        raise KeyError("no such thing")

    with pytest.raises(KeyError) as caught:
        model.build(input("x", shape=(None, 4)).nx(broken))
    assert "in layer nx_0 (nx, made at" in caught.value.__notes__[0]


@pytest.mark.parametrize("result", [1.0, None, np.ones(3), (), {}])
def test_a_layer_that_gives_no_tensor_is_blamed_itself(result: object) -> None:
    with pytest.raises(TypeError, match=f"expected a tensor .*, got {type(result).__name__}; return one") as caught:
        model.build(input("x", shape=(None, 4)).nx(lambda x: result, name="mine").relu())
    assert "in layer mine (nx, made at" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "m",
    [
        input("x", shape=(None, 4)).nx(lambda x: nx.permute_dims(x, (1, 0))).dense(3),
        input("x", shape=(None,)).dense(3),
    ],
)
def test_parameters_must_not_depend_on_the_batch(m: Model) -> None:
    with pytest.raises(
        ShapeError,
        match=r"layer dense_0 \(dense, made at .*\): expected a rank and parameters that do not depend on the batch, "
        r"got .*'kernel': \(2, 3\).* and .*'kernel': \(3, 3\)",
    ):
        model.build(m)


def test_a_template_of_all_inputs_is_walked_once() -> None:
    seen: list[tuple[int, ...]] = []
    m = input("x", shape=(None, None)).nx(lambda x: seen.append(x.shape) or x).dense(3)
    model.init(m, nx.template((5, 4)), **EVALUATE)
    assert seen == [(5, 4)]


def test_what_runs_points_at_the_line_that_made_the_layer() -> None:
    def logarithm(x: nx.Tensor) -> nx.Tensor:
        return nx.log(x)

    x = input("x", shape=(None, 4))
    for line, m in ((here(), x.nx(nx.log)), (here(-3), x.nx(logarithm))):  # a function of one's own has its own lines
        with pytest.raises(NonFiniteError, match=rf"log at .*test_build.py:{line}:"), debug():
            model.predict(m, ModelState(), -nx.ones((1, 4)), **EVALUATE)
    line, m = here(), x.dense(3, activation="sigmoid")
    text = model.build(m).predict.lower(model.init(m, **EVALUATE), nx.ones((1, 4))).graph(sources=True)
    assert set(re.findall(r"test_build.py:(\d+)", text)) == {str(line)}


def test_parameters_that_are_alike_are_traced_once() -> None:
    traced: list[tuple[int, ...]] = []

    def half(shape: tuple[int, ...], dtype: Any, key: nx.Tensor) -> nx.Tensor:
        traced.append(shape)
        return nx.random.uniform(key, shape, dtype) * 0.5

    m = input("x", shape=(None, 4))
    for _ in range(5):
        m = m.dense(4, kernel_initializer=half)
    m = m.dense(3, kernel_initializer=half)
    first = model.init(m, **EVALUATE)
    once = len(traced)
    assert set(traced) == {(4, 4), (4, 3)} and once <= 4
    again = model.init(m, **EVALUATE)
    other = model.init(m, key=nx.random.key(1), **EVALUATE)
    assert len(traced) == once
    kernels = [s[f"dense_{i}"]["kernel"].tolist() for s in (first, other) for i in range(5)]
    assert all(a != b for i, a in enumerate(kernels) for b in kernels[:i])
    np.testing.assert_array_equal(first["dense_5"]["kernel"], again["dense_5"]["kernel"])
    assert initializers.find_initializer("he_normal") is initializers.find_initializer("he_normal")


@pytest.mark.parametrize("compiler", ["native", "evaluate"])
def test_an_initializer_that_captures_is_asked_each_time(compiler: str) -> None:
    numbers, weights = iter(range(100)), nx.ones((4, 4))

    def counted(shape: tuple[int, ...], dtype: Any, key: nx.Tensor) -> nx.Tensor:
        return nx.tensor(np.full(shape, next(numbers), np.float32))

    m = input("x", shape=(None, 4)).dense(4, kernel_initializer=counted).dense(4, kernel_initializer=counted)
    m = m.dense(4, kernel_initializer=lambda shape, dtype, key: weights)
    states = [model.init(m, compiler=compiler) for _ in range(2)]
    found = [s[f"dense_{i}"]["kernel"].numpy()[0, 0] for s in states for i in range(2)]
    assert len(set(found)) == 4
    jit(lambda s: s, donate=0, compiler=compiler)(states[0])  # the user's weights are not what is donated
    assert model.init(m, compiler=compiler)["dense_2"]["kernel"].tolist() == weights.tolist()


def here(offset: int = 0) -> int:
    return inspect.currentframe().f_back.f_lineno + offset  # type: ignore[union-attr]


def test_the_state_of_another_model() -> None:
    state = model.init(small(), **EVALUATE)
    with pytest.raises(ShapeError, match=r"layer dense_1 .*expected kernel of shape \(9, 2\), got float32\[3,2\]"):
        model.predict(
            input("x", shape=(None, 4)).dense(3).nx(lambda x: nx.tile(x, (1, 3))).dense(2),
            state,
            nx.ones((1, 4)),
            **EVALUATE,
        )
    with pytest.raises(ShapeError, match=r"layer conv_0 .*expected a parameter kernel, found none in the state"):
        model.predict(input("x", shape=(None, 4, 4, 1)).conv(2, 1), state, nx.ones((1, 4, 4, 1)), **EVALUATE)


@pytest.mark.parametrize(("made", "got"), [(nx.zeros(3), r"float32\[3\]"), (np.zeros((4, 2)), r"float64\[4,2\]")])
def test_an_initializer_of_the_wrong_type(made: Any, got: str) -> None:
    m = input("x", shape=(None, 4)).dense(2, kernel_initializer=lambda shape, dtype, key: made)
    with pytest.raises(
        ShapeError, match=rf"layer dense_0: expected kernel float32\[4,2\], its initializer gave {got}; make it"
    ):
        model.init(m, **EVALUATE)


def test_options_reach_the_layer() -> None:
    m = input("x", shape=(None, 4)).dense(2, use_bias=False, kernel_initializer="ones").celu(alpha=2.0)
    state = model.init(m, **EVALUATE)
    assert list(state["dense_0"]) == ["kernel"]
    expected = 2 * np.expm1(-4 / 2)
    np.testing.assert_allclose(model.predict(m, state, -nx.ones((1, 4)), **EVALUATE), [[expected] * 2], rtol=1e-6)
    zero = input("x", shape=(None, 4)).dense(2, kernel_initializer=initializers.full(0.5))
    assert (model.init(zero, **EVALUATE)["dense_0"]["kernel"].numpy() == 0.5).all()


def test_a_layer_that_has_no_tensors_is_no_key() -> None:
    state = model.init(small(), **EVALUATE)
    assert "dense_0" in state and "tanh_0" not in state and 0 not in state  # type: ignore[operator]
    with pytest.raises(
        KeyError, match=r"that has tensors \(dense_0, batch_norm_0, dense_1, dropout_0\), got 'dense_2'"
    ):
        state["dense_2"]
    with pytest.raises(KeyError, match="got 0"):  # and no walk without end
        list(state)  # type: ignore[call-overload]


def test_freezing() -> None:
    state = model.init(small(), **EVALUATE)
    frozen = state.freeze(lambda layer, parameter: layer == "dense_0" or parameter == "bias")
    assert list(frozen.parameters) == ["batch_norm_0", "dense_1"] and list(frozen.parameters["dense_1"]) == ["kernel"]
    assert set(frozen.frozen) == {"dense_0", "dense_1"}
    x = nx.ones((2, 4))
    m = small()
    np.testing.assert_array_equal(model.predict(m, frozen, x, **EVALUATE), model.predict(m, state, x, **EVALUATE))
    thawed = frozen.unfreeze()
    assert not thawed.frozen and thawed["dense_0"].keys() == state["dense_0"].keys()


def test_modes() -> None:
    with pytest.raises(ValueError, match='expected mode "train" or "inference", got \'training\''):
        model.build(small(), mode="training")  # type: ignore[arg-type]


def test_native_gives_what_evaluate_gives() -> None:
    m = (
        input("x", shape=(None, 6, 6, 1))
        .conv(3, kernel_size=3, padding="same")
        .batch_norm()
        .relu()
        .max_pool(kernel_size=2)
    )
    m = m.flatten().dense(4, activation="softmax")
    state = model.init(m, **EVALUATE)
    x = np.random.default_rng(0).normal(size=(5, 6, 6, 1)).astype(np.float32)
    np.testing.assert_allclose(
        model.predict(m, state, x, compiler="native"), model.predict(m, state, x, **EVALUATE), rtol=1e-5, atol=1e-6
    )
    for a, b in zip(tree.leaves(model.init(m, compiler="native")), tree.leaves(state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
