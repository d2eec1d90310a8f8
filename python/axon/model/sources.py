"""Inputs, constants and containers of several models: rows like those of layers, which lie in no table, since functions
of their own make them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..layers import Layer, describe
from ..nx import Tensor
from .parts import Path, assembled


def _input(*, shape: Any, dtype: Any) -> Tensor:
    """What is given from outside: a run begins with it."""
    raise ValueError("expected a value of this input, got none")


def _constant(*, value: Tensor) -> Tensor:
    """The same tensor always."""
    return value


def _container(*inputs: Any, paths: Sequence[Path]) -> Any:
    """What several models give, as one: each at its path."""
    return assembled(inputs, paths)


INPUT = replace(describe(_input), name="input")
CONSTANT = replace(describe(_constant), name="constant")
CONTAINER = replace(describe(_container), name="container", results=lambda paths: assembled([...] * len(paths), paths))
SOURCES: dict[str, Layer] = {row.name: row for row in (INPUT, CONSTANT, CONTAINER)}
