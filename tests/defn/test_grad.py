"""Gradients as users meet them: arguments, aux, composition, custom gradients, and errors. Rows are checked one by one
by finite differences in the sweep over the table."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from axon import nx, tree
from axon.defn import cond, custom_grad, grad, jit, scan, stop_grad, value_and_grad, vjp, while_loop
from axon.defn.backward import Record, pull
from axon.defn.evaluate import replay
from axon.dtypes import float32
from axon.errors import GradientError
from axon.graph.expr import Builder, Graph, Value
from axon.graph.trace import trace
from axon.nx import Tensor
from axon.nx.core.kinds import ELEMENTWISE
from axon.nx.core.op import TABLE, Op
from axon.nx.core.tensor import TensorType


@pytest.fixture(params=["eager", "evaluate", "native"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Call a function directly, or compiled."""
    if request.param == "eager":
        return lambda f, *args: f(*args)
    return lambda f, *args: jit(f, compiler=request.param)(*args)


def values(made: Any) -> Any:
    return tree.map(lambda t: t.tolist(), made)


class Params(NamedTuple):
    w: Any
    b: Any


def test_gradients_have_the_structure_of_their_arguments(run: Any) -> None:
    def loss(p: Params, x: Tensor) -> Tensor:
        return nx.sum((x @ p.w["kernel"] + p.b) * 2)

    p = Params({"kernel": nx.ones((2, 3)), "unused": nx.ones(4)}, nx.zeros(3))
    g = run(grad(loss), p, nx.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert values(g) == Params({"kernel": [[8.0] * 3, [12.0] * 3], "unused": [0.0] * 4}, [4.0] * 3)


def test_argnums(run: Any) -> None:
    def f(x: Any, y: Any, *, z: Any) -> Tensor:
        return x * y * z

    x, y, z = (nx.tensor(v) for v in (2.0, 3.0, 5.0))
    assert values(run(lambda: grad(f)(x, y, z=z))) == 15
    assert values(run(lambda: grad(f, 1)(x, y, z=z))) == 10
    assert values(run(lambda: grad(f, -1)(x, y, z=z))) == 10
    assert values(run(lambda: grad(f, "z")(x, y, z=z))) == 6
    assert values(run(lambda: grad(f, "y")(x, y, z=z))) == 10
    assert values(run(lambda: grad(f, (1, "z", 0))(x, y, z=z))) == (10, 6, 15)


def test_other_arguments_are_passed_as_they_are() -> None:
    def f(x: Tensor, mode: str, power: int, table: Any) -> Tensor:
        return x**power * table["scale"] if mode == "power" else x

    assert grad(f)(nx.tensor(3.0), "power", 2, {"scale": np.float32(10)}).item() == 60


def test_python_floats_are_differentiated() -> None:
    assert grad(lambda x: x * x)(3.0).item() == 6


def test_value_and_aux(run: Any) -> None:
    def f(x: Tensor) -> Any:
        y = x * x
        return nx.sum(y), {"y": y, "n": 3}

    x = nx.tensor([1.0, 2.0])
    assert values(run(value_and_grad(f, has_aux=True), x)) == ((5, {"y": [1, 4], "n": 3}), [2, 4])
    assert values(run(grad(f, has_aux=True), x)) == ([2, 4], {"y": [1, 4], "n": 3})
    assert values(run(value_and_grad(lambda x: f(x)[0]), x)) == (5, [2, 4])


def test_vjp(run: Any) -> None:
    def f(x: Tensor, y: Tensor) -> Any:
        made, pullback = vjp(lambda x, y: {"p": x * y, "s": x + y}, x, y)
        return made, pullback({"p": nx.tensor([1.0, 10.0]), "s": nx.tensor([100.0, 100.0])})

    made, gradients = run(f, nx.tensor([1.0, 2.0]), nx.tensor([3.0, 4.0]))
    assert values(made) == {"p": [3, 8], "s": [4, 6]}
    assert values(gradients) == ([103, 140], [101, 120])


def test_a_pullback_called_again(run: Any) -> None:
    """Its calls are copies of a recording: with captured tensors, an argument that nothing reads, a scan's trace."""
    c = nx.tensor([1.0, 2.0, 4.0])

    def f(x: Tensor) -> Any:
        _, back = vjp(lambda x, u: (x * x * c)[::-1] + x.sum(), x, nx.ones(2))
        rows = [back(row) for row in nx.unstack(nx.eye(3))]
        _, scanned = scan(lambda carry, row: (carry, back(row)[0]), nx.zeros(()), nx.eye(3))
        return nx.stack([r[0] for r in rows]), [r[1] for r in rows], scanned

    jacobian, unused, scanned = values(run(f, nx.tensor([1.0, 10.0, 100.0])))
    assert jacobian == scanned == [[1, 1, 801], [1, 41, 1], [3, 1, 1]]
    assert unused == [[0, 0]] * 3


def test_a_recorded_pullback_is_the_same_expression() -> None:
    def f(x: Tensor, g: Tensor) -> Any:
        back = vjp(lambda x: nx.tanh(x) * nx.sum(x), x)[1]
        return [back(g)[0] for _ in range(3)], [back(k * g)[0] for k in (2.0, 3.0)]

    x = TensorType(float32, (3,))
    same, scaled = trace(f, (x, x)).graph.outputs[:3], trace(lambda x, g: f(x, g)[1], (x, x)).graph
    assert len(set(same)) == 1
    once = trace(lambda x, g: vjp(lambda x: nx.tanh(x) * nx.sum(x), x)[1](2.0 * g)[0], (x, x)).graph
    ops = lambda graph: Counter(node.op.name for node in graph.nodes)  # noqa: E731
    assert set(ops(scaled)) == set(ops(once)) and ops(scaled)["tanh"] == 1
    assert all(node.source.startswith(__file__) for node in scaled.nodes if node.op.name in ("tanh", "subtract"))


def test_vjp_with_aux() -> None:
    y, pullback, aux = vjp(lambda x: (x * x, "n" in {"n"}), nx.tensor(3.0), has_aux=True)
    assert (y.item(), pullback(nx.tensor(1.0))[0].item(), aux.item()) == (9, 6, True)


def test_higher_derivatives(run: Any) -> None:
    f = lambda x: nx.exp(2 * x)  # noqa: E731
    for n in range(1, 4):
        f = grad(f)
        np.testing.assert_allclose(run(f, nx.tensor(0.5)).item(), 2**n * np.exp(1.0), rtol=1e-6)


def test_hessian_vector_product(run: Any) -> None:
    f = lambda x: nx.sum(x**3)  # noqa: E731
    v = nx.tensor([1.0, 2.0])
    hvp = grad(lambda x: nx.sum(grad(f)(x) * v))
    assert run(hvp, nx.tensor([1.0, 2.0])).tolist() == [6, 24]


def test_grad_of_a_definition_and_inside_one() -> None:
    inner = jit(lambda x: x * x, compiler="evaluate")
    outer = jit(grad(inner), compiler="evaluate")
    assert outer(nx.tensor(3.0)).item() == 6
    assert inner.traces == 0


def test_contributions_add_up_in_every_use(run: Any) -> None:
    x = nx.tensor([1.0, 2.0])
    assert run(grad(lambda x: nx.sum(x * x + x * x[0] + 3 * x)), x).tolist() == [2 + 3 + 1 + 3, 4 + 1 + 3]


def test_broadcast_operands_get_their_shape_back(run: Any) -> None:
    row, column = nx.ones((1, 3)), nx.ones((2, 1))
    g = run(grad(lambda a, b, c: nx.sum(a * b * c), (0, 1, 2)), row, column, nx.tensor(2.0))
    assert values(g) == ([[4.0] * 3], [[6.0], [6.0]], 6.0)


def test_dtypes_of_gradients_are_the_arguments(run: Any) -> None:
    x = nx.tensor([1.0, 2.0], "float16")
    w = nx.tensor([3.0, 4.0], "float64")
    gx, gw = run(grad(lambda x, w: nx.sum(x * w), (0, 1)), x, w)
    assert (str(gx.type), str(gw.type)) == ("float16[2]", "float64[2]")
    assert values((gx, gw)) == ([3, 4], [1, 2])


def test_paths_through_integers_and_comparisons_give_zero(run: Any) -> None:
    def f(x: Tensor) -> Tensor:
        return nx.sum(nx.astype(nx.astype(x, "int32"), "float32") + nx.floor(x) + nx.where(x > 1, x, 0))

    assert run(grad(f), nx.tensor([0.5, 1.5])).tolist() == [0, 1]


def test_stop_grad(run: Any) -> None:
    def f(x: Any) -> Tensor:
        held = stop_grad({"a": x["a"], "n": nx.tensor(2)})
        return x["a"] * held["a"] * held["n"]

    assert values(run(grad(f), {"a": nx.tensor(3.0)})) == {"a": 6}


# Custom gradients


@custom_grad
def clipped(x: Tensor, limit: Tensor) -> Any:
    return x, lambda g: (nx.clip(g, -limit, limit), None)


def test_custom_grad(run: Any) -> None:
    f = lambda x, limit: 5 * clipped(x, limit)  # noqa: E731
    assert run(f, nx.tensor(2.0), nx.tensor(1.0)).item() == 10
    assert values(run(grad(f, (0, 1)), nx.tensor(2.0), nx.tensor(1.0))) == (1, 0)


def test_custom_grad_over_trees_shares_the_forward_pass(run: Any) -> None:
    @custom_grad
    def f(p: Any) -> Any:
        e = nx.exp(p["x"])
        return {"y": e, "z": p["n"]}, lambda g: {"x": g["y"] * e * 100, "n": None}

    loss = lambda x: f({"x": x, "n": nx.tensor(1)})["y"]  # noqa: E731
    np.testing.assert_allclose(run(grad(loss), nx.tensor(1.0)).item(), 100 * np.e, rtol=1e-6)
    np.testing.assert_allclose(run(grad(grad(loss)), nx.tensor(1.0)).item(), 100 * np.e, rtol=1e-6)


def test_custom_grad_reads_what_it_captures(run: Any) -> None:
    w = nx.tensor(7.0)

    @custom_grad
    def f(x: Tensor) -> Any:
        return x * w, lambda g: g * w * 2

    assert run(grad(f), nx.tensor(1.0)).item() == 14


def test_custom_grad_does_not_see_derivatives_of_what_it_captures() -> None:
    def f(x: Tensor) -> Tensor:
        y = x * x
        return custom_grad(lambda z: (z * y, lambda g: g))(x)

    with pytest.raises(GradientError, match=r"custom_grad .*got a captured float32\[\] .*; pass it as an argument"):
        grad(f)(nx.tensor(1.0))
    held = lambda x: (lambda y: custom_grad(lambda z: (z * y, lambda g: g))(x))(stop_grad(x * x))  # noqa: E731
    assert grad(held)(nx.tensor(3.0)).item() == 1


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda x: x, r"custom_grad: expected \(result, pullback\), got float32\[2\]; return a pair"),
        (
            lambda x: (x, lambda g: nx.sum(g)),
            r"custom_grad: expected a gradient of float32\[2\] for argument 0, got float32\[\]; sum, broadcast or cast",
        ),
        (lambda x: (x, lambda g: (g,)), "for argument 0, got a tuple; of one argument return the gradient itself"),
    ],
)
def test_wrong_custom_gradients(f: Any, words: str) -> None:
    with pytest.raises(GradientError, match=words):
        custom_grad(f)(nx.tensor([1.0, 2.0]))


