"""Native code of a user's own: the same results eagerly and under both compilers, in regions and gradients; its errors;
what is refused before it runs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axon import _core, nx
from axon.compiler.targets import compile_cpp
from axon.defn import checkpoint, cond, custom_call, grad, jit, scan, vjp, vmap
from axon.errors import AxonError, CompileError, GradientError, ShapeError
from axon.nx import Tensor
from axon.nx.core.tensor import TensorType

TEXT = r"""
#include "custom.h"

AXON_CUSTOM(backwards) {                     // y[i] = 2 * x[n - 1 - i]
  const float* x = call.input<float>(0);
  float* y = call.output<float>(0);
  const long n = call.size(0);
  for (long i = call.begin; i < call.end; ++i) y[i] = 2 * x[n - 1 - i];
  return 0;
}

AXON_CUSTOM(described) {                     // of each input: dtype code, rank, size; and the first input's sizes
  int* about = call.output<int>(0);
  double* sizes = call.output<double>(1);
  for (long i = 0; i < call.inputs(); ++i) {
    call.input<void>(i);
    *about++ = static_cast<int>(call.dtype(i));
    *about++ = static_cast<int>(call.rank(i));
    *about++ = static_cast<int>(call.size(i));
  }
  for (long axis = 0; axis < call.rank(0); ++axis) sizes[axis] = static_cast<double>(call.shape(0)[axis]);
  return 0;
}

