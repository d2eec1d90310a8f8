"""Random programs and gradients of random programs: native gives the interpreter's bits, the evaluator's numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from axon import nx
from axon.defn import grad
from axon.nx.core.tensor import Tensor
from hypothesis import given, note, settings
from hypothesis import strategies as st

from .oracle import run_all

SIZES = 3 * (1, 2, 3, 5, 8, 70, 300, 5000) + (0,)  # with a few spans of a column and of a row; seldom nothing
LARGEST = 1 << 15
SMOOTH = (nx.tanh, nx.sigmoid, nx.negative, nx.square, lambda x: nx.exp(-nx.square(x)))
KINKS = (nx.abs, nx.floor, lambda x: x.astype("bfloat16").astype("float32"), lambda x: nx.where(x > 0.1, x, -0.5))
BINARY = (nx.add, nx.subtract, nx.multiply, lambda x, y: x / (nx.square(y) + 1.0))
PEAKS = (nx.maximum, nx.minimum)
SUMS = (nx.sum, nx.mean)
CHOICES = (nx.max, nx.min, lambda x, axis, keepdims: nx.any(x > 0.3, axis=axis, keepdims=keepdims).astype("float32"))

KINDS = 2 * ("unary", "binary", "reduce", "move") + ("centre", "move", "take", "lookup", "index", "band", "dot")

Step = tuple[Any, ...]


@st.composite
def programs(draw: st.DrawFn, smooth: bool = False) -> tuple[list[Step], list[tuple[int, ...]]]:
    """Input shapes, and steps that refer to earlier values by number; a step's arguments are all decided here."""
    rank = draw(st.integers(1, 4))
    base: tuple[int, ...] = ()
    for _ in range(rank):
        base += (draw(st.sampled_from([n for n in SIZES if n * np.prod(base) <= LARGEST])),)
    partial = tuple(n if draw(st.booleans()) else 1 for n in base)
    shapes = [base, partial, base[draw(st.integers(0, rank - 1)) :]]
    unary, binary, reductions = (SMOOTH, BINARY, SUMS) if smooth else (SMOOTH + KINKS, BINARY + PEAKS, SUMS + CHOICES)
    known = list(shapes)
    steps: list[Step] = []
    for _ in range(draw(st.integers(3, 14))):
        a = draw(st.integers(0, len(known) - 1))
        shape = known[a]
        kind = draw(st.sampled_from(KINDS))
        if kind == "unary":
            step: Step = (kind, a, draw(st.sampled_from(unary)))
        elif kind == "binary":
            fits = [b for b, s in enumerate(known) if b == a or _broadcasts(shape, s)]
            b = draw(st.sampled_from(fits))
            step, shape = (kind, a, b, draw(st.sampled_from(binary))), np.broadcast_shapes(shape, known[b])
        elif kind == "reduce":
            axes = tuple(x for x in range(len(shape)) if draw(st.booleans()))
            keep = draw(st.booleans())
            step = (kind, a, axes, keep, draw(st.sampled_from(reductions if all(shape) else SUMS)))
            shape = tuple(1 if x in axes else n for x, n in enumerate(shape) if keep or x not in axes)
        elif kind == "centre":
            axes = tuple(x for x in range(len(shape)) if draw(st.booleans()))
            step = (kind, a, axes, draw(st.sampled_from(reductions if all(shape) else SUMS)))
        elif kind == "take" and shape:
            axis = draw(st.integers(0, len(shape) - 1))
            n = shape[axis]
            picked = tuple(draw(st.lists(st.integers(-n, n - 1), max_size=4))) if n else ()
            step, shape = (kind, a, axis, picked), (*shape[:axis], len(picked), *shape[axis + 1 :])
        elif kind == "lookup" and shape:
            axis = draw(st.integers(0, len(shape) - 1))
            step = (kind, a, axis, draw(st.integers(-3, 3)), draw(st.sampled_from(unary)))
        elif kind == "index" and shape:
            step = (kind, a, draw(st.integers(0, len(shape) - 1)))
        elif kind == "band" and len(shape) > 1:
            step = (kind, a, draw(st.integers(-2, 2)), draw(st.sampled_from((nx.tril, nx.triu, None))))
        elif kind == "dot" and len(shape) > 1 and np.prod(shape[:-1]) * shape[-2] <= LARGEST:
            step, shape = (kind, a), (*shape[:-2], shape[-2], shape[-2])
        else:
            step, shape = draw(moves(a, shape))
        steps.append(step)
        known.append(tuple(shape))
    return steps, shapes


