// Floor division and remainder of floats: exact remainders, of the divisor's sign, whatever the quotient's size.
#ifndef AXON_DIVISION_H
#define AXON_DIVISION_H

namespace axon {

// a mod b for 0 < b <= a, finite: long division of the significands, forty bits of the quotient a time.
AXON_SLOW float long_remainder(float a, float b) {
  auto split = [](float v, int32& exponent) {  // v = significand 2^exponent
    uint32 u = __builtin_bit_cast(uint32, v), e = u >> 23;
    exponent = int32(e ? e : 1u) - 150;
    return uint64(e ? (u & 0x7fffffu) | 0x800000u : u);
  };
  int32 ea, eb;
  uint64 left = split(a, ea), divisor = split(b, eb);
  left %= divisor;
  for (int32 n = ea - eb; n > 0; n -= 40) left = (left << (n < 40 ? n : 40)) % divisor;
  // left 2^eb, through double, where neither factor is a denormal.
  return static_cast<float>(static_cast<double>(left) * __builtin_bit_cast(double, uint64(eb + 1023) << 52));
}

// The lanes of left whose quotient is 2^22 or more, again, one at a time.
AXON_SLOW F32 long_remainder_lanes(F32 a, F32 b, F32 left) {
  for (int i = 0; i < W; i++) {
    float dividend = get(a, i), divisor = get(b, i);
    if (dividend / divisor >= 0x1p22f && dividend < INFINITE && divisor > 0.0f)
      set(left, i, long_remainder(dividend, divisor));
  }
  return left;
}

// C's fmod. A quotient below 2^22 is at most one too high after its rounding, and fma then shows what is left exactly.
AXON_FN F32 fmod(F32 x, F32 y) {
  F32 a = abs(x), b = abs(y), ratio = a / b;
  F32 r = fma(-trunc(ratio), b, a);
  r = pick(lt(r, f32(0.0f)), r + b, r);
  auto valid = lt(a, f32(INFINITE)) & lt(f32(0.0f), b);
  if (any(Mask(le(f32(0x1p22f), ratio) & valid))) r = long_remainder_lanes(a, b, r);
  r = pick(valid, pick(lt(a, b), a, r), f32(NOT_A_NUMBER));
  return copysign(pick(ne(b, b), b, r), x);
}

// fmod moved to the divisor's sign.
template <Real V> AXON_FN V remainder(V x, V y) {
  V zero = all<V>(0), r = fmod(x, y);
  return pick(eq(r, zero), copysign(zero, y), pick(ne(lt(r, zero), lt(y, zero)), r + y, r));
}

// The whole number (x - fmod) / y is next to; x / y where that is 0, infinite or NaN.
template <Real V> AXON_FN V floor_divide(V x, V y) {
  V zero = all<V>(0), r = fmod(x, y), q = (x - r) / y;
  q = pick(ne(r, zero) & ne(lt(r, zero), lt(y, zero)), q - 1, q);
  V down = floor(q);
  down = pick(lt(all<V>(0.5), q - down), down + 1, down);
  V ratio = x / y;
  return pick(eq(y, zero), ratio, pick(eq(q, zero), copysign(zero, ratio), down));
}

}  // namespace axon
#endif

#ifdef AXON_OP
AXON_OP(floor_divide, 2, number)
AXON_OP(remainder, 2, number)
#endif
