"""_core.flatten agrees with axon.tree on built-in containers."""

from typing import Any, NamedTuple

import hypothesis.strategies as st
import pytest
from axon import _core, tree
from hypothesis import given


class Pair(NamedTuple):
    left: Any
    right: Any


leaves = st.integers() | st.text() | st.floats(allow_nan=False)
trees = st.recursive(
    leaves | st.none(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.builds(Pair, inner, inner)
    ),
)


@given(trees)
def test_leaves_and_token_are_those_of_tree(value: Any) -> None:
    found, token = _core.flatten(value)
    expected, structure = tree.flatten(value)
    assert found == expected and token == structure and hash(token) == hash(structure)


def test_order_is_part_of_the_token_and_other_types_are_leaves() -> None:
    assert _core.flatten({"a": 1, "b": 2})[1] != _core.flatten({"b": 2, "a": 1})[1]
    thing = object()
    assert _core.flatten([thing, {1}]) == ([thing, {1}], (list, None, 2, "*", "*"))


def test_a_tree_without_end_is_an_error() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(RecursionError):
        _core.flatten(endless)
