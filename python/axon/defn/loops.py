"""while_loop and fori_loop, and the row of the node that a while_loop makes. Functions are traced once, so they must be
pure; outside a trace loops are evaluated at once. Tensors that the functions capture are found."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Integral
from operator import index
from typing import Any

from .. import tree
from ..dtypes import bool_, int32, int64, promote
from ..errors import DTypeError, GradientError
from ..graph.expr import Node
from ..graph.regions import Agreement, Backward, Batched, Evaluation, Region, Types
from ..graph.trace import trace
from ..nx.core.lanes import spread
from ..nx.core.tensor import Tensor, TensorType
from ..nx.creation import asarray
from ..nx.rows.conversion import astype
from ..nx.rows.logic import logical_and
from ..nx.rows.reductions import any as any_
from .backward import Record, pull, record
from .batching import asked, carrying, choose, refuse_effects, region
from .branches import cond
from .common import at, placed
from .evaluate import carried_out, inlined
from .loop_tangents import flow_while, push_while
from .region import again, call, callables, close, same_carry, tensors, whole_number
from .scans import scan


def while_loop(
    cond_fn: Callable[[Any], Any], body_fn: Callable[[Any], Any], init: Any, *, max_steps: int | None = None
) -> Any:
    """The first of init, body_fn(init), body_fn(body_fn(init)), ... for which the rank-0 bool cond_fn(carry) is false.

    The carry is a tree of tensors of any types; body_fn must return its structure and types (TraceError names the leaf
    where it does not), cond_fn a bool (DTypeError). max_steps: the most steps that are taken, done or not; the loop
    then has a gradient, which keeps what so many steps need. GradientError for a gradient without it; forward mode
    needs none.

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
    limit = whole_number("while_loop", "max_steps", max_steps)
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
    same_carry("while_loop", "body_fn", types, structure, traced[1].structure, traced[1].graph.output_types)
    graphs, captured = close(traced)
    results = call(WHILE, graphs, [*leaves, *captured], carry=len(leaves), max_steps=max_steps)
    return tree.unflatten(structure, results)


