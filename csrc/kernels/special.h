// The error function's family of float32 lanes: erf erfc erf_inv.
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
  I32 n = nearest(q, whole);
  F32 large = 1.0f - exp2_reduced(q - whole) * power_of_two(n);
  return copysign(pick(lt(a, f32(1.0f)), fma(a, p, a), large), x);
}

}  // namespace axon
#endif
