"""Several threads in one program, fork, signals, a caller's floating-point mode, and a process that hogs the cores."""

import _thread
import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from axon import _core

Kernels = dict[str, _core.Kernel]
COUNT = 1 << 17


def adds(kernels: Kernels, steps: int = 8, count: int = COUNT) -> _core.Program:
    """out = in + steps, through the arena, in regions of several threads."""
    slots = [("input", 0, 0, 4 * count), ("output", 0, -1, 4 * count), ("arena", 0, 0, 4 * count)]
    places = [0, *([2] * (steps - 1)), 1]
    one = 0x3F800000
    program = [("kernel", kernels["add"], [([a, b], [], [one], count)], 1024, 64, "add") for a, b in pairwise(places)]
    return _core.Program(slots, program, 4 * count, 1, 1, "adds")


def endless(kernels: Kernels, limit: int, donor: int = -1) -> _core.Program:
    """while n < limit: n += 1; about 20 million iterations a second."""
    slots = [("input", 0, 0, 4), ("output", 0, donor, 4), ("arena", 0, 0, 1), ("arena", 64, 0, 4)]
    copy = ("kernel", kernels["add"], [([0, 1], [], [0], 1)], 1, 0, "copy")
    below = ("kernel", kernels["below"], [([1, 2], [limit], [], 1)], 1, 0, "below")
    increment = ("kernel", kernels["increment"], [([1, 3], [], [], 1)], 1, 0, "increment")
    return _core.Program(slots, [copy, ("while", [below], 2, [increment], [(1, 3)])], 128, 1, 1, "endless")


def test_threads_call_one_program_at_once(kernels: Kernels) -> None:
    program = adds(kernels)
    wrong: list[int] = []

    def work(seed: int) -> None:
        data = np.full(COUNT, seed, np.float32)
        for _ in range(40):
            if not (np.frombuffer(program((data,))[0], np.float32) == seed + 8).all():
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_gil_is_released_for_a_run(kernels: Kernels) -> None:
    program = endless(kernels, 6_000_000)
    done = threading.Event()
    thread = threading.Thread(target=lambda: (program((np.zeros(1, np.int32),)), done.set()))
    thread.start()
    turns = 0
    while not done.is_set():
        turns += 1
        time.sleep(0.001)
    thread.join()
    assert turns > 10


def alternating(kernels: Kernels) -> _core.Program:
    """Host steps and kernel steps by turns."""
    add = ("kernel", kernels["add"], [([0, 1], [], [0], COUNT)], 1 << 20, 0, "add")
    steps = [("host", lambda _: None, [1], "nothing"), add] * 20
    return _core.Program([("input", 0, 0, 4 * COUNT), ("output", 0, -1, 4 * COUNT)], steps, 0, 1, 1)


def product(n: int) -> _core.Program:
    slots = [("input", 0, 0, 4 * n * n), ("input", 1, 0, 4 * n * n), ("output", 0, -1, 4 * n * n)]
    ints = [11, 1, n, n, n, n * n, n, 1, n * n, n, 1, 0]
    return _core.Program(slots, [("library", "gemm", [0, 1, 2], ints, [], "product")], 0, 2, 1)


def test_the_gil_is_released_while_a_new_program_waits_for_a_library_step() -> None:
    large, small = np.ones((3072, 3072), np.float32), np.ones((8, 8), np.float32)
    big = product(3072)
    big((large, large))
    start = time.perf_counter()
    big((large, large))
    alone = time.perf_counter() - start
    stop = threading.Event()

    def runs() -> None:
        while not stop.is_set():
            big((large, large))

    def calls() -> None:
        while not stop.is_set():
            product(8)((small, small))

    threads = [threading.Thread(target=runs), threading.Thread(target=calls)]
    for thread in threads:
        thread.start()
    gaps: list[float] = []
    for _ in range(100):
        last = time.perf_counter()
        time.sleep(0.001)
        gaps.append(time.perf_counter() - last)
    stop.set()
    for thread in threads:
        thread.join()
    assert max(gaps) < alone * 0.6


