"""Emitted CUDA compiles to cubin for sm_90, and gives the interpreter's bits, on the CPU by fibers and on a GPU."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axon.compiler.kernels.kernel import Kernel
from axon.compiler.targets.emit_cuda import emit_cuda, warp_scratch_bytes
from axon.dtypes import dtype
from axon.nx.core.tensor import TensorType
from hypothesis import given, note, settings
from hypothesis import strategies as st

from . import goldens, nvrtc, test_threads
from .kernel_cases import EXAMPLES
from .kernel_random import random_cases, with_partials
from .kernel_tools import SCALAR, Case, aligned, compile_texts, interpreted, literal_slots, report, same_bits
from .programs import compiled

SHIM = f'#include "{Path(__file__).with_name("cuda_on_cpu.h")}"\n'
LAUNCHES = ((1, 32), (3, 64))  # blocks, threads of a block

needs_nvrtc = pytest.mark.skipif(nvrtc.library() is None, reason="needs the nvidia-cuda-nvrtc wheel")


def cubin_of(kernels: Iterable[Kernel]) -> bytes:
    """The kernels k0, k1... in one text, compiled."""
    cubin = nvrtc.compile_cubin("".join(emit_cuda(k, f"k{n}") for n, k in enumerate(kernels)))
    assert cubin[:4] == b"\x7fELF"
    return cubin


def on_cpu(kernel: Kernel, name: str) -> str:
    """The kernel's text and a C function that launches it, with the arguments in arrays."""
    pointers, ints, literals = (range(n) for n in (len(kernel.pointers), len(kernel.parameters), len(kernel.literals)))
    args = ", ".join([*(f"q[{k}]" for k in pointers), *(f"n[{k}]" for k in ints), *(f"l[{k}]" for k in literals)])
    return emit_cuda(kernel, name) + (
        f"static char* const* q_{name}; static const long* n_{name}; static const unsigned long* l_{name};\n"
        f"static char* s_{name}; static long b_{name};\n"
        f'extern "C" int launch_{name}(char* const* q, const long* n, const unsigned long* l, char* s, long b, '
        "unsigned blocks, unsigned threads) {\n"
        f"  q_{name} = q, n_{name} = n, l_{name} = l, s_{name} = s, b_{name} = b;\n"
        f"  return launch([] {{ auto q = q_{name}; auto n = n_{name}; auto l = l_{name};\n"
        f"    {name}_::{name}({args}, s_{name}, b_{name}); }}, blocks, threads);\n}}\n"
    )


def check_on_cpu(cases: Sequence[Case]) -> None:
    names = {kernel: f"k{n}" for n, kernel in enumerate(dict.fromkeys(c.kernel for c in cases))}
    texts = [on_cpu(kernel, name) for kernel, name in names.items()]
    library = ctypes.CDLL(str(compile_texts([SHIM, *texts], SCALAR)))
    for n, case in enumerate(cases):
        expected = interpreted(case)
        for blocks, threads in LAUNCHES:
            arrays = [a.copy() for a in case.arrays]
            pointers = (ctypes.c_void_p * max(len(arrays), 1))(*[a.ctypes.data for a in arrays])
            ints = np.array([case.parameters[p] for p in case.kernel.parameters], np.int64)
            literals = literal_slots(case)
            each = warp_scratch_bytes(case.kernel, case.parameters)
            scratch = aligned(each * blocks * threads // 32 + 64)
            addresses = [ctypes.c_void_p(a.ctypes.data) for a in (ints, literals, scratch)]
            status = getattr(library, f"launch_{names[case.kernel]}")(
                pointers, *addresses, ctypes.c_int64(each), blocks, threads
            )
            assert status == 0, "the lanes of a warp did not all take part in a shuffle"
            for k, (x, y) in enumerate(zip(arrays, expected)):
                assert same_bits(x, y), report(case, n, k, x, y)


def examples() -> list[Case]:
    """The examples, but for some of the copies of every dtype, which compile slowly."""
    some = {"copies of bool", "copies of float16", "copies of float32"}
    return with_partials([EXAMPLES[n]().case for n in EXAMPLES if not n.startswith("copies of") or n in some])


def test_examples_on_the_cpu() -> None:
    check_on_cpu(examples())


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 1 << 20))
def test_random_kernels_on_the_cpu(seed: int) -> None:
    note(f"seed {seed}")
    check_on_cpu(random_cases(seed))


@needs_nvrtc
def test_examples_compile() -> None:
    cubin_of(dict.fromkeys(c.kernel for c in examples()))


@needs_nvrtc
def test_kernels_of_whole_programs_compile() -> None:
    """Of the golden models, and of the examples that threads run; all in one text."""
    lowered = [compiled(function, *types) for function, types in goldens.MODELS.values()]
    examples = [(e.function, test_threads.arrays_of(e)) for e in test_threads.EXAMPLES.values()]
    lowered += [compiled(f, *(TensorType(dtype(a.dtype), a.shape) for a in arrays)) for f, arrays in examples]
    cubin_of(dict.fromkeys(k for made in lowered for k in made.schedule.kernels()))


@needs_nvrtc
@settings(max_examples=3, deadline=None)
@given(st.integers(0, 1 << 20))
def test_random_kernels_compile(seed: int) -> None:
    cubin_of(c.kernel for c in random_cases(seed))


@needs_nvrtc
@pytest.mark.gpu
def test_examples_on_the_gpu() -> None:
    cupy: Any = pytest.importorskip("cupy")
    cases = examples()
    module = cupy.cuda.function.Module()
    module.load(cubin_of(c.kernel for c in cases))
    for n, case in enumerate(cases):
        arrays = [cupy.asarray(a.view(np.uint8)) for a in case.arrays]
        each = warp_scratch_bytes(case.kernel, case.parameters)
        scratch = cupy.empty(max(each * 8, 1), np.uint8)
        ints = [case.parameters[p] for p in case.kernel.parameters]
        literals = list(literal_slots(case))[: len(case.literals)]
        module.get_function(f"k{n}")((4,), (64,), (*arrays, *ints, *literals, scratch, each))
        for k, (x, y) in enumerate(zip(arrays, interpreted(case))):
            got = cupy.asnumpy(x).view(y.dtype)
            assert same_bits(got, y), report(case, n, k, got, y)
