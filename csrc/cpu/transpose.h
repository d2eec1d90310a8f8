// Transposition of a strip: one cache line of the source wide, any length.
#pragma once
#include <algorithm>

#include "cpu/vector.h"

namespace axon::cpu {

constexpr int64_t kLine = 64;  // bytes of a cache line

// A square of one cache line a side, transposed through registers: buffer[a*line + b] = source[b*stride + a].
template <class T> inline void transpose_square(const T* source, int64_t stride, T* buffer) {
  constexpr int64_t line = kLine / static_cast<int64_t>(sizeof(T));
  if constexpr (sizeof(T) >= 4) {
    constexpr int64_t lanes = kLanes<T>;
    for (int64_t b = 0; b < line; b += lanes)
      for (int64_t a = 0; a < line; a += lanes) {
        Vector<T> square[lanes];
#pragma GCC unroll 8
        for (int64_t i = 0; i < lanes; ++i) std::memcpy(&square[i], source + (b + i) * stride + a, sizeof square[i]);
        transpose<T>(square);
#pragma GCC unroll 8
        for (int64_t i = 0; i < lanes; ++i) store(buffer + (a + i) * line + b, square[i]);
      }
  } else {
    for (int64_t b = 0; b < line; ++b)
      for (int64_t a = 0; a < line; ++a) buffer[a * line + b] = source[b * stride + a];
  }
}

// target[a*target_stride + b] = source[b*source_stride + a] for a < width <= one line, b < length. Both sides are read and
// written in whole cache lines, because rows a power of two apart compete for the same few places of a cache. Stores
// that stream past the caches spare the reading of what they overwrite.
template <class T>
void transpose_strip(const T* source, int64_t source_stride, T* target, int64_t target_stride, int64_t width,
                     int64_t length, bool stream) {
  constexpr int64_t line = kLine / static_cast<int64_t>(sizeof(T));
  const auto slowly = [&](int64_t begin, int64_t end) {
    for (int64_t a = 0; a < width; ++a)
      for (int64_t b = begin; b < end; ++b) target[a * target_stride + b] = source[b * source_stride + a];
  };
  if (width < line) return slowly(0, length);
  const auto misaligned = [](const T* p) { return reinterpret_cast<uintptr_t>(p) % kLine / sizeof(T); };
  int64_t b = 0;
  if (stream) {
    stream = target_stride % line == 0;
    b = std::min(length, stream ? static_cast<int64_t>((line - static_cast<int64_t>(misaligned(target))) % line) : 0);
    slowly(0, b);
  }
  alignas(kLine) T buffer[line * line];
  for (; b + line <= length; b += line) {
    if (b + 2 * line <= length)
      for (int64_t i = 0; i < line; ++i) __builtin_prefetch(source + (b + line + i) * source_stride);
    transpose_square(source + b * source_stride, source_stride, buffer);
    for (int64_t a = 0; a < line; ++a) {
      char* to = reinterpret_cast<char*>(target + a * target_stride + b);
      const __m256i low = _mm256_load_si256(reinterpret_cast<const __m256i*>(buffer + a * line));
      const __m256i high = _mm256_load_si256(reinterpret_cast<const __m256i*>(buffer + a * line) + 1);
      if (stream) {
        _mm256_stream_si256(reinterpret_cast<__m256i*>(to), low);
        _mm256_stream_si256(reinterpret_cast<__m256i*>(to) + 1, high);
      } else {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), low);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to) + 1, high);
      }
    }
  }
  slowly(b, length);
  if (stream) _mm_sfence();
}

}  // namespace axon::cpu
