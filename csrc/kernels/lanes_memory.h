// Loads and stores: whole vectors, the first n lanes of one, and strided. Pointers are aligned to their element only, and
// no element but those named is touched. In memory a bool is a byte, 0 or 1, and a 16-bit float its word.
#ifndef AXON_LANES_MEMORY_H
#define AXON_LANES_MEMORY_H

namespace axon {

template <class T, bool half = is_half<T>> struct stored_as { typedef T type; };
template <class T> struct stored_as<T, true> { typedef decltype(T::word) type; };
template <> struct stored_as<bool> { typedef uint8 type; };
template <class T> using stored = typename stored_as<T>::type;

template <class T> AXON_FN lanes<T> decode(lanes<stored<T>> x) {
  if constexpr (same<T, bool>) return lanes<bool>(ne(x, broadcast<uint8>(0)));
  else if constexpr (is_half<T>) return float_of(T(), x);
  else return x;
}
template <class T> AXON_FN lanes<stored<T>> encode(lanes<T> x) {
  if constexpr (same<T, bool>) return cast<uint8>(x);
  else if constexpr (is_half<T>) return word_of(T(), x);
  else return x;
}

#if AXON_LANES == 1
template <class S> AXON_FN S load_raw(const S* p) { return *p; }
template <class S> AXON_FN S load_raw(const S* p, int n) { return n > 0 ? *p : S(0); }
template <class S> AXON_FN S gather_raw(const S* p, int64, int n) { return n > 0 ? *p : S(0); }
template <class S> AXON_FN void store_raw(S* p, S x) { *p = x; }
template <class S> AXON_FN void store_raw(S* p, S x, int n) { if (n > 0) *p = x; }
template <class S> AXON_FN void scatter_raw(S* p, int64, S x, int n) { if (n > 0) *p = x; }
#else
// The masked instructions: the first n lanes of a register, n possibly negative.
#ifdef __AVX512F__
AXON_FN uint16 first_bits(int n) { return static_cast<uint16>(n <= 0 ? 0 : n >= 16 ? 0xffff : (1 << n) - 1); }
AXON_FN floats load1(const float* p, int n) { return __builtin_ia32_loadups512_mask(p, floats{}, first_bits(n)); }
AXON_FN doubles load1(const double* p, int n) { return __builtin_ia32_loadupd512_mask(p, doubles{}, (uint8)first_bits(n)); }
AXON_FN void store1(float* p, floats x, int n) { __builtin_ia32_storeups512_mask(p, x, first_bits(n)); }
AXON_FN void store1(double* p, doubles x, int n) { __builtin_ia32_storeupd512_mask(p, x, (uint8)first_bits(n)); }
#define AXON_MASKED
#elif defined(__AVX2__)
typedef int32 ints __attribute__((vector_size(32)));
typedef long long longs __attribute__((vector_size(32)));
AXON_FN ints first8(int n) { return ints{0, 1, 2, 3, 4, 5, 6, 7} < n; }
AXON_FN longs first4(int n) { return longs{0, 1, 2, 3} < (long long)n; }
AXON_FN floats load1(const float* p, int n) { return __builtin_ia32_maskloadps256((const floats*)p, first8(n)); }
AXON_FN doubles load1(const double* p, int n) { return __builtin_ia32_maskloadpd256((const doubles*)p, first4(n)); }
AXON_FN void store1(float* p, floats x, int n) { __builtin_ia32_maskstoreps256((floats*)p, first8(n), x); }
AXON_FN void store1(double* p, doubles x, int n) { __builtin_ia32_maskstorepd256((doubles*)p, first4(n), x); }
#define AXON_MASKED
#endif

template <class V, class S> AXON_FN V load_first(const S* p, int n) {
  if constexpr (wide<V>) {
    typedef decltype(lower(V{})) half;
    return join(load_first<half>(p, n), load_first<half>(p + count<half>, n - count<half>));
  } else return load1(p, n);
}
template <class V, class S> AXON_FN void store_first(S* p, V x, int n) {
  if constexpr (wide<V>) {
    store_first(p, lower(x), n);
    store_first(p + count<V> / 2, upper(x), n - count<V> / 2);
  } else store1(p, x, n);
}

template <class S> AXON_FN lanes<S> load_raw(const S* p) {
  return *reinterpret_cast<const typename lanes_of<S>::unaligned*>(p);
}
template <class S> AXON_FN lanes<S> gather_raw(const S* p, int64 stride, int n) {
  lanes<S> r = {};
  AXON_UNROLL for (int i = 0; i < W; i++)
    if (i < n) r[i] = p[i * stride];
  return r;
}
template <class S> AXON_FN lanes<S> load_raw(const S* p, int n) {
#ifdef AXON_MASKED
  if constexpr (sizeof(S) == 4) return reinterpret_cast<lanes<S>>(load_first<lanes<float>>((const float*)p, n));
  else if constexpr (sizeof(S) == 8) return reinterpret_cast<lanes<S>>(load_first<lanes<double>>((const double*)p, n));
  else
#endif
    return gather_raw(p, 1, n);
}
template <class S, class V> AXON_FN void store_raw(S* p, V x) {
  *reinterpret_cast<typename lanes_of<S>::unaligned*>(p) = x;
}
template <class S, class V> AXON_FN void scatter_raw(S* p, int64 stride, V x, int n) {
  AXON_UNROLL for (int i = 0; i < W; i++)
    if (i < n) p[i * stride] = x[i];
}
template <class S, class V> AXON_FN void store_raw(S* p, V x, int n) {
#ifdef AXON_MASKED
  if constexpr (sizeof(S) == 4) store_first((float*)p, reinterpret_cast<lanes<float>>(x), n);
  else if constexpr (sizeof(S) == 8) store_first((double*)p, reinterpret_cast<lanes<double>>(x), n);
  else
#endif
    scatter_raw(p, 1, x, n);
}
#endif

template <class T> AXON_FN lanes<T> load(const T* p) { return decode<T>(load_raw((const stored<T>*)p)); }
template <class T> AXON_FN lanes<T> load(const T* p, int n) { return decode<T>(load_raw((const stored<T>*)p, n)); }
template <class T> AXON_FN lanes<T> load_strided(const T* p, int64 stride, int n = W) {
  return decode<T>(gather_raw((const stored<T>*)p, stride, n));
}
template <class T> AXON_FN void store(T* p, lanes<T> x) { store_raw((stored<T>*)p, encode<T>(x)); }
template <class T> AXON_FN void store(T* p, lanes<T> x, int n) { store_raw((stored<T>*)p, encode<T>(x), n); }
template <class T> AXON_FN void store_strided(T* p, int64 stride, lanes<T> x, int n = W) {
  scatter_raw((stored<T>*)p, stride, encode<T>(x), n);
}

}  // namespace axon

#endif
