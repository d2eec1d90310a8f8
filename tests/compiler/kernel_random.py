"""Random valid kernels with random parameters and memory: every statement and access kind, sizes that are awkward."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from axon import dtypes
from axon.compiler.kernels.kernel import COLUMN_SPAN, LANES, ROW_SPAN, For, Instr, Kernel, Operand, Reduce, Stmt, Tree
from axon.dtypes import DType, bool_, float32, int32, int64

from .kernel_tools import Case, interpreted, signatures

OUTER = (0, 1, 1, 2, 3, 5)
INNER = (0, 1, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 130, 300)
ROW = (*INNER, 4095, 4097, 8192, 13000)
REDUCED = (0, 1, 2, 3, 7, 100, 255, 256, 257, 520, 1300)
COMMON = (float32, float32, float32, int32, dtypes.float64, bool_, dtypes.bfloat16)
FOLDS = ("add", "multiply", "maximum", "minimum", "argmax", "argmin")
# Which of two NaNs an addition returns is the compiler's choice, so nothing may look at a NaN's bits.
HIDDEN = ("signbit", "copysign", "bits")


def values(dtype: DType, size: int, seed: int) -> np.ndarray:
    """Memory of ordinary and special values."""
    r = np.random.default_rng(seed)
    if dtype is bool_:
        return r.random(size) < 0.5
    if dtype.is_integer:
        low, high = int(dtype.lowest), int(dtype.highest)
        made = r.integers(max(low, -100), min(high, 100), size, dtype=dtype.numpy, endpoint=True)
        special = np.array([low, high, 0, 1], dtype.numpy)
    else:
        made = (r.standard_normal(size) * 10).astype(dtype.numpy)
        with np.errstate(over="ignore"):
            special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 0.5, 1e30]).astype(dtype.numpy)
    odd = r.random(size) < 0.05
    made[odd] = special[r.integers(0, len(special), int(odd.sum()))]
    return made


class Maker:
    """Builds one kernel, statement by statement."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.r = random.Random(seed)
        self.form = self.r.choice(("map", "row", "row", "column"))
        self.spans = self.form != "map" and self.r.random() < 0.2
        self.outer = self.r.choice((0, 1, 1, 2, 3))
        self.inner = self.outer + (self.form == "column")
        self.sizes = [self.r.choice(OUTER) for _ in range(self.outer)]
        if self.form == "column":
            self.sizes.append(self.r.choice(REDUCED))
        self.sizes.append(self.r.choice(ROW if self.form == "row" else INNER))
        while np.prod([max(n, 1) for n in self.sizes]) > 60000:
            big = max(range(len(self.sizes)), key=self.sizes.__getitem__)
            self.sizes[big] //= 3
        self.parameters = {f"n{a}": n for a, n in enumerate(self.sizes)}
        if self.form != "row":
            self.parameters["block"] = self.r.choice((max(self.sizes[-1], 1), 1, 3, 8, 16, 24, 50))
        if self.spans:
            size = ROW_SPAN if self.form == "row" else COLUMN_SPAN
            self.parameters["spans"] = -(-self.sizes[self.outer] // size)
        self.dtypes = tuple(self.r.choice(dtypes.ALL if self.r.random() < 0.3 else COMMON) for _ in range(3))
        self.operands: dict[str, list[Operand]] = {"in": [], "out": [], "scratch": []}
        self.steps: dict[tuple[str, int], list[int]] = {}
        self.literals: list[tuple[DType, Any]] = []
        self.guards: list[int] = []
        self.known: dict[int, DType] = {}  # values in scope
        self.truths: list[int] = []  # bools made of guards, in scope
        self.count = 0

    # pieces

    def new(self, dtype: DType) -> int:
        self.known[self.count] = dtype
        self.count += 1
        return self.count - 1

    def guard_of(self, axis: int) -> int:
        n = self.sizes[axis]
        self.guards.append(axis)
        g = len(self.guards) - 1
        self.parameters |= {
            f"lo{g}": self.r.randint(-2, max(n, 1)), f"div{g}": self.r.choice((1, 1, 2, 3)),
            f"len{g}": self.r.choice((0, 1, max(n // 2, 1), n + 1, 1 << 62)),
        }  # fmt: skip
        return g

    def input(
        self, dtype: DType, axes: Sequence[int], space: str = "in", guarded: bool = True
    ) -> tuple[tuple[str, int], list[int]]:
        """An operand that moves along some of these axes, and its guards."""
        access, guards = "", []
        for a in range(self.inner + 1):
            kind = self.r.choice("00sssg1111")
            if a not in axes:
                kind = "0"
            if kind == "1" and a != self.inner:
                kind = "s"
            if kind == "g" and (a == self.inner or not guarded):
                kind = "s"
            if kind == "g":
                guards.append(self.guard_of(a))
            access += kind
        made = Operand(space, dtype, access, tuple(guards))
        self.operands["in"].append(made)
        key = ("in", len(self.operands["in"]) - 1)
        self.steps[key] = [self.r.choice((1, 2, 3, 7, -1, -2)) for _ in access]
        return key, guards

    def fetch(self, body: list[Stmt], dtype: DType, axes: Sequence[int]) -> int:
        """A load, with the predicates its guards need."""
        key, guards = self.input(dtype, axes)
        return self.again(body, key, guards)

    def again(self, body: list[Stmt], key: tuple[str, int], guards: Sequence[int]) -> int:
        args = []
        for g in guards:
            made = self.new(bool_)
            body.append(Instr(made, "guard", bool_, (), g))
            args.append(made)
            self.truths.append(made)
        if len(args) == 2 and self.r.random() < 0.5:
            made = self.new(bool_)
            body.append(Instr(made, "logical_and", bool_, tuple(args)))
            args = [made]
        dtype = self.operands["in"][key[1]].dtype
        made = self.new(dtype)
        body.append(Instr(made, "load", dtype, tuple(args), key))  # type: ignore[arg-type]
        return made

    def as_dtype(self, body: list[Stmt], dtype: DType) -> int:
        """Some value in scope as a dtype."""
        same = [v for v, d in self.known.items() if d is dtype]
        if same and self.r.random() < 0.8:
            return self.r.choice(same)
        if not self.known:
            return self.literal(body, dtype)
        source = self.r.choice(list(self.known))
        made = self.new(dtype)
        body.append(Instr(made, "cast", dtype, (source,)))
        return made

    def literal(self, body: list[Stmt], dtype: DType) -> int:
        value = values(dtype, 1, self.r.randrange(1 << 30))[0].item()
        self.literals.append((dtype, value))
        made = self.new(dtype)
        body.append(Instr(made, "literal", dtype, (), len(self.literals) - 1))
        return made

    def compute(self, body: list[Stmt], axes: Sequence[int], count: int) -> None:
        """Some instructions where values may depend on these axes."""
        for _ in range(count):
            kind = self.r.random()
            if kind < 0.3 or not self.known:
                self.fetch(body, self.r.choice(self.dtypes), axes)
            elif kind < 0.37:
                self.literal(body, self.r.choice(self.dtypes))
            elif kind < 0.45:
                key, _ = self.input(int64, axes, "iota")
                made = self.new(int64)
                body.append(Instr(made, "offset", int64, (), key))  # type: ignore[arg-type]
            elif kind < 0.52:
                self.gathered(body, axes)
            else:
                self.operate(body)

    def gathered(self, body: list[Stmt], axes: Sequence[int]) -> None:
        """An index made to lie in [0, 15] by a mask."""
        index = self.as_dtype(body, int64)
        self.literals.append((int64, 15))
        length, inside = self.new(int64), self.new(int64)
        body.append(Instr(length, "literal", int64, (), len(self.literals) - 1))
        body.append(Instr(inside, "bitwise_and", int64, (index, length)))
        dtype = self.r.choice(self.dtypes)
        key, _ = self.input(dtype, axes, guarded=False)
        made = self.new(dtype)
        body.append(Instr(made, "gather", dtype, (inside,), key))  # type: ignore[arg-type]

    def operate(self, body: list[Stmt]) -> None:
        """A scalar op for a dtype that is at hand."""
        want = self.r.choice(list(self.known.values()))
        able = [k for k in signatures() if k[0] != "cast" and k[0] not in HIDDEN and k[1][-1] is want]
        if not able:
            self.as_dtype(body, self.r.choice(self.dtypes))
            return
        name, inputs, output = self.r.choice(able)
        args = tuple(self.as_dtype(body, d) for d in inputs)
        made = self.new(output)
        body.append(Instr(made, name, output, args))

    def store(self, body: list[Stmt], axes: Sequence[int], value: int | None = None) -> None:
        """Store a value to a new dense output that moves along outer and these axes."""
        value = self.r.choice(list(self.known)) if value is None else value
        moves = [a for a in range(self.inner + 1) if a < self.outer or a in axes]
        apart = self.r.choice((1, 1, 1, 2))
        steps, step = [0] * (self.inner + 1), apart
        for a in reversed(moves):
            steps[a] = step
            step *= max(self.sizes[a], 1)
        unit = self.inner in axes and apart == 1
        access = "".join(
            "0" if a not in moves else "1" if a == self.inner and unit else "s" for a in range(self.inner + 1)
        )
        self.operands["out"].append(Operand("out", self.known[value], access))
        key = ("out", len(self.operands["out"]) - 1)
        self.steps[key] = steps
        body.append(Instr(-1, "store", self.known[value], (value,), key))  # type: ignore[arg-type]

    def reduction(self, body: list[Stmt], axes: Sequence[int]) -> tuple[tuple[int, ...], str, tuple[DType, ...]]:
        """Values to reduce at the end of a loop body, and how."""
        candidates = [v for v, d in self.known.items() if not d.is_half]
        value = self.r.choice(candidates) if candidates else self.as_dtype(body, float32)
        dtype = self.known[value]
        combine = self.r.choice(("logical_or", "logical_and") if dtype is bool_ else FOLDS)
        if not combine.startswith("arg"):
            return (value,), combine, (dtype,)
        place, index = self.new(int64), self.new(int32)
        access = "".join("0" if a != axes[0] else "1" if a == self.inner else "s" for a in range(self.inner + 1))
        self.operands["in"].append(Operand("iota", int64, access))
        key = ("in", len(self.operands["in"]) - 1)
        self.steps[key] = [1] * len(access)
        body.append(Instr(place, "offset", int64, (), key))  # type: ignore[arg-type]
        body.append(Instr(index, "cast", int32, (place,)))
        return (value, index), combine, (dtype, int32)

    # forms

    def body(self) -> list[Stmt]:
        body: list[Stmt] = []
        self.compute(body, range(self.outer), self.r.randint(0, 3))
        if self.form == "map":
            inside: list[Stmt] = []
            axes = range(self.inner + 1)
            self.compute(inside, axes, self.r.randint(1, 9))
            for _ in range(self.r.randint(1, 2)):
                self.store(inside, [self.inner])
            return [*body, For(self.inner, tuple(inside))]
        return [*body, *(self.rows() if self.form == "row" else self.columns())]

    def rows(self) -> list[Stmt]:
        body: list[Stmt] = []
        kept: list[tuple[int, DType]] = []
        for _ in range(1 if self.spans else self.r.randint(1, 3)):
            saved, truths = dict(self.known), list(self.truths)
            inside: list[Stmt] = []
            for number, dtype in kept:
                made = self.new(dtype)
                inside.append(Instr(made, "load", dtype, (), ("scratch", number)))  # type: ignore[arg-type]
            self.compute(inside, range(self.inner + 1), self.r.randint(1, 6))
            folds = [self.reduction(inside, [self.inner]) for _ in range(self.r.choice((0, 1, 1, 2)) or self.spans)]
            if self.r.random() < 0.5:
                self.store(inside, [self.inner])
            if self.r.random() < 0.4 and not self.spans:
                value = self.r.choice(list(self.known))
                self.operands["scratch"].append(Operand("scratch", self.known[value], "0" * self.inner + "1"))
                number = len(self.operands["scratch"]) - 1
                inside.append(Instr(-1, "store", self.known[value], (value,), ("scratch", number)))  # type: ignore[arg-type]
                kept.append((number, self.known[value]))
            self.known, self.truths = saved, truths
            reduces = tuple(self.reduce(values, combine, types) for values, combine, types in folds)
            body.append(For(self.inner, tuple(inside), reduces))
            if self.spans:
                return body
            self.compute(body, range(self.outer), self.r.randint(0, 2))
        if self.known:
            self.store(body, [])
        return body

    def reduce(self, values: tuple[int, ...], combine: str, types: tuple[DType, ...]) -> Reduce:
        if not self.spans:
            return Reduce(tuple(self.new(d) for d in types), values, combine, types)
        results = tuple(range(self.count, self.count + len(types)))
        self.count += len(types)
        width = LANES if self.form == "row" else self.sizes[-1]
        partials = []
        for d in types:
            step, steps = self.parameters["spans"] * width, [0] * (self.inner + 1)
            for a in reversed(range(self.outer)):
                steps[a] = step
                step *= max(self.sizes[a], 1)
            self.operands["out"].append(Operand("out", d, "s" * self.outer + ("0" if self.form == "row" else "01")))
            partials.append(("out", len(self.operands["out"]) - 1))
            self.steps[partials[-1]] = steps
        return Reduce(results, values, combine, types, tuple(partials))  # type: ignore[arg-type]

    def columns(self) -> list[Stmt]:
        reduced = self.outer
        saved, truths = dict(self.known), list(self.truths)
        middle: list[Stmt] = []
        self.compute(middle, range(self.inner), self.r.randint(0, 2))
        inside: list[Stmt] = []
        self.compute(inside, range(self.inner + 1), self.r.randint(1, 6))
        folds = [self.reduction(inside, [reduced]) for _ in range(self.r.choice((1, 1, 2)))]
        if self.r.random() < 0.4:
            self.store(inside, [reduced, self.inner])
        self.known, self.truths = saved, truths
        reduces = tuple(self.reduce(values, combine, types) for values, combine, types in folds)
        body: list[Stmt] = [For(reduced, (*middle, For(self.inner, tuple(inside))), reduces)]
        if not self.spans:
            after: list[Stmt] = []
            self.compute(after, [*range(self.outer), self.inner], self.r.randint(0, 3))
            for r in reduces:
                self.store(after, [self.inner], r.results[-1])
            body.append(For(self.inner, tuple(after)))
        return body

    # the whole

    def case(self) -> Case:
        body = self.body()
        order = [(s, k) for s in ("in", "out", "scratch") for k in range(len(self.operands[s]))]
        number = {key: n for n, key in enumerate(order)}
        operands = tuple(self.operands[s][k] for s, k in order)
        kernel = Kernel(
            self.form, self.outer, operands, tuple(d for d, _ in self.literals), tuple(self.guards),
            tuple(_renumber(s, number) for s in body), self.spans,
        )  # fmt: skip
        arrays = []
        for n, key in enumerate(order):
            operand = operands[n]
            if operand.space == "scratch":
                continue
            low = high = 0
            guards = iter(operand.guards)
            for a, c in enumerate(operand.access):
                extent = self.sizes[a] - 1
                if c == "g":
                    extent = min(extent + 2, self.parameters[f"len{next(guards)}"] - 1)
                reach = max(extent, 0) * (1 if c == "1" else self.steps[key][a] if c in "sg" else 0)
                low, high = low + min(reach, 0), high + max(reach, 0)
            if (
                operand.access == "s" * self.outer + ("0" if self.form == "row" else "01")
                and self.spans
                and key[0] == "out"
            ):
                high += self.parameters["spans"] * (LANES if self.form == "row" else self.sizes[-1])
            pad = self.r.randint(0, 3)
            self.parameters[f"o{n}"] = pad - low
            for a, c in enumerate(operand.access):
                if c in "sg":
                    self.parameters[f"s{n}_{a}"] = self.steps[key][a]
            if operand.space != "iota":
                arrays.append(values(operand.dtype, pad - low + high + 1 + 20, self.seed + n))
        parameters = {name: self.parameters[name] for name in kernel.parameters}
        return Case(kernel, parameters, tuple(v for _, v in self.literals), tuple(arrays))


def _renumber(s: Stmt, number: dict[Any, int]) -> Stmt:
    """The statement with operand keys replaced by numbers."""
    if isinstance(s, For):
        reduces = tuple(r._replace(partials=tuple(number[k] for k in r.partials)) for r in s.reduces)
        return For(s.axis, tuple(_renumber(b, number) for b in s.body), reduces)
    if isinstance(s, Instr) and isinstance(s.attr, tuple):
        return s._replace(attr=number[s.attr])
    return s


def random_case(seed: int) -> Case:
    """A valid kernel, its parameters and memory, the same for the same seed."""
    return Maker(seed).case()


def second_case(first: Case, arrays: Sequence[np.ndarray]) -> Case:
    """The kernel that combines the partial results a spans kernel has left in `arrays`."""
    kernel = first.kernel
    assert kernel.spans
    loop = kernel.body[-1]
    assert isinstance(loop, For)
    row = kernel.form == "row"
    memory = dict(zip(kernel.pointers, arrays))
    operands, outs, body, stores, given, results = [], [], [], [], [], []
    lead = [first.parameters[f"n{a}"] for a in range(kernel.outer)]
    inner = 1 if row else first.parameters[f"n{kernel.inner}"]
    parameters = {f"n{a}": n for a, n in enumerate([*lead, inner])} | {"spans": first.parameters["spans"]}
    if not row:
        parameters["block"] = first.parameters["block"]
    count = sum(len(r.results) for r in loop.reduces)
    number = 0
    for r in loop.reduces:
        ids = tuple(range(number, number + len(r.results)))
        body.append(Tree(ids, ids, r.combine, r.dtypes, row))
        for k, id_, dtype in zip(r.partials, ids, r.dtypes):
            operands.append(Operand("in", dtype, "s" * kernel.outer + ("0" if row else "1")))
            outs.append(Operand("out", dtype, "s" * kernel.outer + ("0" if row else "1")))
            parameters[f"o{id_}"], parameters[f"o{count + id_}"] = first.parameters[f"o{k}"], 0
            step = inner
            for a in reversed(range(kernel.outer)):
                parameters[f"s{id_}_{a}"] = first.parameters[f"s{k}_{a}"]
                parameters[f"s{count + id_}_{a}"] = step
                step *= max(lead[a], 1)
            stores.append(Instr(-1, "store", dtype, (id_,), count + id_))
            given.append(memory[k])
            results.append(np.zeros(max(step, 1), dtype.numpy))
        number += len(r.results)
    whole = tuple(stores) if row else (For(kernel.outer, tuple(stores)),)
    made = Kernel("row" if row else "map", kernel.outer, (*operands, *outs), (), (), (*body, *whole))
    return Case(made, {name: parameters[name] for name in made.parameters}, (), (*given, *results))


def with_partials(cases: Iterable[Case]) -> list[Case]:
    """The cases; one in spans is followed by the kernel that combines its partial results."""
    made = []
    for case in cases:
        made.append(case)
        if case.kernel.spans:
            made.append(second_case(case, interpreted(case)))
    return made


def random_cases(seed: int) -> list[Case]:
    """Six random kernels, and those that combine partial results."""
    return with_partials(random_case(seed * 6 + k) for k in range(6))
