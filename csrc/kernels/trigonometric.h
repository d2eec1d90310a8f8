// Trigonometry of float32 lanes: sin cos tan asin acos atan atan2.
#ifndef AXON_TRIGONOMETRIC_H
#define AXON_TRIGONOMETRIC_H

namespace axon {

struct Angle { double r; uint32 q; };

// x = q pi/2 + r for large x, from the bits of 2/pi that matter: those worth 4 and more turn whole circles, and 96 of the
// rest, times the significand, leave r right to a float's last bit.
AXON_SLOW Angle reduce_huge(float x) {
  const uint32 two_over_pi[8] = {0,           0xa2f9836eu, 0x4e441529u, 0xfc2757d1u,
                                 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu};
  uint32 u = __builtin_bit_cast(uint32, x), start = ((u >> 23) & 0xffu) - 120u, i = start >> 5, shift = start & 31u;
  uint64 significand = (u & 0x7fffffu) | 0x800000u;
  auto window = [&](uint32 k) { return ((uint64(two_over_pi[k]) << 32 | two_over_pi[k + 1]) << shift) >> 32; };
  uint64 turn = (significand * window(i) << 32) + significand * window(i + 1) + (significand * window(i + 2) >> 32);
  int64 fraction = int64(turn << 2);  // of a quarter turn, in 2^-64, rounded to the nearest quarter
  uint32 q = uint32(turn >> 62) + (fraction < 0 ? 1u : 0u);
  double r = static_cast<double>(fraction) * (1.57079632679489661923 * 0x1p-64);
  return x < 0.0f ? Angle{-r, 0u - q} : Angle{r, q};
}

struct Reduced { F32 r, low; I32 q; };

// Beyond 2^20 lanes go one at a time; those of an ordinary size keep what they have.
AXON_SLOW Reduced reduce_huge_lanes(F32 x, Reduced angle) {
  for (int i = 0; i < W; i++) {
    float a = get(abs(x), i);
    if (!(a > 0x1p20f && a < INFINITE)) continue;
    Angle exact = reduce_huge(get(x, i));
    set(angle.r, i, static_cast<float>(exact.r));
    set(angle.low, i, static_cast<float>(exact.r - static_cast<float>(exact.r)));
    set(angle.q, i, static_cast<int32>(exact.q));
  }
  return angle;
}

// x = q pi/2 + r + low with |r| < 0.8278; up to 2^20 pi/2 is three floats.
AXON_FN Reduced reduce_angle(F32 x) {
  F32 whole;
  I32 q = nearest(x, 0.636619747f, whole);
  F32 exact = fma(whole, f32(-1.57079637f), x), second = whole * 4.37113883e-08f, r = exact + second;
  F32 shift = r - exact;  // r + low is the sum with both roundings kept
  F32 low = (exact - (r - shift)) + (second - shift);
  low = low + fma(whole, f32(1.71512451e-15f), fma(whole, f32(4.37113883e-08f), -second));
  F32 a = abs(x);
  if (any(Mask(lt(f32(0x1p20f), a) & lt(a, f32(INFINITE))))) return reduce_huge_lanes(x, {r, low, q});
  return {r, low, q};
}

// sin(r + low) when q is even, cos when it is odd, negated when q is 2 or 3.
AXON_FN F32 sin_reduced(F32 r, F32 low, I32 q) {
  F32 u = r * r;
  F32 s = r + fma(r * u, polynomial(u, -0.166666508f, 0.00833191257f, -0.000194817796f), low);
  F32 c = polynomial(u, 0.0416666381f, -0.00138869556f, 2.43930408e-05f);
  c = 1.0f + fma(u, fma(u, c, f32(-0.5f)), -r * low);
  F32 y = pick(eq(q & 1, all<I32>(0)), s, c);
  return from_bits(bits(y) ^ (U32(q & 2) << 30));
}

AXON_FN F32 sin(F32 x) {
  auto [r, low, q] = reduce_angle(x);
  return pick(eq(x, f32(0.0f)), x, sin_reduced(r, low, q));
}

AXON_FN F32 cos(F32 x) {
  auto [r, low, q] = reduce_angle(x);
  return sin_reduced(r, low, q + 1);
}

AXON_FN F32 tan(F32 x) {
  auto [r, low, q] = reduce_angle(x);
  F32 u = r * r;
  F32 p = polynomial(u, 0.333333731f, 0.133318797f, 0.054146491f, 0.0208467133f, 0.0119346036f, -0.0012654959f,
                     0.00502613839f);
  F32 t = r + fma(r * u, p, fma(1.5f * u, low, low));  // tan' is about 1 + 1.5 u
  return pick(eq(x, f32(0.0f)), x, pick(eq(q & 1, all<I32>(0)), t, -1.0f / t));
}

constexpr float half_pi = 1.57079637f, half_pi_low = -4.37113883e-08f;

// asin(a) for a <= 1/2; of sqrt((1 - a) / 2), the half of acos(a), for the rest.
AXON_FN F32 asin_reduced(F32 a, F32& root) {
  auto large = lt(f32(0.5f), a);
  F32 u = pick(large, fma(a, f32(-0.5f), f32(0.5f)), a * a);
  root = pick(large, sqrt(u), a);
  return root * u * polynomial(u, 0.166667521f, 0.0749530941f, 0.0454691499f, 0.0241847783f, 0.0421583056f);
}

AXON_FN F32 asin(F32 x) {
  F32 a = abs(x), root, tail = asin_reduced(a, root);
  F32 large = fma(f32(-2.0f), root + (tail - 0.5f * half_pi_low), f32(half_pi));
  return copysign(pick(lt(f32(0.5f), a), large, root + tail), x);
}

AXON_FN F32 acos(F32 x) {
  F32 a = abs(x), root, tail = asin_reduced(a, root);
  auto negative = lt(x, f32(0.0f));
  F32 s = pick(negative, -root, root), t = pick(negative, -tail, tail);
  F32 small = half_pi - (s + (t - half_pi_low));
  F32 large = pick(negative, 2.0f * half_pi - (2.0f * root + (2.0f * tail - 2.0f * half_pi_low)), 2.0f * (root + tail));
  return pick(lt(f32(0.5f), a), large, small);
}

// atan(t) - t for 0 <= t <= 1.
AXON_FN F32 atan_tail(F32 t) {
  F32 u = t * t;
  return t * u * polynomial(u, -0.333332986f, 0.19998531f, -0.142640516f, 0.109511748f, -0.0840047523f, 0.0579065457f,
                            -0.0311270021f, 0.0108873611f, -0.0017875476f);
}

AXON_FN F32 atan(F32 x) {
  F32 a = abs(x), one = f32(1.0f);
  auto large = lt(one, a);
  F32 t = pick(large, one, a) / pick(large, a, one), tail = atan_tail(t);
  return copysign(pick(large, (half_pi - t) - (tail - half_pi_low), t + tail), x);
}

// The angle of (x, y): one division, then pi/2 or pi less or more.
AXON_FN F32 atan2(F32 y, F32 x) {
  F32 a = abs(x), b = abs(y), zero = f32(0.0f);
  auto steep = lt(a, b);
  F32 large = pick(steep, b, a), small = pick(steep, a, b);
  F32 t = pick(eq(large, small), f32(1.0f), small / large);
  t = pick(eq(large, zero), zero, t);
  F32 tail = atan_tail(t);
  auto left = ne(sign_bit(x), all<U32>(0u));
  F32 pi_part = pick(steep, f32(half_pi), pick(left, f32(2.0f * half_pi), zero));
  F32 pi_low = pick(steep, f32(half_pi_low), pick(left, f32(2.0f * half_pi_low), zero));
  U32 flip = pick(ne(steep, left), all<U32>(0x80000000u), all<U32>(0u));
  F32 s = from_bits(bits(t) ^ flip), l = from_bits(bits(tail) ^ flip);
  F32 angle = (pi_part + s) + (l + pi_low);
  return pick(ne(x, x), x, pick(ne(y, y), y, copysign(angle, y)));
}

}  // namespace axon
#endif

#ifdef AXON_OP
AXON_OP(sin, 1, floating)
AXON_OP(cos, 1, floating)
AXON_OP(tan, 1, floating)
AXON_OP(asin, 1, floating)
AXON_OP(acos, 1, floating)
AXON_OP(atan, 1, floating)
AXON_OP(atan2, 2, floating)
#endif
