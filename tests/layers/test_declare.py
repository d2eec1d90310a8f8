"""The declaration of a layer: what is read off a function and its parameters, and that every layer has one."""

import inspect
from functools import partial
from typing import Any

import axon
import pytest
from axon import activations, initializers, layers, nx
from axon.dtypes import float32
from axon.errors import ShapeError
from axon.layers import REQUIRED, TABLE, Parameter, describe, layer
from axon.nx import Tensor, TensorType


def test_what_a_declaration_says() -> None:
    row = TABLE["conv"]
    assert row.inputs == ("x",) and not row.variadic and not row.takes_mode
    assert dict(row.building) == {"units": REQUIRED, "kernel_size": REQUIRED}
    assert set(row.options) == {"strides", "padding", "input_dilation", "kernel_dilation", "groups", "channels"}
    assert row.optional == {"bias"}
    assert TABLE["add"].variadic and TABLE["dropout"].takes_mode and TABLE["batch_norm"].takes_mode
    assert TABLE["batch_norm"].parameters["mean"].kind == "state"


def test_specs_follow_inputs_and_options() -> None:
    x = TensorType(float32, (8, 10, 10, 6))
    options = {"units": 12, "kernel_size": (3, 5), "groups": 3, "kernel_initializer": initializers.he_normal()}
    specs = TABLE["conv"].specs([x], options)
    assert specs["kernel"].shape == (3, 5, 2, 12) and specs["bias"].shape == (12,)
    assert list(TABLE["conv"].specs([x], {**options, "use_bias": False})) == ["kernel"]
    zero = TABLE["conv"].specs([x], {**options, "kernel_initializer": initializers.zeros()})["kernel"]
    assert not zero.initializer((2,), float32, nx.random.key(0)).numpy().any()


def test_parameters_of_one_option_share_it() -> None:
    def pair(x: Tensor, first: Tensor, shift_1: Tensor | None, second: Tensor, shift_2: Tensor | None) -> Tensor:
        return x

    shape = lambda x: x.shape[-1:]  # noqa: E731
    named = {
        name: "scale" if name in ("first", "second") else "shift" for name in ("first", "shift_1", "second", "shift_2")
    }
    row = describe(pair, {name: Parameter(shape, option=option) for name, option in named.items()})
    assert row.optional == {"shift_1", "shift_2"}
    x = TensorType(float32, (2, 3))
    assert list(row.specs([x], {})) == list(named)
    specs = row.specs([x], {"use_shift": False, "scale_initializer": (ones := initializers.ones())})
    assert {name: spec.initializer for name, spec in specs.items()} == {"first": ones, "second": ones}


def test_every_activation_is_a_layer_and_every_layer_a_function() -> None:
    for name in activations.__all__:
        assert TABLE[name].function is getattr(activations, name) and not TABLE[name].parameters
    for name in set(TABLE) - set(activations.__all__):
        assert getattr(layers, name) is TABLE[name].function


def test_a_declaration_that_does_not_fit_its_function() -> None:
    with pytest.raises(ValueError, match="twice: expected a positional parameter for kernel"):

        @layer(kernel=Parameter(lambda x: x.shape))
        def twice(x: Tensor) -> Tensor:
            return x * 2


@pytest.mark.parametrize(
    ("declared", "error", "said"),
    [
        (
            {"kernel": Parameter(lambda x, units: (units,))},
            ValueError,
            r"for the shape of kernel, got 'units'; declare it: @layer\(options=\{'units': REQUIRED\}, ...\)",
        ),
        (
            {"results": lambda x: (x,)},
            ValueError,
            r"expected inputs and options of the layer for results, got 'x'; decl",
        ),
        ({"results": 2}, TypeError, r"expected the containers that the function returns, .*, got 2"),
    ],
)
def test_what_is_asked_for_is_declared(declared: Any, error: type[Exception], said: str) -> None:
    def odd(x: Tensor, kernel: Tensor | None = None) -> Tensor:
        return x

    with pytest.raises(error, match=f"^layer odd: .*{said}"):
        layer(**declared)(odd)
    assert layers.find("odd") is None


def test_an_activation_of_a_layers_own_wins() -> None:
    @layer()
    def gate(x: Tensor, *, activation: str = "tanh", sharp: bool = False) -> Tensor:
        assert isinstance(activation, str)
        return getattr(activations, activation)(x) * (2 if sharp else 1)

    x = axon.input("x", shape=(None, 2))
    for options, expected in (
        ({}, nx.tanh(nx.ones((1, 2)))),
        ({"activation": "relu", "sharp": True}, nx.full((1, 2), 2)),
    ):
        made: Any = gate(x, **options)  # type: ignore[arg-type]
        assert [node.op for node in made.nodes] == ["input", "gate"]
        assert axon.predict(made, axon.init(made), nx.ones((1, 2)), compiler="evaluate").tolist() == expected.tolist()
    assert list(inspect.signature(axon.model.function("gate")).parameters) == ["x", "activation", "sharp", "name"]
    assert axon.from_json(axon.to_json(made)).options == {"activation": "relu", "sharp": True}


