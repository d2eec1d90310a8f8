"""Random composed programs: what a step reads and makes is drawn from what is there, which is run along, plainly."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

import numpy as np
from axon import nx
from axon.errors import AxonError
from axon.nx import Tensor

from .reading import ALONG, BINARY, CUMULATIVE, KINKED, POLICIES, REDUCTIONS, UNARY, Block, Reading, Step

Type = tuple[tuple[int, ...], str]

ROWS = ("unary", "binary", "binary", "number", "fit", "reduce", "move", "move", "dot", "concat", "concat", "cumulative")
MORE = ("take", "put", "choose", "stop", "label", "native", "ruled", "cast", "along", "along", "named", "halved")
REGIONS = ("scan", "scan", "loop", "branch", "lanes", "lanes", "checkpoint", "forward", "reverse", "jacobian")
MOVES = ("flip", "turn", "flat", "new", "half", "odd", "pad")
LARGEST = 96


class Program(NamedTuple):
    """A block over inputs of these types."""

    dtype: str
    types: tuple[Type, ...]
    body: Block
    back: bool  # whether it has gradients: no loop is without a bound
    acts: bool

    def kinds(self) -> set[str]:
        return kinds(self.body)


def kinds(block: Block) -> set[str]:
    """What the steps of a block do, at any depth."""
    found = set[str]()
    for step in block.steps:
        found |= {step.kind, str(step.options.get("f"))}.union(*map(kinds, step.blocks))
        if step.kind == "along" and step.options["f"] in ("sort", "argmax"):
            found.add("kink")
        if step.kind == "fit" and "float" in step.options["dtype"]:
            found.add(step.options["dtype"])
        if step.kind == "cumulative" and step.options["f"] in ("max", "min"):
            found.add("kink")
        if step.kind in ("binary", "reduce") and step.options["f"] in KINKED:
            found.add("kink")
    return found


class Maker:
    """Draws a program."""

    def __init__(self, random: Random) -> None:
        self.random, self.labels = random, 0
        self.dtype = random.choice(("float64",) * 7 + ("float32", "bfloat16", "float16"))
        self.back = random.random() < 0.8
        self.acts, self.halves = random.random() < 0.25, random.random() < 0.1
        self.plain = Reading(True, self.dtype)

    def program(self) -> Program:
        r = self.random
        n = self.size()
        shapes = [(n, self.size()), (n,), (), (self.size(), n, self.size())]
        types = [(s, self.dtype) for s in r.sample(shapes, r.randint(2, 4))]
        types += [(r.choice([(), (n,)]), "int32")] if r.random() < 0.7 else []
        body, _ = self.block([], [], [self.sample(t) for t in types], r.choice((1, 2, 2, 3)), least=3)
        return Program(self.dtype, tuple(types), body, self.back, self.acts)

    def size(self) -> int:
        return self.random.choice((1, 2, 2, 3, 3, 4) * 3 + (0, 5))

    def sample(self, type_: Type) -> Tensor:
        shape, dtype = type_
        return nx.full(shape, {"bool": True, "int32": 1}.get(dtype, 0.3), dtype=dtype)

    def block(
        self,
        outer: Sequence[Tensor],
        captured: Sequence[int],
        params: Sequence[Tensor],
        depth: int,
        wanted: Sequence[Type] | None = None,
        floats: bool = False,
        least: int = 1,
    ) -> tuple[Block, list[Tensor]]:
        r = self.random
        env = [*(outer[i] for i in captured), *params]
        steps: list[Step] = []

        def add(step: Step) -> bool:
            try:
                made = getattr(self.plain, step.kind)(step, env)
            except AxonError:
                if not any(t.type.names for t in env):  # which may not fit
                    raise
                return False
            if any(t.size > LARGEST for t in made):
                return False
            env.extend(made)
            steps.append(step)
            return True

        for _ in range(r.randint(least, least + 2)):
            for step in self.step(env, depth):
                if not add(step):
                    break
        if wanted is None:
            pool = [i for i, t in enumerate(env) if (not floats or t.dtype.name == self.dtype) and not t.type.names]
            if not pool:
                add(Step("number", (), {"shape": (), "value": 0.5}))
                pool = [len(env) - 1]
            late = [i for i in pool if i >= len(env) - 4] or pool
            results = [r.choice(late if r.random() < 0.8 else pool) for _ in range(r.randint(1, 3))]
        else:
            results = []
            for shape, dtype in wanted:
                same = [i for i, t in enumerate(env) if (t.shape, t.dtype.name, t.type.names) == (shape, dtype, None)]
                if same and (r.random() < 0.2):
                    results.append(r.choice(same))
                else:
                    add(Step("fit", (r.randrange(max(0, len(env) - 5), len(env)) if env else self.none(env, steps),),
                             {"shape": shape, "dtype": dtype}))  # fmt: skip
                    results.append(len(env) - 1)
        return Block(tuple(captured), tuple(steps), tuple(results)), [env[i] for i in results]

    def none(self, env: list[Tensor], steps: list[Step]) -> int:
        step = Step("number", (), {"shape": (), "value": 0.5})
        env.extend(self.plain.number(step, env))
        steps.append(step)
        return 0

    def captures(self, env: Sequence[Tensor]) -> list[int]:
        r = self.random
        return sorted(r.sample(range(len(env)), r.randint(0, min(3, len(env)))))

    def floats(self, env: Sequence[Tensor], least: int = 0) -> list[int]:
        return [i for i, t in enumerate(env) if t.dtype.name == self.dtype and t.ndim >= least]

    def step(self, env: list[Tensor], depth: int) -> list[Step]:
        """Some steps over what is there; none if what was drawn does not fit."""
        r = self.random
        floats = self.floats(env)
        if not floats:
            return [Step("number", (), {"shape": r.choice([(), (2,), (3, 2)]), "value": 0.4})]
        if self.acts and r.random() < 0.25:
            self.labels += 1
            how = r.choice(("call", "forward", "backward", "result"))
            return [Step("effect", (r.choice(floats),), {"label": self.labels, "how": how})]
        kind = r.choice(REGIONS if depth and r.random() < 0.6 else ROWS if r.random() < 0.7 else MORE)
        return getattr(self, "_" + kind)(env, floats, depth)

    def axis(self, env: Sequence[Tensor], pool: Sequence[int], some: bool = False) -> tuple[int, int] | None:
        """A value, and an axis of it."""
        pool = [i for i in pool if env[i].ndim and (not some or env[i].size)]
        if not pool:
            return None
        i = self.random.choice(pool)
        axes = [a for a, n in enumerate(env[i].shape) if n or not some]
        return i, self.random.choice(axes)

    # A method a kind

    def _unary(self, env: Any, floats: Any, depth: int) -> list[Step]:
        return [Step("unary", (self.random.choice(floats),), {"f": self.random.choice([*UNARY])})]

    def _binary(self, env: Any, floats: Any, depth: int) -> list[Step]:
        a = self.random.choice(floats)
        fits = [b for b in floats if _broadcast(env[a].shape, env[b].shape)]
        return [Step("binary", (a, self.random.choice(fits)), {"f": self.random.choice([*BINARY])})]

    def _number(self, env: Any, floats: Any, depth: int) -> list[Step]:
        shape = env[self.random.choice(floats)].shape
        return [Step("number", (), {"shape": shape, "value": self.random.choice((0.0, 0.5, -1.25))})]

    def _fit(self, env: Any, floats: Any, depth: int) -> list[Step]:
        i = self.random.randrange(len(env))
        shape = env[self.random.randrange(len(env))].shape
        dtype = self.random.choice((self.dtype, self.dtype, "int32", "bool"))
        return [Step("fit", (i,), {"shape": shape, "dtype": dtype})]

    def _reduce(self, env: Any, floats: Any, depth: int) -> list[Step]:
        found = self.axis(env, floats, some=True)
        options = {"f": self.random.choice([*REDUCTIONS])}
        return [Step("reduce", found[:1], {**options, "axis": found[1]})] if found else []

    def _move(self, env: Any, floats: Any, depth: int) -> list[Step]:
        found = self.axis(env, range(len(env)), some=True)
        if found is None or env[found[0]].dtype.name != self.dtype:
            return []
        return [Step("move", found[:1], {"axis": found[1], "how": self.random.choice(MOVES)})]

    def _dot(self, env: Any, floats: Any, depth: int) -> list[Step]:
        found = self.axis(env, floats)
        if found is None:
            return []
        a = found[0]
        fits = [b for b in floats if env[b].ndim in (1, 2) and env[b].shape[0] == env[a].shape[-1]]
        return [Step("dot", (a, self.random.choice(fits)))] if fits else []

    def _concat(self, env: Any, floats: Any, depth: int) -> list[Step]:
        found = self.axis(env, floats)
        if found is None:
            return []
        a, axis = found
        apart = lambda shape: (shape[:axis], shape[axis + 1 :])  # noqa: E731
        fits = [b for b in floats if env[b].ndim == env[a].ndim and apart(env[b].shape) == apart(env[a].shape)]
        return [Step("concat", (a, *self.random.choices(fits, k=self.random.randint(1, 2))), {"axis": axis})]

    def _cumulative(self, env: Any, floats: Any, depth: int) -> list[Step]:
        found = self.axis(env, floats)
        options = {"f": self.random.choice(CUMULATIVE), "reverse": self.random.random() < 0.5}
        return [Step("cumulative", found[:1], {**options, "axis": found[1]})] if found else []

    def integers(self, env: Sequence[Tensor], ndim: int) -> list[int]:
        return [i for i, t in enumerate(env) if t.dtype.is_integer and t.ndim == ndim]

    def _take(self, env: Any, floats: Any, depth: int) -> list[Step]:
        found, at = self.axis(env, floats, some=True), self.integers(env, 0) + self.integers(env, 1)
        return [Step("take", (found[0], self.random.choice(at)), {"axis": found[1]})] if found and at else []

    def _put(self, env: Any, floats: Any, depth: int) -> list[Step]:
        found, at = self.axis(env, floats, some=True), self.integers(env, 0)
        if not found or not at:
            return []
        return [Step("put", (found[0], self.random.choice(at)), {"add": self.random.random() < 0.5})]

    def _choose(self, env: Any, floats: Any, depth: int) -> list[Step]:
        bools = [i for i, t in enumerate(env) if t.dtype.name == "bool"]
        if not bools:
            a = self.random.choice(floats)
            return [Step("fit", (a,), {"shape": env[a].shape, "dtype": "bool"})]
        p, a = self.random.choice(bools), self.random.choice(floats)
        fits = [b for b in floats if _broadcast(env[a].shape, env[b].shape)]
        b = self.random.choice(fits)
        fits = _broadcast(np.broadcast_shapes(env[a].shape, env[b].shape), env[p].shape)
        return [Step("choose", (p, a, b))] if fits else []

    def _stop(self, env: Any, floats: Any, depth: int) -> list[Step]:
        return [Step("stop", (self.random.choice(floats),))]

    def _label(self, env: Any, floats: Any, depth: int) -> list[Step]:
        return [Step("label", (self.random.choice(floats),))]

    def _native(self, env: Any, floats: Any, depth: int) -> list[Step]:
        return [Step("native", (self.random.choice(floats),))]

    def _cast(self, env: Any, floats: Any, depth: int) -> list[Step]:
        a, b = self.random.choice(floats), self.random.choice(floats)
        dtype = self.random.choice(("int32", "bool"))
        return [Step("fit", (a,), {"shape": env[b].shape, "dtype": dtype})]

    def _along(self, env: Any, floats: Any, depth: int) -> list[Step]:
        found = self.axis(env, floats, some=True)
        options = {"f": self.random.choice([*ALONG])}
        return [Step("along", found[:1], {**options, "axis": found[1]})] if found else []

    def _named(self, env: Any, floats: Any, depth: int) -> list[Step]:
        found = self.axis(env, floats)
        return [Step("named", found[:1], {"but": self.random.choice((-1, found[1]))})] if found else []

    def _halved(self, env: Any, floats: Any, depth: int) -> list[Step]:
        if not self.halves:
            return []
        i = self.random.choice(floats)
        return [Step("fit", (i,), {"shape": env[i].shape, "dtype": self.random.choice(("float16", "bfloat16"))})]

    def _ruled(self, env: Any, floats: Any, depth: int) -> list[Step]:
        a = self.random.choice(floats)
        same = [b for b in floats if env[b].shape == env[a].shape]
        return [Step("ruled", (a, self.random.choice(same)), {"by": self.random.choice(("vjp", "jvp"))})]

    def unnamed(self, env: Sequence[Tensor]) -> list[int]:
        return [i for i, t in enumerate(env) if not t.type.names]

    def some(self, pool: Sequence[int], least: int, most: int) -> list[int]:
        return [self.random.choice(pool) for _ in range(self.random.randint(least, most))] if pool else []

    def _scan(self, env: Any, floats: Any, depth: int) -> list[Step]:
        r, everything = self.random, self.unnamed(env)  # whose rows and lanes have the types of samples
        carry = self.some(everything, 0, 2)
        first = self.axis(env, everything)
        xs, length = [], r.choice((0, 1, 2, 3, 4))
        if first is not None and r.random() < 0.8:
            length = env[first[0]].shape[0]
            xs = self.some([i for i in everything if env[i].ndim and env[i].shape[0] == length], 1, 2)
        types = [(env[i].shape, env[i].dtype.name) for i in carry]
        rows = [self.sample((env[i].shape[1:], env[i].dtype.name)) for i in xs]
        dtypes = (self.dtype, self.dtype, "int32", "bool")
        types += [(r.choice([(), (2,), (2, 1)]), r.choice(dtypes)) for _ in range(r.randint(0, 2))]
        given = [*(env[i] for i in carry), *rows]
        block, _ = self.block(env, self.captures(env), given, depth - 1, wanted=types)
        options = {"carry": len(carry), "length": length, "reverse": r.random() < 0.4, "unroll": r.choice((1, 1, 1, 2))}
        return [Step("scan", (*carry, *xs), options, (block,))]

    def _loop(self, env: Any, floats: Any, depth: int) -> list[Step]:
        r = self.random
        carry = self.some(self.unnamed(env), 1, 3)
        if not carry:
            return []
        types = [(env[i].shape, env[i].dtype.name) for i in carry]
        held = [env[i] for i in carry]
        body, _ = self.block(env, self.captures(env), [self.sample(((), "int32")), *held], depth - 1, wanted=types)
        test = []
        if r.random() < 0.6:
            test = [self.block(env, self.captures(env), held, 0, wanted=[((), "bool")])[0]]
        most = r.choice((0, 1, 2, 3, 5)) if self.back or r.random() < 0.5 else None
        bounds = self.integers(env, 0)
        steps, bound = [], len(env)
        if bounds and r.random() < 0.7:
            bound = r.choice(bounds)
        else:
            steps.append(Step("fit", (r.choice(floats),), {"shape": (), "dtype": "int32"}))
        return [*steps, Step("loop", (*carry, bound), {"most": most}, (body, *test))]

    def _branch(self, env: Any, floats: Any, depth: int) -> list[Step]:
        r = self.random
        operands = self.some(range(len(env)), 0, 3)
        given = [env[i] for i in operands]
        pool = [i for i, t in enumerate(env) if not t.ndim and not t.dtype.is_float]
        if not pool or r.random() < 0.3:
            new = Step("fit", (r.choice(floats),), {"shape": (), "dtype": r.choice(("bool", "int32"))})
            steps, index, is_bool = [new], len(env), new.options["dtype"] == "bool"
        else:
            steps, index = [], r.choice(pool)
            is_bool = env[index].dtype.name == "bool"
        first, made = self.block(env, self.captures(env), given, depth - 1)
        wanted = [(t.shape, t.dtype.name) for t in made]
        others = [
            self.block(env, self.captures(env), given, depth - 1, wanted=wanted)[0]
            for _ in range(1 if is_bool else r.randint(0, 2))
        ]
        return [*steps, Step("branch", (index, *operands), {}, (first, *others))]

    def _lanes(self, env: Any, floats: Any, depth: int) -> list[Step]:
        r = self.random
        found = self.axis(env, self.unnamed(env))
        args, axes, size = list[int](), list[int | None](), r.choice((1, 2, 3))
        if found is not None:
            args, size = [found[0]], env[found[0]].shape[found[1]]
            axes.append(found[1])
        for i in self.some(self.unnamed(env), 0, 2):
            fits = [a for a, n in enumerate(env[i].shape) if n == size]
            args.append(i)
            axes.append(r.choice([*fits, None]))
        axes = [a - env[i].ndim if a is not None and r.random() < 0.3 else a for i, a in zip(args, axes)]
        lane = [
            self.sample((tuple(np.delete(env[i].shape, a).tolist()) if a is not None else env[i].shape,
                         env[i].dtype.name)) for i, a in zip(args, axes)
        ]  # fmt: skip
        block, made = self.block(env, self.captures(env), lane, depth - 1)
        out = tuple(r.randint(-t.ndim - 1, t.ndim) for t in made)
        return [Step("lanes", tuple(args), {"axes": tuple(axes), "out": out, "size": size}, (block,))]

    def _checkpoint(self, env: Any, floats: Any, depth: int) -> list[Step]:
        args = self.some(range(len(env)), 0, 3)
        block, _ = self.block(env, self.captures(env), [env[i] for i in args], depth - 1, least=2)
        return [Step("checkpoint", tuple(args), {"policy": self.random.choice([*POLICIES])}, (block,))]

    def _forward(self, env: Any, floats: Any, depth: int) -> list[Step]:
        args = self.some(floats, 1, 2)
        block, _ = self.block(env, self.captures(env), [env[i] for i in args], depth - 1, floats=True)
        along, steps = [], []
        for i in args:
            same = [k for k in floats if env[k].shape == env[i].shape]
            along.append(self.random.choice(same))
        if any(env[i].type.names for i in (*args, *along)):
            return []
        return [*steps, Step("forward", (*args, *along), {"linear": self.random.random() < 0.5}, (block,))]

    def _reverse(self, env: Any, floats: Any, depth: int) -> list[Step]:
        back, self.back = self.back, True
        args = self.some(floats, 1, 2)
        block, _ = self.block(env, self.captures(env), [env[i] for i in args], depth - 1, floats=True)
        self.back = back
        return [Step("reverse", tuple(args), {"scalar": self.random.random() < 0.5}, (block,))]

    def _jacobian(self, env: Any, floats: Any, depth: int) -> list[Step]:
        small = [i for i in floats if 0 < env[i].size <= 4]
        if not small:
            return []
        x = self.random.choice(small)
        back, self.back = self.back, True
        block, _ = self.block(env, self.captures(env), [env[x]], depth - 1, floats=True)
        self.back = back
        return [Step("jacobian", (x,), {"mode": self.random.choice(("jacfwd", "jacrev", "jacobian"))}, (block,))]


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        return bool(np.prod(np.broadcast_shapes(a, b)) <= LARGEST)
    except ValueError:
        return False


def program(random: Random) -> Program:
    return Maker(random).program()


def arrays(made: Program, seed: int) -> list[np.ndarray]:
    """Inputs of a program."""
    rng = np.random.default_rng(seed)
    return [
        rng.integers(-2, 5, shape, "int32") if dtype == "int32" else rng.uniform(-1.2, 1.2, shape)
        for shape, dtype in made.types
    ]
