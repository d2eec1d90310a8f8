// The casts between all dtypes. The 16-bit floats have no other tiles: they are computed in float32.
#include "tiles/make.h"

namespace axon::tiles {

template <class From> void append_casts_from(Table& table) {
#define AXON_CAST(name, code, To, ...) table.push_back(cast_entry<From, To>());
  AXON_DTYPES(AXON_CAST)
#undef AXON_CAST
}

void append_casts(Table& table) {
#define AXON_CASTS(name, code, From, ...) append_casts_from<From>(table);
  AXON_DTYPES(AXON_CASTS)
#undef AXON_CASTS
}

}  // namespace axon::tiles
