// The innermost loop of a matrix product: a block of at most 12 vectors of the result, held in registers over k.
#pragma once
#include "cpu/vector.h"

namespace axon::cpu {

constexpr int kGemmRows = 6;  // with two vectors a row: 12 accumulators, two of b and one of a fill the 16 registers

// What one call computes: c[i, j] (+)= sum over p < k of a[i*a_row + p*a_col] * b[p*b_row + j], and adds bias[j] to the
// sum. Only the first `columns` of the block are stored.
template <class T> struct Block {
  int64_t k;
  const T* a;
  int64_t a_row, a_col;
  const T* b;
  int64_t b_row;
  T* packed;  // where a copying call leaves b's panel, a row of which then is the block's width
  T* c;
  int64_t c_row;
  int64_t columns;
  bool accumulate;
  const T* bias;  // or null
};

template <class T, int rows, int vectors, bool copying> void multiply_block(const Block<T>& block) {
  constexpr int lanes = kLanes<T>;
  Vector<T> sums[rows][vectors] = {};
  const T* a = block.a;
  const T* b = block.b;
  T* packed = block.packed;
  // The sums' old values are fetched while the products are added up.
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i) {
    __builtin_prefetch(block.c + i * block.c_row, 1);
    __builtin_prefetch(block.c + i * block.c_row + vectors * lanes - 1, 1);
  }
  for (int64_t p = 0; p < block.k; ++p, a += block.a_col, b += block.b_row) {
    Vector<T> right[vectors];
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) {
      right[j] = load(b + j * lanes);
      if constexpr (copying) store(packed + j * lanes, right[j]);
    }
    if constexpr (copying) packed += vectors * lanes;
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i) {
      const Vector<T> left = splat(a[i * block.a_row]);
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) sums[i][j] = multiply_add(left, right[j], sums[i][j]);
    }
  }
  const int64_t c_row = block.c_row;
  const bool accumulate = block.accumulate;
  const auto finish = [&](T* c, const T* bias) {
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i, c += c_row)
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) {
        Vector<T> sum = sums[i][j];
        if (accumulate) sum += load(c + j * lanes);
        if (bias) sum += load(bias + j * lanes);
        store(c + j * lanes, sum);
      }
  };
  if (block.columns == vectors * lanes) return finish(block.c, block.bias);
  // At the edge of the matrix the last vector has fewer columns.
  constexpr int last = (vectors - 1) * lanes;
  const __m256i mask = first_lanes<T>(block.columns - last);
  const auto finish_vector = [&](Vector<T> sum, T* c, const T* bias, auto get, auto put) {
    if (accumulate) sum += get(c);
    if (bias) sum += get(bias);
    put(c, sum);
  };
  T* c = block.c;
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i, c += c_row) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors - 1; ++j)
      finish_vector(sums[i][j], c + j * lanes, block.bias ? block.bias + j * lanes : nullptr, load<T>, store<T>);
    finish_vector(sums[i][vectors - 1], c + last, block.bias ? block.bias + last : nullptr,
        [&](const T* p) { return load_first(p, mask); }, [&](T* p, Vector<T> x) { store_first(p, x, mask); });
  }
}

}  // namespace axon::cpu
