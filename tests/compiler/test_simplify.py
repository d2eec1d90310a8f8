"""Each identity of `simplify`: what is left of a graph, and that its values keep their bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axon import nx
from axon.compiler.simplify import RULES, simplify, widens
from axon.defn.evaluate import replay
from axon.dtypes import ALL, DType, float32
from axon.graph.trace import trace
from axon.nx.core.tensor import TensorType

from .kernel_tools import same_bits

SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.5, 3.3, 1e-45, -1e-45, 1e-38, 3e38, -3e38, np.inf, -np.inf, np.nan, 7e-39, 0.1, 16777217],
    np.float32,
)

# rule -> (function, the ops that are left)
LEFT: dict[str, tuple[Callable[[Any], Any], list[str]]] = {
    "times_one": (lambda x: 1.0 * (x * 1.0), []),
    "over_one": (lambda x: x / 1.0, []),
    "over_one, another number": (lambda x: x / 8.0, ["divide"]),  # or a mean over 32 and 17 would be two kernels
    "plus_zero": (lambda x: x + -0.0, []),
    "plus_zero, of the other sign": (lambda x: x + 0.0, ["add"]),
    "minus_zero": (lambda x: x - 0.0, []),
    "power": (lambda x: (x**1) ** 2, ["multiply"]),
    "twice_negative": (lambda x: nx.negative(-x), []),
    "cast": (lambda x: x.astype("float64").astype("float32"), []),
    "cast, that narrows": (lambda x: x.astype("float16").astype("float32"), ["astype", "astype"]),
    "unnamed": (lambda x: nx.named(-nx.named(x, "a"), "b") * -1.0, ["multiply", "negative"]),
    "same_shape": (lambda x: x.reshape((4, 4)).reshape((2, 8)).reshape(16), []),
    "twice_shaped": (lambda x: x.reshape((4, 4)).reshape((2, 8)), ["reshape"]),
    "twice_permuted": (lambda x: x.reshape((4, 4)).T.T, ["reshape"]),
    "permuted_operand": (lambda x: x.reshape((4, 4)).T @ x.reshape((4, 4)), ["dot_general", "reshape"]),
    "folded": (lambda x: x * (nx.full((16,), 2.0) * 3.0 + 1.0), ["multiply"]),
    "chosen": (lambda x: nx.where(nx.full((16,), True), x, -x), []),
}


@pytest.mark.parametrize("name", LEFT)
def test_identities(name: str) -> None:
    function, left = LEFT[name]
    graph = trace(function, (TensorType(float32, (16,)),)).graph
    simple = simplify(simplify(graph))  # what one rule leaves, another may take up
    used, stack = set(), [v.node for v in simple.outputs]
    while stack:
        node = stack.pop()
        used.add(node)
        stack += [v.node for v in node.inputs]
    assert sorted(n.op.name.rstrip("_") for n in used if n.op.name not in ("input", "literal", "broadcast_to")) == left
    with np.errstate(all="ignore"):
        before, after = (replay(g, [nx.asarray(SPECIAL)])[g.outputs[0]].numpy() for g in (graph, simple))
    assert same_bits(before, after)


def test_every_rule_has_a_case() -> None:
    assert {rule.__name__ for rules in RULES.values() for rule in rules} == {name.split(",")[0] for name in LEFT}


def telling(dtype: DType) -> np.ndarray:
    """All values of a dtype of 16 bits at most, else those that other dtypes have not."""
    if dtype.itemsize <= 2:
        bits = np.arange(2 if dtype.kind == "b" else 1 << 8 * dtype.itemsize).astype(f"u{dtype.itemsize}")
        return bits.view(dtype.numpy)
    if dtype.is_float:
        return np.array([nx.finfo(dtype).max, nx.finfo(dtype).smallest_normal, 1 + dtype.eps], dtype.numpy)
    return np.array([dtype.lowest, *(2**n - 1 for n in range(dtype.digits + 1))], dtype.numpy)


@pytest.mark.parametrize("a", ALL, ids=str)
def test_a_dtype_widens_to_those_that_hold_its_values(a: DType) -> None:
    x = telling(a)
    for b in (d for d in ALL if d is not a):
        with np.errstate(all="ignore"):
            y = x.astype(b.numpy)
            same = (y.astype(a.numpy) == x) & ((y < 0) == (x < 0)) | (x != x)
        assert widens(a, b) == (b.kind != "b" and (b.is_float or not a.is_float) and bool(same.all())), b
