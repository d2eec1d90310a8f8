#include "runtime/features.h"

// __builtin_cpu_supports wants a literal: hence two lists of macros rather than of strings.
#define AXON_BASELINE(FEATURE) \
  FEATURE("avx") FEATURE("avx2") FEATURE("bmi") FEATURE("bmi2") FEATURE("f16c") FEATURE("fma") FEATURE("lzcnt") \
  FEATURE("movbe") FEATURE("popcnt")
#define AXON_EXTENSIONS(FEATURE) \
  FEATURE("avx512f") FEATURE("avx512cd") FEATURE("avx512bw") FEATURE("avx512dq") FEATURE("avx512vl") \
  FEATURE("avx512vnni") FEATURE("avx512bf16") FEATURE("avx512fp16") FEATURE("amx-tile") FEATURE("amx-bf16") \
  FEATURE("amx-int8")

namespace axon {

std::vector<std::string_view> cpu_features() {
  __builtin_cpu_init();
  std::vector<std::string_view> features;
#define AXON_COLLECT(name) \
  if (__builtin_cpu_supports(name)) features.emplace_back(name);
  AXON_BASELINE(AXON_COLLECT)
  AXON_EXTENSIONS(AXON_COLLECT)
#undef AXON_COLLECT
  return features;
}

const char* missing_baseline_feature() {
  __builtin_cpu_init();
#define AXON_REQUIRE(name) \
  if (!__builtin_cpu_supports(name)) return name;
  AXON_BASELINE(AXON_REQUIRE)
#undef AXON_REQUIRE
  return nullptr;
}

}  // namespace axon
