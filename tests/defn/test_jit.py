"""Compiled calls: arguments of every kind, the table of traces, static and donated arguments, threads, lower, debug."""

from __future__ import annotations

import gc
import io
import sys
import threading
import weakref
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest
from axon import nx, tree
from axon.defn import debug, defn, jit, table
from axon.errors import CompileError, DonationError, NonFiniteError, TraceError
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


def test_a_captured_tensor_that_was_donated(compiler: str) -> None:
    w = nx.tensor([1.0, 2.0])
    f = jit(lambda x: x * w, compiler=compiler)
    f(nx.tensor(2.0))
    jit(lambda w: w + 1, donate=0, compiler=compiler)(w)
    with pytest.raises(DonationError):
        f(nx.tensor(2.0))


# Static arguments


@pytest.mark.parametrize("static", [(1, "scale"), ("mode", "scale"), ["mode", 3]])
def test_static(compiler: str, static: Any) -> None:
    @defn(static=static, compiler=compiler)
    def f(x: Tensor, mode: str, y: Tensor, scale: Any = 1) -> Tensor:
        return (x + y if mode == "add" else x - y) * scale

    x, y = nx.tensor(5.0), nx.tensor(2.0)
    assert f(x, "add", y).item() == 7
    assert f(x, "sub", y).item() == 3
    assert f(x, mode="sub", y=y).item() == 3
    assert f.traces == 2
    assert f(x, "sub", y, 2).item() == f(x, "sub", y, scale=2).item() == 6
    assert f.traces == 3


class Options(NamedTuple):
    value: Any


@dataclass(frozen=True)
class Settings:
    value: Any


