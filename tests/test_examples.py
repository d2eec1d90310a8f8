"""The examples in the docs of everything above the numeric layer run as printed, and every public function has one."""

from __future__ import annotations

import doctest
import os
import pkgutil
from importlib import import_module
from inspect import isfunction
from types import ModuleType

import axon
import pytest
from axon import activations, config, initializers, losses, metrics, nx, optimizers, schedules, training, updates
from axon.layers import TABLE

FUNCTIONAL = (activations, initializers, losses, metrics, optimizers, schedules, training, updates)
PACKAGES = [import_module(f"axon.{name}") for name in ("datasets", "io", "loop", "model")]
ELSEWHERE = (
    "axon.nx",
    "axon.graph",
    "axon.defn",
    "axon.compiler",
    "axon.backends",
    "axon._",
    "axon.lib",
)  # tested apart, or binary
MODULES = [m.name for m in pkgutil.walk_packages(axon.__path__, "axon.") if not m.name.startswith(ELSEWHERE)]


def examples_of(name: str) -> list[doctest.DocTest]:
    module = import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [e for e in finder.find(module, globs={**vars(module), "axon": axon, "nx": nx}) if e.examples]


EXAMPLES = [example for name in MODULES for example in examples_of(name)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_example(
    example: doctest.DocTest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(config, "default_compiler", "evaluate")
    monkeypatch.chdir(tmp_path_factory.mktemp("examples"))
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example).failed == 0
    assert not [f for f in os.listdir() if not f.endswith(".safetensors")]


def functions_of(package: ModuleType) -> set[str]:
    return {f"{v.__module__}.{v.__qualname__}" for k, v in vars(package).items() if isfunction(v) and k[0] != "_"}


def test_every_public_function_has_an_example() -> None:
    shown = {e.name for e in EXAMPLES}
    named = [(getattr(module, name), name) for module in FUNCTIONAL for name in module.__all__ if name[0].islower()]
    wanted = {f"{function.__module__}.{name}" for function, name in named}
    wanted |= {f"{layer.function.__module__}.{name}" for name, layer in TABLE.items()}
    wanted |= {name for package in PACKAGES for name in functions_of(package)}
    wanted |= {f"{c.__module__}.{c.__qualname__}" for c in (axon.Model, axon.ModelState, axon.Loop)}
    wanted |= {f"axon.loop.loop.Loop.{name}" for name in ("trainer", "metric", "validate", "handle", "run")}
    assert wanted <= shown, wanted - shown


@pytest.mark.parametrize("name", TABLE)
def test_every_layer_says_its_shapes(name: str) -> None:
    doc = TABLE[name].function.__doc__ or ""
    assert "; result" in doc, doc
