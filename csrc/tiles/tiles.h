// The tile table: every scalar op for every dtype of its class, and casts between all dtypes, compiled ahead of time as
// loops over contiguous arrays. Eager ops and both interpreters of kernels are made of these.
#ifndef AXON_TILES_H
#define AXON_TILES_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

// The dtypes in the order of their codes: name, and the type of csrc/kernels.
#define AXON_DTYPES(DTYPE)                                                                           \
  DTYPE(bool, bool)                                                                                  \
  DTYPE(int8, int8) DTYPE(int16, int16) DTYPE(int32, int32) DTYPE(int64, int64)                      \
  DTYPE(uint8, uint8) DTYPE(uint16, uint16) DTYPE(uint32, uint32) DTYPE(uint64, uint64)              \
  DTYPE(float16, f16) DTYPE(bfloat16, bf16) DTYPE(float32, float) DTYPE(float64, double)

#define AXON_CODE(name, type) axon_##name,
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

constexpr int64_t kItemSizes[] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8};  // by axon_dtype

// The same entries in the same order; where the CPU has AVX-512, some run with 16 lanes (libaxon_avx512.so): the same bits.
std::span<const axon_tile_entry> tile_table();

// The entry of these dtypes, or null.
const axon_tile_entry* find_tile(std::string_view name, std::span<const uint8_t> inputs, uint8_t output);

}  // namespace axon

#endif
