// Copies a piece of a matrix into the order in which the innermost loop reads it.
#pragma once
#include <algorithm>

#include "cpu/vector.h"

namespace axon::cpu {

// The element p, j of a [k, width] piece of the source goes to panel[p*row + j], and zeros to the rest of each row.
// Where k runs along the source's rows, squares of one vector a side are transposed in registers, the last ones of a row
// first: their stores may reach past it, into what is written next (or into one vector of memory after the panel).
template <int64_t row, class Stored, class T>
void pack(T* panel, const Stored* source, int64_t k_stride, int64_t w_stride, int64_t k, int64_t width) {
  constexpr int64_t lanes = kLanes<T>;
  int64_t p = 0;
  if (w_stride == 1 && width == row) {
    for (; p < k; ++p, panel += row, source += k_stride) {
#pragma GCC unroll 8
      for (int64_t j = 0; j + lanes <= row; j += lanes) store(panel + j, load(source + j));
#pragma GCC unroll 8
      for (int64_t j = row - row % lanes; j < row; ++j) panel[j] = widen(source[j]);
    }
    return;
  }
  if (w_stride == 1) {
    const int64_t whole = width - width % lanes;
    for (; p < k; ++p, panel += row, source += k_stride) {
      for (int64_t j = 0; j < whole; j += lanes) store(panel + j, load(source + j));
      for (int64_t j = whole; j < width; ++j) panel[j] = widen(source[j]);
      for (int64_t j = width; j < row; ++j) panel[j] = T{};
    }
    return;
  }
  if (k_stride == 1 && width > lanes / 2) {
    for (; p + lanes <= k; p += lanes)
      for (int64_t j = (width - 1) / lanes * lanes; j >= 0; j -= lanes) {
        const Stored* corner = source + j * w_stride + p;
        const int64_t last = width - 1 - j;  // a column that does not exist repeats it
        Vector<T> square[lanes];
#pragma GCC unroll 8
        for (int64_t i = 0; i < lanes; ++i) square[i] = load(corner + std::min(i, last) * w_stride);
        transpose<T>(square);
#pragma GCC unroll 8
        for (int64_t i = 0; i < lanes; ++i) store(panel + (p + i) * row + j, square[i]);
      }
  }
  for (; p < k; ++p) {
    for (int64_t j = 0; j < width; ++j) panel[p * row + j] = widen(source[p * k_stride + j * w_stride]);
    for (int64_t j = width; j < row; ++j) panel[p * row + j] = T{};
  }
}

}  // namespace axon::cpu
