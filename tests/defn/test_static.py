"""Static arguments and static fields of containers: their values are part of a signature, told apart exactly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest
from axon import nx, tree
from axon.defn import defn, jit
from axon.nx import Tensor


@pytest.mark.parametrize("static", [(1, "scale"), ("mode", "scale"), ["mode", 3]])
def test_static(compiler: str, static: Any) -> None:
    @defn(static=static, compiler=compiler)
    def f(x: Tensor, mode: str, y: Tensor, scale: Any = 1) -> Tensor:
        return (x + y if mode == "add" else x - y) * scale

    x, y = nx.tensor(5.0), nx.tensor(2.0)
    assert f(x, "add", y).item() == 7
    assert f(x, "sub", y).item() == 3
    assert f(x, mode="sub", y=y).item() == 3
    assert f.traces == 2
    assert f(x, "sub", y, 2).item() == f(x, "sub", y, scale=2).item() == 6
    assert f.traces == 3


class Options(NamedTuple):
    value: Any


@dataclass(frozen=True)
class Settings:
    value: Any


class Own:
    """Its equality is that of its part."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Own) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)


def test_a_static_value_that_was_changed_in_place_is_another(compiler: str) -> None:
    f = jit(lambda x, own: x * own.value, static="own", compiler=compiler)
    own, x = Own(2.0), nx.tensor(1.0)
    assert (f(x, own).item(), f(x, own).item(), f(x, (own,)[0]).item()) == (2.0, 2.0, 2.0)
    own.value = 5.0
    assert f(x, own).item() == 5.0
    g = jit(lambda x, pair: x * pair[1].value, static="pair", compiler=compiler)
    pair = (1, own)
    assert g(x, pair).item() == 5.0
    own.value = 3.0
    assert g(x, pair).item() == 3.0 and f.traces == 2


class Box:
    """A container whose metadata may change in place."""

    def __init__(self, w: Any, own: Own) -> None:
        self.w, self.own = w, own


tree.register(Box, lambda box: ((box.w,), box.own), lambda own, parts: Box(parts[0], own))


@pytest.mark.parametrize("hold", [lambda own: Box(nx.ones(()), own), lambda own: {own: nx.ones(())}])
def test_metadata_that_was_changed_in_place_is_another(compiler: str, hold: Any) -> None:
    f = jit(
        lambda held: held.w * held.own.value if isinstance(held, Box) else next(iter(held)).value * nx.ones(()),
        compiler=compiler,
    )
    own = Own(2.0)
    held = hold(own)
    assert (f(held).item(), f(held).item()) == (2.0, 2.0)
    own.value = 5.0
    assert f(held).item() == 5.0


HOLDERS: list[Any] = [lambda v: v, lambda v: (v,), lambda v: (("a", v), 2), Options, Settings, Own]


def part(value: Any) -> Any:
    """The number inside."""
    while not isinstance(value, (bool, int, float)):
        value = value.value if hasattr(value, "value") else value[0] if value[0] != "a" else value[1]
    return value


@pytest.mark.parametrize("hold", HOLDERS)
def test_static_values_that_are_equal_but_not_alike_are_told_apart(compiler: str, hold: Any) -> None:
    f = jit(lambda x, s: (nx.asarray(part(s)), nx.copysign(x, float(part(s)))), static="s", compiler=compiler)
    x = nx.tensor(1.0)
    for _ in range(2):
        assert [str(f(x, hold(v))[0].dtype) for v in (1, True, 1.0)] == ["int32", "bool", "float32"]
        assert [f(x, s=hold(v))[1].item() for v in (0.0, -0.0, 0)] == [1, -1, 1]
    assert f.traces == 6


@pytest.mark.parametrize("hold", [*HOLDERS[:-1], lambda v: frozenset([v])])
def test_a_static_nan_is_equal_to_itself(hold: Any) -> None:
    f = jit(lambda x, s: x * 2, static=1, compiler="evaluate")
    for _ in range(3):
        f(nx.tensor(1.0), hold(float("nan")))
    assert f.traces == 1


def test_static_sets_are_told_apart() -> None:
    f = jit(lambda s: [nx.asarray(v) for v in s], static=0, compiler="evaluate")
    assert [str(f(frozenset([v]))[0].dtype) for v in (1, True, 1.0)] == ["int32", "bool", "float32"]


@dataclass
class Leaky:
    x: Any
    slope: Any = field(metadata={"static": True})


def test_containers_that_are_equal_but_not_alike_are_told_apart(compiler: str) -> None:
    f = jit(lambda t: nx.copysign(t.x, t.slope), compiler=compiler)
    made = [f(Leaky(nx.tensor(1.0), v)).item() for v in (0.0, -0.0, 0.0, float("nan"), float("nan"))]
    assert made == [1, -1, 1, 1, 1]
    assert f.traces == 3
    g = jit(lambda t: t, compiler=compiler)
    assert [type(k) for one in (1, True, 1.0, True) for k in g({one: nx.tensor(1.0)})] == [int, bool, float, bool]
    assert g.traces == 3


def test_static_values_must_be_hashable() -> None:
    f = jit(lambda x, n: x, static="n", compiler="evaluate")
    with pytest.raises(TypeError, match="expected a hashable value for static argument 'n', got a list; pass a tuple"):
        f(nx.tensor(1.0), [1])


@pytest.mark.parametrize(("value", "what"), [([1], "list"), (np.ones(2), "ndarray"), (([1],), "tuple")])
def test_static_fields_must_be_hashable(value: Any, what: str) -> None:
    f = jit(lambda t: t.x, compiler="evaluate")
    for call in (f, f.lower):
        with pytest.raises(
            TypeError, match=rf"expected hashable static fields in its arguments, got a {what} as Leaky.slo"
        ):
            call(Leaky(nx.tensor(1.0), value))
