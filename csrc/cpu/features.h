// Whether this CPU has a feature, by the name of GCC's -m flag.
#pragma once
#include <algorithm>

#include "runtime/features.h"

namespace axon::cpu {

inline bool cpu_has(std::string_view feature) {
  static const std::vector<std::string_view> features = cpu_features();
  return std::ranges::find(features, feature) != features.end();
}

}  // namespace axon::cpu
