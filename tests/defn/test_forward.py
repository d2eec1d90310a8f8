"""Forward mode as users meet it: values, trees, aux, regions, custom rules, composition with gradients, and errors.
Rows are checked one by one in test_gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import axon
import numpy as np
import pytest
from axon import nx, testing, tree
from axon.defn import (
    checkpoint,
    cond,
    custom_grad,
    custom_jvp,
    fori_loop,
    grad,
    hook,
    jacfwd,
    jit,
    jvp,
    linearize,
    scan,
    stop_grad,
    switch,
    vjp,
    while_loop,
)
from axon.errors import GradientError, TraceError
from axon.graph.expr import CALL
from axon.graph.trace import trace
from axon.nx import Tensor
from axon.nx.core.op import TABLE
from axon.nx.core.tensor import TensorType

from tests import cases

X = np.array([0.3, -0.7, 1.1])


def values(made: Any) -> Any:
    return tree.map(lambda t: t.tolist(), made)


def test_what_is_computed_once_is_of_whole_calls() -> None:
    still = custom_jvp(lambda x: (x * x, lambda t: None))
    after = checkpoint(lambda x: (still(x), nx.sin(x)))
    f = lambda x: nx.multiply(*after(x))  # noqa: E731
    slope = 4 * np.cos(2.0)
    assert linearize(f, 2.0)[1](1.0).item() == pytest.approx(slope, rel=1e-6)
    assert jacfwd(f)(2.0).item() == jvp(f, (2.0,), (1.0,))[1].item() == pytest.approx(slope, rel=1e-6)
    chosen = lambda x: nx.multiply(*cond(x > 0, lambda x: (still(x), nx.sin(x)), lambda x: (x, x), x))  # noqa: E731
    assert linearize(chosen, 2.0)[1](1.0).item() == pytest.approx(slope, rel=1e-6)


def test_numbers_are_tangents_of_floats() -> None:
    assert jvp(lambda x: x * 2, (3.0,), (1,))[1].item() == 2
    assert linearize(lambda x: x * 2, nx.tensor(3.0, dtype="float64"))[1](1).dtype is nx.float64


def test_functions_are_asked_for_by_name() -> None:
    for name in ("grad", "value_and_grad", "hessian", "jacfwd", "jacrev", "jacobian"):
        with pytest.raises(TraceError, match="expected function to be a function, got a Tensor; pass the function"):
            getattr(axon, name)(nx.ones(2))
    for name, more in (("vjp", (1.0,)), ("linearize", (1.0,)), ("jvp", ((1.0,), (1.0,))), ("hvp", (1.0, 1.0))):
        with pytest.raises(TraceError, match=f"^{name}: expected function to be a function, got a int"):
            getattr(axon, name)(3, *more)


def test_results_and_tangents_have_one_structure(run: Any) -> None:
    def f(p: Any, x: Any) -> Any:
        return {"y": p["w"] * x, "n": nx.argmax(x)}, x.sum()

    def both(p: Any, x: Any, t: Any) -> Any:
        return jvp(f, (p, x), ({"w": t, "b": None}, None))

    p = {"w": nx.tensor([2.0, 3.0]), "b": nx.tensor(1.0)}
    made, tangent = values(run(both, p, nx.tensor([5.0, 7.0]), nx.tensor([1.0, 10.0])))
    assert made == ({"y": [10, 21], "n": 1}, 12)
    assert tangent == ({"y": [5, 70], "n": None}, 0)


def test_aux_has_no_tangent(run: Any) -> None:
    f = lambda x: (x * x, {"double": 2 * x})  # noqa: E731
    x, t = nx.tensor(3.0), nx.tensor(1.0)
    assert values(run(lambda x, t: jvp(f, (x,), (t,), has_aux=True), x, t)) == (9, 6, {"double": 6})

    def linear(x: Tensor, t: Tensor) -> Any:
        y, push, aux = linearize(f, x, has_aux=True)
        return y, push(t), push(2 * t), aux

    assert values(run(linear, x, t)) == (9, 6, 12, {"double": 6})


def test_what_is_no_float_is_passed_as_it_is(run: Any) -> None:
    f = lambda x, n, i: x**n + i  # noqa: E731
    assert values(run(lambda x, i: jvp(f, (x, 3, i), (1.0, None, None)), 2.0, nx.tensor(5))) == (13, 12)
    assert values(run(lambda x, i: linearize(f, x, 3, i)[1](1.0, None, None), 2.0, nx.tensor(5))) == 12


@pytest.mark.parametrize("dtype", [nx.float16, nx.bfloat16])
def test_halves_are_summed_in_float32(run: Any, dtype: Any) -> None:
    """4096 ones, of which a half's sum would lose one in two from 2048 (or 256) on."""
    x = nx.ones(4096, dtype)
    f = lambda x: (nx.sum(x * x), nx.max(x), x @ x)  # noqa: E731
    tangents = run(lambda x: jvp(f, (x,), (x,))[1], x)
    assert [t.dtype for t in tangents] == [dtype] * 3
    assert values(tangents) == (8192, 1, 8192)


