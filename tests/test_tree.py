"""Trees: what comes apart comes together again, and structures tell trees apart."""

from __future__ import annotations

import doctest
import pickle
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from axon import tree
from axon.errors import StructureError
from hypothesis import given
from hypothesis import strategies as st


class Pair(NamedTuple):
    first: Any
    second: Any


@tree.atom
class Point(NamedTuple):
    x: int
    y: int


@dataclass(frozen=True)
class Layer:
    kernel: Any
    bias: Any = None
    units: int = field(default=0, metadata={"static": True})

    def __post_init__(self) -> None:
        if isinstance(self.kernel, str):
            raise ValueError("rebuilding must not run __init__")


class Box:
    def __init__(self, content: Any, label: str) -> None:
        self.content, self.label = content, label


tree.register(Box, lambda b: ((b.content,), b.label), lambda label, children: Box(children[0], label))

trees = st.recursive(
    st.integers() | st.none() | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3).map(OrderedDict)
        | st.builds(Pair, inner, inner)
        | st.builds(Layer, inner, inner, st.integers())
    ),
    max_leaves=12,
)


@given(trees)
def test_unflatten_inverts_flatten(value: Any) -> None:
    found, structure = tree.flatten(value)
    assert tree.unflatten(structure, found) == value
    assert len(found) == structure.size == len(tree.paths(value))
    assert pickle.loads(pickle.dumps(structure)) == structure
    assert hash(tree.structure(value)) == hash(structure)


@given(trees, trees)
def test_structures_are_equal_only_for_trees_that_differ_in_leaves(a: Any, b: Any) -> None:
    same = tree.structure(a) == tree.structure(b)
    blank = lambda t: repr(tree.map(lambda _: 0, t))  # noqa: E731
    assert same == (blank(a) == blank(b))


@given(trees, trees)
def test_straight_line_walks_agree_with_the_general_ones(value: Any, other: Any) -> None:
    found, structure = tree.flatten(value)
    assert tree.matcher(structure)(value) == found
    assert tree.builder(structure)(found) == value
    matched = tree.matcher(structure)(other)
    if matched is not None and all(map(tree.is_leaf, matched)):
        assert tree.structure(other) == structure
        assert matched == tree.leaves(other)
    else:
        assert tree.structure(other) != structure


@given(trees)
def test_children_make_up_the_structure(value: Any) -> None:
    structure = tree.structure(value)
    children = structure.children()
    assert sum(c.size for c in children) == (0 if tree.is_leaf(value) else structure.size)
    assert tree.structure([value, value]).children() == [structure, structure]


@given(trees)
def test_map_visits_each_leaf_once_in_order(value: Any) -> None:
    seen: list[Any] = []
    assert tree.map(lambda x: seen.append(x) or x, value) == value
    assert seen == tree.leaves(value)


def test_none_is_a_node_without_leaves() -> None:
    assert tree.flatten((None, 1))[0] == [1]
    assert tree.map(lambda x: x + 1, {"a": None, "b": 1}) == {"a": None, "b": 2}


def test_insertion_order_counts() -> None:
    assert tree.leaves({"b": 1, "a": 2}) == [1, 2]
    assert tree.structure({"b": 1, "a": 2}) != tree.structure({"a": 1, "b": 2})


def test_atoms_are_leaves() -> None:
    assert tree.leaves([Point(1, 2), "text", Point]) == [Point(1, 2), "text", Point]


def test_dataclass_statics_belong_to_the_structure() -> None:
    assert tree.leaves(Layer(1, 2, units=3)) == [1, 2]
    assert tree.structure(Layer(1, 2, units=3)) != tree.structure(Layer(1, 2, units=4))
    assert tree.map(str, Layer(1, 2, units=3)).kernel == "1"


def test_registered_and_default_dicts() -> None:
    box = tree.map(lambda x: x * 2, Box([1, 2], "a"))
    assert (box.content, box.label) == ([2, 4], "a")
    assert tree.map(lambda x: x * 2, defaultdict(list, a=1))["a"] == 2


def test_paths() -> None:
    value = {"dense": Layer(1, [2, 3]), "rest": Pair(4, (5,))}
    shown = [tree.show(p) for p in tree.paths(value)]
    assert shown == ["dense.kernel", "dense.bias.0", "dense.bias.1", "rest.first", "rest.second.0"]


def test_map_of_several_matches_dicts_by_key_and_hands_over_subtrees() -> None:
    got = tree.map(lambda a, b: (a, b), {"x": 1, "y": 2}, {"y": [3], "x": 4})
    assert got == {"x": (1, 4), "y": (2, [3])}


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ({"a": [1]}, {"a": (1,)}, "tree at a: expected a list, got a tuple"),
        ({"a": [1]}, {"a": [1, 2]}, r"tree at a: expected a list of \(0\), got one of \(0, 1\)"),
        ({"a": 1}, {"b": 1}, r"tree: expected a dict of \(a\), got one of \(b\)"),
        ([None], [1], "tree at 0: expected a NoneType, got a int"),
    ],
)
def test_trees_that_part_name_the_place(first: Any, second: Any, text: str) -> None:
    with pytest.raises(StructureError, match=text):
        tree.map(lambda a, b: a, first, second)


def test_wrong_number_of_leaves() -> None:
    structure = tree.structure([1, 2])
    with pytest.raises(StructureError, match="expected 2 leaves, got fewer"):
        tree.unflatten(structure, [1])
    with pytest.raises(StructureError, match="expected 2 leaves, got more"):
        tree.unflatten(structure, [1, 2, 3])


def test_a_tree_that_holds_itself() -> None:
    loop: list[Any] = []
    loop.append({"a": loop})
    with pytest.raises(StructureError, match="itself"):
        tree.flatten(loop)


def test_examples() -> None:
    assert doctest.testmod(tree).failed == 0
