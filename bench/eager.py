"""`python -m bench.eager`: every row called eagerly, beside NumPy; random functions beside NumPy and JAX.

Each is measured in turns with the other in this process, and compared by the least times: 100 elements (what a call
costs) and a million. A row that NumPy has no function for stands beside the formula that its users write, or alone.
"""

from __future__ import annotations

import argparse
import inspect
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from axon import activations, nx
from axon._core import set_threads
from axon.backends.array_api import RENAMED
from axon.nx.core.op import TABLE, Op

Call = Callable[[], Any]
clock = time.perf_counter
SIZES = {"100": (10, 10), "1M": (1000, 1000)}

# Attributes, by row; NumPy's way, by row, where there is no function of the row's name. `s` is the operand's shape.
ATTRIBUTES: Mapping[str, Callable[[tuple[int, int]], dict[str, Any]]] = {
    "named": lambda s: {"label": "x"},
    "within": lambda s: {"size": 10, "axis": 0},
    "astype": lambda s: {"dtype": nx.int32},
    "broadcast_to": lambda s: {"shape": (2, *s)},
    "expand_dims": lambda s: {"axis": 0},
    "flip": lambda s: {"axis": 1},
    "literal": lambda s: {"value": 1.0, "dtype": nx.float32},
    "iota": lambda s: {"shape": s, "axis": 1, "dtype": nx.float32},
    "pad": lambda s: {"config": ((1, 1, 0), (1, 1, 0))},
    "permute_dims": lambda s: {"axes": (1, 0)},
    "rename": lambda s: {"names": ("a", "b")},
    "reshape": lambda s: {"shape": (s[0] * s[1],)},
    "slice": lambda s: {"starts": (1, 0), "stops": s, "steps": (2, 1)},
    "sort": lambda s: {"axis": 1, "descending": False},
    **{
        f"cumulative_{name}": lambda s: {"axis": 1, "reverse": False}
        for name in ("sum", "prod", "max", "min", "logsumexp")
    },
    "squeeze": lambda s: {"axis": 0},
    "take": lambda s: {"axis": 0},
    "scatter": lambda s: {"axis": 0},
    "scatter_add": lambda s: {"axis": 0},
    "concat": lambda s: {"axis": 0},
    "dot_general": lambda s: {"contract": ((1,), (0,))},
    "conv": lambda s: {"padding": "same"},
    "conv_input_gradient": lambda s: {"padding": "same", "input_shape": image(s)},
    "conv_kernel_gradient": lambda s: {"padding": "same", "kernel_shape": (3, 3, 8, 8)},
}


def image(s: tuple[int, int]) -> tuple[int, ...]:
    return (1, 4, 4, 8) if s[0] < 100 else (8, 125, 125, 8)


def added(x: Any, i: Any, u: Any) -> Any:
    made = x.copy()
    np.add.at(made, i, u)
    return made


def placed(x: Any, i: Any, u: Any) -> Any:
    made = x.copy()
    made[i] = u
    return made


