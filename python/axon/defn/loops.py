"""Loops: while_loop, scan and fori_loop, and the rows of the nodes they make. Each traces its functions once, so they
must be pure; outside a trace they are evaluated at once. Tensors that the functions capture are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import index
from typing import Any

from .. import tree
from ..dtypes import bool_, int32
from ..errors import DTypeError, GradientError, ShapeError, TraceError
from ..graph.expr import Graph, Node
from ..graph.regions import Agreement, Backward, Evaluation, Region, Types
from ..graph.trace import trace
from ..nx.core.op import sized
from ..nx.core.tensor import Tensor, TensorType
from ..nx.creation import asarray
from ..nx.layout import stack
from ..nx.rows.conversion import astype
from ..nx.rows.movement import rename, slice_, squeeze
from .backward import at, filled, pulled
from .region import call, callables, close, same_structure, same_types, tensors


def while_loop(cond_fn: Callable[[Any], Any], body_fn: Callable[[Any], Any], init: Any) -> Any:
    """The first of init, body_fn(init), body_fn(body_fn(init)), ... for which the rank-0 bool cond_fn(carry) is false.

    body_fn must return the structure and types of its argument; TraceError names the leaf where it does not.

    >>> while_loop(lambda x: x < 100, lambda x: x * 2, nx.tensor(3)).item()
    192
    """
    callables("while_loop", cond_fn=cond_fn, body_fn=body_fn)
    leaves, structure = tensors(init)
    types = tuple(t.type for t in leaves)
    test, body = traced = [trace(lambda *xs, f=f: f(tree.unflatten(structure, xs)), types) for f in (cond_fn, body_fn)]
    tested = test.graph.output_types
    if len(tested) != 1 or tested[0].dtype is not bool_ or tested[0].ndim:
        got = ", ".join(map(str, tested))
        raise DTypeError(f"while_loop: expected cond_fn to return a bool of rank 0, got {got}; compare, or use nx.any")
    _same_carry("while_loop", "body_fn", types, structure, body.structure, body.graph.output_types)
    graphs, captured = close(traced)
    return tree.unflatten(structure, call(WHILE, graphs, [*leaves, *captured], carry=len(leaves)))


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    *,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Fold f: (carry, x) -> (carry, y) over the rows of `xs`; gives the last carry and the ys, stacked on a new axis 0.

    xs: a tree of tensors that agree in the size of axis 0, or None with `length`. reverse: rows from the last to the
    first. f must return the carry's structure and types; TraceError names the leaf where it does not.

    >>> total, sums = scan(lambda c, x: (c + x, c + x), nx.tensor(0), nx.tensor([1, 2, 3]))
    >>> total.item(), sums.tolist()
    (6, [1, 3, 6])
    """
    callables("scan", f=f)
    carry, structure = tensors(init)
    rows, rows_structure = tensors(xs)
    length = _length(rows, rows_structure, length)
    n, types = len(carry), tuple(t.type for t in carry)
    row_types = [TensorType(t.dtype, t.shape[1:], t.names and t.names[1:]) for t in rows]

    def body(*leaves: Tensor) -> Any:
        result = f(tree.unflatten(structure, leaves[:n]), tree.unflatten(rows_structure, leaves[n:]))
        if not isinstance(result, tuple) or len(result) != 2:
            raise TraceError(f"scan: expected f to return (carry, y), got a {type(result).__name__}; y may be None")
        return result

    traced = trace(body, (*types, *row_types))
    made, ys = traced.structure.children()
    _same_carry("scan", "f", types, structure, made, traced.graph.output_types[: made.size])
    graphs, captured = close([traced])
    operands = [*carry, *rows, *captured]
    results = call(SCAN, graphs, operands, carry=n, xs=len(rows), length=length, reverse=bool(reverse))
    return tree.unflatten(structure, results[:n]), tree.unflatten(ys, results[n:])


