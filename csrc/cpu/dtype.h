// Element types as library steps see them: codes of the program format, sizes, and the half types, which are stored in 16
// bits and computed in float.
#pragma once
#include <immintrin.h>

#include <bit>
#include <concepts>
#include <cstdint>
#include <iterator>
#include <type_traits>

#include "kernels/dtypes.h"

namespace axon::cpu {

#define AXON_CODE(name, code, ...) code,
enum class DType : int64_t { AXON_DTYPES(AXON_CODE) };
#undef AXON_CODE
#define AXON_SIZE(name, code, type, kind, bytes) bytes,
constexpr int64_t kItemSizes[] = {AXON_DTYPES(AXON_SIZE)};
#undef AXON_SIZE
constexpr int64_t kDTypes = std::size(kItemSizes);

constexpr int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }  // how many b hold a

constexpr int64_t itemsize(DType dtype) { return kItemSizes[static_cast<int64_t>(dtype)]; }

struct f16 {
  static constexpr const char* instructions = "avx512fp16";  // the CPU's, for products
  uint16_t word;
  static f16 from(float value) { return {static_cast<uint16_t>(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT))}; }
  static __m256 widen(__m128i words) { return _mm256_cvtph_ps(words); }
  explicit operator float() const { return _cvtsh_ss(word); }
};

struct bf16 {
  static constexpr const char* instructions = "avx512bf16";
  uint16_t word;
  static bf16 from(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>(bits >> 16 | 0x40)};  // NaN stays NaN
    return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
  }
  static __m256 widen(__m128i words) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(words), 16)); }
  explicit operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(word) << 16); }
};

template <class Stored> constexpr bool is_half = requires { Stored::instructions; };

// What numbers of a type are stored as: integers of both signs share the unsigned type.
template <class T> struct StoredAs { using type = T; };
template <std::integral T> struct StoredAs<T> { using type = std::make_unsigned_t<T>; };
template <> struct StoredAs<bool> { using type = uint8_t; };
template <class T> using stored_as = typename StoredAs<T>::type;

// What a stored type is computed in: halves in float, and integers modulo 2^32 or 2^64, which is right for every
// narrower type and both signs, because the result is cut to the stored width.
template <class Stored>
using computed = std::conditional_t<is_half<Stored>, float,
                                    std::conditional_t<std::integral<Stored> && sizeof(Stored) < 4, uint32_t, Stored>>;

template <class Stored> computed<Stored> widen(Stored x) { return static_cast<computed<Stored>>(x); }
template <class Stored> Stored narrow(computed<Stored> x) {
  if constexpr (is_half<Stored>) return Stored::from(x);
  else return static_cast<Stored>(x);
}

// f.template operator()<T>() with what numbers of a dtype are stored as.
template <class F> decltype(auto) with_number(DType dtype, F&& f) {
  switch (dtype) {
#define AXON_CASE(name, code, type, ...) case DType::code: return f.template operator()<stored_as<type>>();
    AXON_DTYPES(AXON_CASE)
#undef AXON_CASE
  }
  __builtin_unreachable();
}

}  // namespace axon::cpu
