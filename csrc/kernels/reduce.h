// The fixed order of reductions (docs/design/reductions.md), for emitted kernels. A *fold* is a struct of lanes that is
// combined as one: the value of a sum or maximum, or the value and index of argmax. It has identity() and
// combine(left, right); the emitter writes it with AXON_FOLD, AXON_ARGMAX or AXON_ARGMIN.
#ifndef AXON_REDUCE_H
#define AXON_REDUCE_H

#include "loop.h"

namespace axon {

// Lane l of the result is lane l + h of x (beyond the last one, anything); and lane 0 of x in every lane. The lanes of a row
// may be the threads of a warp.
#ifdef AXON_WARP
template <class V> AXON_FN auto shuffled(V x) {
  if constexpr (sizeof(V) < 4) return static_cast<int32>(x);
  else return x;
}
template <class V> AXON_FN V rotate(V x, int h) { return static_cast<V>(__shfl_down_sync(~0u, shuffled(x), h)); }
template <class V> AXON_FN V lane0(V x) { return static_cast<V>(__shfl_sync(~0u, shuffled(x), 0)); }
#elif AXON_LANES == 1
template <class V> AXON_FN V rotate(V x, int) { return x; }
template <class V> AXON_FN V lane0(V x) { return x; }
#else
template <class V> AXON_FN V rotate(V x, int h) {
  typedef element<V> T;
  if constexpr (same<T, bool>) return mask(rotate(x.m, h));
  else if constexpr (sizeof(T) == 4) return __builtin_shuffle(x, (iota<int32>(0) + h) & (W - 1));
  else {
    const V twice[2] = {x, x};
    return load_raw(reinterpret_cast<const T*>(twice) + h);
  }
}
template <class V> AXON_FN V lane0(V x) { return broadcast<element<V>>(front(x)); }
#endif

#define AXON_FOLD(name, T, op, start)                                                                         \
  struct name {                                                                                               \
    axon::lanes<T> value;                                                                                     \
    AXON_FN name identity() { return {axon::broadcast<T>(start)}; }                                           \
    AXON_FN name combine(name a, name b) { return {axon::op(a.value, b.value)}; }                             \
    AXON_FN name choose(axon::lanes<bool> m, name a, name b) { return {axon::select(m, a.value, b.value)}; }  \
    AXON_FN name rotated(name a, int h) { return {axon::rotate(a.value, h)}; }                                \
    AXON_FN name all(name a) { return {axon::lane0(a.value)}; }                                               \
  };

// The extreme value and where it is: the lower index wins among equals; NaN is the extreme of all.
#define AXON_ARG(name, T, further, start)                                                                     \
  struct name {                                                                                               \
    axon::lanes<T> value;                                                                                     \
    axon::lanes<axon::int32> index;                                                                           \
    AXON_FN name identity() {                                                                                 \
      return {axon::broadcast<T>(start), axon::broadcast<axon::int32>(axon::highest<axon::int32>)};           \
    }                                                                                                         \
    AXON_FN name combine(name a, name b) {                                                                    \
      using namespace axon;                                                                                   \
      const auto nan_a = not_equal(a.value, a.value), nan_b = not_equal(b.value, b.value);                    \
      const auto beats = logical_or(further(b.value, a.value), logical_and(nan_b, logical_not(nan_a)));       \
      const auto equals = logical_or(equal(a.value, b.value), logical_and(nan_a, nan_b));                     \
      return choose(logical_or(beats, logical_and(equals, less(b.index, a.index))), b, a);                    \
    }                                                                                                         \
    AXON_FN name choose(axon::lanes<bool> m, name a, name b) {                                                \
      return {axon::select(m, a.value, b.value), axon::select(m, a.index, b.index)};                          \
    }                                                                                                         \
    AXON_FN name rotated(name a, int h) { return {axon::rotate(a.value, h), axon::rotate(a.index, h)}; }      \
    AXON_FN name all(name a) { return {axon::lane0(a.value), axon::lane0(a.index)}; }                         \
  };
#define AXON_ARGMAX(name, T, start) AXON_ARG(name, T, greater, start)
#define AXON_ARGMIN(name, T, start) AXON_ARG(name, T, less, start)

// Combine x into a, in the lanes that exist.
template <class F> AXON_FN void fold(F& a, F x, whole) { a = F::combine(a, x); }
template <class F> AXON_FN void fold(F& a, F x, part m) {
  const F c = F::combine(a, x);
  if (m.n == W) a = c;
  else a = F::choose(less(iota<int32>(0), broadcast<int32>(m.n)), c, a);
}

template <class F> AXON_FN void fill(F* a, int64 count) {
  for (int64 k = 0; k < count; k++) a[k] = F::identity();
}

// Spans of `size` elements; an empty reduction has one, of none.
AXON_FN int64 spans_of(int64 n, int64 size) { return n > size ? ceil_div(n, size) : 1; }

// Levels of the stack that the binary tree over so many spans needs.
AXON_SLOW int64 levels(int64 spans) {
  int64 n = 0;
  while (spans >> n) n++;
  return n;
}

// The binary tree over spans, as a counter: stack[level] holds 2^level spans, one for each bit that is set in the number of
// spans so far. A new span's accumulators a[count] take in the blocks they complete, which are always left operands; the
// last span's take in all.
template <class F> AXON_SLOW void carry(F* a, F* stack, int64 span, int64 spans, int64 count) {
  const bool last = span == spans - 1;
  int64 level = 0;
  for (; last ? span >> level : span >> level & 1; level++)
    if (span >> level & 1)
      for (int64 k = 0; k < count; k++) a[k] = F::combine(stack[level * count + k], a[k]);
  if (!last)
    for (int64 k = 0; k < count; k++) stack[level * count + k] = a[k];
}

// Folds the 64 lanes of a row, l with l + 32, + 16, ..., + 1; every lane of the result is the whole. Uses a up.
#ifdef AXON_WARP
template <class F> AXON_FN F halve(F* a) {
  F x = F::combine(a[0], a[1]);
  for (int h = 16; h > 0; h /= 2) x = F::combine(x, F::rotated(x, h));
  return F::all(x);
}
#else
// Vectors from `count` on hold nothing, and are not read. Unrolled, so that an array of the caller's stays in registers.
template <class F> AXON_FN F halve(F* a, int64 count) {
  AXON_UNROLL for (int h = ROW_LANES / 2; h > 0; h /= 2)
    AXON_UNROLL for (int k = 0; k == 0 || k < h / W; k++)
      if (h < W || k + h / W < count) a[k] = F::combine(a[k], h < W ? F::rotated(a[k], h) : a[k + h / W]);
  return F::all(a[0]);
}

// A reduction under way: `count` accumulators of the span at hand, and the stack of the spans before.
template <class F> struct tally { F *at, *stack; int64 count, spans; };
template <class F> AXON_FN tally<F> tally_of(char*& scratch, int64 count, int64 spans) {
  F* at = take<F>(scratch, count);
  return {at, spans > 1 ? take<F>(scratch, count * levels(spans)) : at, count, spans};
}
template <class F> AXON_FN void start(tally<F> t) { fill(t.at, t.count); }
// Of a column's span: out of line, as a kernel may have many, and each is done once for 256 rows.
template <class F> AXON_CALL void start_span(tally<F> t) { fill(t.at, t.count); }
template <class F> AXON_FN void next(tally<F> t, int64 span) {
  if (t.spans > 1) carry(t.at, t.stack, span, t.spans, t.count);
}
// The same where the span's accumulators are in registers, and the last span's are to be there again.
template <class F> AXON_FN void next(tally<F> t, F (&x)[ROW_LANES / W], int64 span) {
  if (t.spans == 1) return;
  AXON_UNROLL for (int k = 0; k < ROW_LANES / W; k++) t.at[k] = x[k];
  carry(t.at, t.stack, span, t.spans, t.count);
  AXON_UNROLL for (int k = 0; k < ROW_LANES / W; k++) x[k] = t.at[k];
}
#endif

}  // namespace axon

#endif
