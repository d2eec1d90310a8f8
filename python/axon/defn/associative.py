"""associative_scan: a scan of logarithmic depth over trees. It is no loop but a composition of slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import tree
from ..errors import ShapeError
from ..nx.core.rules import axis_of
from ..nx.core.tensor import Tensor
from ..nx.rows.associative import associative
from .region import callables, same_structure, same_types, tensors


def associative_scan(f: Callable[[Any, Any], Any], xs: Any, axis: int | str = 0, reverse: bool = False) -> Any:
    """x[0], f(x[0], x[1]), f(f(x[0], x[1]), x[2]), ... along an axis of a tree of tensors, for an associative f.

    f takes two trees like xs, of as many slices each as it is given, and must combine them slice by slice to a tree of
    the same types. It is called about 2 log2(n) times; the order of combination depends on the size n alone. reverse:
    from the end of the axis, where f takes the later slices first. ShapeError for tensors that differ in the axis's
    size, TraceError where f returns other containers or types.

    >>> associative_scan(lambda a, b: a * b, nx.tensor([1, 2, 3, 4])).tolist()
    [1, 2, 6, 24]
    """
    callables("associative_scan", f=f)
    leaves, structure = tensors(xs)
    if not leaves:
        return xs
    axes = _axes(leaves, structure, axis)

    def join(left: list[Tensor], right: list[Tensor]) -> list[Tensor]:
        made, made_structure = tensors(f(tree.unflatten(structure, left), tree.unflatten(structure, right)))
        labels = ("its arguments", "what f returns")
        same_structure("associative_scan", (labels[0], structure), (labels[1], made_structure))
        types = [[t.type for t in given] for given in (left, made)]
        same_types("associative_scan", (labels[0], types[0]), (labels[1], types[1]), structure)
        return made

    return tree.unflatten(structure, associative(join, leaves, axes, bool(reverse)))


def _axes(leaves: Sequence[Tensor], structure: tree.Structure, axis: int | str) -> list[int]:
    """The axis's number in each tensor."""
    axes, size = [], None
    for path, t in zip(structure.paths(), leaves):
        where = f"associative_scan: xs{f' at {tree.show(path)}' if path else ''}"
        axes.append(axis_of(where, t.type, axis))
        if size is not None and t.shape[axes[-1]] != size:
            raise ShapeError(f"{where}: expected {size} slices like the others, got {t.type}; slice or pad it")
        size = t.shape[axes[-1]]
    return axes
