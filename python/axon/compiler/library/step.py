"""What a library step is, and the row that says how nodes become one.

The rows of a family lie in its file, and all of them in `table.py`. What the C++ side of each reads is in
docs/design/library-steps.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...dtypes import ALL, DType, bool_
from ...graph.expr import Node

Ints = Sequence[int]


class LibraryStep(NamedTuple):
    """One call of native code: `memory` in slot order; the last `written` of them are its results."""

    symbol: str
    memory: tuple[Any, ...]
    ints: Ints
    label: str
    written: int = 1


@dataclass(frozen=True, kw_only=True)
class Library:
    """The row of a symbol: of which nodes there is a step, what it reads beside its operands, and what it does.

    A step's operands are the node's inputs, then its results; or one input and the result, a step an input. Of a symbol
    that can add a bias, a vector, to its rows, the last int says whether it does; the bias is its last input.
    """

    symbol: str
    takes: Callable[..., bool]  # (*dtypes of the inputs, *of the results) -> whether the C++ side has code for them
    ints: Callable[[Node], Any]  # the step's; where `each`, a list of those of each input's
    each: bool = False  # a step for each input, the last input's first, since it is written whole
    bias: Callable[[Node], int | None] = lambda node: None  # the length of the bias it can add, or None
    work: Callable[[Ints], float] = lambda ints: 0.0  # multiplications and additions
    text: Callable[[Ints], str] | None = None  # what reports call it, with its sizes; the symbol unless given
    eager: bool = False  # eager calls run it, too
    moved: Callable[[Ints], int] | None = None  # bytes that it reads and writes; its operands' unless given


NUMBERS = {d for d in ALL if d is not bool_}  # what csrc/cpu computes with (`with_number` of dtype.h)


def same_number(*dtypes: DType) -> bool:
    """Whether all dtypes are one, and a number."""
    return len(set(dtypes)) == 1 and dtypes[0] in NUMBERS


def label(node: Node) -> str:
    """What errors and reports call a step: the op, and the user's line."""
    return f"{node.op.name} at {node.source}" if node.source else node.op.name
