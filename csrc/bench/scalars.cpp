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
#define AXON_NAME(name, ...) #name,
constexpr const char* kNames[] = {AXON_DTYPES(AXON_NAME)};
#undef AXON_NAME

// Numbers that most functions are defined for: floats in (0, 1), small integers, both truths.
void fill(char* memory, uint8_t dtype, int64_t salt) {
  std::vector<double> numbers;
  for (int64_t i = 0; i < kElements; ++i) {
    const int64_t number = (i * 7 + salt * 3) % 13 + 1;
    const auto whole = static_cast<double>(dtype == axon_bool ? number & 1 : number);
    numbers.push_back(dtype < axon_float16 ? whole : whole / 14);  // after the integers come the floats
  }
  const uint8_t given = axon_float64;
  const void* from = numbers.data();
  find_tile("cast", {&given, 1}, dtype)->run(&from, memory, kElements);
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
