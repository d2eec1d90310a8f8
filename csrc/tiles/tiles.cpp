// The tile table, put together from its parts once.
#include "tiles/make.h"

extern "C" const axon_tile_entry* axon_tiles(size_t* count) {
  static const axon::tiles::Table table = [] {
    axon::tiles::Table t;
    axon::tiles::append_floating(t);
    axon::tiles::append_integer(t);
    axon::tiles::append_casts(t);
    return t;
  }();
  *count = table.size();
  return table.data();
}