def test_a_name_is_taken() -> None:
    with pytest.raises(ValueError, match=r"layer gate: expected options beside name, which every layer has; rename it"):

        @layer()
        def gate(x: Tensor, *, name: str = "tanh") -> Tensor:
            return x


def test_a_layer_of_ones_own_is_a_function_of_models_and_no_method() -> None:
    def library(factor: float) -> Any:
        @layer()
        def dense(*inputs: Tensor, plus: float = 0.0) -> Tensor:
            return factor * sum(inputs) + plus

        return dense

    one, other = library(2), library(3)
    x = axon.input("x", shape=(None, 2))
    y: Any = other(one(x, x), plus=1.0)
    assert list(y.names.values()) == ["x", "dense_0", "dense_1"]
    assert axon.predict(y, axon.init(y), nx.ones((1, 2)), compiler="evaluate").tolist() == [[13.0, 13.0]]
    assert one(nx.ones(2), nx.ones(2)).tolist() == [4.0, 4.0] and one([x, x]).parents == (x, x)
    assert x.dense(3).layer is TABLE["dense"]
    made = x.dense(3, activation=one)
    assert made.layer is one.row and made.layer.function is one  # type: ignore[attr-defined]
    assert layers.flatten(x).layer is TABLE["flatten"]

    @layer(options={"units": 3}, kernel=Parameter(lambda x, units: (x.shape[-1], units)))
    def mixing(x: Tensor, kernel: Tensor) -> Tensor:
        return x @ kernel

    assert axon.init(mixing(x, 4, name="m"), compiler="evaluate")["m"]["kernel"].shape == (2, 4)  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match=r"no method is called 'mixing'; .*mixing is a function of models: write "):
        x.mixing(4)
    with pytest.raises(
        TypeError, match=r"mixing: expected models, got Tensor; for tensors: from .*test_declare import"
    ):
        axon.model.function("mixing")(nx.ones(2), 4)


def test_a_declaration_that_is_run_again_replaces_the_first() -> None:
    x = axon.input("x", shape=(None, 2))
    for factor in (2, 3):

        @layer()
        def affine(x: Tensor) -> Tensor:
            return x * factor  # noqa: B023

        made = affine(x)
        assert axon.predict(made, axon.init(made), nx.ones((1, 2)), compiler="evaluate").tolist() == [[factor, factor]]


IMAGES = nx.ones((1, 4, 4, 2))


@pytest.mark.parametrize(
    "call",
    [
        lambda: layers.max_pool(nx.ones(3), kernel_size=2),
        lambda: layers.max_pool(IMAGES, kernel_size=(2, 2, 2)),
        lambda: layers.max_pool(IMAGES, kernel_size=2, channels="middle"),  # type: ignore[arg-type]
        lambda: layers.adaptive_avg_pool(IMAGES, output_size=9),
        lambda: layers.flatten(nx.ones(())),
        lambda: layers.dense(IMAGES, nx.ones((3, 1))),
        lambda: layers.conv(IMAGES, nx.ones((3, 3, 3, 1))),
        lambda: layers.concatenate(IMAGES, nx.ones(3)),
        lambda: layers.add(IMAGES, nx.ones(3)),
        lambda: layers.batch_norm(IMAGES, channels="middle"),  # type: ignore[arg-type]
        lambda: layers.dropout(IMAGES, nx.random.key(0), rate=2.0),
    ],
)
def test_errors_of_a_layer_that_is_used_alone_begin_with_its_name(call: Any) -> None:
    name = call.__code__.co_names[1]
    with pytest.raises((ValueError, TypeError, IndexError), match=f"^{name}: "):
        call()


def test_errors_of_ones_own_layer_have_its_name_where_they_are_of_tensors() -> None:
    @layer()
    def mine(x: Tensor, *, strict: bool = False) -> Tensor:
        if strict:
            raise ValueError("as it is")
        return x + nx.ones(7)

    with pytest.raises(ShapeError, match=r"^mine: add: "):
        mine(nx.ones(3))
    with pytest.raises(ValueError, match=r"^as it is$"):
        mine(nx.ones(3), strict=True)


@pytest.mark.parametrize("units", [0, -1, 2.5, "3"])
def test_parameters_have_whole_sizes_above_zero(units: object) -> None:
    with pytest.raises(ShapeError, match=r"expected whole sizes above 0 for kernel, got \(4, "):
        TABLE["dense"].specs([TensorType(float32, (2, 4))], {"units": units})


def test_a_function_alone_can_be_described() -> None:
    row = describe(lambda x, y, *, scale=2: x * y * scale)
    assert row.inputs == ("x", "y") and dict(row.options) == {"scale": 2} and row.name == "lambda"
    assert describe(partial(activations.celu, alpha=2.0)).name == "partial"


def test_results_have_names_of_their_own() -> None:
    with pytest.raises(ValueError, match=r"^layer twice: expected results of several names, got 's' twice"):

        @layer(results=("s", ("t", "s")))
        def twice(x: Tensor) -> Any:
            return x, (x, x)
