"""Exact keys: what Python calls equal is told apart where a trace would be another, and NaN is found again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from axon import nx, tree
from axon.exact import Exact, exact, is_fixed


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclass(frozen=True)
class Frozen:
    a: Any
    b: Any = 2


class Slotted:
    __slots__ = ("a",)

    def __init__(self, a: Any) -> None:
        self.a = a

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slotted) and self.a == other.a

    def __hash__(self) -> int:
        return hash(self.a)


class Level(IntEnum):
    ONE = 1


class Name(str):
    pass


LIKE = [
    1,
    True,
    1.0,
    1 + 0j,
    np.float32(1),
    np.int64(1),
    np.float64(1),
    np.bool_(1),
    Decimal(1),
    Fraction(1),
    Level.ONE,
]
HOLDERS: list[Any] = [
    lambda v: v, lambda v: (v,), lambda v: (0, ((v,),)), lambda v: frozenset([v]), lambda v: Pair(0, v), Frozen,
    lambda v: Frozen(Pair(v, 0)), Slotted,
]  # fmt: skip


@pytest.mark.parametrize("hold", HOLDERS)
def test_equal_values_that_are_not_alike(hold: Any) -> None:
    assert len({exact(hold(v)) for v in LIKE}) == len(LIKE)
    assert exact(hold(0.0)) != exact(hold(-0.0))
    assert exact(hold(complex(0, 0.0))) != exact(hold(complex(0, -0.0)))
    assert exact(hold(np.float32(0))) != exact(hold(np.float32(-0.0)))
    assert exact(hold("a")) != exact(hold(Name("a")))
    assert [exact(hold(v)) for v in LIKE] == [exact(hold(v)) for v in LIKE]


@pytest.mark.parametrize("hold", HOLDERS[:-1])
@pytest.mark.parametrize("nan", [math.nan, np.float32("nan"), complex(0, math.nan), Decimal("nan")], ids=repr)
def test_nan_is_equal_to_itself(hold: Any, nan: Any) -> None:
    again = type(nan)(str(nan))
    assert exact(hold(nan)) == exact(hold(again)) and hash(exact(hold(nan))) == hash(exact(hold(again)))


def test_containers_of_other_types_are_told_apart() -> None:
    assert len({exact(v) for v in ((0, 1), Pair(0, 1), Frozen(0, 1), frozenset([0, 1]), (tuple, 0, 1))}) == 5


def test_types_written_in_c_are_told_apart_by_what_they_are_made_of() -> None:
    east = timezone(timedelta(hours=1))
    noon = datetime(2020, 1, 1, 12, tzinfo=UTC)
    for a, b, again in (
        (range(0, 3, 2), range(0, 4, 2), range(0, 3, 2)),
        (noon, noon.astimezone(east), datetime(2020, 1, 1, 12, tzinfo=UTC)),
    ):
        assert a == b and exact(a) != exact(b)
        assert exact(a) == exact(again) and hash(exact(a)) == hash(exact(again))


def test_what_is_compared_by_identity_stands_for_itself() -> None:
    color = Enum("color", "red green")
    for value in (tree.leaves, float, color.red, object(), None, nx.ones(2)):
        assert exact(value) is value


def test_what_is_unhashable_has_an_unhashable_key() -> None:
    for value in ([1], ([1],), {"a": 1}):
        with pytest.raises(TypeError, match="unhashable"):
            hash(Exact(value))


def test_structures_tell_metadata_apart() -> None:
    structures = [tree.structure({key: 0}) for key in (1, True, 1.0, "1", (1,), (True,))]
    assert len(set(structures)) == len(structures)
    assert tree.structure({math.nan: 0}) == tree.structure({float("nan"): 0})
    for a, b in pairwise(structures):
        assert tree.matcher(a)({b[1].value[0] if isinstance(b[1], Exact) else b[1][0]: 5}) is None
    assert tree.unflatten(tree.structure({True: {0.5: 1}}), [7]) == {True: {0.5: 7}}
    assert tree.paths({True: {0.5: 1}}) == [(True, 0.5)]


@pytest.mark.parametrize(
    ("value", "fixed"),
    [
        (1, True), (True, True), (-0.0, True), (1j, True), ("a", True), (b"a", True), (None, True), (int, True),
        ((1, ("a", None)), True), (frozenset({1.0}), True), (Pair(1, 2), True), (Frozen(1), True), (nx.add, True),
        (object(), True), ([1], False), ((1, [2]), False), (Frozen([1]), False), ({1}, False), (np.ones(2), False),
    ],
)  # fmt: skip
def test_what_can_be_known_by_identity(value: Any, fixed: bool) -> None:
    assert is_fixed(value) is fixed
