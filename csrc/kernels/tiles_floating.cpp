// The tiles of the floating dtypes.
#include "tiles_make.h"

void axon::tiles::append_floating(Table& table) {
  append<float>(table);
  append<double>(table);
}