def erf(x: Any) -> Any:
    """The rational approximation in Abramowitz and Stegun, 7.1.26, as NumPy users write it."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1 - p * np.exp(-x * x))


windowed = np.lib.stride_tricks.sliding_window_view
BESIDE: Mapping[str, Callable[..., Any]] = {
    "fma": lambda x, y, z: x * y + z,
    "gap": lambda x, y: np.where(x == y, 0, x - y),
    "reciprocal": lambda x: np.reciprocal(x),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "erf": erf,
    "erfc": lambda x: 1 - erf(x),
    "astype": lambda x: x.astype("int32"),
    "literal": lambda: np.full((), 1.0, "float32"),
    "slice": lambda x: x[1::2],
    "flip": lambda x: np.flip(x, 1),
    "sort": lambda x: np.sort(x, 1),
    "cumulative_sum": lambda x: np.cumsum(x, -1),
    "cumulative_prod": lambda x: np.cumprod(x, -1),
    "cumulative_max": lambda x: np.maximum.accumulate(x, -1),
    "cumulative_min": lambda x: np.minimum.accumulate(x, -1),
    "cumulative_logsumexp": lambda x: np.logaddexp.accumulate(x, -1),
    "pad": lambda x, v: np.pad(x, 1),
    "permute_dims": lambda x: np.transpose(x),
    "reshape": lambda x: np.reshape(x, -1),
    "squeeze": lambda x: np.squeeze(x, 0),
    "expand_dims": lambda x: np.expand_dims(x, 0),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, *x.shape)),
    "concat": lambda *xs: np.concatenate(xs),
    "dot_general": lambda x, y: x @ y,
    "take": lambda x, i: np.take(x, i, 0),
    "scatter": placed,
    "scatter_add": added,
    "window_sum": lambda x: windowed(x, (3, 3)).sum((-1, -2)),
    "window_max": lambda x: windowed(x, (3, 3)).max((-1, -2)),
    "window_min": lambda x: windowed(x, (3, 3)).min((-1, -2)),
}
COMPOSED: Mapping[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "gelu": (activations.gelu, lambda x: x * 0.5 * (1 + erf(x * 0.7071))),
    "softmax": (activations.softmax, lambda x: (e := np.exp(x - x.max(-1, keepdims=True))) / e.sum(-1, keepdims=True)),
    "logsumexp": (
        lambda x: nx.logsumexp(x, axis=-1),
        lambda x: np.log(np.exp(x - (m := x.max(-1, keepdims=True))).sum(-1)) + m[:, 0],
    ),
    "mean": (lambda x: nx.mean(x, axis=-1), lambda x: x.mean(-1)),
    "var": (lambda x: nx.var(x, axis=-1), lambda x: x.var(-1)),
    "matmul": (lambda x: nx.matmul(x, x), lambda x: x @ x),
    "x + 1": (lambda x: x + 1, lambda x: x + 1),
    "x + row": (lambda x: x + x[0], lambda x: x + x[0]),
    "x.T * x": (lambda x: nx.permute_dims(x, (1, 0)) * x, lambda x: x.T * x),
    "x[1:-1]": (lambda x: x[1:-1], lambda x: x[1:-1]),
}

LONG = 1 << 24  # elements of a row that threads share

KEYS = {"key", "split", "fold_in"}
DRAWS: Mapping[str, tuple[Callable[..., Any], Callable[..., Any] | None]] = {  # ours and JAX's, and NumPy's
    "key": (lambda r, k, s: r.key(7), lambda g, s: np.random.default_rng(7)),
    "split": (lambda r, k, s: r.split(k), lambda g, s: g.spawn(2)),
    "fold_in": (lambda r, k, s: r.fold_in(k, 7), None),
    "bits": (lambda r, k, s: r.bits(k, s), lambda g, s: g.integers(0, 2**32, s, "uint32")),
    "uniform": (lambda r, k, s: r.uniform(k, s), lambda g, s: g.random(s, "float32")),
    "normal": (lambda r, k, s: r.normal(k, s), lambda g, s: g.standard_normal(s, "float32")),
    "truncated_normal": (lambda r, k, s: r.truncated_normal(k, -2.0, 2.0, s), None),
    "randint": (lambda r, k, s: r.randint(k, s, 0, 10), lambda g, s: g.integers(0, 10, s, "int32")),
    "bernoulli": (lambda r, k, s: r.bernoulli(k, 0.3, s), lambda g, s: g.random(s, "float32") < 0.3),
}


def operands(op: Op, s: tuple[int, int]) -> list[np.ndarray]:
    """Arrays that a row is called with."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.random(shape, "float32") * 0.9 + 0.05  # noqa: E731
    whole = lambda: rng.integers(0, 10, s, "int32")  # noqa: E731
    match op.name:
        case "literal" | "iota":
            return []
        case "where":
            return [draw(*s) > 0.5, draw(*s), draw(*s)]
        case "threefry2x32":
            return [rng.integers(0, 2**63, (), "uint64"), rng.integers(0, 2**63, s, "uint64")]
        case "acosh":
            return [draw(*s) + 1]
        case "take":
            return [draw(*s), rng.integers(0, s[0], s[0], "int32")]
        case "scatter" | "scatter_add":
            return [draw(*s), rng.integers(0, s[0], s[0], "int32"), draw(*s)]
        case "squeeze":
            return [draw(1, *s)]
        case "pad":
            return [draw(*s), np.zeros((), "float32")]
        case "dot_general" | "concat":
            return [draw(*s), draw(*s)]
        case "conv" | "conv_input_gradient":
            return [draw(*image(s)), draw(3, 3, 8, 8)]
        case "conv_kernel_gradient":
            return [draw(*image(s)), draw(*image(s))]
    arity = positional(op)
    for make in (lambda: draw(*s), whole, lambda: draw(*s) > 0.5):
        given = [make() for _ in range(arity)]
        try:
            op.infer([nx.tensor(g).type for g in given], attributes(op, s))
        except TypeError:
            continue
        return given
    raise ValueError(f"bench: no operands for {op.name}; add a case")


def positional(op: Op) -> int:
    assert op.function is not None
    return sum(p.kind is p.POSITIONAL_ONLY for p in inspect.signature(op.function).parameters.values())


def attributes(op: Op, s: tuple[int, int]) -> dict[str, Any]:
    if op.kind.reduces:
        return {"axis": 1, "keepdims": False}
    if op.expand is not None:
        return {"window": 3, "strides": 1, "padding": "valid", "dilation": 1}
    return ATTRIBUTES[op.name](s) if op.name in ATTRIBUTES else {}


