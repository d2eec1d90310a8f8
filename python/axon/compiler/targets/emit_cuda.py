"""Kernel -> CUDA text for NVRTC, with the same bits as on the CPU.

A map's or column's thread computes one element of inner (a column's loops over the reduced axis); a row is a warp's,
whose thread t is lanes t and t + 32. Threads walk on by the size of the grid, so any launch is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from ..kernels.kernel import For, Instr, Kernel, Reduce, Stmt, Tree
from .emit import Emitter


def emit_cuda(kernel: Kernel, symbol: str) -> str:
    """The text of a kernel as the __global__ function `symbol`; several kernels' texts may be put into one program."""
    return CudaEmitter(kernel, symbol).text()


def warp_scratch_bytes(kernel: Kernel, sizes: Mapping[str, int]) -> int:
    """Bytes of scratch each warp of a launch needs."""
    elements = sizes[f"n{kernel.inner}"]
    return sum(-(-elements * o.dtype.itemsize // 64) * 64 for o in kernel.operands if o.space == "scratch")


class CudaEmitter(Emitter):
    """One lane a thread; loops over inner are a thread's element, or a warp's way along a row."""

    extent = ", whole()"

    def text(self) -> str:
        kernel = self.kernel
        row = kernel.form == "row"
        self.one_store = "if (lane == 0) " if row else ""
        self.along = ("i", f"n{kernel.inner}")
        self.opening()
        pointers = [f"char* q{k}" for k in kernel.pointers]
        literals = [f"uint64 l{k}" for k in range(len(kernel.literals))]
        given = ", ".join([*pointers, *(f"int64 {name}" for name in kernel.parameters), *literals])
        with self.block(f'extern "C" __global__ void {self.symbol}({given}, char* scratch, int64 scratch_bytes)'):
            self.arguments("q{k}", "&l{k}")
            sizes = [size for _, size in self.digits()]
            self.line(f"const int64 units = {' * '.join(sizes) if sizes else '1'};")
            self.line("const int64 thread = int64(blockIdx.x) * blockDim.x + threadIdx.x;")
            self.line("const int64 threads = int64(gridDim.x) * blockDim.x;")
            if row:
                self.line("const int64 lane = thread % 32;")
            start, step = ("thread / 32", "threads / 32") if row else ("thread", "threads")
            with self.block(f"for (int64 unit = {start}; unit < units; unit += {step})"):
                self.unit()
        self.line("}")
        return "\n".join(self.lines) + "\n"

    def unit(self) -> None:
        self.decode("unit", self.digits(), "const ")
        self.scratch()
        self.bases()
        for s in self.kernel.body:
            self.statement(s)

    def scratch(self) -> None:
        """The scratch operands of the warp."""
        kept = [(k, o) for k, o in enumerate(self.kernel.operands) if o.space == "scratch"]
        if kept:
            self.line("char* memory = scratch + thread / 32 * scratch_bytes;")
        for k, operand in kept:
            type_ = operand.dtype.ctype
            self.line(f"{type_}* const p{k} = take<{type_}>(memory, n{self.kernel.inner});")

    # statements

    def statement(self, s: Stmt) -> None:
        if isinstance(s, Instr):
            self.instr(s, False)
        elif isinstance(s, Tree):
            self.tree(s)
        elif s.axis != self.kernel.inner:
            self.reduction(s, f"n{s.axis}", "COLUMN_SPAN")
        elif s.reduces:
            self.reduction(s, f"n{s.axis}", "ROW_SPAN")
        elif self.kernel.form == "row":
            with self.along_row("0", f"n{s.axis}"):
                self.body(s.body)
        else:
            with self.block(""):
                self.body(s.body)

    @contextmanager
    def along_row(self, low: str, high: str) -> Iterator[None]:
        """A warp's loop over elements of a row: the body of this thread's lanes k = 0 and 1 of each 64."""
        with self.block(f"for (int64 turn = {low}; turn < {high}; turn += ROW_LANES)"):
            with self.block("AXON_UNROLL for (int k = 0; k < 2; k++)"):
                self.line("const int64 i = turn + 32 * k + lane;")
                with self.block(f"if (i < {high})"):
                    yield

    # reductions: accumulators a<reduction>[lanes a thread], and the stack of the tree over spans, 32 levels of it

    @property
    def lanes(self) -> int:
        return 2 if self.kernel.form == "row" else 1

    def tally(self, r: Reduce | Tree, levels: bool) -> None:
        f = r.results[0]
        self.line(f"F{f} a{f}[{self.lanes}];")
        if levels:
            self.line(f"F{f} stack{f}[{32 * self.lanes}];")

    def finish(self, r: Reduce | Tree) -> None:
        f = r.results[0]
        if self.lanes == 2:
            self.line(f"const F{f} t{f} = halve(a{f});")
            self.results(r, f"t{f}")
        else:
            self.results(r, f"a{f}[0]", varying=True)

    def reduction(self, s: For, size: str, span_size: str) -> None:
        """The loop over the reduced axis, one span after the other, or this unit's span alone."""
        for r in s.reduces:
            self.tally(r, not self.kernel.spans)
        if self.kernel.spans:
            self.span(s, size, span_size)
            self.store_partials(s.reduces)
            return
        spans = f"spans{s.reduces[0].results[0]}"
        self.line(f"const int64 {spans} = spans_of({size}, {span_size});")
        with self.block(f"for (int64 span = 0; span < {spans}; span++)"):
            self.span(s, size, span_size)
            for r in s.reduces:
                f = r.results[0]
                self.line(f"if ({spans} > 1) carry(a{f}, stack{f}, span, {spans}, {self.lanes});")
        for r in s.reduces:
            self.finish(r)

    def span(self, s: For, size: str, span_size: str) -> None:
        for r in s.reduces:
            self.line(f"fill(a{r.results[0]}, {self.lanes});")
        self.line(f"const int64 low = span * {span_size}, high = least(low + {span_size}, {size});")
        if self.kernel.form == "row":
            with self.along_row("low", "high"):
                self.body(s.body, s.reduces)
                self.fold(s.reduces, "k")
            return
        with self.block(f"for (int64 i{s.axis} = low; i{s.axis} < high; i{s.axis}++)"):
            saved = self.enter_reduced()
            for inside in s.body:
                if isinstance(inside, For):
                    self.body(inside.body, s.reduces)
                elif isinstance(inside, Instr):
                    self.instr(inside, False)
            self.fold(s.reduces, "0")
            self.addresses = saved

    def fold(self, reduces: Sequence[Reduce], place: str) -> None:
        for r in reduces:
            self.line(f"fold(a{r.results[0]}[{place}], {self.fold_of(r)}, whole());")

    def place(self, k: int) -> str:
        """The address of this thread's accumulator k in the partial results of operand k at `span`."""
        if self.kernel.form == "row":
            return f"{self.addresses[k]} + span * ROW_LANES + 32 * k + lane"
        return f"{self.addresses[k]} + span * n{self.kernel.inner} + i"

    def store_partials(self, reduces: Sequence[Reduce]) -> None:
        for r in reduces:
            for operand, member in zip(r.partials, ("value", "index")):
                self.line(f"for (int k = 0; k < {self.lanes}; k++)")
                self.line(f"  store({self.place(operand)}, a{r.results[0]}[k].{member}, whole());")

    def tree(self, s: Tree) -> None:
        f = s.results[0]
        self.tally(s, True)
        self.line(f"fill(a{f}, {self.lanes});")
        with self.block("for (int64 span = 0; span < spans; span++)"):
            loads = ", ".join(f"load({self.place(k)}, whole())" for k in s.operands)
            self.line(f"for (int k = 0; k < {self.lanes}; k++) a{f}[k] = F{f}{{{loads}}};")
            self.line(f"if (spans > 1) carry(a{f}, stack{f}, span, spans, {self.lanes});")
        self.finish(s)
