"""Models as JSON: every layer of the table comes back the same, and no text does more than be refused."""

import contextlib
import copy
import json
import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import axon
import numpy as np
import pytest
from axon import activations, initializers, io, layers, nx, tree
from axon.layers import REQUIRED, Parameter
from axon.model import Model, dense, from_json, input, to_json
from axon.model.shapes import infer

from .one_layer import EVALUATE, built, defaults, least_of

# What is tried for every option; what a layer refuses is left out.
VALUES = [
    2, np.int64(1), 0, 0.25, np.float32(0.5), True, False, "same", "first", "last", (2, 2), [2, 1], ((1, 1), (0, 1)),
    [[0, 1], [np.int64(1), 0]], [None, 1, 1, 4], initializers.uniform(0.5),
]  # fmt: skip


def same(one: Model, other: Model) -> None:
    """All that is known of two models is the same: the text, the layers, and the state they begin with."""
    assert to_json(one) == to_json(other)
    assert list(one.names.values()) == list(other.names.values())
    one_shapes, other_shapes = ([x.output for x in infer(m).values()] for m in (one, other))
    assert one_shapes == other_shapes
    assert str(one) == str(other)
    a, b = (axon.init(m, **EVALUATE) for m in (one, other))
    assert tree.structure(a) == tree.structure(b)
    for x, y in zip(tree.leaves(a), tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("name", layers.TABLE)
def test_every_layer_comes_back(name: str) -> None:
    """With what it must be given, then with every option it has, given what it takes there."""
    named, (shape, least) = defaults(name), least_of(name)
    options = list(named)
    required = {option: 2 for option, default in named.items() if default is REQUIRED}
    models = [built(name, shape, least)]
    for option in options:
        values = [value for value in VALUES if value is not named[option]]
        alone = [{**least, option: value} for value in values]
        apart = [{**required, option: value} for value in values]  # without what it excludes
        along = [{**required, other: value, option: value} for other in options for value in values]
        found = next(
            filter(None, ([m for o in way if (m := built(name, shape, o))] for way in (alone, apart, along))), []
        )
        assert found, f"{name} takes no value that is tried as {option}: extend VALUES"
        models += found
    for m in models:
        assert m is not None
        same(from_json(to_json(m)), m)


def residual() -> Model:
    x = input("x", shape=(None, 4), dtype=nx.float64)
    words = input(shape=(None, None), dtype="int32")
    shared = x.dense(4, activation="relu", kernel_initializer="he_normal", name="shared")
    y = (shared + shared.dense(4, use_bias=False)) * x - shared.dropout(rate=np.float32(0.5))
    return axon.concatenate(y, words, axis=1).batch_norm().dense(3, activation=activations.softmax)


def test_a_graph_comes_back_with_its_names_and_its_sharing() -> None:
    m = residual()
    back = from_json(to_json(m))
    assert [n.op for n in back.nodes] == [n.op for n in m.nodes] and len(back.inputs) == 2
    assert list(back.names.values()) == list(m.names.values())
    template = {"x": np.ones((2, 4)), "input_1": np.ones((2, 3), np.int32)}
    state = axon.init(m, template, **EVALUATE)
    expected = axon.predict(m, state, template, **EVALUATE)
    np.testing.assert_array_equal(axon.predict(back, state, template, **EVALUATE), expected)
    assert axon.model.table(back, template) == axon.model.table(m, template)


def test_a_trained_state_fits_in_a_new_model(tmp_path: Any) -> None:
    m = input("x", shape=(None, 4)).dense(3, activation="tanh").batch_norm().dense(2)
    state = axon.init(m, key=nx.random.key(7), **EVALUATE)
    io.save(tmp_path / "state.safetensors", state)
    (tmp_path / "model.json").write_text(to_json(m))
    back = from_json((tmp_path / "model.json").read_text())
    loaded = io.load(tmp_path / "state.safetensors", like=axon.init(back, **EVALUATE))
    x = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(axon.predict(back, loaded, x, **EVALUATE), axon.predict(m, state, x, **EVALUATE))


@pytest.mark.parametrize("name", initializers.__all__)
def test_every_initializer_comes_back(name: str) -> None:
    make, models = getattr(initializers, name), []
    for given in ((), (0.5,), (np.float32(2),)):
        with contextlib.suppress(TypeError):  # takes no number, or must be given one
            models.append(input("x", shape=(None, 4)).dense(4, kernel_initializer=make(*given)))
    assert models
    for m in models:
        same(from_json(to_json(m)), m)


def test_arguments_of_initializers_are_told_by_name() -> None:
    made = initializers.variance_scaling(np.float64(2), "fan_avg", distribution="uniform")
    m = input("x", shape=(None, 4)).dense(4, kernel_initializer=made).dense(4, kernel_initializer=made)
    first, second = (node.options["kernel_initializer"] for node in from_json(to_json(m)).nodes[1:])
    assert first is second, "they are drawn by one definition"
    wanted = {"initializer": "variance_scaling", "scale": 2.0, "mode": "fan_avg", "distribution": "uniform"}
    assert json.loads(to_json(m))["layers"][1]["options"]["kernel_initializer"] == wanted
    one, other = (input("x", shape=(None, 4)).dense(4, kernel_initializer=initializers.full(v)) for v in (1, 1.0))
    assert [json.loads(to_json(from_json(to_json(m))))["layers"][1] for m in (one, other)] == [
        json.loads(to_json(m))["layers"][1] for m in (one, other)
    ]


def test_lists_come_back_as_tuples() -> None:
    m = input("x", shape=(None, 8, 8, 1)).conv(2, kernel_size=[3, 3], padding=[[1, 1], [0, 0]])
    options = from_json(to_json(m)).options
    assert options["kernel_size"] == (3, 3) and options["padding"] == ((1, 1), (0, 0))


def test_a_layer_of_ones_own_that_is_declared_is_found_by_its_name() -> None:
    @layers.layer(shift=Parameter(lambda x: x.shape[-1:], initializers.ones()))
    def shift_by(x: nx.Tensor, shift: nx.Tensor, *, times: int = 2) -> nx.Tensor:
        return x + times * shift

    m: Any = shift_by(input("x", shape=(None, 4)), times=3)  # type: ignore[arg-type]
    text = to_json(m)
    key = f"{__name__}.test_a_layer_of_ones_own_that_is_declared_is_found_by_its_name.<locals>.shift_by"
    assert f'"op": "{key}"' in text
    same(from_json(text), m)
    older = text.replace(key, "shift_by")  # as such layers were written before
    same(from_json(older), m)
    row = layers.OWN.pop(key)
    with pytest.raises(ValueError, match=r"layer 1 \(.*\): no layer is called '.*shift_by'; your own are known once"):
        from_json(text)
    with pytest.raises(ValueError, match="got a function of your own"):
        to_json(m)
    assert row.name == "shift_by"


def test_deep_models_are_written_and_read() -> None:
    m = input("x", shape=(None, 3))
    for _ in range(2000):
        m = m.relu()
    assert len(from_json(to_json(m)).nodes) == 2001


x = input("x", shape=(None, 4))
OWN = r"expected a layer of axon.layers.TABLE, got a function of your own, which is code; declare it with"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (x.nx(nx.tanh).dense(2), rf"layer nx_0 \(nx, made at .*\): {OWN}"),
        (x.dense(2, activation=lambda x: x), rf"layer lambda_0 \(lambda, made at .*\): {OWN}"),
        (x.dense(2, activation=partial(activations.elu, alpha=2.0)), rf"layer partial_0 .*: {OWN}"),
        (
            x.dense(2, kernel_initializer=lambda *a: nx.ones((4, 2)), name="head"),
            r"layer head \(dense, .*\): kernel_initializer: expected an initializer .* got <lambda>; write such, or",
        ),
        (
            x.dense(2, bias_initializer=initializers.full(math.inf)),
            "bias_initializer: value: expected finite .* got inf",
        ),
        (x.elu(alpha=math.nan), "alpha: expected finite numbers, got nan; JSON has no others"),
        (x.dense(2**63), "units: expected numbers of 64 bits, got one of 64; choose"),
        (x.dense({"a": 2}), "units: expected numbers or names, got dict; write such"),
        (x.dense(np.ones(2)), "units: expected numbers or names, got ndarray; write such"),
    ],
)
def test_what_cannot_be_written_is_named(model: Model, said: str) -> None:
    with pytest.raises(ValueError, match=f"^to_json: .*{said}"):
        to_json(model)


