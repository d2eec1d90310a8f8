"""Layers of several results, parts of them, and containers: indexed, unpacked, read, written, shown and trained."""

from __future__ import annotations

import copy
import pickle
from typing import Any, NamedTuple

import axon
import numpy as np
import pytest
from axon import layers, nx, tree
from axon.defn import grad, jit
from axon.layers import Parameter, Stateful, layer
from axon.model import Model, ModelState, constant, container, from_json, input, to_json
from axon.model.parts import assembled, paths_of, pick
from axon.model.shapes import infer, output

from .one_layer import EVALUATE


@layer(
    results=("sequence", {"cell": "c", "hidden": "h"}),
    options={"units": layers.REQUIRED},
    kernel=Parameter(lambda x, units: (x.shape[-1], units)),
    seen=Parameter(lambda: (), kind="state", initializer=axon.initializers.zeros()),
)
def walk(x: nx.Tensor, kernel: nx.Tensor, seen: nx.Tensor, *, mode: str = "inference") -> Any:
    """Two results, the second a dict, with a parameter and a state."""
    y = x @ kernel
    results = y, {"cell": y.sum(axis=1), "hidden": nx.tanh(y)}
    return Stateful(results, {"seen": seen + 1}) if mode == "train" else results


@layer()
def halves(x: nx.Tensor) -> Any:
    return [x[:, :2], x[:, 2:]]


@layer(results=lambda count: ("share",) * count)
def shares(x: nx.Tensor, *, count: int) -> Any:
    return tuple(x * (i + 1) for i in range(count))


@layer()
def weighed(carry: Any, x: nx.Tensor) -> nx.Tensor:
    return carry["cell"][:, None] * carry["hidden"] + x


WALK: Any = walk
HALVES: Any = halves
SHARES: Any = shares
WEIGHED: Any = weighed
X = np.arange(8, dtype=np.float32).reshape(2, 4) / 8


def both(name: str = "x") -> tuple[Model, Model]:
    """A model of two results of which the second is taken apart, read by layers, and the first."""
    sequence, carry = WALK(input(name, shape=(None, 4)), 4)
    return sequence, carry


def predicted(model: Model, x: Any = X, **options: Any) -> Any:
    return axon.predict(model, axon.init(model, x, **EVALUATE), x, **(options or EVALUATE))


def test_two_results_and_a_dict() -> None:
    sequence, carry = both()
    kernel = axon.init(sequence, **EVALUATE)["walk_0"]["kernel"].numpy()
    y = X @ kernel
    assert sequence.path == (0,) and carry.path == (1,) and carry["cell"].path == (1, "cell")
    np.testing.assert_allclose(predicted(sequence), y, rtol=1e-6)
    np.testing.assert_allclose(predicted(carry)["cell"], y.sum(1), rtol=1e-5)
    np.testing.assert_allclose(predicted(carry["hidden"]), np.tanh(y), rtol=1e-6)
    model = WEIGHED(carry, sequence)
    np.testing.assert_allclose(predicted(model), y.sum(1)[:, None] * np.tanh(y) + y, rtol=1e-5)
    np.testing.assert_allclose(predicted(model, compiler="native"), predicted(model), rtol=1e-5)
    assert len(model.nodes) == 3 and list(axon.init(model, **EVALUATE).parameters) == ["walk_0"]


def test_parts_are_the_same_by_any_way_to_them() -> None:
    sequence, carry = both()
    whole = Model(sequence.node)
    assert whole[0] == whole[-2] == sequence and whole[np.int64(1)] == carry
    assert carry != sequence and hash(whole[1]) == hash(carry)
    assert whole[1]["cell"] == carry["cell"] and whole[1]["cell"].name == "walk_0"

    class Pair(NamedTuple):
        low: Any
        high: Any

    named = input("x", shape=(None, 4)).nx(lambda x: Pair(x - 1, x + 1))
    assert named["high"] == named[1] and isinstance(predicted(named), Pair)


