// The tile table, put together from its parts once.
#include <algorithm>

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

const axon_tile_entry* axon::find_tile(std::string_view name, std::span<const uint8_t> inputs, uint8_t output) {
  size_t count = 0;
  const axon_tile_entry* entries = axon_tiles(&count);
  const auto* entry = std::find_if(entries, entries + count, [&](const axon_tile_entry& candidate) {
    return candidate.name == name && candidate.output == output && candidate.arity == inputs.size() &&
           std::equal(inputs.begin(), inputs.end(), candidate.inputs);
  });
  return entry != entries + count ? entry : nullptr;
}
