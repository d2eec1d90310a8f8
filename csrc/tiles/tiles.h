// The tile table: every scalar op for every dtype of its class, and casts between all dtypes, compiled ahead of time as
// loops over contiguous arrays. The interpreter of kernels is made of these.
#ifndef AXON_TILES_H
#define AXON_TILES_H

#include <cstddef>
#include <cstdint>

enum axon_dtype : uint8_t {
  axon_bool, axon_int8, axon_int16, axon_int32, axon_int64, axon_uint8, axon_uint16, axon_uint32, axon_uint64,
  axon_float16, axon_bfloat16, axon_float32, axon_float64
};

struct axon_tile_entry {
  const char* name;   // the op's, or "cast"
  uint8_t arity;
  uint8_t inputs[4];  // dtypes
  uint8_t output;
  void (*run)(const void* const* inputs, void* output, int64_t n);
};

extern "C" const axon_tile_entry* axon_tiles(size_t* count);

#endif
