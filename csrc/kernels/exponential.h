// Exponentials of float32 lanes: exp exp2 expm1 sigmoid tanh sinh cosh.
//
// Arguments are reduced by powers of two, the rest is a minimax polynomial; no branches, no tables. Every step is one
// IEEE operation, so the bits do not depend on the number of lanes.
#ifndef AXON_EXPONENTIAL_H
#define AXON_EXPONENTIAL_H

namespace axon {

AXON_FN F32 f32(float c) { return all<F32>(c); }

// c[0] + x c[1] + ... by Horner's rule.
template <class... C> AXON_FN F32 polynomial(F32 x, float c, C... rest) {
  if constexpr (sizeof...(rest) == 0) return f32(c);
  else return fma(polynomial(x, rest...), x, f32(c));
}

// The whole number nearest to c x, |c x| < 2^22, as an integer and as a float.
AXON_FN I32 nearest(F32 x, float c, F32& whole) {
  F32 shifted = fma(x, f32(c), f32(0x1.8p23f));
  whole = shifted - 0x1.8p23f;
  return I32(bits(shifted) - 0x4b400000u);
}

// 2^n for -127 < n < 128, 0 for -127.
AXON_FN F32 power_of_two(I32 n) { return from_bits((U32(n) + 127u) << 23); }

// y * 2^n for n in -254..254, rounded once: below 2^-126 too.
AXON_FN F32 scale(F32 y, I32 n) {
  I32 half = n >> 1;
  return y * power_of_two(half) * power_of_two(n - half);
}

// x = n ln2 + r with |r| <= ln2 / 2.
AXON_FN F32 reduce_exp(F32 x, I32& n) {
  F32 whole;
  n = nearest(x, 1.442695f, whole);
  return fma(whole, f32(0x1.05c61p-29f), fma(whole, f32(-0x1.62e43p-1f), x));
}

// exp(r) - 1 for |r| <= ln2 / 2.
AXON_FN F32 expm1_reduced(F32 r) {
  return fma(r * r, polynomial(r, 0.49999994f, 0.166665211f, 0.0416682735f, 0.00836868584f, 0.00138201378f), r);
}

// The least argument is one whose power of two is 0: what a mask makes of it, -1e30 or -inf, then is no product that
// underflows, which takes several times as long.
AXON_FN F32 exp(F32 x) {
  x = pick(lt(f32(89.0f), x), f32(89.0f), pick(lt(x, f32(-176.0f)), f32(-176.0f), x));
  I32 n;
  F32 r = reduce_exp(x, n);
  return scale(1.0f + expm1_reduced(r), n);
}

// 2^r for |r| <= 1/2.
AXON_FN F32 exp2_reduced(F32 r) {
  return fma(polynomial(r, 0.693147182f, 0.240226477f, 0.0555035956f, 0.00961850304f, 0.00133909972f, 0.00015327803f),
             r, f32(1.0f));
}

AXON_FN F32 exp2(F32 x) {
  x = pick(lt(f32(129.0f), x), f32(129.0f), pick(lt(x, f32(-254.0f)), f32(-254.0f), x));
  F32 whole;
  I32 n = nearest(x, 1.0f, whole);
  return scale(exp2_reduced(x - whole), n);
}

// 2^n (1 + (e^r - 1)) - 1, with half of 2^n because 2^128 is no float.
AXON_FN F32 expm1(F32 x) {
  F32 c = pick(lt(f32(89.0f), x), f32(89.0f), pick(lt(x, f32(-18.0f)), f32(-18.0f), x));
  I32 n;
  F32 r = reduce_exp(c, n);
  F32 p = polynomial(r, 0.5f, 0.166666657f, 0.0416664928f, 0.00833354425f, 0.00139323424f, 0.000197633955f);
  F32 m = fma(r * r, p, r), half = power_of_two(n - 1);
  F32 y = 2.0f * fma(m, half, half - 0.5f);
  return pick(lt(abs(x), f32(0x1p-25f)), x, y);
}

// e^-|x| never overflows, and keeps what lies below 2^-126.
template <Real V> AXON_FN V sigmoid(V x) {
  V e = exp(-abs(x));
  return pick(lt(x, all<V>(0)), e, all<V>(1)) / (1 + e);
}

// Small arguments by a polynomial, the rest as 1 - 2 / (e^2|x| + 1); it is 1 from 9.02 on.
AXON_FN F32 tanh(F32 x) {
  F32 a = abs(x), c = pick(lt(f32(9.02f), a), f32(9.02f), a), u = x * x;
  I32 n;
  F32 r = reduce_exp(c + c, n);
  F32 e = (1.0f + expm1_reduced(r)) * power_of_two(n);
  F32 large = 1.0f - 2.0f / (e + 1.0f);
  F32 p = polynomial(u, -0.333333164f, 0.133325458f, -0.0538478494f, 0.0210524723f, -0.00624599261f);
  return copysign(pick(lt(a, f32(0.55f)), fma(a * u, p, a), large), x);
}

// e^|x| / 2, which stays finite as long as sinh and cosh do.
AXON_FN F32 half_exp(F32 a) {
  a = pick(lt(f32(90.0f), a), f32(90.0f), a);
  I32 n;
  F32 r = reduce_exp(a, n);
  return scale(1.0f + expm1_reduced(r), n - 1);
}

AXON_FN F32 sinh(F32 x) {
  F32 a = abs(x), u = x * x, e = half_exp(a);
  F32 p = polynomial(u, 0.166666672f, 0.00833331048f, 0.000198428956f, 2.78221319e-06f);
  return copysign(pick(lt(a, f32(1.0f)), fma(a * u, p, a), e - 0.25f / e), x);
}

AXON_FN F32 cosh(F32 x) {
  F32 e = half_exp(abs(x));
  return e + 0.25f / e;
}

}  // namespace axon
#endif

#ifdef AXON_OP
AXON_OP(exp, 1, floating)
AXON_OP(exp2, 1, floating)
AXON_OP(expm1, 1, floating)
AXON_OP(sigmoid, 1, floating)
AXON_OP(tanh, 1, floating)
AXON_OP(sinh, 1, floating)
AXON_OP(cosh, 1, floating)
#endif
