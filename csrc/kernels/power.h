// pow of float32 lanes, with C99's special cases.
#ifndef AXON_POWER_H
#define AXON_POWER_H

namespace axon {

// log2(x) = high + low to about 2^-44 of itself, for x finite and positive: with s = f / (2 + f),
// log(1 + f) = 2 (s + s^3 (1/3 + s^2 Q(s^2))), every term that matters in two floats.
AXON_FN F32 log2_pair(F32 x, F32& low) {
  I32 k;
  F32 f = reduce_log(x, k), d = f + 2.0f, d_low = f - (d - 2.0f), r = 1.0f / d;
  F32 s = f * r, s_low = (fma(-s, d, f) - s * d_low) * r;
  F32 v = s * s, v_low = fma(s, s, -v) + 2.0f * s * s_low;
  F32 q = v * polynomial(v, 0.20000197f, 0.14262712f, 0.119380213f);
  F32 p = q + 0.333333343f, p_low = (0.333333343f - p) + q + -9.934108e-09f;
  F32 t = s * v, t_low = fma(s, v, -t) + fma(s, v_low, s_low * v);
  F32 w = t * p, w_low = fma(t, p, -w) + fma(t, p_low, t_low * p);
  F32 l = s + w, l_low = (s - l) + w + (w_low + s_low);
  F32 a = l * 2.88539004f, a_low = fma(l, f32(2.88539004f), -a) + fma(l, f32(3.851926e-08f), l_low * 2.88539004f);
  F32 n = convert<float>(k), high = n + a;
  low = (n - high) + a + a_low;
  return high;
}

AXON_FN F32 pow(F32 x, F32 y) {
  F32 zero = f32(0.0f), one = f32(1.0f), inf = f32(INFINITE);
  F32 a = abs(x), low, l = log2_pair(a, low), whole;
  F32 e = y * l, e_low = fma(y, l, -e) + y * low;
  auto large = le(f32(200.0f), abs(e));  // far beyond overflow or underflow
  e = pick(large, copysign(f32(200.0f), e), e);
  e_low = pick(large, zero, e_low);
  I32 n = nearest(e, 1.0f, whole);
  F32 r = scale(exp2_reduced((e - whole) + e_low), n);

  r = pick(eq(a, zero), pick(lt(y, zero), inf, zero), r);
  r = pick(eq(a, inf), pick(lt(y, zero), zero, inf), r);
  r = pick(eq(a, one), one, r);
  F32 half = y * 0.5f;
  auto fractional = ne(trunc(y), y);
  auto odd = ne(trunc(half), half) & !fractional;
  r = pick(odd & ne(sign_bit(x), all<U32>(0u)), -r, r);
  r = pick(fractional & lt(x, zero) & lt(a, inf), f32(NOT_A_NUMBER), r);
  r = pick(ne(x, x), x, pick(ne(y, y), y, r));
  return pick(eq(y, zero), one, pick(eq(x, one), one, r));
}

}  // namespace axon
#endif

#ifdef AXON_OP
AXON_OP(pow, 2, number)
#endif
