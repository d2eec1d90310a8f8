"""A composed program by every way there is, and its derivatives: all give what its plain reading gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import axon
import numpy as np
from axon import nx
from axon.compiler import pipeline
from axon.compiler.targets.target import CPU
from axon.errors import GradientError, TraceError
from axon.graph.trace import trace
from axon.nx import Tensor

from ..compiler.oracle import buffer_of, interpreted, results
from .making import Program, arrays
from .reading import Reading, total

Numbers = list[np.ndarray]
TOLERANCE = {"float64": 1e-9, "float32": 2e-4, "bfloat16": 6e-2, "float16": 1e-2}
REFUSED = ("which would act for others", "and would be called twice", "acts, and has no rule")


class Unfit(Exception):
    """A program with which nothing can be compared."""


def flat(made: Sequence[Any]) -> Numbers:
    return [t.numpy().astype("float64") for t in made]


def inputs(made: Program, given: Sequence[np.ndarray], dtype: str) -> list[Tensor]:
    return [nx.astype(nx.tensor(a), dtype if t == made.dtype else t) for a, (_, t) in zip(given, made.types)]


def same(label: str, tolerance: float, got: Sequence[np.ndarray], want: Sequence[np.ndarray]) -> None:
    assert len(got) == len(want), f"{label}: {len(got)} results, not {len(want)}"
    for k, (a, b) in enumerate(zip(got, want)):
        assert a.shape == b.shape, f"{label}, result {k}: shape {a.shape}, not {b.shape}"
        scale = max(1.0, float(np.max(np.abs(b), initial=0.0, where=np.isfinite(b))))
        close = np.isclose(a, b, tolerance, tolerance * scale, equal_nan=True)
        assert close.all(), f"{label}, result {k}: {a.ravel()}, not {b.ravel()}"


def simulated(function: Callable[..., Any], given: Sequence[Tensor], donate: bool) -> list[Tensor]:
    """The compiled program with its kernels interpreted."""
    graph, captured, structure = trace(function, tuple([t.type for t in given]))
    held = [*given, *captured]
    plan = pipeline.lower(graph, CPU, pipeline.Phases(), [donate] * len(given) + [False] * len(captured))
    read = [buffer_of(t.numpy()) for t in held] if donate else [t.numpy() for t in held]
    return axon.tree.unflatten(structure, [nx.tensor(a) for a in results(interpreted(plan), graph, read)])


def ways(native: bool, custom: bool) -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {
        "eager": lambda f, xs: f(*xs),
        "evaluate": lambda f, xs: axon.jit(f, compiler="evaluate")(*xs),
    }

    def watched(f: Any, xs: Any) -> Any:
        with axon.debug(inf=False):
            return axon.jit(f)(*xs)

    found["debug"] = watched
    if not custom:
        found["simulated"] = lambda f, xs: simulated(f, xs, False)
        found["donated"] = lambda f, xs: simulated(f, xs, True)
    if native or custom:
        found["native"] = lambda f, xs: axon.jit(f)(*xs)
        found["native donated"] = lambda f, xs: axon.jit(f, donate=tuple(range(len(xs))))(*[x + 0 for x in xs])
    return found


class Comparison:
    """A program over inputs, by every way, against its plain reading."""

    def __init__(self, made: Program, seed: int, native: bool) -> None:
        self.made, self.kinds, self.dtype, self.given = made, made.kinds(), made.dtype, arrays(made, seed)
        self.halves = self.kinds & {"bfloat16", "float16"}
        self.tolerance = max(TOLERANCE[d] for d in {made.dtype, *self.halves})
        self.xs = inputs(made, self.given, made.dtype)
        self.places = [k for k, (_, t) in enumerate(made.types) if t == made.dtype]
        self.argnums = tuple(range(len(self.places)))
        self.plain, self.rich = Reading(True, made.dtype), Reading(False, made.dtype)
        self.ways = ways(native, "native" in self.kinds)

    def over(self, reading: Reading) -> Callable[..., list[Tensor]]:
        return lambda *xs: reading(self.made.body, (), xs)

    def loss(self, function: Callable[..., Any], xs: Sequence[Tensor]) -> Callable[..., Tensor]:
        """The weighted sum of a function's results, as one of the float inputs alone."""

        def of(*floats: Tensor) -> Tensor:
            placed = dict(zip(self.places, floats))
            return total(function(*[placed.get(k, x) for k, x in enumerate(xs)]))

        return of

    def same(self, label: str, got: Sequence[np.ndarray], want: Sequence[np.ndarray]) -> None:
        same(label, self.tolerance, got, want)

    def run(self, label: str, function: Callable[..., Any], want: Numbers, xs: Sequence[Tensor]) -> None:
        order: list[tuple[int, np.ndarray]] | None = None
        for way, call in self.ways.items():
            self.rich.seen.clear()
            try:
                got = call(function, xs)
            except (TraceError, GradientError) as error:
                if any(words in str(error) for words in REFUSED):
                    raise Unfit from None
                raise
            self.same(f"{label}, {way}", flat(got), want)
            seen = list(self.rich.seen)
            order = seen if order is None else order
            assert [k for k, _ in seen] == [k for k, _ in order], f"{label}, {way}: effects {seen}, not {order}"
            self.same(f"{label}, {way}: effects", [a for _, a in seen], [a for _, a in order])

    def values(self) -> None:
        want = flat(self.over(self.plain)(*self.xs))
        if self.dtype != "float64":  # a rounding error may choose another branch
            wide = Reading(True, "float64")(
                _as(self.made.body, self.dtype), (), inputs(self.made, self.given, "float64")
            )
            try:
                self.same("", flat(wide), want)
            except AssertionError:
                raise Unfit from None
        self.run("values", self.over(self.rich), want, self.xs)

    def derivatives(self, second: bool) -> None:
        floats = [self.xs[k] for k in self.places]
        along = [nx.cos(x * 3 + k) for k, x in enumerate(floats)]
        plain, rich = (self.loss(self.over(reading), self.xs) for reading in (self.plain, self.rich))
        forward = lambda loss: lambda *fs: list(axon.jvp(loss, fs, along))  # noqa: E731
        gradient = lambda loss: lambda *fs: list(axon.grad(loss, self.argnums)(*fs))  # noqa: E731
        twice = lambda loss: lambda *fs: list(axon.jvp(gradient(loss), fs, along)[1])  # noqa: E731
        want = flat(forward(plain)(*floats))
        self.run("forward", forward(rich), want, floats)
        self.run("linearized", lambda *fs: [axon.linearize(rich, *fs)[1](*along)], want[1:], floats)
        if not self.made.back:
            return
        found = flat(gradient(plain)(*floats))
        self.run("reverse", gradient(rich), found, floats)
        sent = sum((g * t.numpy().astype("float64")).sum() for g, t in zip(found, along))
        self.same("modes", [np.asarray(sent)], want[1:])
        if self.dtype == "float64" and not self.halves and not self.made.acts and not self.kinds & {"kink", "stop"}:
            differences(plain, floats, along, want[1])
        if second:
            self.run("second", twice(rich), flat(twice(plain)(*floats)), floats)

    def lanes(self) -> None:
        """Three lanes of the whole."""
        lanes = [nx.stack([x, x * 0.5 if x.dtype.is_float else x + 1, x], axis=x.ndim) for x in self.xs]

        def apart(function: Callable[..., Any]) -> Callable[..., list[Tensor]]:
            def of(*lanes: Tensor) -> list[Tensor]:
                each = [function(*[x[..., k] for x in lanes]) for k in range(3)]
                return [nx.stack(column) for column in zip(*each)]

            return of

        def alone(reading: Reading) -> Callable[..., list[Tensor]]:
            """The gradient of a lane."""

            def of(*xs: Tensor) -> list[Tensor]:
                return list(axon.grad(self.loss(self.over(reading), xs), self.argnums)(*[xs[k] for k in self.places]))

            return of

        one_by_one, batched = apart(self.over(self.plain)), axon.vmap(self.over(self.rich), in_axes=-1)
        self.run("lanes", batched, flat(one_by_one(*lanes)), lanes)
        if not self.made.back:
            return
        moving = [lanes[k] for k in self.places]
        plain, rich = (axon.grad(self.loss(f, lanes), self.argnums) for f in (one_by_one, batched))
        self.run("reverse of lanes", lambda *ms: list(rich(*ms)), flat(plain(*moving)), moving)
        want = flat(apart(alone(self.plain))(*lanes))
        self.run("lanes of reverse", axon.vmap(alone(self.rich), in_axes=-1), want, lanes)


def check(made: Program, seed: int = 0, native: bool = False) -> None:
    """AssertionError, or whatever else is raised, where a way differs; Unfit where nothing can be compared."""
    compared = Comparison(made, seed, native)
    compared.values()
    if any(t.dtype.name == made.dtype for t in compared.over(compared.plain)(*compared.xs)):
        compared.derivatives(second=made.dtype == "float64" and seed % 2 == 0)
        if made.dtype == "float64":
            compared.lanes()


def _as(block: Any, dtype: str) -> Any:
    """A block whose floats of a dtype are float64."""
    steps = [
        s._replace(
            options={k: "float64" if v == dtype else v for k, v in s.options.items()},
            blocks=tuple([_as(b, dtype) for b in s.blocks]),
        )
        for s in block.steps
    ]
    return block._replace(steps=tuple(steps))


def differences(loss: Callable[..., Tensor], floats: list[Tensor], along: list[Tensor], want: np.ndarray) -> None:
    step = 1e-5
    ends = [loss(*[x + t * h for x, t in zip(floats, along)]).item() for h in (step, -step)]
    got = (ends[0] - ends[1]) / (2 * step)
    assert abs(got - want) <= 1e-4 * max(1.0, abs(float(want))), f"differences: {got}, not {want}"
