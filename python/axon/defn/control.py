"""Control flow over traced values: cond, switch, while_loop, fori_loop, scan. Each traces its functions once, so they
must be pure; outside a trace the regions are evaluated at once. Tensors that the functions capture are found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index
from typing import Any

from .. import tree
from ..dtypes import bool_, int32
from ..errors import DTypeError, ShapeError, TraceError
from ..graph.trace import trace
from ..nx.core.tensor import Tensor, TensorType
from ..nx.core.types import can_cast
from ..nx.rows.conversion import astype, clip
from ..nx.rows.creation import asarray
from .region import call, close, same_structure, same_types


def cond(pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], *operands: Any) -> Any:
    """true_fn(*operands) where the rank-0 bool `pred` holds, else false_fn(*operands); only that branch runs.

    Both must return the same structure of the same types; TraceError names the leaf where they do not.

    >>> cond(nx.tensor(2.0) > 1, lambda x: x + 1, lambda x: x - 1, nx.tensor(5.0)).item()
    6.0
    """
    _callable("cond", true_fn=true_fn, false_fn=false_fn)
    pred = asarray(pred)
    if pred.dtype is not bool_ or pred.ndim:
        raise DTypeError(
            f"cond: expected a bool predicate of rank 0, got {pred.type}; compare it, or use nx.any or nx.all"
        )
    names = ("false_fn's result", "true_fn's result")
    return _branches("cond", astype(pred, int32), (false_fn, true_fn), names, operands)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """branches[index](*operands), with the rank-0 integer `index` clamped to the branches there are.

    All must return the same structure of the same types; TraceError names the leaf where they do not.

    >>> switch(nx.tensor(1), [lambda x: x, lambda x: 2 * x, lambda x: 3 * x], nx.tensor(5.0)).item()
    10.0
    """
    index = asarray(index)
    if not branches:
        raise ValueError("switch: expected at least one branch, got none")
    _callable("switch", **{f"branch {i}": f for i, f in enumerate(branches)})
    if not index.dtype.is_integer or index.ndim:
        raise DTypeError(f"switch: expected an integer index of rank 0, got {index.type}; cast it with astype")
    if not can_cast(index, int32):  # what int32 does not hold would wrap
        index = clip(index, 0, len(branches) - 1)
    names = tuple(f"branch {i}'s result" for i in range(len(branches)))
    return _branches("switch", astype(index, int32), branches, names, operands)


def _branches(
    name: str, index: Tensor, branches: Sequence[Callable[..., Any]], names: Sequence[str], operands: tuple[Any, ...]
) -> Any:
    leaves, structure = _tensors(operands)
    types = tuple(t.type for t in leaves)
    first, *others = traced = [trace(_over(structure, f), types) for f in branches]
    for label, other in zip(names[1:], others, strict=True):
        same_structure(name, (names[0], first.structure), (label, other.structure))
        outputs = (names[0], first.graph.output_types), (label, other.graph.output_types)
        same_types(name, *outputs, first.structure)
    graphs, captured = close(traced)
    return tree.unflatten(first.structure, call("cond", graphs, [index, *leaves, *captured]))


def while_loop(cond_fn: Callable[[Any], Any], body_fn: Callable[[Any], Any], init: Any) -> Any:
    """The first of init, body_fn(init), body_fn(body_fn(init)), ... for which the rank-0 bool cond_fn(carry) is false.

    body_fn must return the structure and types of its argument; TraceError names the leaf where it does not.

    >>> while_loop(lambda x: x < 100, lambda x: x * 2, nx.tensor(3)).item()
    192
    """
    _callable("while_loop", cond_fn=cond_fn, body_fn=body_fn)
    leaves, structure = _tensors(init)
    types = tuple(t.type for t in leaves)
    test, body = traced = [trace(lambda *xs, f=f: f(tree.unflatten(structure, xs)), types) for f in (cond_fn, body_fn)]
    tested = test.graph.output_types
    if len(tested) != 1 or tested[0].dtype is not bool_ or tested[0].ndim:
        got = ", ".join(map(str, tested))
        raise DTypeError(f"while_loop: expected cond_fn to return a bool of rank 0, got {got}; compare, or use nx.any")
    _same_carry("while_loop", "body_fn", types, structure, body.structure, body.graph.output_types)
    graphs, captured = close(traced)
    return tree.unflatten(structure, call("while", graphs, [*leaves, *captured], carry=len(leaves)))


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
    _callable("scan", f=f)
    carry, structure = _tensors(init)
    rows, rows_structure = _tensors(xs)
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
    results = call("scan", graphs, operands, carry=n, xs=len(rows), length=length, reverse=bool(reverse))
    return tree.unflatten(structure, results[:n]), tree.unflatten(ys, results[n:])


def fori_loop(lower: Any, upper: Any, body_fn: Callable[[Tensor, Any], Any], init: Any) -> Any:
    """carry = body_fn(i, carry) for the int32 i from `lower` up to but not including `upper`, from carry = init.

    With Python integers as bounds it is a scan, else a while_loop. TraceError where body_fn changes the carry's types.

    >>> fori_loop(0, 5, lambda i, c: c + i, nx.tensor(0)).item()
    10
    """
    _callable("fori_loop", body_fn=body_fn)
    leaves, structure = _tensors(init)
    types = [t.type for t in leaves]

    def step(carry: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
        made, made_structure = _tensors(body_fn(*carry))
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


def _callable(name: str, **functions: Any) -> None:
    for label, function in functions.items():
        if not callable(function):
            raise TraceError(
                f"{name}: expected {label} to be a function, got a {type(function).__name__}; write a lambda around it"
            )


def _tensors(value: Any) -> tuple[list[Tensor], tree.Structure]:
    leaves, structure = tree.flatten(value)
    return [asarray(leaf) for leaf in leaves], structure


def _over(structure: tree.Structure, function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *leaves: function(*tree.unflatten(structure, leaves))


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
