"""Kernels that run part by part: which may, and that no bit shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from axon import _core, layers, nx
from axon.compiler.planning import parts
from axon.compiler.targets.target import CPU, Target
from axon.nx.core.tensor import Tensor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .oracle import compiled, graph_of, run_all
from .test_fuzz import inputs_of, programs, run

SHAPE = (8, 40, 17)
X = np.random.default_rng(0).standard_normal(SHAPE).astype("f4")


# Every run of kernels that may is taken part by part, whatever its size.
EAGER = replace(CPU, tuning=CPU.tuning._replace(again=1, parts=2))


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = _core.threads()
    _core.set_threads(2)
    yield
    _core.set_threads(before)


def found(function: Callable[..., Any], *arrays: np.ndarray, target: Target = CPU) -> dict[int, tuple[int, int]]:
    return parts.runs(compiled(graph_of(function, *arrays), target=target).plan)


def normed(x: Tensor) -> Tensor:
    mean, var = nx.moments(x, axis=1, keepdims=True)
    return (x - mean) * nx.rsqrt(var + 1e-5)


def stages(x: Tensor) -> Tensor:
    """Kernels that follow each other: a column reduction takes no part in what reads it."""
    for _ in range(3):
        x = x - nx.sum(x, axis=1, keepdims=True) * 0.01
    return x


def turned(x: Tensor) -> Tensor:
    y = x - nx.sum(x, axis=1, keepdims=True)
    return y + nx.sum(nx.flip(y, axis=0), axis=1, keepdims=True)


def over_the_batch(x: Tensor) -> Tensor:
    y = x - nx.sum(x, axis=1, keepdims=True)
    return y - nx.sum(y, axis=0)


def shifted(x: Tensor) -> Tensor:
    y = x - nx.sum(x, axis=1, keepdims=True)
    return y * nx.sum(nx.pad(y[1:], [(1, 0, 0), (0, 0, 0), (0, 0, 0)]), axis=1, keepdims=True)


def looked_up(x: Tensor) -> Tensor:
    y = x - nx.sum(x, axis=1, keepdims=True)
    return nx.take(y, nx.arange(y.shape[0]) * 3 % y.shape[0], axis=0) * nx.sum(y, axis=1, keepdims=True)


FUNCTIONS = [normed, stages, turned, over_the_batch, shifted, looked_up]


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_bits_are_those_of_steps(function: Callable[..., Any]) -> None:
    for x in (X, X[:2], X[:, :, :1], np.repeat(X, 4, axis=1)):
        run_all(function, x, target=EAGER).assert_same_bits()


@pytest.mark.usefixtures("two_threads")
def test_parts_of_a_batch_go_through_all_kernels() -> None:
    for function in (normed, stages):
        ((first, (count, along)),) = list(found(function, X, target=EAGER).items())[:1] or [(0, (0, 0))]
        assert count == 8 and along >= 1 and first >= 0, function


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("function", [turned, over_the_batch, shifted, looked_up])
def test_a_part_that_needs_another_ends_a_run(function: Callable[..., Any]) -> None:
    plan = compiled(graph_of(function, X), target=EAGER).plan
    for first, (_, along) in parts.runs(plan).items():
        assert along < len(plan.schedule.steps) - 1, (function, first)


def test_what_is_small_is_taken_step_by_step() -> None:
    assert found(normed, X) == {}
    assert found(normed, np.zeros((8, 2048, 64), "f4")) != {}
    assert found(normed, np.zeros((8, 8192, 64), "f4")) == {}  # a part is larger than a cache
    group = lambda x: layers.group_norm(x, num_groups=8)  # noqa: E731
    ((_, (count, along)),) = found(group, np.zeros((8, 56, 56, 64), "f4")).items()
    assert count == 8 and along == 7  # all of it: what is small lies apart, and what is sampled alone is no run


@pytest.mark.usefixtures("two_threads")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(programs(), st.integers(0, 2**16))
def test_random_programs(program: Any, seed: int) -> None:
    steps, shapes = program
    limit = lambda y: nx.clip(y, -1e4, 1e4)  # noqa: E731
    run_all(lambda *xs: run(steps, xs, limit)[-3:], *inputs_of(shapes, seed), target=EAGER).assert_same_bits()


@pytest.mark.parametrize(("count", "along"), [(0, 0), (3, 1), (2, 2), (2, -1)])
def test_a_program_with_bad_parts_is_refused(count: int, along: int) -> None:
    executable = compiled(graph_of(stages, X))
    plan, steps = executable.plan, list(executable.steps)
    last = len(steps) - 2
    assert steps[last][0] == steps[last + 1][0] == "kernel"
    steps[last] = (*steps[last][:-2], count, along)
    with pytest.raises(ValueError, match="parts"):
        _core.Program(plan.slots, steps, plan.arena_bytes, 1, 1, "bad")
