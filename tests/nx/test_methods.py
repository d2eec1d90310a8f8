"""methods.pyi tells type checkers what declarations attach to Tensor: `python tests/nx/test_methods.py` writes it."""

import ast
import inspect
import pathlib

from axon import nx

SOURCE = pathlib.Path(inspect.getfile(nx.Tensor))
STUB = SOURCE.parents[1] / "methods.pyi"

HEAD = '''# ruff: noqa: E501
# fmt: off
"""The functions attached to Tensor where they are declared. Written by tests/nx/test_methods.py."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..dtypes import DTypeLike
from .core.tensor import Tensor
from .rows.logic import Operand
from .rows.reductions import Axis
from .rows.windows import Padding
from .subscript import At

class Methods:
    def __hash__(self) -> int: ...
'''
PROPERTIES = {"at": "At"}


def attached() -> dict[str, object]:
    """What Tensor has beyond its class body."""
    (body,) = [n for n in ast.parse(SOURCE.read_text()).body if isinstance(n, ast.ClassDef) and n.name == "Tensor"]
    own = {n.name for n in body.body if isinstance(n, ast.FunctionDef)}
    plain = vars(type("Plain", (), {"__slots__": (*nx.Tensor.__slots__, "__array_priority__")}))
    return {k: v for k, v in vars(nx.Tensor).items() if k not in own | plain.keys() | {"__annotations__", "__hash__"}}


def line(name: str, value: object) -> str:
    if isinstance(value, property):
        return f"    @property\n    def {name}(self) -> {PROPERTIES.get(name, 'Tensor')}: ...\n"
    assert callable(value)
    signature = inspect.signature(value)
    if name.startswith("__"):
        other = [p for p in list(signature.parameters.values())[1:] if p.kind is not p.VAR_POSITIONAL]
        kind = "key: Any" if name == "__getitem__" else "other: Operand" if other else ""
        ignored = "  # type: ignore[override]" if name in ("__eq__", "__ne__") else ""
        return f"    def {name}(self{', ' if kind else ''}{kind}, /) -> Tensor: ...{ignored}\n"
    parameters = ["self"]
    _, *rest = signature.parameters.values()
    for before, p in zip(signature.parameters.values(), rest):
        if before.kind is p.POSITIONAL_ONLY and p.kind is not p.POSITIONAL_ONLY:
            parameters.append("/")
        if p.kind is p.KEYWORD_ONLY and before.kind not in (p.KEYWORD_ONLY, p.VAR_POSITIONAL):
            parameters.append("*")
        default = "" if p.default is p.empty else f" = {p.default!r}"
        star = "*" if p.kind is p.VAR_POSITIONAL else ""
        parameters.append(f"{star}{p.name}: {p.annotation}{default}")
    if all(p.kind is p.POSITIONAL_ONLY for p in signature.parameters.values()):
        parameters.append("/")
    return f"    def {name}({', '.join(parameters)}) -> {signature.return_annotation}: ...\n"


def render() -> str:
    return HEAD + "".join(line(name, value) for name, value in sorted(attached().items()))


def test_stub_lists_what_is_attached():
    assert STUB.read_text() == render(), "python tests/nx/test_methods.py writes it again"


def test_every_function_of_a_tensor_is_a_method():
    functions = {k: v for k, v in vars(nx).items() if inspect.isfunction(v) and not k.endswith("_like")}
    first = {k: next(iter(inspect.signature(v).parameters.values()), None) for k, v in functions.items()}
    takes = [k for k, p in first.items() if p and p.annotation in ("Tensor", "Operand") and p.kind is p.POSITIONAL_ONLY]
    assert len(takes) > 100 and not [k for k in takes if not hasattr(nx.Tensor, k.rstrip("_"))]


if __name__ == "__main__":
    STUB.write_text(render())