def fori_loop(lower: Any, upper: Any, body_fn: Callable[[Tensor, Any], Any], init: Any) -> Any:
    """carry = body_fn(i, carry) for the int32 i from `lower` up to but not including `upper`, from carry = init.

    With Python integers as bounds it is a scan, else a while_loop. TraceError where body_fn changes the carry's types.

    >>> fori_loop(0, 5, lambda i, c: c + i, nx.tensor(0)).item()
    10
    """
    callables("fori_loop", body_fn=body_fn)
    leaves, structure = tensors(init)
    types = [t.type for t in leaves]

    def step(carry: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
        made, made_structure = tensors(body_fn(*carry))
        _same_carry("fori_loop", "body_fn", types, structure, made_structure, [t.type for t in made])
        return carry[0] + 1, tree.unflatten(structure, made)

    if type(lower) is int and type(upper) is int:
        return scan(lambda c, _: (step(c), None), (lower, init), length=max(upper - lower, 0))[0][1]
    bounds = [asarray(bound) for bound in (lower, upper)]
    for bound in bounds:
        if not bound.dtype.is_integer or bound.ndim:
            raise DTypeError(f"fori_loop: expected integer bounds of rank 0, got {bound.type}; cast it with astype")
    start, stop = (astype(bound, int32) for bound in bounds)
    return while_loop(lambda c: c[0] < stop, step, (start, init))[1]


def _same_carry(
    name: str,
    function: str,
    init: Sequence[TensorType],
    structure: tree.Structure,
    made: tree.Structure,
    types: Sequence[TensorType],
) -> None:
    labels = ("the initial carry", f"the carry that {function} returns")
    same_structure(name, (labels[0], structure), (labels[1], made))
    same_types(name, (labels[0], init), (labels[1], types), structure)


def _length(rows: Sequence[Tensor], structure: tree.Structure, length: int | None) -> int:
    """The number of iterations that all rows (and `length`, if given) agree on."""
    if length is not None and (type(length) is bool or not hasattr(length, "__index__") or index(length) < 0):
        raise ShapeError(f"scan: expected length to be an integer of at least 0, got {length!r}; say how many rows")
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
    return index(length)


def _while_types(attrs: Mapping[str, Any]) -> Types:
    return attrs["regions"][1].output_types


def _while_agreements(node: Node) -> Iterator[Agreement]:
    given, (condition, body) = [v.type for v in node.inputs], node.attrs["regions"]
    yield "inputs of the condition", given, condition.input_types
    yield "the result of the condition", [TensorType(bool_, ())], condition.output_types
    yield "inputs of the body", given, body.input_types
    yield "a carry", given[: node.attrs["carry"]], body.output_types


def _while_evaluate(given: Evaluation) -> list[Tensor]:
    n = given.attrs["carry"]
    carry, captured = given.operands[:n], given.operands[n:]
    while given.run[0]([*carry, *captured])[0].item():
        carry = given.run[1]([*carry, *captured])
    return carry


def _while_pull(given: Backward) -> list[Tensor | None]:
    raise GradientError(
        f"grad: while_loop{at(given.node)} cannot be differentiated: how often it runs is not known before; use "
        f"scan, or fori_loop with Python integers as bounds, give it a custom_grad, or keep it out with stop_grad"
    )


def _scan_types(attrs: Mapping[str, Any]) -> Types:
    (body,), n = attrs["regions"], attrs["carry"]
    shapes = [sized("scan", (attrs["length"], *t.shape)) for t in body.output_types[n:]]
    rows = [TensorType(t.dtype, shape, t.names and (None, *t.names)) for t, shape in zip(body.output_types[n:], shapes)]
    return *body.output_types[:n], *rows


def _scan_agreements(node: Node) -> Iterator[Agreement]:
    given, (body,) = [v.type for v in node.inputs], node.attrs["regions"]
    carry, length = node.attrs["carry"], node.attrs["length"]
    end = carry + node.attrs["xs"]
    rows = [TensorType(t.dtype, (length, *t.shape)) for t in body.input_types[carry:end]]
    yield "operands", [*body.input_types[:carry], *rows, *body.input_types[end:]], given
    yield "a carry", given[:carry], body.output_types[:carry]


def _scan_evaluate(given: Evaluation) -> list[Tensor]:
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


def _scan_forward(node: Node, operands: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """The same scan, which also stacks the carry that each step began with."""
    (body,), n = node.attrs["regions"], node.attrs["carry"]
    keeping = Graph(body.inputs, (*body.outputs, *body.inputs[:n]), body.effects)
    made = call(SCAN, [keeping], operands, **{k: v for k, v in node.attrs.items() if k not in ("kind", "regions")})
    return made[: len(node.types)], made[len(node.types) :]


def _scan_pull(given: Backward) -> list[Tensor | None]:
    """A scan from the last step to the first, which runs each step again. It carries the gradients of the carry and, in
    sums, those of captured tensors; those of rows are its rows."""
    attrs, (body,) = given.node.attrs, given.node.attrs["regions"]
    n, end = attrs["carry"], attrs["carry"] + attrs["xs"]
    rows, captured = given.operands[n:end], given.operands[end:]
    wanted = [*[t.dtype.is_float for t in body.input_types[:n]], *given.wanted[n:]]
    ends, tops = given.gs[:n], given.gs[n:]

    def step(carried: tuple[list[Tensor], list[Tensor]], row: tuple[list[Tensor], ...]) -> Any:
        (lasts, sums), (starts, xs, ys) = carried, row
        found = pulled(body, [*starts, *xs, *captured], [*lasts, *ys], wanted)
        firsts = [last if g is None else _like(g, last) for g, last in zip(found[:n], lasts)]
        more = [g for g in found[end:] if g is not None]
        return (firsts, [_like(a + g, a) for a, g in zip(sums, more)]), [g for g in found[n:end] if g is not None]

    zeros = [filled(0, t.type, t) for t, needed in zip(captured, wanted[end:]) if needed]
    (firsts, sums), of_rows = scan(
        step, (ends, zeros), (given.residuals, rows, tops), length=attrs["length"], reverse=not attrs["reverse"]
    )
    ordered = iter([*of_rows, *sums])
    return [*firsts, *[next(ordered) if needed else None for needed in wanted[n:]]]


def _like(g: Tensor, t: Tensor) -> Tensor:
    """A gradient with the axis names of what it is carried as."""
    return g if g.type.names == t.type.names else rename(g, t.type.names)


# inputs: carry, captured; condition: inputs -> bool, rank 0; body: inputs -> carry
WHILE = Region("while", _while_types, _while_agreements, _while_evaluate, _while_pull)

# inputs: carry, xs, captured; body: (carry, a row of each of xs, captured) -> (carry, a row of each of ys)
SCAN = Region("scan", _scan_types, _scan_agreements, _scan_evaluate, _scan_pull, _scan_forward)
