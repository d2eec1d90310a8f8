"""Registries by name, so that low layers can reach backends and compilers without importing them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_loaders: dict[tuple[str, str], Callable[[], Any]] = {}
_loaded: dict[tuple[str, str], Any] = {}
default_backend = "numpy"
default_compiler = "native"
default_device = "cpu"  # where compilers run programs


def register(kind: str, name: str, loader: Callable[[], Any]) -> None:
    """Say how the backend or compiler `name` is made; it is made at first use. kind: "backend", "compiler", or
    "definition": what low layers need of tracing; "program": what makes the programs that eager calls run."""
    _loaders[kind, name] = loader
    _loaded.pop((kind, name), None)


def names(kind: str) -> list[str]:
    """The registered backends or compilers, in order of registration."""
    return [n for k, n in _loaders if k == kind]


def lookup(kind: str, name: str) -> Any:
    """The registered backend or compiler of that name; ValueError lists the names there are."""
    found = _loaded.get((kind, name))
    if found is None:
        if (kind, name) not in _loaders:
            raise ValueError(f"{kind}: expected one of {', '.join(names(kind))}, got {name!r}")
        found = _loaded[kind, name] = _loaders[kind, name]()
    return found