def branch(x: Tensor) -> Tensor:
    return cond(x.sum() > 0, lambda x: nx.sin(x) * x, lambda x: x, x)


def chosen(x: Tensor) -> Any:
    return switch(nx.argmax(x), [lambda: x, lambda: nx.tensor(2 * X), lambda: x * x * x.sum()])


def loop(x: Tensor) -> Any:
    return while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * x, c[2] * 0.5), (0, nx.cos(x), nx.tensor(X)))[1:]


def handed_on(x: Tensor) -> Any:
    """A tangent reaches the last carry after three steps."""
    u = nx.tensor(X)
    step = lambda c: (c[0] + 1, c[1], c[1] * c[1], c[2] * c[1], c[3] + c[4])  # noqa: E731
    return while_loop(lambda c: c[0] < 4, step, (0, x, u, u, u))[1:]


def begun_anew(x: Tensor) -> Any:
    """A carry that begins with a tangent, and is a constant after a step: there are none, one or two of them."""
    step = lambda c: (c[0] + 1, nx.tensor(X), c[1] * 2)  # noqa: E731
    return [while_loop(lambda c, n=n: c[0] < n, step, (0, x, x))[1:] for n in range(3)]


def fold(x: Tensor) -> Any:
    return scan(
        lambda c, row: (nx.tanh(c * x.sum()) + row, (c * row, nx.tensor(1.5, nx.float64))),
        nx.tensor(0.5, nx.float64),
        x,
    )


def reversed_fold(x: Tensor) -> Any:
    step = lambda c, row: ((c[0] * row[0], c[1] + 1), c[0] + row[1])  # noqa: E731
    return scan(step, (x[0], 0), (x, nx.tensor(X)), reverse=True)


def counted(x: Tensor) -> Any:
    return fori_loop(0, 3, lambda i, c: c * x + i, x)


def again(x: Tensor) -> Any:
    return checkpoint(lambda x: (nx.tanh(nx.sin(x) * x), x.sum()))(x)


@custom_grad
def scaled(x: Tensor) -> Any:
    return {"a": x * x, "b": nx.argmax(x), "c": x.sum()}, lambda g: 2 * x * g["a"] + g["c"]


@custom_jvp
def softplus(x: Tensor) -> Any:
    return nx.log1p(nx.exp(x)), lambda t: t * nx.sigmoid(x)


REGIONS = [branch, chosen, loop, handed_on, begun_anew, fold, reversed_fold, counted, again, scaled, softplus]


@pytest.mark.parametrize("f", REGIONS, ids=lambda f: f.__name__)
def test_regions_by_differences(f: Any) -> None:
    modes = ("forward",) if f in (loop, handed_on, begun_anew) else testing.MODES
    testing.check_grads(f, X, modes=modes)
    testing.check_grads(lambda x: f(nx.sin(x)), X, modes=modes)  # no operand is an input


@pytest.mark.parametrize("compiler", ["evaluate", "native"])
@pytest.mark.parametrize("f", REGIONS, ids=lambda f: f.__name__)
def test_regions_compiled(f: Any, compiler: str) -> None:
    def both(x: Tensor, t: Tensor) -> Any:
        return jvp(f, (x,), (t,)), linearize(f, x)[1](t)

    x, t = nx.tensor(X), nx.tensor(X[::-1].copy())
    expected, found = both(x, t), jit(both, compiler=compiler)(x, t)
    for a, b in zip(tree.leaves(expected), tree.leaves(found), strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-12)


