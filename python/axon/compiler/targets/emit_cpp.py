"""Kernel -> C++ text for the CPU: a function with the ABI of docs/design/runtime.md, for any number of lanes.

A loop over inner steps one vector at a time and holds its body once: every load and store says how many lanes exist.
Row reductions keep 64 lanes as 64 / W vectors; column reductions keep a vector for each place of the unit's block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..kernels.kernel import COLUMN_SPAN, LANES, ROW_SPAN, For, Instr, Kernel, Reduce, Stmt, Tree
from .emit import Emitter, cheap, reductions

# Where the accumulators of the vector at i are.
ROW, COLUMN = "(i & (ROW_LANES - 1)) / W", "(i - low) / W"


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
    for r in reductions(kernel):
        if isinstance(r, Tree):
            row, spans = r.row, sizes["spans"]
        else:
            row = kernel.form == "row"
            spans = 1 if kernel.spans else -(-sizes[f"n{kernel.reduced}"] // (ROW_SPAN if row else COLUMN_SPAN))
        levels = spans.bit_length() if spans > 1 else 0
        one = (LANES if row else -(-inner // LANES) * LANES) * _lane_bytes(r)
        total += _round(one) + _round(one * levels)
    return total


def _round(n: int) -> int:
    return -(-n // 64) * 64


def _lane_bytes(r: Reduce | Tree) -> int:
    """At most so many bytes of a fold are one lane's, alignment included; a bool lane is an int32."""
    return max(r.dtypes[0].itemsize, 4) if len(r.dtypes) == 1 else 16


