"""Rows that say what comes before what, and compute nothing."""

from __future__ import annotations

from ..core.rules import sequencing
from ..core.tensor import Tensor


@sequencing(eager=lambda xp, x, earlier: x, vjp=lambda g, y, x, earlier: (g, None))
def after(x: Tensor, earlier: Tensor, /) -> Tensor:
    """x, as a value that a program has no sooner than `earlier`: what is computed of it comes later, and is not shared
    with what is computed of x itself.

    >>> nx.after(nx.tensor([1, 2]), nx.tensor(3.0))
    int32[2] [1, 2]
    """
    ...
