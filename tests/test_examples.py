"""The examples in the docs of everything above the numeric layer run as printed, and every public function has one."""

from __future__ import annotations

import doctest
import os
from importlib import import_module

import pytest
from axon import activations, config, initializers, losses, metrics, nx, optimizers, schedules, training, updates
from axon.layers import TABLE

FUNCTIONAL = (activations, initializers, losses, metrics, optimizers, schedules, training, updates)
MODULES = [m.__name__ for m in FUNCTIONAL] + [
    *(f"axon.layers.{m}" for m in ("combine", "conv", "declare", "dense", "dropout", "normalization", "pooling")),
    *(f"axon.model.{m}" for m in ("build", "display", "graph", "state")),
    "axon.loop.loop",
    "axon.io.safetensors",
    "axon.datasets.batches",
]


def examples_of(name: str) -> list[doctest.DocTest]:
    module = import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [e for e in finder.find(module, globs={**vars(module), "nx": nx}) if e.examples]


EXAMPLES = [example for name in MODULES for example in examples_of(name)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_example(
    example: doctest.DocTest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(config, "default_compiler", "evaluate")
    monkeypatch.chdir(tmp_path_factory.mktemp("examples"))
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example).failed == 0
    assert not [f for f in os.listdir() if not f.endswith(".safetensors")]


def test_every_public_function_has_an_example() -> None:
    shown = {e.name for e in EXAMPLES}
    wanted = {f"{module.__name__}.{name}" for module in FUNCTIONAL for name in module.__all__ if name[0].islower()}
    wanted |= {f"{layer.function.__module__}.{name}" for name, layer in TABLE.items()}
    assert wanted <= shown, wanted - shown
