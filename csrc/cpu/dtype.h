// Element types as library steps see them: codes of the program format, sizes, and conversion of the two half types,
// which are stored in 16 bits and computed in float.
#pragma once
#include <immintrin.h>

#include <bit>
#include <cstdint>

namespace axon::cpu {

enum class DType : int64_t { boolean, i8, i16, i32, i64, u8, u16, u32, u64, f16, bf16, f32, f64 };
constexpr int64_t kDTypes = 13;

constexpr int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }  // how many b hold a

constexpr int64_t itemsize(DType dtype) {
  constexpr int64_t sizes[kDTypes] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8};
  return sizes[static_cast<int64_t>(dtype)];
}

struct Half {
  uint16_t word;
  static Half from(float value) { return {static_cast<uint16_t>(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT))}; }
  explicit operator float() const { return _cvtsh_ss(word); }
};

struct BFloat {
  uint16_t word;
  static BFloat from(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>(bits >> 16 | 0x40)};  // NaN stays NaN
    return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
  }
  explicit operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(word) << 16); }
};

// What a stored type is computed in. Integers are computed modulo 2^32 or 2^64, which is right for every narrower
// type and both signs, because the result is cut to the stored width.
template <class Stored> struct Computed { using type = uint32_t; };
template <> struct Computed<uint64_t> { using type = uint64_t; };
template <> struct Computed<Half> { using type = float; };
template <> struct Computed<BFloat> { using type = float; };
template <> struct Computed<float> { using type = float; };
template <> struct Computed<double> { using type = double; };
template <class Stored> using computed = typename Computed<Stored>::type;

template <class Stored> computed<Stored> widen(Stored x) { return static_cast<computed<Stored>>(x); }
template <class Stored> Stored narrow(computed<Stored> x) {
  if constexpr (requires { Stored::from(x); }) return Stored::from(x);
  else return static_cast<Stored>(x);
}

// f.template operator()<T>() with the stored type of a number; integers of both signs share the unsigned type.
template <class F> decltype(auto) with_number(DType dtype, F&& f) {
  switch (dtype) {
    case DType::i8: case DType::u8: case DType::boolean: return f.template operator()<uint8_t>();
    case DType::i16: case DType::u16: return f.template operator()<uint16_t>();
    case DType::i32: case DType::u32: return f.template operator()<uint32_t>();
    case DType::i64: case DType::u64: return f.template operator()<uint64_t>();
    case DType::f16: return f.template operator()<Half>();
    case DType::bf16: return f.template operator()<BFloat>();
    case DType::f32: return f.template operator()<float>();
    case DType::f64: return f.template operator()<double>();
  }
  __builtin_unreachable();
}

}  // namespace axon::cpu
