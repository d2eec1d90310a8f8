// A target's lane types: W values side by side, and the few helpers every scalar op is written with.
// AXON_TARGET names the header of the target's own words: how many lanes there are (AXON_LANES), what functions and loops are
// marked with, what its compiler calls the functions that round correctly (AXON_MATH) and asking for memory early
// (AXON_PREFETCH), and whether it has a libm (AXON_OWN_LIBM) and warps (AXON_WARP) of its own. Includes nothing else but
// the dtypes. Kernels and scalar.h use only what this file and those it includes define.
#ifndef AXON_LANES_H
#define AXON_LANES_H

#include "dtypes.h"

#ifndef AXON_TARGET
#define AXON_TARGET "target_cpu.h"
#endif
#include AXON_TARGET

namespace axon {

#define AXON_TYPE(name, code, type, kind, bytes) \
  typedef type name;                             \
  static_assert(sizeof(name) == bytes, "axon kernels need integers of these sizes");
AXON_INTEGERS(AXON_TYPE)
#undef AXON_TYPE

// Storage types: loaded as float, stored with rounding to nearest even.
template <class T> constexpr bool is_half = false;
#define AXON_HALF(name, code, type, ...) \
  struct type { uint16 word; };          \
  template <> inline constexpr bool is_half<type> = true;
AXON_HALVES(AXON_HALF)
#undef AXON_HALF

constexpr int W = AXON_LANES;
constexpr float INFINITE = __builtin_bit_cast(float, 0x7f800000u);
constexpr float NOT_A_NUMBER = __builtin_bit_cast(float, 0x7fc00000u);

template <class A, class B> constexpr bool same = false;
template <class A> constexpr bool same<A, A> = true;
template <class T> constexpr bool is_floating = same<T, float> || same<T, double>;
template <class T> constexpr bool is_signed = T(-1) < T(0);

template <int bytes, bool with_sign> struct integer_of;
#define AXON_WORD(name, ...) template <> struct integer_of<sizeof(name), is_signed<name>> { typedef name type; };
AXON_INTEGERS(AXON_WORD)
#undef AXON_WORD
template <int bytes> struct word {
  typedef typename integer_of<bytes, true>::type s;
  typedef typename integer_of<bytes, false>::type u;
};

// The limits of an integer type.
template <class T> constexpr T highest = T(typename word<sizeof(T)>::u(-1) >> (is_signed<T> ? 1 : 0));
template <class T> constexpr T lowest = is_signed<T> ? T(-highest<T> - 1) : T(0);

template <class T> struct lanes_of;
template <class T> using lanes = typename lanes_of<T>::type;
template <class V> struct element_of;
template <class V> using element = typename element_of<V>::type;
// Lanes of the integers as wide as V's elements.
template <class V> using int_lanes = lanes<typename word<sizeof(element<V>)>::s>;
template <class V> using uint_lanes = lanes<typename word<sizeof(element<V>)>::u>;

}  // namespace axon

#if AXON_LANES == 1
#include "lanes_scalar.h"
#else
#include "lanes_vector.h"
#endif
#include "lanes_convert.h"
#include "lanes_memory.h"

#endif
