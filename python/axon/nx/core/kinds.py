"""Kinds of op: what the rows of one have in common. Whoever branches on a kind asks for one of its flags, never for its
name, so that a new kind is one more row here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, eq=False, slots=True)
class Kind:
    """What all rows of a kind do."""

    name: str
    pointwise: bool = False  # an element of the result is a scalar of the operands' elements there, which broadcast
    moves: bool = False  # the result's elements are the operands', from where `index_map` says
    reduces: bool = False  # the operand's elements along axes are combined, as `combine` says
    creates: bool = False  # the result is made of attributes alone
    indexes: bool = False  # the second operand holds indices of the first; with an index map it reads there
    contracts: bool = False  # elements of the result are sums of products: dear to compute again
    fused: bool = False  # kernels compute it in their loops; what indexes is fused where it has an index map
    free: bool = False  # to compute an element again costs nothing
    widened: bool = False  # eager halves are computed in float32 and rounded once
    alias: bool = False  # the result is the first operand, in its memory
    linear: bool = False  # the result is linear in all float operands together
    opaque: bool = False  # it is more than its results' elements: it stays where these are none
    effect: bool = False  # it acts when it runs: equal ones are never merged
    native: bool = False  # its row's `function` has the native code that carries it out: see defn/custom_calls.py

    def __repr__(self) -> str:
        return f"<kind {self.name}>"


ELEMENTWISE = Kind("elementwise", pointwise=True, fused=True, widened=True)
REDUCTION = Kind("reduction", reduces=True, fused=True, widened=True)
MOVEMENT = Kind("movement", moves=True, fused=True, free=True, linear=True)
INDEXING = Kind("indexing", indexes=True, linear=True)
CONTRACTION = Kind("contraction", contracts=True, widened=True)
WINDOW = Kind("window")
LIBRARY = Kind("library", widened=True)
CREATION = Kind("creation", creates=True, fused=True, free=True)
SEQUENCING = Kind("sequencing", alias=True)
INPUT = Kind("input", opaque=True)
REGION = Kind("region", opaque=True)
CUSTOM = Kind("custom", native=True)
EFFECT = Kind("effect", opaque=True, effect=True)
