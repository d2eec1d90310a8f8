"""ModelState: all tensors of a model, as nested dicts by layer name. A tree, and a value: methods give new states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .. import tree
from ..nx import Tensor

Tensors = dict[str, dict[str, Tensor]]  # layer -> parameter -> tensor


@dataclass(frozen=True, repr=False)
class ModelState:
    """What `init` makes and `predict` takes.

    `parameters` are trained, `frozen` are parameters that are not, `state` is what a layer carries from step to step
    (running averages, keys). `state["dense_0"]` is all of one layer.

    >>> ModelState({"dense_0": {"kernel": nx.ones((2, 3))}}).freeze()
    ModelState
      frozen: 6 values, 24 bytes
        dense_0.kernel: float32[2,3]
    """

    parameters: Tensors = field(default_factory=dict)
    state: Tensors = field(default_factory=dict)
    frozen: Tensors = field(default_factory=dict)

    def __getitem__(self, layer: str) -> dict[str, Tensor]:
        if layer not in self:
            known = dict.fromkeys([*self.parameters, *self.frozen, *self.state])
            raise KeyError(f"expected a layer that has tensors ({', '.join(known)}), got {layer!r}")
        return self.of(layer)

    def __contains__(self, layer: str) -> bool:
        return bool(self.of(layer))

    def of(self, layer: str) -> dict[str, Tensor]:
        """All of one layer, which may have nothing."""
        return {**self.frozen.get(layer, {}), **self.parameters.get(layer, {}), **self.state.get(layer, {})}

    def with_state(self, new: Mapping[str, Mapping[str, Tensor]]) -> ModelState:
        """The same with some layers' state replaced: what a training step gives back."""
        return replace(self, state={name: {**old, **new.get(name, {})} for name, old in self.state.items()})

    def freeze(self, chosen: Callable[[str, str], bool] = lambda layer, parameter: True) -> ModelState:
        """The same with the parameters for which chosen(layer, parameter) holds kept out of training."""
        moved, kept = _part(self.parameters, chosen)
        return replace(self, parameters=kept, frozen=_join(self.frozen, moved))

    def unfreeze(self, chosen: Callable[[str, str], bool] = lambda layer, parameter: True) -> ModelState:
        """The same with the frozen parameters for which chosen(layer, parameter) holds trained again."""
        moved, kept = _part(self.frozen, chosen)
        return replace(self, parameters=_join(self.parameters, moved), frozen=kept)

    def __repr__(self) -> str:
        lines = ["ModelState"]
        for title in ("parameters", "frozen", "state"):
            tensors = getattr(self, title)
            types = [t.type for t in tree.leaves(tensors) if isinstance(t, Tensor)]
            if types:
                lines.append(f"  {title}: {sum(t.size for t in types)} values, {sum(t.nbytes for t in types)} bytes")
            for path, t in zip(tree.paths(tensors), tree.leaves(tensors)):
                lines.append(f"    {tree.show(path)}: {t.type if isinstance(t, Tensor) else repr(t)}")
        return "\n".join(lines)


def check_state(state: Any, what: str) -> None:
    """Refuse anything but a ModelState where a function called `what` takes one. TypeError."""
    if not isinstance(state, ModelState):
        raise TypeError(
            f"{what}: expected a ModelState, got {type(state).__name__}; pass what init gave, a train state's .model, "
            f"or a loop result's .state"
        )


def _part(tensors: Tensors, chosen: Callable[[str, str], bool]) -> tuple[Tensors, Tensors]:
    """(those chosen, the others), without empty layers."""
    halves: tuple[Tensors, Tensors] = ({}, {})
    for layer, named in tensors.items():
        for name, tensor in named.items():
            halves[0 if chosen(layer, name) else 1].setdefault(layer, {})[name] = tensor
    return halves


def _join(left: Tensors, right: Tensors) -> Tensors:
    layers = dict.fromkeys([*left, *right])
    return {layer: {**left.get(layer, {}), **right.get(layer, {})} for layer in layers}
