// One scalar over whole arrays: its tile, looped over what fits the first cache, on all threads where there is much. The
// 16-bit floats are computed in float32 and rounded once.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "tiles/tiles.h"

namespace axon {

constexpr size_t kMostInputs = 4, kMostAxes = 64;

// An input as the result's axes see it: strides in bytes, 0 along an axis that it is broadcast over.
struct Strided {
  const char* data;
  std::array<int64_t, kMostAxes> strides;
};

class Elementwise {
 public:
  // The scalar of that name over inputs of these dtypes, where there is one.
  static std::optional<Elementwise> find(std::string_view name, std::span<const uint8_t> inputs, uint8_t output);

  size_t arity() const { return op_->arity; }
  const char* name() const { return op_->name; }
  int64_t input_size(size_t i) const { return kItemSizes[inputs_[i]]; }
  int64_t output_size() const { return kItemSizes[output_]; }

  // Writes the dense row-major output of that shape. It overlaps no input, but where it is one of the same elements.
  void run(std::span<const Strided> inputs, char* output, std::span<const int64_t> shape) const;

 private:
  const axon_tile_entry* op_;
  std::array<uint8_t, kMostInputs> inputs_;
  uint8_t output_;
  std::array<const axon_tile_entry*, kMostInputs> widen_;  // of an input that is cast first, else null
  const axon_tile_entry* narrow_;                          // of an output that is cast at the end, else null
};

}  // namespace axon
