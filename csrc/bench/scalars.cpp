// Times the scalars of csrc/kernels by their tiles: one thread, arrays in the first cache, the op alone.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "bench/bench.h"
#include "tiles/tiles.h"

namespace axon::bench {
namespace {

constexpr int64_t kElements = 1024;
constexpr int64_t kWidest = 8;  // bytes of an element
#define AXON_NAME(name, type) #name,
constexpr const char* kNames[] = {AXON_DTYPES(AXON_NAME)};
#undef AXON_NAME

// Numbers that most functions are defined for, in (0, 1) or small; halves, 0.5 in either format's bits, are near enough.
void fill(char* memory, uint8_t dtype, int64_t salt) {
  for (int64_t i = 0; i < kElements; ++i) {
    const int64_t number = (i * 7 + salt * 3) % 13 + 1;
    const double fraction = static_cast<double>(number) / 14;
    const auto put = [&](auto value) { std::memcpy(memory + i * static_cast<int64_t>(sizeof value), &value, sizeof value); };
    switch (dtype) {
      case axon_float32: put(static_cast<float>(fraction)); break;
      case axon_float64: put(fraction); break;
      case axon_float16: put(static_cast<uint16_t>(0x3800)); break;
      case axon_bfloat16: put(static_cast<uint16_t>(0x3f00)); break;
      case axon_bool: put(static_cast<uint8_t>(number & 1)); break;
      case axon_int8: case axon_uint8: put(static_cast<uint8_t>(number)); break;
      case axon_int16: case axon_uint16: put(static_cast<uint16_t>(number)); break;
      case axon_int32: case axon_uint32: put(static_cast<uint32_t>(number)); break;
      default: put(static_cast<uint64_t>(number));
    }
  }
}

void time_tile(const axon_tile_entry& tile) {
  std::vector<Memory> memory;
  std::vector<const void*> inputs;
  std::string what = tile.name + std::string(" ");
  for (int i = 0; i < tile.arity; ++i) {
    memory.emplace_back(kElements * kWidest);
    fill(memory.back().data(), tile.inputs[i], i);
    inputs.push_back(memory.back().data());
    what += (i > 0 ? ", " : "") + std::string(kNames[tile.inputs[i]]);
  }
  const Memory output(kElements * kWidest);
  const double seconds = fastest([&] { tile.run(inputs.data(), output.data(), kElements); });
  std::printf("%-48s -> %-9s %8.3f ns an element\n", what.c_str(), kNames[tile.output], seconds / kElements * 1e9);
}

}  // namespace

void time_scalars(const std::string& name) {
  size_t timed = 0;
  for (const axon_tile_entry& tile : tile_table()) {
    bool float32 = std::strcmp(tile.name, "cast") != 0;
    for (int k = 0; k < tile.arity; ++k) float32 &= tile.inputs[k] == axon_float32;
    if (name.empty() ? !float32 : name != tile.name) continue;
    time_tile(tile);
    ++timed;
  }
  if (timed == 0) throw std::invalid_argument("no scalar of csrc/kernels/scalar.h is named " + name);
}

}  // namespace axon::bench
