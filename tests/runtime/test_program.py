"""Program: slots, every kind of step, donation, and the refusal of descriptions and arguments that do not fit."""

import gc
import struct
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from axon import _core
from axon.errors import DonationError

Kernels = dict[str, _core.Kernel]


def bits(value: float) -> int:
    return struct.unpack("<I", struct.pack("<f", value))[0]


def floats(buffer: _core.Buffer) -> list[float]:
    return np.frombuffer(buffer, np.float32).tolist()


def buffer_of(*values: float, dtype: str = "float32") -> _core.Buffer:
    array = np.array(values, dtype)
    buffer = _core.Buffer(array.nbytes)
    np.frombuffer(buffer, dtype)[:] = array
    return buffer


def add_step(kernels: Kernels, source: int, destination: int, value: float, count: int, grain: int = 1 << 20) -> Any:
    return ("kernel", kernels["add"], [([source, destination], [], [bits(value)], count)], grain, 0, f"add {value}")


def plus_one(kernels: Kernels, donor: int = -1, count: int = 3) -> _core.Program:
    slots = [("input", 0, 0, 4 * count), ("output", 0, donor, 4 * count)]
    return _core.Program(slots, [add_step(kernels, 0, 1, 1.0, count)], 0, 1, 1, "plus_one")


def test_a_kernel_step_runs_on_buffers_and_on_borrowed_memory(kernels: Kernels) -> None:
    program = plus_one(kernels)
    assert floats(program((buffer_of(1, 2, 3),))[0]) == [2, 3, 4]
    assert floats(program((np.array([1, 2, 3], np.float32),))[0]) == [2, 3, 4]
    assert program.label == "plus_one" and "plus_one" in repr(program)


def test_arguments_that_are_not_dense_or_not_aligned_are_copied_on_entry(kernels: Kernels) -> None:
    program = plus_one(kernels)
    assert floats(program((np.arange(6, dtype=np.float32)[::2],))[0]) == [1, 3, 5]
    assert floats(program((np.arange(3, dtype=np.float32)[::-1],))[0]) == [3, 2, 1]
    shifted = np.zeros(13, np.uint8)[1:].view(np.float32)
    shifted[:] = [1, 2, 3]
    assert floats(program((shifted,))[0]) == [2, 3, 4]


def test_steps_pass_values_through_the_arena(kernels: Kernels) -> None:
    slots = [("input", 0, 0, 12), ("arena", 0, 0, 12), ("arena", 64, 0, 12), ("output", 0, -1, 12)]
    steps = [
        add_step(kernels, 0, 1, 1.0, 3),
        add_step(kernels, 1, 2, 10.0, 3),
        ("kernel", kernels["sum2"], [([1, 2, 3], [], [], 3)], 1, 0, "sum"),
    ]
    outputs, seconds = _core.Program(slots, steps, 128, 1, 1).profile((buffer_of(1, 2, 3),))
    assert floats(outputs[0]) == [14, 16, 18]
    assert len(seconds) == 3 and all(0 < s < 5 for s in seconds)


@pytest.mark.parametrize("threads", [1, 2, 16])
def test_calls_of_one_step_share_a_region(kernels: Kernels, threads: int) -> None:
    sizes = [0, 5, 1, 0, 1000, 70000, 3, 0]
    count = len(sizes)
    slots = [("input", i, 0, 4 * n) for i, n in enumerate(sizes)]
    slots += [("output", i, -1, 4 * n) for i, n in enumerate(sizes)]
    calls = [([i, count + i], [], [bits(i)], n) for i, n in enumerate(sizes)]
    program = _core.Program(slots, [("kernel", kernels["add"], calls, 64, 0, "adds")], 0, count, count)
    before = _core.threads()
    _core.set_threads(threads)
    try:
        outputs = program(tuple(np.ones(n, np.float32) for n in sizes))
    finally:
        _core.set_threads(before)
    for i, (n, out) in enumerate(zip(sizes, outputs)):
        assert floats(out) == [1.0 + i] * n if n else out.nbytes == 0


@pytest.mark.parametrize("threads", [1, 2, 16])
def test_scratch_is_private_to_a_thread(kernels: Kernels, threads: int) -> None:
    count = 50000
    step = ("kernel", kernels["through_scratch"], [([0], [], [], count)], 512, 4096, "scratch")
    program = _core.Program([("output", 0, -1, 8 * count)], [step], 0, 0, 1)
    before = _core.threads()
    _core.set_threads(threads)
    try:
        for _ in range(20):
            assert (np.frombuffer(program(())[0], np.int64) == np.arange(count)).all()
    finally:
        _core.set_threads(before)