def test_options_of_a_custom_gradient_are_fixed_before() -> None:
    def scaled(x: nx.Tensor, by: float) -> Any:
        return x * by, lambda g: g * by

    assert grad(custom_grad(functools.partial(scaled, by=3.0)))(nx.tensor(1.0)).item() == 3
    with pytest.raises(TypeError, match=r"scaled: expected tensors by position, got by=; fix options before"):
        custom_grad(scaled)(nx.tensor(1.0), by=3.0)


@pytest.mark.parametrize(
    ("gradient", "words"),
    [(lambda g: g, "expected a tuple, got a Tensor"), (lambda g: (g,), r"\(0, 1\), got one of \(0\)")],
)
def test_custom_gradients_are_one_an_argument(gradient: Any, words: str) -> None:
    with pytest.raises(GradientError, match="custom_grad: expected a pullback .* a tuple of one for each.*" + words):
        custom_grad(lambda x, y: (x * y, gradient))(nx.tensor(1.0), nx.tensor(2.0))


@pytest.mark.parametrize("argnums", [np.int64(1), np.array(1), (np.int8(1),), np.array([1, 0])], ids=repr)
def test_argnums_of_numpy_are_pythons(argnums: Any) -> None:
    x, y = nx.tensor(2.0), nx.tensor(3.0)
    found = grad(lambda x, y: x * x * y, argnums)(x, y)
    assert tree.map(float, found) == (4.0 if np.ndim(argnums) == 0 else (4.0, 12.0)[: len(argnums)])


