"""What a retrace says: in words, how a call's signature differs from that of the call before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .. import tree
from ..nx.tensor import TensorType


class Signature(NamedTuple):
    """All that a trace depends on."""

    structure: tree.Structure  # of the positional arguments, or of (positional, keywords) where there are keywords
    types: tuple[TensorType, ...]
    keywords: bool
    static: tuple[tuple[int | str, type, Any], ...]  # place, type and value; the type tells 1 from True


class Change(NamedTuple):
    """One difference: its kind, said once a function, and the words."""

    kind: tuple[Any, ...]
    words: str


def change(before: Signature, after: Signature, names: Sequence[str]) -> Change:
    """The first difference in order static arguments, containers, leaves; `names` are the function's parameters."""
    for old, new in zip(before.static, after.static):
        if old != new:
            name = names[new[0]] if isinstance(new[0], int) else new[0]
            return Change(("static", name), f"static argument {name!r} was {old[2]!r}, now {new[2]!r}")
    old_leaves, new_leaves = _leaves(before, names), _leaves(after, names)
    if old_leaves.keys() != new_leaves.keys():
        added = [n for n in new_leaves if n not in old_leaves]
        name, verb = (added[0], "is new") if added else (next(n for n in old_leaves if n not in new_leaves), "is gone")
        return Change(("leaf", name), f"argument {name!r} {verb}")
    found = [c for name in new_leaves if (c := _leaf_change(name, old_leaves[name], new_leaves[name]))]
    if not found:
        return Change(
            ("containers",), "the arguments' containers changed (their types, static fields or order of keys)"
        )
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return Change(found[0].kind, found[0].words + more)


def leaf_names(signature: Signature, names: Sequence[str]) -> list[str]:
    """The leaves as users know them: parameter, then the path inside it."""
    skipped = {place for place, _, _ in signature.static}
    positional = [n for i, n in enumerate(names) if i not in skipped]
    found = []
    for path in signature.structure.paths():
        if signature.keywords:
            which, path = path[0], path[1:]
            if which == 1:
                found.append(tree.show(path))
                continue
        position, *rest = path
        parameter = positional[position] if position < len(positional) else position
        found.append(tree.show((parameter, *rest)))
    return found


def _leaves(signature: Signature, names: Sequence[str]) -> Mapping[str, TensorType]:
    return dict(zip(leaf_names(signature, names), signature.types, strict=True))


def _leaf_change(name: str, old: TensorType, new: TensorType) -> Change | None:
    if old == new:
        return None
    if old.dtype is not new.dtype:
        return Change(("dtype", name), f"argument {name!r} was {old}, now {new}")
    differing = [i for i, (a, b) in enumerate(zip(old.shape, new.shape)) if a != b]
    if old.ndim == new.ndim and len(differing) == 1 and old.names == new.names:
        axis = differing[0]
        return Change(
            ("axis", name, axis), f"argument {name!r} axis {axis} was {old.shape[axis]}, now {new.shape[axis]}"
        )
    return Change(("type", name), f"argument {name!r} was {old}, now {new}")
