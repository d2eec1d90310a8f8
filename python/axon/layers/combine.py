"""Layers that combine several inputs, and flatten, which lays one out."""

from __future__ import annotations

import math
from functools import reduce

from .. import nx
from ..nx import Tensor
from .declare import layer


@layer("logits")
def add(*inputs: Tensor) -> Tensor:
    """The sum of all inputs.

    Shapes: inputs of any that broadcast together; result their common one. ShapeError where they do not.

    >>> add(nx.tensor([1.0, 2.0]), nx.tensor([10.0, 20.0]), nx.tensor(0.5))
    float32[2] [11.5, 22.5]
    """
    return reduce(nx.add, inputs)


@layer("logits")
def subtract(*inputs: Tensor) -> Tensor:
    """The first input less all others.

    Shapes: inputs of any that broadcast together; result their common one. ShapeError where they do not.

    >>> subtract(nx.tensor([10.0, 20.0]), nx.tensor([1.0, 2.0]))
    float32[2] [ 9., 18.]
    """
    return reduce(nx.subtract, inputs)


@layer()
def multiply(*inputs: Tensor) -> Tensor:
    """The product of all inputs.

    Shapes: inputs of any that broadcast together; result their common one. ShapeError where they do not.

    >>> multiply(nx.tensor([1.0, 2.0]), nx.tensor([10.0, 20.0]))
    float32[2] [10., 40.]
    """
    return reduce(nx.multiply, inputs)


@layer("elements")
def concatenate(*inputs: Tensor, axis: int = -1) -> Tensor:
    """The inputs joined along one axis.

    Shapes: inputs alike but for their size n_i at `axis`; result the same with the sum of all n_i there. ShapeError
    where other axes differ.

    >>> concatenate(nx.tensor([[1.0]]), nx.tensor([[2.0, 3.0]]))
    float32[1,3]
    [[1., 2., 3.]]
    """
    return nx.concat(inputs, axis=axis)


@layer("elements")
def flatten(x: Tensor) -> Tensor:
    """All axes but the first made one.

    Shapes: x [batch, a, b, ...]; result [batch, a * b * ...].

    >>> flatten(nx.zeros((2, 3, 4))).shape
    (2, 12)
    """
    return x.reshape((x.shape[0], math.prod(x.shape[1:])))
