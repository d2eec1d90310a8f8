"""Kernel -> instructions that the runtime interprets over compiled tiles: the same bits, and no C++ compiler. What a
composed function called eagerly runs on.

An instruction computes a chunk of the inner axis. What does not change along inner is computed once a unit, and
repeated over a chunk for instructions that read it (csrc/tiles/interpret.h has the encoding).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

from ...dtypes import DType
from ...errors import CompileError
from ...runtime import tile_of
from ..kernels.kernel import For, Instr, Kernel

CHUNK = 512  # elements a tile computes: a dozen registers stay in the second cache
TILE, LOAD, GATHER, OFFSET, LITERAL, GUARD, STORE, SPLAT = range(8)  # axon::TileCode
Code = tuple[int, ...]  # code, register, x, y, three registers read


class Encoder:
    """A map kernel's instructions as numbers, those executed once a unit and those executed once a chunk."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.once: list[Code] = []
        self.each: list[Code] = []
        self.dtypes: dict[int, DType] = {}
        self.varying: set[int] = set()
        self.registers: dict[int, int] = {}  # value -> where it is
        self.splats: dict[int, int] = {}  # value -> where it is repeated
        self.count = 0
        if kernel.form != "map" or kernel.spans:
            raise CompileError(f"tiled: expected a map kernel, got one of form {kernel.form}")
        statements = [i for s in kernel.body for i in (s.body if isinstance(s, For) else (s,))]
        instrs = [s for s in statements if isinstance(s, Instr)]
        if len(instrs) < len(statements):
            raise CompileError("tiled: expected a map kernel, got one that combines partial results")
        self.last = {a: k for k, s in enumerate(instrs) for a in s.args}
        self.free: list[int] = []
        stores = [s for s in instrs if s.op == "store"]  # last: a store may overwrite what another instruction reads
        self.last.update((a, len(instrs)) for s in stores for a in s.args)
        for k, s in enumerate(instrs):
            if s.op != "store":
                self.instr(s)
                self.release(k, s)
        for s in stores:
            self.instr(s)

    def register(self) -> int:
        self.count += 1
        return self.count - 1

    def release(self, k: int, s: Instr) -> None:
        """What an instruction of a chunk read for the last time leaves its register to the next."""
        self.free += [self.registers[a] for a in set(s.args) if a in self.varying and self.last[a] == k]

    def moves(self, k: int) -> bool:
        return self.kernel.operands[k].access[self.kernel.inner] != "0"

    def instr(self, s: Instr) -> None:
        addressed = s.op in ("load", "gather", "offset", "store")
        fixed = s.op in ("literal", "guard")
        varies = (addressed and self.moves(s.attr)) or (s.op != "load" and any(a in self.varying for a in s.args))
        args = [self.read(a, varies and s.op != "load") for a in s.args]
        if len(args) > 3:
            raise CompileError(f"tiled: expected at most 3 operands of {s.op}, got {len(args)}")
        to = 0
        if s.op != "store":
            to = self.free.pop() if varies and self.free else self.register()
            self.registers[s.id], self.dtypes[s.id] = to, s.dtype
            if varies:
                self.varying.add(s.id)
        match s.op:
            case "load":
                code, x, y = LOAD, s.attr, len(args)
            case "gather" | "offset" | "store":
                code, x, y = {"gather": GATHER, "offset": OFFSET, "store": STORE}[s.op], s.attr, 0
            case "literal" | "guard":
                code, x, y = LITERAL if s.op == "literal" else GUARD, s.attr, 0
            case _:
                code, x, y = TILE, tile_index(s.op, tuple(self.dtypes[a] for a in s.args), s.dtype), len(args)
        assert not (fixed and varies)
        (self.each if varies else self.once).append((code, to, x, y, *args, *[0] * (3 - len(args))))

    def read(self, value: int, varies: bool) -> int:
        """The register of a value, repeated over a chunk if the reader needs that."""
        if not varies or value in self.varying:
            return self.registers[value]
        if value not in self.splats:
            self.splats[value] = self.register()
            size = self.dtypes[value].itemsize
            self.once.append((SPLAT, self.splats[value], size, 0, self.registers[value], 0, 0))
        return self.splats[value]


@cache
def tile_index(op: str, inputs: tuple[DType, ...], output: DType) -> int:
    """The number of a scalar's tile."""
    try:
        return tile_of(op, [d.code for d in inputs], output.code).index
    except KeyError as error:
        raise CompileError(f"tiled: expected a tile of {op} for {inputs}, got none") from error


@lru_cache(maxsize=4096)
def encoder(kernel: Kernel) -> Encoder:
    """A kernel's instructions; they hold no size."""
    return Encoder(kernel)


def emit_tiles(kernel: Kernel, symbol: str) -> str:
    """No text: a kernel's instructions are among the ints of its calls. CompileError where it reduces."""
    encoder(kernel)
    return ""


def ints(kernel: Kernel, p: Mapping[str, int]) -> list[int]:
    """What the runtime reads of a call: sizes and strides in place of parameters, then the instructions."""
    made, outer = encoder(kernel), kernel.outer
    slots = {k: slot for slot, k in enumerate(kernel.pointers)}
    found = [outer, p["block"], CHUNK, *[p[f"n{a}"] for a in range(outer + 1)], len(kernel.guards)]
    for g, axis in enumerate(kernel.guards):
        found += [axis, p[f"lo{g}"], p[f"div{g}"], p[f"len{g}"]]
    found.append(len(kernel.operands))
    for k, operand in enumerate(kernel.operands):
        found += [slots.get(k, -1), operand.dtype.itemsize, p[f"o{k}"]]
        guards = iter(operand.guards)
        steps = {"0": 0, "1": 1}
        for a, char in enumerate(operand.access):
            found.append(steps[char] if char in steps else p[f"s{k}_{a}"])
            if a < outer:
                found.append(next(guards) if char == "g" else -1)
    code = [*made.once, *made.each]
    return [*found, len(made.once), len(made.each), *[i for c in code for i in c]]


def scratch_bytes(kernel: Kernel, sizes: Mapping[str, int]) -> int:
    """Bytes of scratch a thread needs, whatever the sizes."""
    return 8 * CHUNK * encoder(kernel).count
