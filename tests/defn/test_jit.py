"""Compiled calls: arguments of every kind, the table of traces, receipts, threads, lower. Static arguments, donation
and debug() have files of their own."""

from __future__ import annotations

import gc
import io
import sys
import threading
import weakref
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from axon import config, nx, tree
from axon.defn import Definition, defn, jit, table
from axon.errors import CompileError, DonationError, TraceError
from axon.nx import Tensor


class Point(NamedTuple):
    x: Any
    y: Any


@dataclass
class Weights:
    kernel: Any
    bias: Any


def test_trees_in_and_out(compiler: str) -> None:
    @defn(compiler=compiler)
    def f(p: Any, q: Any) -> Any:
        return {"w": Weights(p["w"].kernel + q.x, p["w"].bias), "l": [q.y * 2, None], "one": 1}

    made = f({"w": Weights(nx.tensor([1.0, 2.0]), nx.tensor(3))}, Point(nx.tensor(1.0), nx.tensor([True])))
    assert tree.map(lambda t: t.tolist(), made) == {"w": Weights([2, 3], 3), "l": [[2], None], "one": 1}


def test_numbers_are_traced_not_baked_in(compiler: str) -> None:
    f = jit(lambda x, a: x * a, compiler=compiler)
    x = nx.tensor([1.0, 2.0])
    assert [f(x, a).tolist() for a in (2.0, 3.0, float("inf"))] == [[2, 4], [3, 6], [float("inf")] * 2]
    assert f.traces == 1
    assert [f(x, a).tolist() for a in (2, True, np.float64(2.5))] == [[2, 4], [1, 2], [2.5, 5]]
    assert f.traces == 3
    made = jit(lambda *xs: xs, compiler=compiler)(1, 2.5, True, np.float64(1.5), np.int8(3))
    assert [(str(t.dtype), t.item()) for t in made] == [
        ("int32", 1), ("float32", 2.5), ("bool", True), ("float32", 1.5), ("int8", 3)
    ]  # fmt: skip


def test_arrays(compiler: str) -> None:
    f = jit(lambda x: x + 1, compiler=compiler)
    for x in (np.arange(3), np.float32([1, 2]), np.arange(6.0).reshape(2, 3).T, np.arange(8, dtype="uint8")[::2]):
        made = f(x)
        assert made.dtype.numpy == x.dtype
        np.testing.assert_array_equal(made.numpy(), x + 1)


def test_results_do_not_share_a_callers_array(compiler: str) -> None:
    x = np.ones(3, "float32")
    same = jit(lambda x: x, compiler=compiler)(x)
    x[:] = 7
    assert same.tolist() == [1, 1, 1]


def test_keywords_and_defaults_find_one_form(compiler: str) -> None:
    @defn(compiler=compiler)
    def f(x: Any, y: Any = 2.0, *, z: Any = 0.0) -> Any:
        return x * 10 + y + z

    x = nx.tensor(1.0)
    assert f(x, 3.0).item() == f(x, y=3.0).item() == f(y=3.0, x=x).item() == 13
    assert f.traces == 1
    assert f(x).item() == 12
    assert f(x, z=5.0).item() == 17
    assert f(x, z=6.0).item() == 18
    assert f.traces == 3
    with pytest.raises(TypeError, match="unexpected keyword argument 'w'"):
        f(x, w=1)


def test_variadic_functions(compiler: str) -> None:
    f = jit(lambda *xs, **named: sum(xs) - sum(named.values()), compiler=compiler)
    assert f(1.0, 2.0, 4.0, a=2.0, b=1.0).item() == 4


def test_one_trace_a_signature(compiler: str) -> None:
    f = jit(lambda x: x * 2, compiler=compiler)
    for shape in ((2,), (3,), (2,), (3,), (2,)):
        f(nx.ones(shape))
    assert f.traces == 2
    f(nx.ones(2, dtype="float64"))
    f(nx.rename(nx.ones(2), ["a"]))
    assert f.traces == 4


def test_many_signatures_are_kept() -> None:
    f = jit(lambda x: x * 2 + 1, compiler="evaluate")
    for _ in range(3):
        for n in range(1, 201):
            f(nx.ones(n))
    assert f.traces == 200


