"""Kernel -> C++ text for the CPU: a function with the ABI of docs/design/runtime.md, for any number of lanes.

A loop over inner steps one vector at a time and holds its body once: every load and store says how many lanes exist.
Row reductions keep 64 lanes as 64 / W vectors; column reductions keep a vector for each place of the unit's block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .emit import ARG, Emitter, cheap, ctype
from .kernel import COLUMN_SPAN, LANES, ROW_SPAN, For, Instr, Kernel, Reduce, Stmt, Tree


def emit_cpp(kernel: Kernel, symbol: str) -> str:
    """The text of a kernel as the C function `symbol`; texts of several kernels may be put into one file."""
    return CppEmitter(kernel, symbol).text()


def scratch_bytes(kernel: Kernel, sizes: Mapping[str, int]) -> int:
    """Bytes of scratch a thread needs for a call with these parameters."""
    total = 0
    inner = sizes[f"n{kernel.inner}"] if kernel.form == "row" else sizes["block"]
    for operand in kernel.operands:
        if operand.space == "scratch":
            total += _round(inner * operand.dtype.itemsize)
    for s in kernel.body:
        row = s.row if isinstance(s, Tree) else kernel.form == "row"
        if isinstance(s, Tree):
            spans = sizes["spans"]
        else:
            spans = 1 if kernel.spans else -(-sizes[f"n{kernel.reduced}"] // (ROW_SPAN if row else COLUMN_SPAN))
        levels = spans.bit_length() if spans > 1 else 0
        for r in s.reduces if isinstance(s, For) else (s,) if isinstance(s, Tree) else ():
            one = (LANES if row else -(-inner // LANES) * LANES) * _lane_bytes(r)
            total += _round(one * levels) + (0 if row else _round(one))
    return total


def _round(n: int) -> int:
    return -(-n // 64) * 64


def _lane_bytes(r: Reduce | Tree) -> int:
    """At most so many bytes of a fold are one lane's, alignment included; a bool lane is an int32."""
    return 16 if r.combine in ARG else max(r.dtypes[0].itemsize, 4)


