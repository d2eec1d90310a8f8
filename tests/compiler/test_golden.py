"""What named models compile to is pinned as text, so that a change of the compiler shows what it changes."""

from __future__ import annotations

import difflib

import pytest

from .goldens import FOLDER, MODELS, golden


@pytest.mark.parametrize("name", MODELS)
def test_golden(name: str) -> None:
    old, new = (FOLDER / f"{name}.txt").read_text().splitlines(), golden(name).splitlines()
    changes = list(difflib.unified_diff(old, new, "pinned", "now", lineterm="", n=2))
    if changes:
        head = "\n".join(changes[:80])
        pytest.fail(f"{name}: {len(changes)} lines differ; if on purpose: python -m tests.compiler.goldens\n{head}")


def test_nothing_else_is_pinned() -> None:
    assert {f.stem for f in FOLDER.iterdir()} == set(MODELS)
