"""A model's first state: every parameter drawn by its initializer, from a key of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

from .. import nx
from ..defn import jit
from ..errors import ShapeError
from ..graph.trace import trace
from ..layers import Spec
from ..nx import Tensor, TensorType
from .state import ModelState, Tensors

Draw = Callable[[Tensor, Tensor], Tensor]  # (key, the number of the parameter's name) -> its first value


class Draws:
    """How parameters are drawn. Those that are alike share a definition, so that a thousand layers are traced once. An
    initializer that captures tensors may capture others the next time: its definition serves one call."""

    def __init__(self, compiler: str | None) -> None:
        self._compiler = compiler
        self._made: dict[Any, Draw] = {}
        self._numbers: dict[str, Tensor] = {}

    def draw(self, name: str, spec: Spec, key: Tensor) -> Tensor:
        """The first value of a parameter, from a key that depends on `key` and on the parameter's name alone."""
        alike = (id(spec.initializer), spec.shape, spec.dtype)  # the function that is kept keeps the initializer
        function = self._made.get(alike) or self._made.setdefault(alike, self._definition(spec))
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = nx.tensor(crc32(name.encode()), dtype=nx.uint32)
        return function(key, number)

    def _definition(self, spec: Spec) -> Draw:
        def draw(key: Tensor, number: Tensor) -> Tensor:
            return nx.asarray(spec.initializer(spec.shape, spec.dtype, nx.random.fold_in(key, number)))

        if trace(draw, (TensorType(nx.uint32, (2,)), TensorType(nx.uint32, ()))).captured:
            return lambda key, number: jit(draw, compiler=self._compiler)(key, number)
        return jit(draw, compiler=self._compiler)


def first_state(specs: Mapping[str, Mapping[str, Spec]], key: Tensor, draws: Draws) -> ModelState:
    """The state that the initializers give."""
    made: dict[str, Tensors] = {"parameter": {}, "state": {}}
    for layer, named in specs.items():
        for name, spec in named.items():
            tensor = draws.draw(f"{layer}.{name}", spec, key)
            if (tensor.shape, tensor.dtype) != (spec.shape, spec.dtype):
                raise ShapeError(
                    f"layer {layer}: expected {name} {spec.type}, its initializer gave {tensor.type}; make it of the "
                    f"shape and dtype that the initializer is asked for"
                )
            made[spec.kind].setdefault(layer, {})[name] = tensor
    return ModelState(made["parameter"], made["state"])