class CppEmitter(Emitter):
    """Loops and folds over vectors of W lanes."""

    def text(self) -> str:
        kernel = self.kernel
        reduces = any(isinstance(s, Tree) or (isinstance(s, For) and s.reduces) for s in kernel.body)
        self.line(f'#include "{"reduce" if reduces else "loop"}.h"')
        self.line(f"namespace {self.symbol}_ {{")
        self.line("using namespace axon;")
        self.folds()
        with self.block(
            f'extern "C" int {self.symbol}(char* const* operands, const int64* ints, const uint64* literals, '
            "int64 begin, int64 end, char* scratch) noexcept"
        ):
            self.line("if (begin >= end) return 0;")
            self.parameters()
            self.first_unit()
            with self.block("for (int64 unit = begin; unit < end; unit++)"):
                self.unit()
                self.next_unit()
            self.line("return 0;")
        self.line("}")
        return "\n".join(self.lines) + "\n"

    # units

    def digits(self) -> list[tuple[str, str]]:
        """The mixed-radix digits of a unit's number, fastest first: index and size."""
        kernel = self.kernel
        made = [] if kernel.form == "row" else [("at", "blocks")]
        if kernel.spans:
            made.append(("span", "spans"))
        return made + [(f"i{a}", f"n{a}") for a in reversed(range(kernel.outer))]

    def first_unit(self) -> None:
        if self.kernel.form != "row":
            self.line(f"const int64 blocks = ceil_div(n{self.kernel.inner}, block);")
        digits = self.digits()
        if digits:
            self.line("int64 rest = begin;")
        for k, (index, size) in enumerate(digits):
            last = k == len(digits) - 1
            self.line(f"int64 {index} = rest{'' if last else f' % {size}'};{'' if last else f' rest /= {size};'}")

    def next_unit(self) -> None:
        text = ""
        digits = self.digits()
        for k, (index, size) in reversed(list(enumerate(digits))):
            text = f"++{index};" if k == len(digits) - 1 else f"if (++{index} == {size}) {{ {index} = 0; {text} }}"
        if text:
            self.line(text)

    def unit(self) -> None:
        kernel, inner = self.kernel, f"n{self.kernel.inner}"
        if kernel.form == "row":
            low, high = ("span * ROW_SPAN", f"least(low + ROW_SPAN, {inner})") if kernel.spans else ("0", inner)
        else:
            low, high = "at * block", f"least(low + block, {inner})"
        self.line(f"const int64 low = {low}, high = {high};")
        self.scratch()
        self.bases()
        for s in kernel.body:
            self.statement(s)

    def scratch(self) -> None:
        """Scratch operands; those of a block are addressed from the axis' start, as all memory is."""
        self.line("[[maybe_unused]] char* memory = scratch;")
        for k, operand in enumerate(self.kernel.operands):
            if operand.space == "scratch":
                self.line(f"auto* const p{k} = take<{ctype(operand.dtype)}>(memory, high - low) - low;")

    # statements

    def statement(self, s: Stmt) -> None:
        if isinstance(s, Instr):
            self.instr(s, False)
        elif isinstance(s, Tree):
            self.tree(s)
        elif s.axis == self.kernel.inner:
            if s.reduces:
                self.row_reduction(s)
            else:
                self.inner_loop(s.body)
        else:
            self.column_reduction(s)

    def body(self, body: Sequence[Stmt]) -> None:
        for s in body:
            assert isinstance(s, Instr)
            self.instr(s, True)

    def inner_loop(self, body: Sequence[Stmt], reduces: Sequence[Reduce] = (), at: str = "") -> None:
        """One vector a turn; `at` is the place of a vector's accumulators in a<reduction>."""
        with self.block("for (int64 i = low; i < high; i += W)"):
            self.line("const part m = first(high - i);")
            self.body(body)
            for r in reduces:
                self.line(f"fold(a{r.results[0]}[{at}], {self.fold_of(r)}, m);")

    # row form

    def row_reduction(self, s: For) -> None:
        unrolled = len(s.reduces) == 1 and self.in_registers(s.reduces[0]) and cheap(s.body)
        for r in s.reduces:
            self.line(f"F{r.results[0]} a{r.results[0]}[ROW_LANES / W];")
        if self.kernel.spans:
            self.one_span(s, unrolled)
            for r in s.reduces:
                for k, member in zip(r.partials, ("value", "index")):
                    self.line("for (int k = 0; k < ROW_LANES / W; k++)")
                    self.line(f"  store({self.addresses[k]} + span * ROW_LANES + k * W, a{r.results[0]}[k].{member});")
            return
        size = f"n{self.kernel.inner}"
        first = s.reduces[0].results[0]
        self.line(f"const int64 spans{first} = ceil_div({size}, ROW_SPAN);")
        for r in s.reduces:
            f = r.results[0]
            self.line(f"fill(a{f}, ROW_LANES / W);")
            self.line(
                f"F{f}* const stack{f} = take<F{f}>(memory, ROW_LANES / W * (spans{first} > 1 ? levels(spans{first}) : 0));"
            )
        with self.block(f"for (int64 span = 0; span < spans{first}; span++)"):
            self.line(f"const int64 low = span * ROW_SPAN, high = least(low + ROW_SPAN, {size});")
            self.one_span(s, unrolled)
            for r in s.reduces:
                self.line(f"if (spans{first} > 1) carry(a{r.results[0]}, stack{r.results[0]}, span, ROW_LANES / W);")
        self.finish_rows(s.reduces, f"spans{first}")

    def finish_rows(self, reduces: Sequence[Reduce | Tree], spans: str) -> None:
        """From the accumulators of all spans to the result, in every lane."""
        for r in reduces:
            f = r.results[0]
            self.line(f"if ({spans} > 1) collect(a{f}, stack{f}, {spans}, ROW_LANES / W);")
            self.line(f"const F{f} f{f} = halve(a{f}, {vectors});")
            self.results(r, f"f{f}")

    def in_registers(self, r: Reduce) -> bool:
        """Whether the accumulators of one reduction fit a target's vector registers."""
        return r.combine not in ARG and r.dtypes[0].itemsize <= 4

    def one_span(self, s: For, unrolled: bool) -> None:
        """Accumulators of [low, high). Small bodies are unrolled over the 64 lanes, with accumulators in registers."""
        if not unrolled:
            for r in s.reduces:
                self.line(f"fill(a{r.results[0]}, ROW_LANES / W);")
            self.inner_loop(s.body, reduces=s.reduces, at="(i & (ROW_LANES - 1)) / W")
            return
        f = s.reduces[0].results[0]
        with self.block(""):
            self.line(f"F{f} x[ROW_LANES / W];")
            self.line(f"AXON_UNROLL for (int k = 0; k < ROW_LANES / W; k++) x[k] = F{f}::identity();")
            with self.block(f"const auto turn = [&](int64 i, auto m, F{f}& y) __attribute__((always_inline))", "};"):
                self.body(s.body)
                self.line(f"fold(y, {self.fold_of(s.reduces[0])}, m);")
            self.line("int64 i = low;")
            self.line("for (; i + ROW_LANES <= high; i += ROW_LANES)")
            self.line("  AXON_UNROLL for (int k = 0; k < ROW_LANES / W; k++) turn(i + k * W, whole(), x[k]);")
            self.line("for (int k = 0; i < high; i += W, k++) turn(i, first(high - i), x[k]);")
            self.line(f"AXON_UNROLL for (int k = 0; k < ROW_LANES / W; k++) a{f}[k] = x[k];")

    def tree(self, s: Tree) -> None:
        """The partial results of spans, combined; a column's stay vectors over inner."""
        f = s.results[0]
        if s.row:
            self.line(f"F{f} a{f}[ROW_LANES / W];")
            count, start, at = "ROW_LANES / W", "span * ROW_LANES + k * W", ", whole()"
        else:
            count, start, at = f"chunks{f}", f"span * n{self.kernel.inner} + low + k * W", ", first(high - low - k * W)"
            self.line(f"const int64 chunks{f} = ceil_div(high - low, W);")
            self.line(f"F{f}* const a{f} = take<F{f}>(memory, {count});")
        self.line(f"F{f}* const stack{f} = take<F{f}>(memory, {count} * (spans > 1 ? levels(spans) : 0));")
        self.line(f"fill(a{f}, {count});")
        with self.block("for (int64 span = 0; span < spans; span++)"):
            loads = ", ".join(f"load({self.addresses[k]} + {start}{at})" for k in s.operands)
            self.line(f"for (int64 k = 0; k < {count}; k++) a{f}[k] = F{f}{{{loads}}};")
            self.line(f"if (spans > 1) carry(a{f}, stack{f}, span, {count});")
        if s.row:
            self.finish_rows([s], "spans")
        else:
            self.line(f"if (spans > 1) collect(a{f}, stack{f}, spans, {count});")
            self.results(s, f"a{f}[(i - low) / W]", varying=True)

    # column form

    def column_reduction(self, s: For) -> None:
        """The loop over the reduced axis around the loop over the block, whose accumulators are in scratch."""
        size = f"n{s.axis}"
        first = s.reduces[0].results[0]
        self.line(f"const int64 chunks{first} = ceil_div(high - low, W);")
        for r in s.reduces:
            f = r.results[0]
            self.line(f"F{f}* const a{f} = take<F{f}>(memory, chunks{first});")
        if self.kernel.spans:
            self.line("const int64 start = span * COLUMN_SPAN;")
            self.column_span(s, f"least(start + COLUMN_SPAN, {size})", f"chunks{first}")
            for r in s.reduces:
                for k, member in zip(r.partials, ("value", "index")):
                    at = f"{self.addresses[k]} + span * n{self.kernel.inner} + i"
                    self.line("for (int64 i = low; i < high; i += W)")
                    self.line(f"  store({at}, a{r.results[0]}[(i - low) / W].{member}, first(high - i));")
            return
        self.line(f"const int64 spans{first} = ceil_div({size}, COLUMN_SPAN);")
        for r in s.reduces:
            f = r.results[0]
            self.line(f"fill(a{f}, chunks{first});")
            self.line(
                f"F{f}* const stack{f} = take<F{f}>(memory, chunks{first} * (spans{first} > 1 ? levels(spans{first}) : 0));"
            )
        with self.block(f"for (int64 span = 0; span < spans{first}; span++)"):
            self.line("const int64 start = span * COLUMN_SPAN;")
            self.column_span(s, f"least(start + COLUMN_SPAN, {size})", f"chunks{first}")
            for r in s.reduces:
                self.line(f"if (spans{first} > 1) carry(a{r.results[0]}, stack{r.results[0]}, span, chunks{first});")
        for r in s.reduces:
            f = r.results[0]
            self.line(f"if (spans{first} > 1) collect(a{f}, stack{f}, spans{first}, chunks{first});")
            self.results(r, f"a{f}[(i - low) / W]", varying=True)

    def column_span(self, s: For, stop: str, chunks: str) -> None:
        for r in s.reduces:
            self.line(f"fill(a{r.results[0]}, {chunks});")
        with self.block(f"for (int64 i{s.axis} = start, stop = {stop}; i{s.axis} < stop; i{s.axis}++)"):
            saved = self.enter_reduced()
            for inside in s.body:
                if isinstance(inside, Instr):
                    self.instr(inside, False)
                else:
                    assert isinstance(inside, For)
                    self.inner_loop(inside.body, reduces=s.reduces, at="(i - low) / W")
            self.addresses = saved