AXON_CUSTOM(fails) {
  const int what = call.input<int>(0)[0];
  if (what == 1) return call.fail("one is refused");
  if (what == 2) return 7;
  if (what == 3) throw 1;
  if (what == 4) call.input<float>(0);
  if (what == 5) call.output<int>(1);
  call.output<int>(0)[0] = what;
  return 0;
}
"""
WAYS: dict[str, Callable[..., Any]] = {
    "eager": lambda f: f,
    "evaluate": lambda f: jit(f, compiler="evaluate"),
    "native": lambda f: jit(f, compiler="native"),
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def vector(x: TensorType) -> TensorType:
    if len(x.shape) != 1:
        raise ShapeError(f"backwards: expected a vector, got {x}; reshape it")
    return x


backwards = custom_call(
    "backwards", TEXT, result=vector, units=lambda x: x.size, grain=64, gradient=lambda g, y, x: backwards(g)
)
described = custom_call(
    "described",
    TEXT,
    result=lambda *given: {
        "about": nx.template((len(given), 3), "int32"),
        "sizes": nx.template(len(given[0].shape), "float64"),
    },
)
fails = custom_call("fails", TEXT, result=nx.template((), "int32"))


@ways
@pytest.mark.parametrize("n", [0, 1, 7, 5000])
def test_every_way_gives_the_same(n: int, way: Callable[..., Any]) -> None:
    x = np.arange(n, dtype=np.float32)
    y = way(lambda x: backwards(x * 3) + 1)(nx.tensor(x))
    assert (y.numpy() == 6 * x[::-1] + 1).all() and y.shape == (n,)
    assert (way(backwards)(nx.flip(nx.tensor(x), axis=0)).numpy() == 2 * x).all()


@ways
def test_code_sees_dtypes_and_shapes(way: Callable[..., Any]) -> None:
    given = [nx.zeros((2, 1, 3)), nx.tensor(True), nx.zeros((0, 4), "bfloat16"), nx.zeros((3,), "uint64")]
    made = way(described)(*given)
    expected = [[t.dtype.code, t.ndim, t.size] for t in given]
    assert made["about"].tolist() == expected and made["sizes"].tolist() == [2, 1, 3]


@ways
def test_in_regions_and_gradients(way: Callable[..., Any]) -> None:
    def f(x: Tensor) -> Tensor:
        y = checkpoint(lambda v: backwards(v) * v)(x)
        y = scan(lambda c, _: (backwards(c), None), y, length=3)[0]
        return (cond(x[0] > 0, backwards, lambda v: v, y) * nx.tensor([1.0, 2.0, 3.0])).sum()

    x = np.array([1, 2, 4], np.float32)
    weights = np.array([1, 2, 3], np.float32)
    assert way(f)(nx.tensor(x)).item() == 32 * float((x[::-1] * x) @ weights)
    assert way(grad(f))(nx.tensor(x)).tolist() == (32 * x[::-1] * (weights + weights[::-1])).tolist()
    second = way(grad(lambda x: (grad(f)(x) * x).sum()))(nx.tensor(x))
    assert second.tolist() == (64 * x[::-1] * (weights + weights[::-1])).tolist()


@ways
def test_lane_by_lane(way: Callable[..., Any]) -> None:
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    f = way(lambda x: vmap(lambda v: (backwards(v) * v).sum())(x))
    assert f(nx.tensor(x)).tolist() == (2 * x[:, ::-1] * x).sum(1).tolist()
    assert (way(grad(lambda x: f(x).sum()))(nx.tensor(x)).numpy() == 4 * x[:, ::-1]).all()
    made = way(lambda x, y: vmap(described, in_axes=(0, None))(x, y))(nx.zeros((2, 5)), nx.tensor(True))
    assert made["sizes"].tolist() == [[5.0], [5.0]]


def test_a_result_is_never_written_over_what_is_still_read() -> None:
    f = jit(lambda x: backwards(x), donate=0)
    assert f(nx.tensor([1.0, 2.0, 3.0])).tolist() == [6.0, 4.0, 2.0]


ERRORS = {
    1: "one is refused",
    2: "kernel returned status 7",
    3: "an exception left the kernel",
    4: "expected float32 as input 0, got int32",
    5: "expected the number of an output, got one of an operand that is not there",
}


@ways
@pytest.mark.parametrize("what", ERRORS)
def test_errors_of_the_code_reach_the_caller(what: int, way: Callable[..., Any]) -> None:
    f = way(lambda x: fails(x))
    with pytest.raises(RuntimeError, match=rf"^fails( at .*test_custom_calls\.py:\d+)?: {ERRORS[what]}$"):
        f(nx.tensor(what))
    assert f(nx.tensor(0)).item() == 0


def test_errors_in_many_threads_are_one() -> None:
    text = '#include "custom.h"\nAXON_CUSTOM(never) { return call.fail("no"); }'
    never = custom_call("never", text, result=nx.template(()), units=1000)
    with pytest.raises(RuntimeError, match=r"^never: no$"):
        never()


@ways
def test_shapes_are_refused_before_the_code_runs(way: Callable[..., Any]) -> None:
    with pytest.raises(ShapeError, match=r"backwards: expected a vector, got float32\[2,2\]"):
        way(lambda x: backwards(x))(nx.zeros((2, 2)))


def test_a_library_does_what_the_text_does(tmp_path: Path) -> None:
    path = tmp_path / "own.so"
    path.write_bytes(compile_cpp.build([TEXT], compile_cpp.custom_command)[0])
    other = custom_call("backwards", library=str(path), result=vector, units=lambda x: x.size)
    assert jit(other)(nx.tensor([1.0, 2.0])).tolist() == [4.0, 2.0]
    with pytest.raises(CompileError, match=r"expected a library with the symbol absent, got .*own\.so"):
        custom_call("absent", library=str(path), result=vector)(nx.tensor([1.0]))
    path.write_bytes(b"nothing")
    with pytest.raises(CompileError, match="expected an x86-64 shared library"):
        custom_call("backwards", library=str(path), result=vector)(nx.tensor([1.0]))
    with pytest.raises(CompileError, match=r"expected a library with the symbol backwards, got .*No such file"):
        custom_call("backwards", library=str(tmp_path / "no"), result=vector)(nx.tensor([1.0]))


def test_a_text_without_the_function_is_refused() -> None:
    with pytest.raises(
        CompileError, match=r"^custom_call: expected C\+\+ text with AXON_CUSTOM\(gone\), got 'int here;'"
    ):
        custom_call("gone", "int here;", result=nx.template(()))()
    with pytest.raises(CompileError, match=r"(?s)^custom_call: expected C\+\+ with AXON_CUSTOM\(gone\), .*gone:1:"):
        custom_call("gone", "int gone", result=nx.template(()))()


def test_a_kernel_that_returns_nothing_is_refused() -> None:
    text = '#include "custom.h"\nAXON_CUSTOM(silent) { call.output<float>(0)[0] = 1; }'
    with pytest.raises(CompileError, match=r"(?s)silent:2:.*return"):
        custom_call("silent", text, result=nx.template(()))()


def test_no_units_for_a_result_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^backwards: expected units for results of float32\[2\], got 0; mend units="):
        custom_call("backwards", TEXT, result=vector, units=lambda x: 0)(nx.ones(2))


def test_the_header_stands_alone_without_warnings(tmp_path: Path) -> None:
    (tmp_path / "own.cpp").write_text(TEXT)
    flags = ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-I", compile_cpp.headers()]
    subprocess.run([compile_cpp.found().path, *flags, str(tmp_path / "own.cpp")], check=True)


def test_a_saved_program_has_the_code(tmp_path: Path) -> None:
    jit(lambda x: backwards(x) + 1).lower(nx.zeros(3)).save(tmp_path / "program")
    (out,) = _core.load_program(str(tmp_path / "program"))((np.array([1, 2, 3], np.float32),))
    assert np.frombuffer(memoryview(out), np.float32).tolist() == [7.0, 5.0, 3.0]


def test_equal_calls_are_one_step() -> None:
    lowered = jit(lambda x: [backwards(x) + backwards(x), backwards(x + 1), fails(nx.tensor(0))][0]).lower(nx.zeros(3))
    assert lowered.graph().count("backwards(") == 1 and "fails" not in lowered.graph()
    assert "custom: backwards" in str(lowered.report())


def test_without_a_gradient_there_is_none() -> None:
    plain = custom_call("backwards", TEXT, result=vector)
    with pytest.raises(GradientError, match=r"^grad: backwards \(at .*\) cannot be differentiated: .*give custom_call"):
        grad(lambda x: plain(x).sum())(nx.zeros(3))


def test_gradients_have_the_types_of_operands() -> None:
    wrong = custom_call("backwards", TEXT, result=vector, gradient=lambda g, y, x: g[:1])
    with pytest.raises(GradientError, match=r"^backwards: expected a gradient of float32\[3\] .* got float32\[1\]"):
        grad(lambda x: wrong(x).sum())(nx.zeros(3))


def test_gradients_of_several_results_and_operands() -> None:
    rule: Any = lambda g, y, a, b: (nx.zeros(a.shape) + g["sizes"].sum().astype("float32"), None)  # noqa: E731
    f = custom_call(
        "described",
        TEXT,
        result=lambda a, b: {"about": nx.template((2, 3), "int32"), "sizes": nx.template(1, "float64")},
        gradient=rule,
    )
    _, pullback = vjp(lambda a, b: f(a, b)["sizes"], nx.zeros(2), nx.ones(()))
    assert [g.tolist() for g in pullback(nx.tensor([3.0], "float64"))] == [[3.0, 3.0], 0.0]


@pytest.mark.parametrize(
    ("kind", "text", "make"),
    [
        (ValueError, "expected the name of a C", lambda: custom_call("a b", TEXT, result=vector)),
        (TypeError, "got neither; give one", lambda: custom_call("a", result=vector)),
        (TypeError, "got both; give one", lambda: custom_call("a", TEXT, library="b", result=vector)),
        (TypeError, "expected texts as source", lambda: custom_call("a", 1, result=vector)),  # type: ignore[arg-type]
        (TypeError, "gradient to be a function", lambda: custom_call("a", TEXT, result=vector, gradient=1)),  # type: ignore[arg-type]
        (ValueError, "a grain of at least 1 unit, got 0", lambda: custom_call("a", TEXT, result=vector, grain=0)),
        (
            ValueError,
            "expected a number of units",
            lambda: custom_call("a", TEXT, result=vector, units=-1)(nx.zeros(1)),
        ),
        (TypeError, "expected types as result, got no leaf", lambda: custom_call("a", TEXT, result=lambda: [()])()),
        (TypeError, "expected types as result, got a Tensor", lambda: custom_call("a", TEXT, result=nx.zeros(1))),
        (TypeError, "expected types as result, got 'float32'", lambda: custom_call("a", TEXT, result="float32")),
    ],
)
def test_arguments_are_checked(kind: type[Exception], text: str, make: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=text):
        make()


def test_cuda_needs_a_text_of_its_own() -> None:
    with pytest.raises(AxonError, match="expected code of backwards for cuda, got none; give cuda="):
        jit(lambda x: backwards(x), device="cuda").lower(nx.template(3))
    own = custom_call("backwards", TEXT, result=vector, cuda=TEXT)
    assert "backwards" in jit(lambda x: own(x), device="cuda").lower(nx.template(3)).graph()
    with pytest.raises(TypeError, match="expected a text for one of cuda, got one for grian"):
        custom_call("backwards", TEXT, result=vector, grian=TEXT)