@pytest.mark.parametrize("argnums", [(0, 0), (1, -1), ("x", 0)])
def test_an_argument_is_differentiated_once(argnums: Any) -> None:
    with pytest.raises(GradientError, match="grad: expected each argument once in argnums, got"):
        grad(lambda x, y: x * y, argnums)(nx.tensor(1.0), nx.tensor(2.0))


# Errors


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: grad(lambda x: nx.sum(x))(nx.tensor([1, 2])),
            r"grad of <lambda>: expected float inputs, got int32\[2\] as differentiated argument 0; cast it",
        ),
        (
            lambda: grad(lambda p, x: x, (0, 1))(nx.tensor(1.0), {"w": [nx.tensor(True)]}),
            r"got bool\[\] as differentiated argument 1.w.0; .* pass it outside argnums",
        ),
        (
            lambda: grad(lambda x: x)(nx.tensor([1.0, 2.0])),
            r"grad: expected a float scalar result, got float32\[2\]; reduce it with nx.sum or nx.mean",
        ),
        (
            lambda: grad(lambda x: nx.astype(x, "int32"))(nx.tensor(1.0)),
            r"expected a float scalar result, got int32\[\]",
        ),
        (
            lambda: grad(lambda x: (x, x))(nx.tensor(1.0)),
            "expected a float scalar result, got a tuple; .* has_aux=True",
        ),
        (
            lambda: grad(lambda x: x, has_aux=True)(nx.tensor(1.0)),
            r"expected \(result, aux\) with has_aux=True, got float32",
        ),
        (lambda: grad(lambda x: x, 1)(nx.tensor(1.0)), "expected argnums among the 1 arguments given, got 1"),
        (lambda: grad(lambda x: x, "y")(nx.tensor(1.0)), "expected argnums among the 1 arguments given, got 'y'"),
        (
            lambda: vjp(lambda x: {"y": x}, nx.tensor([1.0]))[1]({"y": nx.tensor(1.0)}),
            r"vjp at y: expected a cotangent of float32\[1\], got float32\[\]; broadcast or cast it",
        ),
        (
            lambda: grad(lambda x: while_loop(lambda c: c < 9, lambda c: c * 2, x))(nx.tensor(1.0)),
            r"grad: while_loop \(at .*test_grad.py:\d+\) cannot be differentiated: how often it runs is",
        ),
    ],
)
def test_errors(call: Any, words: str) -> None:
    with pytest.raises(GradientError, match=words):
        call()


