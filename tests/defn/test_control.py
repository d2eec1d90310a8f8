"""Control flow: values inside and outside traces, under every compiler, and the errors that name a leaf."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from axon import nx, tree
from axon.defn import cond, fori_loop, grad, scan, switch, while_loop
from axon.errors import DTypeError, ShapeError, TraceError
from axon.graph.printing import text
from axon.graph.trace import trace
from axon.nx import Tensor


def values(made: Any) -> Any:
    return tree.map(lambda t: t.tolist(), made)


@pytest.mark.parametrize("x", [3.0, -3.0])
def test_cond(run: Any, x: float) -> None:
    def f(x: Tensor) -> Any:
        return cond(x > 0, lambda x: {"y": x * 2, "n": nx.astype(x, "int32")}, lambda x: {"y": -x, "n": 7}, x)

    assert values(run(f, nx.tensor(x))) == ({"y": 6, "n": 3} if x > 0 else {"y": 3, "n": 7})


def test_cond_runs_one_branch_and_captures(run: Any) -> None:
    def f(x: Tensor, flag: Tensor) -> Tensor:
        return cond(flag, lambda: x * table[0:3], lambda: table[3:6] - x)

    table = nx.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    x = nx.tensor([1.0, 1.0, 1.0])
    assert run(f, x, nx.tensor(True)).tolist() == [1, 2, 3]
    assert run(f, x, nx.tensor(False)).tolist() == [3, 4, 5]


@pytest.mark.parametrize(("index", "expected"), [(-5, 1.0), (0, 1.0), (1, 20.0), (2, 300.0), (9, 300.0)])
def test_switch_clamps(run: Any, index: int, expected: float) -> None:
    def f(i: Tensor, x: Tensor) -> Tensor:
        return switch(i, [lambda x: x, lambda x: x * 20, lambda x: x * 300], x)

    assert run(f, nx.tensor(index), nx.tensor(1.0)).item() == expected


def test_switch_takes_any_integer(run: Any) -> None:
    assert run(lambda i: switch(i, [lambda: 1, lambda: 2]), nx.tensor(1, "int64")).item() == 2
    for i, dtype, expected in (
        (2**32, "int64", 2),
        (-(2**32) + 1, "int64", 1),
        (2**31, "uint32", 2),
        (2**63, "uint64", 2),
    ):
        assert run(lambda i: switch(i, [lambda: 1, lambda: 2]), nx.tensor(i, dtype)).item() == expected


def test_nested_control_flow(run: Any) -> None:
    def collatz(n: Tensor) -> Tensor:
        def step(c: tuple[Tensor, Tensor]) -> Any:
            n, count = c
            return cond(n % 2 == 0, lambda: n // 2, lambda: 3 * n + 1), count + 1

        return while_loop(lambda c: c[0] != 1, step, (n, 0))[1]

    assert run(collatz, nx.tensor(27)).item() == 111


def test_while_that_never_runs(run: Any) -> None:
    assert run(lambda x: while_loop(lambda c: c < 0, lambda c: c + 1, x), nx.tensor(5)).item() == 5


def test_while_with_a_swap_in_the_carry(run: Any) -> None:
    def fibonacci(n: Tensor) -> Tensor:
        return while_loop(lambda c: c[2] < n, lambda c: (c[1], c[0] + c[1], c[2] + 1), (0, 1, 0))[0]

    assert run(fibonacci, nx.tensor(10)).item() == 55


def test_while_over_a_tree_with_captures(run: Any) -> None:
    m = nx.tensor([[0.5, 0.1], [0.2, 0.4]])

    def f(x: Tensor) -> Any:
        start = {"x": x, "n": nx.literal(value=0, dtype="int32")}
        return while_loop(
            lambda c: nx.sum(c["x"]) > 0.01, lambda c: {"x": nx.matmul(m, c["x"]), "n": c["n"] + 1}, start
        )

    x, n = np.array([1.0, 2.0], "float32"), 0
    while x.sum() > 0.01:
        x, n = m.numpy() @ x, n + 1
    made = run(f, nx.tensor([1.0, 2.0]))
    assert made["n"].item() == n
    np.testing.assert_allclose(made["x"].numpy(), x, rtol=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
def test_scan(run: Any, reverse: bool) -> None:
    scale = nx.tensor(10.0)

    def f(xs: Any) -> Any:
        def step(c: Any, x: Any) -> Any:
            total = c["sum"] + x["a"] * scale
            return {"sum": total}, (total, x["b"] + 1)

        return scan(step, {"sum": 0.0}, xs, reverse=reverse)

    a, b = np.arange(1, 5, dtype="float32"), np.arange(8, dtype="int32").reshape(4, 2)
    carry, (totals, bs) = run(f, {"a": nx.tensor(a), "b": nx.tensor(b)})
    expected = np.cumsum(a * 10) if not reverse else np.cumsum(a[::-1] * 10)[::-1]
    assert carry["sum"].item() == 100
    assert totals.tolist() == expected.tolist()
    assert bs.tolist() == (b + 1).tolist()


def test_scan_by_length_without_rows(run: Any) -> None:
    assert values(run(lambda x: scan(lambda c, _: (c * 2, c), x, length=3), nx.tensor(1.0))) == (8, [1, 2, 4])


def test_scan_of_no_rows(run: Any) -> None:
    carry, ys = run(lambda x: scan(lambda c, r: (c + nx.sum(r), r > 0), 1.0, x), nx.zeros((0, 2)))
    assert carry.item() == 1
    assert str(ys.type) == "bool[0,2]"


def test_scan_keeps_names() -> None:
    x = nx.tensor(np.ones((2, 3), "float32"), names=["time", "feature"])
    _, ys = scan(lambda c, r: (c, r * 2), 0.0, x)
    assert ys.names == (None, "feature")


def test_fori_loop(run: Any) -> None:
    assert run(lambda x: fori_loop(2, 5, lambda i, c: c * 10 + i, x), nx.tensor(0)).item() == 234
    assert run(lambda x, n: fori_loop(0, n, lambda i, c: c + i, x), nx.tensor(0), nx.tensor(5)).item() == 10
    assert run(lambda x: fori_loop(5, 2, lambda i, c: c + i, x), nx.tensor(7)).item() == 7


def test_what_regions_capture_becomes_inputs() -> None:
    def f(x: Tensor, y: Tensor) -> Tensor:
        return cond(nx.sum(x) > 0, lambda a: a * y, lambda a: a + x, x)

    graph = trace(f, (nx.template(3), nx.template(3))).graph
    node = graph.nodes[-1]
    assert [v in graph.inputs for v in node.inputs] == [False, True, True, True]
    for region in node.attrs["regions"]:
        assert region.input_types == tuple(v.type for v in node.inputs[1:])
    assert "region 1(%0: float32[3], %1: float32[3], %2: float32[3])" in text(graph)


# Errors


def one(_: Any = None) -> Tensor:
    return nx.tensor(1.0)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: cond(nx.tensor([True]), one, one),
            DTypeError,
            r"cond: expected a bool predicate of rank 0, got bool\[1",
        ),
        (lambda: cond(nx.tensor(1), one, one), DTypeError, r"cond: expected a bool predicate of rank 0, got int32\[\]"),
        (
            lambda: cond(True, lambda: {"a": [one()]}, lambda: {"a": [nx.tensor([1.0])]}),
            TraceError,
            r"cond at a.0: expected true_fn's result to have the type of false_fn's .*, float32\[1\], got float32\[\]",
        ),
        (
            lambda: cond(True, lambda: 1, lambda: 1.0),
            TraceError,
            r"cond: expected true_fn's .* float32\[\], got int32\[\]; cast with astype\(float32\)",
        ),
        (
            lambda: cond(True, lambda: (one(), one()), one),
            TraceError,
            r"cond: expected true_fn's result to have the structure of .*, Structure\(\*\), got .*; return the same",
        ),
        (
            lambda: cond(True, lambda: {"a": one(), "b": one()}, lambda: {"b": one(), "a": one()}),
            TraceError,
            r"cond: expected true_fn's result to have the structure of .*; give the keys in one order",
        ),
        (
            lambda: switch(nx.tensor(0.0), [one]),
            DTypeError,
            r"switch: expected an integer index of rank 0, got float32",
        ),
        (lambda: switch(nx.tensor(0), []), ValueError, "switch: expected at least one branch, got none"),
        (
            lambda: switch(nx.tensor(0), [one, one, lambda: nx.tensor(1)]),
            TraceError,
            r"switch: expected branch 2's result to have the type of branch 0's result, float32\[\], got int32\[\]",
        ),
        (
            lambda: while_loop(lambda c: c, lambda c: c, nx.tensor(1)),
            DTypeError,
            r"while_loop: expected cond_fn to return a bool of rank 0, got int32\[\]",
        ),
        (
            lambda: while_loop(lambda c: c["n"] < 1, lambda c: {"n": c["n"] + 0.5}, {"n": 0}),
            TraceError,
            r"while_loop at n: expected the carry that body_fn returns to have the type of the initial carry, "
            r"int32\[\], got float32\[\]; cast with astype\(int32\)",
        ),
        (
            lambda: scan(lambda c, x: ((c, c), x), 0.0, nx.zeros(3)),
            TraceError,
            "scan: expected the carry that f returns to have the structure of the initial carry",
        ),
        (
            lambda: scan(lambda c, x: c, 0.0, nx.zeros(3)),
            TraceError,
            r"scan: expected f to return \(carry, y\), got a Tensor",
        ),
        (lambda: scan(lambda c, x: (c, x), 0.0), ShapeError, "scan: expected xs or length, got neither"),
        (
            lambda: scan(lambda c, x: (c, None), 0.0, {"a": nx.zeros(3), "b": nx.zeros(4)}),
            ShapeError,
            r"scan: xs at b: expected 3 rows like the others, got float32\[4\]",
        ),
        (lambda: scan(lambda c, x: (c, x), 0.0, nx.zeros(())), ShapeError, r"scan: xs: expected a tensor with axes"),
        *(
            (
                lambda n=n: scan(lambda c, x: (c, x), 0.0, length=n),
                ShapeError,
                f"scan: expected length to be an integer of at least 0, got {n!r}; say",
            )
            for n in (-1, 3.0, "a", True)
        ),
        (
            lambda: cond(True, 1, one),
            TraceError,
            "cond: expected true_fn to be a function, got a int; pass the function",
        ),
        (lambda: switch(nx.tensor(0), [one, 2]), TraceError, "switch: expected branch 1 to be a function, got a int"),
        (lambda: while_loop(True, one, 0), TraceError, "while_loop: expected cond_fn to be a function, got a bool"),
        (lambda: scan(None, 0, length=1), TraceError, "scan: expected f to be a function, got a NoneType"),
        (lambda: fori_loop(0, 1, 5, 0), TraceError, "fori_loop: expected body_fn to be a function, got a int"),
        (
            lambda: fori_loop(0, 2.5, lambda i, c: c, 1.0),
            DTypeError,
            r"fori_loop: expected integer bounds of rank 0, got float32\[\]; cast it with astype",
        ),
        (
            lambda: fori_loop(nx.tensor([0]), 2, lambda i, c: c, 1.0),
            DTypeError,
            r"fori_loop: expected integer bounds of rank 0, got int32\[1\]",
        ),
        (
            lambda: fori_loop(0, 3, lambda i, c: c > 0, 1.0),
            TraceError,
            r"fori_loop: expected the carry that body_fn returns to have the type of the initial .* got bool",
        ),
    ],
)
def test_errors(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_gradient_of_cond(run: Any) -> None:
    def f(x: Tensor, w: Tensor) -> Tensor:
        return cond(nx.sum(x) > 0, lambda x: nx.sum(x * x * w), lambda x: nx.sum(w) + 0 * x[0], x)

    both = grad(f, argnums=(0, 1))
    assert values(run(both, nx.tensor([1.0, 2.0]), nx.tensor([3.0, 4.0]))) == ([6, 16], [1, 4])
    assert values(run(both, nx.tensor([-1.0, -2.0]), nx.tensor([3.0, 4.0]))) == ([0, 0], [1, 1])


def test_second_derivative_of_cond(run: Any) -> None:
    f = grad(grad(lambda x: cond(x > 0, lambda: x**3, lambda: x**2)))
    assert run(f, nx.tensor(2.0)).item() == 12
    assert run(f, nx.tensor(-2.0)).item() == 2
