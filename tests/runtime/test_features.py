"""AXON_MAX_ISA: what it hides from whom, and what it refuses."""

import os
import subprocess
import sys

import pytest
from axon import _core

from ..caps import CAPS, hidden

ASK = """
from axon import _core
from axon.compiler.targets.compile_cpp import host
print(host().name, *sorted(_core.cpu_features()))
"""


def ask(cap: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "AXON_MAX_ISA": cap}
    return subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("cap", CAPS)
def test_a_cap_hides_what_lies_beyond(cap: str) -> None:
    target, *found = ask(cap).stdout.split()
    assert found and not [name for name in found if name.startswith(CAPS[cap])]
    assert target == ("avx2" if cap == "avx2" or "avx512f" not in found else "avx512")
    uncapped = ask("").stdout.split()[1:]
    assert set(uncapped) - set(found) == set(hidden(cap))


def test_this_process_is_capped_as_it_was_told() -> None:
    cap = os.environ.get("AXON_MAX_ISA")
    assert not [name for name in _core.cpu_features() if cap and name.startswith(CAPS[cap])]


def test_another_value_is_refused() -> None:
    got = ask("sse4")
    assert got.returncode != 0
    assert "AXON_MAX_ISA: expected avx2 or avx512, got sse4; leave it unset" in got.stderr
