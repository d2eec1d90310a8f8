// The innermost loop of a matrix product: a block of the result, held in registers over k. It includes nothing of ours:
// it is compiled once for each width of registers, and no function may be shared by code for different CPUs.
#pragma once
#include <cstdint>

namespace axon::cpu {

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

template <class T> using BlockFunction = void (*)(const Block<T>&);

// R is a register of T: Vector, lanes, load, store, splat, multiply_add, and first_lanes, load_first, store_first for the
// edge of a matrix.
template <class R, class T, int rows, int vectors, bool copying> void multiply_block(const Block<T>& block) {
  using Vector = typename R::Vector;
  constexpr int lanes = R::lanes;
  Vector sums[rows][vectors] = {};
  const T* a = block.a;
  const T* b = block.b;
  T* packed = block.packed;
  // While products are added up, the sums' old values are fetched, a row at a time. What a copying call reads lies a row of
  // b apart, often in other pages, where hardware does not look ahead: it is fetched 40 rows before, and again 6 before.
  int64_t p = 0;
  for (int64_t row = 0; row < rows; ++row) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) __builtin_prefetch(block.c + row * block.c_row + j * lanes, 1);
    for (const int64_t end = (row + 1) * block.k / rows; p < end; ++p, a += block.a_col, b += block.b_row) {
      Vector right[vectors];
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) {
        right[j] = R::load(b + j * lanes);
        if constexpr (copying) {
          __builtin_prefetch(b + 40 * block.b_row + j * lanes, 0, 2);
          __builtin_prefetch(b + 6 * block.b_row + j * lanes);
          R::store(packed + j * lanes, right[j]);
        }
      }
      if constexpr (copying) packed += vectors * lanes;
#pragma GCC unroll 16
      for (int i = 0; i < rows; ++i) {
        const Vector left = R::splat(a[i * block.a_row]);
#pragma GCC unroll 8
        for (int j = 0; j < vectors; ++j) sums[i][j] = R::multiply_add(left, right[j], sums[i][j]);
      }
    }
  }
  const int64_t c_row = block.c_row;
  const bool accumulate = block.accumulate;
  const auto finish = [&](T* c, const T* bias) {
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i, c += c_row)
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) {
        Vector sum = sums[i][j];
        if (accumulate) sum += R::load(c + j * lanes);
        if (bias) sum += R::load(bias + j * lanes);
        R::store(c + j * lanes, sum);
      }
  };
  if (block.columns == vectors * lanes) return finish(block.c, block.bias);
  // At the edge of the matrix the last vector has fewer columns.
  constexpr int last = (vectors - 1) * lanes;
  const auto mask = R::first_lanes(block.columns - last);
  const auto finish_vector = [&](Vector sum, T* c, const T* bias, auto get, auto put) {
    if (accumulate) sum += get(c);
    if (bias) sum += get(bias);
    put(c, sum);
  };
  T* c = block.c;
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i, c += c_row) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors - 1; ++j)
      finish_vector(sums[i][j], c + j * lanes, block.bias ? block.bias + j * lanes : nullptr, R::load, R::store);
    finish_vector(sums[i][vectors - 1], c + last, block.bias ? block.bias + last : nullptr,
        [&](const T* p) { return R::load_first(p, mask); }, [&](T* p, Vector x) { R::store_first(p, x, mask); });
  }
}

// The blocks of up to `max_rows` rows and `max_vectors` vectors. Only the widest copy b's panel: see multiply_depth.
template <class R, class T, int max_rows, int max_vectors> struct Blocks {
  template <int vectors, bool copying, int rows = max_rows> static BlockFunction<T> of_rows(int64_t count) {
    if constexpr (rows > 1)
      if (count < rows) return of_rows<vectors, copying, rows - 1>(count);
    return multiply_block<R, T, rows, vectors, copying>;
  }
  template <int vectors = max_vectors> static BlockFunction<T> find(int64_t rows, int64_t count, bool copying) {
    if constexpr (vectors > 1)
      if (count < vectors) return find<vectors - 1>(rows, count, copying);
    if constexpr (vectors == max_vectors)
      if (copying) return of_rows<vectors, true>(rows);
    return of_rows<vectors, false>(rows);
  }
};

// The blocks for AVX-512, of up to 8 rows and 3 vectors.
BlockFunction<float> wide_block(float, int64_t rows, int64_t vectors, bool copying);
BlockFunction<double> wide_block(double, int64_t rows, int64_t vectors, bool copying);

}  // namespace axon::cpu
