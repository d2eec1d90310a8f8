"""Derivatives checked by finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import nx, tree
from .defn import jvp, vjp
from .nx import Tensor

MODES = ("forward", "reverse")


def check_grads(
    function: Callable[..., Any],
    *args: Any,
    order: int = 2,
    modes: Sequence[str] = MODES,
    rtol: float = 1e-6,
    atol: float = 1e-9,
    step: float = 1e-5,
) -> None:
    """Compare a function's derivatives with central differences along random directions, in float64.

    args: trees of arrays, those of floats as float64; integers and bool are constants. function: gives a tree of
    tensors, whose floats are float64. order: up to which derivatives are differentiated again, in all orders of the
    modes: "forward" (jvp) and "reverse" (vjp). AssertionError says which argument, mode and order, what the differences
    give, and what the derivative is; TypeError and ValueError for what cannot be checked.

    >>> check_grads(lambda x: x * x, np.array([1.0, 2.0]))
    >>> check_grads(lambda x: nx.stop_grad(x) * x, np.array([1.0, 2.0]), order=1)
    Traceback (most recent call last):
    AssertionError: check_grads: argument 0, forward, order 1: ...
    """
    if type(order) is not int or order < 1 or not modes or set(modes) - set(MODES):
        raise ValueError(f"check_grads: expected an order of 1 or more and modes of {MODES}, got {order} and {modes!r}")
    leaves, structure = tree.flatten(args)
    points = [np.asarray(leaf) for leaf in leaves]
    if not any(_is_float(p) for p in points):
        raise TypeError("check_grads: expected a float argument, got none; give arrays of float64")
    paths = [tree.show(path) for path, p in zip(structure.paths(), points) if _is_float(p)]
    moving = [p.astype(np.float64) for p in points if _is_float(p)]

    def flat(*xs: Tensor) -> list[Tensor]:
        rest = iter(xs)
        given = [next(rest) if _is_float(p) else nx.asarray(p) for p in points]
        return [
            y for y in map(nx.asarray, tree.leaves(function(*tree.unflatten(structure, given)))) if y.dtype.is_float
        ]

    made = flat(*map(nx.asarray, moving))
    if not made or any(y.dtype is not nx.float64 for y in made):
        got = " and ".join(str(y.type) for y in made) or "none"
        raise TypeError(f"check_grads: expected float64 results, got {got}; differences of others are too coarse")
    rng = np.random.default_rng(0)
    _check(flat, moving, paths, tuple(modes), order, (), (rtol, atol, step), rng)


def _check(
    function: Callable[..., list[Tensor]],
    points: list[np.ndarray],
    paths: list[str],
    modes: tuple[str, ...],
    order: int,
    before: tuple[str, ...],
    limits: tuple[float, float, float],
    rng: np.random.Generator,
) -> None:
    """Check the derivatives of a function of floats in each mode, then those of the derivatives."""
    rtol, atol, step = limits
    tensors = list(map(nx.asarray, points))
    directions = [rng.standard_normal(p.shape) for p in points]
    slopes = [_difference(function, points, i, v, step) for i, v in enumerate(directions)]
    results, pullback = vjp(function, *tensors) if "reverse" in modes else (function(*tensors), None)
    weights = [rng.standard_normal(y.shape) for y in results]

    def compare(i: int, mode: str, got: Sequence[Any], expected: Sequence[Any], scale: float) -> None:
        for a, b in zip(got, expected, strict=True):
            if not np.abs(a - b).max(initial=0) <= rtol * scale + atol:
                where = " over ".join((mode, *before))
                raise AssertionError(
                    f"check_grads: argument {paths[i]}, {where}, order {len(before) + 1}: expected {b} by differences, "
                    f"got {a}; look at the rules of the ops in it"
                )

    if "forward" in modes:
        for i, v in enumerate(directions):
            tangents = [nx.asarray(v) if k == i else None for k in range(len(points))]
            found = [t.numpy() for t in jvp(function, tensors, tangents)[1]]
            compare(i, "forward", found, slopes[i], 1e-3 + max(_norm(found), _norm(slopes[i])))
    if pullback is not None:
        gradients = [g.numpy() for g in pullback(list(map(nx.asarray, weights)))]
        for i, (g, v) in enumerate(zip(gradients, directions)):
            slope = sum(np.vdot(w, d) for w, d in zip(weights, slopes[i]))
            compare(i, "reverse", [np.vdot(g, v)], [slope], 1e-3 + _norm([g]) * _norm([v]))
    if order > 1:
        along, by = list(map(nx.asarray, directions)), list(map(nx.asarray, weights))
        derivatives: dict[str, Callable[..., list[Tensor]]] = {
            "forward": lambda *xs: jvp(function, xs, along)[1],
            "reverse": lambda *xs: list(vjp(function, *xs)[1](by)),
        }
        for mode in modes:
            _check(
                derivatives[mode], points, paths, modes, order - 1, (mode, *before), (10 * rtol, 10 * atol, step), rng
            )


def _difference(
    function: Callable[..., list[Tensor]], points: list[np.ndarray], i: int, direction: np.ndarray, step: float
) -> list[np.ndarray]:
    """The central differences of all results along a direction of one argument."""
    near = []
    for sign in (1, -1):
        moved = [p + sign * step * direction if k == i else p for k, p in enumerate(points)]
        near.append([y.numpy() for y in function(*map(nx.asarray, moved))])
    return [(a - b) / (2 * step) for a, b in zip(*near)]


def _is_float(array: np.ndarray) -> bool:
    return nx.asarray(array).dtype.is_float


def _norm(arrays: Sequence[np.ndarray]) -> float:
    return float(np.sqrt(sum(np.vdot(a, a) for a in arrays)))
