// What an emitted kernel calls to read and write its operands: whole vectors, what is left of one, single elements,
// gathered ones; and the guards of padded and interleaved axes.
#ifndef AXON_LOOP_H
#define AXON_LOOP_H

#include "scalar.h"

namespace axon {

constexpr int64 ROW_LANES = 64, ROW_SPAN = 4096, COLUMN_SPAN = 256;

// How many lanes of a vector exist: all, or the first n. A body written once is compiled for either.
struct whole {};
struct part { int n; };
AXON_FN part first(int64 left) { return {left < W ? static_cast<int>(left) : W}; }

// Narrow elements are moved one by one in a tail; out of line, so that each use does not cost a loop.
template <class T> AXON_SLOW lanes<T> load_tail(const T* p, int n) { return load(p, n); }
template <class T> AXON_SLOW void store_tail(T* p, lanes<T> x, int n) { store(p, x, n); }
template <class T> AXON_SLOW lanes<T> load_strided_tail(const T* p, int64 stride, int n) {
  return load_strided(p, stride, n);
}
template <class T> AXON_SLOW void store_strided_tail(T* p, int64 stride, lanes<T> x, int n) {
  store_strided(p, stride, x, n);
}

template <class T> AXON_FN lanes<T> load(const T* p, whole) { return load(p); }
template <class T> AXON_FN lanes<T> load(const T* p, part m) {
  if (m.n == W) return load(p);
  if constexpr (sizeof(T) < 4) return load_tail<T>(p, m.n);
  else return load(p, m.n);
}
template <class T> AXON_FN lanes<T> load_strided(const T* p, int64 stride, whole) { return load_strided(p, stride); }
template <class T> AXON_FN lanes<T> load_strided(const T* p, int64 stride, part m) {
  return m.n == W ? load_strided(p, stride) : load_strided_tail<T>(p, stride, m.n);
}
template <class T> AXON_FN void store(T* p, lanes<T> x, whole) { store(p, x); }
template <class T> AXON_FN void store(T* p, lanes<T> x, part m) {
  if (m.n == W) store(p, x);
  else if constexpr (sizeof(T) < 4) store_tail<T>(p, x, m.n);
  else store(p, x, m.n);
}
template <class T> AXON_FN void store_strided(T* p, int64 stride, lanes<T> x, whole) { store_strided(p, stride, x); }
template <class T> AXON_FN void store_strided(T* p, int64 stride, lanes<T> x, part m) {
  if (m.n == W) store_strided(p, stride, x);
  else store_strided_tail<T>(p, stride, x, m.n);
}

// The first lane of x; and one element of memory in, or from, every lane.
template <class V> AXON_FN element<V> front(V x) {
  if constexpr (W == 1) return x;
  else if constexpr (same<element<V>, bool>) return x.m[0] != 0;
  else return x[0];
}
template <class T> AXON_FN lanes<T> load_one(const T* p) {
  return decode<T>(broadcast<stored<T>>(*reinterpret_cast<const stored<T>*>(p)));
}
template <class T> AXON_FN void store_one(T* p, lanes<T> x) { *reinterpret_cast<stored<T>*>(p) = front(encode<T>(x)); }
template <class T> AXON_FN lanes<T> literal(const uint64* slot) { return load_one(reinterpret_cast<const T*>(slot)); }

// Elements at `index` from p. An index of a lane that does not exist is not used.
template <class T> AXON_FN lanes<T> gather(const T* p, lanes<int64> index, int n) {
  const stored<T>* from = reinterpret_cast<const stored<T>*>(p);
#if AXON_LANES == 1
  return n > 0 ? decode<T>(from[index]) : lanes<T>{};
#else
  lanes<stored<T>> x = {};
  AXON_UNROLL for (int i = 0; i < W; i++)
    if (i < n) x[i] = from[index[i]];
  return decode<T>(x);
#endif
}
template <class T> AXON_SLOW lanes<T> gather_tail(const T* p, lanes<int64> index, int n) { return gather(p, index, n); }
template <class T> AXON_FN lanes<T> gather(const T* p, lanes<int64> index, whole) { return gather(p, index, W); }
template <class T> AXON_FN lanes<T> gather(const T* p, lanes<int64> index, part m) {
  return m.n == W ? gather(p, index, W) : gather_tail<T>(p, index, m.n);
}
// Lane i: start + i * stride.
AXON_FN lanes<int64> steps(int64 start, int64 stride) {
  return add(broadcast<int64>(start), multiply(iota<int64>(0), broadcast<int64>(stride)));
}

// Whether an axis' index, `low` less and divided by `div`, is a whole number in [0, length), and that number (else 0).
struct guard { bool inside; int64 quotient; };
AXON_FN guard guard_of(int64 index, int64 low, int64 div, int64 length) {
  int64 t = index - low, q = div == 1 ? t : t / div;
  bool inside = t >= 0 && q < length && q * div == t;
  return {inside, inside ? q : 0};
}

// Asks for the memory of a vector that will be read, or written (T not const) soon. How far ahead: so many elements of a
// stream, so many rows of a column.
template <class T> constexpr int64 STREAM_AHEAD = 2048 / sizeof(T);
constexpr int64 ROWS_AHEAD = 4;
template <class T> AXON_FN void soon(const T* p) {
  for (unsigned k = 0; k < W * sizeof(T); k += 64) AXON_PREFETCH(reinterpret_cast<const char*>(p) + k);
}
template <class T> AXON_FN void soon(T* p) {
  for (unsigned k = 0; k < W * sizeof(T); k += 64) AXON_PREFETCH(reinterpret_cast<const char*>(p) + k, 1);
}

// Memory for count values off the front of scratch; 64-byte aligned, as scratch is.
template <class T> AXON_FN T* take(char*& scratch, int64 count) {
  T* taken = reinterpret_cast<T*>(scratch);
  scratch += (count * static_cast<int64>(sizeof(T)) + 63) & -64;
  return taken;
}

AXON_FN int64 ceil_div(int64 a, int64 b) { return (a + b - 1) / b; }
AXON_FN int64 least(int64 a, int64 b) { return a < b ? a : b; }

}  // namespace axon

#endif
