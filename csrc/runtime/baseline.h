// The CPU that kernels/ and cpu/ are compiled for, asked by what must run without them: so a header of its own.
#pragma once

namespace axon {

// What every error about it begins with, and the first feature that this CPU lacks, or null.
constexpr const char* kNeeds = "axon needs an x86-64-v3 CPU (AVX2, FMA); this one lacks ";

inline const char* missing_feature() {
  __builtin_cpu_init();
#define AXON_REQUIRE(name) \
  if (!__builtin_cpu_supports(name)) return name;
  AXON_REQUIRE("avx2")
  AXON_REQUIRE("bmi")
  AXON_REQUIRE("bmi2")
  AXON_REQUIRE("f16c")
  AXON_REQUIRE("fma")
  AXON_REQUIRE("lzcnt")
  AXON_REQUIRE("movbe")
#undef AXON_REQUIRE
  return nullptr;
}

}  // namespace axon