class Own:
    """Its equality is that of its part."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Own) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)


def test_a_static_value_that_was_changed_in_place_is_another(compiler: str) -> None:
    f = jit(lambda x, own: x * own.value, static="own", compiler=compiler)
    own, x = Own(2.0), nx.tensor(1.0)
    assert (f(x, own).item(), f(x, own).item(), f(x, (own,)[0]).item()) == (2.0, 2.0, 2.0)
    own.value = 5.0
    assert f(x, own).item() == 5.0
    g = jit(lambda x, pair: x * pair[1].value, static="pair", compiler=compiler)
    pair = (1, own)
    assert g(x, pair).item() == 5.0
    own.value = 3.0
    assert g(x, pair).item() == 3.0 and f.traces == 2


class Box:
    """A container whose metadata may change in place."""

    def __init__(self, w: Any, own: Own) -> None:
        self.w, self.own = w, own


tree.register(Box, lambda box: ((box.w,), box.own), lambda own, parts: Box(parts[0], own))


@pytest.mark.parametrize("hold", [lambda own: Box(nx.ones(()), own), lambda own: {own: nx.ones(())}])
def test_metadata_that_was_changed_in_place_is_another(compiler: str, hold: Any) -> None:
    f = jit(
        lambda held: held.w * held.own.value if isinstance(held, Box) else next(iter(held)).value * nx.ones(()),
        compiler=compiler,
    )
    own = Own(2.0)
    held = hold(own)
    assert (f(held).item(), f(held).item()) == (2.0, 2.0)
    own.value = 5.0
    assert f(held).item() == 5.0


HOLDERS: list[Any] = [lambda v: v, lambda v: (v,), lambda v: (("a", v), 2), Options, Settings, Own]


def part(value: Any) -> Any:
    """The number inside."""
    while not isinstance(value, (bool, int, float)):
        value = value.value if hasattr(value, "value") else value[0] if value[0] != "a" else value[1]
    return value


@pytest.mark.parametrize("hold", HOLDERS)
def test_static_values_that_are_equal_but_not_alike_are_told_apart(compiler: str, hold: Any) -> None:
    f = jit(lambda x, s: (nx.asarray(part(s)), nx.copysign(x, float(part(s)))), static="s", compiler=compiler)
    x = nx.tensor(1.0)
    for _ in range(2):
        assert [str(f(x, hold(v))[0].dtype) for v in (1, True, 1.0)] == ["int32", "bool", "float32"]
        assert [f(x, s=hold(v))[1].item() for v in (0.0, -0.0, 0)] == [1, -1, 1]
    assert f.traces == 6


@pytest.mark.parametrize("hold", [*HOLDERS[:-1], lambda v: frozenset([v])])
def test_a_static_nan_is_equal_to_itself(hold: Any) -> None:
    f = jit(lambda x, s: x * 2, static=1, compiler="evaluate")
    for _ in range(3):
        f(nx.tensor(1.0), hold(float("nan")))
    assert f.traces == 1


def test_static_sets_are_told_apart() -> None:
    f = jit(lambda s: [nx.asarray(v) for v in s], static=0, compiler="evaluate")
    assert [str(f(frozenset([v]))[0].dtype) for v in (1, True, 1.0)] == ["int32", "bool", "float32"]


@dataclass
class Leaky:
    x: Any
    slope: Any = field(metadata={"static": True})


def test_containers_that_are_equal_but_not_alike_are_told_apart(compiler: str) -> None:
    f = jit(lambda t: nx.copysign(t.x, t.slope), compiler=compiler)
    made = [f(Leaky(nx.tensor(1.0), v)).item() for v in (0.0, -0.0, 0.0, float("nan"), float("nan"))]
    assert made == [1, -1, 1, 1, 1]
    assert f.traces == 3
    g = jit(lambda t: t, compiler=compiler)
    assert [type(k) for one in (1, True, 1.0, True) for k in g({one: nx.tensor(1.0)})] == [int, bool, float, bool]
    assert g.traces == 3


def test_static_values_must_be_hashable() -> None:
    f = jit(lambda x, n: x, static="n", compiler="evaluate")
    with pytest.raises(TypeError, match="expected a hashable value for static argument 'n', got a list; pass a tuple"):
        f(nx.tensor(1.0), [1])


@pytest.mark.parametrize(("value", "what"), [([1], "list"), (np.ones(2), "ndarray"), (([1],), "tuple")])
def test_static_fields_must_be_hashable(value: Any, what: str) -> None:
    f = jit(lambda t: t.x, compiler="evaluate")
    for call in (f, f.lower):
        with pytest.raises(
            TypeError, match=rf"expected hashable static fields in its arguments, got a {what} as Leaky.slo"
        ):
            call(Leaky(nx.tensor(1.0), value))


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


def test_unknown_compilers_and_devices() -> None:
    with pytest.raises(ValueError, match=r"compiler: expected one of .*evaluate.*, got 'none'"):
        jit(lambda x: x, compiler="none")(1)
    with pytest.raises(ValueError, match=r"got 'evaluate:moon'"):
        jit(lambda x: x, compiler="evaluate", device="moon")(1)


# Donation


def test_donated_tensors_are_gone(compiler: str) -> None:
    @defn(donate="params", compiler=compiler)
    def train_step(params: Any, x: Tensor) -> Any:
        return tree.map(lambda p: p + x, params)

    params = {"w": nx.tensor([1.0, 2.0]), "b": nx.tensor(0.5)}
    x = nx.tensor(1.0)
    new = train_step(params, x)
    assert new["w"].tolist() == [2, 3]
    assert x.item() == 1
    for use in (
        lambda: params["w"] + 1,
        lambda: x + params["w"],
        lambda: params["b"].item(),
        lambda: train_step(params, x),
        lambda: jit(lambda p: p, compiler=compiler)(params["w"]),
        lambda: jit(lambda x: x + params["w"], compiler=compiler)(x),
    ):
        with pytest.raises(
            DonationError, match=r"train_step: .* donated to a call of train_step; use that call's results"
        ):
            use()
    new = train_step(new, x)
    assert new["w"].tolist() == [3, 4]
    assert str(params["w"].type) == "float32[2]"


def test_donated_arrays_are_not_touched(compiler: str) -> None:
    f = jit(lambda x: x + 1, donate=0, compiler=compiler)
    x = np.ones(3, "float32")
    assert f(x).tolist() == f(x).tolist() == [2, 2, 2]
    assert x.tolist() == [1, 1, 1]


def test_a_donated_tensor_may_not_be_given_twice(compiler: str) -> None:
    def step(params: Any, other: Tensor) -> Any:
        return params["w"] + other

    f = jit(step, donate=0, compiler=compiler)
    w = nx.tensor([1.0, 2.0])
    with pytest.raises(DonationError, match=r"step: expected argument 'params.w' once, as it is donated, got the same"):
        f({"w": w}, w)
    assert f({"w": w}, nx.tensor([1.0, 1.0])).tolist() == [2, 3]
    v = nx.tensor([1.0, 2.0])
    with pytest.raises(DonationError, match="got the same tensor twice"):
        jit(lambda x: x + v, donate=0, compiler=compiler)(v)


def test_nothing_is_donated_by_a_call_that_fails(compiler: str) -> None:
    x = nx.tensor([1.0, 2.0])

    def fails(x: Tensor) -> Tensor:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        jit(fails, donate=0, compiler=compiler)(x)
    assert x.tolist() == [1, 2]


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


def test_debug_names_the_first_bad_op_and_line(compiler: str) -> None:
    @defn(compiler=compiler)
    def f(x: Tensor) -> Tensor:
        y = x + 1
        z = nx.log(y)
        return z * 0

    x = nx.tensor([0.0, -3.0])
    assert np.isnan(f(x).numpy()[1])
    with (
        debug(),
        pytest.raises(NonFiniteError, match=r"log at .*test_jit.py:\d+: expected finite values, got 1 NaN and 0"),
    ):
        f(x)
    with debug():
        assert f(nx.tensor([0.0])).tolist() == [0]
    assert f.traces == 1
    assert np.isnan(f(x).numpy()[1])


def test_debug_may_allow_infinities(compiler: str) -> None:
    f = jit(lambda x: nx.exp(-(1 / x)), compiler=compiler)
    with debug(), pytest.raises(NonFiniteError, match=r"divide at .* 0 NaN and 1 infinite"):
        f(nx.tensor(0.0))
    with debug(inf=False):
        assert f(nx.tensor(0.0)).item() == 0


def test_debug_leaves_literals_to_their_readers(compiler: str) -> None:
    f = jit(lambda x: nx.where(x > 0, x, -nx.inf), compiler=compiler)
    with debug(), pytest.raises(NonFiniteError, match=r"^where at .*test_jit.py"):
        f(nx.tensor([1.0, -1.0]))


def test_debug_looks_into_regions(compiler: str) -> None:
    from axon.defn import scan

    f = jit(lambda x: scan(lambda c, r: (c / r, None), 1.0, x)[0], compiler=compiler)
    with debug(), pytest.raises(NonFiniteError, match=r"divide at .*test_jit.py"):
        f(nx.tensor([1.0, 0.0, 1.0]))


def test_results_that_are_no_tensors() -> None:
    with pytest.raises(TraceError, match=r"result at y.1: expected tensors, arrays or numbers, got a str"):
        jit(lambda x: {"y": [x, "text"]}, compiler="evaluate")(1.0)


def test_repr() -> None:
    f = jit(lambda x: x, compiler="evaluate")
    f(1.0)
    assert repr(f) == "<defn <lambda>, 1 traces>"
