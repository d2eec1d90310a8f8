"""The machine that is measured, and how busy others keep it."""

from __future__ import annotations

import os
import platform
import re
import resource
import time
from typing import Any


def used_seconds() -> tuple[float, float]:
    """Processor seconds that all processes of the machine, and this one with its children, have used."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq = (int(part) for part in file.readline().split()[1:8])
    own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK"), sum(u.ru_utime + u.ru_stime for u in own)


class Others:
    """What other processes use from its making on."""

    def __init__(self) -> None:
        self.start, self.used = time.perf_counter(), used_seconds()

    def percent(self) -> float:
        """Of all the machine's cores."""
        wall = time.perf_counter() - self.start
        everyone, own = (now - before for now, before in zip(used_seconds(), self.used))
        return round(max(0.0, everyone - own) / wall / (os.cpu_count() or 1) * 100, 1)


def wait_for_quiet(percent: float, seconds: float) -> None:
    """Until others use less than `percent` of the machine for half a second, but not longer than `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        others = Others()
        time.sleep(0.5)
        if others.percent() < percent:
            return


def describe() -> dict[str, Any]:
    """What a reader of the results must know of it."""
    with open("/proc/cpuinfo") as file:
        fields = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].replace("\t", "").splitlines())
    flags = fields["flags"].split()
    return {
        "cpu": fields["model name"].strip(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS") or os.cpu_count(),
        "vectors": next((name for name in ("avx512f", "avx2") if name in flags), "none"),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
    }


def slug() -> str:
    """A file name for results: the processor's model and its cores."""
    found = describe()
    return re.sub("[^a-z0-9]+", "-", f"{found['cpu']} {found['cores']} cores".lower()).strip("-")
