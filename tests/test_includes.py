"""Which folder of csrc may include which (kernels/ must stand alone: its headers go before every emitted kernel)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[1] / "csrc"
MAY_INCLUDE = {
    "kernels": set(),  # its own files only, by their bare names, and no system header
    "tiles": {"kernels", "runtime", "tiles"},  # the runtime's threads, features and loader
    "runtime": {"runtime"},
    "cpu": {"cpu", "kernels", "runtime"},  # the scalars that a step is made of
    "cuda": {"cuda", "runtime"},
    "bindings": {"bindings", "runtime", "tiles"},
    "bench": {"bench", "runtime", "tiles"},
}
DTYPES = "kernels/dtypes.h"  # macros alone: whoever includes it depends on no code


def test_every_folder_is_named() -> None:
    assert {p.name for p in CSRC.iterdir()} - {"tests"} <= MAY_INCLUDE.keys()


@pytest.mark.parametrize("folder", MAY_INCLUDE)
def test_includes(folder: str) -> None:
    for path in (CSRC / folder).rglob("*.*"):
        for name in re.findall(r'#include "([^"]+)"', path.read_text()):
            if folder == "kernels":
                assert (path.parent / name).exists(), f"{path.name} includes {name}"
            else:
                assert name == DTYPES or name.split("/")[0] in MAY_INCLUDE[folder], f"{path.name} includes {name}"
        if folder == "kernels":
            assert "#include <" not in path.read_text(), path.name


def test_the_list_of_dtypes_is_macros_alone() -> None:
    text = (CSRC / DTYPES).read_text().replace("\\\n", " ")
    assert [line for line in text.splitlines() if line and not line.startswith(("#", "//"))] == []
