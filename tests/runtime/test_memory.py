"""Memory: runs give theirs back, what is kept for reuse is bounded, and the public counters tell both."""

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import axon
import ml_dtypes
import numpy as np
import pytest
from axon import _core, jit, nx
from axon.defn.jit import Definition
from axon.runtime import computing


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    gc.collect()
    axon.release_memory()


def dense(*shape: int) -> nx.Tensor:
    """Ones of which every element has its place; others are copied on entry."""
    return nx.tensor(np.ones(shape, "f4"))


def planned(function: Definition, *args: nx.Tensor) -> int:
    return function.lower(*args).memory().peak


def test_shapes_of_one_function_share_their_memory() -> None:
    """A hundred signatures hold no more than a few of the largest: every one had an arena of its own."""
    function = jit(lambda a: nx.sum(nx.tanh(a @ a.T) @ nx.exp(a * 1e-3)), max_traces=100)
    before = axon.memory(reset_peak=True)
    for rows in range(200, 400, 2):
        function(dense(rows, 500))
    largest = planned(function, dense(398, 500)) + 398 * 500 * 4  # with the argument
    gc.collect()
    after = axon.memory()
    assert largest <= after.peak - before.live < 3 * largest
    assert after.live - before.live < 10_000  # what was bound to the traces, not to the runs
    assert after.cached <= 1.5 * after.peak + (16 << 20)
    axon.release_memory()
    assert axon.memory().cached == 0


def test_a_run_takes_what_it_had_before() -> None:
    """The same block, whose pages were used: no run begins with page faults."""
    x = dense(1024, 1024)
    function = jit(lambda a: nx.sum(nx.exp(a @ a) @ a))
    for _ in range(2):  # the compiler's own leave with the first
        function(x)
    after = axon.memory(reset_peak=True)
    for _ in range(5):
        function(x)
    again = axon.memory()
    assert again.cached == after.cached and again.live == after.live
    assert again.peak - again.live == planned(function, x)


def test_a_smaller_program_is_lent_a_larger_block() -> None:
    function = jit(lambda a: nx.sum(nx.exp(a @ a) @ a))
    function(dense(1200, 1200))
    small = dense(1000, 1000)
    before = axon.memory().cached
    function(small)
    assert axon.memory().cached <= before


def test_threads_have_memory_of_their_own() -> None:
    function = jit(lambda a: nx.sum(nx.exp(a @ a) @ a, axis=0))
    inputs = [nx.full((256, 256), 0.001 * i) for i in range(4)]
    wanted = [function(x).tolist() for x in inputs]
    together = threading.Barrier(4, timeout=30)

    def same(i: int) -> bool:
        together.wait()
        return all(function(inputs[i]).tolist() == wanted[i] for _ in range(30))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(same, range(4)))


def test_eager_tensors_are_counted_and_aligned() -> None:
    before = axon.memory().live
    x = nx.ones((1000, 1000))
    y = x + 1
    assert 4_000_000 <= axon.memory().live - before <= 8_100_000
    del x, y
    assert axon.memory().live == before
    for size in (1, 3, 10, 1000, 100_000):
        for made in (nx.ones(size) + 1, nx.tensor([1.0] * size), nx.tensor(np.ones(size, "f4")), nx.arange(size) * 2):
            assert made.numpy().ctypes.data % 64 == 0


def test_numpy_arrays_of_others_stay_numpys() -> None:
    x = nx.ones(3) + 1
    before = axon.memory().live
    array = np.ones(1 << 20)
    assert axon.memory().live == before and array.size and x.size


def test_arrays_in_our_memory_grow_and_outlive_the_call() -> None:
    from axon.runtime import in_our_memory

    @in_our_memory
    def make(size: int) -> np.ndarray:
        array = np.arange(size)
        array.resize(2 * size, refcheck=False)
        return array

    before = axon.memory().live
    array = make(1000)
    assert array[:1000].tolist() == list(range(1000)) and not array[1000:].any() and array.ctypes.data % 64 == 0
    array.resize(10, refcheck=False)
    assert array.tolist() == list(range(10))
    del array
    assert axon.memory().live == before

    with pytest.raises(ZeroDivisionError):
        in_our_memory(lambda: 1 / 0)()
    assert np.empty(1 << 20).size and axon.memory().live == before


@pytest.mark.parametrize("dtype", ["bool", "float16", "float32", "int64", ml_dtypes.bfloat16])
@pytest.mark.parametrize("shape", [(), (3,), (2, 0, 5), (7, 1, 3), (1000, 300)])
def test_new_arrays_are_as_numpys(shape: tuple[int, ...], dtype: Any) -> None:
    before = axon.memory().live
    array, other = _core.empty(shape, np.dtype(dtype)), np.empty(shape, dtype)
    assert array.shape == shape and array.dtype == other.dtype and (array.strides == other.strides or not array.size)
    assert str(array.flags) == str(other.flags) and array.ctypes.data % 64 == 0
    array[...] = 1
    assert (array == 1).all() and axon.memory().live >= before + array.nbytes
    del array
    assert axon.memory().live == before


@pytest.mark.parametrize(
    "given", [(), ((2,),), ((-1,), "f4"), ((2.5,), "f4"), ([2], "f4"), ((2,), "O"), ((1 << 62, 4), "f4")]
)
def test_new_arrays_of_no_shape_are_refused(given: tuple[Any, ...]) -> None:
    with pytest.raises((TypeError, ValueError, MemoryError)):
        _core.empty(*given[:1], *map(np.dtype, given[1:]))
    with pytest.raises(TypeError):
        _core.empty((2,), "f4")  # type: ignore[arg-type]


def test_computing_is_quiet_and_in_our_memory_at_any_depth_and_in_any_thread() -> None:
    together = threading.Barrier(3, timeout=30)

    def work(depth: int) -> np.ndarray:
        made = np.log(np.zeros(1000))
        if depth == 0:
            together.wait()
            return made
        return computing(work, depth - 1) + made

    before = axon.memory().live
    with np.errstate(all="raise"), ThreadPoolExecutor(3) as pool:
        found = list(pool.map(computing, [work] * 3, range(3)))
        with pytest.raises(FloatingPointError):
            np.log(np.zeros(1))
        with pytest.raises(ZeroDivisionError):
            computing(lambda: 1 / 0)
        assert np.geterr()["divide"] == "raise"
    assert axon.memory().live >= before + 3 * 8000 and all((x == -np.inf).all() for x in found)
    del found
    assert np.empty(1 << 20).size and axon.memory().live == before


def test_it_prints() -> None:
    assert str(axon.runtime.MemoryUse(1_500_000, 2_000_000, 0)) == "live 1.50 MB, peak 2.00 MB, cached 0.00 MB"
