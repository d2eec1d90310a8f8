"""vmap: every row over lanes gives the stack of what it gives for each; control flow, gradients, axes, errors."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import axon
import numpy as np
import pytest
from axon import nx
from axon.errors import ShapeError, StructureError, TraceError
from axon.nx.core.op import Op
from axon.nx.core.tensor import Tensor

from tests import cases

LANES = 3


def calls(op: Op) -> Iterator[tuple[list[list[np.ndarray]], dict[str, Any]]]:
    """The operands of several calls of a row, and their attributes."""
    dtype = next((d for d in cases.accepted(op) if d.name == "float32"), cases.accepted(op)[0])
    for case in cases.cases(op, dtype, special=False):
        yield [[np.roll(a, k).copy() for a in case.args] for k in range(LANES)], case.attrs


def one(op: Op, attrs: dict[str, Any]) -> Callable[..., Any]:
    function: Any = op.function
    variadic = op.name == "concat"
    return lambda *xs: function(list(xs), **attrs) if variadic else function(*xs, **attrs)


def same(op: Op, got: Any, wanted: Any) -> None:
    for g, w in zip(axon.tree.leaves(got), axon.tree.leaves(wanted), strict=True):
        assert g.type == w.type
        exact = not (op.kind.reduces or op.name in ("dot_general",) or op.name.startswith("conv"))
        if exact or not g.dtype.is_float:
            np.testing.assert_array_equal(g.numpy(), w.numpy())
        else:
            np.testing.assert_allclose(g.numpy(), w.numpy(), 1e-5, 1e-5)


@pytest.mark.parametrize("op", [op for op in cases.rows() if not op.kind.creates], ids=lambda op: op.name)
def test_a_row_over_lanes_is_the_stack_of_its_calls(op: Op) -> None:
    done = set()
    for several, attrs in calls(op):
        layout = (*(a.shape for a in several[0]), str(attrs))
        if layout in done:
            continue
        done.add(layout)
        function = one(op, attrs)
        for which in itertools.product((True, False), repeat=len(several[0])):
            if not any(which):
                continue
            lanes = [[a if m else several[0][k] for k, (a, m) in enumerate(zip(args, which))] for args in several]
            wanted = [function(*map(nx.tensor, args)) for args in lanes]
            wanted = axon.tree.map(lambda *parts: nx.stack(parts), wanted[0], *wanted[1:])
            columns = [nx.stack(list(map(nx.tensor, c))) if m else nx.tensor(c[0]) for c, m in zip(zip(*lanes), which)]
            mapped = axon.vmap(function, in_axes=tuple(0 if m else None for m in which))
            same(op, mapped(*columns), wanted)


# Programs: what one lane does, its arguments for all lanes, and which of them are mapped


def looped(function: Callable[..., Any], in_axes: tuple[Any, ...], args: tuple[Tensor, ...], count: int) -> Any:
    """The stack of what a function gives for each lane, one after the other."""
    picked = lambda x, axis, k: x if axis is None else nx.tensor(np.take(x.numpy(), k, axis))  # noqa: E731
    made = [function(*[picked(x, a, k) for x, a in zip(args, in_axes)]) for k in range(count)]
    return axon.tree.map(lambda *parts: nx.stack(parts), made[0], *made[1:])


def close(got: Any, wanted: Any) -> None:
    assert axon.tree.structure(got) == axon.tree.structure(wanted)
    for g, w in zip(axon.tree.leaves(got), axon.tree.leaves(wanted)):
        assert (g.dtype, g.shape) == (w.dtype, w.shape)
        np.testing.assert_allclose(g.numpy(), w.numpy(), 1e-5, 1e-6)


@axon.custom_grad
def doubled(x: Tensor, w: Tensor) -> Any:
    """x * w, whose gradients are twice what they are."""
    return x * w, lambda g: (2 * g * w, 2 * g * x)


def captured(x: Tensor) -> Tensor:
    slope = axon.stop_grad(x)
    return axon.custom_grad(lambda y: (y.sin(), lambda g: g * slope))(x * 2)


def steps(x: Tensor, w: Tensor) -> Any:
    """A scan whose carry becomes mapped only in its second step."""
    (_, last), ys = axon.scan(lambda c, r: ((c[1], c[1] * r + x), c[0] * r), (nx.tensor(1.0), nx.tensor(2.0)), w)
    return last, ys


V = nx.tensor([0.5, -1.5, 2.0])
M = nx.tensor(np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4))
K = nx.tensor(np.random.default_rng(0).standard_normal((2, 4, 3)).astype(np.float32))
J = nx.tensor([2, 0, 3])
block = axon.checkpoint(lambda x, w: nx.tanh(x * w).sum())

PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...], tuple[Any, ...]]] = {
    "dense": (lambda x, w: nx.tanh(x @ w), (M, K[0]), (0, None)),
    "kernels": (lambda x, w: x @ w, (M[0], K.permute_dims((2, 1, 0))), (None, 0)),
    "last axis": (lambda x, w: (x @ w).sin(), (K.permute_dims((1, 0, 2)), nx.tensor([0.5, -2.0])), (2, None)),
    "softmax": (lambda x: axon.activations.softmax(x), (M,), (0,)),
    "cond": (lambda x: axon.cond(x > 0, lambda: x.sqrt(), lambda: x * 3), (V,), (0,)),
    "cond alike": (lambda p, x: axon.cond(p > 0, lambda: x * 2, lambda: V[0] * 2), (V[0], V), (None, 0)),
    "cond of trees": (
        lambda x, w: axon.cond(x > 0, lambda a: (a, w.sum()), lambda a: (a * 2, x), w), (V, M[0]), (0, None)
    ),
    "switch": (
        lambda i, x: axon.switch(i, [lambda v: v, lambda v: v * 2, lambda v: v * x], x),
        (nx.tensor([5, -1, 1]), V),
        (0, 0),
    ),
    "scan of rows": (lambda x: axon.scan(lambda c, r: (c * r + 1, c), nx.tensor(1.0), x), (M,), (0,)),
    "scan backwards": (
        lambda x: axon.scan(lambda c, r: (c + r, (c, r)), nx.tensor(1.0), x, reverse=True), (M.T,), (1,)
    ),
    "scan of what is captured": (lambda x: axon.scan(lambda c, _: (c * x, c), nx.tensor(1.0), length=3), (V,), (0,)),
    "scan of a carry": (lambda x, w: axon.scan(lambda c, r: (c * r, r), x, w), (V, M[0]), (0, None)),
    "scan that spreads": (steps, (V, M[0]), (0, None)),
    "loop": (lambda x: axon.fori_loop(0, 4, lambda i, c: c * x + i, x), (V,), (0,)),
    "custom gradient": (lambda x, w: doubled(x, w).sum(), (M, M[0]), (0, None)),
    "custom gradient of one": (lambda x, w: doubled(x, w).sum(), (M[0, 0], V), (None, 0)),
    "custom gradient of what is captured": (captured, (V,), (0,)),
    "checkpoint": (block, (M, M[0]), (0, None)),
    "stop_grad": (lambda x: x * axon.stop_grad(x * x), (V,), (0,)),
    "reading": (lambda x, i: x[i] * x[-1], (M, J), (0, 0)),
    "reading a table": (lambda x, i: x[i], (M[0], J), (None, 0)),
    "writing": (lambda x, i: x.at[i].add(x[0]), (M, J), (0, 0)),
    "sorting": (lambda x: nx.sort(x) * nx.arange(4), (M,), (0,)),
    "convolution": (
        lambda x, w: nx.conv(x.reshape((1, 4, 1)), w.reshape((2, 1, 2)), padding="same").sum(axis=1),
        (M, M[0]),
        (0, None),
    ),
    "kernels of convolution": (
        lambda x, w: nx.conv(x.reshape((1, 4, 1)), w.reshape((2, 1, 2))).sum(axis=1), (M[0], M), (None, 0)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_lanes_are_what_each_gives(name: str) -> None:
    function, args, in_axes = PROGRAMS[name]
    wanted = looped(function, in_axes, args, LANES)
    close(axon.vmap(function, in_axes)(*args), wanted)
    close(axon.jit(axon.vmap(function, in_axes), compiler="evaluate")(*args), wanted)
    close(axon.jit(axon.vmap(function, in_axes))(*args), wanted)


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_of_lanes_and_lanes_of_gradients(name: str) -> None:
    function, args, in_axes = PROGRAMS[name]
    places = tuple(k for k, x in enumerate(args) if x.dtype.is_float)
    scalar = lambda *xs: sum((leaf * leaf).sum() for leaf in axon.tree.leaves(function(*xs)))  # noqa: E731
    each = axon.grad(scalar, places)
    wanted = looped(each, in_axes, args, LANES)
    close(axon.vmap(each, in_axes)(*args), wanted)
    close(axon.jit(axon.vmap(each, in_axes))(*args), wanted)
    total = axon.grad(lambda *xs: axon.vmap(scalar, in_axes)(*xs).sum(), places)
    shared = lambda g, a: nx.tensor(g.numpy().sum(0)) if a is None else nx.tensor(np.moveaxis(g.numpy(), 0, a))  # noqa: E731
    wanted = tuple(shared(g, in_axes[k]) for k, g in zip(places, wanted))
    close(total(*args), wanted)
    close(axon.jit(total)(*args), wanted)


def doubling(x: Tensor) -> Tensor:
    return axon.while_loop(lambda c: c < 100, lambda c: c * 2, x)


def counting(x: Tensor) -> Any:
    """A loop whose counter differs among lanes only since its end does."""
    return axon.while_loop(lambda c: c[0] < x, lambda c: (c[0] + 1, c[1] * 2), (nx.tensor(0), nx.tensor(1)))


def walking(x: Tensor, n: Tensor) -> Tensor:
    """A loop over elements, outside of which a lane that has ended must not read."""
    return axon.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] + x[c[0]]), (nx.tensor(0), nx.tensor(0.0)))[1]


def halving(x: Tensor) -> Tensor:
    """A branch whose loop would not end for a lane that does not ask for it."""
    return axon.cond(x > 0, lambda: axon.while_loop(lambda c: c != 1, lambda c: c // 2, x), lambda: x)


LOOPS: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...], tuple[Any, ...]]] = {
    "doubling": (doubling, (nx.tensor([1, 3, 200]),), (0,)),
    "counting": (counting, (nx.tensor([3, 0, 5]),), (0,)),
    "walking": (walking, (M, nx.tensor([4, 0, 2])), (0, 0)),
    "as often": (lambda x, n: axon.fori_loop(0, n, lambda i, c: c * x, x), (V, nx.tensor(3)), (0, None)),
    "of each": (lambda x, n: axon.fori_loop(n, 5, lambda i, c: c * x + i, x), (V, nx.tensor([3, 0, 7])), (0, 0)),
    "halving": (halving, (nx.tensor([5, -3, 8]),), (0,)),
    "reading where it may": (
        lambda x, i: axon.cond(i < 4, lambda: x[i], lambda: 0.0), (M, nx.tensor([9, 1, 4])), (0, 0)
    ),
    "nobody asks": (lambda x, i: axon.cond(i < 4, lambda: x[i], lambda: x[0]), (M, nx.tensor([9, 5, 4])), (0, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOPS)
def test_lanes_end_one_by_one(name: str) -> None:
    function, args, in_axes = LOOPS[name]
    wanted = looped(function, in_axes, args, LANES)
    close(axon.vmap(function, in_axes)(*args), wanted)
    close(axon.jit(axon.vmap(function, in_axes), compiler="evaluate")(*args), wanted)
    close(axon.jit(axon.vmap(function, in_axes))(*args), wanted)
    twice = tuple(x if a is None else nx.stack([x, x], axis=1) for x, a in zip(args, in_axes))
    nested = axon.vmap(axon.vmap(function, in_axes), tuple(None if a is None else 1 for a in in_axes))
    close(axon.jit(nested)(*twice), axon.tree.map(lambda t: nx.stack([t, t]), wanted))


def test_a_gradient_has_nothing_of_what_a_lane_did_not_ask_for() -> None:
    root = lambda x: axon.cond(x > 0, lambda: x.sqrt(), lambda: 0 * x)  # noqa: E731
    total = axon.grad(lambda x: axon.vmap(root)(x).sum())
    assert total(nx.tensor([4.0, -1.0, 0.0])).tolist() == [0.25, 0.0, 0.0]
    assert axon.jit(total)(nx.tensor([-4.0, -1.0])).tolist() == [0.0, 0.0]
    share = lambda w, x: axon.cond(x > 0, lambda: w * x.sqrt(), lambda: x)  # noqa: E731
    shared = axon.grad(lambda w, x: axon.vmap(share, (None, 0))(w, x).sum())
    for function in (shared, axon.jit(shared)):
        assert function(nx.tensor(3.0), nx.tensor([4.0, -1.0])).item() == 2.0
        assert function(nx.tensor(3.0), nx.tensor([-4.0, -1.0])).item() == 0.0


def test_random_numbers_are_those_of_each_key() -> None:
    keys = nx.random.split(nx.random.key(3), 4)
    draws = lambda k: (nx.random.normal(k, (3,)), nx.random.randint(k, (5,), 0, 9), nx.random.split(k))  # noqa: E731
    got = axon.vmap(draws)(keys)
    for k in range(4):
        for g, w in zip(got, draws(keys[k])):
            assert g[k].tolist() == w.tolist()


def test_nested_lanes() -> None:
    pairs = axon.vmap(axon.vmap(lambda x, y: (x * y).sum(), (0, None)), (None, 0))
    close(pairs(M, M), M @ M.T)
    close(axon.jit(axon.vmap(axon.grad(lambda v: axon.vmap(lambda x: (x @ v) ** 2)(M).sum())))(M), 2 * (M @ M.T) @ M)
    hessian = axon.vmap(axon.grad(lambda x: axon.grad(lambda y: y**3)(x)))
    close(hessian(V), 6 * V)


def test_gradients_an_example_of_a_network() -> None:
    rng = np.random.default_rng(1)
    params = {k: {"w": nx.tensor(rng.standard_normal(s).astype("float32"))} for k, s in (("a", (4, 5)), ("b", (5, 2)))}
    x, y = (nx.tensor(rng.standard_normal((6, n)).astype("float32")) for n in (4, 2))

    def loss(p: Any, x: Tensor, y: Tensor) -> Tensor:
        return ((nx.tanh(x @ p["a"]["w"]) @ p["b"]["w"] - y) ** 2).sum()

    each = axon.jit(axon.vmap(axon.grad(loss), (None, 0, 0)))(params, x, y)
    for k in range(6):
        close(axon.tree.map(lambda g, k=k: g[k], each), axon.grad(loss)(params, x[k], y[k]))


def test_a_dense_layer_is_one_product() -> None:
    def products(function: Any, *args: Tensor) -> list[str]:
        return [s for s in str(axon.jit(function).lower(*args).graph()).splitlines() if "dot_general" in s]

    (line,) = products(axon.vmap(lambda x, w: x @ w, (0, None)), nx.ones((7, 4)), nx.ones((4, 3)))
    assert "float32[7,3]" in line and "batch=((), ())" in line
    (line,) = products(axon.vmap(lambda w, x: w @ x, (None, 0)), nx.ones((3, 4)), nx.ones((7, 4)))
    assert "float32[7,3]" in line and "batch=((), ())" in line


def test_what_does_not_depend_on_lanes_is_computed_once() -> None:
    graph = str(axon.jit(axon.vmap(lambda x, w: x + w.exp(), (0, None))).lower(nx.ones((5, 3)), nx.ones(3)).graph())
    assert "exp(%1): float32[3]" in graph


# Axes


@pytest.mark.parametrize(("in_axis", "out_axis"), [(0, 0), (1, -1), (-1, 1), (2, -2)])
def test_axes_in_and_out(in_axis: int, out_axis: int) -> None:
    x = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    f = lambda t: t.T * 2  # noqa: E731
    got = axon.vmap(f, in_axis, out_axis)(nx.tensor(x))
    wanted = np.stack([np.take(x, k, in_axis).T * 2 for k in range(x.shape[in_axis])], out_axis)
    assert got.tolist() == wanted.tolist()


def test_trees_of_axes() -> None:
    args = {"x": nx.ones((2, 3)), "rest": (nx.ones(3), [nx.zeros(2), 5.0])}, "text"
    f = lambda a, text: {"sum": a["x"] + a["rest"][0] + a["rest"][1][1], "of": (a["rest"][1][0], text == "text")}  # noqa: E731
    axes = ({"rest": (0, None), "x": 1}, None)
    got = axon.vmap(f, axes, {"sum": 1, "of": (None, 0)})(*args)
    assert (got["sum"].shape, got["of"][0].shape, got["of"][1].tolist()) == ((2, 3), (2,), [True] * 3)


def test_arguments_by_keyword_and_what_is_no_array() -> None:
    f = lambda x, scale, *, y=None: x * scale if y is None else x * scale + y  # noqa: E731
    assert axon.vmap(f)(V, 2.0).tolist() == [1.0, -3.0, 4.0]
    assert axon.vmap(f)(V, scale=2, y=np.ones(3, "float32")).tolist() == [2.0, -2.0, 5.0]


def test_as_many_lanes_as_are_said_or_none() -> None:
    assert axon.vmap(lambda: nx.tensor(3.0), size=2)().tolist() == [3.0, 3.0]
    assert axon.vmap(lambda x: (x @ x, nx.sort(x)))(nx.zeros((0, 3)))[1].shape == (0, 3)
    grads = axon.vmap(axon.grad(lambda w, x: (nx.conv(x, w) ** 2).sum()), (None, 0))
    assert grads(nx.ones((2, 1, 3)), nx.ones((0, 1, 4, 1))).shape == (0, 2, 1, 3)


def test_names_of_axes() -> None:
    x = nx.ones((3, 2, 4)).rename(("batch", "row", "column"))
    seen = []
    got = axon.vmap(lambda t: seen.append(t.type.names) or t.sum("row"), "batch", -1)(x)
    assert (seen, got.type.names) == ([("row", "column")], ("column", None))
    assert axon.vmap(lambda t: t.rename(("a", "b")).T)(nx.ones((5, 3, 2))).type.names == (None, "b", "a")
    swapped = axon.vmap(lambda t: axon.scan(lambda c, r: (c + r, c), t[0], t)[1], "batch")(x)
    assert swapped.type.names == (None, None, "column")


# Errors

NO_FUNCTION: Any = 3


def scaled(x: Any, w: Any) -> Any:
    return x * w["scale"]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: axon.vmap(scaled)(V, {"scale": nx.ones(4)}), ShapeError,
         "vmap of scaled: expected mapped axes of one size, got 3 of argument x (axis 0 of float32[3]) and 4 of "
         "argument w.scale (axis 0 of float32[4]); say in_axes=None of what is the same for all"),
        (lambda: axon.vmap(scaled, axis_name="batch")(V, {"scale": nx.ones(())}), ShapeError,
         "vmap of scaled along batch, argument w.scale: expected an axis to map, got float32[]; say in_axes"),
        (lambda: axon.vmap(scaled, (3, None))(V, {"scale": 2.0}), ShapeError,
         "argument x: expected an axis in [-1, 1), got 3"),
        (lambda: axon.vmap(scaled, None)(V, {"scale": 2.0}), ShapeError,
         "expected an array with an axis to map, got none"),
        (lambda: axon.vmap(scaled, (0,))(V, {"scale": 2.0}), StructureError,
         "in_axes for 2 arguments by position, got 1"),
        (lambda: axon.vmap(scaled, (0, {"other": 0}))(V, {"scale": 2.0}), StructureError,
         "expected in_axes to be an axis, None or a tree of such"),
        (lambda: axon.vmap(scaled, (0, 1.5))(V, {"scale": 2.0}), StructureError, "expected in_axes to be an axis"),
        (lambda: axon.vmap(scaled, out_axes=None)(V, {"scale": 2.0}), TraceError,
         "result: expected a result that is the same for every example with out_axes=None, got float32[3]"),
        (lambda: axon.vmap(scaled, out_axes=2)(V, {"scale": 2.0}), ShapeError,
         "result: expected an axis in [-1, 1), got 2"),
        (lambda: axon.vmap(scaled, out_axes=(0, 0))(V, {"scale": 2.0}), StructureError,
         "expected out_axes to be an axis"),
        (lambda: axon.vmap(scaled, size=4)(V, {"scale": 2.0}), ShapeError, "got 4 of size and 3 of argument x"),
        (lambda: axon.vmap(scaled, size=-1)(V, {"scale": 2.0}), ShapeError,
         "expected size to be an integer of at least 0"),
        (lambda: axon.vmap(NO_FUNCTION), TraceError, "vmap: expected function to be a function, got a int"),
        (lambda: axon.vmap(lambda x: "text")(V), TraceError, "result: expected tensors"),
        (lambda: axon.vmap(lambda x: 1 if x > 0 else 0)(V), TraceError, "use nx.where or axon.cond"),
        (lambda: axon.vmap(lambda x, i: x[i])(M, nx.tensor([0, 4, 1])), IndexError, "take (at "),
        (lambda: axon.vmap(lambda x, i: x[i])(M, nx.tensor([0, 4, 1])), IndexError,
         "expected indices in [-4, 4) for axis 0, got 4"),
    ],
)  # fmt: skip
def test_errors_name_the_place(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)
