// Conversions between element types, the same at every width: float to integer saturates and takes NaN to 0, integers
// wrap, anything to bool is != 0, and the 16-bit floats are read and written by their bits.
#ifndef AXON_LANES_CONVERT_H
#define AXON_LANES_CONVERT_H

namespace axon {

// float16 words, widened to 32 bits, as floats; exact. (Adding 112 to the exponent by a product keeps denormals right.)
AXON_FN lanes<float> f16_to_float(lanes<uint32> h) {
  lanes<uint32> magnitude = (h & 0x7fffu) << 13, sign = (h & 0x8000u) << 16;
  lanes<uint32> finite = bits(from_bits(magnitude) * 0x1p112f);
  lanes<uint32> nan_quiet = pick(lt(broadcast<uint32>(0x0f800000u), magnitude), broadcast<uint32>(0x400000u),
                                 broadcast<uint32>(0u));
  return from_bits(sign | pick(le(broadcast<uint32>(0x0f800000u), magnitude), (magnitude + 0x70000000u) | nan_quiet,
                               finite));
}

// Floats rounded to float16, its words in the low halves. Below 2^-14 adding 0.5 rounds to the denormals' grid.
AXON_FN lanes<uint32> float_to_f16(lanes<float> x) {
  lanes<uint32> u = bits(x), magnitude = u & 0x7fffffffu, sign = (u >> 16) & 0x8000u;
  lanes<uint32> normal = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  lanes<uint32> tiny = bits(from_bits(magnitude) + 0.5f) - 0x3f000000u;
  lanes<uint32> nan = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
  lanes<uint32> r = pick(lt(magnitude, broadcast<uint32>(0x38800000u)), tiny, normal);
  r = pick(le(broadcast<uint32>(0x477ff000u), magnitude), broadcast<uint32>(0x7c00u), r);
  return sign | pick(lt(broadcast<uint32>(0x7f800000u), magnitude), nan, r);
}

AXON_FN lanes<float> bf16_to_float(lanes<uint32> h) { return from_bits(h << 16); }

AXON_FN lanes<uint32> float_to_bf16(lanes<float> x) {
  lanes<uint32> u = bits(x);
  lanes<uint32> rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  return pick(lt(broadcast<uint32>(0x7f800000u), u & 0x7fffffffu), (u >> 16) | 0x40u, rounded);
}

// x as the float that rounds further, to 16 bits, as x itself does: towards zero, and odd where that is inexact.
AXON_FN lanes<float> round_to_odd(lanes<double> x) {
  lanes<float> nearest = convert<float>(x);
  lanes<double> size = from_bits(bits(x) & ~(1ul << 63));
  lanes<double> nearest_size = from_bits(bits(convert<double>(nearest)) & ~(1ul << 63));
  lanes<uint32> u = bits(nearest);
  lanes<bool> above = lanes<bool>(lt(size, nearest_size)), below = lanes<bool>(lt(nearest_size, size));
  u = select(above, u - 1u, u);
  return from_bits(select(above, u | 1u, select(below, u | 1u, u)));
}

template <class To, class V> AXON_FN lanes<To> saturate(V x) {
  typedef element<V> From;
  // 2^bits, the first value above the range; exact in From, as highest<To> may not be.
  constexpr From above = From(highest<To> / 2 + 1) * From(2), least = From(lowest<To>);
  V low = broadcast<From>(least), high = broadcast<From>(above);
  lanes<bool> too_low = lanes<bool>(lt(x, low)), too_high = lanes<bool>(le(high, x));
  V inside = select(too_low, broadcast<From>(From(0)), select(too_high, broadcast<From>(From(0)), x));
  inside = pick(eq(x, x), inside, broadcast<From>(From(0)));
  lanes<To> r;
  if constexpr (sizeof(To) < 4) r = convert<To>(convert<int32>(inside));
  else r = convert<To>(inside);
  return select(too_low, broadcast<To>(lowest<To>), select(too_high, broadcast<To>(highest<To>), r));
}

template <class To, class V> AXON_FN lanes<To> cast(V x) {
  typedef element<V> From;
  if constexpr (same<To, From>) return x;
  else if constexpr (same<To, bool>) return lanes<bool>(ne(x, broadcast<From>(From(0))));
  else if constexpr (same<To, f16>) {
    if constexpr (same<From, double>) return f16_to_float(float_to_f16(round_to_odd(x)));
    else return f16_to_float(float_to_f16(cast<float>(x)));
  } else if constexpr (same<To, bf16>) return bf16_to_float(float_to_bf16(cast<float>(x)));
  else if constexpr (same<From, bool>) {
    if constexpr (W == 1) return convert<To>(x);
    else return convert<To>(x.m & 1);
  } else if constexpr (is_floating<From> && !is_floating<To>) return saturate<To>(x);
  else return convert<To>(x);
}

}  // namespace axon

#endif
