// The tile table: every scalar op for every dtype of its class, and casts between all dtypes, compiled ahead of time as
// loops over contiguous arrays. Eager ops and both interpreters of kernels are made of these.
#ifndef AXON_TILES_H
#define AXON_TILES_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/dtypes.h"

#define AXON_CODE(name, ...) axon_##name,
enum axon_dtype : uint8_t { AXON_DTYPES(AXON_CODE) };
#undef AXON_CODE

struct axon_tile_entry {
  const char* name;   // the op's, or "cast"
  uint8_t arity;
  uint8_t inputs[4];  // dtypes
  uint8_t output;
  void (*run)(const void* const* inputs, void* output, int64_t n);
};

// As this library was compiled; what runs is tile_table().
extern "C" const axon_tile_entry* axon_tiles(size_t* count);

namespace axon {

#define AXON_SIZE(name, code, type, kind, bytes) bytes,
constexpr int64_t kItemSizes[] = {AXON_DTYPES(AXON_SIZE)};  // by axon_dtype
#undef AXON_SIZE

// The same entries in the same order; where the CPU has AVX-512, some run with 16 lanes (libaxon_avx512.so): the same bits.
std::span<const axon_tile_entry> tile_table();

// The entry of these dtypes, or null.
const axon_tile_entry* find_tile(std::string_view name, std::span<const uint8_t> inputs, uint8_t output);

}  // namespace axon

#endif
