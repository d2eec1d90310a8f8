// Logarithms of float32 lanes: log log2 log10 log1p logaddexp asinh acosh atanh.
#ifndef AXON_LOGARITHM_H
#define AXON_LOGARITHM_H

namespace axon {

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
  y = pick(lt(x, f32(INFINITE)), y, x);
  y = pick(lt(x, f32(0.0f)), f32(NOT_A_NUMBER), y);
  return pick(eq(x, f32(0.0f)), f32(-INFINITE), y);
}

AXON_FN F32 log(F32 x) {
  I32 k;
  F32 f = reduce_log(x, k), n = convert<float>(k);
  F32 tail = fma(n, f32(1.4286068e-06f), log1p_tail(f));
  return log_special(x, fma(n, f32(0x1.62e4p-1f), f + tail));
}

AXON_FN F32 log2(F32 x) {
  I32 k;
  F32 f = reduce_log(x, k);
  F32 tail = fma(f, f32(1.925963e-08f), log1p_tail(f) * 1.442695f);
  return log_special(x, convert<float>(k) + fma(f, f32(1.442695f), tail));
}

AXON_FN F32 log10(F32 x) {
  I32 k;
  F32 f = reduce_log(x, k), n = convert<float>(k);
  F32 tail = fma(f, f32(-1.010305e-08f), log1p_tail(f) * 0.4342945f);
  tail = fma(n, f32(4.605039e-06f), fma(f, f32(0.4342945f), tail));
  return log_special(x, fma(n, f32(0x1.3440000000000p-2f), tail));
}

// log(u + low), u = 1 + x its float and low what was lost: f = (1 + x) / 2^k - 1 is formed from x itself, in one rounding.
AXON_FN F32 log1p(F32 x) {
  F32 u = 1.0f + x;
  I32 k = I32(bits(u) - 0x3f2aaaabu) >> 23;
  F32 s = from_bits(U32(129 - k) << 23);  // 4 / 2^k
  F32 f = fma(x, 0.25f * s, fma(f32(0.25f), s, f32(-1.0f))), n = convert<float>(k);
  F32 tail = fma(n, f32(1.4286068e-06f), log1p_tail(f));
  F32 y = log_special(u, fma(n, f32(0x1.62e4p-1f), f + tail));
  return pick(lt(abs(x), f32(0x1p-25f)), x, y);
}

template <Real V> AXON_FN V logaddexp(V a, V b) {
  V y = maximum(a, b) + log1p(exp(-abs(a - b)));
  return pick(eq(a, b), a + all<V>(0.69314718055994530942), y);  // also where both are infinite
}

AXON_FN F32 atanh(F32 x) {
  F32 a = abs(x), u = x * x;
  F32 p = polynomial(u, 0.333333641f, 0.199972883f, 0.143621013f, 0.101905614f, 0.139039338f);
  F32 large = 0.5f * log1p(2.0f * a / (1.0f - a));
  return copysign(pick(lt(a, f32(0.4f)), fma(a * u, p, a), large), x);
}

// log(hi + lo) for hi >= 1 and |lo| a rounding error of hi.
AXON_FN F32 log_pair(F32 hi, F32 lo, I32 twos) {
  I32 k;
  F32 f = reduce_log(hi, k), n = convert<float>(k + twos);
  F32 tail = fma(n, f32(1.4286068e-06f), log1p_tail(f) + lo / hi);
  return fma(n, f32(0x1.62e4p-1f), f + tail);
}

// log(a + sqrt(a^2 + 1)), with the roundings of the sum and the root carried along; 2a from 2^13 on.
AXON_FN F32 asinh(F32 x) {
  F32 a = abs(x), u = x * x;
  F32 p = polynomial(u, -0.166666433f, 0.0749864206f, -0.0443833172f, 0.0281634964f, -0.0132283997f);
  auto huge = le(f32(0x1p13f), a);
  F32 c = pick(huge, f32(1.0f), a), h = c * c, t = h + 1.0f, s = sqrt(t);
  F32 t_low = fma(c, c, -h) + pick(lt(h, f32(1.0f)), h - (t - 1.0f), 1.0f - (t - h));
  F32 hi = s + c, lo = (c - (hi - s)) + (fma(-s, s, t) + t_low) * 0.5f / s;
  F32 y = log_pair(pick(huge, a, hi), pick(huge, f32(0.0f), lo), pick(huge, all<I32>(1), all<I32>(0)));
  y = pick(lt(a, f32(INFINITE)), y, a);
  return copysign(pick(lt(a, f32(0.5f)), fma(a * u, p, a), y), x);
}

// log1p(t + sqrt(t^2 + 2t)) with t = x - 1; log(2x) from 2^13 on.
AXON_FN F32 acosh(F32 x) {
  auto huge = le(f32(0x1p13f), x);
  F32 t = pick(huge, f32(1.0f), x) - 1.0f, v = fma(t, t, t + t), s = sqrt(v);
  F32 y = pick(huge, log_pair(x, f32(0.0f), all<I32>(1)), log1p(t + s));
  y = pick(lt(x, f32(1.0f)), f32(NOT_A_NUMBER), y);
  return pick(lt(x, f32(INFINITE)), y, x);
}

}  // namespace axon
#endif

#ifdef AXON_OP
AXON_OP(log, 1, floating)
AXON_OP(log2, 1, floating)
AXON_OP(log10, 1, floating)
AXON_OP(log1p, 1, floating)
AXON_OP(asinh, 1, floating)
AXON_OP(acosh, 1, floating)
AXON_OP(atanh, 1, floating)
AXON_OP(logaddexp, 2, floating)
#endif
