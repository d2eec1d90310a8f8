// Arithmetic, for lanes of any type it makes sense for. Integers wrap at their width. What a target defines itself
// (sqrt, fma, rounding, bits) has its lines here.
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

// -1, 0 or 1; of NaN, itself.
template <class V> AXON_FN V sign(V x) {
  V zero = all<V>(0), positive_or_zero = pick(lt(zero, x), all<V>(1), zero);
  if constexpr (Real<V>) return pick(lt(x, zero), all<V>(-1), pick(ne(x, x), x, positive_or_zero));
  else if constexpr (is_signed<element<V>>) return pick(lt(x, zero), all<V>(-1), positive_or_zero);
  else return positive_or_zero;
}

// The next value after x towards y.
template <Real V> AXON_FN V nextafter(V x, V y) {
  typedef int_lanes<V> I;
  I i = I(bits(x)), step = pick(eq(lt(x, y), lt(all<V>(0), x)), all<I>(1), all<I>(-1));
  V next = pick(eq(x, all<V>(0)), copysign(from_bits(all<uint_lanes<V>>(1)), y), from_bits(uint_lanes<V>(i + step)));
  return pick(eq(x, y), y, pick(ne(x, x), x, pick(ne(y, y), y, next)));
}

}  // namespace axon
#endif

#ifdef AXON_OP
AXON_OP(add, 2, number)
AXON_OP(subtract, 2, number)
AXON_OP(gap, 2, floating)
AXON_OP(multiply, 2, number)
AXON_OP(divide, 2, floating)
AXON_OP(negative, 1, number)
AXON_OP(positive, 1, number)
AXON_OP(abs, 1, number)
AXON_OP(sign, 1, number)
AXON_OP(square, 1, number)
AXON_OP(reciprocal, 1, floating)
AXON_OP(sqrt, 1, floating)
AXON_OP(rsqrt, 1, floating)
AXON_OP(fma, 3, floating)
AXON_OP(floor, 1, floating)
AXON_OP(ceil, 1, floating)
AXON_OP(trunc, 1, floating)
AXON_OP(round, 1, floating)
AXON_OP(maximum, 2, number)
AXON_OP(minimum, 2, number)
AXON_OP(bits, 1, floating)
AXON_OP(from_bits, 1, words)
AXON_OP(copysign, 2, floating)
AXON_OP(nextafter, 2, floating)
#endif
