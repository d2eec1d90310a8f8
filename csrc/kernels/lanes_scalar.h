// One lane: every lane type is the plain C type. The host's scalar target and all of CUDA.
#ifndef AXON_LANES_SCALAR_H
#define AXON_LANES_SCALAR_H

namespace axon {

template <class T> struct lanes_of { typedef T type; };
template <class V> struct element_of { typedef V type; };

template <class T> AXON_FN T broadcast(T value) { return value; }
template <class T> AXON_FN T iota(T start) { return start; }

template <class V> AXON_FN bool lt(V a, V b) { return a < b; }
template <class V> AXON_FN bool le(V a, V b) { return a <= b; }
template <class V> AXON_FN bool eq(V a, V b) { return a == b; }
template <class V> AXON_FN bool ne(V a, V b) { return a != b; }
template <class V> AXON_FN V pick(bool m, V a, V b) { return m ? a : b; }
template <class V> AXON_FN V select(bool m, V a, V b) { return m ? a : b; }
AXON_FN bool any(bool m) { return m; }
template <class To, class V> AXON_FN To convert(V x) { return static_cast<To>(x); }

// Integer arithmetic wraps: done unsigned, and no narrower than int so that promotion cannot overflow either.
template <class V> AXON_FN auto wrapping(V x) {
  if constexpr (sizeof(V) == 8) return static_cast<uint64>(x);
  else return static_cast<uint32>(x);
}

AXON_FN uint32 bits(float x) { return __builtin_bit_cast(uint32, x); }
AXON_FN uint64 bits(double x) { return __builtin_bit_cast(uint64, x); }
AXON_FN float from_bits(uint32 x) { return __builtin_bit_cast(float, x); }
AXON_FN double from_bits(uint64 x) { return __builtin_bit_cast(double, x); }

AXON_FN float fma(float a, float b, float c) { return AXON_MATH(fmaf)(a, b, c); }
AXON_FN double fma(double a, double b, double c) { return AXON_MATH(fma)(a, b, c); }
AXON_FN float sqrt(float x) { return AXON_MATH(sqrtf)(x); }
AXON_FN double sqrt(double x) { return AXON_MATH(sqrt)(x); }
AXON_FN float floor(float x) { return AXON_MATH(floorf)(x); }
AXON_FN double floor(double x) { return AXON_MATH(floor)(x); }
AXON_FN float ceil(float x) { return AXON_MATH(ceilf)(x); }
AXON_FN double ceil(double x) { return AXON_MATH(ceil)(x); }
AXON_FN float trunc(float x) { return AXON_MATH(truncf)(x); }
AXON_FN double trunc(double x) { return AXON_MATH(trunc)(x); }
AXON_FN float round(float x) { return AXON_MATH(rintf)(x); }
AXON_FN double round(double x) { return AXON_MATH(rint)(x); }

// Lane i of x, for what goes a lane at a time.
template <class V> AXON_FN V get(V x, int) { return x; }
template <class V> AXON_FN void set(V& x, int, V value) { x = value; }

}  // namespace axon

#endif
