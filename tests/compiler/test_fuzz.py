"""Random programs: what the native compiler computes is what the evaluator computes."""

from __future__ import annotations

import numpy as np
from axon import nx
from axon.defn import jit
from axon.nx.tensor import Tensor
from hypothesis import given, note, settings
from hypothesis import strategies as st

SIZES = (1, 2, 3, 5, 8, 70)
UNARY = (nx.tanh, nx.exp, nx.negative, nx.abs, nx.square, nx.sigmoid, nx.floor)
BINARY = (nx.add, nx.subtract, nx.multiply, nx.maximum, nx.divide)
REDUCE = (nx.sum, nx.max, nx.min)


@st.composite
def programs(draw: st.DrawFn) -> tuple[list[tuple], list[tuple[int, ...]]]:
    """Input shapes, and steps that refer to earlier values by number; a step's arguments are all decided here."""
    rank = draw(st.integers(1, 4))
    base = tuple(draw(st.sampled_from(SIZES)) for _ in range(rank))
    partial = tuple(n if draw(st.booleans()) else 1 for n in base)
    shapes = [base, partial, base[draw(st.integers(0, rank - 1)) :]]
    known = list(shapes)
    steps = []
    for _ in range(draw(st.integers(3, 14))):
        a = draw(st.integers(0, len(known) - 1))
        shape = known[a]
        kind = draw(st.sampled_from(("unary", "unary", "binary", "binary", "reduce", "move")))
        if kind == "unary":
            step = ("unary", a, draw(st.integers(0, len(UNARY) - 1)))
        elif kind == "binary":
            fits = [b for b, s in enumerate(known) if b == a or _broadcasts(shape, s)]
            b = draw(st.sampled_from(fits))
            step, shape = ("binary", a, b, draw(st.integers(0, len(BINARY) - 1))), np.broadcast_shapes(shape, known[b])
        elif kind == "reduce":
            axes = tuple(x for x in range(len(shape)) if draw(st.booleans()))
            keep = draw(st.booleans())
            step = ("reduce", a, axes, keep, draw(st.integers(0, len(REDUCE) - 1)))
            shape = tuple(1 if x in axes else n for x, n in enumerate(shape) if keep or x not in axes)
        else:
            step, shape = draw(moves(a, shape))
        steps.append(step)
        known.append(tuple(shape))
    return steps, shapes


def _broadcasts(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        return np.prod(np.broadcast_shapes(a, b)) <= 1 << 15
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
            start = draw(st.integers(0, n - 1))
            parts.append((start, draw(st.integers(start + 1, n)), draw(st.integers(1, 3))))
        return ("slice", a, tuple(parts)), tuple(len(range(*p)) for p in parts)
    if which == "pad" and shape:
        config = tuple((draw(st.integers(-1, 2)), draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in shape)
        sizes = tuple(lo + hi + n + (n - 1) * inner for n, (lo, hi, inner) in zip(shape, config))
        if all(0 < n < 300 for n in sizes) and np.prod(sizes) <= 1 << 15:
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


def run(steps: list[tuple], inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    known = list(inputs)
    for step in steps:
        x = known[step[1]]
        match step:
            case ("unary", _, k):
                y = UNARY[k](x * 0.5)
            case ("binary", _, b, k):
                other = known[b]
                y = BINARY[k](x, nx.abs(other) + 1.0 if BINARY[k] is nx.divide else other)
            case ("reduce", _, axes, keep, k):
                y = REDUCE[k](x, axis=axes, keepdims=keep)
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
        known.append(nx.clip(y, -1e4, 1e4))
    return tuple(known[len(inputs) :])


@settings(max_examples=25, deadline=None, print_blob=True)
@given(programs(), st.integers(0, 2**16), st.sets(st.integers(0, 13), min_size=1, max_size=4))
def test_native_agrees_with_the_evaluator(program: tuple, seed: int, wanted: set[int]) -> None:
    steps, shapes = program
    note(f"{steps} over {shapes}")
    rng = np.random.default_rng(seed)
    inputs = [rng.standard_normal(s, np.float32) for s in shapes]
    picked = sorted({min(k, len(steps) - 1) for k in wanted})

    def function(*xs: Tensor) -> list[Tensor]:
        made = run(steps, xs)
        return [made[k] for k in picked]

    native = jit(function, compiler="native")(*inputs)
    expected = jit(function, compiler="evaluate")(*[x.astype(np.float64) for x in inputs])
    for a, b in zip(native, expected):
        scale = max(1.0, float(np.max(np.abs(b.numpy()), initial=0.0)))
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-4, atol=2e-4 * scale)
