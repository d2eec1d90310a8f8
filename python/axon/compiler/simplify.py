"""Simplification: identities that hold bit for bit, as rows of (op, rule). What is not listed here is not done.

A rule gets the builder, the node and its new inputs, and gives the value that replaces the node's, or None.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..dtypes import DType, bool_
from ..graph.expr import Builder, Graph, Node, Value, rewrite
from .decompose import dot_axes, dot_over, merges

Rule = Callable[[Builder, Node, tuple[Value, ...]], Value | None]


def simplify(graph: Graph) -> Graph:
    """The graph after one sweep of the rules, operands first; a replaced node is not looked at again."""
    return rewrite(graph, apply_rules)


def apply_rules(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> list[Value] | None:
    for rule in RULES.get(node.op.name, ()):
        found = rule(builder, node, inputs)
        if found is not None:
            return [found]
    return None


def literal_of(value: Value) -> Any:
    """The number a value is everywhere, or None."""
    while value.node.op.kind.moves and len(value.node.inputs) == 1:
        value = value.node.inputs[0]
    return value.node.attrs["value"] if value.node.op.name == "literal" else None


def is_literal(value: Value, number: float) -> bool:
    """Whether a value is this number, with this sign of zero."""
    have = literal_of(value)
    return have is not None and have == number and math.copysign(1.0, have) == math.copysign(1.0, number)


def times_one(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """x * 1 = 1 * x = x"""
    a, b = inputs
    return a if is_literal(b, 1) else b if is_literal(a, 1) else None


def over_one(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """x / 1 = x"""
    return inputs[0] if is_literal(inputs[1], 1) else None


def plus_zero(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """x + -0.0 = x for floats (x + 0.0 is not x where x is -0.0); x + 0 = x for integers"""
    zero = -0.0 if node.types[0].dtype.is_float else 0
    a, b = inputs
    return a if is_literal(b, zero) else b if is_literal(a, zero) else None


def minus_zero(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """x - 0 = x"""
    return inputs[0] if is_literal(inputs[1], 0) else None


def power(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """x ** 1 = x, x ** 2 = x * x"""
    x, e = inputs
    if is_literal(e, 1):
        return x
    return builder.apply("multiply", x, x) if is_literal(e, 2) else None


def twice_negative(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """-(-x) = x"""
    inner = inputs[0].node
    return inner.inputs[0] if inner.op.name == node.op.name else None


def cast(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """A cast to the dtype it has is nothing; narrowing what was only widened is nothing."""
    (x,), dtype = inputs, node.types[0].dtype
    if x.type.dtype is dtype:
        return x
    inner = x.node
    if (
        inner.op.name == node.op.name
        and inner.inputs[0].type.dtype is dtype
        and widens(inner.inputs[0].type.dtype, x.type.dtype)
    ):
        return inner.inputs[0]
    return None


def widens(a: DType, b: DType) -> bool:
    """Whether every value of dtype a is exact in b."""
    if a.is_float:
        return b.is_float and b.digits >= a.digits and b.bias >= a.bias
    return b is not bool_ and b.digits >= a.digits and (a.kind != "i" or b.kind != "u")


def same_shape(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """A reshape or broadcast to the shape it has is nothing."""
    return inputs[0] if inputs[0].type.shape == node.types[0].shape else None


def unnamed(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """A label is of no use any more: gradients were taken before."""
    return inputs[0]


def twice_shaped(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """reshape(reshape(x)) and broadcast_to(broadcast_to(x)) are one."""
    inner = inputs[0].node
    if inner.op.name != node.op.name:
        return None
    return builder.apply(node.op.name, inner.inputs[0], shape=node.types[0].shape)


def twice_permuted(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """permute(permute(x)) is one, and nothing if it is the identity."""
    axes, inner = node.attrs["axes"], inputs[0].node
    if list(axes) == sorted(axes):
        return inputs[0]
    if inner.op.name != node.op.name:
        return None
    both = tuple(inner.attrs["axes"][a] for a in axes)
    return inner.inputs[0] if list(both) == sorted(both) else builder.apply(node.op.name, inner.inputs[0], axes=both)


def permuted_operand(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """dot(permute(x), y) is a dot over other axes of x, where they still merge in the same order."""
    operands = []
    for value, contract, batch in zip(inputs, node.attrs["contract"], node.attrs["batch"]):
        inner = value.node
        if inner.op.name == "permute_dims":
            axes, source = inner.attrs["axes"], inner.inputs[0]
            groups = [[axes[a] for a in g] for g in dot_axes(value.type.shape, contract, batch)]
            if groups[1] == sorted(groups[1]) and all(merges(source.type.shape, g) for g in groups):
                value, (batch, _, contract) = source, groups
        operands.append((value, contract, batch))
    changed = any(value is not given for (value, *_), given in zip(operands, inputs))
    return dot_over(builder, node, operands) if changed else None


def folded(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """Arithmetic and comparison of literals is a literal, rounded as the op rounds."""
    have, out = inputs[0].type.dtype, node.types[0]
    if not have.is_float or have.is_half:
        return None
    numbers = []
    for value in inputs:
        number = literal_of(value)
        if number is None:
            return None
        numbers.append(number)
    import numpy as np

    with np.errstate(all="ignore"):
        made = getattr(np, node.op.name)(*(np.asarray(n, have.numpy) for n in numbers)).item()
    literal = builder.apply("literal", value=made, dtype=out.dtype)
    return builder.apply("broadcast_to", literal, shape=out.shape) if out.shape else literal


def chosen(builder: Builder, node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """where(true, x, y) = x, where(false, x, y) = y, where(c, x, x) = x"""
    choice = literal_of(inputs[0])
    if choice is not None:
        return inputs[1] if choice else inputs[2]
    return inputs[1] if inputs[1] == inputs[2] else None


RULES: dict[str, tuple[Rule, ...]] = {
    "multiply": (times_one, folded),
    "divide": (over_one, folded),
    "add": (plus_zero, folded),
    "subtract": (minus_zero, folded),
    "pow": (power,),
    "negative": (twice_negative, folded),
    "logical_not": (twice_negative,),
    "astype": (cast,),
    "named": (unnamed,),
    "reshape": (same_shape, twice_shaped),
    "broadcast_to": (same_shape, twice_shaped),
    "permute_dims": (twice_permuted,),
    "dot_general": (permuted_operand,),
    "equal": (folded,),
    "where": (chosen,),
}
