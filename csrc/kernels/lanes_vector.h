// Several lanes: GCC vectors of W elements. Those wider than a register (64-bit elements, mostly) are taken apart where
// GCC would go element by element: in comparisons, selections and the operations that need a target's instruction.
#ifndef AXON_LANES_VECTOR_H
#define AXON_LANES_VECTOR_H

#ifdef __AVX512F__
#define AXON_REGISTER 64
#elif defined(__AVX2__)
#define AXON_REGISTER 32
#else
#define AXON_REGISTER 16
#endif

namespace axon {

#define AXON_LANES_OF(name, code, T, ...)                                                               \
  template <> struct lanes_of<T> {                                                                      \
    typedef T type __attribute__((vector_size(sizeof(T) * W)));                                         \
    typedef T unaligned __attribute__((vector_size(sizeof(T) * W), aligned(sizeof(T)), may_alias));     \
  };                                                                                                    \
  template <> struct element_of<lanes_of<T>::type> { typedef T type; };
AXON_INTEGERS(AXON_LANES_OF)
AXON_FLOATS(AXON_LANES_OF)
#undef AXON_LANES_OF

template <class To, class V> AXON_FN lanes<To> convert(V x) { return __builtin_convertvector(x, lanes<To>); }

// What a comparison gives, of whatever element width: -1 where it holds, 0 elsewhere. A type of its own, so that a bool
// is never taken for an int32.
struct mask {
  lanes<int32> m;
  mask() = default;
  template <class V> AXON_INLINE explicit mask(V raw) : m(convert<int32>(raw)) {}
  AXON_INLINE explicit mask(lanes<int32> raw) : m(raw) {}
};
template <> struct lanes_of<bool> { typedef mask type; };
template <> struct element_of<mask> { typedef bool type; };

template <class T> AXON_FN lanes<T> broadcast(T value) {
  if constexpr (same<T, bool>) return mask(lanes<int32>{} - value);
  else return value - lanes<T>{};  // c - 0 is c, also where c is -0.0
}
template <class T> AXON_FN lanes<T> iota(T start) {
  if constexpr (W == 8) return broadcast<T>(start) + lanes<T>{0, 1, 2, 3, 4, 5, 6, 7};
  else return broadcast<T>(start) + lanes<T>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
}

// The halves of a vector, and their union.
template <class V> constexpr int count = sizeof(V) / sizeof(V{}[0]);
template <class V> constexpr bool wide = sizeof(V) > AXON_REGISTER;
template <class V> AXON_FN auto lower(V x) {
  if constexpr (count<V> == 16) return __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7);
  else if constexpr (count<V> == 8) return __builtin_shufflevector(x, x, 0, 1, 2, 3);
  else return __builtin_shufflevector(x, x, 0, 1);
}
template <class V> AXON_FN auto upper(V x) {
  if constexpr (count<V> == 16) return __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15);
  else if constexpr (count<V> == 8) return __builtin_shufflevector(x, x, 4, 5, 6, 7);
  else return __builtin_shufflevector(x, x, 2, 3);
}
template <class V> AXON_FN auto join(V a, V b) {
  if constexpr (count<V> == 8) return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  else if constexpr (count<V> == 4) return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
  else return __builtin_shufflevector(a, b, 0, 1, 2, 3);
}

template <class V> AXON_FN auto lt(V a, V b) {
  if constexpr (wide<V>) return join(lt(lower(a), lower(b)), lt(upper(a), upper(b)));
  else return a < b;
}
template <class V> AXON_FN auto le(V a, V b) {
  if constexpr (wide<V>) return join(le(lower(a), lower(b)), le(upper(a), upper(b)));
  else return a <= b;
}
template <class V> AXON_FN auto eq(V a, V b) {
  if constexpr (wide<V>) return join(eq(lower(a), lower(b)), eq(upper(a), upper(b)));
  else return a == b;
}
template <class V> AXON_FN auto ne(V a, V b) { return ~eq(a, b); }
// a where the raw mask m holds, else b; m's elements are as wide as a's.
template <class M, class V> AXON_FN V pick(M m, V a, V b) {
  if constexpr (wide<V>) return join(pick(lower(m), lower(a), lower(b)), pick(upper(m), upper(a), upper(b)));
  else return m ? a : b;
}
template <class V> AXON_FN V select(mask m, V a, V b) {
  return pick(convert<typename word<sizeof(element<V>)>::s>(m.m), a, b);
}
AXON_FN mask select(mask m, mask a, mask b) { return mask(pick(m.m, a.m, b.m)); }

AXON_FN bool any(mask m) {
#if defined(__AVX512DQ__) && AXON_LANES == 16
  return __builtin_ia32_cvtd2mask512(m.m) != 0;
#elif defined(__AVX2__) && AXON_LANES == 8
  return __builtin_ia32_movmskps256(reinterpret_cast<lanes<float>>(m.m)) != 0;
#else
  int32 some = 0;
  AXON_UNROLL for (int i = 0; i < W; i++) some |= m.m[i];
  return some != 0;
#endif
}

