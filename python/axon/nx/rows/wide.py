"""The dtype that functions made of several rows compute in, so that they round once and not at every row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...dtypes import float32, result_type
from ..core.convert import convert
from ..core.tensor import Tensor


def widened(*given: Any) -> tuple[list[Tensor], Callable[[Tensor], Tensor]]:
    """What a composite function computes with, and what rounds its result: tensors in the floating dtype that they
    lead to, but halves, integers and bool as float32; and a function to the half that the given ones lead to, if any.

    >>> (x,), rounded = nx.widened(nx.full((4,), 300.0, "float16"))
    >>> rounded(nx.sqrt(nx.sum(x * x)))
    float16[] 600.
    """
    tensors = [convert("asarray", t) for t in given]
    floats = [t.dtype for t in tensors if t.dtype.is_float]
    dtype = result_type(*floats) if floats else float32
    return [t.astype(dtype.computed_in) for t in tensors], lambda y: y.astype(dtype)
