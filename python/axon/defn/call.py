"""The short way of a call: an entry that was found before, if the arguments are what it was made for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from .. import dtypes, tree
from ..exact import is_fixed
from ..graph.expr import Graph
from ..nx.core.backend import Backend
from ..nx.core.number import Book
from ..nx.core.op import Given
from ..nx.core.tensor import Tensor, TensorType
from .arguments import Form, Signature

# (args, kwargs, backend, types, static) -> (data, leaves), or None where a type or a static argument is another
Taker = Callable[..., tuple[tuple[Any, ...], tuple[Any, ...]] | None]
Match = Callable[[Any], list[Any] | None]  # a tree -> its leaves, see `tree.matcher`


@dataclass(eq=False, slots=True)
class Entry:
    """One trace and its executable, with what a call needs at hand."""

    types: tuple[Given, ...]  # of the leaves
    static: tuple[Any, ...]
    captured: tuple[Tensor, ...]
    donated: tuple[int, ...]  # numbers of the donated leaves
    book: Book
    signature: Signature
    graph: Graph
    executable: Any
    backend: Backend
    out_types: tuple[TensorType, ...]
    build: Callable[[Any], Any] | None  # results -> their tree; None where the result is one tensor


class Calls:
    """What calls of one form remember: the last two entries that were looked up, and how their arguments come apart."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.recent: tuple[tuple[Taker, Entry], ...] = ()
        self._last: tuple[tree.Structure, Match] | None = None
        self._known: dict[tree.Structure, tuple[Taker, Match]] = {}

    def leaves(self, dynamic: Any) -> tuple[list[Any], tree.Structure] | None:
        """`tree.flatten`, where the containers are those of the entry looked up last."""
        if self._last is None:
            return None
        structure, match = self._last
        leaves = match(dynamic)
        if leaves is None or not all(map(tree.is_leaf, {type(x): x for x in leaves}.values())):
            return None
        return leaves, structure

    def remember(self, entry: Entry) -> None:
        """Try this entry first from now on, and then the one that was first."""
        structure = entry.signature.structure
        found = self._known.get(structure)
        if found is None:
            found = self._known[structure] = taker(self.form, entry.signature), tree.matcher(structure)
        self._last = structure, found[1]
        self.recent = ((found[0], entry), *[r for r in self.recent if r[1] is not entry][:1])


def taker(form: Form, signature: Signature) -> Taker:
    """Straight-line code that takes the arguments of such calls apart, checks them and collects their data. Static
    arguments it knows by identity, where nothing can change them meanwhile."""
    if not all(is_fixed(static.value) for _, static in signature.static):
        return lambda *given: None
    names: dict[str, Any] = {"Tensor": Tensor, "data_of": data_of}
    lines: list[str] = []
    leaves: list[str] = []
    parts = signature.structure.children()
    if signature.keywords:
        parts = [child for part in parts for child in part.children()]
    for k, (source, part) in enumerate(zip([*form.positional, *form.named.values()], parts, strict=True)):
        lines.append(f"p{k} = {source}")
        more, found = tree.unpacking(part, f"p{k}", names)
        lines += more
        leaves += found
    lines += _unpack("s", len(form.static), "static")
    lines += [f"if {source} is not s{k}: return None" for k, (_, source) in enumerate(form.static)]
    lines += _unpack("t", len(leaves), "types")
    for k, x in enumerate(leaves):
        same = f"type({x}) is Tensor and {x}.backend is backend and ({x}.type is t{k} or {x}.type == t{k})"
        lines += [f"if {same}:", f"  d{k} = {x}.data", "else:", f"  d{k} = data_of({x}, t{k}, backend)"]
        lines.append(f"  if d{k} is None: return None")
    lines.append(f"return ({''.join(f'd{k}, ' for k in range(len(leaves)))}), ({''.join(f'{x}, ' for x in leaves)})")
    return tree.compiled("take(args, kwargs, backend, types, static)", lines, names)


def _unpack(letter: str, count: int, source: str) -> list[str]:
    return [f"{''.join(f'{letter}{k}, ' for k in range(count))}= {source}"] if count else []


def data_of(leaf: Any, given: Given, backend: Backend) -> Any:
    """The data of a leaf if it is an array or a number that such a signature has, else None."""
    if given is float:
        return number(leaf, backend) if isinstance(leaf, float) else None
    if type(leaf) is given:
        return number(leaf, backend) if given is bool or -(2**63) <= leaf < 2**63 else None
    if type(leaf) is _numpy().ndarray and isinstance(given, TensorType) and given.names is None:
        if leaf.shape == given.shape and _known().get(leaf.dtype) is given.dtype:
            return backend.from_numpy(leaf)
    return None


def number(value: Any, backend: Backend) -> Any:
    """The data of a Python number in its wide dtype, which is the one that NumPy gives it."""
    return backend.from_numpy(_numpy().array(value))


@cache
def _numpy() -> Any:
    import numpy as np

    return np


@cache
def _known() -> Mapping[Any, dtypes.DType]:
    return {d.numpy: d for d in dtypes.ALL}


def data(given: Sequence[Any], asked: Sequence[Any], backend: Backend) -> tuple[Any, ...]:
    """The data of lifted arguments. Arrays and numbers may move to another backend unasked, tensors may not."""
    return tuple([moved(x, backend, unasked=x is not leaf) for x, leaf in zip(given, asked)])


def moved(x: Any, backend: Backend, unasked: bool = False) -> Any:
    """The data of a tensor or a number on a backend."""
    if type(x) is not Tensor:
        return number(x, backend)
    if x.backend is backend:
        return x.data
    return backend.from_numpy(x.numpy()) if unasked else backend.adopt(x).data
