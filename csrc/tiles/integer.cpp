// The tiles of bool and the integer dtypes.
#include "tiles/make.h"

void axon::tiles::append_integer(Table& table) {
  append<bool>(table);
#define AXON_APPEND(name, code, type, ...) append<type>(table);
  AXON_INTEGERS(AXON_APPEND)
#undef AXON_APPEND
}