def test_what_is_no_model_and_what_is_no_text() -> None:
    with pytest.raises(TypeError, match=r"^to_json: expected a Model, got function; pass what its last layer gave"):
        to_json(dense)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^from_json: expected text, got bytes; pass what to_json gave"):
        from_json(to_json(x).encode())  # type: ignore[arg-type]


GOOD = json.loads(
    to_json(x.dense(3, kernel_initializer=initializers.normal(scale=0.5)).relu().dropout(name="drop") + x)
)
DEEP: Any = 1
for _ in range(9):
    DEEP = [DEEP]

# Where a text is changed (a number: in that layer), to what, and what is said.
DAMAGED: list[tuple[str, Any, str]] = [
    ("format", "onnx", 'expected format "axon model", got "onnx"; use the axon that wrote it'),
    ("version", 2, "expected version 1, got 2; use the axon"),
    ("version", True, "expected a whole number as version, got true"),
    ("layers", {}, "expected a list as layers, got an object; mend the text"),
    ("layers", [], "expected layers, got none; the last one gives"),
    ("code", "print()", 'expected the fields format, version, layers, output, got also "code"'),
    ("1", None, "layer 1: expected an object with op, inputs, options, name, got null"),
    ("1", {"op": "relu", "inputs": [0]}, "layer 1: .*, got none called options"),
    ("1 source", "f.py:1", 'layer 1: expected the fields op, .*, got also "source"'),
    ("1 op", "dens", r"layer 1 \(dens\): no layer is called 'dens'; did you mean dense"),
    ("1 op", ["dense"], "layer 1: expected text as op, got a list"),
    ("1 op", "__class__", r"layer 1 \(__class__\): no layer is called"),
    ("1 op", "init", r"layer 1 \(init\): no layer is called 'init'"),
    ("1 inputs", [1], "expected inputs among the 1 layers before, got 1"),
    ("1 inputs", [3], "among the 1 layers before, got 3"),
    ("1 inputs", [-1], "among the 1 layers before, got -1"),
    ("2 inputs", [True], "among the 2 layers before, got true"),
    ("2 inputs", ["dense_0"], 'among the 2 layers before, got "dense_0"'),
    ("1 inputs", [0, 0], r"layer 1 \(dense\): expected 1 inputs, got 2; say which"),
    ("1 inputs", [], r"layer 1 \(dense\): expected 1 inputs, got 0; say which"),
    ("4 inputs", [], r"layer 4 \(add\): expected 1 inputs, got 0"),
    ("0 inputs", [0], "among the 0 layers before, got 0"),
    ("3 inputs", [1], "expected layers that lead to the last one, got layer 2"),
    ("3 name", "x", "model: expected one layer of a name, got 'x' made at"),
    ("3 name", 3, "layer 3: expected text as name, got 3"),
    ("1 options unit", 3, "dense: got an unknown option unit; write units="),
    ("1 options x", 3, "dense: got .*'x'"),
    ("1 options activation", "relu", "expected options, got activation; an activation"),
    ("1 options name", "a", "expected options, got name; .* a name a field"),
    ("1 options", {}, "dense: missing a required argument: 'units'; write dense"),
    ("1 options", [], "layer 1: expected an object as options, got a list"),
    ("1 options units", "3", r"layer dense_0 \(.*: expected whole sizes above 0"),
    ("1 options units", -3, r"layer dense_0 .*: expected whole sizes above 0 for kernel"),
    ("1 options units", {"a": 1}, "units: expected a number, a name or a list"),
    ("1 options units", {"initializer": "zeros"}, "expected whole sizes above 0 for kernel, got .*<full"),
    ("1 options units", math.nan, "units: expected finite numbers, got nan"),
    ("3 options rate", math.inf, "rate: expected finite numbers, got inf"),
    ("3 options rate", "half", r"layer drop \(dropout, made at .*: expected a number as rate, got 'half'"),
    ("3 options rate", 2, r"layer drop .*: expected a rate in \[0, 1\), got 2"),
    ("1 options units", 10**30, "units: expected numbers of 64 bits, got one of 100"),
    ("1 options units", 2**62, "full: expected a shape of at most"),
    ("1 options use_bias", "no", "expected True or False as use_bias, got 'no'"),
    ("1 options units", DEEP, "units: expected a number, a name or a list of such"),
    ("1 options kernel_initializer", {"initializer": "system"}, "initializer: expected one of .*, got 'system'"),
    ("1 options kernel_initializer", "os.system", "kernel_initializer: expected one of .*, got 'os.system'"),
    ("1 options kernel_initializer", {"scale": 0.5}, "kernel_initializer: expected a number, .*, got an object"),
    ("1 options kernel_initializer", {"initializer": []}, "expected a number, a name .*, got a list"),
    ("1 options kernel_initializer", {"initializer": "normal", "std": 1}, "normal: got an unknown option std; write"),
    ("1 options kernel_initializer", {"initializer": "normal", "scale": -1}, r"a scale in \[0, inf\), got -1"),
    ("0 options dtype", "float8", r"layer 0 \(x\): dtype: expected one of bool, "),
    ("0 options", {"shape": [None, 4]}, "options: expected the fields shape, dtype, got none c"),
    ("0 options shape", [None, 2.5], "input: expected a shape such as"),
    ("0 options shape", "28", "input: expected a shape such as"),
    ("0 options shape", [None, -4], "input: expected a shape such as"),
    ("0 options shape", [None, 5], "layer add_0 .*broadcast"),
]  # fmt: skip


