// How one row of the tile table is made from one scalar op; included by its neighbours, each for some of the dtypes.
#ifndef AXON_MAKE_H
#define AXON_MAKE_H

#include <utility>
#include <vector>

#include "kernels/scalar.h"
#include "tiles/tiles.h"

namespace axon::tiles {

typedef std::vector<axon_tile_entry> Table;
void append_floating(Table&);
void append_integer(Table&);
void append_casts(Table&);

template <class T> constexpr uint8_t code = 255;
#define AXON_CODE_OF(name, short_name, type, kind, bytes)         \
  template <> inline constexpr uint8_t code<type> = axon_##name; \
  static_assert(sizeof(type) == bytes);
AXON_DTYPES(AXON_CODE_OF)
#undef AXON_CODE_OF

// The classes of dtypes that AXON_OP names.
template <class T> constexpr bool is_integer = !is_floating<T> && !same<T, bool>;
struct floating { template <class T> static constexpr bool has = is_floating<T>; };
struct integer { template <class T> static constexpr bool has = is_integer<T>; };
struct number { template <class T> static constexpr bool has = !same<T, bool>; };
struct boolean { template <class T> static constexpr bool has = same<T, bool>; };
struct bits { template <class T> static constexpr bool has = !is_floating<T>; };
struct any { template <class T> static constexpr bool has = true; };
struct masked : any {};
struct words { template <class T> static constexpr bool has = same<T, uint32> || same<T, uint64>; };
struct counter { template <class T> static constexpr bool has = same<T, uint64>; };

template <class T> AXON_FN lanes<T> fetch(const void* p, int64 i, int n) {
  const T* from = static_cast<const T*>(p) + i;
  return n == W ? load<T>(from) : load<T>(from, n);
}

// output[i] = op(inputs[0][i], ...). The op's text appears once, for whole vectors and the tail alike.
template <class Op, class Out, class... In, size_t... k>
void loop(std::index_sequence<k...>, const void* const* inputs, void* output, int64 n) {
  for (int64 i = 0; i < n; i += W) {
    int m = n - i < W ? static_cast<int>(n - i) : W;
    lanes<Out> y = Op()(fetch<In>(inputs[k], i, m)...);
    Out* to = static_cast<Out*>(output) + i;
    if (m == W) store<Out>(to, y);
    else store<Out>(to, y, m);
  }
}
template <class Op, class Out, class... In> void run(const void* const* inputs, void* output, int64 n) {
  loop<Op, Out, In...>(std::index_sequence_for<In...>(), inputs, output, n);
}
template <class Op, class Out, class... In> axon_tile_entry entry(const char* name) {
  return {name, sizeof...(In), {code<In>...}, code<Out>, run<Op, Out, In...>};
}

#define AXON_OP(name, arity, dtypes)                                                            \
  struct name##_op {                                                                            \
    template <class... V> AXON_INLINE auto operator()(V... x) const { return axon::name(x...); } \
  };
#include "kernels/scalar.h"
#undef AXON_OP

template <class Op, class T, int arity, bool mask_first> axon_tile_entry entry_of(const char* name) {
  typedef lanes<T> V;
  if constexpr (mask_first) return entry<Op, T, bool, T, T>(name);
  else if constexpr (arity == 1) return entry<Op, element<decltype(Op()(V{}))>, T>(name);
  else if constexpr (arity == 2) return entry<Op, element<decltype(Op()(V{}, V{}))>, T, T>(name);
  else return entry<Op, element<decltype(Op()(V{}, V{}, V{}))>, T, T, T>(name);
}

template <class To> struct cast_to {
  template <class V> AXON_INLINE auto operator()(V x) const { return cast<To>(x); }
};
template <class From, class To> axon_tile_entry cast_entry() { return entry<cast_to<To>, To, From>("cast"); }

// Every op for dtype T.
template <class T> void append(Table& table) {
#define AXON_OP(name, arity, dtypes)    \
  if constexpr (dtypes::has<T>) table.push_back(entry_of<name##_op, T, arity, same<dtypes, masked>>(#name));
#include "kernels/scalar.h"
#undef AXON_OP
}

}  // namespace axon::tiles

#endif
