"""Pieces of a concat are stored where it lies, if a kernel makes them for it alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axon import nx
from axon.compiler.library.step import LibraryStep
from axon.compiler.planning.regions import RegionStep
from axon.compiler.planning.schedule import Schedule
from axon.defn import jit, scan

from .programs import compiled, f32

RNG = np.random.default_rng(0)
A, B, C = (nx.tensor(RNG.standard_normal((6, n)).astype("float32")) for n in (5, 9, 5))
ONES = nx.ones((24, 2))


def product(x: Any) -> Any:
    return x @ ONES[: x.shape[1]]


# a function of a [6, 5], b [6, 9], c [6, 5], and how many copies its program has
CASES: dict[str, tuple[Callable[..., Any], int]] = {
    "made by one kernel": (lambda a, b, c: product(nx.concat([nx.sin(a), nx.cos(a)], axis=1)), 0),
    "made by several": (lambda a, b, c: product(nx.concat([nx.sin(a), nx.cos(b), c * a], axis=1)), 0),
    "one that is given": (lambda a, b, c: product(nx.concat([nx.sin(a), b], axis=1)), 1),
    "one that is read elsewhere": (lambda a, b, c: (product(nx.concat([s := nx.sin(a), b * 2], axis=1)), s @ c.T), 1),
    "one that is a result": (lambda a, b, c: (product(nx.concat([s := nx.sin(a), b * 2], axis=1)), s), 1),
    "one twice": (lambda a, b, c: product(nx.concat([s := nx.sin(a), b * 2, s], axis=1)), 2),
    "of a product": (lambda a, b, c: product(nx.concat([a @ c.T, b * 2], axis=1)), 1),
    "along the first axis": (lambda a, b, c: nx.ones((2, 12)) @ nx.concat([nx.sin(a), nx.cos(c)]), 0),
    "of a reduction": (lambda a, b, c: product(nx.concat([nx.sum(b, axis=1, keepdims=True), b * 2], axis=1)), 1),
    "in a loop": (
        lambda a, b, c: scan(lambda s, x: (product(nx.concat([nx.sin(s), nx.cos(s)], axis=1)).sum() + s, s), a, c)[0],
        0,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_copies(name: str) -> None:
    function, copies = CASES[name]
    given = (A, B, C)
    native, evaluated = (jit(function, compiler=c)(*given) for c in ("native", "evaluate"))
    for x, y in zip(*([*t] if isinstance(t, tuple) else [t] for t in (native, evaluated)), strict=True):
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-5)
    assert copies_of(compiled(function, *(f32(*t.shape) for t in given)).schedule) == copies


def copies_of(schedule: Schedule) -> int:
    """The copies of a program, those of whole values, such as a loop's first carry, apart."""
    inner = sum(copies_of(body) for step in schedule.steps if isinstance(step, RegionStep) for body in step.bodies)
    return inner + sum(isinstance(s, LibraryStep) and s.symbol == "copy" and s.ints[1] > 1 for s in schedule.steps)
