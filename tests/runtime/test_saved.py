"""Saved programs: they come back, axon-bench runs them, and files that are not right are refused in one line."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from axon import _core

BENCH = os.path.join(os.path.dirname(_core.__file__), "axon-bench")


@pytest.fixture
def saved(kernels: dict[str, _core.Kernel], tmp_path: pathlib.Path) -> str:
    add = ("kernel", kernels["add"], [([0, 1], [], [0x3F800000], 100)], 1000, 0, "add")
    slots = [("input", 0, 0, 400), ("output", 0, 0, 400)]
    path = str(tmp_path / "plus_one.axon")
    _core.save_program(path, _core.Program(slots, [add], 0, 1, 1, "plus one"))
    return path


def test_a_program_comes_back(saved: str) -> None:
    program = _core.load_program(saved)
    assert program.label == "plus one"
    (result,) = program((np.zeros(100, np.float32),))
    assert (np.frombuffer(result, np.float32) == 1).all()
    assert os.listdir(os.path.dirname(saved)) == ["plus_one.axon"]


def test_the_bench_runs_it_without_python(saved: str) -> None:
    done = subprocess.run([BENCH, "run", saved], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "plus one" in done.stdout and "median" in done.stdout, done.stderr


def test_a_damaged_file_is_refused(saved: str) -> None:
    data = bytearray(pathlib.Path(saved).read_bytes())
    data[len(data) // 2] ^= 1
    pathlib.Path(saved).write_bytes(data)
    with pytest.raises(ValueError, match="it is damaged"):
        _core.load_program(saved)
    done = subprocess.run([BENCH, "run", saved], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "it is damaged" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_file_from_before_operands_changed_order_is_refused(saved: str) -> None:
    data = bytearray(pathlib.Path(saved).read_bytes())
    data[8] = 1
    pathlib.Path(saved).write_bytes(data)
    with pytest.raises(ValueError, match="it is of version 1"):
        _core.load_program(saved)


def test_a_large_file_is_refused_unread(saved: str) -> None:
    text = f"""
import resource
from axon import _core
held = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (held + 2**28, resource.RLIM_INFINITY))
try:
    _core.load_program({saved!r})
except ValueError as error:
    print(error)
"""
    for foreign, what in ((False, "damaged"), (True, "no program")):
        with open(saved, "r+b") as file:
            file.truncate(3 << 30)
            if foreign:
                file.write(b"FOREIGN!")
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
        assert what in done.stdout, done.stderr


def test_what_is_no_program_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "text").write_text("not a program")
    with pytest.raises(ValueError, match="it is no program of axon"):
        _core.load_program(str(tmp_path / "text"))
    with pytest.raises(ValueError, match="it is a folder"):
        _core.load_program(str(tmp_path))
    with pytest.raises(ValueError, match="cannot be read"):
        _core.load_program(str(tmp_path / "nothing"))
    with pytest.raises(TypeError, match="expected a Program"):
        _core.save_program(str(tmp_path / "p"), 3)  # pyright: ignore
    host = _core.Program([], [("host", print, [], "print")], 0, 0, 0)
    with pytest.raises(ValueError, match="print runs in Python"):
        _core.save_program(str(tmp_path / "p"), host)
    assert os.listdir(tmp_path) == ["text"]