def test_counts_come_from_the_row_or_from_shapes() -> None:
    unknown = input("x")
    one, two, three = SHARES(unknown, count=3)
    assert (one.path, three.path) == ((0,), (2,)) and two.node is one.node
    np.testing.assert_array_equal(predicted(three), 3 * X)
    with pytest.raises(IndexError, match=r"layer shares_0 \(shares, .*\): expected a number from 0 to 2, got 3"):
        SHARES(unknown, count=3)[3]
    left, right = HALVES(input("x", shape=(None, 4)))
    np.testing.assert_array_equal(predicted(left + right), X[:, :2] + X[:, 2:])
    with pytest.raises(TypeError, match=r"to give several results, got one whose inputs' shapes are not known; take"):
        left, right = HALVES(unknown)
    parts = HALVES(unknown)
    np.testing.assert_array_equal(predicted(parts[0] + parts[1]), X[:, :2] + X[:, 2:])
    with pytest.raises(IndexError, match=r"layer halves_0 .*: expected a number from 0 to 1, got 2; it gives 2"):
        predicted(parts[2].relu())


def test_each_layer_is_run_once_for_the_parts_of_all() -> None:
    runs: list[int] = []

    def step(h: nx.Tensor, c: nx.Tensor) -> Any:
        runs.append(0)
        return h + c, h - c

    h, c = input("h", shape=(None, 4)), input("c", shape=(None, 4))
    for _ in range(20):
        h, c = h.nx(step, c)
        h = h.tanh()
    assert len(runs) == 40, "once for each batch that is tried"
    assert output(h).shape == (None, 4) and repr(h.nodes[-2]).startswith("<Node nx, made at ")


@pytest.mark.parametrize(
    ("take", "error", "said"),
    [
        (lambda m: m[2], IndexError, r"layer walk_0 \(walk, .*test_parts.py:\d+\): expected a number from 0 to 1"),
        (lambda m: m["cell"], TypeError, "expected a number, 0 to 1, got 'cell'; take one part at a time"),
        (lambda m: m[:1], TypeError, r"expected a number, 0 to 1, got slice\(None, 1, None\)"),
        (lambda m: m[True], TypeError, "expected a number, 0 to 1, got True"),
        (lambda m: m[1]["sell"], KeyError, r"\)\[1\]: expected one of cell, hidden, got 'sell'; did you mean cell\?"),
        (lambda m: m[1][[]], KeyError, r"expected one of cell, hidden, got \[\]"),
        (lambda m: m[0][0], TypeError, r"\)\[0\]: expected a layer of several results, got one tensor, at \[0\]"),
        (lambda m: list(m[1]), TypeError, r"several results by number, got 2 results: cell, hidden; .*model\['cell'\]"),
        (lambda m: list(m[0]), TypeError, r"got one tensor; a layer of your own takes it apart: model.nx"),
        (
            lambda m: m[0].relu()[:, 0],
            TypeError,
            r"layer relu_0 .*got one tensor of shape \(None, 4\), at \[\(slice.*model.nx\(lambda x: x\[0\]\)",
        ),
        (lambda m: m.relu(), TypeError, r"layer relu_0 .*: expected one tensor of each layer .*, got 2 results; take"),
        (lambda m: m[0] + m[1], TypeError, r"layer add_0 .*: expected one tensor .*, got 2 results: cell, hidden;"),
        (lambda m: m[0].nx(lambda x: (x, None)), TypeError, r"or tensors in tuples, .*, got NoneType at \[1\]"),
    ],
)  # fmt: skip
def test_what_is_no_part(take: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        predicted(take(Model(both()[0].node)))


def test_results_that_are_not_as_declared() -> None:
    @layer(results=("a", "b"))
    def liar(x: nx.Tensor) -> Any:
        return x, (x, x)

    made: Any = liar(input("x", shape=(None, 4)))  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match=r"expected the results .* \[0\], \[1\], got \[0\], \[1\]\[0\], \[1\]\[1\]; mend"
    ) as e:
        axon.build(made)
    assert "in layer liar_0" in e.value.__notes__[0]


