// Conversions between element types, the same at every width: float to integer saturates and takes NaN to 0, integers
// wrap, anything to bool is != 0, and the 16-bit floats are read and written by their bits.
#ifndef AXON_LANES_CONVERT_H
#define AXON_LANES_CONVERT_H

namespace axon {

// Halves are computed in float.
#define AXON_HALF(name, code, type_, ...) template <> struct lanes_of<type_> { typedef lanes<float> type; };
AXON_HALVES(AXON_HALF)
#undef AXON_HALF

// The 16-bit floats' words as floats, exactly, and floats rounded to them, to even. NaNs stay quiet NaNs.
#if defined(__AVX512F__) && AXON_LANES == 16
AXON_FN lanes<float> float_of(f16, lanes<uint16> h) {
  return __builtin_ia32_vcvtph2ps512_mask(reinterpret_cast<lanes<int16>>(h), lanes<float>{}, -1, 4);
}
AXON_FN lanes<uint16> word_of(f16, lanes<float> x) {
  return reinterpret_cast<lanes<uint16>>(__builtin_ia32_vcvtps2ph512_mask(x, 0, lanes<int16>{}, -1));
}
#elif defined(__F16C__) && AXON_LANES == 8
AXON_FN lanes<float> float_of(f16, lanes<uint16> h) {
  return __builtin_ia32_vcvtph2ps256(reinterpret_cast<lanes<int16>>(h));
}
AXON_FN lanes<uint16> word_of(f16, lanes<float> x) {
  return reinterpret_cast<lanes<uint16>>(__builtin_ia32_vcvtps2ph256(x, 0));
}
#else
AXON_FN lanes<float> float_of(f16, lanes<uint16> half) {
  lanes<uint32> h = convert<uint32>(half), size = (h & 0x7fffu) << 13, infinite = broadcast<uint32>(0x0f800000u);
  // The exponent is 112 too low; a product, not a sum, puts it right in denormals too.
  lanes<uint32> finite = bits(from_bits(size) * 0x1p112f);
  lanes<uint32> quiet = pick(lt(infinite, size), broadcast<uint32>(0x400000u), broadcast<uint32>(0u));
  return from_bits((h & 0x8000u) << 16 | pick(le(infinite, size), (size + 0x70000000u) | quiet, finite));
}
AXON_FN lanes<uint16> word_of(f16, lanes<float> x) {
  lanes<uint32> u = bits(x), size = u & 0x7fffffffu;
  lanes<uint32> normal = (size - 0x38000000u + 0xfffu + ((size >> 13) & 1u)) >> 13;
  lanes<uint32> tiny = bits(from_bits(size) + 0.5f) - 0x3f000000u;  // 0.5's last place is the denormals' grid
  lanes<uint32> nan = 0x7e00u | ((size >> 13) & 0x3ffu);
  lanes<uint32> r = pick(lt(size, broadcast<uint32>(0x38800000u)), tiny, normal);
  r = pick(le(broadcast<uint32>(0x477ff000u), size), broadcast<uint32>(0x7c00u), r);
  return convert<uint16>(((u >> 16) & 0x8000u) | pick(lt(broadcast<uint32>(0x7f800000u), size), nan, r));
}
#endif
AXON_FN lanes<float> float_of(bf16, lanes<uint16> h) { return from_bits(convert<uint32>(h) << 16); }
AXON_FN lanes<uint16> word_of(bf16, lanes<float> x) {
  lanes<uint32> u = bits(x), rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  auto nan = lt(broadcast<uint32>(0x7f800000u), u & 0x7fffffffu);
  return convert<uint16>(pick(nan, (u >> 16) | 0x40u, rounded));
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

template <class To, class V> AXON_FN lanes<To> cast(V x);

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

// x as a float that rounds further, to 16 bits, as x itself does. 32-bit integers go by way of float, 64-bit ones by way
// of double, which lack `cut` bits for them. Beyond 2^(9 + cut) the midpoints of 16-bit floats are multiples of
// 2^(1 + cut), so of the bits below it is enough to know whether one is set.
template <class V> AXON_FN lanes<float> to_be_rounded(V x) {
  typedef element<V> From;
  typedef typename word<sizeof(From)>::u U;
  if constexpr (same<From, double>) return round_to_odd(x);
  else if constexpr (is_floating<From> || sizeof(From) < 4) return cast<float>(x);
  else {
    constexpr bool by_double = sizeof(From) == 8;
    constexpr int cut = by_double ? 64 - 53 : 32 - 24;
    constexpr From below = (From(2) << cut) - 1;
    constexpr U near = U(1) << (9 + cut), least = is_signed<From> ? near : U(0);
    V zero = broadcast<From>(From(0)), some = pick(eq(x & below, zero), zero, broadcast<From>(From(1) << cut));
    V kept = pick(le(uint_lanes<V>(x) + least, broadcast<U>(near + least)), x, (x & ~below) | some);
    if constexpr (by_double) return round_to_odd(convert<double>(kept));
    else return convert<float>(kept);
  }
}

template <class To, class V> AXON_FN lanes<To> cast(V x) {
  typedef element<V> From;
  if constexpr (same<To, From>) return x;
  else if constexpr (same<To, bool>) return lanes<bool>(ne(x, broadcast<From>(From(0))));
  else if constexpr (is_half<To>) return float_of(To(), word_of(To(), to_be_rounded(x)));
  else if constexpr (same<From, bool>) {
    if constexpr (W == 1) return convert<To>(x);
    else return convert<To>(x.m & 1);
  } else if constexpr (is_floating<From> && !is_floating<To>) return saturate<To>(x);
  else return convert<To>(x);
}

}  // namespace axon

#endif
