"""Dropout."""

from __future__ import annotations

from .. import nx
from ..nx import Tensor
from ..options import plain_options
from .declare import Mode, Parameter, Stateful, layer


@layer("elements", key=Parameter(lambda: (2,), lambda shape, dtype, key: key, nx.uint32, kind="state"))
@plain_options
def dropout(x: Tensor, key: Tensor, *, rate: float = 0.5, mode: Mode = "inference") -> Tensor | Stateful:
    """In training, each element is 0 with probability `rate`, else divided by 1 - rate; in inference, x itself.

    Srivastava et al. 2014. ValueError when rate is not in [0, 1). Shapes: x any, key uint32[2]; result as x. Training
    gives Stateful(output, {"key": the next step's key}).

    >>> dropout(nx.tensor([1.0, 2.0]), nx.random.key(0), rate=0.9)
    float32[2] [1., 2.]
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: expected a rate in [0, 1), got {rate}; it is the share of elements set to zero")
    if mode != "train":
        return x
    following, use = nx.random.split(key)
    kept = nx.random.bernoulli(use, 1 - rate, x.shape)
    return Stateful(nx.where(kept, x / (1 - rate), 0), {"key": following})
