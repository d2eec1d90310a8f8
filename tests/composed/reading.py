"""What a composed program means, twice: as it is written, with loops, branches, lanes and derivatives of axon; and
plain, where loops are written out, both branches are computed and one is chosen, and lanes follow one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import axon
import numpy as np
from axon import checkpoint_policies as keep
from axon import nx
from axon.dtypes import bool_
from axon.nx import Tensor

UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": nx.tanh,
    "sin": nx.sin,
    "sigmoid": nx.sigmoid,
    "square": lambda x: nx.square(nx.tanh(x)),
    "affine": lambda x: x * 0.5 + 0.25,
    "negative": nx.negative,
    "ratio": lambda x: x / (nx.square(x) + 1.0),
}
KINKED = ("max", "min", "cumulative_max", "cumulative_min")
BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": nx.add,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: nx.tanh(x) * nx.tanh(y),
    "divide": lambda x, y: x / (nx.square(y) + 1.0),
    "max": nx.maximum,
    "min": nx.minimum,
}
REDUCTIONS: dict[str, Callable[..., Tensor]] = {
    "sum": lambda x, axis: nx.tanh(nx.sum(x, axis=axis)),
    "max": nx.max,
    "min": nx.min,
}
ALONG: dict[str, Callable[[Tensor, int], Tensor]] = {
    "softmax": lambda x, axis: axon.activations.softmax(x, axis=axis),
    "associative": lambda x, axis: axon.associative_scan(lambda a, b: nx.tanh(a) * nx.tanh(b), x, axis=axis),
    "sort": lambda x, axis: nx.sort(x, axis=axis),
    "argmax": lambda x, axis: nx.argmax(x, axis=axis),
    "var": lambda x, axis: nx.tanh(nx.var(x, axis=axis)),
    "ends": lambda x, axis: nx.take(x, nx.tensor([-1, 0], "int32"), axis=axis),
    "halves": lambda x, axis: nx.concat(
        nx.split(x, [x.shape[axis] // 2, x.shape[axis] - x.shape[axis] // 2], axis=axis)[::-1], axis=axis
    ),
}
CUMULATIVE = ("sum", "prod", "max", "min", "logsumexp")
POLICIES = {
    "nothing": keep.nothing,
    "everything": keep.everything,
    "dots": keep.dots,
    "names": keep.names("a"),
    "either": keep.either(keep.names("a"), keep.dots),
}


class Step(NamedTuple):
    """One step of a program: what it does (a method of `Reading`), with which values, and through which blocks."""

    kind: str
    args: tuple[int, ...] = ()
    options: dict[str, Any] = {}  # noqa: RUF012
    blocks: tuple[Block, ...] = ()


class Block(NamedTuple):
    """A function: values are numbered, those captured first, then arguments, then what steps make."""

    captured: tuple[int, ...]
    steps: tuple[Step, ...]
    results: tuple[int, ...]


class Seen(list[tuple[int, np.ndarray]]):
    """What effects were given, in order."""

    def __call__(self, label: int) -> Callable[[Any], None]:
        return lambda x: self.append((label, x.numpy().astype("float64")))


class Reading:
    """Runs blocks, one method a kind of step: (step, values) -> the values it makes."""

    def __init__(self, plain: bool, dtype: str) -> None:
        self.plain, self.dtype, self.seen = plain, dtype, Seen()

    def __call__(self, block: Block, outer: Sequence[Tensor], params: Sequence[Tensor]) -> list[Tensor]:
        env = [*(outer[i] for i in block.captured), *params]
        for step in block.steps:
            env += getattr(self, step.kind)(step, env)
        return [env[i] for i in block.results]

    def functions(self, step: Step, env: list[Tensor]) -> list[Callable[..., list[Tensor]]]:
        return [lambda *params, b=b: self(b, env, params) for b in step.blocks]

    # Rows

    def unary(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        return [UNARY[step.options["f"]](env[step.args[0]])]

    def binary(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        a, b = (env[i] for i in step.args)
        return [BINARY[step.options["f"]](a, b)]

    def number(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        return [nx.full(step.options["shape"], step.options["value"], dtype=self.dtype)]

    def fit(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        return [fit(env[step.args[0]], step.options["shape"], step.options["dtype"])]

    def reduce(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        return [REDUCTIONS[step.options["f"]](env[step.args[0]], axis=step.options["axis"])]

    def move(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        x, how, axis = env[step.args[0]], step.options["how"], step.options["axis"]
        match how:
            case "flip":
                return [nx.flip(x, axis=axis)]
            case "turn":
                return [nx.moveaxis(x, axis, 0)]
            case "flat":
                return [nx.reshape(x, (x.size,))]
            case "new":
                return [nx.expand_dims(x, axis=axis)]
            case "half":
                return [x[(slice(None),) * axis + (slice(x.shape[axis] // 2, None),)]]
            case "odd":
                return [x[(slice(None),) * axis + (slice(None, None, 2),)]]
            case _:
                return [nx.pad(x, [(1, -1, 0) if k == axis else (0, 1, 1) for k in range(x.ndim)], value=0.25)]

    def dot(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        a, b = (env[i] for i in step.args)
        return [nx.tanh(a @ b)]

    def concat(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        return [nx.concat([env[i] for i in step.args], axis=step.options["axis"])]

    def cumulative(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        f = getattr(nx, "cumulative_" + step.options["f"])
        return [nx.tanh(f(env[step.args[0]], axis=step.options["axis"], reverse=step.options["reverse"]))]

    def take(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        x, at = (env[i] for i in step.args)
        axis = step.options["axis"]
        return [nx.take(x, at % x.shape[axis], axis=axis)]

    def put(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        x, at = (env[i] for i in step.args)
        at = at % x.shape[0]
        return [x.at[at].add(nx.sin(x[0])) if step.options["add"] else x.at[at].set(nx.sin(x[0]))]

    def choose(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        p, a, b = (env[i] for i in step.args)
        return [nx.where(p, a, b)]

    def stop(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        return [axon.stop_grad(env[step.args[0]])]

    def label(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        return [axon.name(env[step.args[0]], "a")]

    def along(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        """A function along an axis."""
        return [ALONG[step.options["f"]](env[step.args[0]], step.options["axis"])]

    def named(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        x = env[step.args[0]]
        return [nx.rename(x, [None if k == step.options["but"] else f"n{x.ndim - k}" for k in range(x.ndim)])]

    # Control flow

    def scan(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        (body,), o = self.functions(step, env), step.options
        n, xs = o["carry"], [env[i] for i in step.args[o["carry"] :]]
        carry = [env[i] for i in step.args[:n]]

        def one(carry: Any, rows: Any) -> Any:
            made = body(*carry, *(rows or ()))
            return made[:n], made[n:]

        if not self.plain:
            last, ys = axon.scan(one, carry, xs or None, length=o["length"], reverse=o["reverse"], unroll=o["unroll"])
            return [*last, *ys]
        rows, order = [], range(o["length"])
        for i in reversed(order) if o["reverse"] else order:
            carry, ys = one(carry, [x[i] for x in xs])
            rows.append(ys)
        if not rows:
            ys = one(carry, [nx.zeros(x.shape[1:], x.dtype) for x in xs])[1]
            return [*carry, *(nx.zeros((0, *y.shape), y.dtype) for y in ys)]
        return [*carry, *(nx.stack(column) for column in zip(*(rows[::-1] if o["reverse"] else rows)))]

    def loop(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        """A while_loop or a fori_loop: (carry, bound) -> carry."""
        (*starts, bound), o = [env[i] for i in step.args], step.options
        body, *tests = self.functions(step, env)
        bound = nx.clip(bound, 0, 3)
        limit = o["most"]

        def goes(c: Any) -> Tensor:
            go = c[0] < bound
            return nx.logical_and(go, tests[0](*c[1:])[0]) if tests else go

        def advance(c: Any) -> Any:
            return [c[0] + 1, *body(*c)]

        start = nx.tensor(0, "int32")
        if not self.plain:
            if not tests:
                upper = bound if limit is None else min(limit, 3)
                return axon.fori_loop(0, upper, lambda i, c: body(i, *c), starts)
            return axon.while_loop(goes, advance, [start, *starts], max_steps=limit)[1:]
        carry = [start, *starts]
        for _ in range(3 if limit is None else min(limit, 3)):
            new = advance(carry)
            go = goes(carry) if tests or limit is None else nx.tensor(True)
            carry = [nx.where(go, a, b) for a, b in zip(new, carry)]
        return carry[1:]

    def branch(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        index, *operands = [env[i] for i in step.args]
        branches = self.functions(step, env)
        if not self.plain:
            if index.dtype is bool_:
                return axon.cond(index, *branches[::-1], *operands)
            return axon.switch(index, branches, *operands)
        index = nx.clip(nx.astype(index, "int32"), 0, len(branches) - 1)
        made, *others = [f(*operands) for f in branches]
        for k, other in enumerate(others, 1):
            made = [nx.where(nx.equal(index, k), b, a) for a, b in zip(made, other)]
        return made

    # Transformations

    def lanes(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        (f,), args, o = self.functions(step, env), [env[i] for i in step.args], step.options
        if not self.plain:
            made = axon.vmap(f, in_axes=o["axes"], out_axes=list(o["out"]), size=o["size"])(*args)
            return list(made)
        if not o["size"]:
            whole = [
                x if a is None else nx.zeros(np.delete(x.shape, a).tolist(), x.dtype) for x, a in zip(args, o["axes"])
            ]
            shapes = [[*y.shape] for y in f(*whole)]
            found = []
            for y, shape, a in zip(f(*whole), shapes, o["out"]):
                shape.insert(a if a >= 0 else len(shape) + 1 + a, 0)
                found.append(nx.zeros(shape, y.dtype))
            return found
        made = []
        for k in range(o["size"]):
            made.append(f(*[x if a is None else nx.take(x, k, axis=a) for x, a in zip(args, o["axes"])]))
        return [nx.stack(column, axis=a) for column, a in zip(zip(*made), o["out"])]

    def checkpoint(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        (f,), args = self.functions(step, env), [env[i] for i in step.args]
        return f(*args) if self.plain else axon.checkpoint(f, policy=POLICIES[step.options["policy"]])(*args)

    def forward(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        (f,), n = self.functions(step, env), len(step.args) // 2
        args, tangents = [env[i] for i in step.args[:n]], [env[i] for i in step.args[n:]]
        if self.plain or not step.options["linear"]:
            made, found = axon.jvp(f, args, tangents)
        else:
            made, push = axon.linearize(f, *args)
            push(*args)
            found = push(*tangents)
        return [*made, *found]

    def reverse(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        (f,), args = self.functions(step, env), [env[i] for i in step.args]
        if self.plain or step.options["scalar"]:
            wanted = tuple(range(len(args)))
            value, found = axon.value_and_grad(lambda *xs: total(f(*xs)), wanted)(*args)
            return [value, *found]
        made, back = axon.vjp(lambda *xs: total(f(*xs)), *args)
        back(made)
        return [made, *back(nx.ones(made.shape, made.dtype))]

    def jacobian(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        (f,), x = self.functions(step, env), env[step.args[0]]
        if not self.plain:
            return [getattr(axon, step.options["mode"])(lambda x: f(x)[0])(x)]
        columns = []
        for k in range(x.size):
            unit = nx.reshape(nx.astype(nx.arange(x.size) == k, x.dtype), x.shape)
            columns.append(axon.jvp(f, (x,), (unit,))[1][0])
        return [nx.reshape(nx.stack(columns, axis=-1), (*columns[0].shape, *x.shape))]

    def ruled(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        args = [env[i] for i in step.args]
        return [nx.sin(args[0]) * args[1] if self.plain else RULED[step.options["by"]](*args)]

    def native(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        x = nx.tanh(env[step.args[0]])
        return [x * x * x if self.plain or x.dtype.name not in C_TYPES else cube(x.dtype.name)(x)]

    def effect(self, step: Step, env: list[Tensor]) -> list[Tensor]:
        x, label, how = env[step.args[0]], step.options["label"], step.options["how"]
        if how == "result":
            if self.plain:
                return [axon.stop_grad(x) * 2]

            def twice(x: Tensor) -> Tensor:
                self.seen(label)(x)
                return x * 2

            return [axon.stop_grad(axon.io_call(twice, x, result=x.type))]
        if not self.plain:
            if how == "call":
                axon.io_call(self.seen(label), x)
            else:
                x = axon.hook(x, self.seen(label), on=how)
        return [x]


def total(made: Sequence[Tensor]) -> Tensor:
    """The sum of what is float, each element with a weight of its own."""
    parts = []
    for k, y in enumerate(made):
        if y.dtype.is_float:
            weights = np.cos(np.arange(y.size) + k).reshape(y.shape)
            parts.append(nx.sum(y * nx.astype(nx.tensor(weights, "float64"), y.dtype)))
    dtype = parts[0].dtype
    return sum((nx.astype(p, dtype) for p in parts[1:]), parts[0])


def fit(x: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
    """What a value gives of another type."""
    if x.type.names:
        x = nx.rename(x, None)
    if x.shape != shape:
        if x.size == int(np.prod(shape)):
            x = nx.reshape(x, shape)
        else:
            try:
                fits = np.broadcast_shapes(x.shape, shape) == shape
            except ValueError:
                fits = False
            if not fits:
                x = nx.any(x) if x.dtype is bool_ else nx.sum(x)
                x = nx.tanh(x) if x.dtype.is_float else x
            x = nx.broadcast_to(x, shape)
    if x.dtype.name == dtype:
        return nx.tanh(x) if x.dtype.is_float else x % 7 if x.dtype.is_integer else x
    if dtype == "bool":
        return x > 0.1 if x.dtype.is_float else x % 2 == 1
    if dtype == "int32":
        return nx.astype(nx.floor(x * 3), dtype) if x.dtype.is_float else nx.astype(x, dtype)
    if x.dtype.is_integer:
        x = nx.astype(x, dtype) * 0.25
    return nx.tanh(nx.astype(x, dtype))


@axon.custom_grad
def _by_vjp(x: Tensor, y: Tensor) -> Any:
    return nx.sin(x) * y, lambda g: (g * y * nx.cos(x), g * nx.sin(x))


@axon.custom_jvp
def _by_jvp(x: Tensor, y: Tensor) -> Any:
    return nx.sin(x) * y, lambda dx, dy: dx * y * nx.cos(x) + nx.sin(x) * dy


RULED = {"vjp": _by_vjp, "jvp": _by_jvp}
C_TYPES = {"float32": "float", "float64": "double"}


@cache
def cube(dtype: str) -> Callable[..., Tensor]:
    """Native code of a user's."""
    name = f"cube_{dtype}"
    text = f"""
    #include "custom.h"
    AXON_CUSTOM({name}) {{
      const {C_TYPES[dtype]}* x = call.input<{C_TYPES[dtype]}>(0);
      {C_TYPES[dtype]}* y = call.output<{C_TYPES[dtype]}>(0);
      for (long i = call.begin; i < call.end; ++i) y[i] = x[i] * x[i] * x[i];
      return 0;
    }}"""
    return axon.custom_call(
        name, text, result=lambda x: x, units=lambda x: x.size, gradient=lambda g, y, x: 3 * g * x * x
    )
