"""How reductions and cumulative rows combine, a row each: what one starts from, and what it carries along. Kernels know
those of reductions by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...dtypes import DType


@dataclass(frozen=True, eq=False, slots=True)
class Combine:
    """Two values of a reduction's operand become one, the left one first. With an index this is int32 and goes along
    with its value: the lower one wins among equals."""

    name: str  # of the scalar that does it; with an index, of a macro in csrc/kernels/reduce.h
    identity: Callable[[DType], Any]  # the value that combines with any x to x; the index with it is the highest
    further: str = ""  # of those that choose: the comparison by which the right one is taken. NaN is further than all
    index: bool = False  # the result is the index

    def __repr__(self) -> str:
        return f"<combine {self.name}>"


ADD = Combine("add", lambda d: -0.0 if d.is_float else 0)
MULTIPLY = Combine("multiply", lambda d: 1)
MAXIMUM = Combine("maximum", lambda d: d.lowest, further="greater")
MINIMUM = Combine("minimum", lambda d: d.highest, further="less")
LOGADDEXP = Combine("logaddexp", MAXIMUM.identity)
LOGICAL_OR = Combine("logical_or", lambda d: False)
LOGICAL_AND = Combine("logical_and", lambda d: True)
ARGMAX = Combine("argmax", MAXIMUM.identity, further="greater", index=True)
ARGMIN = Combine("argmin", MINIMUM.identity, further="less", index=True)

# Those of reductions, which kernels have.
COMBINES = {c.name: c for c in (ADD, MULTIPLY, MAXIMUM, MINIMUM, LOGICAL_OR, LOGICAL_AND, ARGMAX, ARGMIN)}