class CppEmitter(Emitter):
    """Loops and folds over vectors of W lanes."""

    def text(self) -> str:
        self.opening()
        with self.block(
            f'extern "C" int {self.symbol}(char* const* operands, const int64* ints, const uint64* literals, '
            "int64 begin, int64 end, char* scratch) noexcept"
        ):
            self.line("if (begin >= end) return 0;")
            names = self.kernel.parameters
            self.line("const int64 " + ", ".join(f"{name} = ints[{k}]" for k, name in enumerate(names)) + ";")
            self.arguments("operands[{slot}]", "literals + {k}")
            if self.kernel.form != "row":
                self.line(f"const int64 blocks = ceil_div(n{self.kernel.inner}, block);")
            self.decode("begin", self.digits())
            with self.block("for (int64 unit = begin; unit < end; unit++)"):
                self.unit()
                self.next_unit()
            self.line("return 0;")
        self.line("}")
        return "\n".join(self.lines) + "\n"

    # units

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
        """The scratch operands of a row."""
        self.line("[[maybe_unused]] char* memory = scratch;")
        for k, operand in enumerate(self.kernel.operands):
            if operand.space == "scratch":
                self.line(f"auto* const p{k} = take<{operand.dtype.ctype}>(memory, high);")

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

    def inner_loop(self, body: Sequence[Stmt], reduces: Sequence[Reduce] = (), at: str = "") -> None:
        """One vector a turn; `at` is the place of a vector in the reductions' accumulators."""
        with self.block("for (int64 i = low; i < high; i += W)"):
            self.line("const part m = first(high - i);")
            self.prefetch(body, at == COLUMN)
            self.body(body, reduces)
            for r in reduces:
                self.line(f"fold(a{r.results[0]}.at[{at}], {self.fold_of(r)}, m);")

    def prefetch(self, body: Sequence[Stmt], column: bool) -> None:
        """Ask for the rows of a column that come next; and for the streams of a map with much arithmetic, which some
        CPUs run at half speed otherwise (one with little is as fast without)."""
        kernel, seen = self.kernel, set[int]()
        if not column and (kernel.form != "map" or cheap(body)):
            return
        for s in body:
            assert isinstance(s, Instr)
            operand = kernel.operands[s.attr] if s.op in ("load", "store") else None
            if operand is None or s.attr in seen or operand.access[kernel.inner] != "1" or operand.guards:
                continue
            seen.add(s.attr)
            if not column:
                self.line(f"soon({self.addresses[s.attr]} + i + STREAM_AHEAD<{operand.dtype.ctype}>);")
            elif operand.access[kernel.reduced] == "s":
                self.line(f"soon({self.addresses[s.attr]} + i + ROWS_AHEAD * s{s.attr}_{kernel.reduced});")

    def tally(self, reduces: Sequence[Reduce | Tree], count: str, spans: str) -> None:
        """Accumulators a<reduction>, of `count` places each."""
        for r in reduces:
            self.line(f"const auto a{r.results[0]} = tally_of<F{r.results[0]}>(memory, {count}, {spans});")

    def each(self, function: str, reduces: Sequence[Reduce | Tree], rest: str = "") -> None:
        for r in reduces:
            self.line(f"{function}(a{r.results[0]}{rest});")

    def halve(self, reduces: Sequence[Reduce | Tree], vectors: str, lanes: str = "a{}.at") -> None:
        """From the lanes of a row to the results, the same in every lane."""
        for r in reduces:
            f = r.results[0]
            self.line(f"const F{f} t{f} = halve({lanes.format(f)}, {vectors});")
            self.results(r, f"t{f}")

    def partials(self, reduces: Sequence[Reduce]) -> Iterator[tuple[str, str]]:
        """Each partial output's address at this unit's span, and the name of what it receives, less the place."""
        places = "ROW_LANES" if self.kernel.form == "row" else f"n{self.kernel.inner}"
        for r in reduces:
            for k, member in zip(r.partials, ("value", "index")):
                yield f"{self.addresses[k]} + span * {places}", f"a{r.results[0]}.at[{{}}].{member}"

    # row form

    def row_reduction(self, s: For) -> None:
        size, first = f"n{self.kernel.inner}", f"a{s.reduces[0].results[0]}"
        if self.kernel.spans:
            self.tally(s.reduces, "ROW_LANES / W", "1")
            self.row_span(s)
            for address, value in self.partials(s.reduces):
                self.line(f"for (int k = 0; k < ROW_LANES / W; k++) store({address} + k * W, {value.format('k')});")
            return
        self.tally(s.reduces, "ROW_LANES / W", f"spans_of({size}, ROW_SPAN)")
        unrolled = self.is_unrolled(s)
        if unrolled:
            for r in s.reduces:
                self.line(f"F{r.results[0]} x{r.results[0]}[ROW_LANES / W];")
        with self.block(f"for (int64 span = 0; span < {first}.spans; span++)"):
            self.line(f"const int64 low = span * ROW_SPAN, high = least(low + ROW_SPAN, {size});")
            if unrolled:
                self.unrolled_span(s)
                for r in s.reduces:
                    self.line(f"next(a{r.results[0]}, x{r.results[0]}, span);")
            else:
                self.row_span(s)
                self.each("next", s.reduces, ", span")
        self.halve(s.reduces, f"ceil_div({size}, W)", "x{}" if unrolled else "a{}.at")

    def is_unrolled(self, s: For) -> bool:
        """Whether a body is small enough to be unrolled over the 64 lanes, with accumulators in registers: these hold
        those of two reductions."""
        small = all(len(r.dtypes) == 1 and r.dtypes[0].itemsize <= 4 for r in s.reduces)
        return len(s.reduces) <= 2 and small and cheap(s.body)

    def row_span(self, s: For) -> None:
        """Accumulators of [low, high), in memory."""
        if not self.is_unrolled(s):
            self.each("start", s.reduces)
            self.inner_loop(s.body, s.reduces, ROW)
            return
        with self.block(""):
            for r in s.reduces:
                self.line(f"F{r.results[0]} x{r.results[0]}[ROW_LANES / W];")
            self.unrolled_span(s)
            for r in s.reduces:
                f = r.results[0]
                self.line(f"AXON_UNROLL for (int k = 0; k < ROW_LANES / W; k++) a{f}.at[k] = x{f}[k];")

    def unrolled_span(self, s: For) -> None:
        """Accumulators x<reduction> of [low, high)."""
        lanes, names = "AXON_UNROLL for (int k = 0; k < ROW_LANES / W; k++)", [r.results[0] for r in s.reduces]
        for f in names:
            self.line(f"{lanes} x{f}[k] = F{f}::identity();")
        given = ", ".join(f"F{f}& y{f}" for f in names)
        kth = ", ".join(f"x{f}[k]" for f in names)
        with self.block(f"const auto turn = [&](int64 i, auto m, {given}) __attribute__((always_inline))", "};"):
            self.body(s.body, s.reduces)
            for r in s.reduces:
                self.line(f"fold(y{r.results[0]}, {self.fold_of(r)}, m);")
        self.line("int64 i = low;")
        self.line("for (; i + ROW_LANES <= high; i += ROW_LANES)")
        self.line(f"  {lanes} turn(i + k * W, whole(), {kth});")
        self.line(f"for (int k = 0; i < high; i += W, k++) turn(i, first(high - i), {kth});")

    # column form

    def column_reduction(self, s: For) -> None:
        """The loop over the reduced axis around the loop over the block, whose accumulators are in scratch."""
        size, first = f"n{s.axis}", f"a{s.reduces[0].results[0]}"
        if self.kernel.spans:
            self.tally(s.reduces, "ceil_div(high - low, W)", "1")
            self.column_span(s)
            for address, value in self.partials(s.reduces):
                self.line("for (int64 i = low; i < high; i += W)")
                self.line(f"  store({address} + i, {value.format(COLUMN)}, first(high - i));")
            return
        self.tally(s.reduces, "ceil_div(high - low, W)", f"spans_of({size}, COLUMN_SPAN)")
        with self.block(f"for (int64 span = 0; span < {first}.spans; span++)"):
            self.column_span(s)
            self.each("next", s.reduces, ", span")
        for r in s.reduces:
            self.results(r, f"a{r.results[0]}.at[{COLUMN}]", varying=True)

    def column_span(self, s: For) -> None:
        self.each("start_span", s.reduces)
        axis = f"i{s.axis}"
        self.line(f"const int64 stop = least((span + 1) * COLUMN_SPAN, n{s.axis});")
        with self.block(f"for (int64 {axis} = span * COLUMN_SPAN; {axis} < stop; {axis}++)"):
            saved = self.enter_reduced()
            for inside in s.body:
                if isinstance(inside, Instr):
                    self.instr(inside, False)
                else:
                    assert isinstance(inside, For)
                    self.inner_loop(inside.body, s.reduces, COLUMN)
            self.addresses = saved

    # the second kernel of a reduction in spans

    def tree(self, s: Tree) -> None:
        """The partial results of spans, combined; a column's stay vectors over inner."""
        f = s.results[0]
        if s.row:
            count, place, extent = "ROW_LANES / W", "span * ROW_LANES", ""
        else:
            count, place = "ceil_div(high - low, W)", f"span * n{self.kernel.inner} + low"
            extent = ", first(high - low - k * W)"
        self.tally([s], count, "spans")
        self.line(f"start(a{f});")
        with self.block("for (int64 span = 0; span < spans; span++)"):
            loads = ", ".join(f"load({self.addresses[k]} + {place} + k * W{extent})" for k in s.operands)
            self.line(f"for (int64 k = 0; k < a{f}.count; k++) a{f}.at[k] = F{f}{{{loads}}};")
            self.line(f"next(a{f}, span);")
        if s.row:
            self.halve([s], count)
        else:
            self.results(s, f"a{f}.at[{COLUMN}]", varying=True)