template <class V> AXON_FN V wrapping(V x) { return x; }  // -fwrapv

AXON_FN lanes<uint32> bits(lanes<float> x) { return reinterpret_cast<lanes<uint32>>(x); }
AXON_FN lanes<uint64> bits(lanes<double> x) { return reinterpret_cast<lanes<uint64>>(x); }
AXON_FN lanes<float> from_bits(lanes<uint32> x) { return reinterpret_cast<lanes<float>>(x); }
AXON_FN lanes<double> from_bits(lanes<uint64> x) { return reinterpret_cast<lanes<double>>(x); }

// The operations with an instruction of their own. The modes are those of roundps: to even, down, up, towards zero.
#ifdef __AVX512F__
typedef float floats __attribute__((vector_size(64)));
typedef double doubles __attribute__((vector_size(64)));
AXON_FN floats fma1(floats a, floats b, floats c) { return __builtin_ia32_vfmaddps512_mask(a, b, c, -1, 4); }
AXON_FN doubles fma1(doubles a, doubles b, doubles c) { return __builtin_ia32_vfmaddpd512_mask(a, b, c, -1, 4); }
AXON_FN floats sqrt1(floats x) { return __builtin_ia32_sqrtps512_mask(x, x, -1, 4); }
AXON_FN doubles sqrt1(doubles x) { return __builtin_ia32_sqrtpd512_mask(x, x, -1, 4); }
template <int mode> AXON_FN floats round1(floats x) { return __builtin_ia32_rndscaleps_mask(x, mode, x, -1, 4); }
template <int mode> AXON_FN doubles round1(doubles x) { return __builtin_ia32_rndscalepd_mask(x, mode, x, -1, 4); }
#elif defined(__AVX2__) && defined(__FMA__)
typedef float floats __attribute__((vector_size(32)));
typedef double doubles __attribute__((vector_size(32)));
AXON_FN floats fma1(floats a, floats b, floats c) { return __builtin_ia32_vfmaddps256(a, b, c); }
AXON_FN doubles fma1(doubles a, doubles b, doubles c) { return __builtin_ia32_vfmaddpd256(a, b, c); }
AXON_FN floats sqrt1(floats x) { return __builtin_ia32_sqrtps256(x); }
AXON_FN doubles sqrt1(doubles x) { return __builtin_ia32_sqrtpd256(x); }
template <int mode> AXON_FN floats round1(floats x) { return __builtin_ia32_roundps256(x, mode); }
template <int mode> AXON_FN doubles round1(doubles x) { return __builtin_ia32_roundpd256(x, mode); }
#else
template <class V> AXON_FN V fma1(V a, V b, V c) {
  AXON_UNROLL for (int i = 0; i < count<V>; i++)
    a[i] = sizeof(a[0]) == 4 ? __builtin_fmaf(a[i], b[i], c[i]) : __builtin_fma(a[i], b[i], c[i]);
  return a;
}
template <class V> AXON_FN V sqrt1(V x) {
  AXON_UNROLL for (int i = 0; i < count<V>; i++) x[i] = sizeof(x[0]) == 4 ? __builtin_sqrtf(x[i]) : __builtin_sqrt(x[i]);
  return x;
}
template <int mode, class V> AXON_FN V round1(V x) {  // exact in double for a float too
  AXON_UNROLL for (int i = 0; i < count<V>; i++)
    x[i] = mode == 8 ? __builtin_rint(x[i]) : mode == 9 ? __builtin_floor(x[i]) : mode == 10 ? __builtin_ceil(x[i])
                                                                                           : __builtin_trunc(x[i]);
  return x;
}
#endif
template <class V> AXON_FN V fma(V a, V b, V c) {
  if constexpr (wide<V>)
    return join(fma(lower(a), lower(b), lower(c)), fma(upper(a), upper(b), upper(c)));
  else return fma1(a, b, c);
}
template <class V> AXON_FN V sqrt(V x) {
  if constexpr (wide<V>) return join(sqrt(lower(x)), sqrt(upper(x)));
  else return sqrt1(x);
}
template <int mode, class V> AXON_FN V round_by(V x) {
  if constexpr (wide<V>) return join(round_by<mode>(lower(x)), round_by<mode>(upper(x)));
  else return round1<mode>(x);
}
template <class V> AXON_FN V round(V x) { return round_by<8>(x); }
template <class V> AXON_FN V floor(V x) { return round_by<9>(x); }
template <class V> AXON_FN V ceil(V x) { return round_by<10>(x); }
template <class V> AXON_FN V trunc(V x) { return round_by<11>(x); }

// Lane i of x, for what goes a lane at a time.
template <class V> AXON_FN element<V> get(V x, int i) { return x[i]; }
template <class V> AXON_FN void set(V& x, int i, element<V> value) { x[i] = value; }

}  // namespace axon
#endif
