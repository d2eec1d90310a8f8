// Integer division, powers, shifts and bit counts. No instruction that can trap is executed.
#ifndef AXON_INTEGERS_H
#define AXON_INTEGERS_H

namespace axon {

// The quotient towards zero, with x / 0 and x / -1 (whose overflow traps) taken as x / 1, and what it leaves.
template <class V> AXON_FN V divide_safely(V x, V y, V& left) {
  V d = pick(eq(y, all<V>(0)), all<V>(1), y);
  if constexpr (is_signed<element<V>>) d = pick(eq(y, all<V>(-1)), all<V>(1), d);
  V q = V(x / d);
  left = V(x - V(q * d));
  return q;
}

// Rounded down. x // 0 is 0, lowest // -1 is lowest.
template <class V> AXON_FN V floor_divide(V x, V y) {
  V left, zero = all<V>(0), q = divide_safely(x, y, left);
  if constexpr (is_signed<element<V>>) {
    auto lower = ne(left, zero) & lt(V(left ^ y), zero);
    q = pick(eq(y, all<V>(-1)), negative(x), pick(lower, V(q - all<V>(1)), q));
  }
  return pick(eq(y, zero), zero, q);
}

// What floor_divide leaves, of y's sign. x % 0 is 0.
template <class V> AXON_FN V remainder(V x, V y) {
  V left, zero = all<V>(0);
  divide_safely(x, y, left);
  if constexpr (is_signed<element<V>>) left = pick(ne(left, zero) & lt(V(left ^ y), zero), V(left + y), left);
  return pick(eq(y, zero), zero, left);
}

// By repeated squaring, wrapping. A negative power is what truncation leaves of the true value: 0 unless x is 1 or -1.
template <class V> AXON_FN V pow(V x, V y) {
  V zero = all<V>(0), one = all<V>(1), result = one, power = x, left = pick(lt(y, zero), zero, y);
  while (any(Mask(ne(left, zero)))) {
    result = pick(ne(V(left & one), zero), multiply(result, power), result);
    power = multiply(power, power);
    left = V(left >> 1);
  }
  if constexpr (is_signed<element<V>>) {
    V minus = all<V>(-1), inverse = pick(eq(x, minus), pick(ne(V(y & one), zero), minus, one), zero);
    result = pick(lt(y, zero), pick(eq(x, one), one, inverse), result);
  }
  return result;
}

// Counts outside 0 .. width - 1 shift everything out: 0, or the sign to the right.
template <class V> AXON_FN V bitwise_left_shift(V x, V count) {
  auto inside = lt(uint_lanes<V>(count), all<uint_lanes<V>>(8 * sizeof(element<V>)));
  return pick(inside, V(wrapping(x) << wrapping(pick(inside, count, all<V>(0)))), all<V>(0));
}
template <class V> AXON_FN V bitwise_right_shift(V x, V count) {
  auto inside = lt(uint_lanes<V>(count), all<uint_lanes<V>>(8 * sizeof(element<V>)));
  V shifted = V(x >> pick(inside, count, all<V>(8 * sizeof(element<V>) - 1)));
  if constexpr (is_signed<element<V>>) return shifted;
  else return pick(inside, shifted, all<V>(0));
}

// The bits that are 1, counted in pairs, fours and bytes, whose sum ends up in the lowest byte.
template <class V> AXON_FN V population_count(V x) {
  typedef uint_lanes<V> U;
  constexpr int width = 8 * sizeof(element<V>);
  U u = U(x), twos = all<U>(0x5555555555555555), fours = all<U>(0x3333333333333333);
  u = U(u - (U(u >> 1) & twos));
  u = U((u & fours) + (U(u >> 2) & fours));
  u = U(U(u + U(u >> 4)) & all<U>(0x0f0f0f0f0f0f0f0f));
  if constexpr (width > 8) u = U(u + U(u >> 8));
  if constexpr (width > 16) u = U(u + U(u >> 16));
  if constexpr (width > 32) u = U(u + U(u >> 32));
  return V(u & all<U>(0x7f));
}

// Of a 0, its width.
template <class V> AXON_FN V count_leading_zeros(V x) {
  typedef uint_lanes<V> U;
  constexpr int width = 8 * sizeof(element<V>);
  U u = U(x);
  u = U(u | U(u >> 1));
  u = U(u | U(u >> 2));
  u = U(u | U(u >> 4));
  if constexpr (width > 8) u = U(u | U(u >> 8));
  if constexpr (width > 16) u = U(u | U(u >> 16));
  if constexpr (width > 32) u = U(u | U(u >> 32));
  return V(population_count(U(~u)));
}

}  // namespace axon
#endif

#ifdef AXON_OP
AXON_OP(bitwise_left_shift, 2, integer)
AXON_OP(bitwise_right_shift, 2, integer)
AXON_OP(population_count, 1, integer)
AXON_OP(count_leading_zeros, 1, integer)
#endif