@pytest.mark.parametrize("step", ["kernel", "host", "while"])
def test_a_daemon_thread_in_a_program_lets_the_process_end(library: bytes, tmp_path: Any, step: str) -> None:
    (tmp_path / "k.so").write_bytes(library)
    text = f"""
import sys, threading, time
sys.path[:0] = {[os.path.dirname(__file__), *sys.path]!r}
from axon import _core
import test_concurrency as tests
import numpy as np
names = ["add", "below", "increment"]
kernels = dict(zip(names, _core.load_library(open({str(tmp_path / "k.so")!r}, "rb").read(), names)))
if {step!r} == "kernel":
    program, x = tests.adds(kernels, 1000), np.zeros(tests.COUNT, np.float32)
elif {step!r} == "while":
    program, x = tests.endless(kernels, 2**31 - 1), np.zeros(1, np.int32)
else:
    program, x = tests.alternating(kernels), np.zeros(tests.COUNT, np.float32)
def loop():
    while True: program((x,))
threading.Thread(target=loop, daemon=True).start()
time.sleep(0.3)
print("done", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")  # JAX, if loaded, and 3.12 warn
def test_a_forked_child_runs_on_one_thread(kernels: Kernels) -> None:
    program = adds(kernels)
    data = np.zeros(COUNT, np.float32)
    program((data,))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _core.set_threads(2)
            right = (np.frombuffer(program((data,))[0], np.float32) == 8).all()
            code = 0 if right and _core.threads() == 1 else 2
        finally:
            os._exit(code)
    for _ in range(100):
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
        pytest.fail("the child hangs")
    assert os.waitstatus_to_exitcode(status) == 0
    assert (np.frombuffer(program((data,))[0], np.float32) == 8).all()


def test_a_signal_leaves_a_loop(kernels: Kernels) -> None:
    program = endless(kernels, 2**31 - 1)
    timer = threading.Timer(0.2, _thread.interrupt_main)
    timer.start()
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        program((np.zeros(1, np.int32),))
    assert time.perf_counter() - start < 5
    timer.join()
    few = endless(kernels, 5)
    assert np.frombuffer(few((np.zeros(1, np.int32),))[0], np.int32)[0] == 5


def test_a_run_that_took_its_inputs_ends_before_the_signal_is_heard(kernels: Kernels) -> None:
    program = endless(kernels, 6_000_000, donor=0)
    argument = _core.Buffer(4)
    np.frombuffer(argument, np.int32)[0] = 0
    timer = threading.Timer(0.02, _thread.interrupt_main)
    results: list[tuple[_core.Buffer, ...]] = []
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        results.extend(map(program, [(argument,)], [(0,)]))  # stored before Python looks at signals
        time.sleep(10)
    timer.join()
    assert np.frombuffer(results[0][0], np.int32)[0] == 6_000_000


def test_threads_go_no_further_than_openmp_allows() -> None:
    text = "from axon import _core; _core.set_threads(8); print(_core.threads())"
    environment = os.environ | {"OMP_THREAD_LIMIT": "3"}
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, env=environment)
    assert done.stdout == "3\n", done.stderr


def test_a_sub_interpreter_is_refused() -> None:
    interpreters = pytest.importorskip("_xxsubinterpreters")
    text = f"""
import {interpreters.__name__} as interpreters
from axon import _core
interpreters.run_string(interpreters.create(), '''
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
path = {_core.__file__!r}
try:
    module_from_spec(spec_from_file_location("axon._core", path, loader=ExtensionFileLoader("axon._core", path)))
except ImportError as error:
    print(error, flush=True)
''')
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
    assert "expected the main interpreter" in done.stdout, done.stderr


FLUSH = """
import ctypes, sys
import numpy as np
sys.path[:0] = {path!r}
from axon import _core
caller = ctypes.CDLL({library!r})
caller.set_mxcsr(0x9fc0)
kernel, = _core.load_library(open({library!r}, "rb").read(), ["denormal"])
count = 1 << 16
slots = [("input", 0, 0, 4 * count), ("output", 0, -1, 4 * count)]
program = _core.Program(slots, [("kernel", kernel, [([0, 1], [], [], count)], 1024, 0, "halve")], 0, 1, 1)
for _ in range(20):
    out = np.frombuffer(program((np.full(count, 2.0**-126, np.float32),))[0], np.uint32)
    assert (out == 1 << 22).all(), "denormals were flushed"
tiny, half, out = (np.full(4, value, np.float32) for value in (2.0**-126, 0.5, 1))
_core.tile("multiply", [11, 11], 11)(tiny, half, out)
assert (out.view(np.uint32) == 1 << 22).all(), "a tile flushed denormals"
from axon import nx
from axon.defn import jit
made = jit(lambda x: x + 2.0**-130 * 1.5)(np.zeros(4, np.float32)).numpy()
assert (made.view(np.uint32) == 3 << 18).all(), "a literal was flushed"
assert caller.get_mxcsr() & 0x8040 == 0x8040, "the caller's mode was not restored"
print("kept")
"""


def test_a_caller_who_flushes_denormals_changes_nothing(library: bytes, tmp_path: Any) -> None:
    (tmp_path / "k.so").write_bytes(library)
    text = FLUSH.format(path=sys.path, library=str(tmp_path / "k.so"))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)
    assert done.stdout == "kept\n", done.stderr


def test_hogged_cores_do_not_collapse_a_step(kernels: Kernels) -> None:
    program = adds(kernels, steps=20)
    data = np.zeros(COUNT, np.float32)

    def mean_step(seconds: float) -> float:
        runs, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            program((data,))
            runs += 1
        return (time.perf_counter() - start) / runs

    before = _core.threads()
    _core.set_threads(1)
    alone = mean_step(0.3)
    _core.set_threads(before)
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        hogged = mean_step(1.5)
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    # A fair share of the machine is half of it; spinning barriers were seen to cost forty times.
    assert hogged < 10 * alone
