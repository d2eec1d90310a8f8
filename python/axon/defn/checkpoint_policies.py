"""What a checkpoint keeps for its gradient: policies, which say so of each value that its function computes.

A policy is a pure function of a `Candidate` that gives whether to keep it; those below are such functions, or make
them. Others are written the same way, by themselves or of these.

>>> from axon.defn import checkpoint
>>> few = lambda made: dots(made) and made.type.size < 1 << 20
>>> block = checkpoint(lambda x, w: nx.tanh(x @ w), policy=few)
>>> block(nx.zeros((1, 2)), nx.ones((2, 2))).tolist()
[[0.0, 0.0]]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..graph.expr import Value
from ..nx.core.tensor import TensorType
from .common import name_of

__all__ = ["Candidate", "Policy", "dots", "either", "everything", "names", "nothing"]


class Candidate(NamedTuple):
    """A value that a checkpoint may keep: the name of the row that computes it ("tanh", "dot_general", "scan"), its
    type, those of the row's operands, the row's attributes, and whether it is a product or a convolution."""

    op: str
    type: TensorType
    operands: tuple[TensorType, ...]
    attrs: Mapping[str, Any]
    contracts: bool


Policy = Callable[[Candidate], bool]


def nothing(made: Candidate) -> bool:
    """Keep the arguments only.

    >>> nothing(Candidate("tanh", nx.ones(2).type, (nx.ones(2).type,), {}, False))
    False
    """
    return False


def everything(made: Candidate) -> bool:
    """Keep all, as without a checkpoint: a gradient computes nothing again.

    >>> everything(Candidate("tanh", nx.ones(2).type, (nx.ones(2).type,), {}, False))
    True
    """
    return True


def dots(made: Candidate) -> bool:
    """Keep the results of products and convolutions, which take long to compute, and compute the rest again.

    >>> dots(Candidate("dot_general", nx.ones(2).type, (), {}, True))
    True
    """
    return made.contracts


def names(*labels: str) -> Policy:
    """Keep what `axon.name` calls by one of these labels. TypeError where one is no text.

    >>> names("scores")(Candidate("named", nx.ones(2).type, (), {"label": "scores"}, False))
    True
    """
    for label in labels:
        if not isinstance(label, str):
            raise TypeError(f"names: expected labels that are texts, got {label!r}; write names('q', 'k')")
    wanted = frozenset(labels)
    return lambda made: made.op == "named" and made.attrs["label"] in wanted


def either(*policies: Policy) -> Policy:
    """Keep what one of these policies keeps.

    >>> either(nothing, dots)(Candidate("dot_general", nx.ones(2).type, (), {}, True))
    True
    """
    return lambda made: any(policy(made) for policy in policies)


def candidate(value: Value) -> Candidate:
    """What a policy is asked about a value."""
    node = value.node
    return Candidate(
        name_of(node), value.type, tuple([v.type for v in node.inputs]), node.attrs, node.op.kind.contracts
    )
