// Comparisons, choice and logic, for lanes of any type they make sense for.
#ifndef AXON_LOGIC_H
#define AXON_LOGIC_H

namespace axon {

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

template <Real V> AXON_FN Mask signbit(V x) { return Mask(ne(sign_bit(x), all<uint_lanes<V>>(0))); }
template <Real V> AXON_FN Mask isnan(V x) { return Mask(ne(x, x)); }
template <Real V> AXON_FN Mask isinf(V x) { return Mask(eq(abs(x), all<V>(INFINITE))); }
template <Real V> AXON_FN Mask isfinite(V x) { return Mask(lt(abs(x), all<V>(INFINITE))); }

}  // namespace axon
#endif

#ifdef AXON_OP
AXON_OP(equal, 2, any)
AXON_OP(not_equal, 2, any)
AXON_OP(less, 2, number)
AXON_OP(less_equal, 2, number)
AXON_OP(greater, 2, number)
AXON_OP(greater_equal, 2, number)
AXON_OP(where, 3, masked)
AXON_OP(logical_and, 2, boolean)
AXON_OP(logical_or, 2, boolean)
AXON_OP(logical_xor, 2, boolean)
AXON_OP(logical_not, 1, boolean)
AXON_OP(bitwise_and, 2, bits)
AXON_OP(bitwise_or, 2, bits)
AXON_OP(bitwise_xor, 2, bits)
AXON_OP(bitwise_invert, 1, bits)
AXON_OP(isfinite, 1, floating)
AXON_OP(isinf, 1, floating)
AXON_OP(isnan, 1, floating)
AXON_OP(signbit, 1, floating)
#endif
