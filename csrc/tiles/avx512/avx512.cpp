// The tiles in which 16 lanes gain: those of float32 and of random numbers' words, and casts of what is computed in them. A
// library of its own that shows one name, so that no inline function compiled for AVX-512 is ever taken for another's.
#include "tiles/make.h"

extern "C" __attribute__((visibility("default"))) const axon_tile_entry* axon_wide_tiles(size_t* count) {
  using namespace axon;
  using namespace axon::tiles;
  static const Table table = [] {
    Table t;
    append<float>(t);
    append<uint32>(t);
    append<uint64>(t);
#define AXON_HALF(name, code, type, ...) cast_entry<type, float>(), cast_entry<float, type>(),
    t.insert(t.end(), {AXON_HALVES(AXON_HALF) cast_entry<uint64, uint32>(), cast_entry<uint32, float>()});
#undef AXON_HALF
    return t;
  }();
  *count = table.size();
  return table.data();
}