def test_containers_are_outputs_and_inputs() -> None:
    sequence, carry = both()
    x = input("x", shape=(None, 4))
    model = container({"a": sequence, "b": [carry["cell"], carry]}, name="all")
    found = predicted(model)
    assert tree.paths(found) == [("a",), ("b", 0), ("b", 1, "cell"), ("b", 1, "hidden")] and type(found["b"]) is tuple
    assert model["a"] is sequence and model["b"][0] == carry["cell"] and model["b"][1]["hidden"] == carry["hidden"]
    assert list(model["b"]) == [carry["cell"], carry]
    other = container({"own": (x, x.relu()), "rest": input("y", shape=(None, 2))})
    assert list(other["own"].inputs) == ["x"] and tree.leaves({"m": other}) == [other]
    with pytest.raises(KeyError, match=r"layer all \(container, made at .*\): expected one of a, b, got 'c'"):
        model["c"]
    given = container((x, x.relu()))
    np.testing.assert_array_equal(predicted(given.nx(lambda pair: pair[0] - pair[1])), np.zeros_like(X))
    train = axon.build(model, mode="train", **EVALUATE)
    done = train.predict(train.init(), X)
    assert tree.structure(done.output) == tree.structure(found) and done.state["walk_0"]["seen"].item() == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (nx.ones(2), "container: expected models in tuples, .*, got Tensor; of a tensor axon.constant makes a model"),
        ((input("x"), 1.0), r"got float at \[1\];"),
        ({"a": ()}, r"got an empty tuple at \['a'\]"),
        ((), "got an empty tuple;"),
        (input("x"), "got Model;"),
        ({"a": {1: input("x")}}, r"dicts whose names are text, got dict at \['a'\]"),
    ],
)
def test_what_is_no_container(given: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        container(given)


def test_a_node_is_no_model_but_has_one() -> None:
    model = input("x", shape=(None, 4)).dense(3, activation="relu").dense(2)
    hidden = model.nodes[2]
    np.testing.assert_array_equal(predicted(Model(hidden)), np.maximum(predicted(Model(model.nodes[1])), 0))
    with pytest.raises(TypeError, match=r"build: expected a Model, got Node; axon.Model\(node\) is what a layer gives"):
        axon.build(hidden)  # type: ignore[arg-type]


def test_several_models_in_the_place_of_one() -> None:
    x = input("x", shape=(None, 4))
    for wrong in (lambda: axon.build((x, x)), lambda: axon.dense((x, x), 2), lambda: axon.add(x, {"a": x})):  # type: ignore[arg-type]
        with pytest.raises(
            TypeError, match=r"expected (a Model|models), got (tuple|dict); axon.container\(...\) makes one"
        ):
            wrong()


def test_constants() -> None:
    values = np.array([1.0, 10.0, 100.0, 1000.0], np.float16)
    fixed = constant(values, dtype="float32", name="c")
    values[:] = 0
    model = input("x", shape=(None, 4)).multiply(fixed).dense(1, kernel_initializer="ones")
    np.testing.assert_allclose(predicted(model), (X * [1, 10, 100, 1000]).sum(1, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(predicted(model, compiler="native"), predicted(model), rtol=1e-6)
    assert "c (constant) " in str(model) and list(model.inputs) == ["x"]
    masked = input("x", shape=(None, 4)) + constant([0, -np.inf, np.inf, np.nan])
    assert str(predicted(masked).tolist()[0]) == "[0.0, -inf, inf, nan]"
    np.testing.assert_array_equal(predicted(from_json(to_json(masked))), predicted(masked))
    alone = container((constant(2), constant([True])))
    assert [t.tolist() for t in axon.predict(alone, ModelState(), (), **EVALUATE)] == [2, [True]]
    assert repr(alone) == "<Model container_0 (container), 3 layers, inputs none>"
    with pytest.raises(TypeError, match=r"constant: expected a name, got 3; write name='3'"):
        constant(1, name=3)  # type: ignore[arg-type]


def test_an_inner_model_used_twice_is_one_layer() -> None:
    sequence, carry = both()
    inner = WEIGHED(carry, sequence)
    model = container((inner.dense(2), inner.relu() + carry["hidden"]))
    assert list(model.names.values()) == ["x", "walk_0", "weighed_0", "dense_0", "relu_0", "add_0", "container_0"]
    first, second = predicted(model)
    np.testing.assert_array_equal(first, predicted(inner.dense(2)))
    np.testing.assert_array_equal(second, predicted(inner.relu() + carry["hidden"]))


def test_gradients_go_through_the_part_that_is_read() -> None:
    x = input("x", shape=(None, 4))
    low, high = x.dense(4, use_bias=False, name="shared").nx(lambda y: (y[:, :2], y[:, 2:]))
    model = container({"low": low, "high": high.dense(2, use_bias=False, name="rest")})
    state = axon.init(model, **EVALUATE)

    def loss(parameters: Any, part: str) -> Any:
        return nx.sum(axon.predict(model, ModelState(parameters), X)[part])

    for compiler in ("evaluate", "native"):
        slopes = jit(grad(loss), static=("part",), compiler=compiler)(state.parameters, part="low")
        expected = np.concatenate([np.repeat(X.sum(0)[:, None], 2, 1), np.zeros((4, 2))], 1)
        np.testing.assert_allclose(slopes["shared"]["kernel"], expected, rtol=1e-6)
        assert not slopes["rest"]["kernel"].numpy().any()
        slopes = jit(grad(loss), static=("part",), compiler=compiler)(state.parameters, part="high")
        assert not slopes["shared"]["kernel"].numpy()[:, :2].any() and slopes["rest"]["kernel"].numpy().any()


def test_shapes_and_tables() -> None:
    sequence, carry = both()
    model = container({"out": WEIGHED(carry, sequence), "cell": carry["cell"]})
    assert tree.map(lambda r: r.shape, output(model)) == {"out": (None, 4), "cell": (None,)}
    assert output(carry["hidden"]).shape == (None, 4) and output(carry["hidden"], X).shape == (2, 4)
    shapes = tree.map(lambda r: r.shape, infer(model)["walk_0"].output)
    assert shapes == ((None, 4), {"cell": (None,), "hidden": (None, 4)})
    rows = [[cell.strip() for cell in line.split("  ") if cell] for line in str(model).splitlines()[6:9]]
    assert rows == [
        ["walk_0 (walk)", "[(None, 4), {cell: (None,), hidden: (None, 4)}]", "16"],
        ["weighed_0 (weighed: walk_0[1], walk_0[0])", "(None, 4)", "0"],
        ["container_0 (container: weighed_0, walk_0[1]['cell'])", "{out: (None, 4), cell: (None,)}", "0"],
    ]
    assert "relu_0 (relu: walk_0[0])" in str(sequence.relu()) and " Output: walk_0[1]['cell']" in str(carry["cell"])
    assert repr(carry["cell"]) == "<Model walk_0[1]['cell'] (walk), 2 layers, inputs x>"
    assert "unknown" in str(HALVES(input("x"))[1])


def test_results_must_not_depend_on_the_batch() -> None:
    made = input("x", shape=(None, 4)).nx(lambda x: tuple(x[i] for i in range(x.shape[0])))
    with pytest.raises(axon.errors.ShapeError, match=r"layer nx_0 .*'rank': \(1, 1\)\} and \{'rank': \(1, 1, 1\)\}"):
        axon.build(made)


def several() -> dict[str, Model]:
    x = input("x", shape=(None, 4))
    sequence, carry = WALK(x, 4)
    return {
        "a part": carry["hidden"],
        "of parts": WEIGHED(carry, sequence).dense(2, activation="relu"),
        "container": container({"a": [sequence, carry["cell"]], "b": {"c": carry}, "initializer": x.dense(1)}),
        "part of a container": container([x, (x, carry)])[1],
        "constants": axon.add(x, constant([0.1, 1e-30, 3.0, -0.0]), constant(np.float64(1 / 3)), constant(X[:1] > 0)),
        "no elements": x.concatenate(constant(nx.zeros((0, 4), "float16")), axis=0),
        "counted": container(tuple(SHARES(x, count=3))),
    }  # fmt: skip


@pytest.mark.parametrize("name", several())
@pytest.mark.parametrize("again", [lambda m: from_json(to_json(m)), lambda m: pickle.loads(pickle.dumps(m))])
def test_models_of_parts_come_back(name: str, again: Any) -> None:
    model = several()[name]
    back = again(model)
    assert to_json(back) == to_json(model) and str(back) == str(model) and back.path == model.path
    assert copy.deepcopy(model) is model
    for one, other in zip(tree.leaves(predicted(back)), tree.leaves(predicted(model)), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_how_parts_are_written() -> None:
    lines = to_json(several()["a part"]).splitlines()
    assert lines[-1] == '], "output": [1, "hidden"]}'
    x = input("x", shape=(None, 4))
    left, right = SHARES(x, count=2)
    text = to_json(container({"l": left, "r": (right, constant([1, 2], name="c"))}))
    assert (
        '{"op": "container", "inputs": [[1, 0], [1, 1], 2], "options": {"paths": [["l"], ["r", 0], ["r", 1]]}}' in text
    )
    value = '{"value": {"dtype": "int32", "shape": [2], "values": [1, 2]}}'
    assert f'{{"op": "constant", "inputs": [], "options": {value}, "name": "c"}}' in text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[1, 0]", "[1, 2]", r"layer 3 .*layer shares_0 .*: expected a number from 0 to 1, got 2"),
        ("[1, 0]", '[1, "a"]', "expected a number, 0 to 1, got 'a'"),
        ("[1, 0]", "[1, null]", "expected numbers and names as the place of a part, got null"),
        ("[1, 0]", "[9, 0]", "expected inputs among the 3 layers before, got 9"),
        ("[1, 0]", "[]", "among the 3 layers before, got a list"),
        ("[1, 0]", "1", r"layer add_0 .*: expected one tensor of each layer .*, got 2 results"),
        ('["a"], ["b"]', '["a"], ["a"]', "container: expected one part at a path, got several"),
        ('["a"], ["b"]', '["a"], [1]', "container: expected names, or the numbers from 0, got 'a', 1"),
        ('["a"], ["b"]', '["a"]', "container: expected a path for each of 2 models, got 1"),
        ('["a"], ["b"]', "1, 2", "layer 5"),
        ('"paths"', '"ways"', "expected the fields paths, got none called paths"),
        ('"shape": [4]', '"shape": [5]', "layer 2"),
        ('"dtype": "float32", "shape": [4]', '"dtype": "float9", "shape": [4]', "layer 2 .*expected one of bool"),
        ('"values": [1.0', '"values": [null', "layer 2"),
        ("\\n]}", '\\n], "output": [2]}', r"expected one of a, b, got 2"),
        ("\\n]}", '\\n], "output": [true]}', "output: expected numbers and names as the place of a part, got true"),
    ],
)  # fmt: skip
def test_damaged_parts_are_refused(old: str, new: str, said: str) -> None:
    low, high = SHARES(input("x", shape=(None, 4)), count=2)
    fixed = constant([1.0, 2.0, 3.0, 4.0])
    text = to_json(container({"a": low + fixed + high, "b": fixed}))
    old, new = (part.replace("\\n", "\n") for part in (old, new))
    assert old in text
    with pytest.raises(ValueError, match=f"^from_json: .*{said}"):
        from_json(text.replace(old, new, 1))


def test_paths() -> None:
    nested = {"a": (1, [2, {"b": 3}]), "c": 4}
    paths, leaves = zip(*paths_of(nested))
    assert paths == (("a", 0), ("a", 1, 0), ("a", 1, 1, "b"), ("c",)) and leaves == (1, 2, 3, 4)
    assert assembled(leaves, paths) == {"a": (1, (2, {"b": 3})), "c": 4}
    assert [pick(nested, path, str) for path in paths] == list(leaves)
    assert layers.find("walk") is layers.OWN[f"{__name__}.walk"]


def test_a_part_that_no_layer_gives_is_refused_at_init() -> None:
    unknown = input("u")
    with pytest.raises(IndexError, match="expected a number from 0 to 1, got 7"):
        axon.init(unknown.nx(lambda x: (x, x))[7], np.ones((2, 3), "f4"), **EVALUATE)


@pytest.mark.parametrize("paths", [3, "ab", [[0.0], [1.0]], [[False], [True]], [[0] * 5000, [1]]])
def test_paths_that_are_none(paths: Any) -> None:
    with pytest.raises(ValueError, match="container: expected paths of numbers and names"):
        assembled([1, 2], paths)
