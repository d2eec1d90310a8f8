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
from ..graph.regions import Agreement, Backward, Batched, Evaluation, Region, Types
from ..graph.trace import trace
from ..nx.core.lanes import moved, spread
from ..nx.core.op import sized
from ..nx.core.tensor import Tensor, TensorType
from ..nx.creation import asarray
from ..nx.layout import concat, stack
from ..nx.rows.conversion import astype
from ..nx.rows.logic import logical_and
from ..nx.rows.movement import reshape, slice_, squeeze
from ..nx.rows.reductions import any as any_
from . import scan_gradient
from .backward import Record, at, pull, record
from .backward import spread as placed
from .batching import asked, carrying, choose, chosen_by_lane, region
from .branches import cond
from .evaluate import replay
from .loop_tangents import flow_scan, flow_while, push_scan, push_while
from .region import call, callables, close, same_structure, same_types, tensors


def while_loop(
    cond_fn: Callable[[Any], Any], body_fn: Callable[[Any], Any], init: Any, *, max_steps: int | None = None
) -> Any:
    """The first of init, body_fn(init), body_fn(body_fn(init)), ... for which the rank-0 bool cond_fn(carry) is false.

    max_steps: the most steps that are taken, done or not; the loop then has a gradient, which keeps what so many steps
    need. body_fn must return the structure and types of its argument; TraceError names the leaf where it does not.

    >>> while_loop(lambda x: x < 100, lambda x: x * 2, nx.tensor(3)).item()
    192
    """
    callables("while_loop", cond_fn=cond_fn, body_fn=body_fn)
    leaves, structure = tensors(init)
    types = tuple(t.type for t in leaves)

    def test(carry: Any) -> Tensor:
        made = tensors(cond_fn(carry))[0]
        if len(made) != 1 or made[0].dtype is not bool_ or made[0].ndim:
            got = ", ".join(str(t.type) for t in made)
            raise DTypeError(
                f"while_loop: expected cond_fn to return a bool of rank 0, got {got}; compare, or use nx.any"
            )
        return made[0]

    if max_steps is None:
        return _while(test, body_fn, leaves, structure)
    limit = _whole("while_loop", "max_steps", max_steps)
    step = _counting("while_loop", lambda i, carry: body_fn(carry), types, structure)
    counted, whole = tensors((asarray(0, int32), init))
    return _while(lambda c: logical_and(c[0] < limit, test(c[1])), step, counted, whole, limit)[1]


def _while(
    test: Callable[[Any], Any],
    step: Callable[[Any], Any],
    leaves: Sequence[Tensor],
    structure: tree.Structure,
    max_steps: int | None = None,
) -> Any:
    types = tuple(t.type for t in leaves)
    traced = [trace(lambda *xs, f=f: f(tree.unflatten(structure, xs)), types) for f in (test, step)]
    _same_carry("while_loop", "body_fn", types, structure, traced[1].structure, traced[1].graph.output_types)
    graphs, captured = close(traced)
    results = call(WHILE, graphs, [*leaves, *captured], carry=len(leaves), max_steps=max_steps)
    return tree.unflatten(structure, results)


