"""NVRTC through ctypes: CUDA text to cubin, on a machine with or without a GPU."""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache
from pathlib import Path

from .kernel_tools import HEADERS

OPTIONS = "-std=c++20 -arch=sm_90 --fmad=false --prec-div=true --prec-sqrt=true --ftz=false".split()
OPTIONS.append('-DAXON_TARGET="target_cuda.h"')


@cache
def library() -> ctypes.CDLL | None:
    """libnvrtc of the nvidia-cuda-nvrtc wheel, or None where that is not installed."""
    spec = importlib.util.find_spec("nvidia")
    for folder in spec.submodule_search_locations or () if spec else ():
        for builtins in Path(folder).glob("*/lib/libnvrtc-builtins.so*"):
            ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)  # libnvrtc looks it up by name only
        for path in Path(folder).glob("*/lib/libnvrtc.so*"):
            return ctypes.CDLL(str(path))
    return None


def compile_cubin(text: str) -> bytes:
    """The cubin for sm_90; AssertionError holds the compiler's log."""
    nvrtc = library()
    assert nvrtc is not None
    program = ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernels.cu", 0, None, None) == 0
    options = [o.encode() for o in [*OPTIONS, f"-I{HEADERS}"]]
    status = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert status == 0, f"{log.value.decode()[:4000]}\n{text[:4000]}"
    assert nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size)) == 0
    cubin = ctypes.create_string_buffer(size.value)
    assert nvrtc.nvrtcGetCUBIN(program, cubin) == 0
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return cubin.raw
