// The casts between all dtypes. The 16-bit floats have no other tiles: they are computed in float32.
#include "tiles/make.h"

namespace axon::tiles {

template <class To> struct cast_to {
  template <class V> AXON_INLINE auto operator()(V x) const { return cast<To>(x); }
};

template <class From, class... To> void append_casts_from(Table& table) {
  (table.push_back(entry<cast_to<To>, To, From>("cast")), ...);
}

template <class... T> void append_all_casts(Table& table) { (append_casts_from<T, /* to */
  bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, f16, bf16, float, double>(table), ...); }

void append_casts(Table& table) {
  append_all_casts<bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, f16, bf16, float, double>(table);
}

}  // namespace axon::tiles