def _counting(
    name: str, body_fn: Callable[[Tensor, Any], Any], types: Sequence[TensorType], structure: tree.Structure
) -> Callable[[tuple[Tensor, Any]], tuple[Tensor, Any]]:
    """A step that also counts: (i, carry) -> (i + 1, body_fn(i, carry))."""

    def step(carry: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
        made, made_structure = tensors(body_fn(*carry))
        same_carry(name, "body_fn", types, structure, made_structure, [t.type for t in made])
        return carry[0] + 1, tree.unflatten(structure, made)

    return step


def fori_loop(
    lower: Any, upper: Any, body_fn: Callable[[Tensor, Any], Any], init: Any, *, max_steps: int | None = None
) -> Any:
    """carry = body_fn(i, carry) for the i from `lower` up to but not including `upper`, from carry = init.

    i is int32, or of the bounds' integer dtype where that holds more. With Python or NumPy integers as bounds it is a
    scan, else a while_loop, which has a gradient with max_steps only: the most steps that are taken. The carry is a
    tree of tensors of any types. TraceError where body_fn changes its structure or types, DTypeError for bounds that
    are no integers of rank 0, or have no common dtype.

    >>> fori_loop(0, 5, lambda i, c: c + i, nx.tensor(0)).item()
    10
    """
    callables("fori_loop", body_fn=body_fn)
    leaves, structure = tensors(init)
    step = _counting("fori_loop", body_fn, [t.type for t in leaves], structure)
    most = None if max_steps is None else whole_number("fori_loop", "max_steps", max_steps)
    known = [isinstance(x, Integral) and not isinstance(x, bool) for x in (lower, upper)]
    if all(known):
        first, end = index(lower), index(upper)
        length = max(end - first, 0) if most is None else min(max(end - first, 0), most)
        counter = asarray(first, int32 if int32.lowest <= first <= end <= int32.highest or not length else int64)
        return scan(lambda c, _: (step(c), None), (counter, init), length=length)[0][1]
    bounds = [x if k else asarray(x) for x, k in zip((lower, upper), known)]
    types = [x.type for x in bounds if isinstance(x, Tensor)]
    for type_ in types:
        if not type_.dtype.is_integer or type_.ndim:
            raise DTypeError(f"fori_loop: expected integer bounds of rank 0, got {type_}; cast it with astype")
    wide = functools.reduce(promote, [type_.dtype for type_ in types])
    dtype = int32 if wide.highest <= int32.highest else wide
    start, stop = (astype(x, dtype) if isinstance(x, Tensor) else asarray(x, dtype) for x in bounds)
    return while_loop(lambda c: c[0] < stop, step, (start, init), max_steps=most)[1]


def _types(attrs: Mapping[str, Any]) -> Types:
    return attrs["regions"][1].output_types


def _agreements(node: Node) -> Iterator[Agreement]:
    given, (condition, body) = [v.type for v in node.inputs], node.attrs["regions"]
    yield "inputs of the condition", given, condition.input_types
    yield "the result of the condition", [TensorType(bool_, ())], condition.output_types
    yield "inputs of the body", given, body.input_types
    yield "a carry", given[: node.attrs["carry"]], body.output_types


def _evaluate(given: Evaluation) -> list[Tensor]:
    n = given.attrs["carry"]
    carry, captured = given.operands[:n], given.operands[n:]
    while given.run[0]([*carry, *captured])[0].item():
        carry = given.run[1]([*carry, *captured])
    return carry


def _record(
    node: Node, operands: list[Tensor], wanted: Sequence[bool], asked: Sequence[bool]
) -> tuple[list[Tensor], Record | None]:
    """With max_steps a scan of so many steps, each of which does nothing once the loop is done: whether it goes on is
    carried, so that the condition is asked (and acts) as often as in the loop."""
    attrs, n = node.attrs, node.attrs["carry"]
    if attrs["max_steps"] is None:
        return carried_out(node, operands), None

    def steps(*given: Tensor) -> list[Tensor]:
        def asked(carry: Sequence[Tensor]) -> list[Tensor]:
            return [*inlined(attrs["regions"][0], [*carry, *given[n:]]), *carry]

        def go(_: Tensor, *carry: Tensor) -> list[Tensor]:
            return asked(inlined(attrs["regions"][1], [*carry, *given[n:]]))

        def step(carry: list[Tensor], _: None) -> tuple[list[Tensor], None]:
            return cond(carry[0], go, lambda *carry: list(carry), *carry), None

        return scan(step, asked(given[:n]), length=attrs["max_steps"])[0][1:]

    graph = trace(steps, tuple(t.type for t in operands)).graph
    made = record(graph, operands, [v for v, needed in zip(graph.inputs, wanted, strict=True) if needed])
    return [made.env[v] for v in graph.outputs], made


def _pull(given: Backward) -> list[Tensor | None]:
    made = given.residuals
    if made is None:
        raise GradientError(
            f"grad: while_loop{at(given.node)} cannot be differentiated: how often it runs is not known before; give "
            f"it max_steps=, use scan, or fori_loop with Python integers as bounds, or keep it out with stop_grad"
        )
    return placed(pull(made, list(zip(made.graph.outputs, given.gs, strict=True))), given.wanted)


def _batch(given: Batched) -> list[tuple[Tensor, bool]]:
    """The same loop where all lanes go on alike. Else it goes on while some lane does, and carries which: a lane that
    has ended keeps its carry."""
    (condition, body), n, size = given.node.attrs["regions"], given.node.attrs["carry"], given.size
    fixed = given.mapped[n:]
    advance, carry = carrying(body, given.mapped[:n], fixed, size)
    test, (goes,) = region(condition, [*carry, *fixed], size)
    if goes and not all(carry):
        advance, carry = carrying(body, [True] * n, fixed, size)
        test, _ = region(condition, [*carry, *fixed], size)
    started = [spread(x, size) if m and not d else x for x, d, m in zip(given.operands, given.mapped, carry)]
    operands = [*started, *given.operands[n:]]
    if not goes:
        return list(zip(again(given.node, [test, advance], operands), carry))
    refuse_effects(given, [condition, body])

    def frozen(going: Tensor, *xs: Tensor) -> list[Tensor]:
        stepped = inlined(advance, asked(going, xs, [*carry, *fixed]))
        made = [choose(going, new, old) for new, old in zip(stepped, xs)]
        return [goes_on(*made, *xs[n:]), *made]

    def goes_on(*xs: Tensor) -> Tensor:
        return inlined(test, xs)[0]

    operands = [goes_on(*operands), *operands]
    types = tuple([t.type for t in operands])
    graphs = [trace(lambda going, *_: any_(going), types).graph, trace(frozen, types).graph]
    return [(t, True) for t in again(given.node, graphs, operands, carry=n + 1)[1:]]


# inputs: carry, captured; condition: inputs -> bool, rank 0; body: inputs -> carry
WHILE = Region(
    "while",
    types=_types,
    agreements=_agreements,
    evaluate=_evaluate,
    pull=_pull,
    record=_record,
    batch=_batch,
    push=push_while,
    flow=flow_while,
)