def test_traces_are_bounded_by_memory(compiler: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(table, "_tables", weakref.WeakSet())
    f, g = jit(lambda x, n: x + n, static="n", compiler=compiler), jit(lambda x: x - 1, compiler=compiler)
    x = nx.tensor(1.0)
    g(x)
    size = table.size_of(g._last.graph)  # type: ignore[union-attr]
    monkeypatch.setattr(table, "BUDGET", 4 * size)
    for n in (0, 1, 2, 0, 3, 4):  # the second look at 0 makes 1 and 2 older
        assert f(x, n).item() == 1 + n
    assert f.traces == 5 and len(f._table) + len(g._table) == 4
    said = capsys.readouterr().err
    assert said.count("<lambda>: all traces take") == 2  # one was dropped of each
    assert [f(x, n).item() for n in (3, 4, 0)] == [4, 5, 1]
    assert f.traces == 5
    assert g(x).item() == 0 and f(x, 1).item() == 2
    assert (f.traces, g.traces) == (6, 1)  # its last entries a function knows without the table
    assert "all traces" not in capsys.readouterr().err


def test_inside_a_trace_definitions_inline(compiler: str) -> None:
    inner = jit(lambda x: nx.exp(x), compiler=compiler)
    outer = jit(lambda x: inner(x) + inner(x), compiler=compiler)
    assert outer.lower(nx.template(2)).graph().count("exp") == 1
    assert inner.traces == 0


def test_methods() -> None:
    @tree.atom
    @dataclass(frozen=True)
    class Scale:
        by: float

        @defn(static="self", compiler="evaluate")
        def apply(self, x: Tensor) -> Tensor:
            return x * self.by

    assert Scale(2.0).apply(nx.tensor(3.0)).item() == 6
    assert Scale(4.0).apply(nx.tensor(3.0)).item() == 12


# Captured tensors


def test_captured_tensors_are_inputs(compiler: str) -> None:
    w = nx.tensor([1.0, 2.0])
    f = jit(lambda x: x * w, compiler=compiler)
    assert f(nx.tensor(2.0)).tolist() == [2, 4]
    assert "literal" not in f.lower(nx.tensor(2.0)).graph()
    assert f.lower(nx.tensor(2.0)).graph().startswith("graph(%0: float32[], %1: float32[2])")


def test_captured_tensors_are_kept_as_long_as_the_function(compiler: str) -> None:
    w = nx.tensor([1.0, 2.0])
    gone = weakref.ref(w)
    f = jit(lambda x, w=w: x * w, compiler=compiler)
    f(nx.tensor(2.0))
    del w
    gc.collect()
    assert f(nx.tensor(3.0)).tolist() == [3, 6]
    del f
    gc.collect()
    assert gone() is None


def test_options_are_not_tensors() -> None:
    def train_step(x: Tensor, options: Any) -> Tensor:
        return x

    words = (
        r"train_step: expected tensors, arrays or numbers, got a str as argument 'options.mode' \(.*name it in static="
    )
    with pytest.raises(TypeError, match=words):
        jit(train_step, compiler="evaluate")(nx.tensor(1.0), {"mode": "add"})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"static": "z"}, r"expected static among the parameters \(x, y\), got 'z'"),
        ({"donate": 2}, r"expected donate among the parameters \(x, y\), got 2"),
        ({"static": "x", "donate": 0}, "expected static and donate to differ"),
    ],
)
def test_wrong_options(options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        jit(lambda x, y: x, **options)


def test_unknown_options_are_refused() -> None:
    for make in (jit, lambda f, **options: defn(**options)(f)):
        with pytest.raises(TypeError, match=r"^jit\(\) got an unexpected keyword argument 'compiled'"):
            make(lambda x: x, compiled="native")


def test_unknown_compilers_and_devices() -> None:
    with pytest.raises(ValueError, match=r"compiler: expected one of .*evaluate.*, got 'none'"):
        jit(lambda x: x, compiler="none")(1)
    with pytest.raises(ValueError, match=r"device: expected cpu for evaluate, got 'moon'"):
        jit(lambda x: x, compiler="evaluate", device="moon")(1)


# Receipts


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ((nx.ones((32, 4)), 1.0), (nx.ones((17, 4)), 1.0), "argument 'x' axis 0 was 32, now 17"),
        ((nx.ones(3), 1.0), (nx.ones((3, 4)), 1.0), "argument 'x' was float32[3], now float32[3,4]"),
        ((nx.ones(3), 1.0), (nx.ones(3, dtype="float64"), 1.0), "argument 'x' was float32[3], now float64[3]"),
        ((nx.ones(3), 1.0), (nx.ones(3), 1), "argument 'n' was a Python float, now a Python int"),
        ((nx.ones(3), True), (nx.ones(3), nx.ones(())), "argument 'n' was a Python bool, now float32[]"),
        (
            ({"a": nx.ones(3), "b": nx.ones(3)}, 1.0),
            ({"a": nx.ones(4), "b": nx.ones(5)}, 1.0),
            "argument 'x.a' axis 0 was 3, now 4 (and 1 more)",
        ),
        (({"a": nx.ones(3)}, 1.0), ({"a": nx.ones(3), "b": nx.ones(3)}, 1.0), "argument 'x.b' is new"),
        (({"a": nx.ones(3), "b": nx.ones(3)}, 1.0), ({"a": nx.ones(3)}, 1.0), "argument 'x.b' is gone"),
        (([nx.ones(3)], 1.0), ((nx.ones(3),), 1.0), "the arguments' containers changed"),
        ((nx.ones(3), 1.0, "a"), (nx.ones(3), 1.0, "b"), "static argument 'mode' was 'a', now 'b'"),
        ((nx.ones(3), 1.0), (nx.ones(3), 1.0, "b"), "static argument 'mode' was left out, now 'b'"),
        ((nx.ones(3), 1.0), (nx.rename(nx.ones(3), ["t"]), 1.0), "argument 'x' was float32[3], now float32[t=3]"),
    ],
)
def test_a_retrace_says_what_changed(before: Any, after: Any, words: str, capsys: Any) -> None:
    @defn(static="mode", compiler="evaluate")
    def train_step(x: Any, n: Any, mode: str = "a") -> Any:
        return x

    train_step(*before)
    assert capsys.readouterr().err == ""
    train_step(*after)
    err = capsys.readouterr().err
    assert err.startswith(f"train_step: trace 2: {words}") and err.count("\n") == 1
    train_step(*before)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_a_note_takes_the_place_of_a_progress_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    f = jit(lambda x: x, compiler="evaluate")
    f(nx.zeros(1))
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    f(nx.zeros(2))
    assert terminal.getvalue().startswith("\r\x1b[K<lambda>: trace 2")