def test_rows_that_are_not_differentiable_say_why() -> None:
    odd = Op(name="odd", kind=ELEMENTWISE, infer=TABLE["exp"].infer, nondifferentiable="it jumps; use tanh instead")
    builder = Builder()
    x = builder.input(nx.template(()))
    y = Value(builder.node(odd, (x,), {}, (nx.template(()),), "model.py:7"), 0)
    graph = Graph([x], [y])
    env = {x: nx.tensor(1.0), y: nx.tensor(1.0)}
    with pytest.raises(
        GradientError, match=r"grad: odd \(at model.py:7\) cannot be differentiated: it jumps; use tanh"
    ):
        pull(Record(graph, [x], {x, y}, env, {}), [(y, nx.tensor(1.0))])


def test_the_sweep_visits_only_what_depends_on_the_arguments() -> None:
    def f(x: Tensor) -> Tensor:
        return nx.sum(x * nx.sin(w))

    w = nx.tensor([1.0, 2.0])
    made = trace(lambda x, w: grad(lambda x: nx.sum(x * nx.sin(w)))(x), (nx.template(2), nx.template(2)))
    names = [n.op.name for n in made.graph.nodes]
    assert "sin" in names and "cos" not in names


def test_backward_nodes_bear_the_line_of_the_forward_pass() -> None:
    made = trace(grad(lambda x: nx.sum(nx.sin(x))), (nx.template(2),))
    cos = next(n for n in made.graph.nodes if n.op.name == "cos")
    sin = next(n for n in trace(nx.sin, (nx.template(2),)).graph.nodes if n.op.name == "sin")
    assert cos.source.rsplit(":", 1)[0] == sin.source.rsplit(":", 1)[0] == __file__


def test_a_gradient_is_replayed_not_retraced() -> None:
    calls = []

    def f(x: Tensor) -> Tensor:
        calls.append(1)
        return x * x

    assert grad(f)(nx.tensor(3.0)).item() == 6
    assert len(calls) == 1
    made = trace(f, (nx.template(()),))
    assert replay(made.graph, [nx.tensor(4.0)])[made.graph.outputs[0]].item() == 16


@pytest.mark.parametrize("way", [lambda f: f, jit], ids=["eager", "native"])
def test_zeros_in_a_branch_have_the_names_of_their_axes(way: Any) -> None:
    given = nx.full((2, 3), 0.5).rename(["a", "b"])
    f = lambda p, x, y: nx.sum(cond(p, lambda x, y: nx.rename(x, None), lambda x, y: nx.rename(y, None), x, y))  # noqa: E731
    found = way(grad(f, (1, 2)))(nx.tensor(True), given, given)
    assert [g.type.names for g in found] == [("a", "b")] * 2 and [g.tolist()[0] for g in found] == [[1] * 3, [0] * 3]
