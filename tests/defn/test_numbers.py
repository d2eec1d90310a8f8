"""Python numbers given to definitions: the definition gives what the function gives, and a value never traces anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import axon
import numpy as np
import pytest
from axon import nx, tree
from axon.defn import cond, debug, fori_loop, grad, jit, scan, stop_grad, value_and_grad, vjp, while_loop
from axon.errors import AxonError, DTypeError, TraceError

THIRD = 1 / 3


def ones(dtype: str) -> Any:
    return nx.ones(2, dtype)


CASES: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = [
    ("float64 keeps all digits", lambda x, a: x * a, (ones("float64"), THIRD)),
    ("numpy.float64 is a Python float", lambda x, a: x * a, (ones("float64"), np.float64(THIRD))),
    ("halves stay", lambda p, rate: p - rate * p, (ones("bfloat16"), 0.1)),
    ("small integers stay", lambda x, n: x * n + n, (ones("int8"), 2)),
    ("a float beside integers", lambda x, a: x * a, (ones("int8"), 0.5)),
    ("an integer beyond int32", lambda x, n: x + n, (ones("float32"), 2**40)),
    ("numpy's scalars have theirs", lambda x, a, n: (x * a, n * n), (ones("float16"), np.float32(0.1), np.int8(3))),
    ("by itself", lambda *numbers: numbers, (THIRD, 3, True)),
    ("operators", lambda x, a, b: [x * v for v in (a + b, 1 - a, a * b, a / b, a // b, a % b, a**b, -a, abs(a), 2**b)],
     (ones("float64"), -7, 3)),
    ("operators of a float", lambda x, a, b: [x * v for v in (a + b, 1 - a, a * b, 1 / a, a // b, a % b, abs(a), a**b)],
     (ones("float64"), -0.7, 3)),
    ("a negative power", lambda x, n: x * n**-2, (ones("float64"), 7)),
    ("operators of bools", lambda a, b: (a + b, a & b, a | b, a ^ b, -a, ~a, a == b, a < b, a * 0.5), (True, False)),
    ("rounded", lambda x, a, n, b: [x * v for v in (round(a), round(a, 1), round(n), round(b))],
     (ones("float16"), 2.56, 3, True)),
    ("quotient and rest", lambda x, a: [x * v for v in (*divmod(a, 3), *divmod(7, a))], (ones("float64"), -2.5)),
    ("bits", lambda a, b: (a << b, a >> b, a & 6, a | b, 5 ^ a, ~a), (5, 1)),
    ("comparisons", lambda x, a: (a > 3, a == 2.0, a != 2, x < a, a <= x), (ones("float32"), 2)),
    ("functions take float32", lambda x, a: x * nx.sqrt(a), (ones("bfloat16"), 2.0)),
    ("where", lambda x, a, n: (nx.where(x > 0, a, n), nx.where(x > 0, a, x)), (ones("float64"), THIRD, 2)),
    ("clip", lambda x, a: nx.clip(x, -a, a), (ones("bfloat16"), 0.3)),
    ("full", lambda a: (nx.full(2, a), nx.full(2, a, "float64"), nx.asarray(a, "float64"), nx.tensor(a)), (THIRD,)),
    ("rounded towards 0", lambda a: nx.asarray(a, "int32"), (2.7,)),
    ("stack", lambda a, x: nx.stack([a, x[0]]), (THIRD, ones("float64"))),
    ("lists", lambda a, n, b: [nx.tensor(v) for v in ([a, 1], [[n, 2], [b, b]], (b, b), [[a]])], (THIRD, 2**20, True)),
    ("lists of a dtype", lambda a, n: (nx.asarray([a, n], "float64"), nx.tensor([n, 3], "int8"), nx.full(2, [n, a])),
     (THIRD, 7)),
    ("an index", lambda x, i: (x[i], x.at[i].set(5)), (nx.arange(4), -2)),
    ("written", lambda x, a: x.at[0].set(a), (ones("float16"), THIRD)),
    ("beside an array", lambda a: (np.arange(3, dtype="int8") * a, a - np.ones(3, "int8")), (3,)),
    ("sum", lambda x, a: sum([a, x, a]), (ones("float64"), THIRD)),
    ("result_type", lambda x, a: nx.ones(2, nx.result_type(a, x)) * a, (ones("float16"), THIRD)),
    ("seeds", lambda n, m: (nx.random.key(n), nx.random.key(m), nx.random.fold_in(nx.random.key(0), 7)), (2**40, -1)),
    ("draws", lambda n, a: (nx.random.randint(nx.random.key(0), 3, 0, n), nx.random.bernoulli(nx.random.key(0), a, 3)),
     (10, 0.5)),
    ("options", lambda x, a: [f(x, alpha=a) for f in (axon.activations.celu, axon.activations.leaky_relu)],
     (nx.tensor([-1.0, 2.0]), THIRD)),
    ("compared beyond its dtype", lambda x, n, m: (x < n, x == n, n >= x, m < x, x != m),
     (nx.tensor([1, -7], "int8"), 300, -2**40)),
    ("grad by a number", lambda a: value_and_grad(lambda v: v * v * v)(a), (3.0,)),
    ("grad beside a number", lambda x, a: grad(lambda v: nx.sum(v * a))(x), (ones("float64"), THIRD)),
    ("grad of halves", lambda x, a: grad(lambda v: nx.sum(v * a).astype("float32"))(x), (ones("bfloat16"), THIRD)),
    ("vjp", lambda a: vjp(lambda v: v * v, a)[0], (3.0,)),
    ("stop_grad", lambda x, a: x * stop_grad(a), (ones("float32"), THIRD)),
    ("a carry", lambda xs, c: scan(lambda c, x: (c + x, c), c, xs), (nx.arange(3.0), 0.5)),
    ("an integer carry", lambda xs, c: scan(lambda c, x: (c + 1, c * x), c, xs), (nx.arange(3.0), 2)),
    ("captured by a scan", lambda xs, a: scan(lambda c, x: (c + x * a, None), xs[0], xs)[0], (ones("float64"), THIRD)),
    ("a bound", lambda n: fori_loop(0, n, lambda i, c: c + i, nx.tensor(0)), (5,)),
    ("while", lambda n: while_loop(lambda v: v < 100, lambda v: v * 2, n), (3,)),
    ("a predicate", lambda x, n: cond(n > 2, lambda: x * n, lambda: x), (ones("int8"), 3)),
    ("an operand of cond", lambda a: cond(a > 0, lambda v: v + 1, lambda v: v * 2, a), (2.5,)),
]  # fmt: skip


def shown(result: Any) -> Any:
    return tree.map(lambda t: (str(nx.asarray(t).dtype), nx.asarray(t).tolist()), result)


@pytest.mark.parametrize(("function", "args"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_definition_gives_what_the_function_gives(compiler: str, function: Any, args: Any) -> None:
    f = jit(function, compiler=compiler)
    assert shown(f(*args)) == shown(function(*args))
    assert f.traces == 1


@pytest.mark.parametrize(
    ("function", "good", "bad", "words"),
    [
        (lambda n: ones("int8") * n, 100, 300, r"multiply: expected an integer that int8 .* got 300"),
        (lambda n: n - ones("uint8"), 1, -1, "subtract: expected an integer that uint8 holds"),
        (lambda n: ones("int32") + n, 2**31 - 1, 2**31, "add: expected an integer that int32 holds"),
        (lambda n: nx.asarray(n), 2**31 - 1, 2**40, "asarray: expected an integer that int32 holds"),
        (lambda n: nx.full(2, n, "int16"), 7, 2**15, "full: expected an integer that int16 holds"),
        (lambda n: nx.full(2, n, "int16"), 7.5, 1e9, "full: expected an integer that int16 holds"),
        (lambda n: ones("int8") * (n * 2 + 1), 63, 64, r"multiply: expected an integer that int8 .* got 129"),
        (lambda n: nx.asarray(7 - n), -(2**31) + 8, -(2**31), "asarray: expected an integer that int32 holds"),
        (lambda n: ones("uint8") + round(n / 2), 510, 512, "add: expected an integer that uint8 holds"),
    ],
)
def test_an_integer_that_does_not_fit_is_refused_at_the_call(
    compiler: str, function: Any, good: Any, bad: Any, words: str
) -> None:
    f = jit(function, compiler=compiler)
    for _ in range(2):
        assert shown(f(good)) == shown(function(good))
        for call in (f, function):
            with pytest.raises(DTypeError, match=words):
                call(bad)
    assert f.traces == 1
    with debug(), pytest.raises(DTypeError, match=words):
        f(bad)


def test_an_integer_beyond_64_bits_is_refused(compiler: str) -> None:
    for function in (lambda n: ones("float32") * (n * n), lambda n: n * n * 1.5, lambda n: (n * n) % 7):
        with pytest.raises(DTypeError, match=r"multiply: expected an integer that int64 .* got 1267650600228229401"):
            jit(function, compiler=compiler)(2**50)
    with pytest.raises(TypeError, match=r"argument 'n' \(.* is no int64; pass a tensor of uint64, a float, or"):
        jit(lambda n: nx.ones(2) * n)(2**63)
    with pytest.raises(TypeError, match=r"argument 'n' \(an integer of 3322 bits is no int64"):
        jit(lambda n: nx.ones(2) * n)(10**1000)
    assert jit(lambda n: nx.ones(1) * n)(-(2**63)).item() == -(2.0**63)


def test_a_long_chain_of_numbers(compiler: str) -> None:
    """Each value is computed once a call, though 2**100 ways lead to the last."""

    def last(x: nx.Tensor, n: int) -> nx.Tensor:
        for _ in range(100):
            n = (n + n) % 1000
        return x + n

    assert jit(last, compiler=compiler)(ones("int16"), 3).tolist() == last(ones("int16"), 3).tolist()


def test_what_is_not_needed_is_not_computed(compiler: str) -> None:
    """A float is looked at by no check, so that the reciprocal of 0 is what the compiled division gives."""
    assert jit(lambda x, n: (x + (n + 1), 1 / n), compiler=compiler)(ones("int8"), 0)[1].item() == np.inf


def test_the_value_is_not_known_while_tracing(compiler: str) -> None:
    for function in (
        lambda n: 1.0 if n > 2 else 0.0,
        lambda n: list(range(n)),
        float,
        int,
        lambda n: f"{n:.1f}",
        np.asarray,
    ):
        with pytest.raises(TraceError, match=r"expected (a concrete tensor|an array), got a traced"):
            jit(function, compiler=compiler)(3)
    with pytest.raises(TypeError, match="shapes and axes are static"):
        jit(lambda n: nx.zeros(n), compiler=compiler)(3)
    with pytest.raises(
        DTypeError, match=r"asarray: expected numbers, got \[int32\[\] traced, .* use stack to join tensors"
    ):
        jit(lambda n: nx.tensor([n, nx.ones(1)]), compiler=compiler)(3)
    with pytest.raises(AxonError, match="asarray: expected lists of equal lengths at each level"):
        jit(lambda n: nx.asarray([[n], [n, 1]]), compiler=compiler)(3)


def test_an_option_needs_no_dtype_to_hold_it(compiler: str) -> None:
    f = jit(lambda p, n: axon.updates.scale(n).update(p, (), p)[0], compiler=compiler)
    assert f(nx.ones(1, "float64"), 2**40).item() == 2**40


def test_a_number_has_the_attributes_of_its_tensor(compiler: str) -> None:
    f = jit(lambda a: (a.astype("float64"), a.reshape(1), nx.zeros(a.shape, a.dtype)), compiler=compiler)
    assert shown(f(0.5)) == (("float64", 0.5), ("float32", [0.5]), ("float32", 0.0))
    with pytest.raises(AttributeError):
        jit(lambda a: a.bit_length(), compiler=compiler)(3)


def test_a_number_that_was_kept_is_refused() -> None:
    kept: list[Any] = []
    jit(lambda a: kept.append(a) or a, compiler="evaluate")(0.5)
    with pytest.raises(TraceError, match="got one that was kept from another trace"):
        nx.ones(1) * kept[0]
    with pytest.raises(TraceError, match="got one that was kept from another trace"):
        jit(lambda x: x * kept[0], compiler="evaluate")(nx.ones(1))


def test_numbers_of_other_types_are_other_signatures() -> None:
    f = jit(lambda x, n: x * n, compiler="evaluate")
    for _ in range(2):
        for n in (1, True, 1.0, np.float64(1), np.float32(1), np.int8(1), nx.tensor(1.0), nx.tensor(1)):
            f(nx.ones(2), n)
    assert f.traces == 6  # numpy.float64 is a float, numpy.float32 and float32[] are one type


def test_a_donated_number(compiler: str) -> None:
    f = jit(lambda p, x: tree.map(lambda v: v + x, p), donate=0, compiler=compiler)
    w = nx.tensor([1.0, 2.0])
    made = f({"w": w, "n": 3}, 2)
    assert shown(made) == {"w": ("float32", [3, 4]), "n": ("int32", 5)}
    assert "donated" in w.device


def test_lower_shows_numbers_in_their_widest_dtype() -> None:
    lowered = jit(lambda x, a: x * a, compiler="evaluate").lower(nx.template(2, "bfloat16"), 0.5)
    assert lowered.graph().startswith("graph(%0: bfloat16[2], %1: float64[])")


def test_a_learning_rate_given_to_a_step(compiler: str) -> None:
    def step(p: Any, rate: Any) -> Any:
        optimizer = axon.optimizers.sgd(rate, momentum=0.9)
        updates, state = optimizer.update(p, optimizer.init(p), p)
        return axon.updates.apply_updates(p, updates), state

    f = jit(step, compiler=compiler)
    p = {"w": nx.ones(2, "bfloat16")}
    for rate in (0.1, 0.2):
        assert shown(f(p, rate)) == shown(step(p, rate))
    assert f.traces == 1
