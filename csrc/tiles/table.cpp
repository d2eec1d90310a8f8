// The table that is used: the tiles of libaxon.so, and wider ones in their places where the CPU has AVX-512.
#include <dlfcn.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "runtime/features.h"
#include "runtime/library.h"
#include "tiles/tiles.h"

namespace axon {
namespace {

bool fits(const axon_tile_entry& tile, std::string_view name, std::span<const uint8_t> inputs, uint8_t output) {
  return tile.name == name && tile.output == output && tile.arity == inputs.size() &&
         std::equal(inputs.begin(), inputs.end(), tile.inputs);
}

std::vector<axon_tile_entry> made() {
  size_t count = 0;
  const axon_tile_entry* entries = axon_tiles(&count);
  std::vector<axon_tile_entry> table(entries, entries + count);
  if (!has_avx512()) return table;
  const auto wide = reinterpret_cast<decltype(&axon_tiles)>(dlsym(load_neighbour("libaxon_avx512.so"), "axon_wide_tiles"));
  if (wide == nullptr) throw std::runtime_error(dlerror());
  entries = wide(&count);
  for (const axon_tile_entry& tile : std::span(entries, count)) {
    const auto place = std::ranges::find_if(table, [&](const axon_tile_entry& other) {
      return fits(other, tile.name, {tile.inputs, tile.arity}, tile.output);
    });
    place->run = tile.run;
  }
  return table;
}

}  // namespace

std::span<const axon_tile_entry> tile_table() {
  static const std::vector<axon_tile_entry> table = made();
  return table;
}

const axon_tile_entry* find_tile(std::string_view name, std::span<const uint8_t> inputs, uint8_t output) {
  for (const axon_tile_entry& tile : tile_table())
    if (fits(tile, name, inputs, output)) return &tile;
  return nullptr;
}

}  // namespace axon
