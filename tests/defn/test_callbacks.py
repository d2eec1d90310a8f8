"""Python that programs call: print_value, io_call and hook run once and in order, with the values that they stand for,
in eager code, both compilers, regions and gradients; and what they raise reaches the caller."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import axon
import numpy as np
import pytest
from axon import nx
from axon.defn import (
    checkpoint,
    cond,
    custom_grad,
    debug,
    fori_loop,
    grad,
    hook,
    io_call,
    jit,
    jvp,
    print_value,
    scan,
    stop_grad,
    vjp,
    vmap,
    while_loop,
)
from axon.errors import CallbackError, CompileError, GradientError
from axon.nx import Tensor

SEEN: list[Any] = []
WAYS: dict[str, Callable[..., Any]] = {
    "eager": lambda f: f,
    "evaluate": lambda f: jit(f, compiler="evaluate"),
    "native": lambda f: jit(f, compiler="native"),
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@pytest.fixture(autouse=True)
def unseen() -> None:
    SEEN.clear()


def see(tag: str) -> Callable[..., None]:
    return lambda *given: SEEN.append((tag, *[x.tolist() if isinstance(x, Tensor) else x for x in given]))


def plain(x: Tensor) -> Tensor:
    hook(x, see("x"))
    io_call(see("none"))
    hook(x, see("x"))
    hook(x * 2, see("unused"))
    return hook(x + 1, see("last")) * 2


def branches(x: Tensor) -> Tensor:
    y = cond(x > 0, lambda v: hook(v * 2, see("positive")), lambda v: hook(v, see("negative")), x)
    hook(x, see("after"))
    return y


def loops(x: Tensor) -> Tensor:
    y, _ = scan(lambda c, i: (hook(c * i, see("scan")), None), x, nx.tensor([2.0, 3.0]))
    y = fori_loop(0, 2, lambda i, c: hook(c + i, see("for")), y)
    return while_loop(lambda c: hook(c, see("condition")) < 16, lambda c: hook(c + 2, see("body")), y)


def results(x: Tensor) -> Tensor:
    y = io_call(lambda v, n: v.numpy() + n, x, 10, result=nx.template(()))
    pair = io_call(lambda t: {"a": t["x"], "b": 7}, {"x": y}, result={"a": y.type, "b": nx.template((), "int32")})
    return pair["a"] + pair["b"]


def checkpointed(x: Tensor) -> Tensor:
    return checkpoint(lambda v: hook(v * 2, see("kept")) * 3)(x)


CASES: dict[Callable[..., Any], tuple[float, list[Any]]] = {
    plain: (6.0, [("x", 2.0), ("none",), ("x", 2.0), ("unused", 4.0), ("last", 3.0)]),
    branches: (4.0, [("positive", 4.0), ("after", 2.0)]),
    loops: (
        17.0,
        [
            *(("scan", 4.0), ("scan", 12.0), ("for", 12.0), ("for", 13.0)),
            *(("condition", 13.0), ("body", 15.0), ("condition", 15.0), ("body", 17.0), ("condition", 17.0)),
        ],
    ),
    results: (19.0, []),
    checkpointed: (12.0, [("kept", 4.0)]),
}


@ways
@pytest.mark.parametrize("function", CASES)
def test_each_acts_once_in_order(function: Callable[..., Any], way: Callable[..., Any]) -> None:
    value, expected = CASES[function]
    f = way(function)
    for _ in range(2):
        SEEN.clear()
        assert f(nx.tensor(2.0)).item() == value
        assert expected == SEEN


def own_gradient(x: Tensor) -> Tensor:
    @custom_grad
    def f(x: Tensor) -> Any:
        return hook(x * 3, see("forward")), lambda g: hook(g * 3, see("backward"))

    return f(x)


def backward(x: Tensor) -> Tensor:
    y = hook(hook(x * x, see("y")), see("dy"), on="backward")
    hook(x * 5, see("unreached"), on="backward")
    return y * 3


def in_scan(x: Tensor) -> Tensor:
    return scan(lambda c, _: (hook(c * 2, see("step")), None), x, length=2)[0]


def back_in_scan(x: Tensor) -> Tensor:
    def step(c: Tensor, _: None) -> Any:
        return hook(hook(c, see("step")) * 2, lambda g: see("back")(g * 2), on="backward"), None

    return scan(step, x, length=2)[0]


def results_in_scan(x: Tensor) -> Tensor:
    def step(c: Tensor, _: None) -> Any:
        return c * stop_grad(io_call(lambda v: (see("call")(v), v + 1)[1], c, result=c.type)), None

    return scan(step, x, length=2)[0]


def in_checkpoint(x: Tensor) -> Tensor:
    inner = lambda v: scan(lambda c, _: (hook(c * 2, see("inner")), None), v, length=2)[0]  # noqa: E731
    return checkpoint(lambda v: hook(inner(v), see("outer")) * v)(x)


def in_branch(x: Tensor) -> Tensor:
    return cond(x > 0, lambda v: hook(v * v, see("yes")), lambda v: v, x)


def back_in_checkpoint(x: Tensor) -> Tensor:
    def f(v: Tensor) -> Tensor:
        return hook(hook(v, see("kept")), see("back"), on="backward")

    return checkpoint(lambda v: cond(v > 0, f, lambda v: v, v))(in_branch(x) * 2) / 2


def outside(x: Tensor) -> Tensor:
    return x * stop_grad(io_call(lambda v: v + 1, x, result=x.type))


GRADIENTS: dict[Callable[..., Any], tuple[float, list[Any]]] = {
    own_gradient: (3.0, [("forward", 6.0), ("backward", 3.0)]),
    backward: (12.0, [("y", 4.0), ("dy", 3.0)]),
    in_scan: (4.0, [("step", 4.0), ("step", 8.0)]),
    back_in_scan: (4.0, [("step", 2.0), ("step", 4.0), ("back", 2.0), ("back", 4.0)]),
    results_in_scan: (21.0, [("call", 2.0), ("call", 6.0)]),
    in_checkpoint: (16.0, [("inner", 4.0), ("inner", 8.0), ("outer", 8.0)]),
    in_branch: (4.0, [("yes", 4.0)]),
    back_in_checkpoint: (4.0, [("yes", 4.0), ("kept", 8.0), ("back", 0.5)]),
    outside: (3.0, []),
}


@ways
@pytest.mark.parametrize("function", GRADIENTS)
def test_a_gradient_calls_nothing_again(function: Callable[..., Any], way: Callable[..., Any]) -> None:
    value, expected = GRADIENTS[function]
    assert way(grad(function))(nx.tensor(2.0)).item() == value
    assert expected == SEEN


def test_each_pullback_calls_backward_hooks() -> None:
    _, pullback = vjp(backward, nx.tensor(2.0))
    assert [pullback(nx.tensor(g))[0].item() for g in (1.0, 2.0)] == [12.0, 24.0]
    assert [("y", 4.0), ("dy", 3.0), ("dy", 6.0)] == SEEN


@pytest.mark.parametrize("region", [checkpoint, lambda f: lambda x: cond(x > 0, f, f, x)], ids=["checkpoint", "cond"])
def test_results_that_would_be_asked_for_twice_are_refused(region: Any) -> None:
    with pytest.raises(GradientError, match=r"^grad: io_call \(at .*\) gives results inside a function that"):
        grad(region(outside))(nx.tensor(2.0))


@ways
@pytest.mark.parametrize("most", [0, 1, 2, 5])
def test_a_condition_acts_as_often_as_its_loop_asks(most: int, way: Callable[..., Any]) -> None:
    def f(x: Tensor) -> Tensor:
        return while_loop(lambda c: hook(c, see("ask")) < 9, lambda c: hook(c * 2, see("step")), x, max_steps=most)

    f(nx.tensor(3.0))
    alone = SEEN.copy()
    SEEN.clear()
    assert way(grad(f))(nx.tensor(3.0)).item() == 2.0 ** min(most, 2) and alone == SEEN


REGIONS_OF_RESULTS: dict[str, Callable[..., Any]] = {
    "vmap": lambda f, x: vmap(f)(x),
    "scan": lambda f, x: scan(lambda c, v: (c, f(v)), x[0], x)[1],
    "carry": lambda f, x: scan(lambda c, v: (f(v), c + f(v)), x[0], x)[1],
}


@ways
@pytest.mark.parametrize("region", REGIONS_OF_RESULTS.values(), ids=REGIONS_OF_RESULTS)
def test_results_are_kept_out_after_a_loop(region: Callable[..., Any], way: Callable[..., Any]) -> None:
    called = lambda v: io_call(lambda v: (see("call")(v), v + 1)[1], v, result=v.type)  # noqa: E731
    f = way(grad(lambda x: (x * x * stop_grad(region(called, x))).sum()))
    x, made = nx.tensor([2.0, 3.0]), region(lambda v: v + 1, nx.tensor([2.0, 3.0]))
    assert f(x).tolist() == (2 * x * made).tolist()
    forward = way(lambda x: jvp(lambda x: x * x * stop_grad(region(called, x)), (x,), (x,))[1])
    assert forward(x).tolist() == (2 * x * x * made).tolist()
    assert set(SEEN) == {("call", 2.0), ("call", 3.0)}


def test_results_have_no_gradient() -> None:
    with pytest.raises(GradientError, match=r"^grad: io_call \(at .*stop_grad"):
        grad(lambda x: io_call(lambda v: v, x, result=x.type))(nx.tensor(2.0))


@ways
def test_values_are_printed(way: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    way(lambda x: print_value({"a": x, "b": (x + 1,)}, "v")["a"])(nx.tensor(1.0))
    way(lambda x: print_value(x))(nx.tensor([True]))
    assert capsys.readouterr().out == "v a: float32[] 1.\nv b.0: float32[] 2.\nbool[1] [ True]\n"


@ways
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize("shape", [(), (2, 3), (0, 2)])
def test_every_dtype_goes_there_and_back(way: Callable[..., Any], dtype: str, shape: tuple[int, ...]) -> None:
    x = nx.astype(nx.ones(shape), dtype)
    names: list[Any] = []
    y = way(lambda x: io_call(lambda v: (names.append(v.type), v)[1], x, result=x.type))(x)
    assert names == [x.type] == [y.type]
    assert (nx.astype(y, "float32").numpy() == 1).all()


@ways
def test_what_is_kept_keeps_its_values(way: Callable[..., Any]) -> None:
    kept: list[Tensor] = []
    own = np.ones(1000, np.float32)

    def f(x: Tensor) -> Tensor:
        for k in range(3):
            x = x * 2 + k
            hook(x, kept.append)
        return io_call(lambda v: own, x, result=x.type)

    y = way(f)(nx.asarray(own))
    own[:] = 5
    assert [float(t[0]) for t in kept] == [2.0, 5.0, 12.0]
    assert float(y[0]) == 1.0
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(kept[0])[0] = 1


WRONG: dict[str, tuple[Any, Any, str]] = {
    "dtype": (lambda: np.zeros(2), nx.template(2), r"expected <lambda> to return float32\[2\], got float64\[2\]"),
    "shape": (lambda: [1.0], nx.template(2), r"expected <lambda> to return float32\[2\], got float32\[1\]"),
    "place": (lambda: {"a": 1}, {"a": nx.template(1)}, r"float32\[1\] at a, got float32\[\]"),
    "tree": (lambda: 1, (nx.template(()),), r"to return what result= says, float32\[\], got a int"),
    "nothing": (lambda: None, nx.template(()), r"to return what result= says, float32\[\], got a NoneType"),
    "text": (lambda: "a", nx.template(()), r"to return what result= says, float32\[\], got a str"),
}


@ways
@pytest.mark.parametrize("case", WRONG)
def test_other_results_than_declared_are_refused(case: str, way: Callable[..., Any]) -> None:
    function, result, text = WRONG[case]
    with pytest.raises(CallbackError, match=rf"^io_call at .*test_callbacks\.py:\d+: .*{text}"):
        way(lambda: io_call(function, result=result))()


def test_arguments_are_checked() -> None:
    with pytest.raises(TypeError, match="io_call: expected function to be a function, got a int"):
        io_call(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"io_call: expected None, or types as result, got a str; write nx\.template"):
        io_call(lambda: 1, result="float32")
    with pytest.raises(ValueError, match='hook: expected on="forward" or "backward", got 1'):
        hook(nx.tensor(1.0), print, on=1)  # type: ignore[arg-type]


def test_a_label_is_a_text() -> None:
    with pytest.raises(TypeError, match=r"^print_value: expected a text as label, got a Tensor; write print_value"):
        print_value("x", nx.ones(2))  # type: ignore[arg-type]


@ways
@pytest.mark.parametrize("kind", [ZeroDivisionError, KeyboardInterrupt])
def test_errors_reach_the_caller_and_spoil_nothing(way: Callable[..., Any], kind: type[BaseException]) -> None:
    fails = True

    def act(v: Tensor) -> None:
        if fails:
            raise kind("no")

    f = way(lambda x: fori_loop(0, 2, lambda i, c: hook(c * 2, act) + 1, nx.exp(x)) @ x)
    x = nx.zeros(100)
    for _ in range(2):
        with pytest.raises(kind) as caught:
            f(x)
        notes = getattr(caught.value, "__notes__", [])
        assert bool(notes) == issubclass(kind, Exception)
        assert all("in the callback of hook at " in n and "test_callbacks.py" in n for n in notes)
    fails = False
    assert f(x).item() == 0


@ways
def test_callbacks_may_call_programs(way: Callable[..., Any]) -> None:
    again = jit(lambda n: nx.sum(nx.ones((64, 64)) @ nx.ones((64, 64))) + n)

    def f(x: Tensor, depth: int) -> Tensor:
        inner = (lambda v: g[depth + 1](v) + again(1.0)) if depth < 2 else (lambda v: v)
        return io_call(inner, (x @ x) * 2, result=nx.template((8, 8))) + x

    g = [way(lambda x, d=depth: f(x, d)) for depth in range(3)]
    x = nx.ones((8, 8))
    assert float(g[0](x)[0, 0]) == float(f(x, 0)[0, 0])


def test_a_program_whose_callback_runs_it_again() -> None:
    f = jit(lambda n: io_call(lambda v: f(v - 1) if v.item() > 0 else v * 0, n, result=n.type) + n)
    assert f(nx.tensor(5.0)).item() == 15


def test_threads_have_their_own_calls() -> None:
    @jit
    def f(x: Tensor) -> Tensor:
        return io_call(lambda v: v.numpy() * 2, nx.sum(x * x), result=nx.template(()))

    found: dict[int, list[float]] = {}

    def work(k: int) -> None:
        found[k] = [f(nx.full((100,), float(k))).item() for _ in range(20)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert found == {k: [200.0 * k * k] * 20 for k in range(4)}


@ways
def test_different_functions_are_never_one(way: Callable[..., Any]) -> None:
    def f(x: Tensor) -> Tensor:
        a, b = (io_call(lambda v, k=k: v.numpy() + k, x, result=x.type) for k in range(2))
        return a * 10 + b

    assert way(f)(nx.tensor(1.0)).item() == 12


def test_functions_live_as_long_as_what_calls_them() -> None:
    class Act:
        def __call__(self, *given: Any) -> None: ...

    act = Act()
    alive = weakref.ref(act)
    f = jit(lambda x, act=act: io_call(act, x, "text"))
    big = nx.ones((1000, 1000)) + 1
    before = axon.memory().live
    f(big)
    io_call(act, big)
    del act, big
    gc.collect()
    assert alive() is not None
    assert axon.memory().live <= before - 4_000_000
    del f
    gc.collect()
    assert alive() is None


@ways
def test_each_lane_acts_in_order(way: Callable[..., Any]) -> None:
    def f(x: Tensor, y: Tensor) -> Tensor:
        hook(y, see("shared"))
        print_value(hook(x * y, see("lane")))
        return io_call(lambda v, w: v + w, x, y, result=x.type) * 2

    made = way(lambda xs, y: vmap(f, in_axes=(0, None))(xs, y))(nx.tensor([[1.0, 2.0], [3.0, 4.0]]), nx.ones(2))
    assert made.tolist() == [[4.0, 6.0], [8.0, 10.0]]
    assert [("shared", [1.0, 1.0]), ("lane", [1.0, 2.0]), ("lane", [3.0, 4.0])] == SEEN


def test_a_number_is_a_tensor_where_it_is_traced() -> None:
    assert jit(lambda n: io_call(lambda v: v, n, result=nx.template((), "int32")))(3).item() == 3
    io_call(see("n"), 3, "text", None)
    assert [("n", 3, "text", None)] == SEEN


def test_a_saved_program_is_refused(tmp_path: Any) -> None:
    lowered = jit(loops).lower(nx.tensor(2.0))
    with pytest.raises(
        CompileError, match=r"^save: expected native steps only, got hook at .*test_callbacks.* in Python"
    ):
        lowered.save(tmp_path / "program")


def test_debugging_runs_them(capsys: pytest.CaptureFixture[str]) -> None:
    with debug():
        assert jit(plain)(nx.tensor(2.0)).item() == 6
    assert CASES[plain][1] == SEEN


def test_a_graph_shows_them() -> None:
    text = jit(lambda x: hook(x, print)).lower(nx.tensor(2.0)).graph()
    assert "\n  hook(%0, callback=<lambda>)\n" in text


def test_donated_memory_is_not_written_before_it_was_seen() -> None:
    def f(x: Tensor) -> Tensor:
        hook(x, see("before"))
        return x + 1

    g = jit(f, donate=0)
    assert g(nx.full((3,), 2.0)).tolist() == [3.0] * 3
    assert [("before", [2.0] * 3)] == SEEN