def test_a_status_is_raised_with_the_label(kernels: Kernels) -> None:
    step = ("kernel", kernels["fails"], [([0], [70], [], 100)], 8, 0, "divide (model.py:12)")
    program = _core.Program([("output", 0, -1, 4)], [step], 0, 0, 1)
    for _ in range(3):
        with pytest.raises(RuntimeError, match=r"divide \(model.py:12\): kernel returned status 7"):
            program(())


def test_host_steps_see_memory_and_raise_through(kernels: Kernels) -> None:
    def host(a: memoryview, out: memoryview) -> None:
        assert a.readonly and not out.readonly
        np.frombuffer(out, np.float32)[:] = np.frombuffer(a, np.float32)[::-1]

    slots = [("input", 0, 0, 12), ("output", 0, -1, 12)]
    program = _core.Program(slots, [("host", host, [0, 1], "reverse")], 0, 1, 1)
    assert floats(program((buffer_of(1, 2, 3),))[0]) == [3, 2, 1]

    def fails(*views: memoryview) -> None:
        raise LookupError("of the host")

    with pytest.raises(LookupError, match="of the host"):
        _core.Program(slots, [("host", fails, [0, 1], "fails")], 0, 1, 1)((buffer_of(1, 2, 3),))


def test_borrowed_memory_cannot_be_resized_meanwhile() -> None:
    data = bytearray(12)

    def host(a: memoryview, out: memoryview) -> None:
        with pytest.raises(BufferError):
            data.extend(bytes(1 << 20))
        out[:] = a

    slots = [("input", 0, 0, 12), ("output", 0, -1, 12)]
    program = _core.Program(slots, [("host", host, [0, 1], "copy")], 0, 1, 1)
    assert bytes(program((data,))[0]) == bytes(12)
    buffer = _core.Buffer.wrap(data)
    with pytest.raises(BufferError):
        data.append(0)
    del buffer
    data.append(0)


def test_a_view_that_a_host_step_keeps_is_an_export() -> None:
    kept: list[Any] = []

    def host(a: memoryview, b: memoryview, out: memoryview) -> None:
        kept.extend(np.frombuffer(v, np.float32) for v in (a, b, out))
        kept[2][:] = 7

    nbytes = 1 << 20
    slots = [("input", 0, 0, nbytes), ("input", 1, 0, nbytes), ("output", 0, -1, nbytes)]
    program = _core.Program(slots, [("host", host, [0, 1, 2], "")], 0, 2, 1)
    a, b = _core.Buffer(nbytes), _core.Buffer(nbytes)
    for buffer, value in ((a, 1), (b, 2)):
        np.frombuffer(buffer, np.float32)[:] = value
    (out,) = program((a, b), (1,))
    assert not a.donatable and not out.donatable
    a.donate("later")
    out.donate("later")
    for _ in range(4):
        np.frombuffer(_core.Buffer(nbytes), np.float32)[:] = 99
    assert [array[0] for array in kept] == [1, 2, 7]
    live = _core.memory()["live"]
    del kept[:], a, b, out, buffer
    gc.collect()
    assert live - _core.memory()["live"] == 3 * nbytes


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("what", ["donates", "looks"])
def test_what_a_warning_does_to_an_argument_is_seen(kernels: Kernels, what: str, monkeypatch: Any) -> None:
    count = 1 << 18
    slots = [("input", 0, 0, 4 * count), ("input", 1, 0, 4 * count)]
    slots += [("output", 0, 0, 4 * count), ("output", 1, 1, 4 * count)]
    steps = [add_step(kernels, 0, 2, 1.0, count), add_step(kernels, 1, 3, 1.0, count)]
    program = _core.Program(slots, steps, 0, 2, 2, "pair")
    a, b = buffer_of(*[1.0] * count), buffer_of(*[1.0] * count)
    kept: list[Any] = [np.frombuffer(b, np.float32)]

    def hook(*_: Any, **__: Any) -> None:
        if what == "looks":
            kept.append(np.frombuffer(a, np.float32))
            return
        a.donate("hook")
        kept.append(np.frombuffer(buffer_of(*[5.0] * count), np.float32))

    monkeypatch.setattr(warnings, "showwarning", hook)
    if what == "looks":
        first, _ = program((a, b), (0, 1))
        assert kept[1][0] == 1 and floats(first)[0] == 2
    else:
        with pytest.raises(DonationError, match="donated to hook"):
            program((a, b), (0, 1))
        assert kept[1][0] == 5


