// The tiles of the floating dtypes.
#include "tiles/make.h"

void axon::tiles::append_floating(Table& table) {
  append<float>(table);
  append<double>(table);
}