def pair(op: Op, s: tuple[int, int]) -> tuple[Call, Call | None]:
    """A call of a row, and of NumPy's way to do it."""
    given, options = operands(op, s), attributes(op, s)
    tensors = [nx.tensor(g) for g in given]
    assert op.function is not None
    row, args = op.function, ((tensors,) if op.name == "concat" else tuple(tensors))
    theirs = BESIDE.get(op.name)
    if theirs is None:
        found = getattr(np, op.name, None) or getattr(np, RENAMED.get(op.name, ""), None)
        if found is not None:
            theirs = (lambda x: found(x, axis=1)) if op.kind.reduces else found
    return lambda: row(*args, **options), None if theirs is None else lambda: theirs(*given)


def fastest(calls: list[Call | None], seconds: float) -> list[float | None]:
    """The least time of each call, taken in turns: of these short ones, a median is the system's on a busy machine."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        if call is not None:
            call()
    start = time.perf_counter()
    while time.perf_counter() - start < seconds or len(times[0]) < 5:
        for call, spent in zip(calls, times):
            if call is not None:
                began = clock()
                call()
                spent.append(clock() - began)
    return [min(t) if t else None for t in times]


def rows(seconds: float, wanted: set[str]) -> list[tuple[str, ...]]:
    made = []
    for op in TABLE.values():
        if op.function is not None and (not wanted or op.name in wanted):
            made.append(line(op.name, op.kind.name, {n: pair(op, s) for n, s in SIZES.items()}, seconds))
    for name, (ours, theirs) in COMPOSED.items():
        if not wanted or name in wanted:
            calls = {}
            for size, s in SIZES.items():
                x = np.random.default_rng(0).random(s, "float32")
                t = nx.tensor(x)
                calls[size] = (lambda f=ours, t=t: f(t), lambda f=theirs, x=x: f(x))
            made.append(line(name, "composed", calls, seconds))
    return made


def line(name: str, kind: str, calls: Mapping[str, tuple[Call | None, ...]], seconds: float) -> tuple[str, ...]:
    """A row of the table: name, kind, then for each size the times and our ratio to each."""
    cells = [name, kind]
    with np.errstate(all="ignore"):
        for size in calls:
            ours, *others = fastest(list(calls[size]), seconds)
            assert ours is not None
            cells.append(f"{ours * 1e6:.1f}")
            for other in others:
                cells += ["", ""] if other is None else [f"{other * 1e6:.1f}", f"{ours / other:.2f}"]
    return tuple(cells)


def draws(seconds: float) -> list[tuple[str, ...]]:
    """Random functions beside NumPy's, and JAX's where it is installed."""
    key, generator = nx.random.key(0), np.random.default_rng(0)
    try:
        from jax import random
    except ImportError:
        random = None
    other = None if random is None else random.key(0)
    made = []
    for shape in ((100,), (4096, 1024)):
        for name, (draw, theirs) in DRAWS.items():
            if name in KEYS and shape != (100,):
                continue
            calls: tuple[Call | None, ...] = (
                lambda f=draw, s=shape: f(nx.random, key, s),
                None if theirs is None else lambda f=theirs, s=shape: f(generator, s),
                None if random is None else lambda f=draw, s=shape: f(random, other, s).block_until_ready(),
            )
            made.append(line(name if name in KEYS else f"{name} {shape}", "random", {"": calls}, seconds))
    return made


def long_rows(seconds: float, wanted: set[str]) -> list[tuple[str, ...]]:
    """Cumulative rows of many elements."""
    x = np.random.default_rng(0).random(LONG, "float32")
    made, t = [], nx.tensor(x)
    for op in TABLE.values():
        if op.extern == "cumulative" and (not wanted or op.name in wanted):
            theirs, ours = BESIDE[op.name], op.function
            assert ours is not None
            calls = {"": (lambda f=ours: f(t, axis=0), lambda f=theirs: f(x))}
            made.append(line(op.name, "long", calls, seconds))
    return made


def table(head: tuple[str, ...], body: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *body]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.eager", description=__doc__)
    parser.add_argument("rows", nargs="*", help="only these rows")
    parser.add_argument("--seconds", type=float, default=0.2, help="how long each pair is measured")
    parser.add_argument("--cpu", action="store_true", help="CPU time, for a busy machine: on one thread")
    given = parser.parse_args()
    if given.cpu:
        global clock
        clock = time.process_time
        set_threads(1)
    head = ("row", "kind", *(c for s in SIZES for c in (f"us, {s}", "NumPy", "ratio")))
    made = rows(given.seconds, set(given.rows))
    print(table(head, made))
    for size, at in (("100", 4), ("1M", 7)):
        ratios = sorted(((float(m[at]), m[0]) for m in made if m[at]), reverse=True)
        print(f"\nhighest ratios, {size}: " + ", ".join(f"{name} {ratio:.1f}" for ratio, name in ratios[:12]))
    print("\n" + table(("row", "of 16 Mi elements", "us", "NumPy", "ratio"), long_rows(given.seconds, set(given.rows))))
    if not given.rows:
        print("\n" + table(("function", "kind", "us", "NumPy", "ratio", "JAX", "ratio"), draws(given.seconds)))


if __name__ == "__main__":
    main()
