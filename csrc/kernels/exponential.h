// Exponentials and logarithms of float32 lanes: exp exp2 expm1 log log2 log10 log1p sigmoid tanh sinh cosh logaddexp.
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

// The whole number nearest to x, |x| < 2^22, as an integer and as a float.
AXON_FN I32 nearest(F32 x, F32& whole) {
  F32 shifted = x + 0x1.8p23f;
  whole = shifted - 0x1.8p23f;
  return I32(bits(shifted) - 0x4b400000u);
}

// 2^n for -127 < n < 128.
AXON_FN F32 power_of_two(I32 n) { return from_bits((U32(n) + 127u) << 23); }

// y * 2^n for n in -252..254, rounded once: below 2^-126 too.
AXON_FN F32 scale(F32 y, I32 n) {
  I32 half = n >> 1;
  return y * power_of_two(half) * power_of_two(n - half);
}

// x = n ln2 + r with |r| <= ln2 / 2.
AXON_FN F32 reduce_exp(F32 x, I32& n) {
  F32 whole;
  n = nearest(x * 1.442695f, whole);
  return fma(whole, f32(0x1.05c61p-29f), fma(whole, f32(-0x1.62e43p-1f), x));
}

// exp(r) - 1 for |r| <= ln2 / 2.
AXON_FN F32 expm1_reduced(F32 r) {
  return fma(r * r, polynomial(r, 0.49999994f, 0.166665211f, 0.0416682735f, 0.00836868584f, 0.00138201378f), r);
}

AXON_FN F32 exp(F32 x) {
  x = pick(lt(f32(89.0f), x), f32(89.0f), pick(lt(x, f32(-104.0f)), f32(-104.0f), x));
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
  x = pick(lt(f32(129.0f), x), f32(129.0f), pick(lt(x, f32(-151.0f)), f32(-151.0f), x));
  F32 whole;
  I32 n = nearest(x, whole);
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

// x = 2^k (1 + f) with -1/3 <= f < 1/3, for x finite and positive.
AXON_FN F32 reduce_log(F32 x, I32& k) {
  auto tiny = lt(x, f32(0x1p-126f));
  U32 u = bits(pick(tiny, x * 0x1p23f, x));
  I32 e = I32(u - 0x3f2aaaabu) >> 23;
  k = e - pick(tiny, all<I32>(23), all<I32>(0));
  return from_bits(u - (U32(e) << 23)) - 1.0f;
}

// log(1 + f) - f for -1/3 <= f < 1/3.
AXON_FN F32 log1p_tail(F32 f) {
  F32 p = polynomial(f, 0.333332151f, -0.249998048f, 0.200104445f, -0.166801795f, 0.140053406f, -0.121883817f,
                     0.139867067f, -0.128742635f);
  return fma(f, p, f32(-0.5f)) * (f * f);
}

// y, a logarithm of x > 0, or what the logarithm is elsewhere.
AXON_FN F32 log_special(F32 x, F32 y) {
  y = pick(lt(x, f32(__builtin_inff())), y, x);
  y = pick(lt(x, f32(0.0f)), f32(__builtin_nanf("")), y);
  return pick(eq(x, f32(0.0f)), f32(-__builtin_inff()), y);
}

AXON_FN F32 log(F32 x) {
  I32 k;
  F32 f = reduce_log(x, k), n = convert<float>(k);
  F32 tail = fma(n, f32(1.4286068e-06f), log1p_tail(f));
  return log_special(x, fma(n, f32(0x1.62e4p-1f), f + tail));
}

// e^-|x| never overflows, and keeps what lies below 2^-126.
AXON_FN F32 sigmoid(F32 x) {
  F32 e = exp(-abs(x));
  return pick(lt(x, f32(0.0f)), e, f32(1.0f)) / (1.0f + e);
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

}  // namespace axon
#endif
