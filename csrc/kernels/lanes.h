// A target's lane types: W values side by side, and the few helpers every scalar op is written with.
// AXON_TARGET names the header of the target's own words: how many lanes there are (AXON_LANES), what functions and loops are
// marked with, what its compiler calls the functions that round correctly (AXON_MATH) and asking for memory early
// (AXON_PREFETCH), and whether it has a libm (AXON_OWN_LIBM) and warps (AXON_WARP) of its own. Includes nothing else. Kernels
// and scalar.h use only what this file and those it includes define.
#ifndef AXON_LANES_H
#define AXON_LANES_H

#ifndef AXON_TARGET
#define AXON_TARGET "target_cpu.h"
#endif
#include AXON_TARGET

namespace axon {

typedef signed char int8;
typedef short int16;
typedef int int32;
typedef long int64;
typedef unsigned char uint8;
typedef unsigned short uint16;
typedef unsigned int uint32;
typedef unsigned long uint64;
static_assert(sizeof(int64) == 8, "axon kernels need a 64-bit long");

// Storage types: loaded as float, stored with rounding to nearest even.
struct f16 { uint16 word; };
struct bf16 { uint16 word; };

constexpr int W = AXON_LANES;
constexpr float INFINITE = __builtin_bit_cast(float, 0x7f800000u);
constexpr float NOT_A_NUMBER = __builtin_bit_cast(float, 0x7fc00000u);

template <class A, class B> constexpr bool same = false;
template <class A> constexpr bool same<A, A> = true;
template <class T> constexpr bool is_floating = same<T, float> || same<T, double>;
template <class T> constexpr bool is_half = same<T, f16> || same<T, bf16>;
template <class T> constexpr bool is_signed = T(-1) < T(0);

template <int bytes> struct word;
template <> struct word<1> { typedef int8 s; typedef uint8 u; };
template <> struct word<2> { typedef int16 s; typedef uint16 u; };
template <> struct word<4> { typedef int32 s; typedef uint32 u; };
template <> struct word<8> { typedef int64 s; typedef uint64 u; };

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
