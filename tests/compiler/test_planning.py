"""Planning: steps in an order that takes little memory, and work in proportion to the program: four times the tensors,
about four times the work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from typing import Any

import axon
import numpy as np
import pytest
from axon import activations, nx, optimizers
from axon.compiler import pipeline
from axon.compiler.kernels import lower
from axon.compiler.planning.order import Item, ordered
from axon.compiler.planning.schedule import KernelStep, Schedule, reads, writes
from axon.compiler.targets.target import CPU
from axon.defn import jit, scan, value_and_grad
from axon.graph.trace import Traced, trace
from axon.nx.core.tensor import Tensor
from axon.updates import apply_updates

from .programs import f32


@contextmanager
def counting(count: list[int]) -> Iterator[None]:
    """Counts the instructions of Python that run: the work, whatever the machine."""

    def look(frame: Any, event: str, argument: Any) -> Any:
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        count[0] += event == "opcode"
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        yield
    finally:
        sys.settrace(before)


def work(made: Traced, donate: bool) -> dict[str, int]:
    """The instructions that each pass runs."""
    counts: dict[str, int] = {}

    class Counting(pipeline.Phases):
        def __call__(self, name: str, function: Callable[..., Any], /, *given: Any, **options: Any) -> Any:
            count = [0]
            with counting(count):
                at = function(*given, **options)
            (counts[name],) = count
            return at

    pipeline.lower(made.graph, CPU, Counting(), [donate] * len(made.graph.inputs))
    return counts


def update(n: int) -> Traced:
    """Adam over tensors of several shapes."""
    types = [f32(2 + i % 3, 4) for i in range(n)]
    optimizer = optimizers.adam(1e-3)
    state = optimizer.init([nx.zeros(t.shape) for t in types])
    state_types = axon.tree.map(lambda t: t.type, state)
    return trace(lambda g, s, p: optimizer.update(g, s, p), (types, state_types, types))


def layers(n: int) -> Traced:
    """A deep network, and the sum of every layer's output."""

    def f(x: Tensor, ws: list[Tensor]) -> Any:
        sums = []
        for w in ws:
            x = nx.tanh(x @ w)
            sums.append(nx.sum(x))
        return x, sums

    return trace(f, (f32(4, 4), [f32(4, 4)] * n))


def backward(n: int) -> Traced:
    """Many backward passes over one forward pass, side by side: column sums over the same values."""

    def f(p: Tensor) -> Tensor:
        y, back = axon.vjp(lambda p: nx.tanh(nx.outer(p, p)), p)
        return nx.stack([back(y * float(k))[0] for k in range(n)])

    return trace(f, (f32(3),))


def carried(n: int) -> Traced:
    """A loop with a large state."""
    return trace(lambda c, xs: scan(lambda c, x: ([a * x + 1 for a in c], None), c, xs), ([f32(4)] * n, f32(5, 4)))


def pieces(n: int) -> Traced:
    """Slices at different places, each a kernel's work of its own."""
    return trace(lambda x: [nx.tanh(x[i : i + 3]) * x[i + 1 : i + 4] for i in range(n)], (f32(n + 4),))


def shared(n: int) -> Traced:
    """A long sweep back over layers, and many results that read one input and have its size."""

    def f(x: Tensor, ws: list[Tensor]) -> Any:
        loss = lambda ws, x: nx.sum(reduce(lambda x, w: nx.tanh(x @ w), ws, x))  # noqa: E731
        return axon.grad(loss)(ws, x), [nx.tanh(x @ w) + x for w in ws]

    return trace(f, (f32(1024, 32), [f32(32, 32)] * n))


def test_kernels_alike_but_for_their_places_are_lowered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    whole = lower.calls_of
    monkeypatch.setattr(lower, "calls_of", lambda *given: made.append(given) or whole(*given))
    (step,) = pipeline.scheduled(pieces(9).graph, CPU, pipeline.Phases()).steps
    assert isinstance(step, KernelStep) and len(made) == 1
    assert [(c.parameters["o0"], c.parameters["o1"]) for c in step.calls] == [(i, i + 1) for i in range(9)]


@pytest.mark.parametrize("build", [update, layers, backward, pieces, carried, shared])
def test_work_grows_with_the_program(build: Callable[[int], Traced]) -> None:
    work(build(3), True)  # fills tables
    one, four = work(build(12), True), work(build(48), True)
    assert len(one) == 6
    for name, count in one.items():
        assert four[name] < 4.5 * count, f"{name}: {count} instructions, then {four[name]}"


def products(n: int) -> Callable[..., Any]:
    """The gradients of a chain of products by its weights: the first layer's is the first result."""
    loss = lambda ws, x: nx.sum(reduce(lambda x, w: nx.tanh(x @ w), ws, x))  # noqa: E731
    return lambda ws, x: [w - 0.1 * g for w, g in zip(ws, axon.grad(loss)(ws, x))]


def positions(schedule: Schedule) -> dict[Any, list[int]]:
    """By memory, the steps that touch it, in order."""
    found: dict[Any, list[int]] = {}
    for k, step in enumerate(schedule.steps):
        for m in map(schedule.memory, (*reads(step), *writes(step))):
            found.setdefault(m, []).append(k)
    return found


def test_what_frees_more_than_it_takes_runs_as_soon_as_it_can() -> None:
    plan = pipeline.lower(trace(products(6), ([f32(64, 64)] * 6, f32(1024, 64))).graph, CPU, pipeline.Phases())
    assert plan.arena_bytes < 9 * 1024 * 64 * 4  # the activations and two gradients; all gradients would be there


