"""The dense layer."""

from __future__ import annotations

from .. import nx
from ..initializers import zeros
from ..nx import Tensor
from .declare import REQUIRED, Parameter, layer


@layer(
    options={"units": REQUIRED},
    kernel=Parameter(lambda x, units: (x.shape[-1], units)),
    bias=Parameter(lambda units: (units,), zeros()),
)
def dense(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ kernel + bias over the last axis.

    Shapes: x [..., n], kernel [n, units], bias [units]; result [..., units].

    >>> dense(nx.tensor([[1.0, 2.0]]), nx.tensor([[1.0], [10.0]]), nx.tensor([0.5]))
    float32[1,1]
    [[21.5]]
    """
    y = nx.matmul(x, kernel)
    return y if bias is None else y + bias
