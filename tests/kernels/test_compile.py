"""Every op compiles for the targets that cannot be run here, and the list of ops is the table's."""

import ctypes
import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from .tiles import AVX512, FLAGS, KERNELS, TILE_SOURCES, build_library, tiles

FLOATING = ("float", "double")
INTEGER = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
CLASSES = {
    "floating": FLOATING,
    "integer": INTEGER,
    "number": FLOATING + INTEGER,
    "boolean": ("bool",),
    "bits": (*INTEGER, "bool"),
    "any": (*FLOATING, *INTEGER, "bool"),
    "masked": (*FLOATING, *INTEGER, "bool"),
    "words": ("uint32", "uint64"),
    "counter": ("uint64",),
}
NUMPY = {"float": "float32", "double": "float64"}


def ops() -> list[tuple[str, int, str]]:
    """The AXON_OP lines of the headers."""
    text = "".join(path.read_text() for path in KERNELS.glob("*.h"))
    found = re.findall(r"^AXON_OP\((\w+), (\d), (\w+)\)$", text, re.MULTILINE)
    return [(name, int(arity), dtypes) for name, arity, dtypes in found]


def inputs(arity: int, dtypes: str, dtype: str) -> list[str]:
    return ["bool" if dtypes == "masked" and i == 0 else dtype for i in range(arity)]


def test_table_is_the_list() -> None:
    want = {
        (name, tuple(NUMPY.get(t, t) for t in inputs(arity, dtypes, dtype)))
        for name, arity, dtypes in ops()
        for dtype in CLASSES[dtypes]
    }
    assert {(name, tuple(str(d) for d in args)) for name, args, _ in tiles(8) if name != "cast"} == want


def test_avx512() -> None:
    assert build_library(TILE_SOURCES, ["-Wconversion", *AVX512, "-DAXON_LANES=16"], "avx512").exists()


def test_plain_vectors(tmp_path: Path) -> None:
    """Without AVX2's instructions the lanes are loops, as on processors of another make."""
    text = '#include "scalar.h"\nextern "C" void f(float* p) { axon::store(p, axon::tanh(axon::load<float>(p))); }\n'
    (tmp_path / "f.cpp").write_text(text)
    subprocess.run(
        ["g++", *FLAGS, "-DAXON_LANES=8", f"-I{KERNELS}", "-c", tmp_path / "f.cpp", "-o", tmp_path / "f.o"], check=True
    )


def cuda_source() -> str:
    """One kernel an op and dtype, and one a cast."""

    def kernel(name: str, arguments: list[str], call: str) -> str:
        loads = ", ".join(f"load(static_cast<const {t}*>(in[{k}]) + i)" for k, t in enumerate(arguments))
        return (
            f'extern "C" __global__ void {name}(const void* const* in, void* out) {{\n'
            f"  int i = blockIdx.x * blockDim.x + threadIdx.x;\n  auto y = {call}({loads});\n"
            f"  store(static_cast<decltype(y)*>(out) + i, y);\n}}\n"
        )

    text = ['#define AXON_TARGET "target_cuda.h"\n#include "scalar.h"\nusing namespace axon;\n']
    for name, arity, dtypes in ops():
        text += [kernel(f"{name}_{t}", inputs(arity, dtypes, t), f"axon::{name}") for t in CLASSES[dtypes]]
    types = (*CLASSES["any"], "f16", "bf16")
    text += [kernel(f"cast_{a}_{b}", [a], f"cast<{b}>") for a in types for b in types]
    return "".join(text)


def test_nvrtc_compiles_every_op_to_sm_90() -> None:
    package = importlib.util.find_spec("nvidia")
    libraries = [
        p
        for root in (package.submodule_search_locations or [] if package else [])
        for p in Path(root).rglob("libnvrtc*.so.*")
        if "alt" not in p.name
    ]
    if not libraries:
        pytest.skip("nvidia-cuda-nvrtc is not installed")
    # The compiler looks its builtins up by name among what is loaded.
    libraries.sort(key=lambda p: "builtins" not in p.name)
    _, nvrtc = (ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL) for path in libraries)
    headers = sorted(KERNELS.glob("*.h"))
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    names = (ctypes.c_char_p * len(headers))(*[p.name.encode() for p in headers])
    texts = (ctypes.c_char_p * len(headers))(*[p.read_bytes() for p in headers])
    assert (
        nvrtc.nvrtcCreateProgram(ctypes.byref(program), cuda_source().encode(), b"ops.cu", len(headers), texts, names)
        == 0
    )
    options = [
        b"--gpu-architecture=sm_90",
        b"--std=c++20",
        b"--fmad=false",
        b"--prec-div=true",
        b"--prec-sqrt=true",
        b"--ftz=false",
    ]
    failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert not failed, log.value.decode()
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    assert size.value > 0
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