def test_a_loop_moves_only_what_depends_on_the_argument() -> None:
    body = lambda c: (c[0] + 1, c[1] * 2.0, c[2] + stop_grad(c[1]), c[3] * c[3])  # noqa: E731
    f = lambda x, u: while_loop(lambda c: c[0] < 3, body, (0, x, u, u))  # noqa: E731
    type_ = TensorType(nx.float32, (2,))
    traced = trace(lambda x, u, t: jvp(f, (x, u), (t, None)), (type_,) * 3)
    (node,) = [n for n in traced.graph.nodes if n.op is CALL]
    assert node.attrs["carry"] == 5


def test_linearize_computes_once_what_does_not_depend_on_tangents() -> None:
    def f(x: Tensor) -> Tensor:
        return nx.tanh(nx.exp(x) * x)

    traced = trace(lambda x, a, b: [linearize(f, x)[1](a), linearize(f, x)[1](b)], (TensorType(nx.float32, (3,)),) * 3)
    ops = [n.op.name for n in traced.graph.nodes]
    assert ops.count("exp") == ops.count("tanh") == 1
    _, push = linearize(f, nx.tensor(X))
    inside = trace(push, (TensorType(nx.float64, (3,)),)).graph
    assert not [n for n in inside.nodes if n.op.name in ("exp", "tanh")]
    np.testing.assert_allclose(push(nx.ones(3, nx.float64)).numpy(), jvp(f, (nx.tensor(X),), (np.ones(3),))[1].numpy())


def test_linearize_runs_a_function_with_a_rule_once(run: Any) -> None:
    seen: list[Any] = []

    def shown(rule: Any) -> Any:
        return rule(lambda x: (hook(x, lambda v: seen.append(v.item())) * 2, lambda t: 2 * t))

    def f(x: Tensor) -> Tensor:
        push = linearize(lambda x: shown(custom_jvp)(shown(custom_grad)(checkpoint(nx.sin)(x)) * x), x)[1]
        return push(x * 2) + push(x * 4)

    x = np.array(0.5)
    assert run(f, nx.tensor(x)).item() == pytest.approx(6 * x * 4 * (np.sin(x) + x * np.cos(x)))
    assert seen == pytest.approx([np.sin(x), 2 * x * np.sin(x)])


def test_modes_over_each_other(run: Any) -> None:
    f = lambda x: nx.sum(nx.sin(x) * x[0])  # noqa: E731
    x, v = nx.tensor(X), nx.tensor(X[::-1].copy())

    def products(x: Tensor, v: Tensor) -> Any:
        forward_over_reverse = jvp(grad(f), (x,), (v,))[1]
        reverse_over_forward = grad(lambda x: jvp(f, (x,), (v,))[1])(x)
        reverse_over_linear = grad(lambda x: linearize(f, x)[1](v))(x)
        by_transposition = vjp(linearize(grad(f), x)[1], v)[1](v)[0]
        return forward_over_reverse, reverse_over_forward, reverse_over_linear, by_transposition

    hessian = -np.diag(np.sin(X) * X[0])
    hessian[0] += np.cos(X)
    hessian[:, 0] += np.cos(X)
    for found in run(products, x, v):
        np.testing.assert_allclose(found.numpy(), hessian @ X[::-1], rtol=1e-12)


def test_tangents_keep_axis_names(run: Any) -> None:
    x = nx.tensor([1.0, 2.0]).rename(["a"])
    f = lambda x: fori_loop(0, 2, lambda i, c: c * nx.tensor([3.0, 1.0]), x)  # noqa: E731
    y, t = run(lambda x: jvp(f, (x,), (nx.ones(2),)), x)
    assert y.type == t.type and t.tolist() == [9, 1]


def test_a_custom_jvp_is_the_rule_of_both_modes(run: Any) -> None:
    @custom_jvp
    def f(p: Any, n: Tensor) -> Any:
        return {"y": p["x"] * n, "i": n}, lambda t, none: {"y": t["x"] * 10, "i": none}

    def both(x: Tensor, n: Tensor) -> Any:
        tangent = jvp(lambda x: f({"x": x, "z": x}, n), (x,), (nx.tensor([1.0, 2.0]),))[1]
        return tangent, grad(lambda x: f({"x": x, "z": x}, n)["y"].sum())(x)

    assert values(run(both, nx.tensor([1.0, 1.0]), nx.tensor(3))) == ({"y": [10, 20], "i": None}, [10, 10])


