"""The declaration of a layer: what is read off a function and its parameters, and that every layer has one."""

import pytest
from axon import activations, initializers, layers, nx
from axon.dtypes import float32
from axon.layers import REQUIRED, TABLE, Parameter, describe, layer
from axon.nx import Tensor, TensorType


def test_what_a_declaration_says() -> None:
    row = TABLE["conv"]
    assert row.inputs == ("x",) and not row.variadic and not row.takes_mode
    assert dict(row.building) == {"units": REQUIRED, "kernel_size": 1}
    assert set(row.options) == {"strides", "padding", "input_dilation", "kernel_dilation", "groups"}
    assert row.optional == {"bias"}
    assert TABLE["add"].variadic and TABLE["dropout"].takes_mode and TABLE["batch_norm"].takes_mode
    assert TABLE["batch_norm"].parameters["mean"].kind == "state"


def test_specs_follow_inputs_and_options() -> None:
    x = TensorType(float32, (8, 10, 10, 6))
    options = {"units": 12, "kernel_size": (3, 5), "groups": 3, "kernel_initializer": "he_normal"}
    specs = TABLE["conv"].specs([x], options)
    assert specs["kernel"].shape == (3, 5, 2, 12) and specs["bias"].shape == (12,)
    assert list(TABLE["conv"].specs([x], {**options, "use_bias": False})) == ["kernel"]
    zero = TABLE["conv"].specs([x], {**options, "kernel_initializer": initializers.zeros()})["kernel"]
    assert not zero.initializer((2,), float32, nx.random.key(0)).numpy().any()


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


def test_a_name_is_declared_once() -> None:
    with pytest.raises(ValueError, match="expected a new name, got 'dense' again"):

        @layer()
        def dense(x: Tensor) -> Tensor:
            return x


def test_a_function_alone_can_be_described() -> None:
    row = describe(lambda x, y, *, scale=2: x * y * scale)
    assert row.inputs == ("x", "y") and dict(row.options) == {"scale": 2} and row.name == "lambda"
