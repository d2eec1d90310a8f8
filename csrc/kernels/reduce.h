// The fixed order of reductions (docs/design/reductions.md), for emitted kernels. A *fold* is a struct of lanes that is
// combined as one: the value of a sum or maximum, or the value and index of argmax. It has identity() and
// combine(left, right); the emitter writes it with AXON_FOLD, AXON_ARGMAX or AXON_ARGMIN.
#ifndef AXON_REDUCE_H
#define AXON_REDUCE_H

#include "loop.h"

namespace axon {

// Lane l of the result is lane l + h of x, around; and lane 0 of x in every lane. On CUDA the lanes of a row are the
// threads of a warp (beyond the last one, rotate gives anything).
#ifdef AXON_CUDA
template <class V> AXON_FN auto shuffled(V x) {
  if constexpr (sizeof(V) < 4) return static_cast<int32>(x);
  else return x;
}
template <int h, class V> AXON_FN V rotate(V x) { return static_cast<V>(__shfl_down_sync(~0u, shuffled(x), h)); }
template <class V> AXON_FN V lane0(V x) { return static_cast<V>(__shfl_sync(~0u, shuffled(x), 0)); }
#elif AXON_LANES == 1
template <int h, class V> AXON_FN V rotate(V x) { return x; }
template <class V> AXON_FN V lane0(V x) { return x; }
#else
template <int h, class V> AXON_FN V rotate(V x) {
  if constexpr (same<element<V>, bool>) return mask(rotate<h>(x.m));
  else return __builtin_shuffle(x, (iota<element<int_lanes<V>>>(0) + h) & (W - 1));
}
template <class V> AXON_FN V lane0(V x) { return broadcast<element<V>>(front(x)); }
#endif

#define AXON_FOLD(name, T, op, start)                                                                         \
  struct name {                                                                                               \
    axon::lanes<T> value;                                                                                     \
    AXON_FN name identity() { return {axon::broadcast<T>(start)}; }                                           \
    AXON_FN name combine(name a, name b) { return {axon::op(a.value, b.value)}; }                             \
    AXON_FN name choose(axon::lanes<bool> m, name a, name b) { return {axon::select(m, a.value, b.value)}; }  \
    template <int h> AXON_FN name rotated(name a) { return {axon::rotate<h>(a.value)}; }                      \
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
    template <int h> AXON_FN name rotated(name a) {                                                           \
      return {axon::rotate<h>(a.value), axon::rotate<h>(a.index)};                                            \
    }                                                                                                         \
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

// Levels of the stack that the binary tree over so many spans needs.
AXON_FN int64 levels(int64 spans) {
  int64 n = 0;
  while (spans >> n) n++;
  return n;
}

// The binary tree over spans, as a counter. After span s, `carry` combines a[count] with the blocks that s completes,
// leftmost operand first, and keeps it in stack[level]; after the last, `collect` combines the blocks that remain.
template <class F> AXON_SLOW void carry(F* a, F* stack, int64 span, int64 count) {
  int64 level = 0;
  for (; span >> level & 1; level++)
    for (int64 k = 0; k < count; k++) a[k] = F::combine(stack[level * count + k], a[k]);
  for (int64 k = 0; k < count; k++) stack[level * count + k] = a[k];
}
template <class F> AXON_SLOW void collect(F* a, F* stack, int64 spans, int64 count) {
  int64 level = 0;
  while (!(spans >> level & 1)) level++;
  for (int64 k = 0; k < count; k++) a[k] = stack[level * count + k];
  while (spans >> ++level)
    if (spans >> level & 1)
      for (int64 k = 0; k < count; k++) a[k] = F::combine(stack[level * count + k], a[k]);
}

#ifndef AXON_CUDA
// A reduction under way: `count` accumulators of the span at hand, and the stack of the spans before.
template <class F> struct tally { F *at, *stack; int64 count, spans; };
template <class F> AXON_FN tally<F> tally_of(char*& scratch, int64 count, int64 spans) {
  F* at = take<F>(scratch, count);
  return {at, spans > 1 ? take<F>(scratch, count * levels(spans)) : at, count, spans};
}
template <class F> AXON_FN void start(tally<F> t) { fill(t.at, t.count); }
template <class F> AXON_FN void next(tally<F> t, int64 span) {
  if (t.spans > 1) carry(t.at, t.stack, span, t.count);
}
template <class F> AXON_FN void finish(tally<F> t) {
  if (t.spans > 1) collect(t.at, t.stack, t.spans, t.count);
  else if (t.spans == 0) start(t);
}
#endif

// Folds 64 lanes, l with l + 32, + 16, ..., + 1; every lane of the result is the whole. Uses a up; its vectors from
// `count` on are not read, because they hold nothing.
template <int h, class F> AXON_FN F halved(F x) {
  if constexpr (h == 0) return F::all(x);
  else return halved<h / 2>(F::combine(x, F::template rotated<h>(x)));
}
#ifdef AXON_CUDA
template <class F> AXON_FN F halve(F* a) { return halved<16>(F::combine(a[0], a[1])); }
#else
template <class F> AXON_FN F halve(F* a, int64 count) {
  for (int h = ROW_LANES / W / 2; h > 0; h /= 2)
    for (int k = 0; k < h && k + h < count; k++) a[k] = F::combine(a[k], a[k + h]);
  return halved<W / 2>(a[0]);
}
#endif

}  // namespace axon

#endif
