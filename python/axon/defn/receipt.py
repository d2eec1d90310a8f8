"""What a retrace says: in words, how a call's signature differs from that of the call before."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..nx.core.op import Given
from ..nx.core.tensor import TensorType
from .arguments import Arguments, Signature


class Change(NamedTuple):
    """One difference: its kind, said once a function, and the words."""

    kind: tuple[Any, ...]
    words: str


def change(before: Signature, after: Signature, arguments: Arguments) -> Change:
    """The first difference, in the order static arguments, containers, leaves."""
    old_static, new_static = (dict(s.static) for s in (before, after))
    for place in {**old_static, **new_static}:
        old, new = old_static.get(place), new_static.get(place)
        if old != new:
            name = arguments.name(place)
            was, now = ("left out" if v is None else repr(v) for v in (old, new))
            return Change(("static", name), f"static argument {name!r} was {was}, now {now}")
    old_leaves, new_leaves = (dict(zip(arguments.leaf_names(s), s.types, strict=True)) for s in (before, after))
    for name in {**old_leaves, **new_leaves}:
        if name not in old_leaves or name not in new_leaves:
            return Change(("leaf", name), f"argument {name!r} is {'new' if name in new_leaves else 'gone'}")
    found = [_leaf_change(name, old_leaves[name], t) for name, t in new_leaves.items() if t != old_leaves[name]]
    if not found:
        return Change(
            ("containers",), "the arguments' containers changed (their types, static fields or order of keys)"
        )
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return Change(found[0].kind, found[0].words + more)


def _leaf_change(name: str, old: Given, new: Given) -> Change:
    if not isinstance(old, TensorType) or not isinstance(new, TensorType):
        was, now = (str(t) if isinstance(t, TensorType) else f"a Python {t.__name__}" for t in (old, new))
        return Change(("type", name), f"argument {name!r} was {was}, now {now}")
    differing = [i for i, (a, b) in enumerate(zip(old.shape, new.shape, strict=False)) if a != b]
    if old.dtype is new.dtype and old.names == new.names and old.ndim == new.ndim and len(differing) == 1:
        axis = differing[0]
        words = f"argument {name!r} axis {axis} was {old.shape[axis]}, now {new.shape[axis]}"
        return Change(("axis", name, axis), words)
    kind = "dtype" if old.dtype is not new.dtype else "type"
    return Change((kind, name), f"argument {name!r} was {old}, now {new}")
