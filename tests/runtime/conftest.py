"""A few hand-written kernels, compiled once, to test the runtime without the compiler."""

import pathlib
import shutil
import subprocess

import pytest
from axon import _core

SOURCE = """
typedef long i64; typedef unsigned long u64; typedef int i32;
#define KERNEL extern "C" int
#define PARAMETERS char *const *operands, const i64 *ints, const u64 *literals, i64 begin, i64 end, char *scratch
#define UNUSED (void)operands, (void)ints, (void)literals, (void)begin, (void)end, (void)scratch

KERNEL add(PARAMETERS) {                     // out = a + literal, float32
  UNUSED;
  union { unsigned bits; float value; } literal = {(unsigned)literals[0]};
  const float *a = (const float *)operands[0];
  float *out = (float *)operands[1];
  for (i64 i = begin; i < end; ++i) out[i] = a[i] + literal.value;
  return 0;
}
KERNEL sum2(PARAMETERS) {                    // out = a + b, float32
  UNUSED;
  const float *a = (const float *)operands[0], *b = (const float *)operands[1];
  float *out = (float *)operands[2];
  for (i64 i = begin; i < end; ++i) out[i] = a[i] + b[i];
  return 0;
}
KERNEL below(PARAMETERS) {                   // out (bool) = a[0] < ints[0], int32
  UNUSED;
  *operands[1] = *(const i32 *)operands[0] < ints[0];
  return 0;
}
KERNEL increment(PARAMETERS) {               // out[0] = a[0] + 1, int32
  UNUSED;
  *(i32 *)operands[1] = *(const i32 *)operands[0] + 1;
  return 0;
}
KERNEL fails(PARAMETERS) { UNUSED; return end > ints[0] && begin <= ints[0] ? 7 : 0; }
KERNEL through_scratch(PARAMETERS) {         // out[i] = i, by way of scratch; nobody else may write there meanwhile
  UNUSED;
  i64 *mine = (i64 *)scratch, *out = (i64 *)operands[0];
  for (i64 i = begin; i < end; ++i) mine[(i - begin) % 512] = i, out[i] = mine[(i - begin) % 512];
  return 0;
}
KERNEL denormal(PARAMETERS) {                // out[i] = a[i] / 2, float32
  UNUSED;
  const volatile float *a = (const float *)operands[0];
  float *out = (float *)operands[1];
  for (i64 i = begin; i < end; ++i) out[i] = a[i] * 0.5f;
  return 0;
}
extern "C" void set_mxcsr(unsigned mode) { __builtin_ia32_ldmxcsr(mode); }
extern "C" unsigned get_mxcsr() { return __builtin_ia32_stmxcsr(); }
"""
NAMES = ["add", "sum2", "below", "increment", "fails", "through_scratch", "denormal"]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++")
    folder: pathlib.Path = tmp_path_factory.mktemp("kernels")
    (folder / "k.cpp").write_text(SOURCE)
    subprocess.run(
        [compiler, "-O1", "-shared", "-fPIC", "-nostdlib", "-o", folder / "k.so", folder / "k.cpp"], check=True
    )
    return (folder / "k.so").read_bytes()


@pytest.fixture(scope="session")
def kernels(library: bytes) -> dict[str, _core.Kernel]:
    return dict(zip(NAMES, _core.load_library(library, NAMES)))
