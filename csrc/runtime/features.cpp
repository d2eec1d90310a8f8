#include "runtime/features.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

// __builtin_cpu_supports wants a literal: hence macros and no arrays of strings.
#define AXON_AVX2_FEATURES(FEATURE)                                                                                  \
  FEATURE("avx") FEATURE("avx2") FEATURE("bmi") FEATURE("bmi2") FEATURE("f16c") FEATURE("fma") FEATURE("lzcnt")      \
  FEATURE("movbe") FEATURE("popcnt")
#define AXON_AVX512_FEATURES(FEATURE)                                                                                \
  FEATURE("avx512f") FEATURE("avx512cd") FEATURE("avx512bw") FEATURE("avx512dq") FEATURE("avx512vl")
#define AXON_LATER_FEATURES(FEATURE)                                                                                 \
  FEATURE("avx512vnni") FEATURE("avx512bf16") FEATURE("avx512fp16") FEATURE("amx-tile") FEATURE("amx-bf16")          \
  FEATURE("amx-int8")

namespace axon {

Isa max_isa() {
  static const Isa isa = [] {
    const char* const given = std::getenv("AXON_MAX_ISA");
    const std::string_view name = given == nullptr ? "" : given;
    if (name.empty()) return Isa::all;
    if (name == "avx2") return Isa::avx2;
    if (name == "avx512") return Isa::avx512;
    throw std::invalid_argument("AXON_MAX_ISA: expected avx2 or avx512, got " + std::string(name) +
                                "; leave it unset to use all that the CPU has");
  }();
  return isa;
}

std::vector<std::string_view> cpu_features() {
  __builtin_cpu_init();
  std::vector<std::string_view> features;
#define AXON_COLLECT(name) \
  if (__builtin_cpu_supports(name)) features.emplace_back(name);
  AXON_AVX2_FEATURES(AXON_COLLECT)
  if (max_isa() >= Isa::avx512) { AXON_AVX512_FEATURES(AXON_COLLECT) }
  if (max_isa() >= Isa::all) { AXON_LATER_FEATURES(AXON_COLLECT) }
#undef AXON_COLLECT
  return features;
}

bool has_avx512() {
  __builtin_cpu_init();
  bool found = max_isa() >= Isa::avx512;
#define AXON_REQUIRE(name) found = found && __builtin_cpu_supports(name);
  AXON_AVX512_FEATURES(AXON_REQUIRE)
#undef AXON_REQUIRE
  return found;
}

}  // namespace axon
