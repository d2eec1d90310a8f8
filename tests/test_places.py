"""The tour's table of what a new row touches is what is counted today."""

import pytest

from .places import TOUR, Family, Said, families, names_target, of_cpp, of_python, places, tour


def test_the_tour_has_what_is_counted() -> None:
    assert TOUR.read_text() == tour(), "python -m tests.places counts again"


def test_every_family_has_members() -> None:
    assert [family.name for family in families() if len(family.members) < 3] == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('def a(x):\n    """Of b, c."""\n    # c\n', {"a"}),
        ("class a: ...", {"a"}),
        ("a: int = 1", {"a"}),
        ("x = (a, m.b)", {"a", "b"}),
        ("x = {a: m.b}", {"a", "b"}),
        ('x = "a b".split()', {"a", "b"}),
        ('if kind == "a": ...', {"a"}),
        ('row(name="a")', {"a"}),
        ('x = a(m.b(1), "c")', set()),  # a use is none
    ],
)
def test_what_python_speaks_of(text: str, names: set[str]) -> None:
    said = of_python(text)
    assert (said.declared | said.listed) & {"a", "b", "c"} == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("// a\n/* b */ ROW(c, 1)", {"c"}),
        ('library("a")', {"a"}),
        ("template <class V> V a(V x) {", {"a"}),
        ("x = a(y) + m.b + std::c;", set()),
        ("x == Of::a || x == axon_b", {"a", "b"}),
    ],
)
def test_what_cpp_speaks_of(text: str, names: set[str]) -> None:
    said = of_cpp(text)
    assert (said.declared | said.listed | said.texts) & {"a", "b", "c"} == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("from .targets.target import CPU, Target", True),
        ("from .targets.target import TARGETS, Target", False),
        ("def f():\n    from ..targets import emit_cuda", True),
        ("from .targets.compile_cpp import host", True),
        ("from .targets.cache import Statistics", False),
        ('if device == "cuda": ...', True),
        ('default_device = "cpu"', False),
        ("# of the cpu", False),
    ],
)
def test_who_names_a_target_is_seen(text: str, names: bool) -> None:
    assert names_target(text) == names


def test_places_are_lists_folders_and_mentions() -> None:
    none: frozenset[str] = frozenset()
    sources = {
        "rows/first.py": Said(frozenset("a"), none, none),
        "rows/second.py": Said(frozenset("bx"), none, none),
        "other/one.py": Said(frozenset("a"), none, none),
        "list.py": Said(none, frozenset("abx"), none),
        "branch.py": Said(none, frozenset("c"), frozenset("c")),
    }
    assert places(Family("", "abc"), sources) == ["list.py", "rows/*"]
    assert places(Family("", "abc", "c"), sources) == ["branch.py", "list.py", "rows/*"]