def _broadcasts(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        return np.prod(np.broadcast_shapes(a, b)) <= LARGEST
    except ValueError:
        return False


@st.composite
def moves(draw: st.DrawFn, a: int, shape: tuple[int, ...]) -> tuple[tuple, tuple[int, ...]]:
    which = draw(st.sampled_from(("permute", "flatten", "expand", "flip", "slice", "pad", "concat", "merge")))
    if which == "permute" and shape:
        order = tuple(draw(st.permutations(range(len(shape)))))
        return ("permute", a, order), tuple(shape[i] for i in order)
    if which == "flip" and shape:
        axis = draw(st.integers(0, len(shape) - 1))
        return ("flip", a, axis), shape
    if which == "slice" and shape:
        parts = []
        for n in shape:
            start = draw(st.integers(0, n))
            parts.append((start, draw(st.integers(start, n)), draw(st.integers(1, 3))))
        return ("slice", a, tuple(parts)), tuple(len(range(*p)) for p in parts)
    if which == "pad" and shape:
        config = tuple((draw(st.integers(-2, 2)), draw(st.integers(-2, 2)), draw(st.integers(0, 2))) for _ in shape)
        sizes = tuple(lo + hi + n + max(n - 1, 0) * inner for n, (lo, hi, inner) in zip(shape, config))
        if all(n >= 0 for n in sizes) and np.prod(sizes) <= LARGEST:
            return ("pad", a, config), sizes
    if which == "concat" and shape and np.prod(shape) <= 1 << 14:
        axis = draw(st.integers(0, len(shape) - 1))
        return ("concat", a, axis), tuple(2 * n if i == axis else n for i, n in enumerate(shape))
    if which == "merge" and len(shape) > 1:
        at = draw(st.integers(0, len(shape) - 2))
        sizes = (*shape[:at], shape[at] * shape[at + 1], *shape[at + 2 :])
        return ("reshape", a, sizes), sizes
    if which == "expand" and len(shape) < 5:
        sizes = (*shape, 1) if draw(st.booleans()) else (1, *shape)
        return ("reshape", a, sizes), sizes
    sizes = (int(np.prod(shape)),)
    return ("reshape", a, sizes), sizes


def run(steps: list[Step], inputs: tuple[Tensor, ...], limit: Callable[[Tensor], Tensor]) -> list[Tensor]:
    known = list(inputs)
    for step in steps:
        x = known[step[1]]
        match step:
            case ("unary", _, f):
                y = f(x * 0.5)
            case ("binary", _, b, f):
                y = f(x, known[b])
            case ("reduce", _, axes, keep, f):
                y = f(x, axis=axes, keepdims=keep)
            case ("centre", _, axes, f):
                y = x - f(x, axis=axes, keepdims=True)
            case ("lookup", _, axis, by, f):  # a computed table, read at other places and at its own
                table = f(x)
                y = nx.take(table, nx.arange(x.shape[axis]) * by % max(x.shape[axis], 1), axis=axis) * table
            case ("index", _, axis):
                y = x + nx.iota(x.shape, axis).astype("float32") * 0.01
            case ("band", _, k, None):
                y = x + nx.eye(*x.shape[-2:], k=k)
            case ("band", _, k, f):
                y = f(x, k=k)
            case ("take", _, axis, picked):
                y = nx.take(x, nx.tensor(picked, "int32"), axis=axis)
            case ("dot", _):
                order = (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2)
                y = x @ nx.permute_dims(x, order)
            case ("permute", _, order):
                y = nx.permute_dims(x, order)
            case ("flip", _, axis):
                y = nx.flip(x, axis=axis)
            case ("slice", _, parts):
                y = x[tuple(slice(*p) for p in parts)]
            case ("pad", _, config):
                y = nx.pad(x, config, value=0.25)
            case ("concat", _, axis):
                y = nx.concat([x, x + 1.0], axis=axis)
            case (_, _, sizes):
                y = nx.reshape(x, sizes)
        known.append(limit(y))
    return known[len(inputs) :]


def jumps(steps: list[Step], inputs: int) -> list[bool]:
    """Whether a rounding error may make a step's value another one altogether."""
    made = [False] * inputs
    for step in steps:
        others = step[2:3] if step[0] == "binary" else ()
        made.append(step[-1] in KINKS + CHOICES or any(made[k] for k in (step[1], *others)))
    return made[inputs:]


def assert_near(got: np.ndarray, want: np.ndarray) -> None:
    scale = max(1.0, float(np.max(np.abs(want), initial=0.0)))
    np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-4 * scale)


def inputs_of(shapes: list[tuple[int, ...]], seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(s, np.float32) for s in shapes]


@settings(max_examples=300)
@given(programs(), st.integers(0, 2**16), st.sets(st.integers(0, 13), min_size=1, max_size=4))
def test_values(program: Any, seed: int, wanted: set[int]) -> None:
    steps, shapes = program
    note(f"{steps} over {shapes}")
    picked = sorted({min(k, len(steps) - 1) for k in wanted})
    found = run_all(
        lambda *xs: [run(steps, xs, lambda y: nx.clip(y, -1e4, 1e4))[k] for k in picked], *inputs_of(shapes, seed)
    )
    found.assert_same_bits()
    sure = [not jumps(steps, len(shapes))[k] for k in picked]
    for got, want, compared in zip(found.native, found.evaluated, sure, strict=True):
        if compared:
            assert_near(got, want)


@settings(max_examples=150)
@given(programs(smooth=True), st.integers(0, 2**16))
def test_gradients(program: Any, seed: int) -> None:
    steps, shapes = program
    note(f"{steps} over {shapes}")

    def total(xs: tuple[Tensor, ...]) -> Tensor:
        made = run(steps, xs, lambda y: 10.0 * nx.tanh(y * 0.1))
        return nx.mean(made[-1]) + nx.mean(made[len(made) // 2])

    found = run_all(lambda *xs: grad(total)(xs), *inputs_of(shapes, seed))
    found.assert_same_bits()
    for got, want in zip(found.native, found.evaluated, strict=True):
        assert_near(got, want)