def test_a_kind_of_change_is_said_once(capsys: Any) -> None:
    f = jit(lambda x: x, compiler="evaluate")
    for n in range(1, 6):
        f(nx.ones(n))
    f(nx.ones((2, 2)))
    assert capsys.readouterr().err.splitlines() == [
        "<lambda>: trace 2: argument 'x' axis 0 was 1, now 2",
        "<lambda>: trace 6: argument 'x' was float32[5], now float32[2,2]",
    ]


def test_max_traces(capsys: Any) -> None:
    f = jit(lambda x: x, max_traces=1, compiler="evaluate")
    f(nx.ones(3))
    words = r"expected at most 1 traces, got a call that needs another: argument 'x' axis 0 was 3, now 4; pad"
    with pytest.raises(TraceError, match=words):
        f(nx.ones(4))
    assert f(nx.ones(3)).shape == (3,)
    assert f.traces == 1


# Threads


def test_threads_trace_one_function_once(compiler: str, capsys: Any) -> None:
    f = jit(lambda x: nx.tanh(x) * 2, compiler=compiler)
    start = threading.Barrier(4)
    made: list[Any] = []

    def work(k: int) -> None:
        start.wait()
        made.extend((n, f(nx.full((n,), 1.0)).tolist()) for i in range(30) if (n := 1 + (i + k) % 3))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert f.traces == 3
    assert len(made) == 120
    assert all(value == [pytest.approx(2 * np.tanh(1), rel=1e-6)] * n for n, value in made)


def test_threads_trace_many_functions_at_once(compiler: str) -> None:
    start = threading.Barrier(4)
    made: dict[int, float] = {}

    def work(k: int) -> None:
        start.wait()
        for i in range(10):
            f = jit(lambda x: sum((x * j for j in range(k + 1)), x) + nx.tensor(float(i)), compiler=compiler)  # noqa: B023
            made[k * 10 + i] = f(nx.tensor(1.0)).item()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert made == {k * 10 + i: 1 + sum(range(k + 1)) + i for k in range(4) for i in range(10)}


# Looking


def test_lower_shows_the_graph_and_runs_nothing(compiler: str) -> None:
    f = jit(lambda x, y: x["a"] @ y, compiler=compiler)
    lowered = f.lower({"a": nx.template((2, 3))}, np.ones((3, 4), "float32"))
    assert lowered.graph().startswith("graph(%0: float32[2,3], %1: float32[3,4])\n")
    assert f({"a": nx.ones((2, 3))}, nx.ones((3, 4))).shape == (2, 4)
    assert f.traces == 1


def test_lower_says_what_a_compiler_cannot_show() -> None:
    lowered = jit(lambda x: x, compiler="evaluate").lower(1.0)
    for look in (lowered.kernels, lowered.source, lowered.memory, lowered.report):
        with pytest.raises(CompileError, match=r"lower: expected a compiler that has .* compiler=\"native\""):
            look()
    with pytest.raises(CompileError, match="has save"):
        lowered.save("program")


def test_results_that_are_no_tensors() -> None:
    with pytest.raises(TraceError, match=r"result at y.1: expected tensors, arrays or numbers, got a str"):
        jit(lambda x: {"y": [x, "text"]}, compiler="evaluate")(1.0)


def test_repr() -> None:
    f = jit(lambda x: x, compiler="evaluate")
    f(1.0)
    assert repr(f) == "<defn <lambda>, 1 traces>"


def test_places_of_numpy_are_pythons() -> None:
    assert jit(lambda x, n: x.reshape((n, -1)), static=np.int64(1))(nx.ones(4), 2).shape == (2, 2)
    x = nx.ones(4)
    jit(lambda x: x * 2, donate=np.array([0]))(x)
    with pytest.raises(DonationError):
        x.numpy()


def test_a_definition_refuses_options_that_jit_does_not_have() -> None:
    with pytest.raises(TypeError, match=r"Definition: expected options of compiler, .*, got donat; see jit"):
        Definition(nx.tanh, donat=0)  # type: ignore[call-arg]


def test_eager_programs_run_where_their_tensors_are(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = nx.random.uniform(nx.random.key(0), (3,)).tolist()
    monkeypatch.setattr(config, "default_device", "cuda")
    assert nx.random.uniform(nx.random.key(0), (3,)).tolist() == expected
    programs = nx.random.normal(nx.random.key(1), (2, 5, 7))  # a shape that no program was made for
    assert programs.shape == (2, 5, 7)
