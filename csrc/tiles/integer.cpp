// The tiles of bool and the integer dtypes.
#include "tiles/make.h"

void axon::tiles::append_integer(Table& table) {
  append<bool>(table);
  append<int8>(table);
  append<int16>(table);
  append<int32>(table);
  append<int64>(table);
  append<uint8>(table);
  append<uint16>(table);
  append<uint32>(table);
  append<uint64>(table);
}
