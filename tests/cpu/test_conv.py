"""Convolutions and both gradients against loops over kernel positions in float64: every dtype, padding and dilation."""

from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from axon import _core
from hypothesis import given, settings
from hypothesis import strategies as st

from .steps import CODES, close, numbers, run

ENGINES = ["conv", "conv.patches", "conv.onednn"]


@dataclasses.dataclass
class Conv:
    """A convolution: sizes and options as the step reads them."""

    batch: int
    inputs: tuple[int, ...]
    channels: tuple[int, int]
    kernel: tuple[int, ...]
    groups: int = 1
    strides: tuple[int, ...] = ()
    low: tuple[int, ...] = ()
    high: tuple[int, ...] = ()
    input_dilation: tuple[int, ...] = ()
    kernel_dilation: tuple[int, ...] = ()

    def __post_init__(self):
        rank = len(self.inputs)
        for field, default in [("strides", 1), ("low", 0), ("high", 0), ("input_dilation", 1), ("kernel_dilation", 1)]:
            setattr(self, field, getattr(self, field) or (default,) * rank)

    @property
    def outputs(self):
        dilated = [max(0, (n - 1) * d + 1) for n, d in zip(self.inputs, self.input_dilation, strict=True)]
        reach = [max(0, (n - 1) * d + 1) for n, d in zip(self.kernel, self.kernel_dilation, strict=True)]
        rooms = [a + b + c - r for a, b, c, r in zip(dilated, self.low, self.high, reach, strict=True)]
        return tuple(0 if r < 0 else r // s + 1 for r, s in zip(rooms, self.strides, strict=True))

    @property
    def shapes(self):
        i, o = self.channels
        return (self.batch, *self.inputs, i), (*self.kernel, i // self.groups, o), (self.batch, *self.outputs, o)

    def run(self, direction, first, second, name, bias=None, symbol="conv"):
        ints = [CODES[name], direction, len(self.inputs), self.batch, *self.channels, self.groups, *self.inputs]
        ints += [*self.kernel, *self.outputs, *self.strides, *self.low, *self.high]
        ints += [*self.input_dilation, *self.kernel_dilation, bias is not None]
        x, kernel, out = self.shapes
        shape = (out, x, kernel)[direction]
        arrays = [first, second] if bias is None else [first, second, bias]
        return run(symbol, ints, arrays, shape, name)

    def positions(self):
        """For each kernel position: (position, index of the outputs it is part of, index of the inputs they read)."""
        for p in itertools.product(*map(range, self.kernel)):
            outs, ins = [], []
            for axis, position in enumerate(p):
                o = np.arange(self.outputs[axis])
                x = o * self.strides[axis] + position * self.kernel_dilation[axis] - self.low[axis]
                d = self.input_dilation[axis]
                inside = (x >= 0) & (x % d == 0) & (x // d < self.inputs[axis])
                outs.append(o[inside])
                ins.append(x[inside] // d)
            whole = np.arange(self.batch)
            yield p, np.ix_(whole, *outs), np.ix_(whole, *ins)

    def in_groups(self):
        i, o = (c // self.groups for c in self.channels)
        for g in range(self.groups):
            yield slice(g * i, g * i + i), slice(g * o, g * o + o)

    def forward(self, x, kernel):
        out = np.zeros(self.shapes[2])
        for p, outs, ins in self.positions():
            for i, o in self.in_groups():
                out[..., o][outs] += x[..., i][ins] @ kernel[p][:, o]
        return out

    def input_gradient(self, gradient, kernel):
        out = np.zeros(self.shapes[0])
        for p, outs, ins in self.positions():
            for i, o in self.in_groups():
                out[..., i][ins] += gradient[..., o][outs] @ kernel[p][:, o].T
        return out

    def kernel_gradient(self, x, gradient):
        out = np.zeros(self.shapes[1])
        for p, outs, ins in self.positions():
            for i, o in self.in_groups():
                axes = tuple(range(len(self.inputs) + 1))
                out[p][:, o] = np.tensordot(x[..., i][ins], gradient[..., o][outs], (axes, axes))
        return out

    def check(self, name, symbol="conv", seed=0):
        rng = np.random.default_rng(seed)
        x, kernel, gradient = (numbers(rng, shape, name) for shape in self.shapes)
        bias = numbers(rng, (self.channels[1],), name)
        wide = [a.astype(np.float64) for a in (x, kernel, gradient, bias)]
        terms = max(1, x.size)
        close(self.run(0, x, kernel, name, None, symbol), self.forward(wide[0], wide[1]), name, terms)
        close(self.run(0, x, kernel, name, bias, symbol), self.forward(wide[0], wide[1]) + wide[3], name, terms)
        close(self.run(1, gradient, kernel, name, None, symbol), self.input_gradient(wide[2], wide[1]), name, terms)
        close(self.run(2, x, gradient, name, None, symbol), self.kernel_gradient(wide[0], wide[2]), name, terms)


PLAIN = {
    "3x3": Conv(2, (9, 7), (5, 6), (3, 3), low=(1, 1), high=(1, 1)),
    "wide": Conv(2, (20, 20), (33, 40), (3, 3), low=(1, 1), high=(1, 1)),
    "strided": Conv(3, (11, 8), (4, 8), (3, 2), strides=(2, 3), low=(1, 0), high=(0, 1)),
    "dilated": Conv(1, (12, 12), (3, 4), (3, 3), kernel_dilation=(2, 3), low=(2, 2), high=(2, 2)),
    "groups": Conv(2, (6, 6), (6, 9), (3, 3), groups=3),
    "depthwise": Conv(2, (6, 7), (8, 8), (3, 3), groups=8, low=(1, 1), high=(1, 1)),
    "one channel": Conv(4, (8, 8), (1, 16), (3, 3), low=(1, 1), high=(1, 1)),
    "1x1": Conv(2, (5, 5), (16, 24), (1, 1)),
    "line": Conv(2, (30,), (4, 6), (5,), strides=(2,), low=(2,), high=(1,)),
    "volume": Conv(1, (5, 6, 7), (3, 4), (2, 3, 2), low=(0, 1, 1), high=(1, 1, 0)),
    "whole image": Conv(2, (4, 4), (3, 5), (4, 4)),
}
# Positions of the kernel that meet padding alone.
IDLE = {
    "a row of one": Conv(1, (1,), (8, 8), (3,), strides=(2,), low=(1,), high=(1,)),
    "groups": Conv(1, (1,), (8, 16), (3,), groups=8, strides=(2,), low=(1,), high=(1,)),
    "far apart": Conv(2, (3, 3), (4, 6), (3, 3), strides=(5, 5), low=(1, 1), high=(0, 0)),
    "wide padding": Conv(2, (2, 9), (16, 16), (3, 3), strides=(1, 2), low=(3, 1), high=(2, 1)),
}
GENERAL = {
    "input dilation": Conv(2, (5, 4), (3, 4), (3, 3), input_dilation=(2, 3), low=(2, 2), high=(2, 1)),
    "negative padding": Conv(2, (9, 9), (3, 4), (3, 3), low=(-1, 2), high=(1, -2)),
    "everything": Conv(
        2,
        (7, 6),
        (4, 6),
        (3, 2),
        2,
        strides=(2, 2),
        low=(3, -1),
        high=(-1, 4),
        input_dilation=(3, 2),
        kernel_dilation=(2, 3),
    ),
    "only padding": Conv(1, (2,), (2, 3), (2,), low=(5,), high=(4,)),
    "dilated volume": Conv(1, (3, 2, 3), (2, 2), (2, 2, 1), 2, input_dilation=(1, 2, 3), low=(1, 0, 1), high=(0, 1, 1)),
}


# Channels fewer and more than lanes, and no multiple of them; rows shorter and longer than what is computed together.
DEPTHWISE = {
    "image": Conv(2, (21, 19), (24, 24), (3, 3), groups=24, low=(1, 1), high=(1, 1)),
    "few channels": Conv(2, (9, 33), (3, 3), (3, 3), groups=3, low=(1, 1), high=(1, 1)),
    "odd channels": Conv(1, (5, 12), (37, 37), (5, 5), groups=37, low=(2, 2), high=(2, 2)),
    "strided": Conv(2, (12, 40), (18, 18), (3, 3), groups=18, strides=(2, 2), low=(1, 0), high=(1, 1)),
    "strided by three": Conv(1, (7, 41), (9, 9), (2, 5), groups=9, strides=(1, 3), low=(0, 2), high=(0, 4)),
    "dilated": Conv(1, (9, 30), (16, 16), (3, 3), groups=16, low=(2, 6), high=(2, 6), kernel_dilation=(2, 6)),
    "input dilation": Conv(1, (5, 17), (8, 8), (3, 3), groups=8, low=(2, 1), high=(1, 3), input_dilation=(2, 3)),
    "negative padding": Conv(2, (8, 20), (16, 16), (3, 3), groups=16, low=(-1, -2), high=(0, -1)),
    "line": Conv(2, (60,), (33, 33), (7,), groups=33, low=(3,), high=(3,)),
    "volume": Conv(1, (4, 5, 18), (17, 17), (2, 3, 3), groups=17, low=(0, 1, 1), high=(1, 1, 1)),
    "dilated volume": Conv(
        1, (4, 5, 8), (24, 24), (5, 3, 3), 24, (2, 1, 3), low=(3, 1, 0), high=(2, 1, 6), kernel_dilation=(1, 1, 3)
    ),
    "many rows": Conv(3, (70, 9), (8, 8), (3, 3), groups=8, low=(1, 1), high=(1, 1)),
    "no kernel": Conv(1, (4, 4), (2, 2), (0, 1), groups=2),
}


@pytest.mark.parametrize("case", DEPTHWISE.values(), ids=DEPTHWISE)
def test_a_kernel_for_each_channel(case):
    for name in ("float32", "float64", "float16", "bfloat16"):
        case.check(name)
        case.check(name, "conv.depthwise")


@pytest.mark.parametrize("symbol", ENGINES)
@pytest.mark.parametrize("name", PLAIN)
def test_float32(name, symbol):
    if (name, symbol) != ("dilated", "conv.onednn"):  # which oneDNN does not do
        PLAIN[name].check("float32", symbol)


@pytest.mark.parametrize("case", GENERAL.values(), ids=GENERAL)
def test_general_padding_and_dilation(case):
    case.check("float32")
    case.check("float64")


@pytest.mark.parametrize("name", ["float64", "float16", "bfloat16"])
@pytest.mark.parametrize("case", (PLAIN | IDLE).values(), ids=PLAIN | IDLE)
def test_other_floats(case, name):
    np.full(1 << 18, np.nan)  # freed memory that shows where it is read
    case.check(name)


@pytest.mark.parametrize("channels, groups", [((4, 6), 2), ((9, 9), 9)])
@pytest.mark.parametrize("name", ["int8", "uint16", "int32", "int64"])
def test_integers_wrap(name, channels, groups):
    case = Conv(2, (6, 5), channels, (3, 2), groups, strides=(2, 1), low=(1, 0), high=(1, 1))
    rng = np.random.default_rng(0)
    x, kernel, gradient = (numbers(rng, shape, name) for shape in case.shapes)
    wide = [a.astype(object) for a in (x, kernel, gradient)]

    def wrapped(function, *arrays):
        total = np.zeros(function(*(np.zeros(a.shape) for a in arrays)).shape, object)
        for p, outs, ins in case.positions():
            for i, o in case.in_groups():
                if function == case.forward:
                    total[..., o][outs] += arrays[0][..., i][ins] @ arrays[1][p][:, o]
                elif function == case.input_gradient:
                    total[..., i][ins] += arrays[0][..., o][outs] @ arrays[1][p][:, o].T
                else:
                    total[p][:, o] += np.tensordot(
                        arrays[0][..., i][ins], arrays[1][..., o][outs], ((0, 1, 2), (0, 1, 2))
                    )
        bits = np.dtype(name).itemsize * 8
        return np.array([int(v) % 2**bits for v in total.flat], f"uint{bits}").view(name).reshape(total.shape)

    np.testing.assert_array_equal(case.run(0, x, kernel, name), wrapped(case.forward, wide[0], wide[1]))
    np.testing.assert_array_equal(case.run(1, gradient, kernel, name), wrapped(case.input_gradient, wide[2], wide[1]))
    np.testing.assert_array_equal(case.run(2, x, gradient, name), wrapped(case.kernel_gradient, wide[0], wide[2]))


@pytest.mark.parametrize(
    "case",
    [
        Conv(0, (5, 5), (2, 3), (3, 3)),
        Conv(2, (2, 2), (2, 3), (3, 3)),
        Conv(2, (0, 4), (2, 3), (1, 1)),
        Conv(2, (4, 4), (0, 3), (3, 3)),
        Conv(2, (4, 4), (2, 0), (3, 3)),
        Conv(1, (4, 4), (2, 3), (0, 1)),
    ],
)
def test_nothing_to_sum_gives_zeros(case):
    for name in ("float32", "float16", "int32"):
        x, kernel, gradient = (np.ones(shape, name) for shape in case.shapes)
        bias = np.arange(case.channels[1]).astype(name)
        out = case.run(0, x, kernel, name, bias)
        np.testing.assert_array_equal(out, np.broadcast_to(bias, out.shape))
        assert not case.run(1, gradient, kernel, name).any()
        assert not case.run(2, x, gradient, name).any()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_convolution(data):
    rank = data.draw(st.integers(1, 3))

    def draw(low, high):
        return tuple(data.draw(st.integers(low, high)) for _ in range(rank))

    groups = data.draw(st.sampled_from([1, 1, 2, 3, 20]))
    each = 1 if groups == 20 else 9
    channels = (groups * data.draw(st.integers(1, min(5, each))), groups * data.draw(st.integers(1, each)))
    case = Conv(
        data.draw(st.integers(1, 2)), draw(1, 7), channels, draw(1, 3), groups, draw(1, 3), draw(-2, 3),
        draw(-2, 3), draw(1, 3),
        draw(1, 3),
    )  # fmt: skip
    case.check(data.draw(st.sampled_from(["float32", "float64"])))


@pytest.fixture
def set_threads():
    before = _core.threads()
    yield _core.set_threads
    _core.set_threads(before)


CUT = {
    "fewer rows than threads": Conv(1, (5, 30), (32, 40), (3, 3), low=(1, 1), high=(1, 1)),
    "one row": Conv(1, (1, 90), (32, 40), (1, 3), low=(0, 1), high=(0, 1)),
    "fewer images than threads": Conv(3, (19, 12), (32, 40), (3, 3), low=(1, 0), high=(0, 1)),
    "rows without an output": Conv(1, (23, 23), (64, 96), (1, 1), strides=(4, 3), low=(2, 0), high=(3, 1)),
    "strided": Conv(1, (37, 20), (32, 48), (5, 3), strides=(3, 2), low=(4, 1), high=(2, 2)),
    "dilated": Conv(1, (20, 20), (32, 32), (3, 3), strides=(2, 1), low=(5, 2), high=(3, 2), kernel_dilation=(3, 2)),
    "rows without an input": Conv(1, (16, 16), (32, 64), (2, 2), low=(2, 3), high=(4, 1)),
    "groups": Conv(1, (17, 15), (64, 96), (3, 3), groups=4, low=(1, 1), high=(1, 1)),
    "depthwise": Conv(1, (31, 31), (96, 96), (3, 3), groups=96, low=(2, 1), high=(0, 1)),
    "line": Conv(1, (150,), (40, 64), (5,), strides=(2,), low=(2,), high=(1,)),
    "volume": Conv(1, (7, 8, 9), (16, 32), (3, 3, 3), low=(1, 1, 1), high=(1, 1, 1)),
    "a large kernel": Conv(1, (4, 4), (200, 300), (3, 3), low=(1, 1), high=(1, 1)),
    "a large kernel, two images": Conv(2, (3, 4), (520, 530), (3, 2), strides=(2, 1), low=(1, 1), high=(1, 0)),
}


@pytest.mark.parametrize("count", [2, 16])
@pytest.mark.parametrize("case", CUT.values(), ids=CUT)
def test_images_are_shared_out(case, count, set_threads):
    set_threads(count)
    case.check("float32")


@pytest.mark.parametrize(
    "symbol, batch, directions, groups",
    [("conv.patches", 3, (0, 1, 2), 1), ("conv", 1, (0, 1), 1), ("conv.depthwise", 2, (0, 1, 2), 20)],
)
def test_the_same_bits_at_any_number_of_threads(symbol, batch, directions, groups, set_threads):
    case = Conv(batch, (20, 20), (20, 20), (3, 3), groups, low=(1, 1), high=(1, 1))
    rng = np.random.default_rng(0)
    x, kernel, gradient = (numbers(rng, shape, "float32") for shape in case.shapes)
    for direction in directions:
        arrays = [(x, kernel), (gradient, kernel), (x, gradient)][direction]
        results = set()
        for count in (1, 2, 16):
            set_threads(count)
            results |= {case.run(direction, *arrays, "float32", None, symbol).tobytes() for _ in range(2)}
        assert len(results) == 1


def test_repeated_runs_give_the_same_bits():
    case = Conv(3, (20, 20), (12, 20), (3, 3), low=(1, 1), high=(1, 1))
    rng = np.random.default_rng(0)
    x, kernel, gradient = (numbers(rng, shape, "float32") for shape in case.shapes)
    for arguments in [(0, x, kernel), (1, gradient, kernel), (2, x, gradient)]:
        assert len({case.run(*arguments, "float32").tobytes() for _ in range(5)}) == 1


GOOD = [11, 0, 1, 1, 2, 3, 1, 5, 2, 4, 1, 0, 0, 1, 1, 0]


@pytest.mark.parametrize(
    "change, message",
    [
        ({1: 3}, "direction in 0..2"),
        ({2: 4}, "rank in 1..3"),
        ({6: 0}, "groups in 1"),
        ({6: 2}, "groups must divide"),
        ({9: 5}, "expected output size 4, got 5"),
        ({10: 0}, "a stride in 1"),
        ({14: 0}, "a kernel dilation in 1"),
        ({3: 2}, "expected operand 0"),
        ({15: 1}, "expected 4 operands"),
        ({1: 2, 15: 1}, "expected 4 operands"),
    ],
)
def test_bad_calls_are_refused(change, message):
    ints = list(GOOD)
    for position, value in change.items():
        ints[position] = value
    arrays = [np.zeros(10, np.float32), np.zeros(12, np.float32)]
    assert run("conv", GOOD, arrays, (1, 4, 3), "float32").shape == (1, 4, 3)
    with pytest.raises(ValueError, match=message):
        run("conv", ints, arrays, (1, 4, 3), "float32")


LIMITED = """
import numpy as np
from axon import nx
from axon.defn import grad, jit

x, kernel = nx.tensor(np.random.default_rng(0).standard_normal((1, 14, 14, 64), np.float32)), nx.ones((3, 3, 64, 64))
loss = lambda x, k: nx.sum(nx.sin(nx.conv(x, k, padding=1)))
for over in (lambda x, k: grad(lambda k: loss(x, k))(k), lambda x, k: grad(lambda x: loss(x, k))(x), loss):
    got, want = jit(over)(x, kernel).numpy(), jit(over, compiler="evaluate")(x, kernel).numpy()
    assert np.abs(got - want).max() < 1e-3 * np.abs(want).max(), np.abs(got - want).max()
"""


@pytest.mark.parametrize(
    "limit", [{"OMP_DYNAMIC": "true"}, {"OMP_THREAD_LIMIT": "1"}, {"OMP_THREAD_LIMIT": "2", "OMP_NUM_THREADS": "16"}]
)
def test_fewer_threads_than_were_asked_for(limit):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED], env=os.environ | limit, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
