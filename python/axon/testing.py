"""Gradients checked by finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import nx
from .defn import vjp
from .nx import Tensor


def check_grads(function: Callable[..., Tensor], *args: np.ndarray, rtol: float = 1e-6, step: float = 1e-5) -> None:
    """Compare a function's gradient with central differences along random directions, in float64.

    function takes and gives float64 tensors. AssertionError shows both numbers.

    >>> check_grads(lambda x: x * x, np.array([1.0, 2.0]))
    """
    rng = np.random.default_rng(0)
    points = [np.asarray(a, dtype=np.float64) for a in args]
    y, pullback = vjp(function, *map(nx.asarray, points))
    cotangent = rng.standard_normal(y.shape)
    gradients = pullback(nx.asarray(cotangent))
    for i, (point, gradient) in enumerate(zip(points, gradients)):
        direction = rng.standard_normal(point.shape)
        near = []
        for sign in (1, -1):
            moved = [p + sign * step * direction if j == i else p for j, p in enumerate(points)]
            near.append(function(*map(nx.asarray, moved)).numpy())
        slope = np.vdot(cotangent, (near[0] - near[1]) / (2 * step))
        found = np.vdot(gradient.numpy(), direction)
        scale = np.linalg.norm(gradient.numpy()) * np.linalg.norm(direction) + 1e-3
        assert abs(found - slope) <= rtol * scale + 1e-9, f"gradient of operand {i}: {found}, by differences {slope}"