def _counting(
    name: str, body_fn: Callable[[Tensor, Any], Any], types: Sequence[TensorType], structure: tree.Structure
) -> Callable[[tuple[Tensor, Any]], tuple[Tensor, Any]]:
    """A step that also counts: (i, carry) -> (i + 1, body_fn(i, carry))."""

    def step(carry: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
        made, made_structure = tensors(body_fn(*carry))
        _same_carry(name, "body_fn", types, structure, made_structure, [t.type for t in made])
        return carry[0] + 1, tree.unflatten(structure, made)

    return step


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

    xs: a tree of tensors that agree in the size of axis 0, or None with `length`. reverse: rows from the last to the
    first. unroll: how many steps are written out in the loop's body, which then runs so much less often. f must return
    the carry's structure and types; TraceError names the leaf where it does not.

    >>> total, sums = scan(lambda c, x: (c + x, c + x), nx.tensor(0), nx.tensor([1, 2, 3]))
    >>> total.item(), sums.tolist()
    (6, [1, 3, 6])
    """
    callables("scan", f=f)
    carry, structure = tensors(init)
    rows, rows_structure = tensors(xs)
    length = _length(rows, rows_structure, length)
    if _whole("scan", "unroll", unroll, 1) > 1 and length > 1:
        return _in_blocks(f, init, tree.unflatten(rows_structure, rows), length, bool(reverse), min(unroll, length))
    n, types = len(carry), tuple(t.type for t in carry)
    row_types = [TensorType(t.dtype, t.shape[1:], t.names and t.names[1:]) for t in rows]

    def body(*leaves: Tensor) -> Any:
        return _pair(f(tree.unflatten(structure, leaves[:n]), tree.unflatten(rows_structure, leaves[n:])))

    traced = trace(body, (*types, *row_types))
    made, ys = traced.structure.children()
    _same_carry("scan", "f", types, structure, made, traced.graph.output_types[: made.size])
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


def fori_loop(lower: Any, upper: Any, body_fn: Callable[[Tensor, Any], Any], init: Any) -> Any:
    """carry = body_fn(i, carry) for the int32 i from `lower` up to but not including `upper`, from carry = init.

    With Python integers as bounds it is a scan, else a while_loop. TraceError where body_fn changes the carry's types.

    >>> fori_loop(0, 5, lambda i, c: c + i, nx.tensor(0)).item()
    10
    """
    callables("fori_loop", body_fn=body_fn)
    leaves, structure = tensors(init)
    step = _counting("fori_loop", body_fn, [t.type for t in leaves], structure)
    if type(lower) is int and type(upper) is int:
        return scan(lambda c, _: (step(c), None), (lower, init), length=max(upper - lower, 0))[0][1]
    bounds = [asarray(bound) for bound in (lower, upper)]
    for bound in bounds:
        if not bound.dtype.is_integer or bound.ndim:
            raise DTypeError(f"fori_loop: expected integer bounds of rank 0, got {bound.type}; cast it with astype")
    start, stop = (astype(bound, int32) for bound in bounds)
    return while_loop(lambda c: c[0] < stop, step, (start, init))[1]


def inlined(region: Graph, operands: Sequence[Tensor]) -> list[Tensor]:
    """The results of a region, written out where it is called."""
    made = replay(region, operands)
    return [made[v] for v in region.outputs]


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
    if length is not None:
        length = _whole("scan", "length", length)
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


def _whole(name: str, option: str, value: Any, least: int = 0) -> int:
    if type(value) is bool or not hasattr(value, "__index__") or index(value) < least:
        raise ShapeError(f"{name}: expected {option} to be an integer of at least {least}, got {value!r}; say how many")
    return index(value)


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


def _while_forward(node: Node, operands: list[Tensor], wanted: Sequence[bool]) -> tuple[list[Tensor], Record | None]:
    """With max_steps a scan of so many steps, each of which does nothing once the loop is done."""
    attrs, n = node.attrs, node.attrs["carry"]
    if attrs["max_steps"] is None:
        return call(WHILE, attrs["regions"], operands, carry=n, max_steps=None), None

    def steps(*given: Tensor) -> list[Tensor]:
        def step(carry: list[Tensor], _: None) -> tuple[list[Tensor], None]:
            goes_on, go = [lambda *c, region=region: inlined(region, [*c, *given[n:]]) for region in attrs["regions"]]
            return cond(goes_on(*carry)[0], go, lambda *c: list(c), *carry), None

        return scan(step, list(given[:n]), length=attrs["max_steps"])[0]

    graph = trace(steps, tuple(t.type for t in operands)).graph
    made = record(graph, operands, [v for v, needed in zip(graph.inputs, wanted, strict=True) if needed])
    return [made.env[v] for v in graph.outputs], made


def _while_pull(given: Backward) -> list[Tensor | None]:
    made = given.residuals
    if made is None:
        raise GradientError(
            f"grad: while_loop{at(given.node)} cannot be differentiated: how often it runs is not known before; give "
            f"it max_steps=, use scan, or fori_loop with Python integers as bounds, or keep it out with stop_grad"
        )
    return placed(pull(made, list(zip(made.graph.outputs, given.gs, strict=True))), given.wanted)


def _while_batch(given: Batched) -> list[tuple[Tensor, bool]]:
    """The same loop where all lanes go on alike. Else it goes on while some lane does, and carries which: a lane that
    has ended keeps its carry."""
    (condition, body), n, size = given.node.attrs["regions"], given.node.attrs["carry"], given.size
    fixed = given.mapped[n:]
    options = {k: v for k, v in given.node.attrs.items() if k not in ("kind", "regions", "carry")}
    advance, carry = carrying(body, given.mapped[:n], fixed, size)
    test, (goes,) = region(condition, [*carry, *fixed], size)
    if goes and not all(carry):
        advance, carry = carrying(body, [True] * n, fixed, size)
        test, _ = region(condition, [*carry, *fixed], size)
    started = [spread(x, size) if m and not d else x for x, d, m in zip(given.operands, given.mapped, carry)]
    operands = [*started, *given.operands[n:]]
    if not goes:
        return list(zip(call(WHILE, [test, advance], operands, carry=n, **options), carry))
    chosen_by_lane(given, [condition, body])

    def frozen(going: Tensor, *xs: Tensor) -> list[Tensor]:
        env = replay(advance, asked(going, xs, [*carry, *fixed]))
        made = [choose(going, env[v], old) for v, old in zip(advance.outputs, xs)]
        return [goes_on(*made, *xs[n:]), *made]

    def goes_on(*xs: Tensor) -> Tensor:
        return replay(test, xs)[test.outputs[0]]

    operands = [goes_on(*operands), *operands]
    types = tuple([t.type for t in operands])
    graphs = [trace(lambda going, *_: any_(going), types).graph, trace(frozen, types).graph]
    return [(t, True) for t in call(WHILE, graphs, operands, carry=n + 1, **options)[1:]]


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


def _scan_batch(given: Batched) -> list[tuple[Tensor, bool]]:
    """The same scan over steps of all lanes, which come after the steps in rows."""
    attrs, (body,), size = given.node.attrs, given.node.attrs["regions"], given.size
    n, end = attrs["carry"], attrs["carry"] + attrs["xs"]
    graph, found = carrying(body, given.mapped[:n], given.mapped[n:], size)
    operands = [
        spread(x, size) if k < n and found[k] and not m else moved(x, 0, 1) if n <= k < end and m else x
        for k, (x, m) in enumerate(zip(given.operands, given.mapped))
    ]
    results = call(SCAN, [graph], operands, **{k: v for k, v in attrs.items() if k not in ("kind", "regions")})
    return [(moved(t, 1, 0) if m and k >= n else t, m) for k, (t, m) in enumerate(zip(results, found))]


# inputs: carry, captured; condition: inputs -> bool, rank 0; body: inputs -> carry
WHILE = Region(
    "while",
    _while_types,
    _while_agreements,
    _while_evaluate,
    _while_pull,
    _while_forward,
    batch=_while_batch,
    push=push_while,
    flow=flow_while,
)

# inputs: carry, xs, captured; body: (carry, a row of each of xs, captured) -> (carry, a row of each of ys)
SCAN = Region(
    "scan",
    _scan_types,
    _scan_agreements,
    _scan_evaluate,
    scan_gradient.backward,
    scan_gradient.forward,
    batch=_scan_batch,
    push=push_scan,
    flow=flow_scan,
)
