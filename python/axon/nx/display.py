"""How tensors print: the type, then the values, cut where they are many."""

from __future__ import annotations

from .tensor import Tensor

MANY, EDGE, DIGITS, WIDTH = 200, 3, 6, 100


def show(x: Tensor) -> str:
    """`type values`, the values on lines of their own from rank 2 on; a traced tensor has none yet."""
    import numpy as np

    from ..errors import TraceError

    try:
        values = x.numpy()
    except TraceError:
        return f"{x.type} traced"
    if x.dtype.is_half:
        values = values.astype("float32")
    with np.printoptions(precision=DIGITS, threshold=MANY, edgeitems=EDGE, linewidth=WIDTH, suppress=False):
        text = np.array2string(values, separator=", ")
    return f"{x.type}{chr(10) if x.ndim > 1 else ' '}{text}"
