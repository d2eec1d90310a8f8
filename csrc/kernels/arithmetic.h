// Arithmetic, comparisons and logic, for lanes of any type they make sense for. Integers wrap at their width.
#ifndef AXON_ARITHMETIC_H
#define AXON_ARITHMETIC_H

namespace axon {

typedef lanes<bool> Mask;
typedef lanes<int32> I32;
typedef lanes<uint32> U32;
typedef lanes<int64> I64;
typedef lanes<uint64> U64;
typedef lanes<float> F32;
typedef lanes<double> F64;

template <class V> concept Real = is_floating<element<V>>;

// The constant c in every lane of a V.
template <class V, class C> AXON_FN V all(C c) { return broadcast<element<V>>(static_cast<element<V>>(c)); }

template <class V> AXON_FN V add(V a, V b) {
  if constexpr (Real<V>) return a + b;
  else return V(wrapping(a) + wrapping(b));
}
template <class V> AXON_FN V subtract(V a, V b) {
  if constexpr (Real<V>) return a - b;
  else return V(wrapping(a) - wrapping(b));
}
template <class V> AXON_FN V multiply(V a, V b) {
  if constexpr (Real<V>) return a * b;
  else return V(wrapping(a) * wrapping(b));
}
template <class V> AXON_FN V negative(V a) {
  if constexpr (Real<V>) return -a;
  else return subtract(all<V>(0), a);
}
template <Real V> AXON_FN V gap(V a, V b) { return pick(eq(a, b), all<V>(0), a - b); }  // inf - inf = 0
template <Real V> AXON_FN V divide(V a, V b) { return a / b; }
template <Real V> AXON_FN V reciprocal(V x) { return 1 / x; }
template <Real V> AXON_FN V rsqrt(V x) { return 1 / sqrt(x); }
template <class V> AXON_FN V positive(V a) { return a; }
template <class V> AXON_FN V square(V a) { return multiply(a, a); }

template <class V> AXON_FN Mask equal(V a, V b) { return Mask(eq(a, b)); }
template <class V> AXON_FN Mask not_equal(V a, V b) { return Mask(ne(a, b)); }
template <class V> AXON_FN Mask less(V a, V b) { return Mask(lt(a, b)); }
template <class V> AXON_FN Mask less_equal(V a, V b) { return Mask(le(a, b)); }
template <class V> AXON_FN Mask greater(V a, V b) { return Mask(lt(b, a)); }
template <class V> AXON_FN Mask greater_equal(V a, V b) { return Mask(le(b, a)); }
template <class V> AXON_FN V where(Mask m, V a, V b) { return select(m, a, b); }

#if AXON_LANES == 1
AXON_FN bool bitwise_and(bool a, bool b) { return a && b; }
AXON_FN bool bitwise_or(bool a, bool b) { return a || b; }
AXON_FN bool bitwise_xor(bool a, bool b) { return a != b; }
AXON_FN bool bitwise_invert(bool a) { return !a; }
#else
AXON_FN Mask equal(Mask a, Mask b) { return Mask(~(a.m ^ b.m)); }
AXON_FN Mask not_equal(Mask a, Mask b) { return Mask(a.m ^ b.m); }
AXON_FN Mask bitwise_and(Mask a, Mask b) { return Mask(a.m & b.m); }
AXON_FN Mask bitwise_or(Mask a, Mask b) { return Mask(a.m | b.m); }
AXON_FN Mask bitwise_xor(Mask a, Mask b) { return Mask(a.m ^ b.m); }
AXON_FN Mask bitwise_invert(Mask a) { return Mask(~a.m); }
#endif
template <class V> AXON_FN V bitwise_and(V a, V b) { return V(a & b); }
template <class V> AXON_FN V bitwise_or(V a, V b) { return V(a | b); }
template <class V> AXON_FN V bitwise_xor(V a, V b) { return V(a ^ b); }
template <class V> AXON_FN V bitwise_invert(V a) { return V(~a); }
AXON_FN Mask logical_and(Mask a, Mask b) { return bitwise_and(a, b); }
AXON_FN Mask logical_or(Mask a, Mask b) { return bitwise_or(a, b); }
AXON_FN Mask logical_xor(Mask a, Mask b) { return bitwise_xor(a, b); }
AXON_FN Mask logical_not(Mask a) { return bitwise_invert(a); }

// NaN if either is; b where they are equal.
template <class V> AXON_FN V maximum(V a, V b) {
  V larger = pick(lt(b, a), a, b);
  if constexpr (Real<V>) return pick(ne(a, a), a, larger);
  else return larger;
}
template <class V> AXON_FN V minimum(V a, V b) {
  V smaller = pick(lt(a, b), a, b);
  if constexpr (Real<V>) return pick(ne(a, a), a, smaller);
  else return smaller;
}

// The sign bit of a float type, and its magnitude's.
template <class V> AXON_FN uint_lanes<V> sign_bit(V x) {
  return bits(x) & all<uint_lanes<V>>(1ul << (8 * sizeof(element<V>) - 1));
}
template <class V> AXON_FN uint_lanes<V> magnitude(V x) {
  return bits(x) & all<uint_lanes<V>>(highest<element<int_lanes<V>>>);
}
template <class V> AXON_FN V abs(V x) {
  if constexpr (Real<V>) return from_bits(magnitude(x));
  else if constexpr (is_signed<element<V>>) return pick(lt(x, all<V>(0)), negative(x), x);
  else return x;
}
template <Real V> AXON_FN V copysign(V x, V y) { return from_bits(magnitude(x) | sign_bit(y)); }
template <Real V> AXON_FN Mask signbit(V x) { return Mask(ne(sign_bit(x), all<uint_lanes<V>>(0))); }

// -1, 0 or 1; of NaN, itself.
template <class V> AXON_FN V sign(V x) {
  V zero = all<V>(0), positive_or_zero = pick(lt(zero, x), all<V>(1), zero);
  if constexpr (Real<V>) return pick(lt(x, zero), all<V>(-1), pick(ne(x, x), x, positive_or_zero));
  else if constexpr (is_signed<element<V>>) return pick(lt(x, zero), all<V>(-1), positive_or_zero);
  else return positive_or_zero;
}

template <Real V> AXON_FN Mask isnan(V x) { return Mask(ne(x, x)); }
template <Real V> AXON_FN Mask isinf(V x) { return Mask(eq(abs(x), all<V>(INFINITE))); }
template <Real V> AXON_FN Mask isfinite(V x) { return Mask(lt(abs(x), all<V>(INFINITE))); }

// The next value after x towards y.
template <Real V> AXON_FN V nextafter(V x, V y) {
  typedef int_lanes<V> I;
  I i = I(bits(x)), step = pick(eq(lt(x, y), lt(all<V>(0), x)), all<I>(1), all<I>(-1));
  V next = pick(eq(x, all<V>(0)), copysign(from_bits(all<uint_lanes<V>>(1)), y), from_bits(uint_lanes<V>(i + step)));
  return pick(eq(x, y), y, pick(ne(x, x), x, pick(ne(y, y), y, next)));
}

}  // namespace axon
#endif
