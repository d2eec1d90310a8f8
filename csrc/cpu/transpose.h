// Transposition of a strip: a few cache lines of the target wide, any length.
#pragma once
#include <algorithm>

#include "cpu/vector.h"

namespace axon::cpu {

constexpr int64_t kLine = 64;  // bytes of a cache line

// Elements of a side of what registers transpose, and of a tile: whole cache lines, either way.
constexpr int64_t square_side(int64_t itemsize) { return itemsize >= 4 ? 32 / itemsize : 16 / itemsize; }
constexpr int64_t tile_side(int64_t itemsize) { return itemsize == 8 ? 32 : 64; }
template <class T> constexpr int64_t kSquare = square_side(sizeof(T));
template <class T> constexpr int64_t kSide = tile_side(sizeof(T));

typedef long long SmallRow __attribute__((vector_size(16)));

// One- and two-byte elements, a 16-byte register a row: log2(n) times every row is interleaved with the one half the
// square away.
template <class T> inline void transpose_small(SmallRow (&rows)[kSquare<T>]) {
  constexpr int n = kSquare<T>;
#pragma GCC unroll 4
  for (int stage = 1; stage < n; stage *= 2) {
    SmallRow next[n];
#pragma GCC unroll 8
    for (int i = 0; i < n / 2; ++i) {
      const SmallRow a = rows[i], b = rows[i + n / 2];
      next[2 * i] = sizeof(T) == 1 ? _mm_unpacklo_epi8(a, b) : _mm_unpacklo_epi16(a, b);
      next[2 * i + 1] = sizeof(T) == 1 ? _mm_unpackhi_epi8(a, b) : _mm_unpackhi_epi16(a, b);
    }
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) rows[i] = next[i];
  }
}

// buffer[a*kSide + b] = source[b*stride + a] for whole squares.
template <class T> inline void transpose_tile(const T* source, int64_t stride, int64_t height, int64_t width, T* buffer) {
  constexpr int64_t square = kSquare<T>;
  using Row = std::conditional_t<sizeof(T) >= 4, Vector<T>, SmallRow>;
  for (int64_t b = 0; b < height; b += square)
    for (int64_t a = 0; a < width; a += square) {
      Row rows[square];
#pragma GCC unroll 16
      for (int64_t i = 0; i < square; ++i) std::memcpy(&rows[i], source + (b + i) * stride + a, sizeof(Row));
      if constexpr (sizeof(T) >= 4) transpose<T>(rows);
      else transpose_small<T>(rows);
#pragma GCC unroll 16
      for (int64_t i = 0; i < square; ++i) std::memcpy(buffer + (a + i) * kSide<T> + b, &rows[i], sizeof(Row));
    }
}

// target[a*target_stride + b] = source[b*source_stride + a] for b < height <= kSide, a < length. It reads along a few rows
// of the source, which the hardware fetches ahead, and writes whole cache lines from a buffer: rows a power of two apart
// compete for the same few places of a cache, so a line half written would be read again. `stream` writes past the caches,
// which spares reading what is overwritten; the target's rows must then begin with a cache line.
template <class T>
void transpose_strip(const T* source, int64_t source_stride, T* target, int64_t target_stride, int64_t height,
                     int64_t length, bool stream) {
  const int64_t whole_height = height - height % kSquare<T>, whole_length = length - length % kSquare<T>;
  const int64_t bytes = whole_height * static_cast<int64_t>(sizeof(T));
  if (bytes % 32 != 0) stream = false;
  alignas(kLine) T buffer[kSide<T> * kSide<T>];
  for (int64_t a = 0; a < whole_length; a += kSide<T>) {
    const int64_t width = std::min(kSide<T>, whole_length - a);
    transpose_tile(source + a, source_stride, whole_height, width, buffer);
    for (int64_t i = 0; i < width; ++i) {
      T* to = target + (a + i) * target_stride;
      const T* from = buffer + i * kSide<T>;
      if (stream)
        for (int64_t v = 0; v < bytes / 32; ++v)
          _mm256_stream_si256(reinterpret_cast<__m256i*>(to) + v, reinterpret_cast<const __m256i*>(from)[v]);
      else
        std::memcpy(to, from, static_cast<size_t>(bytes));
    }
  }
  if (stream) _mm_sfence();
  const auto slowly = [&](int64_t a0, int64_t a1, int64_t b0) {
    for (int64_t a = a0; a < a1; ++a)
      for (int64_t b = b0; b < height; ++b) target[a * target_stride + b] = source[b * source_stride + a];
  };
  slowly(0, whole_length, whole_height);
  slowly(whole_length, length, 0);
}

}  // namespace axon::cpu
