"""The short way of a call: an entry that was found before, if the arguments are what it was made for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from .. import dtypes, tree
from ..nx.backend import Backend
from ..nx.op import Given
from ..nx.tensor import Tensor, TensorType
from .arguments import Form, Signature

# (args, kwargs, backend, types, static) -> (data, leaves), or None where a type or a static argument is another
Taker = Callable[..., tuple[tuple[Any, ...], tuple[Any, ...]] | None]


def taker(form: Form, signature: Signature) -> Taker:
    """Straight-line code that takes the arguments of such calls apart, checks them and collects their data. Static
    arguments it knows by identity."""
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