def changed(path: Sequence[Any], value: Any) -> str:
    made = copy.deepcopy(GOOD)
    here = made
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    return json.dumps(made)


@pytest.mark.parametrize(("place", "value", "said"), DAMAGED)
def test_what_a_text_may_not_be(place: str, value: Any, said: str) -> None:
    keys = [int(key) if key.isdigit() else key for key in place.split()]
    with pytest.raises(ValueError, match=f"^from_json: .*{said}"):
        from_json(changed([*(["layers"] if place[0].isdigit() else []), *keys], value))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r'got "" \(Expecting value'),
        ("model.json", r'got "model.json" \(.*\); pass what to_json gave, a file\'s text and not its path'),
        ("[" * 200_000, "its brackets are too deep"),
        ('{"a":' * 200_000, "its brackets are too deep"),
        ("[" * 500 + "]" * 500, "expected an object with format, version, layers, output, got a list"),
        ('{"format": "a", "format": "axon model"}', '"format" stands twice in an object'),
        ("9" * 10_000, ""),
        ("NaN", "expected an object with .*, got NaN"),
        ('{"version": 1e999}', "expected version 1, got Infinity"),
        ('{"version": ' + "9" * 100 + "}", "expected version 1, got a number of more than 64 bits"),
        ('{"op": "\\ud800"}', "expected the fields format, version, layers, output, got none called format"),
        ("\ufeff{}", "BOM"),
    ],
    ids=range(12),
)  # fmt: skip
def test_what_is_no_json_of_a_model(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^from_json: .*{said}"):
        from_json(text)


JUNK = [
    None, True, 0, -1, 3, 2**62, 2**70, 0.5, -1e308, math.nan, "", "x", "same", "zeros", "__import__('os')", [], [0],
    [[1, 1], [1, 1]], [None] * 3, {}, {"initializer": "ones"}, {"initializer": "full", "value": "a"}, DEEP,
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a text something stands."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


@pytest.mark.parametrize("path", list(places(GOOD)), ids=str)
def test_junk_anywhere_is_a_model_or_a_value_error(path: tuple[Any, ...]) -> None:
    for junk in JUNK:
        try:
            made = from_json(changed(path, junk))
        except ValueError as error:
            assert str(error).startswith("from_json: ")
        else:
            to_json(made)


def test_a_text_that_was_cut_or_lost_a_part_is_a_model_or_a_value_error() -> None:
    text = json.dumps(GOOD)
    for i in range(len(text)):
        with pytest.raises(ValueError, match=r"^from_json: "):
            from_json(text[:i])
        for damaged in (text[:i] + text[i + 1 :], text[:i] + "0" + text[i + 1 :]):
            try:
                from_json(damaged)
            except ValueError as error:
                assert str(error).startswith("from_json: ")
