// The tiles of the floating dtypes.
#include "tiles/make.h"

void axon::tiles::append_floating(Table& table) {
#define AXON_APPEND(name, code, type, ...) append<type>(table);
  AXON_FLOATS(AXON_APPEND)
#undef AXON_APPEND
}
