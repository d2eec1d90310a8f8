// The error function's family, cbrt and hypot of float32 lanes.
#ifndef AXON_SPECIAL_H
#define AXON_SPECIAL_H

namespace axon {

// |x| < 1: x + x P(x^2); beyond: 1 - 2^Q(|x|), which is 1 from 3.95 on.
AXON_FN F32 erf(F32 x) {
  F32 a = abs(x), c = pick(lt(f32(3.95f), a), f32(3.95f), a), u = x * x, whole;
  F32 p = polynomial(u, 0.128379166f, -0.37612626f, 0.112835787f, -0.0268533472f, 0.0051871622f, -0.00079978531f,
                     7.80690389e-05f);
  F32 q = polynomial(c, -0.000492705614f, -1.62604606f, -0.920648158f, -0.148751915f, 0.031505879f, -0.00425264193f,
                     0.000268897042f);
  I32 n = nearest(q, 1.0f, whole);
  F32 large = 1.0f - exp2_reduced(q - whole) * power_of_two(n);
  return copysign(pick(lt(a, f32(1.0f)), fma(a, p, a), large), x);
}

// |x| < 1/2: 1 - x - x P(x^2); beyond: exp(-x^2) t Q(t) with t = 1 / (1 + 0.4 |x|), the square's and the quotient's
// roundings carried along.
AXON_FN F32 erfc(F32 x) {
  F32 a = abs(x), c = pick(lt(f32(10.2f), a), f32(10.2f), a), h = c * c, whole;
  I32 n = nearest(-h, 1.442695f, whole);
  F32 m = expm1_reduced(fma(whole, f32(-0x1.62e43p-1f), -h) + fma(whole, f32(0x1.05c61p-29f), -fma(c, c, -h)));
  F32 d = fma(c, f32(0.4f), f32(1.0f)), t = 1.0f / d, z = t - 0.515625f;
  F32 t_low = t * fma(-t, fma(c, f32(0.4f), 1.0f - d), fma(-t, d, f32(1.0f)));
  F32 q = polynomial(z, 0.431850284f, 0.666821301f, 0.752212644f, 0.559073329f, 0.172636241f,
                     -0.118680172f, -0.119557433f, 0.0281316061f, 0.0601276122f);
  F32 g = fma(t, q, t_low * q * fma(t, f32(2.55f), f32(0.44f)));  // (t Q)' is about Q (0.44 + 2.55 t)
  F32 y = scale(fma(g, m, g), n);
  F32 p = polynomial(h, 0.128379166f, -0.37612626f, 0.112835787f, -0.0268533472f, 0.0051871622f, -0.00079978531f);
  F32 near = fma(-x, p, 1.0f - x);
  return pick(lt(a, f32(0.5f)), near, pick(lt(x, f32(0.0f)), 2.0f - y, y));
}

// x P(w) with w = -log(1 - x^2), in w itself up to 5 (|x| < 0.9966) and in its root beyond.
AXON_FN F32 erf_inv(F32 x) {
  F32 w = -log(fma(-x, x, f32(1.0f))), v = w - 1.0f, s = sqrt(w) - 3.0f;
  F32 p = polynomial(v, 1.12737441f, 0.247832879f, 0.00425056275f, -0.00237641251f, 0.000100381381f, 3.81732825e-05f,
                     -4.42557257e-06f, -4.99906434e-07f, 1.35473627e-07f, -8.23831137e-09f);
  F32 q = polynomial(s, 2.83297682f, 1.00167513f, 0.00944514107f, -0.00763878692f, 0.00568751432f, -0.00359324878f,
                     0.00148380816f, -6.082244e-05f, -0.000308343559f, 0.000116565367f);
  F32 y = x * pick(lt(w, f32(5.0f)), p, q);
  return pick(eq(abs(x), f32(1.0f)), x * INFINITE, y);
}

// a^(-1/3) by two steps from a third of the exponent, then a z^2, and a last step on what it leaves.
AXON_FN F32 cbrt(F32 x) {
  F32 a = abs(x);
  auto tiny = lt(a, f32(0x1p-64f));
  F32 c = pick(tiny, a * 0x1p96f, a);
  F32 third = convert<float>(I32(bits(c))) * 0.333333343f;
  F32 z = from_bits(U32(0x548c2b4bu - U32(convert<int32>(third))));
  for (int i = 0; i < 2; i++) {
    F32 e = fma(-c * z, z * z, f32(1.0f));
    z = fma(z * e, fma(e, f32(0.222222224f), f32(0.333333343f)), z);
  }
  F32 y = c * z * z, square = y * y;
  F32 left = fma(-square, y, c) - y * fma(y, y, -square);
  y = fma(left * 0.333333343f, z * z, y);
  y = copysign(pick(tiny, y * 0x1p-32f, y), x);
  return pick(lt(f32(0.0f), a), pick(lt(a, f32(INFINITE)), y, x), x);
}

// Scaled by a power of two so that no square overflows or loses bits; infinite if either is, even beside NaN.
AXON_FN F32 hypot(F32 x, F32 y) {
  F32 a = abs(x), b = abs(y), inf = f32(INFINITE);
  F32 large = maximum(a, b), small = minimum(a, b);
  auto big = lt(f32(0x1p60f), large), tiny = lt(large, f32(0x1p-60f));
  F32 down = pick(big, f32(0x1p-100f), pick(tiny, f32(0x1p100f), f32(1.0f)));
  F32 up = pick(big, f32(0x1p100f), pick(tiny, f32(0x1p-100f), f32(1.0f)));
  large = large * down;
  small = small * down;
  F32 r = sqrt(fma(large, large, small * small)) * up;
  return pick(eq(a, inf), inf, pick(eq(b, inf), inf, r));
}

}  // namespace axon
#endif

#ifdef AXON_OP
AXON_OP(hypot, 2, floating)
AXON_OP(erf, 1, floating)
AXON_OP(cbrt, 1, floating)
AXON_OP(erf_inv, 1, floating)
AXON_OP(erfc, 1, floating)
#endif
