"""The examples in the docs of axon.defn run as printed."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest
from axon import config, defn, nx

MODULES = sorted(path.stem for path in Path(defn.__path__[0]).glob("[a-z]*.py"))
GIVEN = {"nx": nx}
EXAMPLES = [
    example
    for module in (import_module(f"axon.defn.{name}") for name in MODULES)
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, globs=GIVEN | vars(module) | vars(defn))
    if example.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_example(example: doctest.DocTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "default_compiler", "evaluate")
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert runner.run(example).failed == 0
