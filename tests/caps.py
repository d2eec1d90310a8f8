"""The values of AXON_MAX_ISA that hide something this CPU has: `python -m tests.caps` prints them. Numerics are tested
again under each, so that one machine shows what lesser ones compute."""

from __future__ import annotations

import os
import subprocess
import sys

CAPS = {"avx2": ("avx512", "amx"), "avx512": ("avx512vnni", "avx512bf16", "avx512fp16", "amx")}  # what each hides


def hidden(cap: str) -> list[str]:
    """The features of this CPU, whatever cap is set now, that the cap hides."""
    command = "from axon import _core; print(*sorted(_core.cpu_features()))"
    environment = {name: value for name, value in os.environ.items() if name != "AXON_MAX_ISA"}
    whole = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True)
    return [name for name in whole.stdout.split() if name.startswith(CAPS[cap])]


if __name__ == "__main__":
    print(*[cap for cap in CAPS if hidden(cap)])
