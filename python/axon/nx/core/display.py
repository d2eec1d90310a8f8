"""How tensors print: the type, then the values, cut where they are many."""

from __future__ import annotations

from .tensor import Tensor

MANY, EDGE, DIGITS, WIDTH = 200, 3, 6, 100


def show(x: Tensor, *, bare: bool = False) -> str:
    """`type values`, the values on lines of their own from rank 2 on; bare: of rank 0 the number alone. Traced tensors
    have no values yet, donated ones none any more."""
    import numpy as np

    from ...errors import DonationError, TraceError

    try:
        values = x.numpy()
    except TraceError:
        return f"{x.type} traced"
    except DonationError:
        return f"{x.type} {x.device}"
    values = values.astype(x.dtype.computed_in.numpy, copy=False)
    if bare and not x.ndim:
        return str(values[()])
    with np.printoptions(precision=DIGITS, threshold=MANY, edgeitems=EDGE, linewidth=WIDTH, suppress=False):
        text = np.array2string(values, separator=", ")
    return f"{x.type}{chr(10) if x.ndim > 1 else ' '}{text}"
