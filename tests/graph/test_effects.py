"""Nodes that act: each runs once, in order, whether what it gives is needed or not, through passes and in regions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from axon import nx
from axon.defn import checkpoint, cond, custom_grad, grad, jit, scan, vmap
from axon.errors import TraceError
from axon.graph.expr import Builder, Graph, Value, rewrite
from axon.graph.printing import text
from axon.graph.trace import trace
from axon.graph.verify import verify
from axon.nx import Tensor
from axon.nx.core.call import call
from axon.nx.core.kinds import EFFECT
from axon.nx.core.op import Inference, Op

SEEN: list[Any] = []


def note(xp: Any, x: Any, *, tag: str) -> Any:
    SEEN.append((tag, np.asarray(x).tolist()))
    return x


NOTE = Op(
    name="note",
    kind=EFFECT,
    infer=lambda operands, attrs: Inference((operands[0].dtype,), (operands[0],), attrs),
    eager=note,
    vjp=lambda g, y, x, *, tag: (g,),
)


def noted(x: Tensor, tag: str) -> Tensor:
    return call(NOTE, (x,), {"tag": tag})


@pytest.fixture(autouse=True)
def seen() -> Iterator[None]:
    SEEN.clear()
    yield
    SEEN.clear()


def alone(x: Tensor) -> Tensor:
    noted(x, "a")
    noted(x * 2, "b")
    noted(x, "a")
    return x + 1


def needed(x: Tensor) -> Tensor:
    y = noted(x * 3, "y")
    noted(x, "x")
    return noted(y + 1, "last") * 2


def branches(x: Tensor) -> Tensor:
    cond(x > 0, lambda v: noted(v, "positive"), lambda v: v, x)
    noted(x, "after")
    return cond(x > 5, lambda v: noted(v, "large"), lambda v: noted(v - 1, "small"), x)


def in_a_scan(x: Tensor) -> Tensor:
    def step(c: Tensor, _: Any) -> Any:
        noted(c, "step")
        return c + 1, None

    return scan(step, x, length=3)[0]


def in_own_gradient(x: Tensor) -> Tensor:
    @custom_grad
    def f(x: Tensor) -> Any:
        noted(x, "forward")
        return x * 2, lambda g: g * 2

    return f(x) + checkpoint(lambda v: noted(v, "kept") * 2)(x)


CASES: dict[Callable[..., Any], tuple[float, list[Any]]] = {
    alone: (3.0, [("a", 2.0), ("b", 4.0), ("a", 2.0)]),
    needed: (14.0, [("y", 6.0), ("x", 2.0), ("last", 7.0)]),
    branches: (1.0, [("positive", 2.0), ("after", 2.0), ("small", 1.0)]),
    in_a_scan: (5.0, [("step", 2.0), ("step", 3.0), ("step", 4.0)]),
    in_own_gradient: (8.0, [("forward", 2.0), ("kept", 2.0)]),
}


@pytest.mark.parametrize("compiler", ["evaluate", "native"])
@pytest.mark.parametrize("function", CASES)
def test_each_runs_once_in_order(function: Callable[..., Any], compiler: str) -> None:
    value, expected = CASES[function]
    f = jit(function, compiler=compiler)
    for _ in range(2):
        SEEN.clear()
        assert f(nx.tensor(2.0)).item() == value
        assert expected == SEEN


@pytest.mark.parametrize("compiler", ["evaluate", "native"])
def test_a_gradient_runs_them_once(compiler: str) -> None:
    def f(x: Tensor) -> Tensor:
        return noted(x * x, "square") * 2

    assert jit(grad(f), compiler=compiler)(nx.tensor(3.0)).item() == 12
    assert [("square", 9.0)] == SEEN


def test_they_survive_every_sweep_and_are_shown() -> None:
    graph = trace(alone, (nx.template(()),)).graph
    assert [n.attrs["tag"] for n in graph.effects] == ["a", "b", "a"]
    swept = rewrite(rewrite(graph, lambda b, n, v: None), lambda b, n, v: None)
    verify(swept)
    assert text(swept) == text(graph)
    assert text(graph).count("note(") == 3


def test_the_verifier_wants_all_of_them() -> None:
    builder = Builder()
    x = builder.input(nx.template(()))
    made = builder.node(NOTE, (x,), {"tag": "a"}, (nx.template(()),))
    verify(Graph([x], [x], builder.effects))
    with pytest.raises(Exception, match="the effects to be the nodes that act, in order"):
        verify(Graph([x], [Value(made, 0)]))


def test_lanes_alike_act_once_and_others_need_a_rule() -> None:
    x = nx.tensor([1.0, -2.0])
    alike = lambda v: v + noted(nx.tensor(3.0), "alike")  # noqa: E731
    assert vmap(alike)(x).tolist() == [4.0, 1.0] and SEEN == [("alike", 3.0)]
    SEEN.clear()
    assert jit(vmap(alike))(x).tolist() == [4.0, 1.0] and SEEN == [("alike", 3.0)]
    with pytest.raises(TraceError, match=r"vmap: note \(at .*test_effects.py:\d+\) acts, and has no rule for lanes"):
        vmap(lambda v: noted(v, "each"))(x)
    chosen = lambda v: cond(v > 0, lambda: alike(v), lambda: v)  # noqa: E731
    with pytest.raises(TraceError, match=r"vmap: cond \(at .*\) runs for some lanes only, and holds note \(at .*\)"):
        vmap(chosen)(x)
    assert vmap(lambda p, v: cond(p, lambda: alike(v), lambda: v), (None, 0))(True, x).tolist() == [4.0, 1.0]


def test_lanes_act_by_the_rule_of_the_row() -> None:
    batched = replace(NOTE, batch=lambda lanes, x, *, tag: call(NOTE, (x,), {"tag": f"{tag} of {lanes.size}"}))
    assert vmap(lambda v: call(batched, (v,), {"tag": "x"}))(nx.tensor([1.0, 2.0])).tolist() == [1.0, 2.0]
    assert SEEN == [("x of 2", [1.0, 2.0])]
