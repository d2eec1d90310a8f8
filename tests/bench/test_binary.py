"""axon-bench, the benchmark binary: what it prints, and how it refuses what it cannot do."""

import os
import subprocess

import pytest
from axon import _core

BENCH = os.path.join(os.path.dirname(_core.__file__), "axon-bench")


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([BENCH, *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "arguments, line",
    [
        (["gemm", "8", "9", "10"], "gemm 8 x 10 x 9"),
        (["conv", "2", "8", "3", "4", "3"], "conv 2 x 8^2 x 3 -> 4, 3^2"),
        (["copy", "4096"], "copy 4096 bytes"),
        (["scalars", "tanh"], "tanh float32"),
        (["scalars", "cast"], "cast int8"),
    ],
)
def test_it_times(arguments: list[str], line: str) -> None:
    done = bench(*arguments)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert line in done.stdout


@pytest.mark.parametrize(
    "arguments, why",
    [
        (["gemm", "8"], "expected 3 numbers, got 1"),
        (["gemm", "8", "9", "-1"], "expected a positive number, got -1"),
        (["copy", "many"], "expected a positive number, got many"),
        (["scalars", "tan h"], "no scalar of csrc/kernels/scalar.h is named tan h"),
    ],
)
def test_it_refuses_in_a_line(arguments: list[str], why: str) -> None:
    done = bench(*arguments)
    assert done.returncode == 1 and why in done.stderr and len(done.stderr.splitlines()) == 1


def test_it_says_how_it_is_used() -> None:
    done = bench("help")
    assert done.returncode == 2 and done.stderr.startswith("usage: axon-bench")