def test_no_memory_is_an_error_that_names_the_program() -> None:
    with pytest.raises(MemoryError, match=f"wide: no memory for the run .{2**46} bytes"):
        _core.Program([], [], 2**46, 0, 0, "wide")(())
    text = """
import resource
from axon import _core
n = 1_000_000
program = _core.Program([("input", i, 0, 1) for i in range(n)], [], 0, n, 0, "wide")
args = (b"1",) * n
held = int(open("/proc/self/statm").read().split()[0]) * 4096
for room in (8, 24, 40, 64):
    resource.setrlimit(resource.RLIMIT_AS, (held + room * 2**20, resource.RLIM_INFINITY))
    try:
        program(args)
    except MemoryError as error:
        assert "wide: no memory" in str(error)
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_view_that_a_host_step_keeps_keeps_its_memory() -> None:
    kept: list[Any] = []

    def host(a: memoryview, middle: memoryview, out: memoryview) -> None:
        kept.extend(np.frombuffer(v, np.float32) for v in (a, middle, out))
        for i, array in enumerate(kept[-2:]):
            array[:] = i + 1

    count = 1 << 20
    slots = [("input", 0, 0, 4 * count), ("arena", 0, 0, 4 * count), ("output", 0, -1, 4 * count)]
    program = _core.Program(slots, [("host", host, [0, 1, 2], "")], 4 * count, 1, 1)
    before = _core.memory()["live"]
    for _ in range(3):
        program((np.ones((count, 2), np.float32)[:, 0],))
    del program
    for i, array in enumerate(kept):
        assert (array == [1, 1, 2][i % 3]).all()
    del kept[:], array
    gc.collect()
    assert _core.memory()["live"] == before


def count_to(kernels: Kernels, limit: int) -> tuple[list[Any], list[Any]]:
    """Slots and steps of: n = input; while n < limit: n = n + 1."""
    slots = [("input", 0, 0, 4), ("output", 0, -1, 4), ("arena", 0, 0, 1), ("arena", 64, 0, 4)]
    copy = ("kernel", kernels["add"], [([0, 1], [], [bits(0.0)], 1)], 1, 0, "copy")
    below = ("kernel", kernels["below"], [([1, 2], [limit], [], 1)], 1, 0, "below")
    increment = ("kernel", kernels["increment"], [([1, 3], [], [], 1)], 1, 0, "increment")
    return slots, [copy, ("while", [below], 2, [increment], [(1, 3)])]


def test_while(kernels: Kernels) -> None:
    program = _core.Program(*count_to(kernels, 10), 128, 1, 1)
    for start, end in [(0, 10), (9, 10), (10, 10), (12, 12)]:
        assert np.frombuffer(program((buffer_of(start, dtype="int32"),))[0], np.int32)[0] == end


def test_cond_clamps_its_index(kernels: Kernels) -> None:
    slots = [("input", 0, 0, 4), ("input", 1, 0, 4), ("output", 0, -1, 4)]
    branches = [
        [add_step(kernels, 1, 2, 10.0, 1)],
        [add_step(kernels, 1, 2, 20.0, 1)],
        [add_step(kernels, 1, 2, 30.0, 1)],
    ]
    program = _core.Program(slots, [("cond", 0, branches)], 0, 2, 1)
    for index, expected in [(-5, 11), (0, 11), (1, 21), (2, 31), (99, 31)]:
        assert floats(program((buffer_of(index, dtype="int32"), buffer_of(1)))[0]) == [expected]


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_slices_its_inputs_and_outputs(kernels: Kernels, reverse: bool) -> None:
    # carry = carry + x; y = carry: running sums of rows of two.
    slots = [
        ("input", 0, 0, 8), ("input", 1, 0, 40), ("output", 0, -1, 8), ("output", 1, -1, 40),
        ("slice", 1, 8, 8), ("slice", 3, 8, 8), ("arena", 0, 0, 8),
    ]  # fmt: skip
    add = ("kernel", kernels["sum2"], [([2, 4, 6], [], [], 2)], 1, 0, "carry")
    store = add_step(kernels, 6, 5, 0.0, 2)
    start = add_step(kernels, 0, 2, 0.0, 2)
    program = _core.Program(slots, [start, ("scan", 5, reverse, [add, store], [(2, 6)], [4, 5])], 64, 2, 2)
    x = np.arange(10, dtype=np.float32).reshape(5, 2)
    carry, ys = program((buffer_of(100, 200), x))
    rows = x[::-1] if reverse else x
    sums = np.add(np.cumsum(rows, axis=0), [100, 200])
    assert np.frombuffer(carry, np.float32).tolist() == sums[-1].tolist()
    assert np.frombuffer(ys, np.float32).reshape(5, 2).tolist() == (sums[::-1] if reverse else sums).tolist()


def test_a_scan_within_a_scan(kernels: Kernels) -> None:
    # The outer scan walks rows, the inner one the elements of a row: y[i][j] = x[i][j] + 1.
    slots = [
        ("input", 0, 0, 24), ("output", 0, -1, 24),
        ("slice", 0, 12, 12), ("slice", 1, 12, 12), ("slice", 2, 4, 4), ("slice", 3, 4, 4),
    ]  # fmt: skip
    inner = ("scan", 3, False, [add_step(kernels, 4, 5, 1.0, 1)], [], [4, 5])
    program = _core.Program(slots, [("scan", 2, False, [inner], [], [2, 3])], 0, 1, 1)
    assert floats(program((np.arange(6, dtype=np.float32),))[0]) == [1, 2, 3, 4, 5, 6]


def test_moves_happen_at_once(kernels: Kernels) -> None:
    # Two carries change places each iteration.
    slots = [("input", 0, 0, 4), ("input", 1, 0, 4), ("output", 0, -1, 4), ("output", 1, -1, 4)]
    start = [add_step(kernels, 0, 2, 0.0, 1), add_step(kernels, 1, 3, 0.0, 1)]
    program = _core.Program(slots, [*start, ("scan", 3, False, [], [(2, 3), (3, 2)], [])], 0, 2, 2)
    assert [floats(b) for b in program((buffer_of(1), buffer_of(2)))] == [[2], [1]]


def test_a_kernel_is_swapped_between_runs(kernels: Kernels, library: bytes) -> None:
    step, other = _core.load_library(library, ["increment", "add"])
    slots = [("input", 0, 0, 4), ("output", 0, -1, 4)]
    program = _core.Program(slots, [("kernel", step, [([0, 1], [], [bits(3.0)], 1)], 1, 0, "step")], 0, 1, 1)
    assert np.frombuffer(program((buffer_of(1, dtype="int32"),))[0], np.int32)[0] == 2
    step.swap(other)
    assert floats(program((buffer_of(1),))[0]) == [4] and step.symbol == "add"


def test_a_donated_buffer_becomes_the_output(kernels: Kernels) -> None:
    program = plus_one(kernels, donor=0)
    argument = buffer_of(1, 2, 3)
    address = argument.address
    (result,) = program((argument,), (0,))
    assert floats(result) == [2, 3, 4] and result.address == address
    with pytest.raises(DonationError, match=r"plus_one: .* donated to plus_one"):
        program((argument,))
    with pytest.raises(DonationError, match="donated to plus_one"):
        memoryview(argument)
    assert floats(program((result,), donated=[0])[0]) == [3, 4, 5]


def test_without_a_donation_the_output_is_fresh(kernels: Kernels) -> None:
    argument = buffer_of(1, 2, 3)
    result = plus_one(kernels, donor=0)((argument,))[0]
    assert result.address != argument.address and floats(argument) == [1, 2, 3]


def test_a_donated_buffer_that_is_of_no_use_is_released(kernels: Kernels) -> None:
    argument = buffer_of(1, 2, 3)
    before = _core.memory()["live"]
    (result,) = plus_one(kernels)((argument,), (0,))
    assert _core.memory()["live"] == before and argument.donated_to == "plus_one" and floats(result) == [2, 3, 4]


def test_donating_what_is_looked_at_copies_and_says_so_once(kernels: Kernels) -> None:
    program = plus_one(kernels, donor=0)
    argument = buffer_of(1, 2, 3)
    view = np.frombuffer(argument, np.float32)
    with pytest.warns(RuntimeWarning, match="plus_one: donated argument 0 is copied"):
        (result,) = program((argument,), (0,))
    assert view.tolist() == [1, 2, 3] and floats(result) == [2, 3, 4]
    again = buffer_of(4, 5, 6)
    view = np.frombuffer(again, np.float32)
    assert floats(program((again,), (0,))[0]) == [5, 6, 7] and view.tolist() == [4, 5, 6]
    borrowed = np.array([1, 2, 3], np.float32)
    assert floats(program((_core.Buffer.wrap(borrowed),), (0,))[0]) == [2, 3, 4] and borrowed.tolist() == [1, 2, 3]
    assert floats(program((borrowed,), (0,))[0]) == [2, 3, 4] and borrowed.tolist() == [1, 2, 3]


def test_one_buffer_as_two_arguments(kernels: Kernels) -> None:
    slots = [("input", 0, 0, 4), ("input", 1, 0, 4), ("output", 0, 0, 4), ("output", 1, 1, 4)]
    steps = [add_step(kernels, 0, 2, 1.0, 1), add_step(kernels, 1, 3, 1.0, 1)]
    program = _core.Program(slots, steps, 0, 2, 2, "pair")
    both = buffer_of(1)
    with pytest.raises(ValueError, match="argument 1 is donated twice"):
        program((both, both), (0, 1))
    assert both.donated_to is None and both.exports == 0 and both.donatable
    with pytest.warns(RuntimeWarning, match="copied"):
        assert [floats(b) for b in program((both, both), (0,))] == [[2], [2]]
    assert both.donated_to == "pair" and both.exports == 0


def test_arguments_that_do_not_fit_are_refused_and_nothing_is_taken(kernels: Kernels) -> None:
    program = plus_one(kernels, donor=0)
    argument = buffer_of(1, 2, 3)
    cases: list[tuple[tuple[Any, ...], type[Exception], str]] = [
        (((),), TypeError, "expected 1 arguments, got 0"),
        (((argument, argument),), TypeError, "expected 1 arguments, got 2"),
        (((buffer_of(1),),), ValueError, "plus_one: expected argument 0 of 12 bytes, got 4"),
        (((np.zeros(4, np.float32)[::2],),), ValueError, "argument 0 of 12 bytes, got 8"),
        (((3,),), TypeError, "bytes-like"),
        (([argument],), TypeError, "tuple of arguments"),
        (((argument,), (1,)), ValueError, "below 1, got 1"),
        (((argument,), (-1,)), ValueError, "below 1, got -1"),
        (((argument,), ("0",)), TypeError, "int"),
        (((argument,), 0), TypeError, "tuple of argument numbers"),
        (((argument,), (0, 0)), ValueError, "donated twice"),
        ((), TypeError, "expected"),
        (((argument,), (), ()), TypeError, "expected"),
    ]
    for arguments, error, text in cases:
        with pytest.raises(error, match=text):
            program(*arguments)
    with pytest.raises(TypeError, match="expected"):
        program((argument,), given=(0,))  # pyright: ignore
    assert argument.donated_to is None and argument.exports == 0 and argument.donatable


I, O = ("input", 0, 0, 4), ("output", 0, -1, 4)  # noqa: E741


@pytest.mark.parametrize(
    ("slots", "steps", "text"),
    [
        ([I, I, O], [], "slot 1, an input, has the position of slot 0"),
        ([I], [], "output 0 has no slot"),
        ([I, ("output", 1, -1, 4)], [], "position 1"),
        ([I, ("output", 0, 3, 4)], [], "names no input as donor"),
        ([I, ("output", 0, 0, 8)], [], "differ in size"),
        ([I, O, ("arena", 32, 0, 4)], [], "multiple of 64"),
        ([I, O, ("arena", 64, 0, 4)], [], "does not lie in the arena"),
        ([I, O, ("arena", 0, 0, 65)], [], "does not lie in the arena"),
        ([I, O, ("arena", 0, 0, -1)], [], "-1 bytes"),
        ([I, O, ("slice", 2, 0, 4)], [], "earlier slot as parent"),
        ([I, O, ("heap", 0, 0, 4)], [], "got heap"),
        ([I, O, ("arena", 0, 0)], [], "expected 4 fields, got 3"),
        ([I, O, 3], [], "expected a tuple"),
        ([I, O], [("jump", 1)], r"steps\[0\]: expected kernel, library"),
        ([I, O], [("cond", 0)], "expected 3 fields"),
        ([I, O], [("cond", 0, [])], "needs a branch"),
        ([I, O], [("cond", 2, [[]])], "slot 2, which does not exist"),
        ([("input", 0, 0, 3), O], [("cond", 0, [[]])], "no int32"),
        ([I, O], [("host", 3, [0], "h")], "callable"),
        ([I, O], [("host", print, [-1], "h")], "slot number"),
        ([I, O], [("host", print, [7], "h")], "no slot is numbered 7"),
        ([I, O], [("kernel", None, [], 1, 0, "k")], "Kernel of load_library"),
        ([I, O], [("library", "no.such", [0], [], [], "l")], "no library step is named no.such"),
        ([I, O], [("scan", -1, False, [], [], [])], "length -1"),
        ([I, O], [("scan", 2, False, [], [], [0])], "no slice"),
        ([I, O, ("slice", 0, 4, 4)], [("scan", 2, False, [], [], [2])], "leaves its parent"),
        ([I, O, ("slice", 0, 0, 4)], [("host", print, [2], "h")], "outside the scan"),
        ([I, O], [("scan", 2, False, [], [(0, 1)], [])], "writes to an input"),
        ([I, O, ("arena", 0, 0, 8)], [("scan", 2, False, [], [(1, 2)], [])], "differ in size"),
        ([I, O, ("arena", 0, 0, 0)], [("while", [], 2, [], [])], "no byte"),
    ],
)
def test_descriptions_that_do_not_hold_are_refused(slots: Any, steps: Any, text: str) -> None:
    with pytest.raises((ValueError, RuntimeError, TypeError), match=text):
        _core.Program(slots, steps, 64, 1, 1)


def test_kernel_steps_that_do_not_hold_are_refused(kernels: Kernels) -> None:
    cases: list[tuple[Any, int, int, str]] = [
        ([([0, 9], [], [], 1)], 1, 0, "slot 9"),
        ([([0, 1], [], [], -1)], 1, 0, "units"),
        ([([0, 1], [], [], 1)], 0, 0, "grain 0"),
        ([([0, 1], [], [], 1)], 1, -1, "scratch"),
        ([([0, 1], [], [-1], 1)], 1, 0, "bits of a literal"),
        ([([0, 1], [1.5], [], 1)], 1, 0, "integer of 64 bits"),
        ([([0, 1], [2**63], [], 1)], 1, 0, "integer of 64 bits"),
        ([([0, 1], [], 1)], 1, 0, "expected 4 fields"),
    ]
    for calls, grain, scratch, text in cases:
        with pytest.raises(ValueError, match=text):
            _core.Program([I, O], [("kernel", kernels["add"], calls, grain, scratch, "k")], 64, 1, 1)


def test_steps_nested_without_end_are_refused() -> None:
    nested: list[Any] = []
    nested.append(("cond", 0, [nested]))
    with pytest.raises(ValueError, match="nested at most 200 deep"):
        _core.Program([I, O], nested, 0, 1, 1)
    text = """
import sys
from axon import _core
sys.setrecursionlimit(10**7)
steps = []
for _ in range(100_000): steps = [("cond", 0, [steps])]
try:
    _core.Program([("input", 0, 0, 4)], steps, 0, 1, 0)
except ValueError as error:
    print(str(error)[-8:])
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "200 deep", done.stderr


@pytest.mark.parametrize("name", ["Kernel", "Tile"])
def test_only_the_runtime_makes_kernels_and_tiles(name: str) -> None:
    text = f"""
from axon import _core
kind = _core.{name}
class Sub(kind):
    def __init__(self): pass
for make in (kind, Sub, lambda: kind.__new__(kind), lambda: Sub.__new__(Sub)):
    try:
        thing = make()
    except TypeError:
        continue
    thing.name if kind is _core.Tile else thing.symbol
    raise SystemExit("made")
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_bytes_that_are_no_library_are_refused(library: bytes) -> None:
    for bad in (b"", b"text" * 100, library[: len(library) // 2], library[:64], b"\x7fELF" + library[4:20]):
        with pytest.raises(ValueError, match="load_library"):
            _core.load_library(bad, [])
    with pytest.raises(ValueError, match="no symbol missing"):
        _core.load_library(library, ["missing"])
