"""scan: a fold over the rows of tensors, and the row of the node that it makes. The function is traced once, so it must
be pure; outside a trace the loop is evaluated at once. Tensors that the function captures are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .. import tree
from ..errors import ShapeError, TraceError
from ..graph.expr import Node
from ..graph.regions import Agreement, Batched, Evaluation, Region, Types
from ..graph.trace import trace
from ..nx.core.lanes import moved, spread
from ..nx.core.op import sized
from ..nx.core.tensor import Tensor, TensorType
from ..nx.creation import asarray
from ..nx.layout import concat, stack
from ..nx.rows.movement import reshape, slice_, squeeze
from . import scan_gradient
from .batching import carrying
from .loop_tangents import flow_scan, push_scan
from .region import again, call, callables, close, same_carry, tensors, whole_number


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    *,
    length: int | None = None,
    reverse: bool = False,
    unroll: int = 1,
) -> tuple[Any, Any]:
    """Fold f: (carry, x) -> (carry, y) over the rows of `xs`; gives the last carry and the ys, stacked on a new axis 0.

    xs: a tree of tensors that agree in the size of axis 0, or None with `length`. Carry, xs and ys are trees of tensors
    of any types; f must return the carry's structure and types (TraceError names the leaf where it does not). reverse:
    rows from the last to the first. unroll: how many steps are written out in the loop's body, which then runs so much
    less often. ShapeError for rows that differ in number, without xs and length, and for counts that are none.

    >>> total, sums = scan(lambda c, x: (c + x, c + x), nx.tensor(0), nx.tensor([1, 2, 3]))
    >>> total.item(), sums.tolist()
    (6, [1, 3, 6])
    """
    callables("scan", f=f)
    carry, structure = tensors(init)
    rows, rows_structure = tensors(xs)
    length = _length(rows, rows_structure, length)
    if whole_number("scan", "unroll", unroll, 1) > 1 and length > 1:
        return _in_blocks(f, init, tree.unflatten(rows_structure, rows), length, bool(reverse), min(unroll, length))
    n, types = len(carry), tuple(t.type for t in carry)
    row_types = [TensorType(t.dtype, t.shape[1:], t.names and t.names[1:]) for t in rows]

    def body(*leaves: Tensor) -> Any:
        return _pair(f(tree.unflatten(structure, leaves[:n]), tree.unflatten(rows_structure, leaves[n:])))

    traced = trace(body, (*types, *row_types))
    made, ys = traced.structure.children()
    same_carry("scan", "f", types, structure, made, traced.graph.output_types[: made.size])
    graphs, captured = close([traced])
    operands = [*carry, *rows, *captured]
    results = call(SCAN, graphs, operands, carry=n, xs=len(rows), length=length, reverse=bool(reverse))
    return tree.unflatten(structure, results[:n]), tree.unflatten(ys, results[n:])


def _pair(result: Any) -> tuple[Any, Any]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise TraceError(f"scan: expected f to return (carry, y), got a {type(result).__name__}; y may be None")
    return result


def _in_blocks(
    f: Callable[[Any, Any], Any], init: Any, xs: Any, length: int, reverse: bool, unroll: int
) -> tuple[Any, Any]:
    """A scan over blocks of steps that are written out; the steps left over are, too."""

    def block(size: int) -> Callable[[Any, Any], tuple[Any, Any]]:
        def steps(carry: Any, rows: Any) -> tuple[Any, Any]:
            made = []
            for i in reversed(range(size)) if reverse else range(size):
                carry, y = _pair(f(carry, tree.map(lambda x, i=i: x[i], rows)))
                made.append(tree.map(asarray, y))
            return carry, tree.map(lambda *ys: stack(ys[::-1] if reverse else ys, axis=0), *made)

        return steps

    count, rest = divmod(length, unroll)
    end = count * unroll
    blocks = tree.map(lambda x: reshape(x[:end], (count, unroll, *x.shape[1:])), xs)
    parts = [lambda c: scan(block(unroll), c, blocks, length=count, reverse=reverse)]
    if rest:
        parts.append(lambda c: block(rest)(c, tree.map(lambda x: x[end:], xs)))
    made, carry = [], init
    for part in reversed(parts) if reverse else parts:
        carry, ys = part(carry)
        made.append(ys)
    whole, *others = reversed(made) if reverse else made
    whole = tree.map(lambda y: reshape(y, (end, *y.shape[2:])), whole)
    return carry, tree.map(lambda *ys: concat(ys, axis=0), whole, *others)


def _length(rows: Sequence[Tensor], structure: tree.Structure, length: int | None) -> int:
    """The number of iterations that all rows (and `length`, if given) agree on."""
    if length is not None:
        length = whole_number("scan", "length", length)
    if length is None and not rows:
        raise ShapeError("scan: expected xs or length, got neither; say length= when there is nothing to scan over")
    for path, t in zip(structure.paths(), rows):
        where = f" at {tree.show(path)}" if path else ""
        if not t.ndim:
            raise ShapeError(
                f"scan: xs{where}: expected a tensor with axes, got {t.type}; pass it in the carry or capture it"
            )
        if length is not None and t.shape[0] != length:
            raise ShapeError(f"scan: xs{where}: expected {length} rows like the others, got {t.type}; slice or pad it")
        length = t.shape[0]
    assert length is not None
    return length


def _types(attrs: Mapping[str, Any]) -> Types:
    (body,), n = attrs["regions"], attrs["carry"]
    shapes = [sized("scan", (attrs["length"], *t.shape)) for t in body.output_types[n:]]
    rows = [TensorType(t.dtype, shape, t.names and (None, *t.names)) for t, shape in zip(body.output_types[n:], shapes)]
    return *body.output_types[:n], *rows


def _agreements(node: Node) -> Iterator[Agreement]:
    given, (body,) = [v.type for v in node.inputs], node.attrs["regions"]
    carry, length = node.attrs["carry"], node.attrs["length"]
    end = carry + node.attrs["xs"]
    rows = [TensorType(t.dtype, (length, *t.shape)) for t in body.input_types[carry:end]]
    yield "operands", [*body.input_types[:carry], *rows, *body.input_types[end:]], given
    yield "a carry", given[:carry], body.output_types[:carry]


def _evaluate(given: Evaluation) -> list[Tensor]:
    attrs, operands = given.attrs, given.operands
    n, end = attrs["carry"], attrs["carry"] + attrs["xs"]
    carry, xs, captured = operands[:n], operands[n:end], operands[end:]
    rows: list[list[Tensor]] = []
    order = range(attrs["length"])
    for i in reversed(order) if attrs["reverse"] else order:
        made = given.run[0]([*carry, *[_row(x, i) for x in xs], *captured])
        carry = made[:n]
        rows.append(made[n:])
    if attrs["reverse"]:
        rows.reverse()
    return [*carry, *([stack(column, axis=0) for column in zip(*rows)] if rows else given.empty()[n:])]


def _row(x: Tensor, i: int) -> Tensor:
    starts, stops = [0] * x.ndim, list(x.shape)
    starts[0], stops[0] = i, i + 1
    return squeeze(slice_(x, starts, stops), 0)


def _batch(given: Batched) -> list[tuple[Tensor, bool]]:
    """The same scan over steps of all lanes, which come after the steps in rows."""
    attrs, (body,), size = given.node.attrs, given.node.attrs["regions"], given.size
    n, end = attrs["carry"], attrs["carry"] + attrs["xs"]
    graph, found = carrying(body, given.mapped[:n], given.mapped[n:], size)
    operands = [
        spread(x, size) if k < n and found[k] and not m else moved(x, 0, 1) if n <= k < end and m else x
        for k, (x, m) in enumerate(zip(given.operands, given.mapped))
    ]
    results = again(given.node, [graph], operands)
    return [(moved(t, 1, 0) if m and k >= n else t, m) for k, (t, m) in enumerate(zip(results, found))]


# inputs: carry, xs, captured; body: (carry, a row of each of xs, captured) -> (carry, a row of each of ys)
SCAN = Region(
    "scan",
    types=_types,
    agreements=_agreements,
    evaluate=_evaluate,
    pull=scan_gradient.pull_scan,
    record=scan_gradient.record_scan,
    batch=_batch,
    push=push_scan,
    flow=flow_scan,
)
