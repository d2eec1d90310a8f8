// 32-byte vectors of the computed types: loads that widen a stored type, stores that narrow, and transposition.
#pragma once
#include <cstring>

#include "cpu/dtype.h"

namespace axon::cpu {

template <class T> struct VectorOf { typedef T type __attribute__((vector_size(32))); };
template <class T> using Vector = typename VectorOf<T>::type;
template <class T> constexpr int kLanes = 32 / sizeof(T);

template <class T> inline Vector<T> splat(T value) { return value - Vector<T>{}; }
inline Vector<float> multiply_add(Vector<float> a, Vector<float> b, Vector<float> c) { return _mm256_fmadd_ps(a, b, c); }
inline Vector<double> multiply_add(Vector<double> a, Vector<double> b, Vector<double> c) {
  return _mm256_fmadd_pd(a, b, c);
}
template <class V> inline V multiply_add(V a, V b, V c) { return a * b + c; }

// One vector of computed elements from unaligned memory of stored ones.
template <class Stored> inline Vector<computed<Stored>> load(const Stored* p) {
  using T = computed<Stored>;
  Vector<T> result;
  if constexpr (sizeof(Stored) == sizeof(T)) {
    std::memcpy(&result, p, sizeof result);
  } else {
    using Raw = std::conditional_t<sizeof(Stored) == 1, uint8_t, uint16_t>;
    typedef Raw narrow_vector __attribute__((vector_size(sizeof(Raw) * kLanes<T>)));
    narrow_vector raw;
    std::memcpy(&raw, p, sizeof raw);
    if constexpr (is_half<Stored>) result = Stored::widen(reinterpret_cast<__m128i>(raw));
    else result = __builtin_convertvector(raw, Vector<uint32_t>);
  }
  return result;
}
template <class T> inline void store(T* p, Vector<T> x) { std::memcpy(p, &x, sizeof x); }

// The first n lanes only: 0 < n <= kLanes. The rest is read as 0, and not written.
template <class T> inline __m256i first_lanes(int64_t n) {
  using Index = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
  Vector<Index> lane;
  for (int i = 0; i < kLanes<T>; ++i) lane[i] = i;
  return reinterpret_cast<__m256i>(lane < splat(static_cast<Index>(n)));
}
template <class T> inline Vector<T> load_first(const T* p, __m256i mask) {
  if constexpr (sizeof(T) == 4) return reinterpret_cast<Vector<T>>(_mm256_maskload_ps(reinterpret_cast<const float*>(p), mask));
  else return reinterpret_cast<Vector<T>>(_mm256_maskload_pd(reinterpret_cast<const double*>(p), mask));
}
template <class T> inline void store_first(T* p, Vector<T> x, __m256i mask) {
  if constexpr (sizeof(T) == 4) _mm256_maskstore_ps(reinterpret_cast<float*>(p), mask, reinterpret_cast<__m256>(x));
  else _mm256_maskstore_pd(reinterpret_cast<double*>(p), mask, reinterpret_cast<__m256d>(x));
}

// The square of kLanes rows becomes its transpose.
template <class T> inline void transpose(Vector<T> (&rows)[kLanes<T>]) {
  if constexpr (sizeof(T) == 4) {
    using V = Vector<float>;
    V r[8], s[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) r[i] = reinterpret_cast<V>(rows[i]);
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
      s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
      s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
      r[i] = _mm256_shuffle_ps(s[i], s[i + 2], 0x44);
      r[i + 1] = _mm256_shuffle_ps(s[i], s[i + 2], 0xee);
      r[i + 2] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0x44);
      r[i + 3] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      rows[i] = reinterpret_cast<Vector<T>>(_mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
      rows[i + 4] = reinterpret_cast<Vector<T>>(_mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
  } else {
    using V = Vector<double>;
    V r[4];
#pragma GCC unroll 2
    for (int i = 0; i < 4; i += 2) {
      r[i] = _mm256_unpacklo_pd(reinterpret_cast<V>(rows[i]), reinterpret_cast<V>(rows[i + 1]));
      r[i + 1] = _mm256_unpackhi_pd(reinterpret_cast<V>(rows[i]), reinterpret_cast<V>(rows[i + 1]));
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      rows[i] = reinterpret_cast<Vector<T>>(_mm256_permute2f128_pd(r[i], r[i + 2], 0x20));
      rows[i + 2] = reinterpret_cast<Vector<T>>(_mm256_permute2f128_pd(r[i], r[i + 2], 0x31));
    }
  }
}

}  // namespace axon::cpu
