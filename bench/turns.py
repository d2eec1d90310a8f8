"""Calls that take turns in one process, and what a bench prints of two."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from .machine import Others

Call = Callable[[], Any]


def in_turns(calls: list[Call], seconds: float, blocks: int) -> list[list[float]]:
    """Seconds of a call, in each block of each, after two calls that make and fill everything."""
    counts = []
    for call in calls:
        for _ in range(2):
            call()
        start = time.perf_counter()
        call()
        counts.append(max(1, int(seconds / (time.perf_counter() - start))))
    found: list[list[float]] = [[] for _ in calls]
    for _ in range(blocks):
        for call, count, times in zip(calls, counts, found):
            start = time.perf_counter()
            for _ in range(count):
                call()
            times.append((time.perf_counter() - start) / count)
    return found


def milliseconds(times: list[float]) -> str:
    """The median of blocks."""
    return f"{statistics.median(times) * 1e3:.3g}"


def ratio(times: list[float], others: list[float]) -> float:
    """The median of the ratios of blocks side by side."""
    return statistics.median(a / b for a, b in zip(times, others))


def beside(ours: Call, theirs: Call, seconds: float, blocks: int) -> tuple[str, ...]:
    """The milliseconds of each, the ratio, and what other processes used of the machine meanwhile."""
    others = Others()
    a, b = in_turns([ours, theirs], seconds, blocks)
    return milliseconds(a), milliseconds(b), f"{ratio(a, b):.2f}", f"{others.percent():.0f} %"


def parser(module: str, description: str | None, seconds: float = 0.2, blocks: int = 9) -> argparse.ArgumentParser:
    """The options of such a bench."""
    made = argparse.ArgumentParser(
        prog=f"python -m bench.{module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("names", nargs="*", help="only these")
    made.add_argument("--seconds", type=float, default=seconds, help="that a block lasts")
    made.add_argument("--blocks", type=int, default=blocks)
    return made