def test_equal_kernels_wait_for_each_other_where_that_takes_no_memory() -> None:
    made = pipeline.lower(trace(products(6), ([f32(16, 16)] * 6, f32(8, 16))).graph, CPU, pipeline.Phases()).schedule
    (update,) = [s for s in made.steps if isinstance(s, KernelStep) and made.results[0] in writes(s)]
    assert len(update.calls) == 6


def test_an_input_is_written_over_only_when_all_has_read_it() -> None:
    made = trace(products(6), ([f32(64, 64)] * 6, f32(1024, 64))).graph
    plan = pipeline.lower(made, CPU, pipeline.Phases(), [True] * 6 + [False])
    donors = [slot[2] for slot in plan.slots if slot[0] == "output"]
    assert sorted(donors) == list(range(6))
    at = positions(plan.schedule)
    for result, donor in zip(plan.schedule.results, donors):
        assert at[made.inputs[donor]][-1] <= at[result][0]


def test_what_acts_stays_in_order_and_behind_what_it_comes_after() -> None:
    """Items by hand, the last of which frees what the first takes."""
    big = 4 << 20

    def item(name: str, written: str, read: str = "", behind: str = "", acts: bool = False) -> Item:
        return Item(name, tuple(written), tuple(dict.fromkeys(read + written)), tuple(behind), acts, 0)

    size = {**dict.fromkeys("abc", big), "d": 2 * big}
    rest = [item("a", "a"), item("b", "b"), item("c", "c", "b"), item("d", "d", "c"), item("free", "x", "a")]
    assert [i.step for i in ordered(rest, size, {}, 1 << 20)[0]] == ["a", "free", "b", "c", "d"]
    behind = [*rest[:4], item("free", "x", "a", behind="b")]
    assert [i.step for i in ordered(behind, size, {}, 1 << 20)[0]] == ["a", "b", "free", "c", "d"]
    acting = [rest[0], rest[1], item("c", "c", "b", acts=True), rest[3], item("free", "x", "a", acts=True)]
    assert [i.step for i in ordered(acting, size, {}, 1 << 20)[0]] == ["a", "b", "c", "free", "d"]
    over = [item("a", "a", "i"), item("b", "b", "i"), *rest[2:]]
    assert [i.step for i in ordered(over, size, {"x": ["i"]}, 1 << 20)[0]] == ["a", "b", "free", "c", "d"]
    little = dict.fromkeys(size, 1000)
    assert ordered(rest, little, {}, 1 << 20)[0] is rest


def decoder(block: Callable[..., Any], layers: int = 12) -> Callable[..., Any]:
    """A training step of a decoder, each of whose layers is `block` of attention and a perceptron."""

    def norm(x: Tensor, scale: Tensor) -> Tensor:
        c = x - nx.mean(x, axis=-1, keepdims=True)
        return c * nx.rsqrt(nx.mean(c * c, axis=-1, keepdims=True) + 1e-5) * scale

    def layer(x: Tensor, p: dict[str, Tensor]) -> Tensor:
        batch, length, width = x.shape
        heads = [t.reshape((batch, length, 4, width // 4)) for t in nx.split(norm(x, p["n"]) @ p["qkv"], 3, axis=-1)]
        q, k, v = (nx.permute_dims(t, (0, 2, 1, 3)) for t in heads)
        scores = q @ nx.swapaxes(k, -1, -2) / (width // 4) ** 0.5
        mixed = activations.softmax(nx.where(nx.tril(nx.ones((length, length), dtype=nx.bool)), scores, -1e9)) @ v
        x = x + nx.permute_dims(mixed, (0, 2, 1, 3)).reshape(x.shape) @ p["out"]
        return x + nx.tanh(norm(x, p["m"]) @ p["up"] + p["b"]) @ p["down"]

    def loss(ps: list[dict[str, Tensor]], x: Tensor, y: Tensor) -> Tensor:
        for p in ps:
            x = block(layer)(x, p)
        return nx.mean((x - y) ** 2)

    optimizer = optimizers.sgd(0.1)

    def step(ps: Any, state: Any, x: Tensor, y: Tensor) -> Any:
        value, gradients = value_and_grad(loss)(ps, x, y)
        updates, state = optimizer.update(gradients, state, ps)
        return apply_updates(ps, updates), state, value

    return step


def weights(width: int, layers: int = 12) -> list[dict[str, Tensor]]:
    shapes = {"qkv": (width, 3 * width), "out": (width, width), "up": (width, 4 * width), "down": (4 * width, width)}
    draw = np.random.default_rng(3).normal
    matrices = lambda: {k: nx.tensor((draw(size=s) / s[0] ** 0.5).astype("f4")) for k, s in shapes.items()}  # noqa: E731
    return [{**matrices(), "n": nx.ones(width), "m": nx.ones(width), "b": nx.zeros(4 * width)} for _ in range(layers)]


def test_a_checkpoint_around_each_layer_halves_the_memory_of_a_decoder() -> None:
    x = nx.tensor(np.random.default_rng(4).normal(size=(8, 32, 32)).astype("f4"))
    given = lambda: (ps := weights(32), optimizers.sgd(0.1).init(ps), x, 0.5 * x)  # noqa: E731
    plain, again = (jit(decoder(block), donate=(0, 1)) for block in (lambda f: f, axon.checkpoint))
    one, two = (f.lower(*given()).memory() for f in (plain, again))
    assert two.outputs == one.outputs < 64  # weights are written over those given
    assert two.peak * 2 < one.peak
    expected, found = (axon.tree.flatten(f(*given()))[0] for f in (plain, again))
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
