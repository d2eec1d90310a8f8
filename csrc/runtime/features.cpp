#include "runtime/features.h"

// __builtin_cpu_supports wants a literal: hence a macro and no array of strings.
#define AXON_FEATURES(FEATURE)                                                                                       \
  FEATURE("avx") FEATURE("avx2") FEATURE("bmi") FEATURE("bmi2") FEATURE("f16c") FEATURE("fma") FEATURE("lzcnt")      \
  FEATURE("movbe") FEATURE("popcnt") FEATURE("avx512f") FEATURE("avx512cd") FEATURE("avx512bw") FEATURE("avx512dq")  \
  FEATURE("avx512vl") FEATURE("avx512vnni") FEATURE("avx512bf16") FEATURE("avx512fp16") FEATURE("amx-tile")          \
  FEATURE("amx-bf16") FEATURE("amx-int8")

namespace axon {

std::vector<std::string_view> cpu_features() {
  __builtin_cpu_init();
  std::vector<std::string_view> features;
#define AXON_COLLECT(name) \
  if (__builtin_cpu_supports(name)) features.emplace_back(name);
  AXON_FEATURES(AXON_COLLECT)
#undef AXON_COLLECT
  return features;
}

}  // namespace axon
