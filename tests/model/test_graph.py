"""Models as values: names, sharing, options, where errors point."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axon import activations, initializers, layers, model, nx
from axon.model import Model, dense, flatten, from_json, input, relu, to_json
from axon.model.making import function_of
from axon.model.unknown import no_layer


def digits() -> Model:
    return (
        input("pixels", shape=(None, 4))
        .dense(8, activation="relu")
        .dense(8, name="head")
        .dense(2, activation="softmax")
    )


def test_names_count_by_op_and_depend_on_the_model_alone() -> None:
    expected = ["pixels", "dense_0", "relu_0", "head", "dense_2", "softmax_0"]
    assert list(digits().names.values()) == expected
    input(shape=(None, 3)).dense(5).dense(5)
    assert list(digits().names.values()) == expected


def test_function_and_method_are_the_same() -> None:
    x = input("x", shape=(None, 2, 3))
    one, other = relu(dense(flatten(x), 4)), x.flatten().dense(4).relu()
    assert [n.op for n in one.nodes] == [n.op for n in other.nodes]
    assert dense.__doc__ == x.dense.__doc__ == layers.dense.__doc__
    assert str(inspect.signature(x.dense)).startswith("(units, *, kernel_initializer=None")
    assert set(layers.TABLE) <= set(dir(x))


def test_a_layer_used_twice_is_one_layer() -> None:
    x = input("x", shape=(None, 3))
    shared = x.dense(3)
    y = (shared + shared.relu()) * x - shared
    assert [y.names[n] for n in y.nodes] == ["x", "dense_0", "relu_0", "add_0", "multiply_0", "subtract_0"]
    assert len(model.init(y, compiler="evaluate").parameters) == 1


def test_inputs_are_in_the_order_of_the_graph() -> None:
    a, b = input("a", shape=(None, 2)), input("b", shape=(None, 3))
    assert list(a.concatenate(b).inputs) == ["a", "b"]
    assert list(b.concatenate([a][0]).inputs) == ["b", "a"]
    assert list(model.add([a.dense(2), b.dense(2), a]).inputs) == ["a", "b"]


def test_activation_by_function_is_a_layer_of_its_own() -> None:
    y = input("x", shape=(None, 3)).dense(2, activation=activations.mish)
    assert y.op == "mish" and y.parents[0].op == "dense" and y.layer is layers.TABLE["mish"]
    assert input("x", shape=(None, 3)).dense(2, activation=lambda x: x * 2).op == "lambda"
    assert input("x", shape=(None, 3)).dense(2, activation=relu).layer is layers.TABLE["relu"]


def test_models_are_immutable() -> None:
    with pytest.raises(AttributeError):
        digits().op = "conv"  # type: ignore[misc]


def test_deep_models_need_no_recursion() -> None:
    x = input("x", shape=(None, 3))
    for _ in range(3000):
        x = x.relu()
    assert x.name == "relu_2999"


def test_wrong_options_are_named_with_the_right_ones() -> None:
    x = input("x", shape=(None, 3))
    with pytest.raises(TypeError, match=r"dense: got an unknown option unit; write units=$"):
        x.dense(unit=3)
    with pytest.raises(TypeError, match=r"dense: got an unknown option speed; write dense\(x, /, units, \*, kernel"):
        x.dense(3, speed=3)
    with pytest.raises(TypeError, match="dense: missing a required argument: 'units'"):
        x.dense()
    with pytest.raises(AttributeError, match=r"no layer is called 'dens'; did you mean dense?"):
        x.dens(3)
    with pytest.raises(TypeError, match="conv: missing a required argument: 'kernel_size'; write conv"):
        x.conv(3)
    with pytest.raises(TypeError, match="max_pool: missing a required argument: 'kernel_size'; write max_pool"):
        x.max_pool()
    with pytest.raises(TypeError, match="dense: expected True or False as use_bias, got 'no'; write one of them"):
        x.dense(3, use_bias="no")
    assert x.dense(3, use_bias=np.bool_(False)).options["use_bias"] is False
    with pytest.raises(TypeError, match="dense: expected a name, got 3; write name='3'"):
        x.dense(3, name=3)
    with pytest.raises(TypeError, match='write input\\("name", shape='):
        input((None, 3))  # type: ignore[arg-type]
    for shape in (4, (None, 2.5), "28", (None, True), (None, -1)):
        with pytest.raises(TypeError, match=r"input: expected a shape such as \(None, 4\), got "):
            input(shape=shape)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("conv2d", "; did you mean conv?"),
        ("MaxPool2D", "; did you mean max_pool?"),
        ("SeparableConv2D", "; did you mean separable_conv2d?"),
        ("Conv2DTranspose", "; did you mean conv_transpose?"),
        ("AdaptiveAvgPool2d", "; did you mean adaptive_avg_pool?"),
        *((name, " yet; write one with axon.layers.layer") for name in ("embedding", "LSTM", "rms_norm", "attention")),
        *((name, " yet; write one with axon.layers.layer") for name in ("bilinear", "spectral_norm", "reshape")),
        ("fit", "; axon.Loop.trainer(model, loss, optimizer).run(batches) trains a model"),
        ("predict", "; axon.predict(model, state, x) runs a model"),
        ("save", "; axon.to_json(model) gives a model's layers as text, axon.io.save(path, state) saves tensors"),
        ("quux", f"; the layers are {', '.join(sorted(layers.TABLE))}"),
    ],
)
def test_layers_that_do_not_exist(name: str, text: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(input("x", shape=(None, 3)), name)
    assert str(caught.value) == f"model: no layer is called {name!r}{text}"


@pytest.mark.parametrize(
    ("by_position", "options"),
    [
        (lambda x: x.max_pool(2), {"kernel_size": 2, "strides": None}),
        (lambda x: x.lp_pool((2, 3), 1), {"kernel_size": (2, 3), "strides": 1}),
        (lambda x: x.adaptive_avg_pool(2), {"output_size": 2}),
        (lambda x: x.group_norm(3), {"num_groups": 3, "group_size": None}),
        (lambda x: x.group_norm(None, 2), {"num_groups": None, "group_size": 2}),
    ],
)
def test_first_options_without_a_value_are_given_by_position(by_position: Any, options: dict[str, Any]) -> None:
    node = by_position(input("x", shape=(None, 8, 8, 6)))
    assert {name: node.options[name] for name in options} == options
    assert from_json(to_json(node)).options == node.options


def test_an_option_that_must_be_given_may_follow_one_that_need_not() -> None:
    def mine(*, size: Any = None, rate: Any) -> None: ...

    made = function_of(layers.describe(mine))
    assert str(inspect.signature(made)) == "(size=None, *, rate, activation=None, name=None)"


@pytest.mark.parametrize(
    "more", [lambda x: x.max_pool(2, 2, "same"), lambda x: x.dropout(0.5), lambda x: x.conv(1, 1, 1)]
)
def test_options_with_a_value_are_given_by_name(more: Any) -> None:
    with pytest.raises(TypeError, match="too many positional arguments; write"):
        more(input("x", shape=(None, 8, 8, 6)))


def test_a_layer_that_has_come_is_no_longer_missing() -> None:
    text = "no layer is called 'RMSNorm'; did you mean rms_norm?"
    assert no_layer("RMSNorm", ["dense", "rms_norm"]) == text
    assert no_layer("RMSNorm", ["dense"]).startswith("no layer is called 'RMSNorm' yet")


def test_a_layer_is_declared_by_a_call() -> None:
    text = r"^layer: expected what .*, got <function .*; write @layer\(\) above the function"
    with pytest.raises(TypeError, match=text):

        @layers.layer  # type: ignore[arg-type]
        def mine(x: Any) -> Any:
            return x


@pytest.mark.parametrize("name", layers.TABLE)
def test_a_layer_given_tensors_says_what_takes_them(name: str) -> None:
    row = layers.TABLE[name]
    asked = {**row.building, **row.options}
    options = {option: 1 for option, default in asked.items() if default is layers.REQUIRED}
    with pytest.raises(TypeError, match=f"{name}: expected models, got Tensor; for tensors: from ") as caught:
        model.function(name)(nx.ones(3), **options)
    scope: dict[str, Any] = {}
    exec(str(caught.value).split("for tensors: ")[1], scope)
    assert scope[name] is row.function


@pytest.mark.parametrize(
    "mix",
    [
        lambda m, t: m + 1, lambda m, t: 1 + m, lambda m, t: 2 - m, lambda m, t: 2 * m, lambda m, t: m / 2,
        lambda m, t: -m, lambda m, t: m + t, lambda m, t: t + m, lambda m, t: m.add(t), lambda m, t: m.nx(nx.add, t),
    ],
)  # fmt: skip
def test_numbers_and_tensors_go_into_a_layer_of_ones_own(mix: Callable[[Model, nx.Tensor], Model]) -> None:
    with pytest.raises(TypeError, match=r"expected .*models, got .*; write model.nx\(lambda x: ...\)"):
        mix(input("x", shape=(None, 3)), nx.ones(3))


@pytest.mark.parametrize("wrong", ["swish", "LeakyReLU", "dense", 3])
def test_what_is_no_activation(wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"dense: activation: expected one of celu, .* got {wrong!r}"):
        input("x", shape=(None, 3)).dense(2, activation=wrong)


@pytest.mark.parametrize("wrong", ["math", initializers.he_normal])
def test_what_is_no_initializer_is_said_where_the_layer_is_made(wrong: Any) -> None:
    with pytest.raises(
        ValueError, match=r"conv: bias_initializer: expected (one of glorot_normal, |a function that he_normal makes)"
    ):
        input("x", shape=(None, 3, 1)).conv(2, 1, bias_initializer=wrong)


def test_two_layers_of_one_name() -> None:
    with pytest.raises(ValueError, match=r"got 'a' made at .*test_graph.py:\d+ and at .*test_graph.py:\d+; rename one"):
        _ = input("a", shape=(None, 3)).dense(2, name="a").names


def test_repr() -> None:
    assert repr(digits()) == "<Model softmax_0 (softmax), 6 layers, inputs pixels>"