def test_a_tangent_of_none_is_zero() -> None:
    f = custom_jvp(lambda x: (x * x, lambda t: None))
    assert jvp(f, (2.0,), (1.0,))[1].item() == 0 == grad(f)(2.0).item()


@custom_jvp
def cubic(x: Tensor) -> Any:
    return x, lambda t: t**3


@custom_jvp
def shaped(x: Tensor) -> Any:
    return x, lambda t: t.sum()


def captured(rule: Any) -> Any:
    return lambda x: rule(lambda y: (x * y, lambda t: x * t))(nx.tensor(1.0))


@custom_grad
def clipped(x: Tensor) -> Any:
    return x, lambda g: nx.clip(g, -1.0, 1.0)


FAULTS: dict[str, tuple[Callable[[], Any], str]] = {
    "no tuple": (lambda: jvp(nx.sin, nx.ones(2), nx.ones(2)), r"^jvp: expected a tuple of arguments, got float32\[2\]"),
    "too few": (lambda: jvp(nx.add, (1.0, 2.0), (1.0,)), r"^jvp: expected tangents for 2 arguments, got 1 of them"),
    "tangent's shape": (
        lambda: jvp(nx.sin, (nx.ones(2),), (nx.ones(3),)),
        r"^jvp: expected a tangent of float32\[2\] for argument 0, got float32\[3\]; broadcast or cast it",
    ),
    "tangent's tree": (lambda: jvp(lambda p: p["a"], ({"a": 1.0},), ({"b": 1.0},)), r"^jvp: .* like argument 0"),
    "integer": (lambda: jvp(nx.sin, (nx.tensor(2),), (nx.tensor(1),)), r"^jvp: expected None as the tangent of arg"),
    "linear integer": (lambda: linearize(nx.sin, nx.tensor(2))[1](1.0), r"^linearize: expected None as the tangent"),
    "aux": (lambda: jvp(nx.sin, (1.0,), (1.0,), has_aux=True), r"^jvp: expected \(result, aux\) with has_aux=True"),
    "not linear in g": (
        lambda: jvp(clipped, (1.0,), (1.0,)),
        r"^jvp: custom_grad \(at .*: expected a pullback that is",
    ),
    "not linear in t": (lambda: grad(cubic)(1.0), r"^grad: custom_jvp \(at .*: expected a pushforward that is linear"),
    "custom shape": (lambda: shaped(nx.ones(2)), r"^custom_jvp: expected a tangent of float32\[2\], got float32\[\]"),
    "no pair": (lambda: custom_jvp(nx.sin)(1.0), r"^custom_jvp: expected \(result, pushforward\), got float32\[\]"),
    "captured": (lambda: jvp(captured(custom_jvp), (1.0,), (1.0,)), r"^custom_jvp.*got a captured float32\[\] that is"),
    "captured by a pullback": (lambda: jvp(captured(custom_grad), (1.0,), (1.0,)), r"^custom_grad.*got a captured"),
    "captured, in reverse": (lambda: grad(captured(custom_jvp))(1.0), r"^custom_jvp.*got a captured float32\[\] that"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_errors(name: str) -> None:
    run, text = FAULTS[name]
    with pytest.raises(GradientError, match=text):
        run()


def test_a_rule_that_is_not_linear_still_has_its_own_mode() -> None:
    assert grad(lambda x: 5 * clipped(x))(2.0).item() == 1
    assert jvp(cubic, (1.0,), (2.0,))[1].item() == 8


def test_what_ends_in_stop_grad_needs_no_rule(run: Any) -> None:
    f = lambda x: x * stop_grad(clipped(x)) + nx.argmax(clipped(x * nx.ones(2)))  # noqa: E731
    assert values(run(lambda x: (jvp(f, (x,), (nx.tensor(1.0),)), grad(f)(x)), nx.tensor(2.0))) == ((4, 2), 2)


def test_rows_with_rules_of_their_own_are_few() -> None:
    assert len([op for op in TABLE.values() if op.jvp is not None]) < 5
    assert len(cases.rows()) > 100
