"""The Kernel interpreter: what each statement of the IR means, in NumPy over the compiled scalar tiles.

Every value is an array over the kernel's axes, of size 1 along those it does not depend on; a statement is executed
once, for all units together. Results are bit for bit those of compiled kernels. The order of reductions is written
plainly here: `lanes`, `tree_of` and `halve` for rows, `column` and `tree_of` for columns (docs/design/reductions.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...dtypes import DType, dtype, int32
from ...nx.core.combine import COMBINES
from ...runtime import tile_of
from .kernel import COLUMN_SPAN, LANES, ROW_SPAN, Instr, Kernel, Reduce, Stmt, Tree

Array = np.ndarray[Any, Any]
Tile = Callable[[Sequence[Array], Array], None]  # contiguous inputs and output of one length
Provider = Callable[[str, tuple[DType, ...], DType], Tile]  # name, dtypes of the inputs, dtype of the output
Fold = tuple[Array, ...]  # what is combined as one: (value,), or (value, index) for argmax


def compiled_tile(name: str, inputs: tuple[DType, ...], output: DType) -> Tile:
    """The tile that the build has compiled for a scalar."""
    run = tile_of(name, [d.code for d in inputs], output.code)
    return lambda arrays, out: run(*(a.view(np.uint8) for a in arrays), out.view(np.uint8))


def interpret(
    kernel: Kernel,
    parameters: Mapping[str, int],
    literals: Sequence[Any],
    arrays: Sequence[Array],
    tile: Provider = compiled_tile,
) -> None:
    """Run all units of a kernel. `arrays` are flat memory, one for each of `kernel.pointers`; outputs are written."""
    Interpreter(kernel, parameters, literals, arrays, tile).run()


class Interpreter:
    """The state of one run: values by id, and the index of every axis as an array."""

    def __init__(
        self,
        kernel: Kernel,
        parameters: Mapping[str, int],
        literals: Sequence[Any],
        arrays: Sequence[Array],
        tile: Provider,
    ) -> None:
        self.kernel, self.parameters, self.literals, self.tile = kernel, parameters, literals, tile
        self.memory = dict(zip(kernel.pointers, arrays))
        self.scratch: dict[int, Array] = {}
        self.values: dict[int, Array] = {}
        self.rank = kernel.inner + 1
        self.sizes = [parameters[f"n{a}"] for a in range(self.rank)]
        self.index = [self.along(a, np.arange(n, dtype=np.int64)) for a, n in enumerate(self.sizes)]

    def along(self, axis: int, values: Array) -> Array:
        """A vector as an array over the kernel's axes that changes along one."""
        return values.reshape([-1 if a == axis else 1 for a in range(self.rank)])

    def run(self) -> None:
        if self.kernel.units(dict(self.parameters)) > 0:
            self.body(self.kernel.body)

    def body(self, body: Sequence[Stmt]) -> None:
        for s in body:
            if isinstance(s, Instr):
                self.instr(s)
            elif isinstance(s, Tree):
                self.tree(s)
            else:
                self.body(s.body)
                for r in s.reduces:
                    self.reduce(r, s.axis)

    # instructions

    def instr(self, s: Instr) -> None:
        args = [self.values[a] for a in s.args]
        match s.op:
            case "store":
                self.store(s.attr, args[0])
                return
            case "load" if self.kernel.operands[s.attr].space == "scratch":
                made = self.scratch[s.attr]
            case "load":
                made = self.load(s.attr, self.offset(s.attr), args)
            case "gather":
                made = self.load(s.attr, self.offset(s.attr) + args[0], ())
            case "offset":
                made = self.offset(s.attr)
            case "literal":
                made = np.full([1] * self.rank, self.literals[s.attr], s.dtype.numpy)
            case "guard":
                made = self.guard(s.attr)[0]
            case _:
                made = self.scalar(s.op, args, s.dtype)
        self.values[s.id] = made

    def scalar(self, op: str, args: Sequence[Array], result: DType) -> Array:
        """A scalar op over arrays of one shape, or broadcast to one."""
        shape = np.broadcast_shapes(*(a.shape for a in args))
        out = np.empty(shape, result.numpy)
        dtypes = tuple(dtype(a.dtype) for a in args)
        flat = [np.ascontiguousarray(np.broadcast_to(a, shape)).reshape(-1) for a in args]
        self.tile(op, dtypes, result)(flat, out.reshape(-1))
        return out

    def guard(self, number: int) -> tuple[Array, Array]:
        """Whether the index of a guard's axis is inside, and its quotient there (0 elsewhere)."""
        low, div, length = (self.parameters[f"{name}{number}"] for name in ("lo", "div", "len"))
        t = self.index[self.kernel.guards[number]] - low
        inside = (t >= 0) & (t % div == 0) & (t // div < length)
        return inside, np.where(inside, t // div, 0)

    def offset(self, k: int) -> Array:
        """The element offset of an operand, over the axes it moves along."""
        operand = self.kernel.operands[k]
        made = np.full([1] * self.rank, self.parameters[f"o{k}"], np.int64)
        guards = iter(operand.guards)
        for axis, char in enumerate(operand.access):
            if char == "1":
                made = made + self.index[axis]
            elif char == "s":
                made = made + self.index[axis] * self.parameters[f"s{k}_{axis}"]
            elif char == "g":
                made = made + self.guard(next(guards))[1] * self.parameters[f"s{k}_{axis}"]
        return made

    def load(self, k: int, offset: Array, predicates: Sequence[Array]) -> Array:
        """Elements at an offset; where a predicate is false memory is not touched, and the value is 0."""
        memory = self.memory[k].reshape(-1)
        touched = np.ones([1] * self.rank, bool)
        for p in predicates:
            touched = touched & p
        offset, touched = np.broadcast_arrays(offset, touched)
        made = np.zeros(offset.shape, memory.dtype)
        made[touched] = memory[_within(offset[touched], memory)]
        return made

    def store(self, k: int, value: Array) -> None:
        operand = self.kernel.operands[k]
        if operand.space == "scratch":
            self.scratch[k] = value
            return
        memory, offset = self.memory[k].reshape(-1), self.offset(k)
        offset, value = np.broadcast_arrays(offset, value)
        memory[_within(offset, memory)] = value

    # reductions

    def reduce(self, r: Reduce, axis: int) -> None:
        kernel, n = self.kernel, self.sizes[axis]
        fold = tuple(np.moveaxis(np.broadcast_to(self.values[v], self.sizes), axis, -1) for v in r.values)
        size, one = (ROW_SPAN, self.lanes) if kernel.form == "row" else (COLUMN_SPAN, self.column)
        spans = [one(r, _cut(fold, i, min(i + size, n))) for i in range(0, n, size)]
        if r.partials:
            for k, parts in zip(r.partials, zip(*spans)):
                self.store_partial(k, np.stack(parts, axis=kernel.outer))
            return
        made = self.combined(r, spans, fold[0].shape[:-1], kernel.form == "row")
        for result, value in zip(r.results, made):
            self.values[result] = np.expand_dims(value, axis)

    def combined(self, r: Reduce | Tree, spans: list[Fold], shape: tuple[int, ...], row: bool) -> Fold:
        """The result of all spans; `shape` is that of the places there are. Nothing combined is the identity."""
        if not spans:
            return self.identity(r, shape)
        return self.halve(r, self.tree_of(r, spans)) if row else self.tree_of(r, spans)

    def combine(self, r: Reduce | Tree, a: Fold, b: Fold) -> Fold:
        """Two folds as one; a is the left operand."""
        how = COMBINES[r.combine]
        if not how.index:
            return (self.scalar(r.combine, (a[0], b[0]), r.dtypes[0]),)
        (x, i), (y, j) = a, b
        further = getattr(np, how.further)(y, x)
        nan_x, nan_y = x != x, y != y
        takes = further | (nan_y & ~nan_x) | (((x == y) | (nan_x & nan_y)) & (j < i))
        return np.where(takes, y, x), np.where(takes, j, i)

    def identity(self, r: Reduce | Tree, shape: tuple[int, ...]) -> Fold:
        starts = (COMBINES[r.combine].identity(r.dtypes[0]), int32.highest)
        return tuple(np.full(shape, start, d.numpy) for start, d in zip(starts, r.dtypes))

    def lanes(self, r: Reduce, span: Fold) -> Fold:
        """A span of a row, [..., n], as 64 lanes: element i is combined into lane i mod 64."""
        n = span[0].shape[-1]
        made = self.identity(r, (*span[0].shape[:-1], LANES))
        for i in range(0, n, LANES):
            width = min(LANES, n - i)
            whole = self.combine(r, _cut(made, 0, width), _cut(span, i, i + width))
            made = tuple(np.concatenate((w, rest[..., width:]), axis=-1) for w, rest in zip(whole, made))
        return made

    def column(self, r: Reduce, span: Fold) -> Fold:
        """A span of a column, [..., n], element after element."""
        made = self.identity(r, span[0].shape[:-1])
        for i in range(span[0].shape[-1]):
            made = self.combine(r, made, tuple(x[..., i] for x in span))
        return made

    def tree_of(self, r: Reduce | Tree, spans: list[Fold]) -> Fold:
        """Neighbours 2k and 2k + 1 are combined, level by level; an odd last one passes up unchanged."""
        while len(spans) > 1:
            pairs = [self.combine(r, a, b) for a, b in zip(spans[::2], spans[1::2])]
            spans = pairs + spans[2 * len(pairs) :]
        return spans[0]

    def halve(self, r: Reduce | Tree, made: Fold) -> Fold:
        """64 lanes to one: l with l + 32, then + 16, + 8, + 4, + 2, + 1."""
        half = LANES // 2
        while half:
            made = self.combine(r, _cut(made, 0, half), _cut(made, half, 2 * half))
            half //= 2
        return tuple(x[..., 0] for x in made)

    # partial results: [outer..., spans, 64] of a row, [outer..., spans, inner] of a column

    def partial_offset(self, k: int, width: int) -> Array:
        operand, outer = self.kernel.operands[k], self.kernel.outer
        made = np.full([1] * (outer + 2), self.parameters[f"o{k}"], np.int64)
        for axis in range(outer):
            if operand.access[axis] == "s":
                step = self.index[axis] * self.parameters[f"s{k}_{axis}"]
                made = made + step.reshape([*step.shape[:outer], 1, 1])
        places = np.arange(self.parameters["spans"] * width, dtype=np.int64)
        return made + places.reshape([1] * outer + [-1, width])

    def store_partial(self, k: int, parts: Array) -> None:
        memory = self.memory[k].reshape(-1)
        memory[_within(self.partial_offset(k, parts.shape[-1]), memory)] = parts

    def tree(self, s: Tree) -> None:
        width = LANES if s.row else self.sizes[-1]
        folds = []
        for k in s.operands:
            memory = self.memory[k].reshape(-1)
            offset = np.broadcast_to(
                self.partial_offset(k, width), (*self.sizes[: self.kernel.outer], self.parameters["spans"], width)
            )
            folds.append(memory[_within(offset, memory)])
        spans = [tuple(f[..., span, :] for f in folds) for span in range(self.parameters["spans"])]
        shape = tuple(self.sizes[: self.kernel.outer]) + (() if s.row else (width,))
        for result, value in zip(s.results, self.combined(s, spans, shape, s.row)):
            lead, rest = value.shape[: self.kernel.outer], value.shape[self.kernel.outer :]
            self.values[result] = value.reshape([*lead, *[1] * (self.rank - len(lead) - len(rest)), *rest])


def _cut(fold: Fold, start: int, stop: int) -> Fold:
    return tuple(x[..., start:stop] for x in fold)


def _within(offset: Array, memory: Array) -> Array:
    """The offsets, checked: a kernel that leaves its operands is wrong."""
    if offset.size and (offset.min() < 0 or offset.max() >= memory.size):
        raise IndexError(f"kernel: expected offsets in [0, {memory.size}), got {offset.min()} to {offset.max()}")
    return offset
